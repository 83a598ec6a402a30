//! Records that lie here and cannot be read: rot, found while the node runs.
//!
//! ```text
//!   A: k ▒▒▒  in doubt ─► compared with B, C: k is fetched, whatever the digests say ─► joined, durable
//!             its answers about k do not count towards R ……………………………………………… until enough have been
//! ```
//!
//! The index still has k's vector and digest, so that nothing *looks* different; the values are gone. What
//! is written over k before it has been fetched holds less than this node once acknowledged, and readable or
//! not, it proves nothing about k. So the doubt is about the key, it is durable, and it ends when k has been
//! merged from as many other owners as a rebuilding slot needs. All other keys of the slot are intact and
//! count as before: were the whole slot in doubt, two rotten records on two nodes would wait for each other.

use super::slots::sources_needed;
use super::{Shard, Turn};
use crate::id::{NodeId, PartitionId};
use crate::store::{Change, Store, StoreError, key};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Under which of the node's own keys the doubts are.
const PREFIX: &str = "unreadable/";
/// The most doubts. Beyond it a record that cannot be read is not written over either: a disk that is
/// rotten throughout wants to be replaced.
const DOUBTS: usize = 1024;

#[derive(Clone, Debug, Default)]
struct Merged {
    /// Owners that gave all they ever had of it.
    sure: BTreeSet<NodeId>,
    /// Owners that cannot read theirs either, or are not complete: they gave what there is.
    unsure: BTreeSet<NodeId>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    items: BTreeMap<Bytes, Merged>,
}

