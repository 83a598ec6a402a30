//! Buckets that were dropped: from the moment that this node knows of it nobody writes to them here, and what lies here goes.
//!
//! ```text
//!   agreed: b is dropped ──► every replica refuses b's items ──► each node erases what it has, for itself
//!                                                            └─► once more when all requests of before are over
//! ```
//!
//! Nodes erase without asking each other: a bucket's id is never used again, so nothing of it can be wanted. While one has
//! erased what another has not, their trees differ; they neither fetch nor push it (`compare.rs`).

use super::timers::Timer;
use super::trees::Before;
use super::{Shard, Turn};
use crate::id::{BucketId, PartitionId};
use crate::ring::Registry;
use crate::store::{StoreError, key};
use crate::time::{Duration, Instant};
use crate::version::Head;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// How often something is erased while there is something to be erased.
const TICK: Duration = Duration::from_millis(20);
/// How many items go in a turn.
const PAGE: usize = 512;
/// How many partitions are looked into in a turn.
const LOOKED_AT: usize = 1024;
/// How long after the longest request everything is looked through again.
const MARGIN: Duration = Duration::from_secs(5);

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// How many owners their keys had.
    replicas: BTreeMap<u64, u8>,
    /// What is to be looked through, and where that goes on.
    todo: VecDeque<(BucketId, u32)>,
    /// Where the hints are looked through, if they are to be.
    hints: Option<Bytes>,
    /// When they are to be looked through again, because of what was under way.
    again: VecDeque<(Instant, BucketId)>,
}

impl Dropped {
    /// How many owners each key had, where the bucket was dropped.
    pub fn replicas(&self, bucket: BucketId) -> Option<u8> {
        self.replicas.get(&bucket.0).copied()
    }

    /// Takes over what is agreed; whether something is to be erased.
    pub fn install(&mut self, registry: &Registry, now: Instant, longest: Duration) -> bool {
        let replicas = std::mem::take(&mut self.replicas);
        for dropped in &registry.dropped {
            if !replicas.contains_key(&dropped.id.0) {
                self.begin(dropped.id);
                self.again.push_back((now + longest + MARGIN, dropped.id));
            }
            self.replicas.insert(dropped.id.0, dropped.n);
        }
        self.is_busy()
    }

    /// A batch was refused: what was erased in it is still here. All is looked through anew.
    pub fn begin_again(&mut self) {
        self.todo.clear();
        for bucket in self.replicas.keys().copied().collect::<Vec<_>>() {
            self.begin(BucketId(bucket));
        }
    }

    fn begin(&mut self, bucket: BucketId) {
        self.todo.push_back((bucket, 0));
        self.hints = Some(key::hint_range(None).0);
    }

    fn is_busy(&self) -> bool {
        !self.todo.is_empty() || self.hints.is_some()
    }

    /// What is due again begins again; when there is next something to do, if ever.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        while self.again.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bucket) = self.again.pop_front()?;
            self.begin(bucket);
        }
        match self.is_busy() {
            true => Some(now + TICK),
            false => self.again.front().map(|(at, _)| *at),
        }
    }
}

impl Shard {
    /// Whether an item is of a bucket that was dropped.
    pub(super) fn is_dropped(&self, item: &[u8]) -> bool {
        key::bucket_of_item(item).is_some_and(|bucket| self.dropped.replicas(bucket).is_some())
    }

    /// Whatever was dropped since begins to go.
    pub(super) fn note_dropped(&mut self, turn: &mut Turn) {
        let (registry, now) = (self.view.clone(), turn.now.instant);
        if self.dropped.install(&registry.agreement.buckets, now, self.timing.request_max) {
            self.forget_foreign_doubts(turn);
            self.timers.set(now + TICK, Timer::Dropped);
        }
    }

    /// The disk has room again.
    pub(super) fn go_on_erasing(&mut self, turn: &mut Turn) {
        if !self.dropped.replicas.is_empty() {
            self.timers.set(turn.now.instant + TICK, Timer::Dropped);
        }
    }

    /// Erases some of what was dropped.
    pub(super) fn tend_dropped(&mut self, turn: &mut Turn) {
        if self.disk.is_some() {
            // The timer is set again when there is room.
            return;
        }
        if let Some(at) = self.dropped.next(turn.now.instant) {
            self.timers.set(at, Timer::Dropped);
        }
        if turn.store.congested() {
            return;
        }
        let erased = self.erase_dropped(turn).and_then(|()| self.forget_dropped_hints(turn));
        if erased.is_err() {
            // It is tried again with the next tick.
            self.counters.reject("store", "scan");
        }
    }

    fn erase_dropped(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let partitions = self.view.agreement.layout.partitions.count();
        let (mut looks, mut items) = (LOOKED_AT, PAGE);
        while looks > 0
            && items > 0
            && let Some((bucket, at)) = self.dropped.todo.front().copied()
        {
            let Some(partition) = u16::try_from(at).ok().filter(|_| (at as usize) < partitions)
            else {
                self.dropped.todo.pop_front();
                continue;
            };
            let (from, to) = key::bucket_range(PartitionId(partition), bucket);
            let page = turn.store.scan(&from, &to, items)?;
            for (key, head) in &page {
                // What is on its way to the disk is found when all is looked through again.
                if !self.pending.contains(key) {
                    // As its tree has it.
                    let digest = Head::decode(head).map_or(0, |head| head.digest());
                    self.stage(key.clone(), Before::Digest(digest), None, turn);
                }
            }
            if page.len() < items {
                self.dropped.todo[0].1 += 1;
            }
            looks -= 1;
            items -= page.len();
        }
        Ok(())
    }

    fn forget_dropped_hints(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let Some(from) = self.dropped.hints.clone() else { return Ok(()) };
        let page = turn.store.scan(&from, &key::hint_range(None).1, PAGE)?;
        self.dropped.hints = page.last().map(|(last, _)| super::scan::after(last));
        for (hint, _) in page {
            if let Some((owner, item)) = key::parse_hint(&hint)
                && self.is_dropped(&item)
            {
                self.forget_hint(owner, &item, turn);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "dropped_tests.rs"]
mod tests;
