//! Schedules nobody thought of: random requests through random nodes, while nodes die, hang, are cut off and
//! one at a time lose their disks, or get an old copy of them. Then everything heals, and the books are compared.
//!
//! ```text
//! half of all requests   the hot key, many of them blind, several at one moment through one node
//! stumble                some owners' disks stand still ─► requests through them ─► kill -9 before the sync
//!                        ─► start ─► the next write goes on from what they have
//! ```
//!
//! The oracle knows no vectors: it remembers which values each token's reader had been shown. A value that was
//! acknowledged, or shown to a reader, may only be missing if somebody wrote with a token that had shown it; and
//! one that an acknowledged write replaced must never be seen again.

mod book;
mod faults;

use super::kit::*;
use book::{Book, Token, Write};
use fastrand::Rng;
use quorate::message::client::{Reply, Request};
use quorate::quorum::Consistency;
use quorate::sim::{Cluster, Options, Pending};
use quorate::store::MemoryStore;
use quorate::time::Duration;
use quorate::version::COVERED_CAP;
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 5;
const KEYS: usize = 3;
const CLIENTS: usize = 3;
const STEPS: usize = 70;
/// A write is offered again within so many others: a key remembers only so many that were overwritten.
const RETRIED_WITHIN: usize = COVERED_CAP / 2;

#[derive(Clone, Debug)]
enum Asked {
    Read { key: usize, client: usize, strict: bool, lost: usize, must_show: BTreeSet<String> },
    Write(Write),
}

