//! The operations of what was collected: a write that is tried again when its value has been deleted and collected
//! does not bring it back.
//!
//! A record remembers the operations that it has covered; with the record that memory goes. So it is put down, in
//! the batch that erases the record, and kept for as long as the record would have kept it. An owner that fills its slot
//! is told of it by the others, before it is compared with them.

use super::super::stored::Stored;
use super::super::{Shard, Turn};
use crate::guard::{self, Guard};
use crate::id::{Conflict, PartitionId};
use crate::message::peer::{Collected, Data};
use crate::message::{decode, encode_into};
use crate::store::{Change, Store, StoreError, key};
use crate::time::{HybridTime, WallClock};
use crate::version::{COVERED_WINDOW, Head, OperationId, Record, Sibling};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Under which of the node's own keys they are: the date when they can go, and something random.
const PREFIX: &str = "gone/";

/// The most operations. What goes first is what was to go first: a late retry of it is a new write.
const OPERATIONS: usize = 1 << 19;

/// How many operations are told at a time: 40 KiB.
const PAGE: usize = 1024;

/// An operation on one key, by the key's partition and hash.
type Name = (PartitionId, u64, OperationId);

/// As they are put down, with the stamps of what covered them.
type List = Vec<(Name, HybridTime)>;

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// When each was covered, and until when it is remembered.
    known: BTreeMap<Name, (HybridTime, u64)>,
    /// Which of them can be forgotten when, in milliseconds.
    until: BTreeMap<u64, Vec<Name>>,
}

impl Gone {
    /// What an earlier life has put down.
    pub fn open(store: &dyn Store) -> Result<Gone, StoreError> {
        let mut gone = Gone::default();
        let mut from = key::meta(PREFIX);
        let to = key::after_prefix(&from);
        loop {
            let page = store.scan(&from, &to, 1024)?;
            for (key, _) in &page {
                let Some(until) = date_of(key) else { continue };
                let entry = match store.get(key) {
                    // The other owners know it too; a node that does not start knows nothing.
                    Err(StoreError::Damaged(_)) => None,
                    entry => entry?,
                };
                let list = entry.and_then(|e| decode::<List>(&e.body).ok());
                for (name, stamp) in list.into_iter().flatten() {
                    gone.remember(name, stamp, until);
                }
                gone.limit(OPERATIONS);
            }
            match page.last() {
                Some((last, _)) if page.len() == 1024 => from = super::super::scan::after(last),
                _ => return Ok(gone),
            }
        }
    }

    fn remember(&mut self, name: Name, stamp: HybridTime, until: u64) {
        let (known, last) = self.known.entry(name).or_default();
        *known = stamp.max(*known);
        if until > *last {
            *last = until;
            self.until.entry(until).or_default().push(name);
        }
    }

    /// Forgets the oldest, if there are more than this. How many those were, and until when they were to be known.
    fn limit(&mut self, most: usize) -> Option<(usize, u64)> {
        let (before, mut last) = (self.known.len(), None);
        while self.known.len() > most
            && let Some((until, names)) = self.until.pop_first()
        {
            self.drop_names(&names, until);
            last = Some(until);
        }
        last.map(|until| (before - self.known.len(), until))
    }

    /// Forgets these, but not what was remembered again, for longer.
    fn drop_names(&mut self, names: &[Name], until: u64) {
        for name in names {
            if self.known.get(name).is_some_and(|(_, last)| *last <= until) {
                self.known.remove(name);
            }
        }
    }

    /// Forgets what is not needed any more at this date. True: there was something.
    fn forget(&mut self, date: WallClock) -> bool {
        let left = self.until.split_off(&date.0);
        let over = std::mem::replace(&mut self.until, left);
        over.iter().for_each(|(until, names)| self.drop_names(names, *until));
        !over.is_empty()
    }

    fn holds(&self, name: Name, stamp: HybridTime) -> bool {
        self.covered(name, stamp).is_some()
    }

    /// When an operation was covered of which a write with this stamp is a retry.
    fn covered(&self, name: Name, stamp: HybridTime) -> Option<HybridTime> {
        let (at, _) = self.known.get(&name)?;
        (stamp.wall().0 < at.wall().0.saturating_add(window())).then_some(*at)
    }

    /// Up to `limit` of a partition, in order.
    fn page(&self, from: Name, limit: usize) -> Vec<Collected> {
        let of_partition = self.known.range(from..).take_while(|((p, ..), _)| *p == from.0);
        let entry = |(&(_, hash, operation), &(stamp, until)): (&Name, &(HybridTime, u64))| {
            Collected { hash, operation, stamp, until }
        };
        of_partition.take(limit).map(entry).collect()
    }
}

impl Shard {
    /// Puts down the operations of these records, in the batch of this turn.
    pub(super) fn remember_gone(&mut self, heads: &[(Bytes, Head)], turn: &mut Turn) {
        if !guard::holds(Guard::CollectedIsKnown) {
            return;
        }
        let date = self.date(turn);
        let mut list = List::new();
        let mut until = 0;
        for (key, head) in heads {
            let siblings = head.siblings.iter().map(|s| (s.operation, s.stamp));
            let covered = head.covered.iter().map(|c| (c.operation, c.stamp));
            for (operation, stamp) in siblings.chain(covered) {
                // A stamp from the future is not kept for longer.
                let over = stamp.wall().0.min(date.0).saturating_add(window());
                if over > date.0
                    && let Some(name) = name(key, operation)
                {
                    list.push((name, stamp));
                    until = until.max(over);
                }
            }
        }
        self.put_down(&list, until, turn);
    }

