//! The turn: everything that has arrived, one batch, one write for each peer and each client.
//!
//! ```text
//!   woken ─► yield once: all readers that have something read it
//!         ─► handle … handle ─► end_turn ─► effects ─► one flush for each that got something
//!         ─► sleep until: something arrives, something is durable, a timer is due, the second is over
//! ```

use super::chaos::Chaos;
use super::clock::Clock;
use super::counters::Snapshot;
use super::http::Ask;
use super::machine::{Birth, Machine, Opener, Waker};
use super::native::{Client, Gossip, Peers};
use super::shared::{Shared, Sink};
use super::start::StartError;
use crate::message::client::Reply;
use crate::node::{Config, ConnectionId, Effect, Event};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How often the picture of the node is published at least, and unused connections are looked for.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How soon a change may be published again when there are turns anyway.
const PUBLISH_SOONEST: Duration = Duration::from_millis(100);
/// How long what is left for peers may take to leave after an orderly stop.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// The loop that owns the machine.
pub(super) struct Turns<O: Opener> {
    pub(super) opener: O,
    pub(super) machine: Option<O::Machine>,
    pub(super) config: Config,
    pub(super) seed: fastrand::Rng,
    pub(super) clock: Clock,
    pub(super) shared: Rc<Shared>,
    pub(super) peers: Rc<Peers>,
    pub(super) gossip: Gossip,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) publish: watch::Sender<Arc<Snapshot>>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) chaos: Option<Arc<Chaos>>,
}

/// What the effects of a turn ask for beyond sending.
#[derive(Default)]
struct Aftermath {
    touched: Vec<Rc<Client>>,
    set_aside: Option<(String, Vec<SocketAddr>)>,
}

