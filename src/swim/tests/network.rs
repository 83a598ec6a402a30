//! A network for the machines: one heap of (time, sequence, delivery), real wire bytes, one seed.
//!
//! Loss, delay, duplication, one-way cuts, pauses (what arrives meanwhile waits in the socket), kills,
//! restarts. TCP is a delivery without loss that needs both directions.

use super::super::*;
use crate::id::{Lineage, NodeId};
use crate::time::{Agenda, Duration, Instant};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr};

/// How many packets a paused process's socket holds.
const SOCKET_BUFFER: usize = 256;

#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Datagram { to: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
    PushPull { to: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
}

pub(super) struct Node {
    pub(super) swim: Option<Swim>,
    pub(super) identity: Identity,
    due: Option<Instant>,
    paused: bool,
    waiting: Vec<Delivery>,
}

/// One change of opinion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) by: usize,
    pub(super) member: NodeId,
    pub(super) to: State,
}

pub(super) struct Network {
    pub(super) now: Instant,
    pub(super) config: Config,
    pub(super) nodes: Vec<Node>,
    pub(super) seen: Vec<Seen>,
    pub(super) datagrams: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(super) loss_percent: u32,
    pub(super) duplicate_percent: u32,
    pub(super) keep_datagrams: bool,
    pub(super) trace: xxhash_rust::xxh3::Xxh3,
    /// From whom nothing reaches whom.
    cuts: BTreeSet<(usize, usize)>,
    agenda: Agenda<Delivery>,
    rng: fastrand::Rng,
}

pub(super) fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

fn address(last: u16) -> SocketAddr {
    (Ipv4Addr::new(10, 0, (last >> 8) as u8, last as u8), 7610).into()
}

pub(super) fn identity(node: usize) -> Identity {
    Identity {
        id: id(node),
        lineage: Lineage(100 + node as u64),
        name: format!("n{}", node + 1),
        zone: format!("z{}", node % 3),
        address: address(node as u16 + 1),
        http: Some((Ipv4Addr::LOCALHOST, 7611).into()),
    }
}

impl Network {
    /// `nodes` machines that all join through the first.
    pub(super) fn new(seed: u64, nodes: usize) -> Network {
        let mut network = Network {
            now: Instant(1_000_000),
            config: Config::default(),
            nodes: Vec::new(),
            seen: Vec::new(),
            datagrams: Vec::new(),
            loss_percent: 0,
            duplicate_percent: 0,
            keep_datagrams: false,
            trace: xxhash_rust::xxh3::Xxh3::new(),
            cuts: BTreeSet::new(),
            agenda: Agenda::default(),
            rng: fastrand::Rng::with_seed(seed),
        };
        for node in 0..nodes {
            network.add(node, &format!("n{}", node + 1));
        }
        network
    }

    /// One more machine, by this name.
    pub(super) fn add(&mut self, node: usize, name: &str) {
        self.expect_node(node, name);
        self.start(node, 0);
    }

    /// A place for one more machine, which does not run yet.
    pub(super) fn expect_node(&mut self, node: usize, name: &str) {
        let identity = Identity { name: name.into(), ..identity(node) };
        let waiting = Vec::new();
        self.nodes.push(Node { swim: None, identity, due: None, paused: false, waiting });
    }

    /// As `new`, and everybody knows everybody.
    pub(super) fn settled(seed: u64, nodes: usize) -> Network {
        let mut network = Network::new(seed, nodes);
        network.until("everybody knows everybody", 30, Network::all_alive);
        network.seen.clear();
        network.run(network.rng.clone().u64(3_000..4_000));
        network
    }

