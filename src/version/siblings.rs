//! The dotted version vector set of one key: what is known, and what of it still stands.
//!
//! ```text
//!   vector {A:12, B:3}        every write up to here is known
//!   siblings (A,12) (B,2)     these stand; all others that the vector covers were replaced
//!   covered  7/30 7/31        lately replaced operations, against late retries
//! ```
//!
//! A write is known and gone when the vector covers its dot and no sibling has it. That one sentence
//! lets two replicas merge without ever asking who wrote last.

use super::seen::{BEYOND_CAP, Seen};
use super::sibling::{COVERED_CAP, Cause, Content, Covered, OperationId, Sibling, window_ms};
use super::vector::{Dot, VersionVector, dot_order};
use crate::guard::{self, Guard};
use crate::time::{HybridTime, WallClock};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

/// All that a replica knows of one key's writes.
///
/// - The vector covers every dot of every sibling.
/// - Siblings ascend by dot; no two have the same operation.
/// - `covered` ascends by operation, holds none that is a sibling within the window (but for what is
///   [`buried`](Siblings::buried)), and at most [`COVERED_CAP`]. Replicas may differ in it: it is no part of
///   [`digest`](Siblings::digest).
/// - In an `lww` bucket one sibling stands, and beside it what is [beaten](Sibling::beaten) by retries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    pub(super) vector: VersionVector,
    pub(super) siblings: Vec<Sibling>,
    pub(super) covered: Vec<Covered>,
}

impl Siblings {
    /// A key that was never written.
    pub fn new() -> Siblings {
        Siblings::default()
    }

    /// What is known.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The siblings in the order of their dots, tombstones among them.
    pub fn iter(&self) -> impl Iterator<Item = &Sibling> {
        self.siblings.iter()
    }

    /// How many siblings there are, tombstones among them.
    pub fn len(&self) -> usize {
        self.siblings.len()
    }

    /// Whether there is no sibling, not even a tombstone.
    pub fn is_empty(&self) -> bool {
        self.siblings.is_empty()
    }

    /// The operations that lately went, in the order of their ids.
    pub fn covered(&self) -> &[Covered] {
        &self.covered
    }

    /// From now on the values are slices of this body, which was made of them.
    pub fn take_values_from(&mut self, body: &Bytes) {
        let mut from = 0;
        for sibling in &mut self.siblings {
            if let Content::Value(value) = &mut sibling.content {
                let to = from + value.len();
                *value = body.slice(from..to);
                from = to;
            }
        }
    }

    /// The siblings that are no tombstones. Takes no notice of expiry, nor of who is beaten.
    pub fn values(&self) -> impl Iterator<Item = (&Sibling, &Bytes)> {
        self.siblings.iter().filter_map(|s| Some((s, s.value()?)))
    }

    /// The same, without who is beaten.
    pub fn standing_values(&self) -> impl Iterator<Item = (&Sibling, &Bytes)> {
        self.values().filter(|(sibling, _)| !sibling.beaten)
    }

    /// The siblings that a reader is shown at `now`.
    pub fn values_at(&self, now: WallClock) -> impl Iterator<Item = (&Sibling, &Bytes)> {
        self.siblings.iter().filter_map(move |s| Some((s, s.value_at(now)?)))
    }

    /// Whether a reader at `now` is told that there is nothing.
    pub fn is_deleted(&self, now: WallClock) -> bool {
        self.values_at(now).next().is_none()
    }

    /// The sibling that this operation made, if it still stands.
    pub fn find(&self, operation: OperationId) -> Option<&Sibling> {
        self.siblings.iter().find(|s| s.operation == operation)
    }

    /// The latest stamp among the siblings.
    pub fn newest_stamp(&self) -> HybridTime {
        self.siblings.iter().map(|s| s.stamp).max().unwrap_or_default()
    }

    /// What somebody has seen who was shown all of this: the context of a read.
    pub fn context(&self) -> Seen {
        let mut seen = Seen { time: self.newest_stamp(), ..Seen::from(self.vector.clone()) };
        let beyond = |c: &&Covered| c.cause == Cause::Overwritten && !self.vector.covers(&c.dot);
        for covered in self.covered.iter().filter(beyond) {
            seen.add(covered.operation, covered.dot);
        }
        self.siblings.iter().for_each(|sibling| seen.name(sibling.operation, sibling.dot));
        seen
    }

