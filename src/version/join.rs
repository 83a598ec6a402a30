//! Joining what two replicas know of a key.
//!
//! ```text
//!   mine   {A:2}  (A,1)x (A,2)y        theirs {A:1, B:1}  (A,1)x (B,1)z
//!   x: both have it                  ─► stays
//!   y: mine, {A:1, B:1} lacks (A,2)  ─► stays, they had not heard of it
//!   z: theirs, {A:2} lacks (B,1)     ─► stays
//!   a sibling whose dot the other side covers but does not have ─► goes: it was replaced over there
//! ```
//!
//! The dot rule is Almeida et al.'s `sync`. Operations add two rules, for the same write can get two dots
//! when it is retried through another coordinator: equal operations become one sibling with both dots
//! (`twins`), and an operation that was overwritten under one dot goes under all of them.
//!
//! A side may have a vector and no sibling: the last one was the late retry of a write whose value was deleted and
//! collected, and was dropped there (`Siblings::without`). By the dot rule it goes everywhere. What is left shows
//! nothing, and is collected like a tombstone.
//!
//! An `lww` bucket keeps the latest stamp instead, whatever the vectors say: a write's stamp lies above
//! all that it saw, so that is what the dot rule would keep, and it cannot end with nothing. There such a late retry
//! becomes a tombstone (`Siblings::buried`), which wins over the value that it was, and over nothing else.
//!
//! The stamp of a retry may be later than that of the first try, and then it beats what it should not. So as long as
//! no first try is known, what a retry beats that its client had not seen is kept, and not shown:
//!
//! ```text
//!   here   w, stamp 5, beaten by r, retry, stamp 9      there   d, stamp 4, has overwritten r
//!   ─► r goes, w stands.
//! ```
//!
//! A write that is surely a first try drops all that it beats: whatever overwrites it is later still.

use super::sibling::{BEATEN_BYTES, BEATEN_CAP, Cause, Covered, Sibling, all_covered};
use super::siblings::Siblings;
use super::vector::{VersionVector, dot_order};
use crate::guard::{self, Guard};
use crate::id::Conflict;
use bytes::Bytes;
use std::cmp::Reverse;

/// What a join brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Both knew the same.
    Equal,
    /// The result is what came in: store it.
    Newer,
    /// The result is what was here; the sender is behind.
    Stale,
    /// The result is neither: store it; the sender is behind.
    Concurrent,
}

impl Applied {
    /// Whether the versions here are others now.
    pub fn changed(self) -> bool {
        matches!(self, Applied::Newer | Applied::Concurrent)
    }

    /// Whether the sender lacks something that was here.
    pub fn sender_is_behind(self) -> bool {
        matches!(self, Applied::Stale | Applied::Concurrent)
    }
}

impl Siblings {
    /// Takes in what another replica knows of the same key. Never refuses; commutes, associates, and may
    /// be repeated.
    pub fn join(&mut self, other: &Siblings, conflict: Conflict) -> Applied {
        self.take_in(other, conflict).0
    }

    /// The same; and whether more is remembered now.
    pub(super) fn take_in(&mut self, other: &Siblings, conflict: Conflict) -> (Applied, bool) {
        let covered = all_covered(&self.covered, &other.covered);
        let mut joined = Siblings { covered, ..Siblings::default() };
        if conflict == Conflict::Siblings && self.is_same_version(other) {
            joined.limit_covered();
            let learned = joined.covered != self.covered;
            self.covered = joined.covered;
            return (Applied::Equal, learned);
        }
        joined.vector = self.vector.clone();
        joined.vector.join(&other.vector);
        match conflict {
            Conflict::Siblings if guard::holds(Guard::JoinByVersions) => {
                joined.keep_standing(self, other);
            }
            Conflict::Siblings | Conflict::Lww => {
                joined.keep_latest(self.siblings.iter().chain(&other.siblings))
            }
        }
        joined.limit_covered();
        let applied = match (joined.is_same_version(self), joined.is_same_version(other)) {
            (true, true) => Applied::Equal,
            (true, false) => Applied::Stale,
            (false, true) => Applied::Newer,
            (false, false) => Applied::Concurrent,
        };
        let learned = joined.covered != self.covered;
        *self = joined;
        (applied, learned)
    }

    fn keep_standing(&mut self, mine: &Siblings, theirs: &Siblings) {
        let mut standing = Vec::with_capacity(mine.len() + theirs.len());
        for (here, there) in [(mine, theirs), (theirs, mine)] {
            for sibling in here.iter() {
                if is_replaced(sibling, there.find(sibling.operation), &there.vector) {
                    self.remember(Covered {
                        operation: sibling.operation,
                        dot: sibling.dot,
                        stamp: sibling.stamp,
                        cause: Cause::Overwritten,
                    });
                } else {
                    standing.push(sibling);
                }
            }
        }
        // Only now, for a sibling of one side may have been replaced under a dot of the other.
        standing.retain(|sibling| !self.is_overwritten(sibling));
        if standing.is_empty() && !mine.has_dropped_all() && !theirs.has_dropped_all() {
            standing.extend(latest(mine.siblings.iter().chain(&theirs.siblings)));
        }
        for sibling in standing {
            match self.siblings.iter_mut().find(|s| s.operation == sibling.operation) {
                Some(twin) => collapse(twin, sibling),
                None => self.siblings.push(sibling.clone()),
            }
        }
        self.sort();
    }

