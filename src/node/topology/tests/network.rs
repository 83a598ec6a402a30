//! The network: one heap of (time, sequence, delivery), real wire bytes, and two laws that hold in every
//! test, whatever it is about:
//!
//! - no index of a chain has two values, on whatever node and in whatever life;
//! - no vote is on the wire before it is on the voter's disk.

use super::disk::Disk;
use crate::error::Error;
use crate::message::peer::Control;
use crate::message::{Kind, MAX_BODY_BYTES, Split, decode, split};
use crate::node::topology::acceptor::Seat;
use crate::node::topology::{OpenError, Ticket, Topology, identity};
use crate::node::{Config, Effect, Outbox, Release, View};
use crate::store::Store;
use crate::swim::State;
use crate::time::{Duration, Instant, Now, WallClock};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use xxhash_rust::xxh3::Xxh3;

/// One process and its directory.
pub struct Machine {
    pub config: Config,
    pub topology: Option<Topology>,
    pub outbox: Outbox,
    pub disk: Disk,
    /// Which run of the process.
    pub run: u64,
    pub asides: Vec<String>,
    pub view: Option<View>,
    pub outcomes: Vec<(Ticket, Result<(), Error>)>,
}

enum Delivery {
    Frames { to: SocketAddr, bytes: Vec<u8>, from: usize },
    Datagram { to: SocketAddr, bytes: Vec<u8>, from: usize },
    Synced { node: usize, run: u64, number: u64 },
}

