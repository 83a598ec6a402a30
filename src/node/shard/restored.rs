//! A backup that was restored: no data of this node, but bytes that need not cross the wire.
//!
//! ```text
//!            an owner says   the backup has
//!   k        digest 7        digest 7         taken from the backup
//!   k        digest 8        digest 7         fetched
//!   k        nothing         digest 7         left where it is: it was deleted since, and collected
//!   k, n=1   (no owner)      digest 7         taken: there is nobody to contradict
//! ```
//!
//! - The node begins like one whose disk was lost. Nothing that it shows, compares, pushes or collects comes from the
//!   backup before somebody who holds the same vouches for it.
//! - A comparison asks the owner once more before it takes something: for the digest in place of the record. So what is
//!   taken is what the owner held under the round that its answer says, and may be as old as any record that is fetched.
//!   The page of digests says no round, and may be older than one that is closed.
//! - What only the backup can have is here, durably, before its slot is complete. No round of a partition ends while an
//!   owner's slot is not, so nothing can have been deleted and collected before the backup's version of it came in.
//! - A crash loses nothing: slots that are not complete are compared, and refilled, once more.
//! - That it cannot be read for now says nothing of what is in it: comparisons go on without it, and what it alone has is
//!   waited for. Only a driver that finds it damaged takes it away for good.

use super::scan::after;
use super::{Release, Shard, Turn};
use crate::id::{BucketId, Epoch, PartitionId};
use crate::store::{Source, StoreError, key};
use crate::version::{Head, Record};
use bytes::Bytes;
use std::collections::BTreeSet;

/// How many places of the backup are looked at in a tick, for what no other owner has.
const LOOKS: usize = 256;
/// About how many bytes are taken from there in a tick.
const BYTES: usize = 4 << 20;

/// What a driver is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredIs {
    /// It is, or will be, looked into.
    Wanted,
    /// This node is whole: nothing more is taken from it.
    Done,
    /// It cannot be read any more, as it was opened: it is to be opened again.
    Unusable,
}

/// See the module's picture.
#[derive(Default)]
pub enum Restored {
    /// There is none, or no more.
    #[default]
    None,
    /// It is being read for the first time.
    Opening,
    /// It can be looked into.
    Open(Shelf),
    /// It cannot be, for now. A driver closes what it was read through, which may take a while.
    Away(Option<Box<dyn Source + Send>>),
}

/// An open one, and how far what it alone has is taken.
pub struct Shelf {
    source: Box<dyn Source + Send>,
    /// Partitions that were read to their end.
    read: BTreeSet<PartitionId>,
    /// Of which all that was taken is durable.
    refilled: BTreeSet<PartitionId>,
    /// Where the partition that is being read goes on.
    at: Bytes,
}

/// What is left of a tick.
struct Room {
    looks: usize,
    bytes: usize,
    is_spent: bool,
}

/// How far the reading of a partition came.
enum Came {
    ToTheEnd,
    /// It goes on in the next tick.
    SomeWay,
}

impl Restored {
    /// One that can be looked into.
    pub fn brought(source: Box<dyn Source + Send>) -> Restored {
        let (read, refilled, at) = Default::default();
        Restored::Open(Shelf { source, read, refilled, at })
    }

    /// What it is read through.
    pub fn into_source(self) -> Option<Box<dyn Source + Send>> {
        match self {
            Restored::Open(shelf) => Some(shelf.source),
            Restored::Away(source) => source,
            Restored::None | Restored::Opening => None,
        }
    }

    /// Whether it is, or is about to be, taken from.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Restored::Opening | Restored::Open(_))
    }

    /// Whether it is still to come.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self, Restored::Opening)
    }

    /// Owners have changed, or what was taken was refused by the disk: slots that are not complete are refilled anew.
    pub(super) fn begin_again(&mut self) {
        if let Restored::Open(shelf) = self {
            (shelf.read, shelf.refilled, shelf.at) = Default::default();
        }
    }

    /// Whether everything of a partition is durable here that it alone has.
    pub(super) fn is_refilled(&self, partition: PartitionId) -> bool {
        match self {
            Restored::None => true,
            Restored::Opening | Restored::Away(_) => false,
            Restored::Open(shelf) => shelf.refilled.contains(&partition),
        }
    }
}

impl Shard {
    /// What is still wanted of the restored backup.
    pub fn restored(&self) -> RestoredIs {
        let layout = &self.view.agreement.layout;
        let is_settled = self.view.admitted && self.view.counts && layout.transition.is_none();
        let has_slots = self.slots.owned().next().is_some();
        let is_whole = is_settled && has_slots && self.is_complete();
        match &self.restored {
            Restored::Away(Some(_)) => RestoredIs::Unusable,
            Restored::Open(_) | Restored::Away(None) if is_whole => RestoredIs::Done,
            _ => RestoredIs::Wanted,
        }
    }

    /// For a driver that brings it or takes it away.
    pub fn restored_mut(&mut self) -> &mut Restored {
        &mut self.restored
    }

    /// Whether what has this digest lies in the restored backup.
    pub(super) fn is_restored(&self, key: &[u8], digest: u128) -> bool {
        let Restored::Open(shelf) = &self.restored else { return false };
        let Ok(Some(head)) = shelf.source.head(key) else { return false };
        Head::decode(&head).is_ok_and(|head| head.digest() == digest)
    }

