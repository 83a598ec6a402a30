//! What is known of the moment when a change is proposed: who could not copy, and what could not be copied.
//!
//! ```text
//!   row   A  C† D†      n = 3, w = 2: two of the three are to be asked, and one is there
//!                       nothing in this row moves by itself until C or D is back
//!   row   A  B  C†      C goes out: X takes its place, never D†, who could not copy now
//! ```
//!
//! An opinion of whoever proposes, never a part of the value: whether a value may follow another is judged without it.

use super::{Agreement, Layout};
use crate::id::{NodeId, PartitionId};
use std::collections::BTreeSet;

/// See the module's picture. The default: everybody is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Members that keep what they have, and get nothing new.
    pub away: BTreeSet<NodeId>,
    /// Partitions of which too few owners are there to copy from. Only who leaves or is removed gives its place up.
    pub frozen: BTreeSet<PartitionId>,
}

impl Situation {
    /// The situation while only these are there, and of them these lack something that they are to own.
    pub fn new(
        agreement: &Agreement,
        live: &BTreeSet<NodeId>,
        incomplete: &BTreeSet<NodeId>,
    ) -> Situation {
        let layout = &agreement.layout;
        let members = layout.members.iter().map(|member| member.id);
        let away: BTreeSet<NodeId> = members.filter(|id| !live.contains(id)).collect();
        if away.is_empty() && incomplete.is_empty() {
            return Situation::default();
        }
        let quorums = agreement.quorums();
        let no_source = away.union(incomplete).copied().collect();
        let lacks =
            |p: &PartitionId| quorums.iter().any(|nrw| too_few(layout, *p, *nrw, &no_source));
        Situation { frozen: layout.partitions.iter().filter(lacks).collect(), away }
    }
}

/// Whether too few owners are there, and complete: n−w+1, so that they have whatever was acknowledged, but for what may
/// lie on one that is away alone; and n−r+1 where reads meet writes, or the others could still be read as if nothing had
/// moved.
fn too_few(
    layout: &Layout,
    partition: PartitionId,
    (n, r, w): (u8, u8, u8),
    away: &BTreeSet<NodeId>,
) -> bool {
    // What only ghosts had is lost.
    let owners = layout.preference_list(partition, n).owners();
    let n = owners.len();
    let left = owners.clone().filter(|owner| !layout.ghosts.contains(owner)).count();
    let but = |quorum: u8| (n + 1).saturating_sub(usize::from(quorum));
    let meet = usize::from(r) + usize::from(w) > n;
    let needed = but(w).min(n - 1).max(if meet { but(r) } else { 0 }).min(left);
    owners.filter(|owner| !away.contains(owner)).count() < needed
}

impl Agreement {
    /// The n and the default r and w of every bucket, and of one that is created with default settings.
    pub fn quorums(&self) -> BTreeSet<(u8, u8, u8)> {
        let majority = |n: u8| n / 2 + 1;
        let buckets = self.buckets.buckets.values().map(|bucket| &bucket.settings);
        let quorums = buckets.map(|bucket| {
            let default = majority(bucket.n);
            (bucket.n, bucket.r.unwrap_or(default), bucket.w.unwrap_or(default))
        });
        let replicas = self.layout.replicas;
        quorums.chain([(replicas, majority(replicas), majority(replicas))]).collect()
    }
}
