//! A cluster of simulated nodes, and the hands that break it.

use super::network::Network;
use super::options::Options;
use super::tap::{Heard, Tap};
use crate::id::NodeId;
use crate::message::client::{Reply, Request};
use crate::message::{MAX_BODY_BYTES, Split, split};
use crate::node::{Config, ConnectionId, Effect, Event, Node};
use crate::store::memory::Survivors;
use crate::store::{MemoryStore, Store};
use crate::time::{Agenda, Duration, Instant, Now, WallClock};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The wall clock of every node when a simulation begins: some day in 2026.
const EPOCH_MS: u64 = 1_790_000_000_000;

/// A request whose answer may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pending(pub u64);

/// What became of waiting.
pub type Outcome = Option<Reply>;

struct Member {
    name: String,
    address: SocketAddr,
    store: MemoryStore,
    node: Option<Node<MemoryStore>>,
    /// Bumped whenever the process ends: what was meant for the old one is dropped.
    life: u64,
    zone: String,
    wall_offset_ms: i64,
    paused: bool,
    /// What came while it was paused: it waits in the kernel's buffers.
    unread: Vec<(u64, u64, Delivery)>,
    woken: Option<Instant>,
    sync_due: bool,
    sync_held: bool,
    damaged: bool,
    join: Vec<SocketAddr>,
    bootstrap: bool,
    spare: bool,
}

#[derive(Clone, Debug)]
enum Delivery {
    /// From which node, and what.
    Stream(usize, Bytes),
    Datagram(SocketAddr, Bytes),
    Request(u64, u32, Box<Request>),
    Synced,
    Wake,
    Begin,
}

/// See the module's picture. Nodes are numbered from 1, as their names are: `n1` is 1.
pub struct Cluster {
    options: Options,
    /// The network; change it at will.
    pub network: Network,
    members: Vec<Member>,
    now: Instant,
    agenda: Agenda<(usize, u64, Delivery)>,
    rng: fastrand::Rng,
    replies: BTreeMap<u64, Reply>,
    requests: u64,
    trace: u64,
    asides: Vec<(usize, String)>,
    tap: Tap,
}

impl Cluster {
    /// A cluster whose first node founds it and whose others join through it, all started at once.
    pub fn new(options: Options) -> Cluster {
        let mut cluster = Cluster {
            network: Network::default(),
            members: Vec::new(),
            now: Instant(1),
            agenda: Agenda::default(),
            rng: fastrand::Rng::with_seed(options.seed),
            replies: BTreeMap::new(),
            requests: 0,
            trace: options.seed,
            asides: Vec::new(),
            tap: Tap::default(),
            options,
        };
        for number in 1..=cluster.options.nodes {
            cluster.add(number == 1, false);
        }
        cluster
    }

    fn add(&mut self, bootstrap: bool, spare: bool) {
        let number = self.members.len() + 1;
        // Everybody names everybody who was there at first, as a configuration file would.
        let others = (1..=self.options.nodes).filter(|other| *other != number);
        let join = others.map(address).collect();
        self.members.push(Member {
            name: format!("n{number}"),
            address: address(number),
            store: MemoryStore::new(),
            node: None,
            life: 0,
            zone: self.options.zones.get(number - 1).cloned().unwrap_or_default(),
            wall_offset_ms: 0,
            paused: false,
            unread: Vec::new(),
            woken: None,
            sync_due: false,
            sync_held: false,
            damaged: false,
            join,
            bootstrap,
            spare,
        });
        self.start(number);
    }

    /// One more node, which joins. Its number is returned.
    pub fn grow(&mut self) -> usize {
        self.grow_as(false)
    }

    /// One more node, which joins to stand by. Its number is returned.
    pub fn grow_spare(&mut self) -> usize {
        self.grow_as(true)
    }

    fn grow_as(&mut self, spare: bool) -> usize {
        let others = self.members.iter().map(|member| member.address).collect();
        self.add(false, spare);
        let number = self.members.len();
        self.members[number - 1].join = others;
        number
    }

    /// How many nodes there are, up or down.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A hash of everything that was delivered, in order.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// Each time that a node's directory was set aside: whose, and why.
    pub fn asides(&self) -> &[(usize, String)] {
        &self.asides
    }

    /// Listens to the frames between nodes from now on, or no longer.
    pub fn tap(&mut self, open: bool) {
        self.tap.open = open;
    }

    /// What was heard since this was last asked, as it came.
    pub fn heard(&mut self) -> Vec<Heard> {
        self.tap.take()
    }