struct Run {
    seed: u64,
    c: Cluster,
    rng: Rng,
    tokens: BTreeMap<(usize, usize), Token>,
    open: Vec<(Pending, Asked)>,
    lost: Vec<Write>,
    books: Vec<Book>,
    down: BTreeSet<usize>,
    paused: BTreeSet<usize>,
    wiped: bool,
    disks_lost: usize,
    copies: BTreeMap<usize, MemoryStore>,
    owners: Vec<Vec<usize>>,
    values: usize,
    log: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let timing = quorate::node::Timing { sync: Duration::from_secs(3), ..Default::default() };
        let mut c = Cluster::new(Options { nodes: NODES, seed, timing, ..Options::default() });
        formed(&mut c, NODES);
        assert_eq!(c.ask(1, Request::CreateBucket(spec("b"))), Some(Reply::BucketReady));
        everybody_knows(&mut c, NODES, 1);
        let owners = (0..KEYS).map(|key| places(&mut c, &format!("k{key}")).0).collect();
        Run {
            seed,
            c,
            rng: Rng::with_seed(seed),
            tokens: BTreeMap::new(),
            open: Vec::new(),
            lost: Vec::new(),
            books: (0..KEYS).map(|_| Book::default()).collect(),
            down: BTreeSet::new(),
            paused: BTreeSet::new(),
            wiped: false,
            disks_lost: 0,
            copies: BTreeMap::new(),
            owners,
            values: 0,
            log: Vec::new(),
        }
    }

    fn note(&mut self, what: String) {
        let at = self.c.now().0 / 1000;
        self.log.push(format!("{at} ms: {what}"));
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..58 => self.requests(),
            58..68 => self.stumble(),
            68..71 => self.rest(),
            71..78 => self.kill(),
            78..86 => self.start(),
            86..90 => self.partition(),
            90..94 => {
                self.note("heal".into());
                self.c.network.heal();
            }
            94 => self.pause(),
            95..97 => self.resume(),
            _ => self.wipe(),
        }
        let wait = match self.rng.u32(0..10) {
            0..6 => self.rng.u64(0..2_000),
            6..9 => self.rng.u64(0..100_000),
            _ => self.rng.u64(0..4_000_000),
        };
        self.c.run_for(Duration::from_micros(wait));
        self.listen();
    }

    fn up(&mut self) -> Option<usize> {
        let up: Vec<usize> = (1..=NODES).filter(|node| self.is_up(*node)).collect();
        self.rng.choice(up)
    }

    fn is_up(&self, node: usize) -> bool {
        !self.down.contains(&node) && !self.paused.contains(&node)
    }

    /// Half of them for one key.
    fn key(&mut self) -> usize {
        if self.rng.bool() { 0 } else { self.rng.usize(0..KEYS) }
    }

    /// One, or several that meet in one turn of a node.
    fn requests(&mut self) {
        let Some(through) = self.up() else { return };
        let key = self.key();
        let several = if self.rng.u32(0..4) == 0 { 3 } else { 1 };
        (0..several).for_each(|_| self.request(through, key));
    }

    fn request(&mut self, through: usize, key: usize) {
        let client = self.rng.usize(0..CLIENTS);
        if self.rng.u32(0..10) == 0
            && let Some(write) = self.lost.pop()
            && self.books[write.key].writes - write.after < RETRIED_WITHIN
        {
            return self.write(through, write);
        }
        let quorum = if self.rng.bool() { strict() } else { level(Consistency::Quorum) };
        if self.rng.u32(0..10) < 4 {
            let must_show = match quorum.strict {
                true => self.books[key].must_show(),
                false => BTreeSet::new(),
            };
            self.note(format!("n{through}: get k{key} strict={}", quorum.strict));
            let pending = self.c.send_within(through, 3_000, get(&format!("k{key}"), quorum));
            let strict = quorum.strict;
            let lost = self.disks_lost;
            self.open.push((pending, Asked::Read { key, client, strict, lost, must_show }));
            return;
        }
        let token = match self.rng.u32(0..5) {
            0 | 1 => Token::default(),
            _ => self.tokens.get(&(key, client)).cloned().unwrap_or_default(),
        };
        self.values += 1;
        let value = (self.rng.u32(0..4) > 0).then(|| format!("v{}", self.values));
        let (operation, after) = (operation(), self.books[key].writes);
        self.write(through, Write { key, client, value, token, operation, quorum, after });
    }

    fn write(&mut self, through: usize, write: Write) {
        self.books[write.key].sent(&write);
        let shown = &write.token.shown;
        self.note(format!(
            "n{through}: put k{} {:?} after {shown:?} as {} strict={}",
            write.key, write.value, write.operation.sequence, write.quorum.strict
        ));
        let request = put_as(
            &format!("k{}", write.key),
            write.value.as_deref(),
            &write.token.text,
            write.operation,
            write.quorum,
        );
        let pending = self.c.send_within(through, 3_000, request);
        self.open.push((pending, Asked::Write(write)));
    }

    fn listen(&mut self) {
        for (pending, asked) in std::mem::take(&mut self.open) {
            if !self.c.answered(pending) {
                self.open.push((pending, asked));
                continue;
            }
            let reply = self.c.answer(pending);
            match (asked, reply) {
                (
                    Asked::Read { key, client, strict, lost, must_show },
                    reply @ Some(Reply::Got { .. }),
                ) => {
                    let (values, text) = got(reply);
                    self.note(format!("k{key} is {values:?}"));
                    let shown: BTreeSet<String> = values.into_iter().collect();
                    let lasting = lost == self.disks_lost;
                    let fine = self.books[key].read(&shown, &must_show, strict, lasting);
                    fine.unwrap_or_else(|why| panic!("{}k{key}: {why}", self.story()));
                    self.tokens.insert((key, client), Token { text, shown });
                }
                (Asked::Write(write), Some(Reply::Written { context, .. })) => {
                    self.note(format!("acked {}", write.operation.sequence));
                    self.books[write.key].acked(&write);
                    let mut shown = write.token.shown;
                    shown.extend(write.value);
                    self.tokens.insert((write.key, write.client), Token { text: context, shown });
                }
                (Asked::Write(write), _) => self.lost.push(write),
                (Asked::Read { .. }, _) => {}
            }
        }
    }

    fn heal(&mut self) {
        self.note("everything heals".into());
        self.c.network.heal();
        while !self.paused.is_empty() {
            self.resume();
        }
        while !self.down.is_empty() {
            self.start();
        }
        let mut tries = 0;
        while !self.is_calm() {
            tries += 1;
            assert!(tries < 900, "{}it never comes to rest", self.story());
            millis(&mut self.c, 200);
        }
        self.wiped = false;
        self.listen();
    }

    fn is_calm(&mut self) -> bool {
        for number in 1..=NODES {
            let status = inspect(&mut self.c, number, quorate::message::client::Inspect::Status);
            if status["ready"] != true || status["nodes"]["alive"] != NODES {
                return false;
            }
            if status["hints_pending"] != 0 {
                return false;
            }
        }
        (0..KEYS).all(|key| {
            let key = format!("k{key}");
            let (owners, fallbacks) = places(&mut self.c, &key);
            let first = local(&mut self.c, owners[0], &key);
            owners.iter().all(|owner| local(&mut self.c, *owner, &key) == first)
                && fallbacks.iter().all(|node| local(&mut self.c, *node, &key).is_empty())
        })
    }

    fn compare(&mut self) {
        for key in 0..KEYS {
            let read =
                self.c.ask(1 + key % NODES, get(&format!("k{key}"), level(Consistency::All)));
            let (values, _) = got(read);
            let values: BTreeSet<String> = values.into_iter().collect();
            let fine = self.books[key].compare(&values);
            fine.unwrap_or_else(|why| panic!("{}k{key}: {why}", self.story()));
        }
    }

    fn story(&self) -> String {
        format!("seed {}:\n{}\n", self.seed, self.log.join("\n"))
    }
}

fn run(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.heal();
        run.compare();
        for _ in 0..STEPS / 2 {
            run.step();
        }
        run.heal();
        run.compare();
    }
}

#[test]
fn random_schedules_lose_and_resurrect_nothing_1() {
    run(0..55);
}

#[test]
fn random_schedules_lose_and_resurrect_nothing_2() {
    run(55..110);
}