/// Everything.
pub struct Network {
    pub now: u64,
    pub machines: Vec<Machine>,
    heap: BTreeMap<(u64, u64), Delivery>,
    sequence: u64,
    rng: fastrand::Rng,
    pub sync_us: u64,
    pub loss_percent: u32,
    cut: BTreeSet<(usize, usize)>,
    /// Every value ever installed anywhere, by cluster and index.
    pub chain: BTreeMap<(u64, u64), Bytes>,
    /// How many control frames of a kind left a node.
    pub votes: BTreeMap<(usize, &'static str), u64>,
    /// Frames of these kinds vanish.
    pub swallow: Option<fn(usize, &Control) -> bool>,
    trace: Xxh3,
}

pub fn address(node: usize) -> SocketAddr {
    ([10, 0, 0, u8::try_from(node + 1).unwrap()], 7610).into()
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            now: 1_000_000,
            machines: Vec::new(),
            heap: BTreeMap::new(),
            sequence: 0,
            rng: fastrand::Rng::with_seed(seed),
            sync_us: 500,
            loss_percent: 0,
            cut: BTreeSet::new(),
            chain: BTreeMap::new(),
            votes: BTreeMap::new(),
            swallow: None,
            trace: Xxh3::new(),
        }
    }

    /// `count` members, formed by joins through the first.
    pub fn formed(seed: u64, count: usize) -> Network {
        let mut net = Network::new(seed);
        for node in 0..count {
            net.add(if node == 0 { &[] } else { &[0] });
        }
        net.settle(count);
        net.until("everybody sees everybody alive", |net| {
            (0..count).all(|a| (0..count).all(|b| net.state(a, b) == Some(State::Alive)))
        });
        net
    }

    /// Another machine, started with an empty directory; no one to join: it founds.
    pub fn add(&mut self, join: &[usize]) -> usize {
        let node = self.machines.len();
        let mut config = Config::new(&format!("n{}", node + 1), address(node));
        config.bootstrap = join.is_empty();
        config.partitions = 16;
        config.join = join.iter().map(|n| address(*n)).collect();
        self.add_configured(config)
    }

    pub fn add_configured(&mut self, config: Config) -> usize {
        let node = self.machines.len();
        self.machines.push(Machine {
            config,
            topology: None,
            outbox: Outbox::default(),
            disk: Disk::default(),
            run: 0,
            asides: Vec::new(),
            view: None,
            outcomes: Vec::new(),
        });
        self.start(node, false).expect("an empty directory opens");
        node
    }

    pub fn clock(&self) -> Now {
        Now { instant: Instant(self.now), wall: WallClock(self.now / 1_000) }
    }

    pub fn start(&mut self, node: usize, damaged: bool) -> Result<(), OpenError> {
        let now = self.clock();
        let rng = self.rng.fork();
        let machine = &mut self.machines[node];
        machine.run += 1;
        machine.outbox = Outbox::default();
        let opened =
            Topology::open(&machine.config, &machine.disk, damaged, rng, now, &mut machine.outbox);
        machine.topology = Some(opened?);
        self.turn(node, |_, _, _, _| {});
        Ok(())
    }

    /// kill -9: what was not synced is gone.
    pub fn kill(&mut self, node: usize) {
        let machine = &mut self.machines[node];
        machine.topology = None;
        machine.disk = machine.disk.copy();
        machine.run += 1;
    }

    pub fn restart(&mut self, node: usize) {
        self.kill(node);
        self.start(node, false).expect("its own directory opens");
    }

    /// An empty directory under the same name; it joins through these.
    pub fn wipe(&mut self, node: usize, join: &[usize]) {
        self.kill(node);
        self.machines[node].disk = Disk::default();
        self.machines[node].config.bootstrap = false;
        self.machines[node].config.join = join.iter().map(|n| address(*n)).collect();
        self.start(node, false).expect("an empty directory opens");
    }

    /// Nothing passes between the two sides.
    pub fn partition(&mut self, one: &[usize], other: &[usize]) {
        for &a in one {
            for &b in other {
                self.cut.extend([(a, b), (b, a)]);
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Calls into one machine, and ends its turn.
    pub fn turn<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Topology, Now, &Disk, &mut Outbox) -> T,
    ) -> Option<T> {
        let now = self.clock();
        let Machine { topology: Some(topology), outbox, disk, .. } = &mut self.machines[node]
        else {
            return None;
        };
        outbox.set_stamp(topology.stamp(disk.durable()));
        let answer = call(topology, now, disk, outbox);
        if topology.poll_timeout().is_some_and(|at| at <= now.instant) {
            topology.handle_timeout(now, disk, outbox);
        }
        for release in outbox.release(disk.durable()) {
            match release {
                Release::Control { to, request, message } => {
                    outbox.send_control(to, request, &message);
                }
                Release::Installed { ticket } => topology.released(now, ticket, outbox),
                other => panic!("not the topology's: {other:?}"),
            }
            outbox.set_stamp(topology.stamp(disk.durable()));
        }
        let committed = outbox.commit(disk).expect("this disk takes everything");
        self.after_turn(node, committed.map(|number| number.0));
        Some(answer)
    }

    fn after_turn(&mut self, node: usize, committed: Option<u64>) {
        let machine = &mut self.machines[node];
        let run = machine.run;
        let mut sends = Vec::new();
        let mut effects = Vec::new();
        while let Some(effect) = machine.outbox.poll_effect() {
            effects.push(effect);
        }
        if let Some(topology) = &mut machine.topology {
            while let Some(outcome) = topology.poll_outcome() {
                machine.outcomes.push(outcome);
            }
            if let Some(agreement) = topology.agreement() {
                let key = (agreement.layout.cluster.0, agreement.index);
                let bytes = Bytes::from(agreement.encode());
                let first = self.chain.entry(key).or_insert_with(|| bytes.clone());
                assert_eq!(*first, bytes, "the chain forked at {key:?}");
            }
            if let Some(view) = topology.take_view() {
                machine.view = Some(view);
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { to, bytes } => {
                    self.check_votes(node, &bytes);
                    sends.push(Delivery::Frames { to, bytes, from: node });
                }
                Effect::Datagram { to, bytes } => {
                    assert!(bytes.len() <= 1_200, "a datagram of {} bytes", bytes.len());
                    sends.push(Delivery::Datagram { to, bytes, from: node });
                }
                Effect::SetAside { why, .. } => self.machines[node].asides.push(why),
                Effect::Reply { .. } | Effect::Backup { .. } => {
                    panic!("the topology answers no client")
                }
            }
        }
        for delivery in sends {
            let delay = self.rng.u64(100..1_500);
            self.push(delay, delivery);
        }
        if let Some(number) = committed {
            self.push(self.sync_us, Delivery::Synced { node, run, number });
        }
    }

    fn push(&mut self, delay: u64, delivery: Delivery) {
        self.sequence += 1;
        self.heap.insert((self.now + delay, self.sequence), delivery);
    }

    /// The second law.
    fn check_votes(&mut self, node: usize, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        while let Ok(Split::Frame(frame)) = split(&mut buffer, MAX_BODY_BYTES) {
            let message: Control = decode(&frame.body).expect("we encoded it");
            let (word, index, ballot) = match message {
                Control::Promise { index, ballot, .. } => ("promise", index, ballot),
                Control::Accepted { index, ballot } => ("accepted", index, ballot),
                Control::NotReady { .. } => {
                    *self.votes.entry((node, "not_ready")).or_default() += 1;
                    continue;
                }
                _ => continue,
            };
            *self.votes.entry((node, word)).or_default() += 1;
            let disk = &self.machines[node].disk;
            let seat: Seat = identity::get(disk, "acceptor")
                .expect("readable")
                .expect("a vote left before anything was on disk");
            assert!(
                seat.remembers(index, ballot.0, word == "accepted"),
                "a vote for {index} {ballot:?} left before it was on disk"
            );
        }
    }

    pub fn votes(&self, node: usize) -> u64 {
        let of = |word| self.votes.get(&(node, word)).copied().unwrap_or_default();
        of("promise") + of("accepted")
    }

    fn listener(&self, to: SocketAddr) -> Option<usize> {
        self.machines.iter().position(|m| m.config.address == to && m.topology.is_some())
    }

    fn step(&mut self, until: u64) -> bool {
        let timers = self.machines.iter().enumerate().filter_map(|(node, machine)| {
            Some((machine.topology.as_ref()?.poll_timeout()?.0.max(self.now), node))
        });
        let timer = timers.min();
        let arrival = self.heap.first_key_value().map(|((at, _), _)| *at);
        let at = [timer.map(|(at, _)| at), arrival].into_iter().flatten().min();
        let Some(at) = at.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = at;
        if arrival == Some(at)
            && let Some((_, delivery)) = self.heap.pop_first()
        {
            self.deliver(delivery);
        } else if let Some((_, node)) = timer {
            self.turn(node, |_, _, _, _| {});
        }
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Synced { node, run, number } => {
                if self.machines[node].run == run {
                    self.machines[node].disk.sync(number);
                    self.turn(node, |_, _, _, _| {});
                }
            }
            Delivery::Datagram { to, bytes, from } => {
                self.trace(from, to, &bytes);
                let Some(node) = self.listener(to).filter(|n| !self.cut.contains(&(from, *n)))
                else {
                    return;
                };
                if self.rng.u32(0..100) >= self.loss_percent {
                    let source = self.machines[from].config.address;
                    self.turn(node, |topology, now, _, outbox| {
                        topology.handle_datagram(now, source, &bytes, outbox);
                    });
                }
            }
            Delivery::Frames { to, bytes, from } => {
                self.trace(from, to, &bytes);
                let Some(node) = self.listener(to).filter(|n| !self.cut.contains(&(from, *n)))
                else {
                    return;
                };
                let swallow = self.swallow;
                self.turn(node, |topology, now, disk, outbox| {
                    let mut buffer = BytesMut::from(&bytes[..]);
                    while let Ok(Split::Frame(frame)) = split(&mut buffer, MAX_BODY_BYTES) {
                        assert_eq!(frame.header.kind, Kind::Control);
                        let message: Control = decode(&frame.body).expect("we encoded it");
                        if swallow.is_some_and(|swallow| swallow(from, &message)) {
                            continue;
                        }
                        topology.observe(&frame.header);
                        topology.handle_control(now, &frame.header, message, disk, outbox);
                    }
                });
            }
        }
    }

    fn trace(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        self.trace.update(&self.now.to_le_bytes());
        self.trace.update(&from.to_le_bytes());
        self.trace.update(to.to_string().as_bytes());
        self.trace.update(bytes);
    }

    pub fn trace_hash(&self) -> u64 {
        self.trace.digest()
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + u64::try_from(time.as_micros()).unwrap();
        let mut steps = 0u64;
        while self.step(until) {
            steps += 1;
            assert!(steps < 5_000_000, "the network never rests");
        }
    }

    pub fn secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }
}