    /// A frame that was heard comes once more, as if it had been on its way all the time.
    pub fn deliver_again(&mut self, heard: &Heard) {
        let mut bytes = Vec::new();
        heard.frame.header.encode_into(&mut bytes, |out| out.extend_from_slice(&heard.frame.body));
        let (at, life) = (self.now + Duration::from_micros(1), self.members[heard.to - 1].life);
        self.push(at, heard.to, life, Delivery::Stream(heard.from, bytes.into()));
    }

    /// A node that is up.
    pub fn node(&self, number: usize) -> Option<&Node<MemoryStore>> {
        self.members[number - 1].node.as_ref()
    }

    /// A node's disk. A copy of it can be put back with [`restore`](Cluster::restore).
    pub fn disk(&self, number: usize) -> &MemoryStore {
        &self.members[number - 1].store
    }

    /// A node's clock is so far from the others'.
    pub fn skew(&mut self, number: usize, by_ms: i64) {
        self.members[number - 1].wall_offset_ms = by_ms;
    }

    /// The process ends at once; what was not synced is lost.
    pub fn kill(&mut self, number: usize) {
        self.crash(number, Survivors::None);
    }

    /// As [`kill`](Cluster::kill), with a say in what survives.
    pub fn crash(&mut self, number: usize, survivors: Survivors) {
        let member = &mut self.members[number - 1];
        member.node = None;
        member.life += 1;
        member.woken = None;
        member.paused = false;
        member.unread.clear();
        member.sync_due = false;
        member.sync_held = false;
        member.store.crash(survivors);
    }

    /// Kills a node and empties its disk. Whoever puts in another one also names where the others are by now.
    pub fn wipe(&mut self, number: usize) {
        self.kill(number);
        self.name_others(number);
        self.members[number - 1].store = MemoryStore::new();
    }

    /// The next start of this node is with `--join` and where the others are by now: those whom the old
    /// configuration names may all have moved.
    pub fn name_others(&mut self, number: usize) {
        let others = self.members.iter().map(|member| member.address).enumerate();
        let join = others.filter(|(at, _)| at + 1 != number).map(|(_, address)| address).collect();
        self.members[number - 1].join = join;
    }

    /// Kills a node and puts this disk in place of its own.
    pub fn restore(&mut self, number: usize, disk: MemoryStore) {
        self.kill(number);
        self.members[number - 1].store = disk;
    }