    /// What lies there of an item of which another owner holds `theirs`: nothing, unless that is the same.
    pub(super) fn restored_record(
        &self,
        key: &[u8],
        digest: u128,
        theirs: Option<u128>,
    ) -> Option<Record> {
        let Restored::Open(shelf) = &self.restored else { return None };
        let entry = shelf.source.get(key).ok()??;
        let record = Record::decode(&entry.head, entry.body).ok()?;
        let is_same = theirs == Some(digest) && record.siblings.digest() == digest;
        is_same.then_some(Record { local: None, ..record })
    }

    /// Takes some of what the restored backup alone has, for slots that are not complete.
    pub(super) fn refill(&mut self, turn: &mut Turn) {
        if !matches!(self.restored, Restored::Open(_)) || self.disk.is_some() {
            return;
        }
        let Restored::Open(mut shelf) = std::mem::take(&mut self.restored) else { return };
        let is_due = |(partition, rebuilding): &(PartitionId, bool)| {
            *rebuilding && !shelf.read.contains(partition)
        };
        let due: Vec<PartitionId> = self.slots.owned().filter(is_due).map(|(p, _)| p).collect();
        let mut room = Room { looks: LOOKS, bytes: BYTES, is_spent: false };
        let epoch = self.view.agreement.layout.epoch;
        for partition in due {
            let buckets = self.lone_buckets(partition);
            if buckets.is_empty() {
                // It does not wait for those that have some.
                shelf.read.insert(partition);
                shelf.refilled.insert(partition);
                continue;
            }
            if room.is_spent {
                continue;
            }
            match self.refill_partition(&mut shelf, partition, &buckets, &mut room, turn) {
                Ok(Came::ToTheEnd) => {
                    shelf.read.insert(partition);
                    turn.outbox.when_durable(Release::Refilled { partition, epoch });
                }
                Ok(Came::SomeWay) => room.is_spent = true,
                Err(error) => {
                    self.counters.note_store_error(&error);
                    self.restored = Restored::Away(Some(shelf.source));
                    return;
                }
            }
        }
        self.restored = Restored::Open(shelf);
    }

    /// Whether everything of a partition is durable here that the restored backup alone can have.
    pub(super) fn has_refilled(&self, partition: PartitionId) -> bool {
        self.restored.is_refilled(partition) || self.lone_buckets(partition).is_empty()
    }

    /// All that was taken of a partition is durable.
    pub(super) fn refilled(&mut self, partition: PartitionId, epoch: Epoch) {
        let is_now = epoch == self.view.agreement.layout.epoch && self.disk.is_none();
        if let Restored::Open(shelf) = &mut self.restored
            && is_now
            && shelf.read.contains(&partition)
        {
            shelf.refilled.insert(partition);
        }
    }

    fn refill_partition(
        &mut self,
        shelf: &mut Shelf,
        partition: PartitionId,
        buckets: &[BucketId],
        room: &mut Room,
        turn: &mut Turn,
    ) -> Result<Came, StoreError> {
        for bucket in buckets {
            let (first, to) = key::bucket_range(partition, *bucket);
            let mut from = first.max(shelf.at.clone());
            while from < to {
                shelf.at = from.clone();
                if room.looks == 0 || room.bytes == 0 || turn.store.congested() {
                    return Ok(Came::SomeWay);
                }
                let heads = shelf.source.scan(&from, &to, room.looks)?;
                let more = heads.len() == room.looks;
                room.looks = room.looks.saturating_sub(heads.len().max(1));
                for (key, _) in heads {
                    shelf.at = key.clone();
                    if room.bytes == 0 || !self.refill_item(shelf, &key, room, turn)? {
                        return Ok(Came::SomeWay);
                    }
                    from = after(&key);
                }
                if !more {
                    break;
                }
            }
        }
        shelf.at = Bytes::new();
        Ok(Came::ToTheEnd)
    }

    /// The buckets of which this node is the only owner of a partition, in the order of the store.
    fn lone_buckets(&self, partition: PartitionId) -> Vec<BucketId> {
        let layout = &self.view.agreement.layout;
        let me = self.view.me;
        let is_lone = |n| layout.preference_list(partition, n).owners().eq([me]);
        let buckets = self.buckets_by_id.values();
        buckets.filter(|bucket| is_lone(bucket.settings.n)).map(|bucket| bucket.id).collect()
    }

    /// Takes one item in. False: the disk takes nothing now.
    fn refill_item(
        &mut self,
        shelf: &Shelf,
        key: &Bytes,
        room: &mut Room,
        turn: &mut Turn,
    ) -> Result<bool, StoreError> {
        let entry = match shelf.source.get(key) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(true),
            Err(StoreError::Busy(_)) => return Ok(false),
            Err(StoreError::Damaged(_)) => {
                // It stays where it is, for whoever wants to try.
                self.counters.reject("restored", "unreadable");
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        room.bytes = room.bytes.saturating_sub(key.len() + entry.head.len() + entry.body.len());
        let Ok(record) = Record::decode(&entry.head, entry.body) else {
            self.counters.reject("restored", "unreadable");
            return Ok(true);
        };
        if !self.join_here(key, &Record { local: None, ..record }, turn) {
            return Ok(false);
        }
        self.counters.restored_items += 1;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "restored_tests.rs"]
mod tests;
