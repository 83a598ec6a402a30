//! Dirty ranges: what becomes of hints when there are too many.
//!
//! ```text
//!   hint B:k1  B:k2 … B:k9000      over budget ─► range (B, partition 7): whatever lies here of it that B owns is for B
//!   items k1 … k9000 stay                          one batch: the range comes, the 9000 entries go
//!   B is back ─► the range is walked: each item to B ─► durable there ─► it goes, unless somebody else wants it
//!                the walk is through, and nothing of it failed ─► the range goes
//! ```
//!
//! - A range is there, durably, before the entries that it stands for are gone, and until B has everything.
//! - A walk begins only when the store shows all that was kept under the range; what is kept for B while it walks gets
//!   an entry of its own again, for the walk may be past it.
//! - A partition that this node owns itself needs no range: such a hint never counted towards W, and the owners
//!   compare their trees anyway.

use super::handoff::{Handoff, HandoffWork};
use super::pending;
use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::ring::Role;
use crate::store::{Change, Store, StoreError, key};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Under which of the node's own keys the ranges are.
const PREFIX: &str = "dirty/";
/// How many ranges are made in a tick.
const COLLAPSED: usize = 64;
/// How many heads are looked at for a page of a walk.
const HEADS: usize = 256;

/// One range.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    /// About how many items it stands for; never 0.
    about: u64,
    walk: Option<Walk>,
}

/// A range on its way to its owner.
#[derive(Clone, Debug)]
struct Walk {
    /// Where it goes on; nothing: all was read.
    from: Option<Bytes>,
    /// How many items are on their way.
    open: usize,
    /// Something did not arrive: it is walked once more.
    failed: bool,
}

/// All ranges of this node. See the module's picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    items: BTreeMap<(NodeId, PartitionId), Range>,
    about: u64,
}

