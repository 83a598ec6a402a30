//! What lies here of partitions that this node owns no longer: given to the owners, and only then erased.
//!
//! ```text
//!   (c) installed, C owned it before       C ── offers its items ──► each present owner, until one whole
//!                                               comparison with each of them had nothing to give
//!                                          C erases them           (a write at W=1 may have lived here alone)
//! ```
//!
//! What is kept for an owner that is away is a hint's affair and stays (`handoff.rs`). What lies here is found by
//! looking, not by remembering, so a crash in between changes nothing.

use super::{Shard, Turn};
use crate::id::{NodeId, PartitionId};
use crate::ring::Layout;
use crate::store::{Store, StoreError, key};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How many partitions are looked at in a pass.
const LOOKED_AT: usize = 2048;
/// How many items are looked through in a turn when they are erased.
const PAGE: usize = 512;

#[derive(Debug, Default)]
struct Remnant {
    /// Owners that have everything.
    covered: BTreeSet<NodeId>,
    /// Where the erasing goes on.
    erasing: Option<Bytes>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Remnants {
    partitions: BTreeMap<PartitionId, Remnant>,
    /// Where the next look begins.
    looked_at: usize,
}

impl Remnants {
    /// Looks for items that the layout gives to others, for buckets of these numbers of replicas.
    pub fn reload(
        &mut self,
        layout: &Layout,
        me: NodeId,
        sizes: &BTreeSet<u8>,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        self.partitions.clear();
        layout.partitions.iter().try_for_each(|p| self.look_at(p, layout, me, sizes, store))
    }

    /// Looks on, a part of all partitions at a time: what was on its way while owners changed may have come since.
    pub fn look(
        &mut self,
        layout: &Layout,
        me: NodeId,
        sizes: &BTreeSet<u8>,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let count = layout.partitions.count();
        for _ in 0..LOOKED_AT.min(count) {
            let at = u16::try_from(self.looked_at % count).unwrap_or_default();
            self.looked_at = (self.looked_at + 1) % count;
            self.look_at(PartitionId(at), layout, me, sizes, store)?;
        }
        Ok(())
    }

    fn look_at(
        &mut self,
        partition: PartitionId,
        layout: &Layout,
        me: NodeId,
        sizes: &BTreeSet<u8>,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let (from, to) = key::partition_range(partition);
        let is_owned = sizes.iter().all(|n| layout.owns(me, partition, *n));
        if !is_owned
            && !self.partitions.contains_key(&partition)
            && !store.scan(&from, &to, 1)?.is_empty()
        {
            self.partitions.insert(partition, Remnant::default());
        }
        Ok(())
    }

    /// How many partitions are left.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whom something is still to be offered to.
    pub fn open(&self, layout: &Layout) -> Vec<(PartitionId, NodeId)> {
        let owners = |p: PartitionId| layout.preference_list(p, layout.replicas).owners();
        let open = self.partitions.iter().flat_map(|(partition, remnant)| {
            let open = owners(*partition).filter(|owner| !remnant.covered.contains(owner));
            open.map(|owner| (*partition, owner)).collect::<Vec<_>>()
        });
        open.collect()
    }

    /// A whole comparison with an owner is through; whether something was given to it.
    pub fn offered(&mut self, partition: PartitionId, to: NodeId, gave: bool) {
        let Some(remnant) = self.partitions.get_mut(&partition) else { return };
        if gave {
            // It has been sent, and is not known to have arrived.
            remnant.covered.remove(&to);
        } else {
            remnant.covered.insert(to);
        }
    }
}

impl Shard {
    /// Erases some of what every owner has.
    pub(super) fn erase_remnants(&mut self, turn: &mut Turn) {
        let mut left = PAGE;
        while left > 0
            && let Some(erased) = self.erase_page(left, turn)
        {
            // An empty partition costs something, too.
            left = left.saturating_sub(erased.max(8));
        }
    }

    /// Looks through up to so many items of one partition that every owner has; how many there were. `None`: there
    /// is no such partition.
    fn erase_page(&mut self, limit: usize, turn: &mut Turn) -> Option<usize> {
        if self.disk.is_some() || self.remnants.partitions.is_empty() {
            return None;
        }
        let layout = self.view.agreement.clone();
        let layout = &layout.layout;
        let is_covered = |(partition, remnant): &(&PartitionId, &Remnant)| {
            let mut owners = layout.preference_list(**partition, layout.replicas).owners();
            owners.all(|owner| remnant.covered.contains(&owner))
        };
        let partition = *self.remnants.partitions.iter().find(is_covered)?.0;
        let (first, to) = key::partition_range(partition);
        let remnant = self.remnants.partitions.entry(partition).or_default();
        let from = remnant.erasing.take().unwrap_or(first);
        let page = turn.store.scan(&from, &to, limit).ok()?;
        let count = page.len();
        remnant.erasing = page.last().map(|(key, _)| super::scan::after(key));
        if count < limit {
            self.remnants.partitions.remove(&partition);
        }
        for (key, _) in page {
            if self.is_remnant(&key)
                && !self.stands_in(&key, turn)
                && !self.pending.contains(&key)
                && let Ok((_, before)) = self.latest(&key, turn)
            {
                self.stage(key, before, None, None, turn);
            }
        }
        Some(count)
    }

    /// Whether an item is of a bucket for which others own the partition.
    pub(super) fn is_remnant(&self, item: &[u8]) -> bool {
        let partition = key::partition_of_item(item);
        partition.zip(self.replicas_of(item)).is_some_and(|(p, n)| !self.is_owner(p, n))
    }

    /// As long as nothing is kept for anybody: is there something all the same that only others own?
    pub(super) fn look_on_for_remnants(&mut self, turn: &mut Turn) {
        let view = self.view.clone();
        if self.handoff.total() > 0 || view.agreement.layout.transition.is_some() {
            return;
        }
        let sizes = self.buckets_by_id.values().map(|bucket| bucket.settings.n).collect();
        let found = self.remnants.look(&view.agreement.layout, view.me, &sizes, turn.store);
        if found.is_err() {
            self.counters.reject("store", "scan");
        }
    }

    /// Looks for what lies here and is others' under the view of now.
    pub(super) fn look_for_remnants(&mut self, turn: &mut Turn) {
        let sizes = self.buckets_by_id.values().map(|bucket| bucket.settings.n).collect();
        let view = self.view.clone();
        let found = self.remnants.reload(&view.agreement.layout, view.me, &sizes, turn.store);
        if let Err(error) = found {
            self.disk = Some(error);
        }
    }

    /// Whether this node keeps an item for somebody.
    pub(super) fn stands_in(&self, item: &Bytes, turn: &Turn) -> bool {
        let Some(n) = self.replicas_of(item) else { return false };
        let Some(partition) = key::partition_of_item(item) else { return false };
        self.owners(partition, n).into_iter().any(|owner| self.is_hinted(owner, item, turn))
    }
}
