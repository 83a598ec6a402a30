//! A majority of the members is gone for ever: those who are left found the cluster anew.
//!
//! ```text
//!   index i     cluster 7, voters A B C D E        C D E are gone
//!   index i+1   cluster 9, voters A B, ghosts C D E, former: 7       decided by an operator, not by a majority
//!               same lists: A C D …   B A E …      nothing has moved yet
//!   i+2 …       ghosts lose their places by the ordinary three steps, as soon as enough others are there
//! ```
//!
//! - Every survivor makes the same value of the same one, so nothing is decided twice; and the new id follows from
//!   what was decided, so the same decision, repeated, is the same cluster, and another one is another.
//! - Under the new id nobody hears those who go on with the old one. Contexts of the old one still count.
//! - What only ghosts had is lost. What some of them had and some of the others is copied from these, though they
//!   may be too few to know whatever was acknowledged: that is what the operator says yes to.

use super::{Agreement, Refusal, Transition, TransitionStep};
use crate::id::{ClusterId, Epoch, NodeId};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::Xxh3;

impl Agreement {
    /// The members that choose the next value.
    pub fn voters(&self) -> BTreeSet<NodeId> {
        let members = self.layout.members.iter().map(|member| member.id);
        members.filter(|id| !self.layout.ghosts.contains(id)).collect()
    }

    /// The cluster as only these go on with it.
    ///
    /// # Errors
    /// [`Refusal`]: one of them is no member that counts, or they are a majority and need no force.
    pub fn survived(&self, survivors: &BTreeSet<NodeId>) -> Result<Agreement, Refusal> {
        let voters = self.voters();
        if let Some(stranger) = survivors.iter().find(|id| !voters.contains(id)) {
            return Err(Refusal::NoSuchMember(*stranger));
        }
        if survivors.is_empty() || survivors.len() >= self.majority() {
            return Err(Refusal::Majority);
        }
        let mut layout = self.layout.clone();
        layout.former.push(layout.cluster);
        layout.cluster = self.refounded(survivors);
        layout.epoch = Epoch(layout.epoch.0 + 1);
        layout.ghosts.extend(voters.difference(survivors));
        // What was under way is taken back, step by step where new owners are read already.
        let (before, after) = self.layout.tables();
        let settling = self.layout.transition.as_ref().map(|t| t.step);
        layout.transition = (settling == Some(TransitionStep::Settling))
            .then(|| Transition::back(self.layout.epoch, after.clone()));
        layout.table = before.clone();
        layout.held.clear();
        layout.out.retain(|id| survivors.contains(id));
        let owners = layout.owners();
        let stands = |id: &NodeId| owners.contains(id) || layout.stands_in(*id, &layout.table);
        let leaving = layout.leaving.iter().copied();
        layout.leaving = leaving.filter(|id| survivors.contains(id) && !stands(id)).collect();
        let next = Agreement { index: self.index + 1, layout, ..self.clone() };
        next.validate()?;
        Ok(next)
    }

    /// The id under which these go on from this value.
    pub fn refounded(&self, survivors: &BTreeSet<NodeId>) -> ClusterId {
        let mut hasher = Xxh3::new();
        hasher.update(&self.layout.cluster.0.to_le_bytes());
        hasher.update(&self.index.to_le_bytes());
        survivors.iter().for_each(|id| hasher.update(&id.0.to_le_bytes()));
        ClusterId(hasher.digest().max(1))
    }
}