    pub(super) fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// Starts a machine that joins through everybody else's first address.
    pub(super) fn start(&mut self, node: usize, incarnation: u64) {
        let rng = fastrand::Rng::with_seed(self.rng.u64(..));
        let identity = self.nodes[node].identity.clone();
        let mut swim =
            Swim::new(self.config.clone(), identity, Incarnation(incarnation), rng, self.now);
        let seeds: Vec<_> = self
            .nodes
            .iter()
            .take(3)
            .map(|n| n.identity.address)
            .filter(|a| *a != self.nodes[node].identity.address)
            .collect();
        swim.join(self.now, &seeds);
        self.nodes[node].swim = Some(swim);
        self.nodes[node].paused = false;
        self.nodes[node].waiting.clear();
        self.drain(node);
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].swim = None;
        self.nodes[node].due = None;
    }

    /// A new address for a node that is down.
    pub(super) fn move_away(&mut self, node: usize) {
        self.nodes[node].identity.address = address(1_000 + node as u16);
    }

    pub(super) fn pause(&mut self, node: usize) {
        self.nodes[node].paused = true;
    }

    /// Wakes a node. Whether it reads its socket or looks at its clock first is left to chance.
    pub(super) fn resume(&mut self, node: usize) {
        self.nodes[node].paused = false;
        let waiting = std::mem::take(&mut self.nodes[node].waiting);
        if self.rng.bool() {
            self.act(node, |swim, now| swim.handle_timeout(now));
        }
        for delivery in waiting {
            self.deliver(delivery);
        }
    }

    /// Nothing that `from` sends reaches `to` any more.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn swim(&self, node: usize) -> &Swim {
        self.nodes[node].swim.as_ref().expect("the node runs")
    }

    pub(super) fn state(&self, by: usize, of: usize) -> Option<State> {
        self.swim(by).member(id(of)).map(|m| m.state)
    }

    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].swim.is_some()).collect()
    }

    /// Whether all that run see all that run alive, where they are.
    pub(super) fn all_alive(&self) -> bool {
        let running = self.running();
        running.iter().all(|by| {
            running.iter().all(|of| {
                self.swim(*by).member(id(*of)).is_some_and(|m| {
                    m.state == State::Alive && m.identity == self.nodes[*of].identity
                })
            })
        })
    }

    /// Whether all that run, but the member itself, hold it for this.
    pub(super) fn all_see(&self, of: usize, state: State) -> bool {
        self.running().iter().all(|by| *by == of || self.state(*by, of) == Some(state))
    }

    /// Lets a machine do something now.
    pub(super) fn act(&mut self, node: usize, what: impl FnOnce(&mut Swim, Instant)) {
        let now = self.now;
        if let Some(swim) = self.nodes[node].swim.as_mut() {
            what(swim, now);
            self.drain(node);
        }
    }

    fn drain(&mut self, node: usize) {
        let from = self.nodes[node].identity.address;
        loop {
            let Some(swim) = self.nodes[node].swim.as_mut() else { return };
            let Some(output) = swim.poll_output() else { break };
            (self.now, node, &output).hash(&mut self.trace);
            match output {
                Output::Datagram { to, bytes } => {
                    assert!(bytes.len() <= self.config.max_packet, "{} bytes", bytes.len());
                    if self.keep_datagrams {
                        self.datagrams.push((from, to, bytes.clone()));
                    }
                    let copies = 1 + u32::from(self.rng.u32(..100) < self.duplicate_percent);
                    for _ in 0..copies {
                        if self.rng.u32(..100) >= self.loss_percent {
                            self.post(Delivery::Datagram { to, from, bytes: bytes.clone() });
                        }
                    }
                }
                Output::PushPull { to, bytes } => {
                    self.post(Delivery::PushPull { to, from, bytes });
                }
                Output::Changed { member, to, .. } => {
                    self.seen.push(Seen { at: self.now, by: node, member, to });
                }
                _ => {}
            }
        }
        self.nodes[node].due = self.nodes[node].swim.as_ref().and_then(Swim::poll_timeout);
    }

    fn post(&mut self, delivery: Delivery) {
        let delay = Duration::from_micros(self.rng.u64(100..3_000));
        self.agenda.add(self.now + delay, delivery);
    }

    fn at(&self, address: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|n| n.identity.address == address)
    }

    fn deliver(&mut self, delivery: Delivery) {
        let (to, from) = match &delivery {
            Delivery::Datagram { to, from, .. } | Delivery::PushPull { to, from, .. } => {
                (*to, *from)
            }
        };
        let (Some(node), Some(source)) = (self.at(to), self.at(from)) else { return };
        let cut = self.cuts.contains(&(source, node));
        if self.nodes[node].swim.is_none() || cut {
            return;
        }
        if self.nodes[node].paused {
            if self.nodes[node].waiting.len() < SOCKET_BUFFER {
                self.nodes[node].waiting.push(delivery);
            }
            return;
        }
        match delivery {
            Delivery::Datagram { bytes, .. } => {
                self.act(node, |swim, now| swim.handle_datagram(now, from, &bytes));
            }
            Delivery::PushPull { bytes, .. } => {
                if self.cuts.contains(&(node, source)) {
                    return;
                }
                let mut answer = None;
                self.act(node, |swim, now| answer = swim.handle_push_pull(now, &bytes));
                if let Some(bytes) = answer {
                    (self.now, node, &bytes).hash(&mut self.trace);
                    self.post(Delivery::PushPull { to: from, from: to, bytes });
                }
            }
        }
    }

    /// Lets so many milliseconds pass.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let timer = (0..self.nodes.len())
                .filter(|n| !self.nodes[*n].paused)
                .filter_map(|n| Some((self.nodes[n].due?, n)))
                .min();
            let delivery = self.agenda.next_at();
            let next = timer.map(|(at, _)| at).into_iter().chain(delivery).min();
            if next.is_none_or(|at| at > end) {
                break;
            }
            if delivery.is_some_and(|at| timer.is_none_or(|(due, _)| at <= due)) {
                let Some((at, _, delivery)) = self.agenda.pop() else { break };
                self.now = self.now.max(at);
                self.deliver(delivery);
            } else if let Some((at, node)) = timer {
                self.now = self.now.max(at);
                self.act(node, |swim, now| swim.handle_timeout(now));
            }
        }
        self.now = self.now.max(end);
    }

    /// Runs until something holds, at most so many seconds; how long it took.
    pub(super) fn until(
        &mut self,
        what: &str,
        seconds: u64,
        holds: impl Fn(&Network) -> bool,
    ) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(
                self.now.since(start) < Duration::from_secs(seconds),
                "not within {seconds} s: {what}"
            );
            self.run(50);
        }
        self.now.since(start)
    }

    /// Whether somebody held a member for dead since `seen` was last cleared.
    pub(super) fn deaths(&self) -> Vec<Seen> {
        self.seen.iter().copied().filter(|seen| seen.to == State::Dead).collect()
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
