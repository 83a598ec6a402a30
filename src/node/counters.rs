//! What a node counts: plain numbers, read by whoever shows them.

use super::health::Health;
use crate::store::Stats;
use crate::time::Instant;
use std::collections::BTreeMap;

/// The upper bounds of the buckets of a request's duration, in microseconds.
pub const DURATION_BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Which requests, and how they ended: the labels of `quorate_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestLabels {
    /// `put`, `delete`, `get`, `scan`.
    pub op: &'static str,
    /// The level's word, `count` for an explicit number, `default` where the bucket decided.
    pub consistency: &'static str,
    /// `ok` or an error's code.
    pub outcome: &'static str,
}

/// Which requests, however they ended: the labels of `quorate_request_duration_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationLabels {
    /// As in [`RequestLabels`].
    pub op: &'static str,
    /// As in [`RequestLabels`].
    pub consistency: &'static str,
}

/// How long requests took.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    /// How many ended within each of [`DURATION_BOUNDS_US`] (not cumulative).
    pub counts: [u64; DURATION_BOUNDS_US.len()],
    /// How many ended at all.
    pub count: u64,
    /// The sum, in microseconds.
    pub sum_us: u64,
}

impl Durations {
    /// Counts one.
    pub fn observe(&mut self, us: u64) {
        if let Some(bucket) = DURATION_BOUNDS_US.iter().position(|bound| us <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

/// When this node last knew that it holds what the other owners hold. A range is a partition and another owner of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Ranges of this node.
    pub ranges: u64,
    /// Those that were not compared since it started.
    pub never: u64,
    /// When the one whose turn is longest ago was; those that never were are not counted.
    pub oldest: Option<Instant>,
}

/// Counts since the node opened, and a few levels as of now.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Turns that handled at least one event.
    pub turns: u64,
    /// Events handled.
    pub events: u64,
    /// Batches handed to the store.
    pub batches: u64,
    /// Buffers handed to the driver for a peer: one a peer and turn.
    pub peer_writes: u64,
    /// Bytes in those buffers.
    pub peer_bytes: u64,
    /// Clients' requests that ended, by what and how.
    pub requests: BTreeMap<RequestLabels, u64>,
    /// How long they took, by operation and level: who waits for one replica and who waits for all of them have
    /// different tails.
    pub durations: BTreeMap<DurationLabels, Durations>,
    /// Stale replicas that a read found and repaired.
    pub read_repairs: u64,
    /// Hints kept since the node opened.
    pub hints_stored: u64,
    /// Hints whose owner confirmed that it has the item durably.
    pub hints_replayed: u64,
    /// Hints whose owner owned the item no longer, and that went to its present owners.
    pub hints_retargeted: u64,
    /// Hints that became part of a dirty range.
    pub hints_collapsed: u64,
    /// Hints of an owner for another that were dropped for want of room: comparisons do without them.
    pub hints_left_to_trees: u64,
    /// Items that were not taken for others, because so many are kept already.
    pub hints_declined: u64,
    /// Hinted items that could not be read here, and that nobody gets.
    pub hints_unreadable: u64,
    /// Dirty ranges kept now.
    pub hint_ranges: u64,
    /// Hints kept now, and about how many items ranges stand for.
    pub hints_pending: u64,
    /// Partitions of this node that are rebuilding now.
    pub partitions_rebuilding: u64,
    /// How many copies there are of what.
    pub health: Health,
    /// How lately it was compared with others.
    pub verified: Verified,
    /// Records here that cannot be read, or were written over unread and not merged yet.
    pub records_unreadable: u64,
    /// Records that could not be read, and have been merged from other owners.
    pub records_mended: u64,
    /// How often everything here was read once more.
    pub scrubs: u64,
    /// Bytes that were read for that.
    pub scrub_bytes: u64,
    /// Records that were.
    pub scrub_records: u64,
    /// Records that could not be.
    pub scrub_damaged: u64,
    /// Places in the log that hold no whole batch where one should be.
    pub scrub_places: u64,
    /// Entries of the index that did not agree with the log.
    pub scrub_index: u64,
    /// Trees that did not tell what lies here.
    pub scrub_trees_differed: u64,
    /// Comparisons with another owner that were completed: of roots, or of a partition.
    pub sync_rounds: u64,
    /// Roots of trees that were compared with another owner's, asked by this node.
    pub sync_roots: u64,
    /// Heads read here to find out which items differ, on behalf of both sides.
    pub sync_heads: u64,
    /// Heads read here to build trees that no checkpoint told.
    pub tree_heads: u64,
    /// Bytes sent to find out what differs, and to fetch it.
    pub sync_bytes: u64,
    /// Items that such a comparison brought here, or to the other owner.
    pub sync_items: u64,
    /// Items that were taken from a restored backup, and did not come from another owner.
    pub restored_items: u64,
    /// Tombstones, and items that expired, that were collected here: every owner had them, and nobody anything older.
    pub tombstones_collected: u64,
    /// Operations of collected items that were forgotten before their time, for there were too many.
    pub collected_forgotten: u64,
    /// Heads read here to find tombstones.
    pub collection_heads: u64,
    /// Replicas that did not answer within an attempt.
    pub attempts_timed_out: u64,
    /// Puts that went on to another node, for this one may not coordinate them.
    pub forwards: u64,
    /// Reads that asked one owner more, because an answer was late.
    pub hedged_reads: u64,
    /// Those of them in which that one was heard before somebody who was asked earlier.
    pub hedges_won: u64,
    /// What was refused or dropped: by port (`gossip`, `peer`, `client`) and reason.
    pub rejected: BTreeMap<(&'static str, &'static str), u64>,
    /// Members by state.
    pub members: BTreeMap<&'static str, u64>,
    /// What the store holds; zeros until the driver that owns it says more.
    pub store: Stats,
}

impl Counters {
    /// Counts something that the store could not do.
    pub(super) fn note_store_error(&mut self, error: &crate::store::StoreError) {
        let reason = match error {
            crate::store::StoreError::Full(_) => "full",
            crate::store::StoreError::Failed(_) => "failed",
            crate::store::StoreError::Busy(_) => "busy",
            crate::store::StoreError::Damaged(_) => "damaged",
        };
        self.reject("store", reason);
    }

    /// Counts something refused or dropped.
    pub fn reject(&mut self, port: &'static str, reason: &'static str) {
        *self.rejected.entry((port, reason)).or_default() += 1;
    }
}
