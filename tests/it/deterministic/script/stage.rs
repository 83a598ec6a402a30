//! A cluster on which a script is played.

use super::command::{Ask, Command, Hand, Shape, Verb};
use super::words::{self, Names};
use crate::schedules::kit;
use quorate::message::client::{BucketSpec, Inspect, Reply, Request};
use quorate::node::Timing;
use quorate::sim::{Cluster, Options, Pending};
use quorate::store::MemoryStore;
use quorate::time::Duration;
use quorate::version::OperationId;
use std::collections::{BTreeMap, BTreeSet};

/// A cluster, and what the script has named so far.
pub struct Stage {
    pub(super) cluster: Cluster,
    pub(super) names: Names,
    /// The keys of the script, with their owners and fallbacks.
    pub(super) keys: BTreeMap<String, (Vec<usize>, Vec<usize>)>,
    tokens: BTreeMap<String, String>,
    operations: BTreeMap<String, OperationId>,
    sequence: u64,
    copies: BTreeMap<usize, MemoryStore>,
    paused: BTreeSet<usize>,
    unanswered: Vec<Unanswered>,
    /// How many directories set aside were told of.
    asides: usize,
    tracing: bool,
}

/// A request for whose answer nobody waits.
struct Unanswered {
    pending: Pending,
    through: usize,
    ask: Ask,
    line: String,
}

impl Stage {
    /// A cluster that is up, with its bucket.
    pub fn set(shape: &Shape) -> Stage {
        // Stories are about owners that stay owners, however long they are away.
        let down_out_after = Duration::ZERO;
        let timing = Timing { sync: shape.sync, down_out_after, ..Timing::default() };
        let (nodes, seed) = (shape.nodes, shape.seed);
        let mut cluster = Cluster::new(Options { nodes, seed, timing, ..Options::default() });
        kit::formed(&mut cluster, nodes);
        let Shape { n, r, w, lww, .. } = *shape;
        let bucket = BucketSpec { n, r, w, lww, ..kit::spec("b") };
        assert_eq!(cluster.ask(1, Request::CreateBucket(bucket)), Some(Reply::Agreed));
        kit::everybody_knows(&mut cluster, nodes, 1);
        let mut stage = Stage {
            cluster,
            names: Names::default(),
            keys: BTreeMap::new(),
            tokens: BTreeMap::new(),
            operations: BTreeMap::new(),
            sequence: 0,
            copies: BTreeMap::new(),
            paused: BTreeSet::new(),
            unanswered: Vec::new(),
            asides: 0,
            tracing: false,
        };
        stage.remember_ids();
        stage
    }

    /// Plays one line; what there is to tell of it.
    pub fn play(&mut self, line: &str, command: &Command) -> Vec<String> {
        let begun = self.cluster.now();
        let mut outcome = self.perform(line, command);
        self.remember_ids();
        let mut told = Vec::new();
        for heard in self.cluster.heard() {
            let Some(message) = words::message(&heard.frame, &self.names) else { continue };
            let [from, to] = [heard.from, heard.to].map(|number| self.names.of(number));
            let arrow = if heard.arrived { "→" } else { "✗" };
            let millis = heard.at.since(begun).as_micros() as f64 / 1000.0;
            told.push(format!("    {millis:7.2} ms  {from} {arrow} {to}  {message}"));
        }
        told.append(&mut self.late_answers());
        for (number, _) in self.cluster.asides().iter().skip(self.asides) {
            told.push(format!("    {} sets its directory aside", self.names.of(*number)));
        }
        self.asides = self.cluster.asides().len();
        if matches!(command, Command::Wait(_)) {
            told.extend(self.unanswered.iter().map(|u| format!("    no answer yet: {}", u.line)));
        }
        // One line, where one will do.
        let first = match (told.is_empty(), outcome.len()) {
            (true, 1) => format!("{line} ⇒ {}", outcome.remove(0)),
            _ => line.to_owned(),
        };
        let sign = if matches!(command, Command::Ask(_)) { "⇒ " } else { "" };
        let rest = outcome.into_iter().map(|line| format!("    {sign}{line}"));
        std::iter::once(first).chain(told).chain(rest).collect()
    }

