//! What all streams are shown of one second.

use super::super::metrics;

use crate::node::Durations;
use crate::server::counters::Snapshot;
use crate::server::timeline::{Answers, Entry};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A moment older than this is not shown to somebody who comes: the next is under way.
const FRESH: Duration = Duration::from_millis(1500);

/// Those of the metrics that the page draws. One that this build does not count is left out, and the page says so.
const METRICS: [&str; 13] = [
    "last_update",
    "read_repairs",
    "hints_pending",
    "hints_stored",
    "hints_replayed",
    "antientropy_bytes",
    "gossip_received_bytes",
    "gossip_sent_bytes",
    "store_bytes",
    "store_free_bytes",
    "logs_ingested",
    "ingested",
    "repairs_completed",
];

/// One second, ready to be sent.
pub(super) struct Moment {
    /// The event `snapshot`: small, for it comes every second.
    pub(super) snapshot: Bytes,
    /// The event `ring`, and a number that changes with it. It is large, and rarely new.
    pub(super) ring: Option<(u64, Bytes)>,
    /// All that the timeline keeps.
    pub(super) entries: Arc<[Entry]>,
    /// When it was put together.
    pub(super) made: Instant,
}

impl Moment {
    pub(super) fn is_fresh(&self) -> bool {
        self.made.elapsed() < FRESH
    }
}

/// An event of a stream. JSON has no line breaks, so one `data:` line holds it.
pub(super) fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The event `snapshot`.
pub(super) fn snapshot(answers: &Answers, seen: &Snapshot, logs_ingested: u64) -> Bytes {
    let all = metrics::object(seen, logs_ingested);
    let drawn = METRICS.iter().filter(|name| !all[**name].is_null());
    let drawn: Map<String, Value> =
        drawn.map(|name| ((*name).to_owned(), all[*name].clone())).collect();
    let mut operations: BTreeMap<&str, u64> = BTreeMap::new();
    for (labels, count) in &seen.node.requests {
        *operations.entry(labels.op).or_default() += count;
    }
    let mut levels: BTreeMap<&str, Durations> = BTreeMap::new();
    for (labels, took) in &seen.node.durations {
        let level = levels.entry(labels.consistency).or_default();
        level.count += took.count;
        level.counts.iter_mut().zip(&took.counts).for_each(|(sum, count)| *sum += count);
    }
    let levels: Map<String, Value> = levels
        .into_iter()
        .map(|(level, took)| {
            (level.to_owned(), json!({ "counts": took.counts, "count": took.count }))
        })
        .collect();
    let data = json!({
        "last_update": drawn["last_update"],
        "status": answers.status,
        "members": answers.members["members"],
        "hints": answers.hints,
        "metrics": drawn,
        "operations": operations,
        "durations": levels,
    });
    event("snapshot", &data)
}
