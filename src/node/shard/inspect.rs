//! This node's own records and slots, as JSON; no coordination, no repair.

use super::disk::disk_error;
use super::get::dot_name;
use super::pending;
use super::{Shard, Turn};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::client::{Item, SCAN_PAGE_LIMIT};
use crate::store::key;
use crate::version::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The most bytes of values on one page of a dump.
const PAGE_BYTES: usize = 256 << 10;

impl Shard {
    /// What this node lacks to be complete, and from whom; or the end of waiting for it.
    ///
    /// # Errors
    /// The node cannot write; or nobody has vouched for it yet. Nothing changed.
    pub fn accept_loss(&mut self, accept: bool, turn: &mut Turn) -> Result<Value, Error> {
        if accept && (self.disk.is_some() || !self.view.counts) {
            return Err(Error::Overloaded("the node is not in order yet".into()));
        }
        let rebuilding = self.slots.rebuilding();
        let name = |node: &NodeId| self.view.peers.get(node).map(|peer| peer.name.clone());
        let lacks = self.slots.lacks(&self.view);
        let lacks = lacks.iter().map(|(node, slots)| json!({ "name": name(node), "slots": slots }));
        let lacks: Vec<Value> = lacks.collect();
        if accept {
            let sizes = self.sizes();
            let (refill, restored, view) = (&self.refill, &self.restored, &*self.view);
            let is_refilled = |partition| refill.is_done(restored, view, partition, &sizes);
            for change in self.slots.accept_loss(view.lineage, &is_refilled) {
                turn.outbox.persist(change);
            }
        }
        Ok(json!({
            "name": self.view.name,
            "rebuilding": rebuilding,
            "accepted": accept,
            "left": self.slots.rebuilding(),
            "lacks": lacks,
        }))
    }

    /// How many slots this node owns.
    pub fn owned(&self) -> usize {
        self.slots.owned().count()
    }

    /// How many items lie in the slots of this node, tombstones with them; `None` while that is not known.
    pub fn items(&self) -> Option<u64> {
        self.slots.owned().map(|(partition, _)| self.trees.items(partition)).sum()
    }

    /// How many items a slot of this node has, on average over those that are known.
    pub fn items_a_slot(&self) -> f64 {
        let known: Vec<u64> =
            self.slots.owned().filter_map(|(partition, _)| self.trees.items(partition)).collect();
        known.iter().sum::<u64>() as f64 / known.len().max(1) as f64
    }

    /// The partitions of which this node owns a slot. What is not known yet is null.
    pub fn partitions_json(&self) -> Value {
        let slot = |(partition, rebuilding): (PartitionId, bool)| {
            json!({
                "partition": partition.0,
                "owned": true,
                "rebuilding": rebuilding,
                "unreadable": self.doubts.count(partition),
                "items": self.trees.items(partition),
                "root": self.trees.root(partition, 0).map(|root| format!("{root:032x}")),
            })
        };
        json!({ "partitions": self.slots.owned().map(slot).collect::<Vec<_>>() })
    }

    /// What this node keeps for others.
    pub fn hints_json(&self) -> Value {
        let owners: Vec<Value> = self
            .handoff
            .pending()
            .map(|(owner, count)| json!({ "owner": self.name_of(owner), "pending": count }))
            .collect();
        json!({
            "pending": self.handoff.total(),
            "ranges": self.handoff.ranges(),
            "full": self.keeps_enough(),
            "owners": owners,
        })
    }

    /// This node's record of one item.
    pub fn local_json(&self, item: &Item, turn: &Turn) -> Result<Value, Error> {
        let nothing = || Error::NotFound("this node has no record of it".into());
        let (_, _, key) = self.place(item).ok_or_else(nothing)?;
        let record = pending::durable(&key, turn.store).map_err(disk_error)?.ok_or_else(nothing)?;
        Ok(self.record_json(&key, &record))
    }

    /// A page of this node's records.
    pub fn dump_json(
        &self,
        bucket: Option<&str>,
        after: &Bytes,
        limit: u32,
        turn: &Turn,
    ) -> Result<Value, Error> {
        let (first, to) = key::data_range();
        let from = if after.is_empty() { first } else { after.clone() };
        let limit = limit.clamp(1, SCAN_PAGE_LIMIT);
        let keys = turn.store.scan(&from, &to, limit as usize).map_err(disk_error)?;
        let mut next = (keys.len() == limit as usize)
            .then(|| keys.last().map(|(key, _)| STANDARD.encode(super::scan::after(key))))
            .flatten();
        let mut items = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for (key, _) in keys {
            // A page must fit a frame, and one record always does.
            if bytes > PAGE_BYTES {
                next = Some(STANDARD.encode(&key));
                break;
            }
            let Some(parsed) = key::parse_item(&key) else { continue };
            let name = self.buckets_by_id.get(&parsed.bucket.0).map(|bucket| bucket.name.as_str());
            if bucket.is_some() && bucket != name {
                continue;
            }
            if let Some(record) = pending::durable(&key, turn.store).map_err(disk_error)? {
                bytes += record.value_bytes();
                items.push(self.record_json(&key, &record));
            }
        }
        Ok(json!({ "items": items, "next": next }))
    }

    fn record_json(&self, key: &[u8], record: &Record) -> Value {
        let bucket = key::bucket_of_item(key).and_then(|id| self.buckets_by_id.get(&id.0));
        record_json(bucket.map(|bucket| bucket.name.as_str()), key, record)
    }
}

/// A record as `dump` shows it.
pub fn record_json(bucket: Option<&str>, key: &[u8], record: &Record) -> Value {
    let parsed = key::parse_item(key);
    let (id, partition_key, sort) = parsed.map(|k| (k.bucket.0, k.key, k.sort)).unwrap_or_default();
    let siblings: Vec<Value> = record
        .siblings
        .iter()
        .map(|sibling| {
            let mut out = Map::new();
            match sibling.value() {
                Some(value) => out.insert("value".into(), STANDARD.encode(value).into()),
                None => out.insert("tombstone".into(), true.into()),
            };
            out.insert("dot".into(), dot_name(&sibling.dot).into());
            if sibling.beaten {
                out.insert("beaten".into(), true.into());
            }
            out.insert("expires_at".into(), json!(sibling.expires_at.map(|at| at.0)));
            Value::Object(out)
        })
        .collect();
    let vector: Map<String, Value> = record
        .siblings
        .vector()
        .iter()
        .map(|dot| {
            (format!("{:016x}.{}", dot.actor.incarnation, dot.actor.mint), dot.counter.into())
        })
        .collect();
    json!({
        "bucket": bucket.map_or_else(|| format!("{id:016x}"), str::to_owned),
        "key": STANDARD.encode(partition_key),
        "sort": STANDARD.encode(sort),
        "siblings": siblings,
        "vector": vector,
    })
}
