//! What the clients of a simulated cluster do: few keys that everybody wants, many that few want, contexts
//! fresh, stale and absent, deletes, every level of consistency, and retries through somebody else.

use super::oracle::{Promise, Rule, Sent, Shown, Value};
use crate::message::client::{BucketSpec, Inspect, Item, Request};
use crate::quorum::{Consistency, QuorumRequest};
use crate::time::{Duration, HybridTime, Instant};
use crate::version::OperationId;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// The bucket that keeps siblings, and the one that does not.
pub(super) const BUCKETS: [(&str, bool); 2] = [("siblings", false), ("lww", true)];
/// Keys that everybody wants.
pub(super) const HOT: usize = 16;
/// All keys.
pub(super) const KEYS: usize = 48;
/// How many clients hold tokens.
const CLIENTS: usize = 6;
/// Of a hundred requests so many are for hot keys.
const HOT_SHARE: u32 = 60;
/// For so many requests everybody wants one key.
const FOCUS_REQUESTS: u32 = 32;
/// How long nobody wants it especially after that.
const CALM: Duration = Duration::from_secs(10);
/// After so many other writes of its key a write is not tried again.
const RETRY_WITHIN: u64 = 16;
/// And so many for the one that everybody wants, if there is one.
const FOCUS_SHARE: u32 = 70;
/// How many writes of unknown outcome are remembered for a retry.
const UNKNOWN: usize = 64;

/// A token, and what its holder was shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Token {
    pub text: String,
    pub shown: Shown,
}

/// A write, ready to be sent, once or again.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub key: usize,
    pub client: usize,
    pub sent: Sent,
    token: String,
    operation: OperationId,
    quorum: QuorumRequest,
    retry: bool,
    /// Which write of its key it is.
    number: u64,
}

/// A read, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub key: usize,
    pub client: usize,
    quorum: QuorumRequest,
}

/// What a client does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Read(Read),
    Write(Write),
}

/// The clients.
pub(super) struct Workload {
    tokens: BTreeMap<(usize, usize), Token>,
    unknown: Vec<Write>,
    values: Value,
    operations: u64,
    through: BTreeMap<usize, BTreeSet<usize>>,
    hot: BTreeMap<usize, u64>,
    focus: Option<(usize, u32)>,
    /// How many writes each key was sent, and when everybody last wanted it.
    writes: BTreeMap<usize, u64>,
    wanted: BTreeMap<usize, (u32, Instant)>,
}

/// The bucket and the rule of a key: every fourth is of the last writer.
pub(super) fn bucket(key: usize) -> (&'static str, Rule) {
    match key.is_multiple_of(4) {
        true => (BUCKETS[1].0, Rule::LastWriterWins),
        false => (BUCKETS[0].0, Rule::Siblings),
    }
}

/// The requests that create the buckets.
pub(super) fn create_buckets() -> impl Iterator<Item = Request> {
    BUCKETS.into_iter().map(|(name, lww)| {
        Request::CreateBucket(BucketSpec { name: name.into(), lww, ..BucketSpec::default() })
    })
}

fn item(key: usize) -> Item {
    Item { bucket: bucket(key).0.into(), key: format!("k{key}").into(), sort: Bytes::new() }
}

/// A value's bytes, and back.
pub(super) fn text(value: Value) -> Bytes {
    format!("v{value}").into()
}

/// The value that these bytes are; none: they are none of ours.
pub(super) fn value(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok()?.strip_prefix('v')?.parse().ok()
}

impl Read {
    pub fn strict(&self) -> bool {
        self.quorum.strict
    }

    /// How many slots must have spoken.
    pub fn required(&self) -> usize {
        required(self.quorum)
    }

    pub fn request(&self) -> Request {
        Request::Get { item: item(self.key), quorum: self.quorum }
    }

    pub fn describe(&self) -> String {
        format!("get k{} {}", self.key, level(self.quorum))
    }
}

impl Write {
    pub fn promise(&self) -> Promise {
        let weak = matches!(self.quorum.consistency, Some(Consistency::One | Consistency::Any));
        let strict = self.quorum.strict || self.quorum.consistency == Some(Consistency::All);
        Promise { durable: !weak, strict: strict && !weak }
    }

    /// How many slots must hold it.
    pub fn required(&self) -> usize {
        required(self.quorum)
    }

    pub fn request(&self) -> Request {
        Request::Put {
            item: item(self.key),
            quorum: self.quorum,
            value: self.sent.value.map(text),
            context: self.token.clone(),
            operation: self.operation,
            expires_at: None,
            tried_since: self.retry.then(HybridTime::default),
        }
    }

    pub fn describe(&self) -> String {
        let shown: Vec<String> = self.sent.shown.iter().map(|v| format!("v{v}")).collect();
        let what = self.sent.value.map_or("delete".into(), |value| format!("put v{value}"));
        format!("{what} to k{} over [{}] {}", self.key, shown.join(" "), level(self.quorum))
    }
}

fn level(quorum: QuorumRequest) -> String {
    let name = quorum.consistency.map_or("default", Consistency::name);
    if quorum.strict { format!("at {name}, strict") } else { format!("at {name}") }
}

