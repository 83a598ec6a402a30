//! Coordinating a page of a bucket's partition keys: one partition after another, until enough was examined.
//!
//! ```text
//!   partition 12 ──R owners show──► a c f ─┐
//!   partition 13 ──R owners show──► (none) ├─► one reply: a c f b, and where the next page begins
//!   partition 14 ──R owners show──► b │ cut┘
//! ```
//!
//! A partition that cannot be read ends the page before it, if the page has come anywhere: the next one begins there,
//! and says why.

use super::cursor::Cursor;
use super::request::{Goes, Request, Work};
use super::{Shard, Turn};
use crate::coordinator::{HeldKey, KeyPage, Keys, KeysFound, KeysStep};
use crate::error::Error;
use crate::id::PartitionId;
use crate::message::client::{Reply, SCAN_PAGE_LIMIT};
use crate::message::peer::{self, Data};
use crate::quorum::{Quorum, QuorumRequest};
use crate::ring::Bucket;
use crate::store::{StoreError, key};
use crate::time::WallClock;
use crate::version::Head;
use bytes::Bytes;
use std::sync::Arc;

/// The most bytes of keys and heads on one replica's page.
const PAGE_BYTES: usize = 1 << 20;
/// How many heads a replica reads for one page, with those that it passes over.
const READ_PER_PAGE: usize = 4096;
/// How many heads are read at once: few behind a key with many items, for the next one may have as many.
const LOOK: std::ops::RangeInclusive<usize> = 4..=128;
/// How many partitions one page goes through: in a bucket with few keys most have none.
const PARTITIONS_PER_PAGE: usize = 64;

/// A page under way.
#[derive(Debug)]
pub(super) struct KeysWork {
    pub tally: Keys,
    pub partition: PartitionId,
    bucket: Arc<Bucket>,
    quorum: Quorum,
    prefix: Bytes,
    /// What is asked for in this partition.
    from: Bytes,
    to: Bytes,
    /// How many items may still be examined.
    left: usize,
    found: Vec<Bytes>,
    /// How many heads this node has read for it.
    read: usize,
    /// How many partitions it has gone through.
    passed: usize,
}

impl KeysWork {
    /// What every replica is asked.
    pub fn question(&self) -> (PartitionId, Data) {
        let limit = u32::try_from(self.left).unwrap_or(SCAN_PAGE_LIMIT);
        let (from, to, now) = (self.from.clone(), self.to.clone(), self.tally.now());
        (self.partition, Data::KeyRange { from, to, limit, now })
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.tally.bytes() + self.found.iter().map(Bytes::len).sum::<usize>()
    }
}

impl Shard {
    /// A page from here on.
    ///
    /// # Errors
    /// It cannot be begun; nothing was asked.
    pub(super) fn begin_keys(
        &self,
        bucket: Arc<Bucket>,
        after: &[u8],
        prefix: Bytes,
        limit: u32,
        quorum: QuorumRequest,
        turn: &Turn,
    ) -> Result<KeysWork, Error> {
        let settings = &bucket.settings;
        let quorum = quorum.resolve(settings.n, settings.r)?;
        let partitions = self.view.agreement.layout.partitions;
        let Cursor { partition, from } = Cursor::decode(after, bucket.id, partitions)?;
        let (first, to) = key::keys_range(partition, bucket.id, &prefix);
        let replicas = self.replicas(partition, settings.n);
        replicas.check(quorum)?;
        Ok(KeysWork {
            tally: Keys::begin(quorum, &replicas, self.view.me, self.date_shown(turn)),
            partition,
            quorum,
            prefix,
            // Behind the end there is nothing, of whatever list the position may be.
            from: from.max(first).min(to.clone()),
            to,
            left: limit.clamp(1, SCAN_PAGE_LIMIT) as usize,
            found: Vec::new(),
            read: 0,
            passed: 0,
            bucket,
        })
    }

    pub(super) fn restart_keys(&mut self, request: &mut Request) {
        let Work::Keys(keys) = &mut request.work else { return };
        let replicas = self.replicas(keys.partition, keys.bucket.settings.n);
        keys.tally = Keys::begin(keys.quorum, &replicas, self.view.me, keys.tally.now());
    }

    pub(super) fn step_keys(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let me = self.view.me;
        loop {
            let Work::Keys(keys) = &mut request.work else { return Goes::Away };
            match keys.tally.step() {
                KeysStep::Ask(asks) => {
                    let (partition, question) = keys.question();
                    let here = asks.contains(&me);
                    for node in asks.into_iter().filter(|node| *node != me) {
                        self.ask(id, request, node, partition, &question, turn);
                    }
                    if !here {
                        return Goes::On;
                    }
                    self.show_own_keys(request, turn);
                }
                KeysStep::Answer(found) => {
                    if let Taken::Enough(next) = self.take_keys(request, found) {
                        self.answer_keys(request, next, turn);
                        return Goes::Away;
                    }
                }
                KeysStep::Missed => {
                    let (required, received) = (keys.tally.required(), keys.tally.received());
                    self.end_keys(request, Error::QuorumNotMet { required, received }, turn);
                    return Goes::Away;
                }
            }
        }
    }

    fn show_own_keys(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Keys(keys) = &mut request.work else { return };
        let (partition, now, limit) = (keys.partition, keys.tally.now(), keys.left);
        let (from, to) = (keys.from.clone(), keys.to.clone());
        let page = self.key_page(partition, &from, &to, limit, now, turn);
        match page {
            Ok(page) => {
                keys.read += page.read;
                let items = page.items.into_iter().map(|own| HeldKey {
                    key: own.item.key,
                    record: own.head.without_values(),
                    passed_over: own.item.passed_over,
                });
                let (items, end, rebuilding) = (items.collect(), page.end, page.rebuilding);
                keys.tally.shows(self.view.me, KeyPage { items, end, rebuilding });
            }
            Err(_) => keys.tally.refused(self.view.me),
        }
    }

