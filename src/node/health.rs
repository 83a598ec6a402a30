//! How many copies there are, as this node sees it at this moment.
//!
//! ```text
//!   owners  A  B  C      three live and complete: as it should be
//!           A  B  C†     under-replicated
//!           A  B† C†     at risk: fewer than a quorum; one more disk, and what was acknowledged may be gone
//! ```
//!
//! A suspect is still counted as live. A member that says it is rebuilding is counted as complete in none of its
//! slots: which ones it lacks, only it knows.

use super::topology::{MemberStatus, flags};
use crate::id::NodeId;
use crate::ring::Layout;
use std::collections::BTreeSet;

/// See the module's picture. The owners are those that are read, of a bucket with the largest n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Partitions with fewer live and complete owners than they have owners.
    pub under_replicated: u64,
    /// Of these, those with fewer than a majority of them.
    pub at_risk: u64,
    /// Of these, those with none at all.
    pub without_copy: u64,
}

impl Health {
    /// Counts, given what is known of the members.
    pub fn of(layout: &Layout, members: &[MemberStatus]) -> Health {
        let is_there = |m: &&MemberStatus| {
            let live = m.me || m.state.is_some_and(|state| state.is_live());
            m.agreed && live && m.flags & flags::REBUILDING == 0
        };
        let there: BTreeSet<NodeId> = members.iter().filter(is_there).map(|m| m.id).collect();
        let mut health = Health::default();
        for partition in layout.partitions.iter() {
            let owners = layout.preference_list(partition, layout.replicas).owners();
            let all = owners.len();
            let live = owners.filter(|owner| there.contains(owner)).count();
            health.under_replicated += u64::from(live < all);
            health.at_risk += u64::from(live < all / 2 + 1);
            health.without_copy += u64::from(live == 0);
        }
        health
    }

    /// What is wrong, in words; `None` where nothing is.
    pub fn words(&self) -> Option<String> {
        (self.under_replicated > 0).then(|| {
            format!(
                "{} partitions have fewer live copies than they should, {} of them are at risk",
                self.under_replicated, self.at_risk
            )
        })
    }
}