    fn put_down(&mut self, list: &List, until: u64, turn: &mut Turn) {
        if list.is_empty() {
            return;
        }
        for (name, stamp) in list {
            self.collection.gone.remember(*name, *stamp, until);
        }
        if let Some((count, until)) = self.collection.gone.limit(OPERATIONS) {
            self.counters.collected_forgotten += count as u64;
            self.erase_gone(until.saturating_add(1), turn);
        }
        let mut body = Vec::new();
        encode_into(&mut body, list);
        let tail = [until.to_be_bytes(), self.rng.u64(..).to_be_bytes()].concat();
        let key = [&key::meta(PREFIX)[..], &tail].concat().into();
        turn.outbox.persist(Change::Put { key, head: Bytes::new(), body: body.into() });
    }

    /// Forgets what is older than the window.
    pub(super) fn forget_gone(&mut self, turn: &mut Turn) {
        let date = self.date(turn);
        if self.collection.gone.forget(date) {
            self.erase_gone(date.0, turn);
        }
    }

    /// Erases what was to be known until before this date.
    fn erase_gone(&self, date: u64, turn: &mut Turn) {
        let from = key::meta(PREFIX);
        let to = [&from[..], &date.to_be_bytes()].concat().into();
        turn.outbox.persist(Change::EraseRange { from, to });
    }

    /// Whether a write that comes now is a late retry of one whose value was deleted, and collected.
    pub(in super::super) fn was_collected(
        &self,
        key: &[u8],
        operation: OperationId,
        turn: &Turn,
    ) -> bool {
        let stamp = self.clock.last().max(HybridTime::from_wall(turn.now.wall));
        name(key, operation).is_some_and(|name| self.collection.gone.holds(name, stamp))
    }

    /// A page of what was collected of a partition, for an owner that fills its slot.
    pub(in super::super) fn collected_here(
        &self,
        partition: PartitionId,
        (hash, operation): (u64, OperationId),
    ) -> Data {
        let mut items = self.collection.gone.page((partition, hash, operation), PAGE + 1);
        let next = items.get(PAGE).map(|next| (next.hash, next.operation));
        items.truncate(PAGE);
        let rebuilding = !self.view.counts || self.slots.is_rebuilding(partition);
        Data::CollectedPage { items, next, rebuilding }
    }

    /// What another owner has collected of a partition, while this node had no part in it.
    pub(in super::super) fn learn_collected(
        &mut self,
        partition: PartitionId,
        items: &[Collected],
        turn: &mut Turn,
    ) {
        if !guard::holds(Guard::CollectedIsKnown) {
            return;
        }
        // A clock that is ahead keeps nothing for longer.
        let date = self.date(turn).0;
        let kept = items.iter().filter(|item| item.until > date);
        let until = kept.clone().map(|item| item.until).max().unwrap_or_default();
        let list = kept.map(|item| ((partition, item.hash, item.operation), item.stamp)).collect();
        self.put_down(&list, until.min(date.saturating_add(window())), turn);
    }

    /// What was taken of such retries before this node was told of them goes.
    pub(in super::super) fn drop_collected(&mut self, key: &Bytes, turn: &mut Turn) {
        if self.collection.gone.known.is_empty() || self.disk.is_some() {
            return;
        }
        let Ok((Some(latest), before)) = self.latest(key, turn) else { return };
        if let Cow::Owned(rest) = self.without_collected(key, &latest.record) {
            self.stage(key.clone(), before, Some(Stored::new(rest)), turn);
        }
    }

    /// A record from elsewhere, without the values of such retries. Its vector stays as it was, so that whoever has
    /// taken one, not having heard of the collection, drops it at the next join, also where nothing else is left of
    /// the record: a vector without siblings, which every owner comes to have, and which is collected in its turn. In
    /// an `lww` bucket the vector decides nothing, and something has to stand: there a tombstone does the same.
    pub(in super::super) fn without_collected<'a>(
        &self,
        key: &[u8],
        record: &'a Record,
    ) -> Cow<'a, Record> {
        let gone = &self.collection.gone;
        if gone.known.is_empty() {
            return Cow::Borrowed(record);
        }
        let conflict = record.kind.conflict();
        // A tombstone, too, may be such a retry, and hide what was written since.
        let hides = |s: &Sibling| s.value().is_some() || conflict == Conflict::Lww;
        let gone_at = |sibling: &Sibling| {
            let at = gone.covered(name(key, sibling.operation)?, sibling.stamp);
            at.filter(|_| hides(sibling))
        };
        if record.siblings.iter().all(|sibling| gone_at(sibling).is_none()) {
            return Cow::Borrowed(record);
        }
        let siblings = match conflict {
            Conflict::Siblings => record.siblings.without(|sibling| gone_at(sibling).is_some()),
            Conflict::Lww => record.siblings.buried(gone_at),
        };
        Cow::Owned(Record { siblings, ..record.clone() })
    }
}

fn name(key: &[u8], operation: OperationId) -> Option<Name> {
    Some((key::partition_of_item(key)?, xxh3_64(key), operation))
}

fn window() -> u64 {
    u64::try_from(COVERED_WINDOW.as_millis()).unwrap_or(u64::MAX)
}

fn date_of(key: &[u8]) -> Option<u64> {
    let tail = key.strip_prefix(&key::meta(PREFIX)[..])?;
    tail.first_chunk().map(|date| u64::from_be_bytes(*date))
}

#[cfg(test)]
#[path = "gone_tests.rs"]
mod tests;
