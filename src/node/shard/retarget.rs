//! Hints whose owner owns the item no longer: each becomes hints for everybody who does.
//!
//! ```text
//!   hint "k for A", and A has left ─► hints "k for X", "k for Y", "k for Z"     one batch
//!                                     and each goes when its owner has k durably
//! ```
//!
//! Which of the owners lacks the item is not known here, so all of them get it: one that has it confirms
//! that at once. In a batch, because a hint that counted towards W must be there at every moment.

use super::{Shard, Turn};
use crate::id::NodeId;
use crate::store::key;
use bytes::Bytes;
use std::collections::BTreeMap;

/// How many hints are looked through for one owner in a turn.
const PAGE: usize = 256;

/// Whose hints are still to be looked through under the present layout, and from where on.
#[derive(Debug, Default)]
pub(super) struct Review {
    cursor: BTreeMap<NodeId, Bytes>,
}

impl Shard {
    /// The owners may be others than before: every hint is looked through.
    pub(super) fn review_hints(&mut self, turn: &mut Turn) {
        let owners = self.handoff.pending().map(|(owner, _)| owner);
        let from_the_start = owners.map(|owner| (owner, key::hint_range(Some(owner)).0));
        self.handoff.review.cursor = from_the_start.collect();
        self.retarget_ranges(turn);
        // The store will show these behind the place where the review then is.
        for hint in self.handoff.unflushed_hints() {
            self.retarget(&hint, turn);
        }
    }

    /// Looks through one more page of every owner's hints.
    pub(super) fn go_on_reviewing(&mut self, turn: &mut Turn) {
        for (owner, from) in std::mem::take(&mut self.handoff.review.cursor) {
            let (_, to) = key::hint_range(Some(owner));
            let Ok(page) = turn.store.scan(&from, &to, PAGE) else {
                self.handoff.review.cursor.insert(owner, from);
                continue;
            };
            if let Some((last, _)) = page.last() {
                self.handoff.review.cursor.insert(owner, super::scan::after(last));
            }
            for (hint, _) in page {
                self.retarget(&hint, turn);
            }
        }
    }

    /// Keeps a hint for every present owner in place of one for a former owner.
    fn retarget(&mut self, hint: &Bytes, turn: &mut Turn) {
        let Some((owner, item)) = key::parse_hint(hint) else { return };
        let Some(parsed) = key::parse_item(&item) else { return };
        let Some(bucket) = self.buckets_by_id.get(&parsed.bucket.0) else { return };
        let owners = self.owners(parsed.partition, bucket.settings.n);
        if owners.contains(&owner) || !self.has_hint(owner, &item, turn) {
            return;
        }
        for present in owners {
            self.keep_hint(present, &item, turn);
        }
        // Last: with the last hint the item would go.
        self.forget_hint(owner, &item, turn);
        self.counters.hints_retargeted += 1;
    }
}