    /// Where a node listens.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.members[number - 1].address
    }

    /// Whether a node was started with `--join` and this address.
    pub fn is_told(&self, number: usize, address: SocketAddr) -> bool {
        self.members[number - 1].join.contains(&address)
    }

    /// Starts a node that is down with what it has. It never founds a cluster a second time.
    pub fn start(&mut self, number: usize) {
        let member = &mut self.members[number - 1];
        assert!(member.node.is_none(), "n{number} is up");
        member.life += 1;
        // A timer of the process before is none of this one's.
        member.woken = None;
        let life = member.life;
        self.push(self.now + Duration::from_micros(1), number, life, Delivery::Begin);
    }

    /// The next start of this node is told that its store lost something it had called durable.
    pub fn damage(&mut self, number: usize) {
        self.members[number - 1].damaged = true;
    }

    /// A node with another address: the next start listens there.
    pub fn move_to(&mut self, number: usize, port: u16) {
        self.members[number - 1].address = SocketAddr::from(([127, 0, 0, 1], port));
    }

    /// Stops a process without ending it: nothing is handled until it is resumed.
    pub fn pause(&mut self, number: usize) {
        self.members[number - 1].paused = true;
    }

    /// Lets a paused process go on.
    pub fn resume(&mut self, number: usize) {
        let member = &mut self.members[number - 1];
        member.paused = false;
        for (sequence, life, delivery) in member.unread.drain(..) {
            self.agenda.put_back(self.now, sequence, (number, life, delivery));
        }
        self.wake(number, self.now);
    }

    /// Whether the node's syncs are held back: batches stay undurable until they are let go.
    pub fn hold_syncs(&mut self, number: usize, hold: bool) {
        let member = &mut self.members[number - 1];
        member.sync_held = hold;
        if !hold && member.store.unsynced() > 0 {
            let life = member.life;
            self.push(self.now + Duration::from_micros(1), number, life, Delivery::Synced);
        }
    }

    /// Begins an orderly stop and runs until it is done. False: it does not come to its end in half a minute.
    #[must_use]
    pub fn stop(&mut self, number: usize) -> bool {
        let now = self.clock(number);
        if let Some(node) = &mut self.members[number - 1].node {
            node.begin_stop(now);
        }
        self.turn(number);
        let stopped = |c: &Cluster| c.node(number).is_none_or(Node::is_stopped);
        if !self.run_until(Duration::from_secs(30), stopped) {
            return false;
        }
        let member = &mut self.members[number - 1];
        member.node = None;
        member.life += 1;
        member.woken = None;
        true
    }

    /// Sends a request to a node; the answer comes with [`answer`](Cluster::answer).
    pub fn send(&mut self, number: usize, request: Request) -> Pending {
        self.send_within(number, 5_000, request)
    }

    /// As [`send`](Cluster::send), with the client's own deadline.
    pub fn send_within(&mut self, number: usize, deadline_ms: u32, request: Request) -> Pending {
        self.requests += 1;
        let id = self.requests;
        let life = self.members[number - 1].life;
        let delivery = Delivery::Request(id, deadline_ms, Box::new(request));
        self.push(self.now + Duration::from_micros(10), number, life, delivery);
        Pending(id)
    }

    /// The answer, if it has come.
    pub fn answer(&mut self, pending: Pending) -> Outcome {
        self.replies.remove(&pending.0)
    }

    /// Whether the answer has come.
    pub fn answered(&self, pending: Pending) -> bool {
        self.replies.contains_key(&pending.0)
    }

    /// Sends a request and runs until its answer comes; `None` if none does within 20 simulated seconds.
    pub fn ask(&mut self, number: usize, request: Request) -> Outcome {
        let pending = self.send(number, request);
        self.run_until(Duration::from_secs(20), |c| c.replies.contains_key(&pending.0));
        self.answer(pending)
    }

    /// Runs until every node that is up says that it is ready. False: not within `limit`.
    pub fn run_until_ready(&mut self, limit: Duration) -> bool {
        self.run_until(limit, |c| {
            c.members.iter().filter_map(|m| m.node.as_ref()).all(|node| node.readiness().is_ok())
        })
    }

    /// Runs for so long.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.agenda.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until the condition holds. False: it did not within `limit`.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Cluster) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if self.agenda.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return done(self);
            }
            self.step();
        }
    }

    /// The number of the node with this id.
    pub fn number_of(&self, id: NodeId) -> Option<usize> {
        let named = |node: &Node<MemoryStore>| node.id() == id;
        self.members.iter().position(|m| m.node.as_ref().is_some_and(named)).map(|at| at + 1)
    }

    fn push(&mut self, at: Instant, to: usize, life: u64, delivery: Delivery) {
        self.agenda.add(at, (to, life, delivery));
    }

    fn clock(&self, number: usize) -> Now {
        let offset = self.members[number - 1].wall_offset_ms;
        let wall = (EPOCH_MS + self.now.0 / 1000).saturating_add_signed(offset);
        Now { instant: self.now, wall: WallClock(wall) }
    }

    fn wake(&mut self, number: usize, at: Instant) {
        let member = &mut self.members[number - 1];
        if member.woken.is_some_and(|before| before <= at) {
            return;
        }
        member.woken = Some(at);
        let life = member.life;
        self.push(at, number, life, Delivery::Wake);
    }

    fn step(&mut self) {
        let Some((at, sequence, (number, life, delivery))) = self.agenda.pop() else { return };
        self.now = self.now.max(at);
        let member = &mut self.members[number - 1];
        // An earlier one was set after this, and has set the next one: else their number only grows.
        if matches!(delivery, Delivery::Wake) && member.life == life && member.woken != Some(at) {
            return;
        }
        if member.life != life {
            if let Delivery::Stream(from, bytes) = &delivery {
                self.tap.note(self.now, *from, number, bytes, false);
            }
            return;
        }
        if member.paused {
            match delivery {
                Delivery::Wake => member.woken = None,
                other => member.unread.push((sequence, life, other)),
            }
            return;
        }
        self.note(number, &delivery);
        let now = self.clock(number);
        match delivery {
            Delivery::Begin => self.begin(number, now),
            Delivery::Stream(from, bytes) => {
                let mut buffer = BytesMut::from(&bytes[..]);
                let node = self.members[number - 1].node.as_mut();
                self.tap.note(self.now, from, number, &bytes, node.is_some());
                if let Some(node) = node {
                    while let Ok(Split::Frame(frame)) = split(&mut buffer, MAX_BODY_BYTES) {
                        node.handle(now, Event::Frame(frame));
                    }
                    assert!(buffer.is_empty(), "a node wrote half a frame");
                }
            }
            Delivery::Datagram(from, bytes) => {
                if let Some(node) = &mut self.members[number - 1].node {
                    node.handle(now, Event::Datagram { from, bytes });
                }
            }
            Delivery::Request(id, deadline_ms, request) => {
                if let Some(node) = &mut self.members[number - 1].node {
                    let connection = ConnectionId(id);
                    let request = *request;
                    node.handle(now, Event::Request { connection, id, deadline_ms, request });
                }
            }
            Delivery::Synced => {
                let member = &mut self.members[number - 1];
                member.sync_due = false;
                if !member.sync_held {
                    member.store.sync(usize::MAX);
                }
            }
            Delivery::Wake => self.members[number - 1].woken = None,
        }
        self.turn(number);
    }

    fn begin(&mut self, number: usize, now: Now) {
        let seed = self.rng.u64(..);
        let member = &mut self.members[number - 1];
        let config = Config {
            zone: member.zone.clone(),
            bootstrap: std::mem::take(&mut member.bootstrap),
            join: member.join.clone(),
            spare: member.spare,
            partitions: self.options.partitions,
            timing: self.options.timing,
            limits: self.options.limits,
            ..Config::new(&member.name, member.address)
        };
        let damaged = std::mem::take(&mut member.damaged);
        let node = Node::open(config, member.store.clone(), damaged, seed, now);
        member.node = Some(node.expect("a simulated directory opens"));
    }

    /// Ends a turn of a node and lets out what it wants done.
    fn turn(&mut self, number: usize) {
        let now = self.clock(number);
        let Some(node) = &mut self.members[number - 1].node else { return };
        node.end_turn(now);
        let mut effects = Vec::new();
        while let Some(effect) = node.poll_effect() {
            effects.push(effect);
        }
        let timeout = node.poll_timeout();
        for effect in effects {
            self.carry_out(number, effect);
        }
        let member = &mut self.members[number - 1];
        if member.store.unsynced() > 0 && !member.sync_due && !member.sync_held {
            member.sync_due = true;
            let (life, at) = (member.life, self.now + self.options.sync);
            self.push(at, number, life, Delivery::Synced);
        }
        if let Some(at) = timeout {
            self.wake(number, at.max(self.now + Duration::from_micros(1)));
        }
    }

    fn carry_out(&mut self, from: usize, effect: Effect) {
        match effect {
            Effect::Send { to, bytes } => {
                let Some(number) = self.listener(to) else { return };
                let at = self.network.stream(self.now, from, number, &mut self.rng);
                let bytes = Bytes::from(bytes);
                if let Some(at) = at {
                    let life = self.members[number - 1].life;
                    self.push(at, number, life, Delivery::Stream(from, bytes));
                } else {
                    self.tap.note(self.now, from, number, &bytes, false);
                }
            }
            Effect::Datagram { to, bytes } => {
                let Some(number) = self.listener(to) else { return };
                let source = self.members[from - 1].address;
                let life = self.members[number - 1].life;
                let bytes = Bytes::from(bytes);
                for at in self.network.datagram(self.now, from, number, &mut self.rng) {
                    self.push(at, number, life, Delivery::Datagram(source, bytes.clone()));
                }
            }
            Effect::Reply { connection, reply, .. } => {
                self.replies.insert(connection.0, reply);
            }
            // Nobody asks for one here; and a node does no more than hand it on.
            Effect::Backup { .. } => {}
            Effect::SetAside { why, join } => {
                self.asides.push((from, why));
                self.wipe(from);
                self.members[from - 1].join.extend(join);
                self.start(from);
            }
        }
    }

    fn listener(&self, address: SocketAddr) -> Option<usize> {
        self.members.iter().position(|member| member.address == address).map(|at| at + 1)
    }

    fn note(&mut self, number: usize, delivery: &Delivery) {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.now.0.to_le_bytes());
        bytes.extend_from_slice(&(number as u64).to_le_bytes());
        match delivery {
            Delivery::Stream(_, body) | Delivery::Datagram(_, body) => {
                bytes.extend_from_slice(body)
            }
            Delivery::Request(id, ..) => bytes.extend_from_slice(&id.to_le_bytes()),
            Delivery::Synced => bytes.push(1),
            Delivery::Wake => bytes.push(2),
            Delivery::Begin => bytes.push(3),
        }
        self.trace = xxh3_64_with_seed(&bytes, self.trace);
    }

    /// How far a node's disk has come.
    pub fn durable(&self, number: usize) -> u64 {
        self.members[number - 1].store.durable().0
    }
}

fn address(number: usize) -> SocketAddr {
    let port = u16::try_from(7600 + 10 * number).expect("a few thousand simulated nodes at most");
    SocketAddr::from(([127, 0, 0, 1], port))
}
