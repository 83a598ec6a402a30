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

use super::trees::Before;
use super::{Shard, Turn};
use crate::guard::{self, Guard};
use crate::id::{BucketId, NodeId, PartitionId};
use crate::ring::Layout;
use crate::store::{Store, StoreError, key};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How many partitions are looked at in a pass.
const LOOKED_AT: usize = 2048;
/// Of how many buckets a partition is looked at one by one; beyond, whatever lies there is offered.
const BUCKETS: usize = 16;
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
    next: usize,
    /// How many partitions have not been looked at under this layout.
    unseen: usize,
}

impl Remnants {
    /// Owners may be others than before, of so many partitions: everything is looked at.
    pub fn begin(&mut self, partitions: usize) {
        *self = Remnants { unseen: partitions, ..Remnants::default() };
    }

    /// Looks at some more partitions for items that others own, of these buckets and numbers of replicas.
    fn look(
        &mut self,
        layout: &Layout,
        me: NodeId,
        buckets: &[(BucketId, u8)],
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let count = layout.partitions.count();
        for _ in 0..LOOKED_AT.min(count) {
            let partition = PartitionId(u16::try_from(self.next).unwrap_or_default());
            if !self.partitions.contains_key(&partition)
                && holds_others(layout, me, partition, buckets, store)?
            {
                self.partitions.insert(partition, Remnant::default());
            }
            self.next = (self.next + 1) % count;
            self.unseen = self.unseen.saturating_sub(1);
        }
        Ok(())
    }

    /// Whether there are none, as far as this layout goes.
    pub fn are_gone(&self) -> bool {
        self.partitions.is_empty() && self.unseen == 0
    }

    /// How many partitions are left.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// The partitions of which every other owner has everything.
    fn covered(&self, layout: &Layout, me: NodeId) -> Vec<PartitionId> {
        let is_covered = |(partition, remnant): &(&PartitionId, &Remnant)| {
            let mut owners = others(layout, me, **partition);
            owners.all(|owner| remnant.covered.contains(&owner))
                || !guard::holds(Guard::ComparedBeforeErased)
        };
        self.partitions.iter().filter(is_covered).map(|(partition, _)| *partition).collect()
    }

    /// Whom something is still to be offered to.
    pub fn open(&self, layout: &Layout, me: NodeId) -> Vec<(PartitionId, NodeId)> {
        let open = self.partitions.iter().flat_map(|(partition, remnant)| {
            let open =
                others(layout, me, *partition).filter(|owner| !remnant.covered.contains(owner));
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

/// The owners of a partition but this node: it may own the partition for buckets of more replicas.
fn others(
    layout: &Layout,
    me: NodeId,
    partition: PartitionId,
) -> impl Iterator<Item = NodeId> + '_ {
    let owners = layout.preference_list(partition, layout.replicas).owners();
    owners.filter(move |owner| *owner != me)
}

/// Whether something lies here of a bucket for which only others own the partition.
fn holds_others(
    layout: &Layout,
    me: NodeId,
    partition: PartitionId,
    buckets: &[(BucketId, u8)],
    store: &dyn Store,
) -> Result<bool, StoreError> {
    let of_others = buckets.iter().filter(|(_, n)| !layout.owns(me, partition, *n));
    let of_others: Vec<BucketId> = of_others.map(|(bucket, _)| *bucket).take(BUCKETS + 1).collect();
    if of_others.len() > BUCKETS {
        let (from, to) = key::partition_range(partition);
        return Ok(!store.scan(&from, &to, 1)?.is_empty());
    }
    for bucket in of_others {
        let (from, to) = key::bucket_range(partition, bucket);
        if !store.scan(&from, &to, 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Shard {
    /// Erases some of what every owner has.
    pub(super) fn erase_remnants(&mut self, turn: &mut Turn) {
        if self.disk.is_some() {
            return;
        }
        let view = self.view.clone();
        let mut left = PAGE;
        for partition in self.remnants.covered(&view.agreement.layout, view.me) {
            while left > 0
                && let Some(count) = self.erase_page(partition, left, turn)
            {
                // An empty partition costs something, too.
                left = left.saturating_sub(count.max(8));
            }
        }
    }

    /// Erases up to so many items of a partition that every owner has, and tells how many there were. `None`: it is
    /// through, or the store cannot be read.
    fn erase_page(
        &mut self,
        partition: PartitionId,
        limit: usize,
        turn: &mut Turn,
    ) -> Option<usize> {
        let (first, to) = key::partition_range(partition);
        let remnant = self.remnants.partitions.get_mut(&partition)?;
        let from = remnant.erasing.take().unwrap_or(first);
        let page = turn.store.scan(&from, &to, limit).ok()?;
        let count = page.len();
        remnant.erasing = page.last().map(|(key, _)| super::scan::after(key));
        if count < limit {
            self.remnants.partitions.remove(&partition);
        }
        for (key, _) in page {
            if !self.is_remnant(&key) || self.stands_in(&key, turn) || self.pending.contains(&key) {
                continue;
            }
            let before = match self.latest(&key, turn) {
                Ok((_, before)) => before,
                // What nobody can read here cannot be given to anybody.
                Err(StoreError::Damaged(_)) => Before::Unknown,
                Err(_) => continue,
            };
            self.stage(key, before, None, turn);
        }
        Some(count)
    }

    /// Whether an item is of a bucket for which others own the partition.
    pub(super) fn is_remnant(&self, item: &[u8]) -> bool {
        let partition = key::partition_of_item(item);
        partition.zip(self.replicas_of(item)).is_some_and(|(p, n)| !self.is_owner(p, n))
    }

    /// Looks for what lies here and only others own: everything under a new layout, and then, `again`, what was on
    /// its way while owners changed and has come since. Whoever stands in for somebody always has something.
    pub(super) fn look_for_remnants(&mut self, again: bool, turn: &mut Turn) {
        let view = self.view.clone();
        let layout = &view.agreement.layout;
        let is_due = self.remnants.unseen > 0 || (again && self.handoff.total() == 0);
        if !is_due || layout.transition.is_some() {
            return;
        }
        let buckets = self.buckets_by_id.values().map(|bucket| (bucket.id, bucket.settings.n));
        let buckets: Vec<_> = buckets.collect();
        if self.remnants.look(layout, view.me, &buckets, turn.store).is_err() {
            self.counters.reject("store", "scan");
        }
    }

    /// Whether this node keeps an item for somebody.
    pub(super) fn stands_in(&self, item: &Bytes, turn: &Turn) -> bool {
        let Some(n) = self.replicas_of(item) else { return false };
        let Some(partition) = key::partition_of_item(item) else { return false };
        self.owners(partition, n).into_iter().any(|owner| self.is_hinted(owner, item, turn))
    }
}

#[cfg(test)]
#[path = "remnants_tests.rs"]
mod tests;
