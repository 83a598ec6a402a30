//! What a restored backup alone can have: the items of which this node is the only owner.
//!
//! ```text
//!   n=1, partition 7    k1 k2 k3 │ k4 …       so many looks a tick
//!                                └ at           … to the end ─► `refilled/7` in that batch ─► durable: the slot may count
//! ```
//!
//! - A partition is taken once, however often this node's data begin another life: what was deleted and collected here
//!   since would come back, and nobody is left to contradict. Another restore, or a directory that was set aside, begins
//!   with an empty store, and with none of these notes.
//! - An item that cannot be read now keeps its own slot from counting, and no other from being read. One that is damaged
//!   is passed over; both are told.
//! - A note says up to which n: with fewer members left this node may be the only owner of more.

use super::restored::Restored;
use super::scan::after;
use super::{Release, Shard, Turn};
use crate::id::{BucketId, PartitionId};
use crate::node::view::View;
use crate::store::{Change, Source, Store, StoreError, key};
use crate::version::Record;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How many places of the backup are looked at in a tick: 10,240 a second, as many as an owner takes from others.
pub(super) const LOOKS: usize = 512;
/// About how many bytes are taken from there in a tick.
const BYTES: usize = 4 << 20;
/// How many keys are listed at a time.
const PAGE: usize = 128;

/// Under which of the node's own keys the notes are.
const PREFIX: &str = "refilled/";

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Refill {
    /// Up to which n all of a partition is durable here.
    durable: BTreeMap<PartitionId, u8>,
    /// Up to which n it was read to the end.
    read: BTreeMap<PartitionId, u8>,
    /// Where those go on that were begun.
    at: BTreeMap<PartitionId, Bytes>,
    /// Of these the next item cannot be read now, and why.
    stuck: BTreeMap<PartitionId, String>,
    /// How many items of these never can.
    unreadable: BTreeMap<PartitionId, u64>,
    /// Why the last of them.
    damage: String,
}

/// What is left of a tick.
struct Room {
    looks: usize,
    bytes: usize,
}

/// How far the reading of a partition came.
enum Came {
    ToTheEnd,
    /// It goes on in the next tick.
    SomeWay,
}

/// What became of an item.
enum Took {
    /// It is here, or is passed over.
    It,
    /// It cannot be read now.
    NotYet(String),
    /// The disk of this node takes nothing now.
    Nothing,
}

impl Refill {
    /// What was taken in earlier lives.
    pub fn open(store: &dyn Store) -> Result<Refill, StoreError> {
        let from = key::meta(PREFIX);
        let notes = store.scan(&from, &key::after_prefix(&from), 1 << 16)?;
        let note = |(key, head): (Bytes, Bytes)| {
            Some((PartitionId(u16::from_be_bytes(*key.last_chunk()?)), *head.first()?))
        };
        let durable = notes.into_iter().filter_map(note).collect();
        Ok(Refill { durable, ..Refill::default() })
    }

    /// Owners have changed, or what was taken was refused by the disk: what is not durable is taken once more.
    pub fn begin_again(&mut self) {
        (self.read, self.at, self.stuck) = Default::default();
    }

    /// Whether everything of a partition is durable here that a restored backup alone can have.
    pub fn is_done(
        &self,
        restored: &Restored,
        view: &View,
        partition: PartitionId,
        sizes: &BTreeSet<u8>,
    ) -> bool {
        matches!(restored, Restored::None | Restored::Open { is_own: false, .. })
            || alone_upto(view, partition, sizes).is_none_or(|upto| self.has(partition, upto))
    }

    fn pass_over(&mut self, partition: PartitionId, why: String) -> Took {
        *self.unreadable.entry(partition).or_default() += 1;
        self.damage = why;
        Took::It
    }

    fn has(&self, partition: PartitionId, upto: u8) -> bool {
        self.durable.get(&partition).is_some_and(|n| *n >= upto)
    }

    fn has_read(&self, partition: PartitionId, upto: u8) -> bool {
        self.read.get(&partition).is_some_and(|n| *n >= upto)
    }
}

/// Up to which of these n this node is the only owner of a partition, if it is of any.
fn alone_upto(view: &View, partition: PartitionId, sizes: &BTreeSet<u8>) -> Option<u8> {
    let is_alone =
        |n: &u8| view.agreement.layout.preference_list(partition, *n).owners().eq([view.me]);
    sizes.iter().copied().take_while(is_alone).last()
}

impl Room {
    fn is_spent(&self) -> bool {
        self.looks == 0 || self.bytes == 0
    }
}

fn note(partition: PartitionId, upto: u8) -> Change {
    let key = [&key::meta(PREFIX)[..], &partition.0.to_be_bytes()].concat().into();
    Change::Put { key, head: Bytes::copy_from_slice(&[upto]), body: Bytes::new() }
}

impl Shard {
    /// The n of every bucket.
    pub(super) fn sizes(&self) -> BTreeSet<u8> {
        self.buckets_by_id.values().map(|bucket| bucket.settings.n).collect()
    }

    /// All that was taken of a partition is durable, and the note of it.
    pub(super) fn refilled(&mut self, partition: PartitionId, upto: u8) {
        self.refill.durable.insert(partition, upto);
    }

    /// What could not be taken of it, in words.
    pub fn restored_troubles(&self) -> Option<String> {
        let refill = &self.refill;
        let lost: u64 = refill.unreadable.values().sum();
        let lost = (lost > 0).then(|| {
            let why = &refill.damage;
            format!("{lost} items of buckets with n = 1 are damaged there, and are not back: {why}")
        });
        let stuck = refill.stuck.first_key_value().filter(|_| self.restored.is_there());
        let stuck = stuck.map(|(_, why)| {
            let slots = refill.stuck.len();
            format!("{slots} slots wait for an item that cannot be read there now: {why}")
        });
        let all: Vec<String> = lost.into_iter().chain(stuck).collect();
        (!all.is_empty()).then(|| all.join(". "))
    }

