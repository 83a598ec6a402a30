//! Who answers late: asked after the other owners, until it answers in time again.
//!
//! ```text
//!   prompt  ── three hedges in a row overtook it ──────► laggard: asked last, but for a probe now and then
//!   laggard ── three answers in a row were in time ────► prompt
//! ```
//!
//! A breaker (`peers.rs`) is for who does not answer at all; this is for who does, and too late: a full queue, a
//! busy disk, a long way. The names of the field: Cassandra's dynamic snitch, and the latency-induced probation
//! of Dean and Barroso ("The Tail at Scale", 2013).
//!
//! Of each peer one question at a time is watched, whatever becomes of the request that asked it: else only those
//! answers would be measured that came before the request was over, and nobody would ever be late.

use super::latency::Latency;
use crate::id::NodeId;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// No answer is late before that: the clocks and the turns of a busy machine are not finer.
pub(super) const LATE_MIN: Duration = Duration::from_millis(1);
/// As long as nothing is known of anybody, what takes longer than that is late.
const LATE_UNKNOWN: Duration = Duration::from_millis(25);
/// An answer is late at this part of an attempt at the latest.
pub(super) const LATE_MAX_PART: u32 = 2;
/// So many times of the same kind make a habit.
const IN_A_ROW: u8 = 3;
/// As long as the best of the others take, times this, is in time.
const TOLERANCE: u32 = 2;
/// A laggard is probed that often at most, if there are reads of what it owns: a digest that nobody waits for.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// What was seen of one peer's answers.
#[derive(Clone, Debug, Default)]
struct Answers {
    latency: Latency,
    /// A question that is open: whose, and since when.
    watched: Option<(u64, Instant)>,
    lags: bool,
    /// How often in a row it did what would make it change sides.
    in_a_row: u8,
    probed: Option<Instant>,
}

/// See the module's picture. One entry for each member that was ever asked.
#[derive(Debug, Default)]
pub(super) struct Laggards {
    peers: BTreeMap<NodeId, Answers>,
    /// How many lag.
    lagging: usize,
}

impl Laggards {
    /// `node` is asked by this request. What stays unanswered for an attempt took that long.
    pub fn asked(&mut self, node: NodeId, request: u64, now: Instant, attempt: Duration) {
        match self.peers.entry(node).or_default().watched {
            None => {}
            Some((_, at)) if at + attempt <= now => self.took(node, attempt),
            Some(_) => return,
        }
        self.peers.entry(node).or_default().watched = Some((request, now));
    }

    /// `node` answered this request; after so long, if that is the question that was watched.
    pub fn answered(&mut self, node: NodeId, request: u64, now: Instant) -> Option<Duration> {
        let answers = self.peers.get_mut(&node)?;
        let (_, at) = answers.watched.take_if(|(watched, _)| *watched == request)?;
        let took = now.since(at);
        self.took(node, took);
        Some(took)
    }

    fn took(&mut self, node: NodeId, took: Duration) {
        let answers = self.peers.entry(node).or_default();
        answers.latency.observe(took);
        if !answers.lags && answers.in_a_row == 0 {
            return;
        }
        let in_time = self.is_in_time(node, took);
        let answers = self.peers.entry(node).or_default();
        match (answers.lags, in_time) {
            // Only being overtaken makes a laggard: some answers are late by nature.
            (false, false) => {}
            (false, true) | (true, false) => answers.in_a_row = 0,
            (true, true) => answers.in_a_row += 1,
        }
        if answers.lags && answers.in_a_row == IN_A_ROW {
            // What it was like before says nothing.
            *answers = Answers::default();
            self.lagging -= 1;
        }
    }

    fn is_in_time(&self, node: NodeId, took: Duration) -> bool {
        let others = self.peers.iter().filter(|(other, _)| **other != node);
        let best = others.filter_map(|(_, answers)| answers.latency.p95()).min();
        took <= best.unwrap_or(LATE_UNKNOWN).max(LATE_MIN) * TOLERANCE
    }

    /// Somebody was asked later than `node`, and answered earlier.
    pub fn overtaken(&mut self, node: NodeId) {
        let answers = self.peers.entry(node).or_default();
        if answers.lags {
            answers.in_a_row = 0;
            return;
        }
        answers.in_a_row += 1;
        if answers.in_a_row == IN_A_ROW {
            answers.lags = true;
            answers.in_a_row = 0;
            self.lagging += 1;
        }
    }

    /// Whether `node` answers late.
    pub fn lags(&self, node: NodeId) -> bool {
        self.lagging > 0 && self.peers.get(&node).is_some_and(|answers| answers.lags)
    }

    /// One of these that lags and is to be asked once more whether it still does.
    pub fn probe(
        &mut self,
        mut among: impl Iterator<Item = NodeId>,
        now: Instant,
    ) -> Option<NodeId> {
        if self.lagging == 0 {
            return None;
        }
        let due = among.find(|node| {
            self.peers.get(node).is_some_and(|answers| {
                answers.lags && answers.probed.is_none_or(|at| at + PROBE_EVERY <= now)
            })
        })?;
        self.peers.entry(due).or_default().probed = Some(now);
        Some(due)
    }

    /// After how long it is worth asking `spare` as well: when it would nearly always have answered by itself.
    ///
    /// Not the percentile of who is late: that would be as patient with a slow one as it is slow.
    pub fn late_after(&self, spare: NodeId, attempt: Duration) -> Duration {
        let known = self.peers.get(&spare).and_then(|answers| answers.latency.p95());
        let known = known.or_else(|| self.peers.values().filter_map(|a| a.latency.p95()).min());
        known.unwrap_or(LATE_UNKNOWN).max(LATE_MIN).min(attempt / LATE_MAX_PART)
    }

    /// Forgets all but these.
    pub fn keep(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.peers.retain(|node, _| is_member(*node));
        self.lagging = self.peers.values().filter(|answers| answers.lags).count();
    }
}

#[cfg(test)]
#[path = "laggards_tests.rs"]
mod tests;
