//! One of the values that a key holds at the same time, and the memory of those that it held.
//!
//! ```text
//!   Sibling  dot (A,12)   operation 7/31   stamp   expiry   value or tombstone
//!               └── twins (B,3): the same operation, tried again through another coordinator
//! ```

use super::vector::{Dot, VersionVector, dot_order};
use crate::time::{Duration, HybridTime, WallClock};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// From this many siblings on a coordinator warns.
pub const SIBLINGS_WARNING: usize = 10;

/// A coordinator refuses a put that would leave more siblings than this. Merges are always accepted:
/// refusing one would lose what was acknowledged elsewhere.
pub const SIBLINGS_CAP: usize = 100;

/// For how long a record remembers the operations that were overwritten, counted in stamps. A retry
/// whose stamp is later than this is a new write.
pub const COVERED_WINDOW: Duration = Duration::from_secs(600);

/// How many overwritten operations a record remembers; the oldest go first. It bounds what a hot key
/// writes with each put: a key that is overwritten 32 times within the window remembers for less than
/// the window.
pub const COVERED_CAP: usize = 32;

/// How many writes an `lww` key keeps that retries beat; the oldest go first.
pub const BEATEN_CAP: usize = 4;

/// Up to how many bytes their values have together; what is shown does not count.
pub const BEATEN_BYTES: usize = 1 << 20;

/// One write as its client sees it: a retry carries the same id, whichever node it goes through.
///
/// Using an id again for another value or another context breaks the contract: within
/// [`COVERED_WINDOW`] it is taken for a retry.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct OperationId {
    /// A random number drawn by the client when it started.
    pub session: u64,
    /// That client's count.
    pub sequence: u64,
}

impl OperationId {
    /// What somebody calls an operation of theirs: `<session>-<sequence>`, up to 16 hexadecimal digits and a decimal
    /// number, names that operation of the client library's; any other text is a name of its own, by its hash.
    pub fn of_name(name: &str) -> OperationId {
        let exact = name.split_once('-').and_then(|(session, sequence)| {
            let hexadecimal = (1..=16).contains(&session.len())
                && session.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let decimal = sequence.bytes().all(|b| b.is_ascii_digit());
            if !hexadecimal || !decimal {
                return None;
            }
            let session = u64::from_str_radix(session, 16).ok()?;
            Some(OperationId { session, sequence: sequence.parse().ok()? })
        });
        exact.unwrap_or_else(|| {
            let hash = blake3::derive_key("quorate 2026 HTTP operation name", name.as_bytes());
            let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| hash[at + i]));
            OperationId { session: half(0), sequence: half(8) }
        })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}/{}", self.session, self.sequence)
    }
}

/// A value, or the mark that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What the client stored.
    Value(Bytes),
    /// A delete.
    Tombstone,
}

/// One of a key's concurrent values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// The write that made it: the smallest of its dots in a `siblings` bucket.
    pub dot: Dot,
    /// Further dots of the same operation, ascending: retries through coordinators that did not know of
    /// it. Whoever covers one of them has seen this sibling.
    pub twins: Vec<Dot>,
    /// The client's name for the write.
    pub operation: OperationId,
    /// When it was written, by the coordinator's hybrid clock.
    pub stamp: HybridTime,
    /// From when on it counts as a tombstone with the same dot.
    pub expires_at: Option<WallClock>,
    /// What was written.
    pub content: Content,
    /// In an `lww` bucket: it may have been tried before, and no first try of it is known. The stamp of that is later than
    /// this one, which its client had seen; what lies between is not beaten for good.
    pub retry: Option<HybridTime>,
    /// In an `lww` bucket: only a retry beats it. Nobody is shown it, until it is found that the retry was overwritten.
    pub beaten: bool,
}

impl Sibling {
    /// All dots of the operation that are known here.
    pub fn dots(&self) -> impl Iterator<Item = &Dot> {
        std::iter::once(&self.dot).chain(&self.twins)
    }

    /// Whether `dot` is one of its dots.
    pub fn has(&self, dot: &Dot) -> bool {
        self.dots().any(|own| own == dot)
    }

    /// Whether somebody with this vector has seen it, under any of its dots.
    pub fn is_seen_by(&self, vector: &VersionVector) -> bool {
        self.dots().any(|dot| vector.covers(dot))
    }