    /// Takes some of what the restored backup alone has, for slots that are not complete.
    pub(super) fn refill(&mut self, turn: &mut Turn) {
        if self.disk.is_some() {
            return;
        }
        let source = match std::mem::take(&mut self.restored) {
            Restored::Open { source, is_own: true } => source,
            other => {
                self.restored = other;
                return;
            }
        };
        let mut room = Room { looks: LOOKS, bytes: BYTES };
        let mut failed = None;
        for (partition, upto) in self.due() {
            if room.is_spent() {
                break;
            }
            match self.refill_partition(&*source, partition, upto, &mut room, turn) {
                Ok(Came::ToTheEnd) => {
                    self.refill.read.insert(partition, upto);
                    turn.outbox.persist(note(partition, upto));
                    turn.outbox.when_durable(Release::Refilled { partition, upto });
                }
                Ok(Came::SomeWay) => {}
                Err(error) => {
                    self.counters.note_store_error(&error);
                    failed = Some(error);
                    break;
                }
            }
        }
        self.restored = match failed {
            None => Restored::Open { source, is_own: true },
            Some(_) => Restored::Away(Some(source)),
        };
    }

    /// What is still to be read, and up to which n; what has stopped comes last.
    fn due(&self) -> Vec<(PartitionId, u8)> {
        let sizes = self.sizes();
        let rebuilding = self.slots.owned().filter(|(_, rebuilding)| *rebuilding);
        let alone = rebuilding.filter_map(|(p, _)| Some((p, alone_upto(&self.view, p, &sizes)?)));
        let is_due = |(partition, upto): &(PartitionId, u8)| {
            !self.refill.has(*partition, *upto) && !self.refill.has_read(*partition, *upto)
        };
        let mut due: Vec<(PartitionId, u8)> = alone.filter(is_due).collect();
        due.sort_by_key(|(partition, _)| self.refill.stuck.contains_key(partition));
        due
    }

    fn refill_partition(
        &mut self,
        source: &dyn Source,
        partition: PartitionId,
        upto: u8,
        room: &mut Room,
        turn: &mut Turn,
    ) -> Result<Came, StoreError> {
        let begun = self.refill.at.get(&partition).cloned().unwrap_or_else(|| {
            self.refill.unreadable.remove(&partition);
            Bytes::new()
        });
        // In the order of the store.
        let taken = self.refill.durable.get(&partition).copied().unwrap_or(0);
        let is_due = |n: u8| taken < n && n <= upto;
        let buckets = self.buckets_by_id.values().filter(|bucket| is_due(bucket.settings.n));
        for bucket in buckets.map(|bucket| bucket.id).collect::<Vec<BucketId>>() {
            let (first, to) = key::bucket_range(partition, bucket);
            let mut from = first.max(begun.clone());
            while from < to {
                if room.is_spent() || turn.store.congested() {
                    return Ok(self.goes_on(partition, from));
                }
                // Where it has stopped, one look says whether it goes on.
                let is_stuck = self.refill.stuck.contains_key(&partition);
                let page = if is_stuck { 1 } else { PAGE.min(room.looks) };
                let heads = source.scan(&from, &to, page)?;
                let more = heads.len() == page;
                room.looks = room.looks.saturating_sub(heads.len().max(1));
                for (key, _) in heads {
                    if room.bytes == 0 {
                        return Ok(self.goes_on(partition, key));
                    }
                    match self.refill_item(source, partition, &key, room, turn)? {
                        Took::It => from = after(&key),
                        Took::NotYet(why) => {
                            self.refill.stuck.insert(partition, why);
                            return Ok(self.goes_on(partition, key));
                        }
                        Took::Nothing => {
                            room.looks = 0;
                            return Ok(self.goes_on(partition, key));
                        }
                    }
                    self.refill.stuck.remove(&partition);
                }
                if !more {
                    break;
                }
            }
        }
        self.refill.at.remove(&partition);
        Ok(Came::ToTheEnd)
    }

    fn goes_on(&mut self, partition: PartitionId, at: Bytes) -> Came {
        self.refill.at.insert(partition, at);
        Came::SomeWay
    }

    /// Takes one item in.
    fn refill_item(
        &mut self,
        source: &dyn Source,
        partition: PartitionId,
        key: &Bytes,
        room: &mut Room,
        turn: &mut Turn,
    ) -> Result<Took, StoreError> {
        let entry = match source.get(key) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(Took::It),
            Err(StoreError::Busy(why)) => {
                self.counters.reject("restored", "busy");
                return Ok(Took::NotYet(why));
            }
            Err(StoreError::Damaged(why)) => {
                // It stays where it is, for whoever wants to try.
                self.counters.reject("restored", "unreadable");
                return Ok(self.refill.pass_over(partition, why));
            }
            Err(error) => return Err(error),
        };
        room.bytes = room.bytes.saturating_sub(key.len() + entry.head.len() + entry.body.len());
        let record = match Record::decode(&entry.head, entry.body) {
            Ok(record) => Record { local: None, ..record },
            Err(error) => {
                self.counters.reject("restored", "unreadable");
                return Ok(self.refill.pass_over(partition, error.to_string()));
            }
        };
        let before = turn.outbox.changes();
        if !self.join_here(key, &record, turn) {
            return Ok(Took::Nothing);
        }
        // What an earlier life of this process has taken is here already.
        self.counters.restored_items += u64::from(turn.outbox.changes() > before);
        Ok(Took::It)
    }
}

#[cfg(test)]
#[path = "refill_tests.rs"]
mod tests;