impl<O: Opener> Turns<O> {
    /// Opens the first machine.
    pub(super) fn open(&mut self) -> Result<(), StartError> {
        let wake = self.shared.wake.clone();
        let waker: Waker = Arc::new(move || wake.notify_one());
        let birth = Birth {
            config: self.config.clone(),
            waker,
            seed: self.seed.u64(..),
            now: self.clock.now(),
        };
        self.machine = Some(self.opener.open(birth)?);
        // It may have something to say before anything has arrived.
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Turns until the machine has stopped, in order or too late.
    ///
    /// # Errors
    /// [`StartError`] when the directory was set aside and no new machine could be opened.
    pub(super) async fn run(&mut self) -> Result<(), StartError> {
        let mut events = Vec::new();
        let mut stop_by = None;
        let mut published = Instant::now() - PUBLISH_EVERY;
        let shared = self.shared.clone();
        loop {
            let due = self.machine().poll_timeout().map(|at| self.clock.moment(at));
            let until = due.into_iter().chain(stop_by).chain([published + PUBLISH_EVERY]).min();
            tokio::select! {
                biased;
                () = shared.wake.notified() => {}
                () = tokio::time::sleep_until(until.unwrap_or(published)) => {}
            }
            // The runtime polls its sockets before it comes back: whoever has something reads it now.
            tokio::task::yield_now().await;
            let stopping = self.stop.load(Ordering::Acquire);
            if stopping && stop_by.is_none() {
                tracing::info!("stopping");
                stop_by = Some(Instant::now() + self.shared.timing.stop);
                let now = self.clock.now();
                self.machine().begin_stop(now);
            }
            self.turn(&mut events)?;
            if published.elapsed() >= PUBLISH_EVERY {
                self.peers.sweep();
            }
            if published.elapsed() >= PUBLISH_SOONEST {
                self.publish_snapshot();
                published = Instant::now();
            }
            if let Some(stop_by) = stop_by {
                if self.machine().is_stopped() {
                    break;
                }
                if Instant::now() >= stop_by {
                    tracing::warn!("the orderly stop took too long and is cut short");
                    break;
                }
            }
        }
        let flushed_by = Instant::now() + LAST_FLUSH;
        while !self.peers.is_flushed() && Instant::now() < flushed_by {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.close_machine();
        Ok(())
    }

    fn close_machine(&mut self) {
        if let Some(Err(error)) = self.machine.take().map(Machine::close) {
            tracing::error!(%error, "the store could not be closed in order");
        }
    }

    /// Whether somebody wants this node to be alone; see `chaos`.
    fn is_cut_off(&self) -> bool {
        self.chaos.as_ref().is_some_and(|chaos| chaos.is_cut_off())
    }

    fn machine(&mut self) -> &mut O::Machine {
        self.machine.as_mut().expect("a machine is open for as long as turns run")
    }

    fn turn(&mut self, events: &mut Vec<Event>) -> Result<(), StartError> {
        self.shared.counters.borrow_mut().turns += 1;
        let now = self.clock.now();
        let was_full = self.shared.is_full();
        self.shared.inbox.borrow_mut().take_into(events);
        if was_full {
            self.shared.room.notify_waiters();
        }
        let cut_off = self.is_cut_off();
        for event in events.drain(..) {
            if cut_off && matches!(event, Event::Frame(_) | Event::Datagram { .. }) {
                continue;
            }
            self.machine().handle(now, event);
        }
        self.take_asks();
        self.machine().end_turn(now);
        let epoch = self.machine().epoch();
        self.shared.epoch.set(epoch);
        let after = self.carry_out();
        for client in after.touched {
            client.flush();
        }
        match after.set_aside {
            Some((why, join)) => self.set_aside(&why, join),
            None => Ok(()),
        }
    }

    fn take_asks(&mut self) {
        let now = self.clock.now();
        // No more than were there: somebody who asks again at once must wait for the next turn.
        for _ in 0..self.asks.len() {
            let Ok(ask) = self.asks.try_recv() else { break };
            let connection = self.shared.connection_id();
            self.shared.sinks.borrow_mut().insert(connection, Sink::Http(ask.reply));
            let Ask { request, deadline_ms, .. } = ask;
            self.machine().handle(now, Event::Request { connection, id: 0, deadline_ms, request });
        }
    }

    fn carry_out(&mut self) -> Aftermath {
        let mut after = Aftermath::default();
        let cut_off = self.is_cut_off();
        while let Some(effect) = self.machine().poll_effect() {
            match effect {
                Effect::Send { .. } | Effect::Datagram { .. } if cut_off => {}
                Effect::Send { to, bytes } => self.peers.send(to, bytes),
                Effect::Datagram { to, bytes } => self.gossip.send(to, &bytes),
                Effect::Reply { connection, id, reply } => {
                    self.reply(connection, id, reply, &mut after.touched);
                }
                Effect::Backup { connection, id, ask } => {
                    let reply = self.machine().backup(ask);
                    self.reply(connection, id, reply, &mut after.touched);
                }
                Effect::SetAside { why, join } => after.set_aside = Some((why, join)),
            }
        }
        after
    }

    fn reply(
        &self,
        connection: ConnectionId,
        id: u64,
        reply: Reply,
        touched: &mut Vec<Rc<Client>>,
    ) {
        let mut sinks = self.shared.sinks.borrow_mut();
        match sinks.get(&connection) {
            Some(Sink::Client(client)) => {
                let is_first = client.queue_reply(id, &reply);
                if is_first {
                    touched.push(client.clone());
                }
            }
            Some(Sink::Http(_)) => {
                if let Some(Sink::Http(asker)) = sinks.remove(&connection) {
                    // Whoever asked may have left.
                    let _ = asker.send(reply);
                }
            }
            // The client has left.
            None => {}
        }
    }

    fn publish_snapshot(&mut self) {
        let machine = self.machine.as_ref().expect("a machine is open for as long as turns run");
        let now = self.clock.now();
        let snapshot = Snapshot {
            wall: now.wall,
            instant: now.instant,
            taken: std::time::Instant::now(),
            node: machine.counters(),
            driver: self.shared.counters.borrow().clone(),
            unready: machine.readiness().err(),
        };
        let before = self.publish.borrow().unready.clone();
        if before != snapshot.unready {
            match &snapshot.unready {
                None => tracing::info!("ready"),
                Some(reason) => tracing::warn!(reason, "not ready"),
            }
        }
        self.publish.send_replace(Arc::new(snapshot));
    }

    /// The sockets stay; everything else begins again, empty.
    fn set_aside(&mut self, why: &str, join: Vec<SocketAddr>) -> Result<(), StartError> {
        tracing::error!(why, "this data directory is behind what others have seen of it");
        // First of all: the directory is in use for as long as the machine lives.
        self.close_machine();
        for (_, sink) in self.shared.sinks.borrow_mut().drain() {
            if let Sink::Client(client) = sink {
                client.close();
            }
        }
        let aside = self.opener.set_aside()?;
        tracing::error!(to = %aside.display(), "it was set aside, and the node begins again empty");
        self.config.bootstrap = false;
        for address in join {
            if !self.config.join.contains(&address) {
                self.config.join.push(address);
            }
        }
        self.open()
    }
}