impl Ranges {
    /// What an earlier life left.
    pub fn open(store: &dyn Store) -> Result<Ranges, StoreError> {
        let prefix = key::meta(PREFIX);
        let (mut from, to) = (prefix.clone(), key::after_prefix(&prefix));
        let mut ranges = Ranges::default();
        loop {
            let page = store.scan(&from, &to, 1024)?;
            for (name, head) in &page {
                if let Some((owner, partition)) = parse(&name[prefix.len()..]) {
                    let about = head.first_chunk().map_or(1, |about| u64::from_le_bytes(*about));
                    ranges.insert(owner, partition, about);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == 1024 => from = super::scan::after(last),
                _ => return Ok(ranges),
            }
        }
    }

    fn insert(&mut self, owner: NodeId, partition: PartitionId, about: u64) {
        let range = self.items.entry((owner, partition)).or_default();
        let before = range.about;
        range.about = (before + about).max(1);
        self.about += range.about - before;
        // What it stands for now, a walk may have passed.
        if let Some(walk) = &mut range.walk {
            walk.failed = true;
        }
    }

    fn remove(&mut self, owner: NodeId, partition: PartitionId) {
        if let Some(range) = self.items.remove(&(owner, partition)) {
            self.about -= range.about;
        }
    }

    /// Whether what lies here of a partition is for this owner.
    pub fn contains(&self, owner: NodeId, partition: PartitionId) -> bool {
        self.items.contains_key(&(owner, partition))
    }

    /// About how many items are for this owner.
    pub fn about(&self, owner: NodeId) -> u64 {
        let of = (owner, PartitionId(0))..=(owner, PartitionId(u16::MAX));
        self.items.range(of).map(|(_, range)| range.about).sum()
    }

    /// About how many items there are in all of them.
    pub fn total(&self) -> u64 {
        self.about
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// For whom there is one.
    pub fn owners(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.items.keys().map(|(owner, _)| *owner)
    }

    /// Whether it covers what is kept now.
    fn covers(&mut self, owner: NodeId, partition: PartitionId) -> Option<&mut Range> {
        self.items.get_mut(&(owner, partition)).filter(|range| range.walk.is_none())
    }

    fn walk(&mut self, owner: NodeId, partition: PartitionId) -> Option<&mut Walk> {
        self.items.get_mut(&(owner, partition))?.walk.as_mut()
    }
}

impl Shard {
    /// Whether a range takes in one more item for this owner, so that it needs no hint of its own.
    pub(super) fn keep_in_range(&mut self, owner: NodeId, item: &Bytes, turn: &Turn) -> bool {
        let Some(partition) = key::partition_of_item(item) else { return false };
        let Some(range) = self.handoff.ranges.covers(owner, partition) else { return false };
        if matches!(turn.store.head(item), Ok(None)) {
            range.about += 1;
            self.handoff.ranges.about += 1;
        }
        // No walk begins before the store shows the item.
        self.handoff.unflushed.stage(name(owner, partition), true);
        true
    }

    /// Whether this node keeps as much for others as it is willing to.
    pub(super) fn keeps_enough(&self) -> bool {
        self.handoff.total() >= self.limits.hint_items
    }

    /// Makes ranges of hints until there are few enough: of those first whose owner cannot be reached.
    pub(super) fn collapse_hints(&mut self, turn: &mut Turn) {
        for _ in 0..COLLAPSED {
            if self.handoff.entries() <= self.limits.hint_entries {
                return;
            }
            let down = |owner: NodeId| self.peers.reach(owner, &self.view) != Reach::Up;
            let most = self.handoff.counts.iter().max_by_key(|((owner, p), count)| {
                // By owner and partition last, so that it is the same on every machine.
                (**count > 0 && down(*owner), **count, *owner, *p)
            });
            let Some(((owner, partition), count)) = most.map(|(at, count)| (*at, *count)) else {
                return;
            };
            if count == 0 || !down(owner) {
                // The others are on their way to their owners.
                return;
            }
            self.collapse(owner, partition, turn);
        }
    }

    fn collapse(&mut self, owner: NodeId, partition: PartitionId, turn: &mut Turn) {
        let count = self.handoff.counts.remove(&(owner, partition)).unwrap_or(0);
        if let Some(pending) = self.handoff.pending.get_mut(&owner) {
            *pending = pending.saturating_sub(count);
        }
        if self.owns_for_all(partition) {
            self.counters.hints_left_to_trees += count;
        } else {
            self.counters.hints_collapsed += count;
            self.keep_range_for_owners(owner, partition, count, turn);
        }
        let (from, to) = key::partition_range(partition);
        let (from, to) = (key::hint(owner, &from), key::hint(owner, &to));
        let hints = self.handoff.unflushed.iter().map(|(hint, _)| hint);
        let inside: Vec<Bytes> =
            hints.filter(|hint| **hint >= from && **hint < to).cloned().collect();
        inside.into_iter().for_each(|hint| self.handoff.unflushed.stage(hint, false));
        self.handoff.unreadable.retain(|hint| *hint < from || *hint >= to);
        // What the store shows meanwhile is gone: whatever is kept from now on is one more, and counted.
        self.handoff.erased.stage(from.clone(), to.clone());
        turn.outbox.persist(Change::EraseRange { from, to });
    }

    /// Whether this node owns a partition for every bucket, and will: no hint of it ever counted.
    fn owns_for_all(&self, partition: PartitionId) -> bool {
        let layout = &self.view.agreement.layout;
        let smallest = self.buckets_by_id.values().map(|bucket| bucket.settings.n).min();
        let n = smallest.unwrap_or(layout.replicas);
        layout.transition.is_none()
            && layout.preference_list(partition, n).role(self.view.me) == Role::Primary
    }

    fn keep_range(&mut self, owner: NodeId, partition: PartitionId, about: u64, turn: &mut Turn) {
        self.handoff.ranges.insert(owner, partition, about);
        let about = self.handoff.ranges.items[&(owner, partition)].about;
        let head = Bytes::copy_from_slice(&about.to_le_bytes());
        let key = name(owner, partition);
        self.handoff.unflushed.stage(key.clone(), true);
        turn.outbox.persist(Change::Put { key, head, body: Bytes::new() });
    }

    /// For this owner, or for those who are owners now if it is none any more.
    fn keep_range_for_owners(
        &mut self,
        owner: NodeId,
        partition: PartitionId,
        about: u64,
        turn: &mut Turn,
    ) {
        let present = self.owners(partition, self.view.agreement.layout.replicas);
        if present.contains(&owner) {
            return self.keep_range(owner, partition, about, turn);
        }
        let me = self.view.me;
        for other in present.into_iter().filter(|other| *other != me) {
            self.keep_range(other, partition, about, turn);
        }
        self.counters.hints_retargeted += 1;
    }

    fn forget_range(&mut self, owner: NodeId, partition: PartitionId, turn: &mut Turn) {
        self.handoff.ranges.remove(owner, partition);
        let key = name(owner, partition);
        self.handoff.unflushed.stage(key.clone(), false);
        turn.outbox.persist(Change::Erase { key });
    }

    /// Ranges for owners that own nothing of the partition any more become ranges for those who do.
    pub(super) fn retarget_ranges(&mut self, turn: &mut Turn) {
        let replicas = self.view.agreement.layout.replicas;
        let ranges: Vec<_> =
            self.handoff.ranges.items.iter().map(|(at, r)| (*at, r.about)).collect();
        for ((owner, partition), about) in ranges {
            if !self.owners(partition, replicas).contains(&owner) {
                self.keep_range_for_owners(owner, partition, about, turn);
                self.forget_range(owner, partition, turn);
            }
        }
    }

    /// Sends the next items of the range that is walked for this owner, or begins with one.
    pub(super) fn walk_ranges(&mut self, owner: NodeId, turn: &mut Turn) {
        let Some(partition) = self.range_to_walk(owner) else { return };
        let room = self.handoff.pace(owner).room(turn.now.instant);
        let (first, end) = key::partition_range(partition);
        let range = self.handoff.ranges.items.get_mut(&(owner, partition));
        let Some(range) = range else { return };
        let walk = range.walk.get_or_insert(Walk { from: Some(first), open: 0, failed: false });
        if let Some(from) = walk.from.clone().filter(|_| room > 0) {
            let Ok(page) = turn.store.scan(&from, &end, HEADS) else { return };
            let is_last = page.len() < HEADS;
            let mut next = None;
            for (item, _) in page {
                if self.handoff.pace(owner).room(turn.now.instant) == 0 {
                    next = Some(item);
                    break;
                }
                let n = self.replicas_of(&item);
                if n.is_some_and(|n| self.view.agreement.layout.owns(owner, partition, n)) {
                    self.hand_over(owner, item.clone(), Some(partition), turn);
                }
                next = (!is_last).then(|| super::scan::after(&item));
            }
            if let Some(walk) = self.handoff.ranges.walk(owner, partition) {
                walk.from = next;
            }
        }
        self.end_walk(owner, partition, turn);
    }

    /// The one under way, or the first that the store shows all of. Of one partition only one is walked at a
    /// time: with the last one that wants them its items go.
    fn range_to_walk(&self, owner: NodeId) -> Option<PartitionId> {
        let ranges = &self.handoff.ranges.items;
        let of = (owner, PartitionId(0))..=(owner, PartitionId(u16::MAX));
        let under_way = ranges.range(of.clone()).find(|(_, range)| range.walk.is_some());
        let is_free = |partition: PartitionId| {
            self.handoff.unflushed.get(&name(owner, partition)).is_none()
                && ranges.iter().all(|((_, p), range)| *p != partition || range.walk.is_none())
        };
        let mut next = ranges.range(of).map(|((_, p), _)| *p).filter(|p| is_free(*p));
        under_way.map(|((_, partition), _)| *partition).or_else(|| next.next())
    }

    /// The walk is over when all was read and nothing is on its way.
    fn end_walk(&mut self, owner: NodeId, partition: PartitionId, turn: &mut Turn) {
        let Some(range) = self.handoff.ranges.items.get_mut(&(owner, partition)) else { return };
        let Some(walk) = range.walk.take_if(|walk| walk.from.is_none() && walk.open == 0) else {
            return;
        };
        if !walk.failed {
            self.forget_range(owner, partition, turn);
        }
    }

    /// An item of a walk is on its way.
    pub(super) fn walks(&mut self, work: &HandoffWork, turn: &mut Turn) {
        let Some(partition) = work.range else { return };
        if let Some(walk) = self.handoff.ranges.walk(work.owner, partition) {
            walk.open += 1;
        }
        if !guard::holds(Guard::DirtyRangeStays) {
            self.erase_unwanted(work.owner, &work.item, turn);
        }
    }

    /// An item of a walk is with its owner, or is not.
    pub(super) fn walked(&mut self, work: &HandoffWork, arrived: bool, turn: &mut Turn) {
        let Some(partition) = work.range else { return };
        if let Some(walk) = self.handoff.ranges.walk(work.owner, partition) {
            walk.open = walk.open.saturating_sub(1);
            walk.failed |= !arrived;
        }
        if arrived {
            self.erase_unwanted(work.owner, &work.item, turn);
        }
        self.end_walk(work.owner, partition, turn);
    }

    /// What cannot be read here is not given to anybody by this walk.
    pub(super) fn walk_lacks(&mut self, owner: NodeId, partition: PartitionId) {
        if let Some(walk) = self.handoff.ranges.walk(owner, partition) {
            walk.failed = true;
        }
    }

    /// The item goes, where this node owns nothing of it and nobody but this owner wanted it.
    fn erase_unwanted(&mut self, owner: NodeId, item: &Bytes, turn: &mut Turn) {
        let Some(parsed) = key::parse_item(item) else { return };
        let Some(n) = self.replicas_of(item) else { return };
        if self.is_owner(parsed.partition, n)
            || self.pending.contains(item)
            || self.has_hint(owner, item, turn)
        {
            return;
        }
        let others = self.owners(parsed.partition, n).into_iter().filter(|other| *other != owner);
        if others.into_iter().any(|other| self.is_hinted(other, item, turn)) {
            return;
        }
        // Erased behind the answer: the record is the one that was handed over.
        if matches!(pending::durable(item, turn.store), Ok(Some(_)))
            && let Ok((_, before)) = self.latest(item, turn)
        {
            self.stage(item.clone(), before, None, turn);
        }
    }
}

impl Handoff {
    /// Whether a range says, durably, that this item is for this owner.
    pub(super) fn is_in_durable_range(
        &self,
        owner: NodeId,
        partition: PartitionId,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        Ok(self.ranges.contains(owner, partition) && store.head(&name(owner, partition))?.is_some())
    }
}

fn name(owner: NodeId, partition: PartitionId) -> Bytes {
    let (owner, partition) = (owner.0.to_be_bytes(), partition.0.to_be_bytes());
    [&key::meta(PREFIX)[..], &owner, &partition].concat().into()
}

fn parse(name: &[u8]) -> Option<(NodeId, PartitionId)> {
    let (owner, partition) = name.split_first_chunk::<8>()?;
    let partition = u16::from_be_bytes(partition.try_into().ok()?);
    Some((NodeId(u64::from_be_bytes(*owner)), PartitionId(partition)))
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
