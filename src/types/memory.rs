//! A store of siblings in memory, of several replicas, that loses answers when it is told to.
//!
//! The causality is that of the nodes ([`Record`]), so that what is concurrent here would be there.

use super::objects::{Change, KeyPage, Object, Objects, Page};
use super::typed::{BucketKind, TypedObjects};
use crate::error::{Error, Result};
use crate::id::{BucketId, ClusterId, DataType, Item};
use crate::quorum::QuorumRequest;
use crate::time::{HybridTime, WallClock};
use crate::version::{
    Content, Context, ContextScope, Incarnations, Kind, OperationId, Record, Seen, Write,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

type Place = (String, Bytes, Bytes);

/// How many items a page has: few, so that there are several.
const PAGE: usize = 3;

/// One replica, which its clients alone read and write until it [meets](Memory::meet) another.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    number: u64,
    items: Mutex<BTreeMap<Place, Record>>,
    incarnations: Mutex<Incarnations>,
    sequence: AtomicU64,
    pub(crate) now: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    /// How many writes go well before any of those below.
    spared: AtomicU64,
    /// How many writes happen, and are answered as if nobody knew.
    lost: AtomicU64,
    /// How many writes do not happen, and are answered as if nobody knew.
    vanished: AtomicU64,
    /// How many requests are refused: nothing happens.
    refused: AtomicU64,
}

