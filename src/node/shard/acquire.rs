//! Slots that this node is to own: copied before anybody reads them here.
//!
//! ```text
//!   (a) old A B C, new A D B      D   merges from enough of A, B, C      each of them lives by (a) by now
//!                                     and takes what their stand-ins keep for them
//!                                     ─► durable ─► "complete since that epoch", in gossip ─► (b)
//! ```
//!
//! - Enough is n−w+1 of the present owners, for the n and w of every bucket: any w slots that acknowledged a
//!   write before (a) include one of them, or one of their stand-ins. Since (a) writes are stored here as well.
//! - A question is refused by whoever lives by an older epoch, so no source can be read before it has
//!   installed (a) and whatever it took in before that is durable or will never be acknowledged.
//! - A stand-in that is dead need not be asked: it hands over what it keeps when it is back.

use super::slots::completed;
use crate::id::{Epoch, Lineage, NodeId, PartitionId};
use crate::node::View;
use crate::ring::TransitionStep;
use crate::store::{Change, Store, StoreError, key};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Under which of the node's own keys the copied slots are.
const PREFIX: &str = "acquired/";

#[derive(Clone, Debug, Default)]
struct Copied {
    /// Present owners whose items are all durable here.
    owners: BTreeSet<NodeId>,
    /// Stand-ins whose items are.
    fallbacks: BTreeSet<NodeId>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Acquire {
    /// The change that this is about.
    since: Epoch,
    slots: BTreeMap<PartitionId, Copied>,
}

impl Acquire {
    /// Takes from the layout what is to be copied, and from the store what has been.
    pub fn reload(&mut self, view: &View, store: &dyn Store) -> Result<(), StoreError> {
        let layout = &view.agreement.layout;
        let copying = layout.transition.as_ref().filter(|t| t.step == TransitionStep::Copying);
        let Some(transition) = copying else {
            *self = Acquire::default();
            return Ok(());
        };
        if self.since != transition.since {
            *self = Acquire { since: transition.since, slots: BTreeMap::new() };
        }
        let done = copied_in(view.lineage, transition.since, store)?;
        let mut old = std::mem::take(&mut self.slots);
        let moving = layout.partitions_moving().filter(|p| layout.gains(view.me, *p));
        for partition in moving.filter(|partition| !done.contains(partition)) {
            self.slots.insert(partition, old.remove(&partition).unwrap_or_default());
        }
        Ok(())
    }

    /// Whether this slot is still being copied.
    pub fn contains(&self, partition: PartitionId) -> bool {
        self.slots.contains_key(&partition)
    }

    /// How many are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether this owner has been copied already.
    pub fn has_merged(&self, partition: PartitionId, from: NodeId) -> bool {
        self.slots.get(&partition).is_some_and(|slot| slot.owners.contains(&from))
    }

    /// Whether what this stand-in keeps has been copied already.
    pub fn has_pulled(&self, partition: PartitionId, from: NodeId) -> bool {
        self.slots.get(&partition).is_some_and(|slot| slot.fallbacks.contains(&from))
    }

    /// A present owner's items are all durable here.
    pub fn merged(&mut self, partition: PartitionId, from: NodeId) {
        if let Some(slot) = self.slots.get_mut(&partition) {
            slot.owners.insert(from);
        }
    }

    /// A stand-in's items are.
    pub fn pulled(&mut self, partition: PartitionId, from: NodeId) {
        if let Some(slot) = self.slots.get_mut(&partition) {
            slot.fallbacks.insert(from);
        }
    }

    /// Whose items in keeping for others are to be copied, too.
    pub fn stand_ins(
        view: &View,
        partition: PartitionId,
        quorums: &BTreeSet<(u8, u8)>,
    ) -> BTreeSet<NodeId> {
        let layout = &view.agreement.layout;
        // Nobody waits for one that is dead: what it keeps for owners it brings along when it is back (`retarget.rs`),
        // and they have as many copies without it.
        let is_dead = |node: &NodeId| view.peers.get(node).is_some_and(|peer| !peer.alive);
        let stays = |node: &NodeId| *node != view.me && !layout.is_gone(*node) && !is_dead(node);
        let lists = quorums.iter().map(|(n, _)| layout.preference_list(partition, *n));
        lists.flat_map(|list| list.fallbacks()).filter(stays).collect()
    }

    /// Marks which of these have been copied; the changes make it durable.
    pub fn complete(
        &mut self,
        view: &View,
        quorums: &BTreeSet<(u8, u8)>,
        of: RangeInclusive<PartitionId>,
    ) -> Vec<Change> {
        let layout = &view.agreement.layout;
        let is_copied = |partition: PartitionId, slot: &Copied| {
            let enough = quorums.iter().all(|(n, w)| {
                let owners = layout.preference_list(partition, *n);
                let comes = layout.next_list(partition, *n).slot_of(view.me).is_some();
                if !comes || owners.slot_of(view.me).is_some() {
                    return true;
                }
                // What was acknowledged by those alone who are gone, nobody can give.
                let left = owners.owners().filter(|owner| !layout.is_gone(*owner)).count();
                let all = owners.owners().len();
                let needed = (all + 1).saturating_sub(usize::from(*w)).min(left);
                owners.owners().filter(|o| slot.owners.contains(o)).count() >= needed
            });
            enough && Acquire::stand_ins(view, partition, quorums).is_subset(&slot.fallbacks)
        };
        let done: Vec<PartitionId> = self
            .slots
            .range(of)
            .filter(|(p, slot)| is_copied(**p, slot))
            .map(|(p, _)| *p)
            .collect();
        let mark = [view.lineage.0.to_le_bytes(), self.since.0.to_le_bytes()].concat();
        let mark = Bytes::from(mark);
        let note = |partition: PartitionId| {
            self.slots.remove(&partition);
            let key = slot_key(partition);
            // Also in a life that began when there were data: it need not be rebuilt once it is read.
            let slot = completed(partition, view.lineage);
            [Change::Put { key, head: mark.clone(), body: Bytes::new() }, slot]
        };
        done.into_iter().flat_map(note).collect()
    }
}

fn slot_key(partition: PartitionId) -> Bytes {
    [&key::meta(PREFIX)[..], &partition.0.to_be_bytes()].concat().into()
}

fn copied_in(
    lineage: Lineage,
    since: Epoch,
    store: &dyn Store,
) -> Result<BTreeSet<PartitionId>, StoreError> {
    let from = key::meta(PREFIX);
    let to = key::after_prefix(&from);
    let all = store.scan(&from, &to, 1 << 16)?;
    let mark = [lineage.0.to_le_bytes(), since.0.to_le_bytes()].concat();
    let done = all.iter().filter(|(_, head)| head[..] == mark[..]);
    Ok(done
        .filter_map(|(key, _)| Some(PartitionId(u16::from_be_bytes(*key.last_chunk()?))))
        .collect())
}
