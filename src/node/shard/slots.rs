//! Which slots of this node are complete.
//!
//! A slot that started empty, damaged or behind takes writes, but its answers do not count towards R until
//! it has merged from enough complete owners of its partition and nobody keeps hints for it any more.
//! That it is complete is durable, together with the lineage in which it became so.

use crate::id::{Lineage, NodeId, PartitionId};
use crate::node::View;
use crate::ring::Role;
use crate::store::{Change, Store, StoreError, key};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

const PREFIX: &str = "slot/";

/// All slots that there can be.
pub(super) const EVERY: RangeInclusive<PartitionId> = PartitionId(0)..=PartitionId(u16::MAX);

#[derive(Clone, Debug, Default)]
struct Slot {
    rebuilding: bool,
    merged_from: BTreeSet<NodeId>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Slots {
    owned: BTreeMap<PartitionId, Slot>,
    rebuilding: usize,
    /// Who has said, since the rebuilding began, that it keeps no hints for this node.
    hint_free: BTreeSet<NodeId>,
}

impl Slots {
    /// Takes the slots from the layout, and from the store which of them are complete.
    pub fn reload(&mut self, view: &View, store: &dyn Store) -> Result<(), StoreError> {
        let layout = &view.agreement.layout;
        let fresh = view.agreement.is_late(view.me);
        let complete = complete_in(view.lineage, store)?;
        let old = std::mem::take(&mut self.owned);
        for partition in layout.partitions_written(view.me, layout.replicas) {
            // What is only to be owned is copied first (`acquire.rs`), and read by nobody before that.
            let is_read = layout.role(view.me, partition, layout.replicas) == Role::Primary;
            let rebuilding = fresh && is_read && !complete.contains(&partition);
            let merged_from = match old.get(&partition) {
                Some(slot) if rebuilding => slot.merged_from.clone(),
                _ => BTreeSet::new(),
            };
            self.owned.insert(partition, Slot { rebuilding, merged_from });
        }
        self.rebuilding = self.owned.values().filter(|slot| slot.rebuilding).count();
        Ok(())
    }

    /// Whether a slot of this node is not complete.
    pub fn is_rebuilding(&self, partition: PartitionId) -> bool {
        self.owned.get(&partition).is_some_and(|slot| slot.rebuilding)
    }

    /// How many are not.
    pub fn rebuilding(&self) -> usize {
        self.rebuilding
    }

    /// Every slot of this node, and whether it is rebuilding.
    pub fn owned(&self) -> impl Iterator<Item = (PartitionId, bool)> + '_ {
        self.owned.iter().map(|(partition, slot)| (*partition, slot.rebuilding))
    }

    /// A complete owner's items are all durable here.
    pub fn merged(&mut self, partition: PartitionId, from: NodeId) {
        if let Some(slot) = self.owned.get_mut(&partition) {
            slot.merged_from.insert(from);
        }
    }

    /// Whether this source has been merged already.
    pub fn has_merged(&self, partition: PartitionId, from: NodeId) -> bool {
        self.owned.get(&partition).is_some_and(|slot| slot.merged_from.contains(&from))
    }

    /// From how many slots' rebuilding each other owner is missing.
    pub fn lacks(&self, view: &View) -> BTreeMap<NodeId, usize> {
        let layout = &view.agreement.layout;
        let mut lacks = BTreeMap::new();
        for (partition, slot) in self.owned.iter().filter(|(_, slot)| slot.rebuilding) {
            let owners = layout.preference_list(*partition, layout.replicas);
            let others = owners.owners().filter(|owner| *owner != view.me);
            for owner in others.filter(|owner| !slot.merged_from.contains(owner)) {
                *lacks.entry(owner).or_default() += 1;
            }
        }
        lacks
    }

    /// All are as complete as they will ever be: somebody has decided to go on with what is here.
    /// But for those that a restored backup is still to fill: nobody else may have what is in it.
    pub fn accept_loss(
        &mut self,
        lineage: Lineage,
        is_refilled: &dyn Fn(PartitionId) -> bool,
    ) -> Vec<Change> {
        let open = self.owned.iter_mut().filter(|(p, slot)| slot.rebuilding && is_refilled(**p));
        let changes = open.map(|(partition, slot)| {
            slot.rebuilding = false;
            completed(*partition, lineage)
        });
        let changes: Vec<Change> = changes.collect();
        self.rebuilding -= changes.len();
        changes
    }

    /// `node` keeps no hints for this node.
    pub fn hint_free(&mut self, node: NodeId) {
        self.hint_free.insert(node);
    }

    /// Marks which of these have become complete; the changes make it durable.
    ///
    /// Enough is min(N−1, N−W+1) other owners, for the N and W of every bucket: any W slots that acknowledged
    /// a write include one of them or this slot's stand-in, and those keep no hints any more. What no other owner has
    /// is to be here before: `is_refilled`.
    pub fn complete(
        &mut self,
        view: &View,
        quorums: &BTreeSet<(u8, u8)>,
        of: RangeInclusive<PartitionId>,
        is_refilled: &dyn Fn(PartitionId) -> bool,
    ) -> Vec<Change> {
        let layout = &view.agreement.layout;
        let mut changes = Vec::new();
        for (partition, slot) in self.owned.range_mut(of).filter(|(_, slot)| slot.rebuilding) {
            let list = layout.preference_list(*partition, layout.replicas);
            let merged = quorums.iter().all(|(n, w)| {
                let owners = layout.preference_list(*partition, *n);
                let n = owners.owners().len();
                let enough = sources_needed(n, usize::from(*w));
                let merged = owners.owners().filter(|o| slot.merged_from.contains(o)).count();
                merged >= enough || owners.owners().all(|owner| owner != view.me)
            });
            let hints = list.fallbacks().all(|f| self.hint_free.contains(&f));
            if merged && hints && is_refilled(*partition) {
                slot.rebuilding = false;
                self.rebuilding -= 1;
                changes.push(completed(*partition, view.lineage));
            }
        }
        changes
    }
}