impl Doubts {
    /// What an earlier life has noted.
    pub fn open(store: &dyn Store) -> Result<Doubts, StoreError> {
        let prefix = key::meta(PREFIX);
        let noted = store.scan(&prefix, &key::after_prefix(&prefix), DOUBTS)?;
        let items = noted.iter().map(|(note, _)| (note.slice(prefix.len()..), Merged::default()));
        Ok(Doubts { items: items.collect() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many there are of a partition.
    pub fn count(&self, partition: PartitionId) -> usize {
        let (from, to) = key::partition_range(partition);
        self.between(&from, &to).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether what is here of this item proves nothing.
    pub fn contains(&self, item: &[u8]) -> bool {
        self.items.contains_key(item)
    }

    /// The items in doubt of a range.
    pub fn between(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &Bytes> {
        let range = (Bound::Included(from), Bound::Excluded(to));
        let items = (from < to).then(|| self.items.range::<[u8], _>(range));
        items.into_iter().flatten().map(|(item, _)| item)
    }

    /// Whether there is one in this partition that has not been merged from `source`.
    pub fn wants(&self, partition: PartitionId, source: NodeId) -> bool {
        if self.is_empty() {
            return false;
        }
        let (from, to) = key::partition_range(partition);
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        self.items
            .range::<[u8], _>(range)
            .any(|(_, m)| !m.sure.contains(&source) && !m.unsure.contains(&source))
    }

    fn merged(&mut self, item: &[u8], source: NodeId, sure: bool) {
        if let Some(merged) = self.items.get_mut(item) {
            if sure { &mut merged.sure } else { &mut merged.unsure }.insert(source);
        }
    }
}

impl Shard {
    /// A record cannot be read here. False: it must not be written over.
    pub(super) fn cannot_read(&mut self, item: &Bytes, turn: &mut Turn) -> bool {
        self.counters.reject("store", "unreadable");
        self.doubt(item, turn)
    }

    /// What is here of this item proves nothing from now on, until it has been merged.
    pub(super) fn doubt(&mut self, item: &Bytes, turn: &mut Turn) -> bool {
        self.pending.distrust(item);
        if let Some(merged) = self.doubts.items.get_mut(item) {
            // Should it have rotted twice.
            *merged = Merged::default();
            return true;
        }
        if self.sources_of(item).is_none_or(|sources| sources.others.is_empty()) {
            // Nobody else has it for this node's slot.
            return true;
        }
        if self.doubts.len() >= DOUBTS {
            return false;
        }
        self.doubts.items.insert(item.clone(), Merged::default());
        self.sync.look(turn.now.instant);
        if self.disk.is_none() {
            turn.outbox.persist(noted(item));
        }
        true
    }

    /// The disk takes writes again: what was found while it did not, or was in the batch that it refused, is
    /// noted before anything can be written over it.
    pub(super) fn note_doubts(&mut self, turn: &mut Turn) {
        self.doubts.items.keys().for_each(|item| turn.outbox.persist(noted(item)));
    }

    /// These items have been merged from `source`, durably; whether for sure.
    pub(super) fn doubts_merged(
        &mut self,
        merged: &[(Bytes, bool)],
        source: NodeId,
        turn: &mut Turn,
    ) {
        for (item, sure) in merged {
            self.doubts.merged(item, source, *sure);
            self.end_doubt(item, turn);
        }
    }

    /// Ends what has been merged from enough of those who are owners now: when it was merged, more may have been
    /// wanted, of owners that are none any more.
    pub(super) fn end_doubts(&mut self, turn: &mut Turn) {
        for item in self.doubts.items.keys().cloned().collect::<Vec<_>>() {
            self.end_doubt(&item, turn);
        }
    }

    fn end_doubt(&mut self, item: &Bytes, turn: &mut Turn) {
        let sources = self.sources_of(item);
        let Some((sources, merged)) = sources.zip(self.doubts.items.get(item)) else { return };
        let sure = sources.others.iter().filter(|other| merged.sure.contains(other)).count();
        let gave = |other: &NodeId| merged.sure.contains(other) || merged.unsure.contains(other);
        // Once all have given what they can, there is nothing left to wait for.
        if (sure >= sources.enough || sources.others.iter().all(gave)) && self.disk.is_none() {
            self.doubts.items.remove(item);
            self.counters.records_mended += 1;
            turn.outbox.persist(Change::Erase { key: note(item) });
        }
    }

    /// Owners are others: what this node does not own any more nobody mends here. It is a remnant, to be erased.
    pub(super) fn forget_foreign_doubts(&mut self, turn: &mut Turn) {
        let foreign: Vec<Bytes> = self
            .doubts
            .items
            .keys()
            .filter(|item| self.sources_of(item).is_none())
            .cloned()
            .collect();
        for item in foreign {
            self.doubts.items.remove(&item);
            turn.outbox.persist(Change::Erase { key: note(&item) });
        }
    }

    /// Whether somebody else has an item of this node's slot.
    pub(super) fn has_other_owners(&self, item: &[u8]) -> bool {
        self.sources_of(item).is_some_and(|sources| !sources.others.is_empty())
    }

    /// From whom an item of this node's slot can be merged; `None` when it owns nothing of it.
    fn sources_of(&self, item: &[u8]) -> Option<Sources> {
        let parsed = key::parse_item(item)?;
        let settings = &self.buckets_by_id.get(&parsed.bucket.0)?.settings;
        let mut others = self.owners(parsed.partition, settings.n);
        let me = self.view.me;
        others.iter().find(|owner| **owner == me)?;
        let w = usize::from(settings.guaranteed_w());
        let enough = sources_needed(others.len(), w);
        others.retain(|owner| *owner != me);
        Some(Sources { others, enough })
    }
}

/// The other owners of an item, and how many of them must be merged.
struct Sources {
    others: Vec<NodeId>,
    enough: usize,
}

fn noted(item: &[u8]) -> Change {
    Change::Put { key: note(item), head: Bytes::new(), body: Bytes::new() }
}

fn note(item: &[u8]) -> Bytes {
    [&key::meta(PREFIX)[..], item].concat().into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lone, agreement, item, next_epoch, record, view};
    use super::*;
    use crate::ring::BucketSettings;
    use crate::version::Record;

    /// Else the record is written over once there is room, the process dies, and the next life takes what is
    /// there for all that it ever acknowledged.
    #[test]
    fn a_doubt_that_arose_on_a_full_disk_is_durable_before_anything_is_written_over_it() {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
        let [before, during] = ["before", "during"].map(|name| item(0, name));
        lone.settle();
        lone.disk.set_full(true);
        lone.turn(|shard, turn| shard.cannot_read(&before, turn));
        assert!(lone.shard.disk_error().is_some(), "the batch with the note was refused");
        lone.turn(|shard, turn| shard.cannot_read(&during, turn));
        let on_disk = |lone: &Lone| Doubts::open(&lone.disk).expect("a healthy disk").len();
        assert_eq!((lone.shard.doubts.len(), on_disk(&lone)), (2, 0));
        lone.disk.set_full(false);
        lone.run_for(2_000);
        assert_eq!(lone.shard.disk_error(), None);
        assert_eq!(on_disk(&lone), 2);
    }

    /// It is there, whole: what is written over it is lost everywhere when no owner has a file descriptor left.
    #[test]
    fn what_cannot_be_opened_now_is_neither_in_doubt_nor_written_over() {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
        let item = item(0, "k");
        let join = |lone: &mut Lone, record: Record| {
            let taken = lone.turn(|shard, turn| shard.join_here(&item, &record, turn));
            lone.settle();
            taken
        };
        assert!(join(&mut lone, record(1)));
        lone.disk.refuse_reads(true);
        lone.shard.pending.distrust(&item);
        assert!(!join(&mut lone, record(2)));
        lone.disk.refuse_reads(false);
        assert_eq!((lone.shard.doubts.len(), lone.shard.disk_error()), (0, None));
        assert!(join(&mut lone, record(3)));
        let here = lone.latest(&item).expect("there");
        assert_eq!(here.siblings.len(), 2, "the first and the last");
    }

    /// Else nobody is asked again, and the item is in doubt for ever: seed 1038.
    #[test]
    fn a_doubt_ends_when_those_who_were_still_to_be_asked_are_owners_no_more() {
        let five = agreement(&[1, 2, 3, 4, 5], 5, BucketSettings::new(5));
        let three = next_epoch(agreement(&[1, 2, 3], 3, BucketSettings::new(3)));
        let mut lone = Lone::open(view(five));
        let rotten = item(0, "k");
        lone.turn(|shard, turn| {
            assert!(shard.doubt(&rotten, turn));
            for other in [2, 3] {
                shard.doubts_merged(&[(rotten.clone(), true)], NodeId(other), turn);
            }
        });
        lone.run_for(3_000);
        assert_eq!(lone.shard.doubts.len(), 1, "a quorum may have been on n4, n5 and here");
        lone.install(view(three));
        lone.run_for(3_000);
        assert_eq!(lone.shard.doubts.len(), 0);
        assert_eq!(Doubts::open(&lone.disk).expect("a healthy disk").len(), 0);
    }
}