impl Memory {
    pub(crate) fn new(number: u64) -> Memory {
        let mut incarnations = Incarnations::new();
        incarnations.begin(number);
        Memory(Arc::new(Inner {
            number,
            items: Mutex::default(),
            incarnations: Mutex::new(incarnations),
            sequence: AtomicU64::new(1),
            now: AtomicU64::new(1),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            spared: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            vanished: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Both know what either knew.
    pub(crate) fn meet(&self, other: &Memory) {
        let mut ours = self.0.items.lock().unwrap();
        let mut theirs = other.0.items.lock().unwrap();
        for (place, record) in theirs.iter() {
            let ours = ours.entry(place.clone()).or_insert_with(|| Record::new(Kind::Siblings));
            ours.join(record);
        }
        for (place, record) in ours.iter() {
            let theirs = theirs.entry(place.clone()).or_insert_with(|| Record::new(Kind::Siblings));
            theirs.join(record);
        }
    }

    /// Before what is lost or vanishes, so many writes go well.
    pub(crate) fn spare(&self, writes: u64) {
        self.0.spared.store(writes, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self, answers: u64) {
        self.0.lost.store(answers, Ordering::Relaxed);
    }

    pub(crate) fn vanish(&self, writes: u64) {
        self.0.vanished.store(writes, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, requests: u64) {
        self.0.refused.store(requests, Ordering::Relaxed);
    }

    /// How many items of these buckets have a value.
    pub(crate) fn values(&self, bucket: &str) -> usize {
        let items = self.0.items.lock().unwrap();
        let of = items.iter().filter(|((found, ..), _)| found.starts_with(bucket));
        of.filter(|(_, record)| record.siblings.values().next().is_some()).count()
    }

    /// Reads and writes so far.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.0.reads.load(Ordering::Relaxed), self.0.writes.load(Ordering::Relaxed))
    }

    fn scope(item: &Item) -> ContextScope {
        ContextScope::new(ClusterId(1), BucketId(1), &item.key, &item.sort, &[7; 32])
    }

    fn one_less(count: &AtomicU64) -> bool {
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn check(&self) -> Result<()> {
        match Memory::one_less(&self.0.refused) {
            true => Err(Error::Unavailable { required: 2, alive: 1 }),
            false => Ok(()),
        }
    }

    fn object(&self, item: &Item, record: &Record) -> Object {
        let values = record.siblings.values().map(|(_, value)| value.clone()).collect();
        let context = Memory::scope(item).seal(&record.context()).as_str().to_owned();
        Object { values, context }
    }
}

impl Objects for Memory {
    fn operation(&self) -> OperationId {
        let sequence = self.0.sequence.fetch_add(1, Ordering::Relaxed);
        OperationId { session: self.0.number, sequence }
    }

    async fn read(&self, item: Item, _: QuorumRequest) -> Result<Object> {
        self.check()?;
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        // As a network would: others have their turn.
        tokio::task::yield_now().await;
        let items = self.0.items.lock().unwrap();
        let place = (item.bucket.clone(), item.key.clone(), item.sort.clone());
        Ok(items.get(&place).map(|record| self.object(&item, record)).unwrap_or_default())
    }

    async fn write(&self, change: Change, _: QuorumRequest) -> Result<String> {
        self.check()?;
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let spared = Memory::one_less(&self.0.spared);
        if !spared && Memory::one_less(&self.0.vanished) {
            return Err(Error::OutcomeUnknown { required: 2, received: 0 });
        }
        let Change { item, value, context, operation, .. } = change;
        let scope = Memory::scope(&item);
        let seen = match context.is_empty() {
            true => Seen::default(),
            false => scope.open(&Context::new(context), &[]).expect("a context of ours"),
        };
        let mut items = self.0.items.lock().unwrap();
        let place = (item.bucket.clone(), item.key.clone(), item.sort.clone());
        let record = items.entry(place).or_insert_with(|| Record::new(Kind::Siblings));
        let now = self.0.now.fetch_add(1, Ordering::Relaxed);
        let stamp = HybridTime::from_wall(WallClock(now)).max(record.stamp_after(&seen).next());
        let content = value.map_or(Content::Tombstone, Content::Value);
        let write = Write { operation, stamp, expires_at: None, content, tried_since: None };
        let mut incarnations = self.0.incarnations.lock().unwrap();
        record.write(&seen, write, &mut incarnations, true).expect("mints are left");
        if !spared && Memory::one_less(&self.0.lost) {
            return Err(Error::OutcomeUnknown { required: 2, received: 1 });
        }
        Ok(scope.seal(&record.context_after(&seen, operation)).as_str().to_owned())
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
        _: QuorumRequest,
    ) -> Result<Page> {
        self.check()?;
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let items = self.0.items.lock().unwrap();
        let mut page = Page::default();
        for ((found, of, sort), record) in items.range((bucket.to_owned(), key.clone(), from)..) {
            let item = Item { bucket: bucket.to_owned(), key: key.clone(), sort: sort.clone() };
            if found != bucket || *of != key || (!to.is_empty() && *sort >= to) {
                break;
            }
            let object = self.object(&item, record);
            if object.values.is_empty() {
                continue;
            }
            if page.items.len() == PAGE {
                page.next = Some(sort.clone());
                break;
            }
            page.items.push((sort.clone(), object));
        }
        Ok(page)
    }

    async fn keys(
        &self,
        bucket: &str,
        after: Bytes,
        limit: u32,
        _: QuorumRequest,
    ) -> Result<KeyPage> {
        let items = self.0.items.lock().unwrap();
        let there = items.iter().filter(|((found, key, _), record)| {
            found == bucket && *key > after && record.siblings.values().next().is_some()
        });
        let mut keys: Vec<Bytes> = there.map(|((_, key, _), _)| key.clone()).collect();
        keys.dedup();
        let is_more = keys.len() > limit as usize;
        keys.truncate(limit as usize);
        let next = keys.last().cloned().filter(|_| is_more);
        Ok(KeyPage { keys, next })
    }
}

/// A bucket that is called like a type is of that type.
impl TypedObjects for Memory {
    async fn bucket_kind(&self, bucket: &str) -> Result<BucketKind> {
        Ok(DataType::named(bucket).map_or(BucketKind::Plain, BucketKind::Typed))
    }

    async fn create_typed(&self, _: &str, _: DataType) -> Result<()> {
        unreachable!("every bucket is there")
    }
}
