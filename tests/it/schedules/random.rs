//! Schedules nobody thought of: random requests through random nodes, while nodes die, hang, are cut off and
//! one at a time lose their disks. Then everything heals, and the books are compared.
//!
//! The oracle knows no vectors: it remembers which values each token's reader had been shown. A value that was
//! acknowledged may only be missing if somebody wrote with a token that had shown it; and one that an
//! acknowledged write replaced must never be seen again.

use super::kit::*;
use fastrand::Rng;
use quorate::message::client::{Reply, Request};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::{Cluster, Options, Pending};
use quorate::time::Duration;
use quorate::version::OperationId;
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 5;
const KEYS: usize = 3;
const CLIENTS: usize = 3;
const STEPS: usize = 70;

/// A token, and what its holder was shown.
#[derive(Clone, Debug, Default)]
struct Token {
    text: String,
    shown: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Asked {
    Read { key: usize, client: usize, must_show: BTreeSet<String> },
    Write(Write),
}

#[derive(Clone, Debug)]
struct Write {
    key: usize,
    client: usize,
    value: Option<String>,
    token: Token,
    operation: OperationId,
    quorum: QuorumRequest,
}

#[derive(Default)]
struct Book {
    /// Every value that was ever sent.
    sent: BTreeSet<String>,
    /// Values whose write was acknowledged.
    acked: BTreeSet<String>,
    /// Values acknowledged under `strict`.
    strict: BTreeSet<String>,
    /// Values that some write, acknowledged or not, had been shown.
    maybe_replaced: BTreeSet<String>,
    /// Values that an acknowledged write had been shown.
    replaced: BTreeSet<String>,
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
            0..70 => self.request(),
            70..78 => self.kill(),
            78..86 => self.start(),
            86..90 => self.partition(),
            90..94 => {
                self.note("heal".into());
                self.c.network.heal();
            }
            94..96 => self.pause(),
            96..98 => self.resume(),
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
        let up: Vec<usize> =
            (1..=NODES).filter(|n| !self.down.contains(n) && !self.paused.contains(n)).collect();
        self.rng.choice(up)
    }

    fn request(&mut self) {
        let Some(through) = self.up() else { return };
        let (key, client) = (self.rng.usize(0..KEYS), self.rng.usize(0..CLIENTS));
        if self.rng.u32(0..10) == 0
            && let Some(write) = self.lost.pop()
        {
            return self.write(through, write);
        }
        let quorum = if self.rng.bool() { strict() } else { level(Consistency::Quorum) };
        if self.rng.u32(0..10) < 4 {
            let book = &self.books[key];
            let must_show = match quorum.strict {
                true => book.strict.difference(&book.maybe_replaced).cloned().collect(),
                false => BTreeSet::new(),
            };
            self.note(format!("n{through}: get k{key} strict={}", quorum.strict));
            let pending = self.c.send_within(through, 3_000, get(&format!("k{key}"), quorum));
            self.open.push((pending, Asked::Read { key, client, must_show }));
            return;
        }
        let token = match self.rng.u32(0..5) {
            0 => Token::default(),
            _ => self.tokens.get(&(key, client)).cloned().unwrap_or_default(),
        };
        self.values += 1;
        let value = (self.rng.u32(0..4) > 0).then(|| format!("v{}", self.values));
        let operation = operation();
        self.write(through, Write { key, client, value, token, operation, quorum });
    }

    fn write(&mut self, through: usize, write: Write) {
        let book = &mut self.books[write.key];
        book.sent.extend(write.value.clone());
        book.maybe_replaced.extend(write.token.shown.iter().cloned());
        let shown = &write.token.shown;
        self.note(format!(
            "n{through}: put k{} {:?} after {shown:?} as {} strict={}",
            write.key, write.value, write.operation.sequence, write.quorum.strict
        ));
        let write = write.clone();
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
                (Asked::Read { key, client, must_show }, reply @ Some(Reply::Got { .. })) => {
                    let (values, text) = got(reply);
                    self.note(format!("k{key} is {values:?}"));
                    let book = &self.books[key];
                    for value in must_show {
                        let fine = values.contains(&value) || book.maybe_replaced.contains(&value);
                        assert!(fine, "{}a strict read of k{key} misses {value}", self.story());
                    }
                    for value in &values {
                        assert!(book.sent.contains(value), "{}", self.story());
                    }
                    let shown = values.into_iter().collect();
                    self.tokens.insert((key, client), Token { text, shown });
                }
                (Asked::Write(write), Some(Reply::Written { context, .. })) => {
                    self.note(format!("acked {}", write.operation.sequence));
                    let book = &mut self.books[write.key];
                    book.acked.extend(write.value.clone());
                    if write.quorum.strict {
                        book.strict.extend(write.value.clone());
                    }
                    book.replaced.extend(write.token.shown.iter().cloned());
                    let mut shown = write.token.shown;
                    shown.extend(write.value);
                    self.tokens.insert((write.key, write.client), Token { text: context, shown });
                }
                (Asked::Write(write), _) => self.lost.push(write),
                (Asked::Read { .. }, _) => {}
            }
        }
    }

    fn kill(&mut self) {
        if self.down.len() < 3
            && let Some(node) = self.up()
        {
            self.note(format!("kill n{node}"));
            self.c.kill(node);
            self.down.insert(node);
        }
    }

    fn start(&mut self) {
        if let Some(node) = self.down.pop_first() {
            self.note(format!("start n{node}"));
            self.c.start(node);
        }
    }

    fn partition(&mut self) {
        let mut nodes: Vec<usize> = (1..=NODES).collect();
        self.rng.shuffle(&mut nodes);
        let (one, other) = nodes.split_at(self.rng.usize(1..=2));
        self.log.push(format!("partition {one:?} | {other:?}"));
        match self.rng.bool() {
            true => self.c.network.partition(one, other),
            false => self.c.network.cut(one[0], other[0]),
        }
    }

    fn pause(&mut self) {
        if self.paused.is_empty()
            && let Some(node) = self.up()
        {
            self.note(format!("pause n{node}"));
            self.c.pause(node);
            self.paused.insert(node);
        }
    }

    fn resume(&mut self) {
        if let Some(node) = self.paused.pop_first() {
            self.note(format!("resume n{node}"));
            self.c.resume(node);
        }
    }

    /// One disk is lost; the next only after everything has healed.
    fn wipe(&mut self) {
        if !self.wiped
            && let Some(node) = self.up()
        {
            self.note(format!("wipe n{node}"));
            self.wiped = true;
            self.c.wipe(node);
            self.c.start(node);
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
            let story = self.story();
            let book = &self.books[key];
            for value in book.acked.difference(&book.maybe_replaced) {
                assert!(values.contains(value), "{story}k{key} lost {value}: {values:?}");
            }
            for value in &values {
                assert!(book.sent.contains(value), "{story}k{key} has {value} of nobody");
                assert!(!book.replaced.contains(value), "{story}k{key}: {value} is back");
            }
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
    run(0..100);
}

#[test]
fn random_schedules_lose_and_resurrect_nothing_2() {
    run(100..200);
}
