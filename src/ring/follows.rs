//! How one layout may follow another while data exist.
//!
//! ```text
//!   stable ──► (a) old, new ──► (b) new, old ──► stable, new
//!     ▲            │                 │
//!     ├── abort ───┘                 │ abort
//!     └──────────── (b) old, new ◄───┘
//! ```
//!
//! Tables are compared by the names in them: indices shift when members come or go. Whoever accepts a value asks
//! this of it, so no proposer can leave out a step, and no list changes but through both.

use super::layout::ids;
use super::{Goal, Layout, Table, Transition, TransitionStep};
use crate::id::NodeId;
use std::collections::BTreeSet;

impl Layout {
    /// Whether this may be the layout after `old` though data exist: nobody lost a place but by the steps of a
    /// change, and each step was next.
    pub(super) fn follows(&self, old: &Layout) -> bool {
        match (&old.transition, &self.transition) {
            (None, None) => self.extends(old),
            (None, Some(begun)) => {
                begun.step == TransitionStep::Copying
                    && begun.since == self.epoch
                    && self.same(&self.table, old, &old.table)
                    && self.names() == old.names()
            }
            (Some(before), Some(now)) => self.goes_on(now, old, before),
            (Some(before), None) => match before.step {
                TransitionStep::Copying => {
                    self.same(&self.table, old, &old.table) && self.names() == old.names()
                }
                TransitionStep::Settling => self.ends(old, before.goal),
            },
        }
    }

    /// The same change, where it was or at its next step, or on its way back.
    fn goes_on(&self, now: &Transition, old: &Layout, before: &Transition) -> bool {
        if now.goal == Goal::Back && before.goal != Goal::Back {
            return before.step == TransitionStep::Settling
                && (now.step, now.since) == (before.step, old.epoch)
                && self.same(&self.table, old, &before.other)
                && self.same(&now.other, old, &old.table)
                && self.names() == old.names();
        }
        let (table, other) = match (before.step, now.step) {
            (TransitionStep::Copying, TransitionStep::Settling) => (&before.other, &old.table),
            (a, b) if a == b => (&old.table, &before.other),
            _ => return false,
        };
        (now.since, now.goal) == (before.since, before.goal)
            && self.same(&self.table, old, table)
            && self.same(&now.other, old, other)
            && self.names() == old.names()
    }

    /// The new table alone, and who is gone for good is no member any more.
    fn ends(&self, old: &Layout, goal: Goal) -> bool {
        let mut names = old.names();
        if let Some(id) = goal.gone() {
            names.remove(&id);
        }
        self.same(&self.table, old, &old.table) && self.names() == names
    }

    fn names(&self) -> BTreeSet<NodeId> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// Whether a table here and one of `old` name the same members at the same positions.
    fn same(&self, table: &Table, old: &Layout, old_table: &Table) -> bool {
        table.width == old_table.width
            && table.cells.len() == old_table.cells.len()
            && ids(&self.members, &table.cells).eq(ids(&old.members, &old_table.cells))
    }

    /// Whether every preference list of `old` is a prefix of this layout's: nobody lost a place.
    fn extends(&self, old: &Layout) -> bool {
        let mut rows = self.table.rows().zip(old.table.rows());
        rows.all(|(new, before)| {
            new.len() >= before.len()
                && ids(&self.members, &new[..before.len()]).eq(ids(&old.members, before))
        })
    }
}