    /// What a client has seen after its write: the context of a put's reply. Never more than it was
    /// shown before (`before`) and its own write, see [`Seen`].
    pub fn context_after(&self, before: &Seen, operation: OperationId) -> Seen {
        let mut after = before.clone();
        let Some(own) = self.find(operation) else {
            // Somebody has replaced it already, with what this client was not shown. But it knows its own write,
            // which may stand where nobody has heard of that.
            if let Some(covered) = self.covered_entry(operation) {
                let own = match covered.cause {
                    Cause::Overwritten => covered.stamp,
                    Cause::Outstamped(first) => first,
                };
                after.time = after.time.max(own);
                after.add(operation, covered.dot);
                after.name(operation, covered.dot);
            }
            return after;
        };
        if self.len() == 1 {
            // All else that is known here was replaced by what led to this write. Here that is remembered with it, but
            // the next one may go through a node that has heard of neither: what was shown stays named, for a while.
            after.shown.drain(..after.shown.len().saturating_sub(BEYOND_CAP));
            after.join(&self.context());
        } else {
            after.time = after.time.max(own.stamp);
            after.add(operation, own.dot);
            after.name(operation, own.dot);
        }
        after
    }

    /// Whether this knows all that `other` knows.
    pub fn descends(&self, other: &Siblings) -> bool {
        self.vector.descends(&other.vector)
    }

    /// Whether both stand for the same state of the key: what a hint asks before it is removed, and
    /// what two replicas mean by being in sync.
    pub fn is_same_version(&self, other: &Siblings) -> bool {
        self.siblings.len() == other.siblings.len()
            && self.vector == other.vector
            && self.siblings.iter().zip(&other.siblings).all(|(a, b)| {
                let same_write = a.dot == b.dot && a.twins == b.twins && a.stamp == b.stamp;
                same_write && a.retry == b.retry && a.value().is_none() == b.value().is_none()
            })
    }

    /// A fingerprint of the state: equal on replicas that are in sync, whatever they remember of covered
    /// operations. It changes neither at expiry nor with the encoding of values.
    pub fn digest(&self) -> u128 {
        let marks = self.siblings.iter().map(|s| Mark {
            dot: &s.dot,
            twins: &s.twins,
            stamp: s.stamp,
            expires_at: s.expires_at,
            tombstone: s.value().is_none(),
            retry: s.retry,
        });
        digest(&self.vector, marks)
    }

    /// Forgets the operations that were covered more than the window before `now`: call it when the
    /// record is written anyway.
    pub fn prune_covered(&mut self, now: HybridTime) {
        let from = now.wall().0.saturating_sub(window_ms());
        self.covered.retain(|covered| covered.stamp.wall().0 >= from);
    }