    /// The value, unless it is a tombstone. Takes no notice of expiry.
    pub fn value(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Tombstone => None,
        }
    }

    /// The value, unless it is a tombstone, beaten, or has expired at `now`.
    pub fn value_at(&self, now: WallClock) -> Option<&Bytes> {
        self.value().filter(|_| !self.beaten && self.expires_at.is_none_or(|at| now < at))
    }

    /// Up to this stamp it beats for good. Who overwrites a first try does so within the window.
    pub(super) fn beats(&self) -> HybridTime {
        let window = WallClock(self.stamp.wall().0.saturating_sub(window_ms()));
        self.retry.map_or(self.stamp, |after| after.max(HybridTime::from_wall(window)))
    }

    /// What decides between siblings of an `lww` bucket.
    pub(super) fn rank(&self) -> (HybridTime, super::Actor, u64) {
        let (actor, counter) = dot_order(&self.dot);
        (self.stamp, actor, counter)
    }
}

/// Why an operation is no longer among the siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// It lost by its stamp in an `lww` bucket: this one, the earliest that it is known under. It may win
    /// yet where the stamp that beat it turns out to be that of a retry, but never by a later stamp of its
    /// own: a retry through a node that was behind is stamped late, and is no later write.
    Outstamped(HybridTime),
    /// A write that had seen it replaced it. Those never form a circle: of each operation the first dot
    /// is older than the first dot of what replaced it.
    Overwritten,
}

impl Cause {
    /// What two memories of one operation come to.
    pub(super) fn join(self, other: Cause) -> Cause {
        match (self, other) {
            (Cause::Outstamped(a), Cause::Outstamped(b)) => Cause::Outstamped(a.min(b)),
            _ => Cause::Overwritten,
        }
    }
}

/// The memory of an operation that is no longer among the siblings, so that a late retry does not bring
/// its value back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The operation.
    pub operation: OperationId,
    /// One of its dots.
    pub dot: Dot,
    /// When it was covered, as far as is known; the window runs from here.
    pub stamp: HybridTime,
    /// Why it went.
    pub cause: Cause,
}

impl Covered {
    /// Whether a write of the same operation with this stamp is a retry, rather than a new write.
    ///
    /// It depends on stamps alone, so a replica that has forgotten the entry after the window and one
    /// that has not judge alike.
    pub fn holds_for(&self, stamp: HybridTime) -> bool {
        stamp.wall().0 < self.stamp.wall().0.saturating_add(window_ms())
    }

    /// What somebody else remembers of the same operation. The later end of the window and the stronger cause hold, in
    /// whichever order they come.
    pub(super) fn take_in(&mut self, other: &Covered) {
        self.stamp = self.stamp.max(other.stamp);
        let replaced = |covered: &Covered| covered.cause == Cause::Overwritten;
        if (replaced(other), dot_order(&self.dot)) > (replaced(self), dot_order(&other.dot)) {
            self.dot = other.dot;
        }
        self.cause = self.cause.join(other.cause);
    }
}

/// What two replicas remember, both in the order of the operations.
pub(super) fn all_covered(mine: &[Covered], theirs: &[Covered]) -> Vec<Covered> {
    let mut all = Vec::with_capacity(mine.len().max(theirs.len()) + 1);
    let mut theirs = theirs.iter().peekable();
    for mine in mine {
        while let Some(other) = theirs.next_if(|other| other.operation < mine.operation) {
            all.push(*other);
        }
        let mut both = *mine;
        if let Some(other) = theirs.next_if(|other| other.operation == mine.operation) {
            both.take_in(other);
        }
        all.push(both);
    }
    all.extend(theirs.copied());
    all
}

/// [`COVERED_WINDOW`] in milliseconds.
pub(super) fn window_ms() -> u64 {
    u64::try_from(COVERED_WINDOW.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_exactly_or_by_its_hash() {
        let named = OperationId::of_name;
        assert_eq!(named("2a-7"), OperationId { session: 42, sequence: 7 });
        assert_eq!(named("order-17"), named("order-17"));
        assert_ne!(named("order-17"), named("order-18"));
        for name in ["2A-7", "2a-", "-7", "2a7", "2a-+7", "00000000000000002a-7"] {
            assert_ne!(named(name), OperationId { session: 42, sequence: 7 }, "{name}");
        }
    }
}