    /// Takes what a partition has, and begins the next one; or says where the next page begins, if that was enough.
    fn take_keys(&mut self, request: &mut Request, found: KeysFound) -> Taken {
        let Work::Keys(keys) = &mut request.work else { return Taken::Enough(None) };
        keys.found.extend(found.keys);
        keys.left = keys.left.saturating_sub(found.examined);
        keys.passed += 1;
        if let Some(next) = found.next.filter(|next| *next < keys.to) {
            return Taken::Enough(Some(Cursor { partition: keys.partition, from: next }));
        }
        let partitions = self.view.agreement.layout.partitions;
        let next = keys.partition.0.checked_add(1).map(PartitionId);
        let Some(next) = next.filter(|next| partitions.contains(*next)) else {
            return Taken::Enough(None);
        };
        let replicas = self.replicas(next, keys.bucket.settings.n);
        let enough = keys.left == 0
            || keys.passed >= PARTITIONS_PER_PAGE
            || keys.read >= READ_PER_PAGE
            || replicas.check(keys.quorum).is_err();
        if enough {
            return Taken::Enough(Some(Cursor::at(next, keys.bucket.id)));
        }
        keys.partition = next;
        (keys.from, keys.to) = key::keys_range(next, keys.bucket.id, &keys.prefix);
        keys.tally = Keys::begin(keys.quorum, &replicas, self.view.me, keys.tally.now());
        request.sent.clear();
        Taken::More
    }

    fn answer_keys(&mut self, request: &mut Request, next: Option<Cursor>, turn: &mut Turn) {
        let Work::Keys(keys) = &mut request.work else { return };
        let partitions = self.view.agreement.layout.partitions;
        let next = next.map(|next| next.encode(keys.bucket.id, partitions));
        let keys = std::mem::take(&mut keys.found);
        self.finish(request, Reply::Keys { keys, next }, turn);
    }

    /// This partition cannot be read. What was before it can be had nevertheless.
    pub(super) fn end_keys(&mut self, request: &mut Request, error: Error, turn: &mut Turn) {
        let Work::Keys(keys) = &request.work else { return };
        if keys.passed == 0 {
            return self.fail(request, error, turn);
        }
        let next = Cursor { partition: keys.partition, from: keys.from.clone() };
        self.answer_keys(request, Some(next), turn);
    }

    /// What this node holds durably of a range, up to the first value of each partition key.
    ///
    /// # Errors
    /// A head cannot be read; nothing changed.
    pub(super) fn key_page(
        &mut self,
        partition: PartitionId,
        from: &[u8],
        to: &[u8],
        limit: usize,
        now: WallClock,
        turn: &mut Turn,
    ) -> Result<OwnKeys, StoreError> {
        let mut page = OwnKeys::default();
        let (mut at, mut bytes, mut look) = (Bytes::copy_from_slice(from), 0, *LOOK.end());
        'page: loop {
            let heads = turn.store.scan(&at, to, look)?;
            page.read += heads.len();
            let is_last = heads.len() < look;
            let behind = heads.last().map(|(key, _)| key::next(key));
            // Behind the partition key that stands.
            let mut passed = Bytes::new();
            for (key, head) in heads {
                if key < passed {
                    continue;
                }
                if page.items.len() >= limit || bytes > PAGE_BYTES {
                    page.end = Some(key);
                    break 'page;
                }
                let Ok(decoded) = Head::decode(&head) else {
                    self.cannot_read(&key, turn);
                    return Err(StoreError::Damaged("a record's head cannot be read".into()));
                };
                bytes += key.len() + head.len();
                let passed_over = !decoded.is_deleted(now);
                if passed_over {
                    passed = key::after_key(&key).unwrap_or_default();
                }
                let item = peer::KeyItem { key, head, passed_over };
                page.items.push(OwnKey { item, head: decoded });
            }
            let Some(behind) = behind.filter(|_| !is_last) else { break };
            let jumps = passed > behind;
            look = if jumps { look / 4 } else { look * 2 };
            look = look.clamp(*LOOK.start(), *LOOK.end());
            at = behind.max(passed);
            if page.read >= READ_PER_PAGE {
                page.end = (at < to).then_some(at);
                break;
            }
        }
        let upto = page.end.as_deref().unwrap_or(to);
        let complete = self.view.counts && !self.slots.is_rebuilding(partition);
        page.rebuilding = !complete || self.doubts.between(from, upto).next().is_some();
        Ok(page)
    }
}

/// What this node holds of a range.
#[derive(Debug, Default)]
pub(super) struct OwnKeys {
    /// In order.
    pub items: Vec<OwnKey>,
    /// Everything below this store key was examined, but for what was passed over; `None`: the whole range.
    pub end: Option<Bytes>,
    /// The slot is not complete.
    pub rebuilding: bool,
    /// How many heads were read for it.
    pub read: usize,
}

/// An item as it travels, and its head.
#[derive(Debug)]
pub(super) struct OwnKey {
    pub item: peer::KeyItem,
    pub head: Head,
}

/// What became of a partition.
enum Taken {
    /// The next one is begun.
    More,
    /// The page ends; the next one begins there, if there is one.
    Enough(Option<Cursor>),
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