    fn perform(&mut self, line: &str, command: &Command) -> Vec<String> {
        match command {
            Command::Cluster(_) => panic!("one cluster is enough"),
            Command::Names(key) => return vec![self.give_names(key)],
            Command::Partition(groups) => {
                let groups: Vec<Vec<usize>> = groups.iter().map(|g| self.numbers(g)).collect();
                for (at, one) in groups.iter().enumerate() {
                    for other in &groups[at + 1..] {
                        self.cluster.network.partition(one, other);
                    }
                }
            }
            Command::Cut(from, to) => {
                for (from, to) in self.links(from, to) {
                    self.cluster.network.cut(from, to);
                }
            }
            Command::Heal => self.cluster.network.heal(),
            Command::Slow(nodes, by) => {
                for node in self.numbers(nodes) {
                    self.cluster.network.slow(node, *by);
                }
            }
            Command::SlowLink(from, to, by) => {
                for (from, to) in self.links(from, to) {
                    self.cluster.network.slow_stream(from, to, *by);
                }
            }
            Command::Each(hand, nodes) => {
                return self.numbers(nodes).into_iter().flat_map(|n| self.lay(*hand, n)).collect();
            }
            Command::Skew(node, by_ms) => {
                let node = self.number(node);
                self.cluster.skew(node, *by_ms);
            }
            Command::Rot(node, key) => {
                let node = self.number(node);
                kit::rot(&mut self.cluster, node, key);
            }
            Command::Wait(time) => self.cluster.run_for(*time),
            Command::Settle => return self.settle(),
            Command::Misses(by, gone) => {
                let (by, gone) = (self.number(by), self.numbers(gone));
                kit::notices(&mut self.cluster, by, &gone);
            }
            Command::Sees(by, others) => {
                let (by, others) = (self.number(by), self.numbers(others));
                kit::until(&mut self.cluster, "they are seen", |c| {
                    others.iter().all(|other| kit::sees_alive(c, by, *other))
                });
            }
            Command::Show(key) => return self.show(key),
            Command::Trace(on) => {
                self.tracing = *on;
                self.cluster.tap(*on);
            }
            Command::Ask(ask) => return self.ask(line, ask),
        }
        Vec::new()
    }

    /// A, B and C own the key, D and E stand in.
    fn give_names(&mut self, key: &str) -> String {
        let (owners, fallbacks) = self.locate(key);
        let letters = ('A'..='Z').map(String::from);
        self.names.letters = owners.iter().chain(&fallbacks).copied().zip(letters).collect();
        let list = |numbers: &[usize]| {
            let names: Vec<String> = numbers.iter().map(|n| self.names.of(*n)).collect();
            names.join(" ")
        };
        let told = match fallbacks.is_empty() {
            true => format!("{} own it", list(&owners)),
            false => format!("{} own it, {} stand in", list(&owners), list(&fallbacks)),
        };
        self.keys.insert(key.into(), (owners, fallbacks));
        told
    }

    fn lay(&mut self, hand: Hand, node: usize) -> Vec<String> {
        let c = &mut self.cluster;
        let mut told = Vec::new();
        match hand {
            Hand::Kill => c.kill(node),
            Hand::Start => {
                c.start(node);
                c.run_for(Duration::from_millis(1));
            }
            Hand::Stop if c.stop(node) => {}
            Hand::Stop => told.push(format!("{} does not come to its end", self.names.of(node))),
            Hand::Wipe => c.wipe(node),
            Hand::Backup => {
                self.copies.insert(node, c.disk(node).copy());
            }
            Hand::Restore => {
                let copy = self.copies.get(&node).expect("a backup was made");
                c.restore(node, copy.copy());
            }
            Hand::Pause => {
                c.pause(node);
                self.paused.insert(node);
            }
            Hand::Resume => {
                c.resume(node);
                self.paused.remove(&node);
            }
            Hand::Hold => c.hold_syncs(node, true),
            Hand::Let => c.hold_syncs(node, false),
            Hand::Full => c.disk(node).set_full(true),
            Hand::Room => c.disk(node).set_full(false),
        }
        if self.cluster.node(node).is_none() {
            self.paused.remove(&node);
            for one in self.unanswered.extract_if(.., |one| one.through == node) {
                told.push(format!("never answered: {}", one.line));
            }
        }
        told
    }