    /// Whether something was known here, and the last of it was dropped: that is no circle.
    fn has_dropped_all(&self) -> bool {
        self.is_empty() && !self.vector.is_empty()
    }

    /// Leaves the sibling with the latest stamp, what it beats as long as it may be a retry, and remembers the others. An
    /// operation counts with the stamp of its first attempt, as far as that is known: a retry is no later write.
    pub(super) fn keep_latest<'a>(&mut self, all: impl Iterator<Item = &'a Sibling> + Clone) {
        let attempts = |sibling: &Sibling| {
            let operation = sibling.operation;
            all.clone().filter(move |other| other.operation == operation)
        };
        let first = |sibling: &Sibling| {
            let stamps = attempts(sibling).map(|other| other.stamp);
            let lost = self.outstamped_at(sibling).map(|(stamp, _)| stamp);
            let first = stamps.chain(lost).min();
            let first = first.filter(|first| *first < sibling.stamp);
            first.filter(|_| guard::holds(Guard::FirstStamp)).unwrap_or(sibling.stamp)
        };
        // Of one operation the attempt with the smallest dot, as among siblings; and it decides a tie.
        let smallest = |sibling: &Sibling| {
            let lost = self.outstamped_at(sibling).map(|(_, dot)| dot);
            attempts(sibling).map(|other| other.dot).chain(lost).map(|dot| dot_order(&dot)).min()
        };
        // And a tombstone among them: somebody knows that the value was collected (`Siblings::buried`).
        let rank = |sibling: &&Sibling| {
            let attempt = (sibling.value().is_none(), Reverse(dot_order(&sibling.dot)));
            (first(sibling), smallest(sibling), attempt)
        };
        let retry = |sibling: &Sibling| attempts(sibling).map(|a| a.retry).min().flatten();
        let is_in = |kept: &[Sibling], s: &Sibling| kept.iter().any(|k| k.operation == s.operation);
        let (mut kept, mut bytes) = (Vec::<Sibling>::with_capacity(1), 0);
        while kept.len() <= BEATEN_CAP {
            let beaten = kept.iter().map(Sibling::beats).max();
            let left = all.clone().filter(|sibling| !is_in(&kept, sibling));
            let standing = left.filter(|sibling| !self.is_overwritten(sibling));
            let standing = standing.filter(|sibling| beaten.is_none_or(|to| first(sibling) > to));
            let Some(next) = standing.max_by_key(rank) else { break };
            if !kept.is_empty() {
                bytes += next.value().map_or(0, Bytes::len);
                if bytes > BEATEN_BYTES || !guard::holds(Guard::BeatenStays) {
                    break;
                }
            }
            kept.push(Sibling {
                stamp: first(next),
                retry: retry(next),
                beaten: !kept.is_empty(),
                ..next.clone()
            });
        }
        if kept.is_empty() {
            // A stale value that is the same everywhere is better than none.
            let latest = all.clone().max_by_key(rank);
            kept.extend(latest.map(|s| Sibling {
                stamp: first(s),
                retry: retry(s),
                beaten: false,
                ..s.clone()
            }));
        }
        let Some(winner) = kept.first().map(|winner| winner.stamp) else { return };
        let losers: Vec<Covered> = all
            .clone()
            .filter(|sibling| !is_in(&kept, sibling))
            .map(|loser| Covered {
                operation: loser.operation,
                dot: loser.dot,
                stamp: winner,
                cause: Cause::Outstamped(first(loser)),
            })
            .collect();
        losers.into_iter().for_each(|loser| self.remember(loser));
        self.siblings = kept;
        self.sort();
    }
}

/// The latest of some siblings: the way out when every candidate was overwritten, for a stale value that is the
/// same everywhere is better than none. It takes a client that used one id for two writes to get there.
fn latest<'a>(siblings: impl Iterator<Item = &'a Sibling>) -> Option<&'a Sibling> {
    siblings.max_by_key(|sibling| sibling.rank())
}

/// Whether the other side has seen the sibling under some dot, and has it under that dot no longer.
fn is_replaced(sibling: &Sibling, there: Option<&Sibling>, vector: &VersionVector) -> bool {
    sibling.dots().any(|dot| vector.covers(dot) && !there.is_some_and(|same| same.has(dot)))
}

/// Makes two siblings of one operation into one: the smaller dot's, with the dots of both.
fn collapse(into: &mut Sibling, other: &Sibling) {
    let mut dots: Vec<_> = into.dots().chain(other.dots()).copied().collect();
    dots.sort_unstable_by_key(dot_order);
    dots.dedup();
    if dot_order(&other.dot) < dot_order(&into.dot) {
        *into = other.clone();
    }
    into.twins = dots.split_off(1);
}
