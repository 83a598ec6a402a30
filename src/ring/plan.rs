//! What a change would move, before anybody asks for it.
//!
//! ```text
//!   before  A B C        owns:  A 3 → 3   B 3 → 2   C 3 → 2   D 0 → 2
//!           A B C        moves: B → D 1,  C → D 1
//!           A B C        two partitions
//!   after   A D C   A B D   A B C
//! ```
//!
//! Counted for the largest `n`; a bucket with a smaller one moves a part of it.

use super::{Agreement, Change, Layout, Refusal, Situation, Successor};
use crate::id::{NodeId, PartitionId};
use std::collections::BTreeMap;

/// See the module's picture. Compared is the newest table with the one that the change leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Who would take how many slots from whom, in order of `from` and `to`.
    pub moves: Vec<Relocation>,
    /// How many partitions would get other owners.
    pub partitions: usize,
    /// How many slots each member owns, before and after. Also those who are no member before, or after.
    pub owned: BTreeMap<NodeId, Owned>,
}

/// Slots that would go from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relocation {
    /// Who loses them; `None` where nobody does: the partition had fewer owners than it gets.
    pub from: Option<NodeId>,
    /// Who takes them.
    pub to: NodeId,
    /// How many.
    pub slots: usize,
}

/// How many slots a member owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Before the change.
    pub before: usize,
    /// After it.
    pub after: usize,
}

impl Agreement {
    /// What `change` would move. Nothing, where it changes no owner or is fulfilled already.
    ///
    /// # Errors
    /// [`Refusal`]: the change cannot be.
    pub fn plan(&self, change: &Change) -> Result<Plan, Refusal> {
        self.plan_in(change, &Situation::default())
    }

    /// As [`plan`](Agreement::plan), in a situation in which not everybody is there.
    ///
    /// # Errors
    /// [`Refusal`]: the change cannot be.
    pub fn plan_in(&self, change: &Change, situation: &Situation) -> Result<Plan, Refusal> {
        Ok(match self.apply_in(change, situation)? {
            Successor::AlreadySo => between(&self.layout, &self.layout),
            Successor::Next(next) => between(&self.layout, &next.layout),
        })
    }
}

fn between(before: &Layout, after: &Layout) -> Plan {
    let mut plan = Plan::default();
    let mut moves: BTreeMap<(Option<NodeId>, NodeId), usize> = BTreeMap::new();
    for id in before.members.iter().chain(&after.members).map(|member| member.id) {
        plan.owned.entry(id).or_default();
    }
    for partition in after.partitions.iter() {
        let (old, new) = (owners(before, partition), owners(after, partition));
        old.iter().for_each(|id| plan.owned.entry(*id).or_default().before += 1);
        new.iter().for_each(|id| plan.owned.entry(*id).or_default().after += 1);
        let mut losers = old.iter().filter(|id| !new.contains(id));
        let mut winners = new.iter().filter(|id| !old.contains(id)).peekable();
        plan.partitions += usize::from(winners.peek().is_some());
        for to in winners {
            *moves.entry((losers.next().copied(), *to)).or_default() += 1;
        }
    }
    let relocation = |((from, to), slots)| Relocation { from, to, slots };
    plan.moves = moves.into_iter().map(relocation).collect();
    plan
}

fn owners(layout: &Layout, partition: PartitionId) -> Vec<NodeId> {
    layout.next_list(partition, layout.replicas).owners().collect()
}
