//! When step (b) of a change is over: no quorum of the owners that are read no more answers reads.
//!
//! ```text
//!   old owners   A  B  C    n = 3, r = 2        A and B live by (b): whoever asks A or B under (a) is refused,
//!                ✓  ✓  ✗                        and C alone is no quorum
//! ```

use super::Agreement;
use crate::id::NodeId;
use std::collections::BTreeSet;

impl Agreement {
    /// Whether n−r+1 of the owners that are read no more live by this value, for the n and the default r of every
    /// bucket, in every partition that moves. `installed`: who lives by it, or by a later one.
    pub fn is_settled(&self, installed: &BTreeSet<NodeId>) -> bool {
        let layout = &self.layout;
        let quorums: BTreeSet<(u8, u8)> =
            self.quorums().into_iter().map(|(n, r, _)| (n, r)).collect();
        // Who is gone is read by nobody: others refuse what it asks under an older epoch.
        layout.partitions_moving().all(|partition| {
            quorums.iter().all(|(n, r)| {
                let Some(old) = layout.other_list(partition, *n) else { return true };
                let there = old.owners().filter(|owner| !layout.is_gone(*owner)).count();
                let needed = (old.owners().len() + 1).saturating_sub(usize::from(*r)).min(there);
                old.owners().filter(|owner| installed.contains(owner)).count() >= needed
            })
        })
    }
}
