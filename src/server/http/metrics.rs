//! A snapshot as OpenMetrics text, or as one flat JSON object.

use super::super::counters::Snapshot;
use crate::node::{Counters, DURATION_BOUNDS_US};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text as openmetrics};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Everything as OpenMetrics text.
pub(super) fn text(
    snapshot: Arc<Snapshot>,
    bridge_rejected: BTreeMap<(&'static str, &'static str), u64>,
    logs_ingested: u64,
    resp_commands: Vec<(&'static str, u64)>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("quorate");
    let scrape = Scrape { snapshot, bridge_rejected, logs_ingested, resp_commands };
    registry.register_collector(Box::new(scrape));
    let mut out = String::new();
    openmetrics::encode(&mut out, &registry)?;
    Ok(out)
}

/// Everything that has one number, as one flat object.
pub(super) fn object(snapshot: &Snapshot, logs_ingested: u64) -> Value {
    let (node, driver) = (&snapshot.node, &snapshot.driver);
    let mut object = json!({
        "last_update": seconds(snapshot),
        "ready": u64::from(snapshot.unready.is_none()),
        "ingested": ingested(node),
        "logs_ingested": logs_ingested,
        "repairs_completed": repairs_completed(node),
        "requests": node.requests.values().sum::<u64>(),
        "members": node.members.values().sum::<u64>(),
        "rejected": node.rejected.values().chain(driver.rejected.values()).sum::<u64>(),
        "connections": driver.connections,
    });
    for (state, count) in &node.members {
        object[format!("members_{state}")] = (*count).into();
    }
    for (name, _, value) in counts(snapshot) {
        object[name] = value.into();
    }
    for (name, _, value) in levels(snapshot) {
        object[name] = value.into();
    }
    object
}

fn seconds(snapshot: &Snapshot) -> f64 {
    snapshot.wall.0 as f64 / 1000.0
}

/// Writes that this node coordinated and that were acknowledged.
fn ingested(node: &Counters) -> u64 {
    let puts = node.requests.iter().filter(|(l, _)| l.op == "put" && l.outcome == "ok");
    puts.map(|(_, count)| *count).sum()
}

/// Stale replicas that were mended, by reads and by comparisons.
fn repairs_completed(node: &Counters) -> u64 {
    node.read_repairs + node.sync_items
}

/// What only grows: name, meaning, number.
fn counts(snapshot: &Snapshot) -> [(&'static str, &'static str, u64); 46] {
    let (node, driver) = (&snapshot.node, &snapshot.driver);
    [
        ("turns", "Turns of the node thread", driver.turns),
        ("turns_with_events", "Turns that handled at least one event", node.turns),
        ("events", "Events handled", node.events),
        ("store_batches", "Batches handed to the store", node.batches),
        ("socket_reads", "Reads from native TCP connections", driver.reads),
        ("socket_writes", "Writes to native TCP connections", driver.writes),
        ("socket_written_bytes", "Bytes written to native connections", driver.written_bytes),
        ("native_requests", "Requests of native clients", driver.requests),
        ("peer_writes", "Buffers for a peer, at most one a turn", node.peer_writes),
        ("peer_buffers_dropped", "Buffers that a peer did not take", driver.peer_buffers_dropped),
        ("datagrams_received", "Gossip datagrams received", driver.datagrams_received),
        ("datagrams_sent", "Gossip datagrams sent", driver.datagrams_sent),
        ("datagrams_dropped", "Gossip datagrams without room", driver.datagrams_dropped),
        ("gossip_received_bytes", "Bytes of gossip received", driver.datagram_bytes_received),
        ("gossip_sent_bytes", "Bytes of gossip sent", driver.datagram_bytes_sent),
        ("read_repairs", "Stale replicas found by reads", node.read_repairs),
        ("hints_stored", "Hints kept", node.hints_stored),
        ("hints_replayed", "Hints that their owner has confirmed", node.hints_replayed),
        ("hints_retargeted", "Hints of owners that left, for the new ones", node.hints_retargeted),
        ("hints_collapsed", "Hints that became part of a range", node.hints_collapsed),
        ("hints_left_to_trees", "Hints dropped between owners", node.hints_left_to_trees),
        ("hints_declined", "Items not taken for others for want of room", node.hints_declined),
        ("hints_unreadable", "Hinted items that had rotted", node.hints_unreadable),
        ("antientropy_rounds", "Comparisons with another owner completed", node.sync_rounds),
        ("antientropy_bytes", "Bytes sent to find what differs and fetch it", node.sync_bytes),
        ("antientropy_roots", "Partitions whose roots were compared", node.sync_roots),
        ("antientropy_heads", "Index entries read to find what differs", node.sync_heads),
        ("tree_heads", "Index entries read to build hash trees", node.tree_heads),
        ("antientropy_items", "Items that comparisons mended", node.sync_items),
        ("restored_items", "Items taken from a restored backup", node.restored_items),
        ("repairs_completed", "Replicas mended", repairs_completed(node)),
        ("tombstones_collected", "Tombstones that were collected", node.tombstones_collected),
        (
            "collected_forgotten",
            "Operations of what was collected, forgotten before their time",
            node.collected_forgotten,
        ),
        ("collection_heads", "Index entries read to find tombstones", node.collection_heads),
        ("scrub_passes", "Times that everything was read once more", node.scrubs),
        ("scrub_bytes", "Bytes read for that", node.scrub_bytes),
        ("scrub_records", "Records read for that", node.scrub_records),
        ("scrub_damaged", "Records that had rotted", node.scrub_damaged),
        ("scrub_damaged_places", "Places in the log without a whole batch", node.scrub_places),
        ("scrub_index_mended", "Index entries that the log gainsaid", node.scrub_index),
        ("scrub_trees_differed", "Hash trees that were wrong", node.scrub_trees_differed),
        ("records_mended", "Unreadable records fetched from others", node.records_mended),
        ("attempts_timed_out", "Replicas that did not answer in time", node.attempts_timed_out),
        ("forwards", "Writes passed on to a node that may coordinate them", node.forwards),
        ("hedged_reads", "Reads that asked one owner more", node.hedged_reads),
        ("hedges_won", "Of them, in which that one was earlier", node.hedges_won),
    ]
}

/// What goes up and down: name, meaning, number.
fn levels(snapshot: &Snapshot) -> [(&'static str, &'static str, u64); 16] {
    let (node, driver, store) = (&snapshot.node, &snapshot.driver, &snapshot.node.store);
    let verified = &node.verified;
    [
        ("hints_pending", "Hints kept now", node.hints_pending),
        ("hint_ranges", "Partitions noted in place of hints now", node.hint_ranges),
        ("partitions_rebuilding", "Partitions that are rebuilding now", node.partitions_rebuilding),
        (
            "partitions_under_replicated",
            "Partitions with fewer live copies than they should have",
            node.health.under_replicated,
        ),
        (
            "partitions_at_risk",
            "Partitions with fewer live copies than a quorum",
            node.health.at_risk,
        ),
        ("antientropy_ranges", "Partitions here, once for each other owner", verified.ranges),
        (
            "antientropy_ranges_unverified",
            "Of these, those not compared since this node started",
            verified.never,
        ),
        (
            "antientropy_oldest_seconds",
            "Since the range was compared whose turn is longest ago",
            verified.oldest.map_or(0, |oldest| snapshot.instant.since(oldest).as_secs()),
        ),
        ("native_connections", "Native connections open now", driver.connections),
        ("store_bytes", "Bytes of log and index", store.log_bytes + store.index_bytes),
        ("store_log_bytes", "Bytes of all segments of the log", store.log_bytes),
        ("store_live_bytes", "Bytes of the records in the log that are live", store.live_bytes),
        ("store_index_bytes", "Bytes of the index at its last checkpoint", store.index_bytes),
        ("store_segments", "Segments of the log", store.segments),
        ("store_free_bytes", "Bytes free on the disk of the store", store.free_bytes),
        ("store_full", "No writes for want of space", u64::from(store.full)),
    ]
}

#[derive(Debug)]
struct Scrape {
    snapshot: Arc<Snapshot>,
    bridge_rejected: BTreeMap<(&'static str, &'static str), u64>,
    logs_ingested: u64,
    resp_commands: Vec<(&'static str, u64)>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (node, driver) = (&self.snapshot.node, &self.snapshot.driver);
        for (name, help, value) in counts(&self.snapshot) {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        for (name, help, value) in levels(&self.snapshot) {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        encoder
            .encode_descriptor(
                "logs_ingested",
                "Lines of logs that this node took over HTTP and syslog",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, u64>(&self.logs_ingested, None)?;
        encoder
            .encode_descriptor("ready", "Joined and not rebuilding", None, MetricType::Gauge)?
            .encode_gauge(&u64::from(self.snapshot.unready.is_none()))?;
        encoder
            .encode_descriptor(
                "last_update_timestamp",
                "When these numbers were taken",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&seconds(&self.snapshot))?;

        let mut requests = encoder.encode_descriptor(
            "requests",
            "Clients' requests that ended",
            None,
            MetricType::Counter,
        )?;
        for (labels, count) in &node.requests {
            requests
                .encode_family(&[
                    ("op", labels.op),
                    ("consistency", labels.consistency),
                    ("outcome", labels.outcome),
                ])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let mut commands = encoder.encode_descriptor(
            "resp_commands",
            "Commands of Redis clients",
            None,
            MetricType::Counter,
        )?;
        for (class, count) in &self.resp_commands {
            commands
                .encode_family(&[("class", *class)])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let mut members =
            encoder.encode_descriptor("members", "Members by state", None, MetricType::Gauge)?;
        for (state, count) in &node.members {
            members.encode_family(&[("state", *state)])?.encode_gauge(count)?;
        }
        let mut rejected = encoder.encode_descriptor(
            "rejected",
            "What was refused or dropped",
            None,
            MetricType::Counter,
        )?;
        let mut all: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (labels, count) in
            node.rejected.iter().chain(&driver.rejected).chain(&self.bridge_rejected)
        {
            *all.entry(*labels).or_default() += count;
        }
        for ((port, reason), count) in &all {
            rejected
                .encode_family(&[("port", *port), ("reason", *reason)])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let mut durations = encoder.encode_descriptor(
            "request_duration",
            "How long clients' requests took",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (labels, took) in &node.durations {
            let mut buckets: Vec<(f64, u64)> = DURATION_BOUNDS_US
                .iter()
                .zip(&took.counts)
                .map(|(bound, count)| (*bound as f64 / 1e6, *count))
                .collect();
            buckets.push((f64::MAX, took.count.saturating_sub(took.counts.iter().sum())));
            durations
                .encode_family(&[("op", labels.op), ("consistency", labels.consistency)])?
                .encode_histogram::<NoLabelSet>(
                    took.sum_us as f64 / 1e6,
                    took.count,
                    &buckets,
                    None,
                )?;
        }
        Ok(())
    }
}
