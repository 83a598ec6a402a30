//! A link: one connection to one node, made again whenever it breaks.
//!
//! ```text
//!   connect ─▶ greeting ─▶ up: serve ─▶ broken, silent or junk
//!      ▲                                     │ all that wait are told
//!      └────────── down: pause, longer each time ◀┘
//! ```
//!
//! Only a link whose node has greeted is up. A stopped process still accepts connections, but does not
//! greet: so it stays out of the way without a clock that says for how long.

use super::attempts::Outcome;
use super::observer::Watch;
use super::routing::Routing;
use super::wire::{self, End};
use crate::seal::Keyring;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

/// The first pause after a connection broke; doubled each time, up to the second.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));

/// One request on its way to one node.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) body: Bytes,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Outcome>,
    pub(super) ticket: Ticket,
}

/// What a link and its task share.
#[derive(Debug, Default)]
pub(super) struct State {
    up: AtomicBool,
    /// Whether it was ever up.
    greeted: AtomicBool,
    in_flight: AtomicUsize,
    /// Requests and writes so far.
    pub(super) sent: AtomicU64,
    pub(super) writes: AtomicU64,
    /// Why it is down; none before its first try has failed.
    why: Mutex<Option<String>>,
}

impl State {
    fn set(&self, up: bool, why: Option<String>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.greeted.fetch_or(up, Ordering::Relaxed);
        self.up.store(up, Ordering::Release);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(super) fn has_greeted(&self) -> bool {
        self.greeted.load(Ordering::Relaxed)
    }

    /// How many requests are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request that is under way, for as long as this exists.
#[derive(Debug)]
pub(super) struct Ticket(Arc<State>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The callers' end of a link.
#[derive(Debug)]
pub(super) struct Link {
    /// Which node, by its place in the builder's list.
    pub(super) node: usize,
    pub(super) state: Arc<State>,
    queue: mpsc::Sender<Attempt>,
    capacity: usize,
}

/// What a link's task needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) address: String,
    pub(super) name: String,
    /// How long a node that owes an answer, or a greeting, may be silent.
    pub(super) patience: Duration,
    /// Who is told that it is up or down.
    pub(super) watch: Watch,
    /// The cluster's, where it has one.
    pub(super) keys: Option<Keyring>,
}

impl Link {
    /// Starts the link's task. It ends when this is dropped. `changed` is rung when the link goes up or
    /// down.
    pub(super) fn open(
        node: usize,
        settings: Settings,
        capacity: usize,
        changed: &Arc<Notify>,
        routing: &Arc<Routing>,
    ) -> Link {
        let (queue, attempts) = mpsc::channel(capacity);
        let state = Arc::new(State::default());
        let task = Task {
            node,
            settings,
            attempts,
            state: state.clone(),
            changed: changed.clone(),
            routing: routing.clone(),
        };
        tokio::spawn(task.run());
        Link { node, state, queue, capacity }
    }

    /// Hands a request over; `None` when as many are under way as may be.
    pub(super) fn submit(
        &self,
        body: Bytes,
        deadline: Instant,
    ) -> Option<oneshot::Receiver<Outcome>> {
        let under_way = self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket(self.state.clone());
        if under_way >= self.capacity {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        // Fails only when the runtime of the task is gone; the dropped sender then says so.
        let _ = self.queue.try_send(Attempt { body, deadline, answer, ticket });
        Some(answered)
    }
}

struct Task {
    node: usize,
    settings: Settings,
    attempts: mpsc::Receiver<Attempt>,
    state: Arc<State>,
    changed: Arc<Notify>,
    routing: Arc<Routing>,
}

impl Task {
    async fn run(mut self) {
        let mut pause = RECONNECT.0;
        loop {
            let dial = wire::dial(&self.settings);
            let Some(dialled) = refuse_while(&mut self.attempts, dial).await else { return };
            let why = match dialled {
                Ok(connection) => {
                    self.routing.greeted(self.node, &connection.name);
                    self.tell(true, None);
                    let since = Instant::now();
                    let patience = self.settings.patience;
                    let end = wire::serve(
                        connection,
                        &mut self.attempts,
                        &self.state,
                        &self.routing,
                        patience,
                    )
                    .await;
                    // A node that greets and breaks in a circle is not greeted ever faster.
                    if since.elapsed() > RECONNECT.1 {
                        pause = RECONNECT.0;
                    }
                    match end {
                        End::ClientGone => return,
                        End::Broken(why) => why,
                    }
                }
                Err(why) => why,
            };
            self.tell(false, Some(format!("{}: {why}", self.settings.address)));
            let sleep = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0));
            if refuse_while(&mut self.attempts, sleep).await.is_none() {
                return;
            }
            pause = (pause * 2).min(RECONNECT.1);
        }
    }

    fn tell(&self, up: bool, why: Option<String>) {
        let before = self.state.is_up();
        self.state.set(up, why);
        if before != up {
            self.settings.watch.tell(|observer| observer.connection(&self.settings.address, up));
        }
        self.changed.notify_waiters();
    }
}

/// Waits for `work`, and sends back what is queued meanwhile; `None` when the client is gone.
async fn refuse_while<T>(
    attempts: &mut mpsc::Receiver<Attempt>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            attempt = attempts.recv() => {
                let _ = attempt?.answer.send(Outcome::NotSent);
            }
        }
    }
}
