//! A change of owners while data exist: three steps, so that at every moment whoever is read has the data.
//!
//! ```text
//!   step            table   other    a write is stored on              a read asks
//!   stable          old              W of old                          old
//!   (a) Copying     old     new      W of old and W of new             old      while the new ones copy
//!   (b) Settling    new     old      W of new and W of old             new      everybody learns of it
//!   stable          new              W of new                          new
//! ```
//!
//! Each arrow downwards is a value of the chain and an epoch. A change can be aborted from (a) and from (b): until
//! the end, the old owners have met every write. From (a) the old table is simply what is left. From (b), where new
//! owners answer reads already, the tables change places and a step (b) of its own follows: writes go on to meet the
//! new owners until no quorum of them is read any more. Lists that both tables have in common are not touched at all:
//! there is no other list for them.

use super::{Invalid, Layout, PreferenceList, Table};
use crate::id::{Epoch, NodeId, PartitionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A change of owners under way: the other table that writes must meet as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// How far it has come.
    pub step: TransitionStep,
    /// The epoch in which step (a) began; it stays the same through (b), and names the change.
    pub since: Epoch,
    /// The new table in (a), the old one in (b).
    pub other: Table,
    /// What it is for.
    pub goal: Goal,
}

/// Which table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TransitionStep {
    /// (a) Write both, read the old one: the layout's `table` is the old one, `other` the new.
    Copying,
    /// (b) Write both, read the new one: the layout's `table` is the new one, `other` the old.
    Settling,
}

/// What a change is for, so that people can be told and the end knows whom to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// Newcomers get their share, or zones and weights are respected again.
    Rebalance,
    /// This member leaves in good order.
    Leave(NodeId),
    /// This member is gone for good: at the end it is no member any more.
    Remove(NodeId),
    /// `new` takes exactly the places of `old`, which leaves, or is gone for good.
    Replace {
        /// Who leaves.
        old: NodeId,
        /// Who comes.
        new: NodeId,
        /// Whether `old` is gone for good: at the end it is no member any more.
        #[serde(default)]
        gone: bool,
    },
    /// This member has been dead for long: its places go to others, as far as there is somebody to copy from.
    Out(NodeId),
    /// A change that was in step (b) is taken back: the other table is the one that it was to bring.
    Back,
}

impl Goal {
    /// Who goes when the change is through.
    pub fn leaver(&self) -> Option<NodeId> {
        match *self {
            Goal::Rebalance | Goal::Back => None,
            Goal::Leave(id) | Goal::Remove(id) | Goal::Out(id) | Goal::Replace { old: id, .. } => {
                Some(id)
            }
        }
    }

    /// Who is not there, so that nobody waits for it.
    pub fn absent(&self) -> Option<NodeId> {
        match *self {
            Goal::Out(id) => Some(id),
            _ => self.gone(),
        }
    }

    /// Who is gone for good: it is let go at the end, whatever lies on it.
    pub fn gone(&self) -> Option<NodeId> {
        match *self {
            Goal::Remove(id) | Goal::Replace { old: id, gone: true, .. } => Some(id),
            Goal::Rebalance | Goal::Leave(_) | Goal::Out(_) | Goal::Replace { .. } | Goal::Back => {
                None
            }
        }
    }
}

impl Transition {
    /// The way back from (b): as [`Layout::tables`] tells them, `old` is read again and `new` is met by writes until
    /// nobody reads it any more. `at` is the epoch of the layout that is taken back.
    pub(super) fn back(at: Epoch, new: Table) -> Transition {
        Transition { step: TransitionStep::Settling, since: at, other: new, goal: Goal::Back }
    }
}