    fn ask(&mut self, line: &str, ask: &Ask) -> Vec<String> {
        let through = self.number(&ask.through);
        self.places(&ask.key);
        let request = self.request(ask);
        let millis = u32::try_from(ask.within.as_millis()).expect("a client's patience");
        let begun = self.cluster.now();
        let pending = self.cluster.send_within(through, millis, request);
        if ask.unawaited {
            let line = line.trim_end_matches(['&', ' ']).to_owned();
            self.unanswered.push(Unanswered { pending, through, ask: ask.clone(), line });
            return Vec::new();
        }
        self.cluster.run_until(Duration::from_secs(20), |c| c.answered(pending));
        let Some(reply) = self.cluster.answer(pending) else { return vec!["no answer".into()] };
        let mut told = self.keep(ask, through, &reply);
        // Tenths of a second: what a person would notice, and no jitter.
        let tenths = self.cluster.now().since(begun).as_millis() / 100;
        if tenths > 0 {
            told += &format!(", after {}.{} s", tenths / 10, tenths % 10);
        }
        vec![told]
    }

    fn request(&mut self, ask: &Ask) -> Request {
        let value = match &ask.verb {
            Verb::Get => return kit::get(&ask.key, ask.quorum),
            Verb::Put(value) => Some(value.as_str()),
            Verb::Delete => None,
        };
        let context = ask.context.as_ref().map_or("", |name| {
            self.tokens.get(name).unwrap_or_else(|| panic!("there is no token {name}"))
        });
        self.sequence += 1;
        let fresh = OperationId { session: 7, sequence: self.sequence };
        let operation = match &ask.operation {
            Some(name) => *self.operations.entry(name.clone()).or_insert(fresh),
            None => fresh,
        };
        let mut put = kit::put_as(&ask.key, value, context, operation, ask.quorum);
        if operation != fresh {
            put.tried(quorate::time::HybridTime::default());
        }
        put
    }

    /// Keeps the token of an answer, and puts the answer in words.
    fn keep(&mut self, ask: &Ask, through: usize, reply: &Reply) -> String {
        if let (Some(name), Reply::Got { context, .. } | Reply::Written { context, .. }) =
            (&ask.keep, reply)
        {
            self.tokens.insert(name.clone(), context.clone());
        }
        words::reply(reply, through, &ask.key, &self.names)
    }

    fn late_answers(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for one in std::mem::take(&mut self.unanswered) {
            match self.cluster.answer(one.pending) {
                None => self.unanswered.push(one),
                Some(reply) => {
                    let answer = self.keep(&one.ask, one.through, &reply);
                    told.push(format!("    {} ⇒ {answer}", one.line));
                }
            }
        }
        told
    }

    /// The owners and fallbacks of a key.
    pub(super) fn places(&mut self, key: &str) -> (Vec<usize>, Vec<usize>) {
        if !self.keys.contains_key(key) {
            let found = self.locate(key);
            self.keys.insert(key.into(), found);
        }
        self.keys[key].clone()
    }

    /// Nobody listens meanwhile: the nodes ask each other on behalf of the test, not of the script.
    fn locate(&mut self, key: &str) -> (Vec<usize>, Vec<usize>) {
        self.cluster.tap(false);
        let found = kit::places(&mut self.cluster, key);
        self.cluster.tap(self.tracing);
        found
    }

    /// Whether the node runs and answers.
    pub(super) fn is_up(&self, number: usize) -> bool {
        self.cluster.node(number).is_some() && !self.paused.contains(&number)
    }

    /// What a node says of itself.
    pub(super) fn inspect(&mut self, number: usize, what: Inspect) -> serde_json::Value {
        kit::inspect(&mut self.cluster, number, what)
    }

    fn remember_ids(&mut self) {
        for number in 1..=self.cluster.size() {
            if let Some(node) = self.cluster.node(number) {
                self.names.ids.insert(node.id(), number);
            }
        }
    }

    fn number(&self, name: &str) -> usize {
        let number = self.names.number(name).filter(|n| (1..=self.cluster.size()).contains(n));
        number.unwrap_or_else(|| panic!("there is no node {name}"))
    }

    fn numbers(&self, names: &[String]) -> Vec<usize> {
        names.iter().map(|name| self.number(name)).collect()
    }

    fn links(&self, from: &[String], to: &[String]) -> Vec<(usize, usize)> {
        let to = self.numbers(to);
        let from = self.numbers(from);
        from.iter().flat_map(|from| to.iter().map(|to| (*from, *to))).collect()
    }
}