impl Workload {
    pub fn new() -> Workload {
        Workload {
            tokens: BTreeMap::new(),
            unknown: Vec::new(),
            values: 0,
            operations: 0,
            through: BTreeMap::new(),
            hot: BTreeMap::new(),
            focus: None,
            writes: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// Everybody wants this key, for some requests. Not the same again within a while: a key remembers only so
    /// many overwritten operations, and a retry must find its own among them.
    pub fn focus(&mut self, key: usize, now: Instant) {
        if self.wanted.get(&key).is_none_or(|(_, last)| now.since(*last) > CALM) {
            self.wanted.insert(key, (0, now));
        }
        let left = self.wanted.get(&key).map_or(0, |(had, _)| FOCUS_REQUESTS.saturating_sub(*had));
        // Some are left for the second time, when somebody is back.
        self.focus = (left > 0).then_some((key, left.div_ceil(2)));
    }

    /// The key that everybody wants.
    pub fn focused(&self) -> Option<usize> {
        self.focus.map(|(key, _)| key)
    }

    /// How long until the next request: often none at all, so that several meet in one turn.
    pub fn pause(&self, rng: &mut fastrand::Rng) -> Duration {
        if self.focus.is_some() {
            return Duration::from_micros(rng.u64(0..40_000));
        }
        Duration::from_micros(match rng.u32(0..10) {
            0..4 => rng.u64(0..400),
            4..9 => rng.u64(0..250_000),
            _ => rng.u64(0..1_000_000),
        })
    }

    /// The next request, which goes through `node`.
    pub fn next(&mut self, node: usize, losses: u32, rng: &mut fastrand::Rng) -> Step {
        let step = self.choose(losses, rng);
        let key = match &step {
            Step::Read(read) => read.key,
            Step::Write(write) => write.key,
        };
        if key < HOT {
            self.through.entry(key).or_default().insert(node);
            *self.hot.entry(key).or_default() += 1;
        }
        step
    }

    fn choose(&mut self, losses: u32, rng: &mut fastrand::Rng) -> Step {
        if !self.unknown.is_empty() && rng.u32(0..12) == 0 {
            let write = self.unknown.swap_remove(rng.usize(..self.unknown.len()));
            let since = self.writes.get(&write.key).copied().unwrap_or(0) - write.number;
            if since <= RETRY_WITHIN {
                return Step::Write(Write { retry: true, ..write });
            }
        }
        let key = match (self.focus, rng.u32(0..100)) {
            (Some((key, left)), 0..FOCUS_SHARE) => {
                self.focus = (left > 1).then_some((key, left - 1));
                if let Some((had, _)) = self.wanted.get_mut(&key) {
                    *had += 1;
                }
                key
            }
            (_, 0..HOT_SHARE) => rng.usize(..HOT),
            _ => rng.usize(HOT..KEYS),
        };
        let client = rng.usize(..CLIENTS);
        if rng.u32(0..100) < 40 {
            let quorum = match rng.u32(0..10) {
                0..5 => quorum(Consistency::Quorum, true),
                5..9 => quorum(Consistency::Quorum, false),
                _ => quorum(Consistency::One, false),
            };
            return Step::Read(Read { key, client, quorum });
        }
        let quorum = match rng.u32(0..20) {
            0..10 => quorum(Consistency::Quorum, false),
            10..16 => quorum(Consistency::Quorum, true),
            16 => quorum(Consistency::One, false),
            17 => quorum(Consistency::Any, false),
            18 => quorum(Consistency::Two, false),
            _ => quorum(Consistency::All, false),
        };
        let token = match rng.u32(0..5) {
            0 => Token::default(),
            _ => self.tokens.get(&(key, client)).cloned().unwrap_or_default(),
        };
        self.values += 1;
        self.operations += 1;
        let value = (rng.u32(0..5) > 0).then_some(self.values);
        let operation = OperationId { session: 1 + client as u64, sequence: self.operations };
        let sent = Sent { value, shown: token.shown, losses };
        let number = self.writes.entry(key).or_default();
        *number += 1;
        let number = *number;
        let token = token.text;
        Step::Write(Write { key, client, sent, token, operation, quorum, retry: false, number })
    }

    /// A read was answered.
    pub fn read(&mut self, read: &Read, values: &[Value], context: String) {
        let shown = values.iter().copied().collect();
        self.tokens.insert((read.key, read.client), Token { text: context, shown });
    }

    /// A write was acknowledged.
    pub fn written(&mut self, write: Write, context: String) {
        let mut shown = write.sent.shown;
        shown.extend(write.sent.value);
        self.tokens.insert((write.key, write.client), Token { text: context, shown });
    }

    /// Nobody knows what became of a write: somebody may try it again.
    pub fn unknown(&mut self, write: Write) {
        if self.unknown.len() < UNKNOWN {
            self.unknown.push(write);
        }
    }

    /// Requests for hot keys that were asked for through three nodes or more.
    pub fn met(&self) -> u64 {
        let met = |key: &usize| self.through.get(key).is_some_and(|nodes| nodes.len() >= 3);
        self.hot.iter().filter(|(key, _)| met(key)).map(|(_, count)| count).sum()
    }
}

fn quorum(consistency: Consistency, strict: bool) -> QuorumRequest {
    QuorumRequest { consistency: Some(consistency), count: None, strict }
}

/// A read of what every replica holds.
pub(super) fn read_all(key: usize) -> Request {
    Request::Get { item: item(key), quorum: quorum(Consistency::All, false) }
}

/// A look at where a key lives.
pub(super) fn locate(key: usize) -> Inspect {
    Inspect::Locate(item(key))
}

/// How many of three slots a level needs.
fn required(quorum: QuorumRequest) -> usize {
    match quorum.consistency {
        Some(Consistency::Any | Consistency::One) => 1,
        Some(Consistency::Three | Consistency::All) => 3,
        _ => 2,
    }
}