/// The n and the default w of every bucket, and of one that is created with default settings.
pub(super) fn quorums(view: &View) -> BTreeSet<(u8, u8)> {
    view.agreement.quorums().into_iter().map(|(n, _, w)| (n, w)).collect()
}

/// From how many other owners must be merged what one of `n` has lost: any `w` slots that acknowledged a write
/// include one of them, or it lay on the lost one alone.
pub(super) fn sources_needed(n: usize, w: usize) -> usize {
    n.saturating_sub(1).min((n + 1).saturating_sub(w))
}

/// The slot is complete in this life of the node's data.
pub(super) fn completed(partition: PartitionId, lineage: Lineage) -> Change {
    let head = Bytes::copy_from_slice(&lineage.0.to_le_bytes());
    Change::Put { key: slot_key(partition), head, body: Bytes::new() }
}

fn slot_key(partition: PartitionId) -> Bytes {
    [&key::meta(PREFIX)[..], &partition.0.to_be_bytes()].concat().into()
}

fn complete_in(lineage: Lineage, store: &dyn Store) -> Result<BTreeSet<PartitionId>, StoreError> {
    let from = key::meta(PREFIX);
    let to = key::after_prefix(&from);
    let all = store.scan(&from, &to, 1 << 16)?;
    let complete = all.iter().filter(|(_, head)| head[..] == lineage.0.to_le_bytes());
    Ok(complete
        .filter_map(|(key, _)| key.last_chunk().map(|p| PartitionId(u16::from_be_bytes(*p))))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ME, agreement, member, view};
    use super::*;
    use crate::ring::{BucketSettings, Change, Member, Successor};
    use crate::store::MemoryStore;

    #[test]
    fn an_accepted_loss_completes_every_slot_and_lasts() {
        let view = late(3, None);
        let mut slots = Slots::default();
        let mut disk = MemoryStore::new();
        slots.reload(&view, &disk).expect("a healthy disk");
        let before = slots.rebuilding();
        let first = slots.owned().find(|(_, rebuilding)| *rebuilding).expect("one").0;
        let lacks = slots.lacks(&view);
        let source = *lacks.keys().next().expect("somebody");
        let partition = slots.owned().map(|(p, _)| p).find(|p| {
            view.agreement.layout.preference_list(*p, 5).owners().any(|owner| owner == source)
        });
        slots.merged(partition.expect("shared"), source);
        assert_eq!(slots.lacks(&view)[&source], lacks[&source] - 1);
        assert!(slots.accept_loss(view.lineage, &|_| false).is_empty(), "a backup comes first");
        let changes = slots.accept_loss(view.lineage, &|_| true);
        assert_eq!((changes.len(), slots.rebuilding()), (before, 0));
        assert!(before > 0 && !slots.is_rebuilding(first) && slots.lacks(&view).is_empty());
        disk.commit(crate::store::Batch { changes }).expect("room");
        disk.sync(usize::MAX);
        let mut again = Slots::default();
        again.reload(&view, &disk).expect("a healthy disk");
        assert_eq!(again.rebuilding(), 0, "after a restart, too");
    }

    /// Five members, up to five replicas, one bucket of `n`; n1 has come back empty.
    fn late(n: u8, w: Option<u8>) -> View {
        let settings = BucketSettings { w, ..BucketSettings::new(n) };
        let agreement = agreement(&[1, 2, 3, 4, 5], 5, settings);
        let again = Change::Join(Member { lineage: Lineage(77), ..member(1) });
        let Ok(Successor::Next(next)) = agreement.apply(&again) else { panic!("{again:?}") };
        view(*next)
    }

    /// How many of the other four must be merged before the slot of a partition is complete: the worst case.
    fn needed(n: u8, w: Option<u8>) -> usize {
        let view = late(n, w);
        let list = |n| view.agreement.layout.preference_list(PartitionId(0), n);
        let is_mine = |p: &PartitionId| {
            let list = view.agreement.layout.preference_list(*p, n);
            list.owners().any(|owner| owner == ME)
        };
        let partition = (0..8).map(PartitionId).find(is_mine).expect("some are mine");
        assert_eq!(list(5).owners().len(), 5);
        let mut slots = Slots::default();
        slots.reload(&view, &MemoryStore::new()).expect("an empty store");
        assert_eq!(slots.rebuilding(), 8);
        // Those that do not share the bucket come first.
        let list = view.agreement.layout.preference_list(partition, 5);
        let mut others: Vec<NodeId> = list.owners().filter(|owner| *owner != ME).collect();
        others.reverse();
        for (merged, other) in others.into_iter().enumerate() {
            slots.complete(&view, &quorums(&view), EVERY, &|_| true);
            if !slots.is_rebuilding(partition) {
                return merged;
            }
            slots.merged(partition, other);
        }
        slots.complete(&view, &quorums(&view), EVERY, &|_| true);
        assert!(!slots.is_rebuilding(partition), "all others are enough");
        assert_eq!(slots.rebuilding(), 7);
        4
    }

    #[test]
    fn a_slot_is_complete_when_every_bucket_has_enough_sources() {
        assert_eq!(needed(5, None), 3, "any three others meet every three that acknowledged");
        assert_eq!(needed(5, Some(1)), 4, "what one acknowledged may lie on any of them");
        assert_eq!(needed(3, None), 4, "both others of the three, which come last here");
    }
}