impl Layout {
    /// The preference list of the other table, which writes must meet as well. `None` when no change is under
    /// way, or when it does not touch this partition for this `n`: both tables name the same owners and the
    /// same fallbacks, if not in the same order.
    pub fn other_list(&self, partition: PartitionId, n: u8) -> Option<PreferenceList<'_>> {
        let transition = self.transition.as_ref()?;
        let other = self.list_in(&transition.other, partition, n);
        (!other.names_the_same(&self.preference_list(partition, n))).then_some(other)
    }

    /// The preference list of the newest table: the one that stays if the change under way goes through.
    pub fn next_list(&self, partition: PartitionId, n: u8) -> PreferenceList<'_> {
        self.list_in(self.newest(), partition, n)
    }

    /// Whether `node` owns a slot of the partition in either table, for a bucket of `n` replicas.
    pub fn owns(&self, node: NodeId, partition: PartitionId, n: u8) -> bool {
        let tables = [Some(&self.table), self.transition.as_ref().map(|t| &t.other)];
        let mut lists = tables.into_iter().flatten().map(|t| self.list_in(t, partition, n));
        lists.any(|list| list.slot_of(node).is_some())
    }

    /// The partitions of which `node` owns a slot in either table, for a bucket of `n` replicas: what is
    /// written there.
    pub fn partitions_written(
        &self,
        node: NodeId,
        n: u8,
    ) -> impl Iterator<Item = PartitionId> + '_ {
        self.partitions.iter().filter(move |&p| self.owns(node, p, n))
    }

    /// The partitions whose owners differ between the two tables, for any `n`: a bucket with a smaller `n`
    /// may move where a larger one stays.
    pub fn partitions_moving(&self) -> impl Iterator<Item = PartitionId> + '_ {
        let (old, new) = self.tables();
        // Every prefix names the same members just if each position does.
        let differ =
            move |p: &PartitionId| old.first(*p, self.replicas) != new.first(*p, self.replicas);
        self.partitions.iter().filter(differ)
    }

    /// Who owns any of what moves, in either table, for some `n`.
    pub fn owners_moving(&self) -> BTreeSet<NodeId> {
        let (old, new) = self.tables();
        let owners =
            |p: PartitionId| [old, new].map(|table| self.list_in(table, p, self.replicas).owners());
        self.partitions_moving().flat_map(owners).flatten().collect()
    }

    /// Who gets a place by the change under way that it has not now, for some `n`.
    pub fn gainers(&self) -> BTreeSet<NodeId> {
        let moving = self.partitions_moving().collect::<Vec<_>>();
        let gains = |p: &PartitionId| {
            let next = self.next_list(*p, self.replicas);
            next.owners().filter(|id| self.gains(*id, *p)).collect::<Vec<_>>()
        };
        moving.iter().flat_map(gains).collect()
    }

    /// Whether the change under way gives this member a place in a partition for some `n` for which it has none:
    /// in (a), for afterwards the lists that are read are the newest.
    pub fn gains(&self, id: NodeId, partition: PartitionId) -> bool {
        let now = self.preference_list(partition, self.replicas).slot_of(id);
        let next = self.next_list(partition, self.replicas).slot_of(id);
        next.is_some_and(|next| now.is_none_or(|now| next < now))
    }

    /// The table that stays if the change under way goes through.
    pub(super) fn newest(&self) -> &Table {
        self.tables().1
    }

    /// The old table and the new one; the same twice when no change is under way.
    pub(super) fn tables(&self) -> (&Table, &Table) {
        match &self.transition {
            None => (&self.table, &self.table),
            Some(Transition { step: TransitionStep::Copying, other, .. }) => (&self.table, other),
            Some(Transition { step: TransitionStep::Settling, other, .. }) => (other, &self.table),
        }
    }

    /// Whether this member may be given places.
    pub fn has_seat(&self, id: NodeId) -> bool {
        !self.goes(id) && !self.held.contains(&id)
    }

    /// Whether this member is to have no places, or no more: it is leaving, or out, or a ghost.
    pub(super) fn goes(&self, id: NodeId) -> bool {
        self.leaving.contains(&id) || self.out.contains(&id) || self.ghosts.contains(&id)
    }

    /// Whether nobody needs to wait for this member: it is a ghost, or what is under way is about its being gone.
    pub fn is_gone(&self, id: NodeId) -> bool {
        let absent = self.transition.as_ref().and_then(|transition| transition.goal.absent());
        self.ghosts.contains(&id) || absent == Some(id)
    }

    /// How many members may be given places.
    pub(super) fn seats(&self) -> usize {
        self.members.iter().filter(|member| self.has_seat(member.id)).count()
    }

    /// Whether this member stands anywhere in the present lists, as an owner or a fallback.
    pub fn stands(&self, id: NodeId) -> bool {
        self.stands_in(id, &self.table)
    }

    /// Whether the node stands anywhere in this table, as an owner or a fallback.
    pub(super) fn stands_in(&self, node: NodeId, table: &Table) -> bool {
        self.index_of(node).is_some_and(|at| table.cells.contains(&at))
    }

    /// Who owns anything now, for the largest `n`.
    pub fn owners(&self) -> BTreeSet<NodeId> {
        self.owners_in(&self.table)
    }

    /// Who owns anything in this table, for the largest `n`.
    pub(super) fn owners_in(&self, table: &Table) -> BTreeSet<NodeId> {
        let owners = usize::from(self.replicas);
        let mut found = vec![false; self.members.len()];
        for row in table.rows() {
            row.iter().take(owners).for_each(|&at| found[usize::from(at)] = true);
        }
        self.members.iter().zip(found).filter(|(_, owns)| *owns).map(|(m, _)| m.id).collect()
    }

    pub(super) fn validate_transition(&self) -> Result<(), Invalid> {
        let wrong = |what| Err(Invalid::Transition(what));
        let named = [&self.leaving, &self.held, &self.out, &self.ghosts].into_iter().flatten();
        if named.into_iter().any(|id| self.position(*id).is_none()) {
            return wrong("who leaves, is held, is out or is a ghost is a member");
        }
        if self.ghosts.len() >= self.members.len() {
            return wrong("somebody is no ghost");
        }
        if let Some(transition) = &self.transition {
            self.validate_table(&transition.other)?;
            self.validate_goal(transition)?;
        }
        let leaver = self.transition.as_ref().and_then(|transition| transition.goal.leaver());
        let leaves: Vec<bool> = self.members.iter().map(|m| self.leaving.contains(&m.id)).collect();
        let (old, new) = self.tables();
        if new.cells.iter().any(|&at| leaves[usize::from(at)]) {
            return wrong("who leaves has no place in the new table");
        }
        let goal = leaver.and_then(|id| self.index_of(id));
        if old.cells.iter().any(|&at| leaves[usize::from(at)] && Some(at) != goal) {
            return wrong("only one leaves at a time");
        }
        Ok(())
    }

    fn validate_goal(&self, transition: &Transition) -> Result<(), Invalid> {
        let wrong = |what| Err(Invalid::Transition(what));
        let (since, epoch) = (transition.since, self.epoch);
        // Nothing begins in the first epoch, and the second step is a later one.
        let settling = u64::from(transition.step == TransitionStep::Settling);
        if since == Epoch(0) || epoch.0.checked_sub(since.0).is_none_or(|age| age < settling) {
            return wrong("it began in an earlier epoch");
        }
        let goes = |id: NodeId| match transition.goal {
            Goal::Out(_) => self.out.contains(&id),
            _ => self.leaving.contains(&id),
        };
        if transition.goal.leaver().is_some_and(|id| !goes(id)) {
            return wrong("whose going is the goal is leaving");
        }
        if let Goal::Replace { new, .. } = transition.goal
            && !self.owners_in(self.newest()).contains(&new)
        {
            return wrong("who replaces another has places in the new table");
        }
        Ok(())
    }
}