    /// The same, as if some of the siblings had been replaced.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&Sibling) -> bool) -> Siblings {
        let mut rest = self.clone();
        rest.siblings.retain(|sibling| !gone(sibling));
        rest
    }

    /// The same, with tombstones in place of values that were overwritten at these stamps: for an `lww` bucket, where
    /// something has to stand. They are overwritten too, so that any other value wins over them.
    #[must_use]
    pub fn buried(&self, gone: impl Fn(&Sibling) -> Option<HybridTime>) -> Siblings {
        let mut rest = self.clone();
        let mut covered = Vec::new();
        for sibling in &mut rest.siblings {
            let Some(stamp) = gone(sibling) else { continue };
            let (operation, dot) = (sibling.operation, sibling.dot);
            covered.push(Covered { operation, dot, stamp, cause: Cause::Overwritten });
            (sibling.content, sibling.expires_at) = (Content::Tombstone, None);
        }
        covered.into_iter().for_each(|covered| rest.remember(covered));
        let all = std::mem::take(&mut rest.siblings);
        rest.keep_latest(all.iter());
        rest.limit_covered();
        rest
    }

    /// Remembers that an operation went.
    pub(super) fn remember(&mut self, new: Covered) {
        match self.covered.binary_search_by_key(&new.operation, |c| c.operation) {
            Err(at) => self.covered.insert(at, new),
            Ok(at) => self.covered[at].take_in(&new),
        }
    }

    /// Forgets the oldest covered operations above [`COVERED_CAP`].
    pub(super) fn limit_covered(&mut self) {
        while self.covered.len() > COVERED_CAP {
            let oldest = (0..self.covered.len())
                .min_by_key(|&i| (self.covered[i].stamp, self.covered[i].operation));
            self.covered.remove(oldest.expect("more than the cap is more than none"));
        }
    }

    /// A dot of the covered operation of which a write with this stamp is a retry.
    pub(super) fn retried(&self, operation: OperationId, stamp: HybridTime) -> Option<Dot> {
        self.covered_entry(operation).filter(|c| c.holds_for(stamp)).map(|c| c.dot)
    }

    /// Whether a join drops this sibling because its operation was overwritten under another dot.
    pub(super) fn is_overwritten(&self, sibling: &Sibling) -> bool {
        self.covered_entry(sibling.operation).is_some_and(|covered| {
            covered.cause == Cause::Overwritten
                && covered.holds_for(sibling.stamp)
                && guard::holds(Guard::OverwrittenStays)
        })
    }

    /// The stamp under which the sibling's operation lost before, if it did, and its dot then.
    pub(super) fn outstamped_at(&self, sibling: &Sibling) -> Option<(HybridTime, Dot)> {
        let covered = self.covered_entry(sibling.operation)?;
        match covered.cause {
            Cause::Outstamped(first) if covered.holds_for(sibling.stamp) => {
                Some((first, covered.dot))
            }
            _ => None,
        }
    }

    /// Whether it is remembered that somebody who had seen the operation replaced it.
    pub(super) fn has_overwritten(&self, operation: OperationId) -> bool {
        self.covered_entry(operation).is_some_and(|covered| covered.cause == Cause::Overwritten)
    }

    fn covered_entry(&self, operation: OperationId) -> Option<&Covered> {
        let at = self.covered.binary_search_by_key(&operation, |c| c.operation).ok()?;
        Some(&self.covered[at])
    }

    pub(super) fn sort(&mut self) {
        self.siblings.sort_unstable_by_key(|s| dot_order(&s.dot));
    }
}

/// What a dot takes of what is hashed, and what the rest of a record without siblings does.
const DOT_BYTES: usize = 24;
const COUNT_BYTES: usize = 64;

/// What a digest sees of a sibling.
pub(super) struct Mark<'a> {
    pub dot: &'a Dot,
    pub twins: &'a [Dot],
    pub stamp: HybridTime,
    pub expires_at: Option<WallClock>,
    pub tombstone: bool,
    pub retry: Option<HybridTime>,
}

/// See [`Siblings::digest`]. Every list is preceded by its length, so no two states share an input.
pub(super) fn digest<'a>(
    vector: &VersionVector,
    marks: impl ExactSizeIterator<Item = Mark<'a>>,
) -> u128 {
    if !guard::holds(Guard::WholeDigest) {
        return marks.len() as u128;
    }
    // Gathered first: what is short is hashed much faster in one piece.
    let mut bytes = Vec::with_capacity((vector.len() + 3 * marks.len()) * DOT_BYTES + COUNT_BYTES);
    let number = |bytes: &mut Vec<u8>, n: u64| bytes.extend_from_slice(&n.to_le_bytes());
    let dot = |bytes: &mut Vec<u8>, dot: &Dot| {
        number(bytes, dot.actor.incarnation);
        number(bytes, u64::from(dot.actor.mint));
        number(bytes, dot.counter);
    };
    number(&mut bytes, vector.len() as u64);
    vector.iter().for_each(|entry| dot(&mut bytes, &entry));
    number(&mut bytes, marks.len() as u64);
    for mark in marks {
        dot(&mut bytes, mark.dot);
        number(&mut bytes, mark.twins.len() as u64);
        mark.twins.iter().for_each(|twin| dot(&mut bytes, twin));
        number(&mut bytes, mark.stamp.0);
        let flags = [mark.expires_at.is_some(), mark.tombstone, mark.retry.is_some()];
        number(&mut bytes, (0..).zip(flags).map(|(bit, flag)| u64::from(flag) << bit).sum());
        number(&mut bytes, mark.expires_at.map_or(0, |at| at.0));
        mark.retry.into_iter().for_each(|after| number(&mut bytes, after.0));
    }
    xxh3_128(&bytes)
}
