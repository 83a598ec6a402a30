//! Coordinating a page of a scan over the sort keys of one partition key.

use super::request::{Goes, Request, Work};
use super::{Shard, Turn};
use crate::coordinator::{Direction, Page, Scan, ScanStep};
use crate::error::Error;
use crate::id::PartitionId;
use crate::message::client::{PageItem, Reply};
use crate::message::peer::Data;
use crate::quorum::Quorum;
use crate::ring::Bucket;
use crate::store::{StoreError, key};
use crate::version::Record;
use bytes::Bytes;
use std::sync::Arc;

/// The most bytes of records on one replica's page.
const PAGE_BYTES: usize = 4 << 20;

/// A page under way.
#[derive(Debug)]
pub(super) struct ScanWork {
    pub tally: Scan,
    pub bucket: Arc<Bucket>,
    pub partition: PartitionId,
    pub partition_key: Bytes,
    pub quorum: Quorum,
    pub from: Bytes,
    pub to: Bytes,
    pub limit: u32,
}

impl ScanWork {
    /// What every replica is asked.
    pub fn question(&self) -> (PartitionId, Data) {
        let (from, to) = (self.from.clone(), self.to.clone());
        let reverse = self.tally.direction() == Direction::Reverse;
        (self.partition, Data::ScanRange { from, to, limit: self.limit, reverse })
    }
}

impl Shard {
    pub(super) fn restart_scan(&mut self, request: &mut Request) {
        let Work::Scan(scan) = &mut request.work else { return };
        let replicas = self.replicas(scan.partition, scan.bucket.settings.n);
        scan.tally = Scan::begin(scan.quorum, &replicas, self.view.me, scan.tally.direction());
    }

    pub(super) fn step_scan(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let me = self.view.me;
        loop {
            let Work::Scan(scan) = &mut request.work else { return Goes::Away };
            match scan.tally.step() {
                ScanStep::Ask(asks) => {
                    let (partition, question) = scan.question();
                    let here = asks.contains(&me);
                    for node in asks.into_iter().filter(|node| *node != me) {
                        self.ask(id, request, node, partition, &question, turn);
                    }
                    if !here {
                        return Goes::On;
                    }
                    let Work::Scan(scan) = &mut request.work else { return Goes::Away };
                    let (from, to) = (scan.from.clone(), scan.to.clone());
                    let (limit, direction) = (scan.limit, scan.tally.direction());
                    match self.page(partition, &from, &to, limit, direction, turn) {
                        Ok(page) => scan.tally.shows(me, page),
                        Err(_) => scan.tally.refused(me),
                    }
                }
                ScanStep::Answer { items, next } => {
                    self.answer_scan(request, items, next, turn);
                    return Goes::Away;
                }
                ScanStep::Missed => {
                    let (required, received) = (scan.tally.required(), scan.tally.received());
                    self.fail(request, Error::QuorumNotMet { required, received }, turn);
                    return Goes::Away;
                }
            }
        }
    }

    fn answer_scan(
        &mut self,
        request: &Request,
        items: Vec<(Bytes, Record)>,
        next: Option<Bytes>,
        turn: &mut Turn,
    ) {
        let Work::Scan(scan) = &request.work else { return };
        let sort_of = |key: &Bytes| key::parse_item(key).map(|item| Bytes::from(item.sort));
        let mut page = Vec::with_capacity(items.len());
        for (key, record) in &items {
            let (values, Some(sort)) = (self.values(record, turn), sort_of(key)) else { continue };
            if values.is_empty() {
                continue;
            }
            let scope = self.scope(&scan.bucket, &scan.partition_key, &sort);
            let context = scope.seal(&record.context()).as_str().to_owned();
            page.push(PageItem { sort, values, context });
        }
        let next = next.as_ref().and_then(sort_of);
        self.finish(request, Reply::Page { items: page, next }, turn);
    }

    /// What this node holds durably of a range, from the end where the scan begins. It examines at most `limit` items
    /// and [`PAGE_BYTES`].
    pub(super) fn page(
        &mut self,
        partition: PartitionId,
        from: &[u8],
        to: &[u8],
        limit: u32,
        direction: Direction,
        turn: &mut Turn,
    ) -> Result<Page, StoreError> {
        let keys = match direction {
            Direction::Forward => turn.store.scan(from, to, limit as usize)?,
            Direction::Reverse => turn.store.scan_back(from, to, limit as usize)?,
        };
        // So far: in reverse that is the last key itself, for everything from it on was examined.
        let upto = |key: &Bytes| match direction {
            Direction::Forward => after(key),
            Direction::Reverse => key.clone(),
        };
        let is_cut = keys.len() == limit as usize;
        let mut end = keys.last().filter(|_| is_cut).map(|(key, _)| upto(key));
        let mut items = Vec::with_capacity(keys.len());
        let (mut bytes, mut last) = (0, None);
        for (key, _) in keys {
            // One item always fits, so that a scan moves on.
            if bytes > PAGE_BYTES {
                end = match direction {
                    Direction::Forward => Some(key),
                    Direction::Reverse => last,
                };
                break;
            }
            last = Some(upto(&key));
            let record = super::pending::durable(&key, turn.store);
            if matches!(record, Err(StoreError::Damaged(_))) {
                self.cannot_read(&key, turn);
            }
            if let Some(record) = record? {
                bytes += record.value_bytes();
                items.push((key, record));
            }
        }
        // Down to the first key there is nothing left to examine.
        end = end.filter(|end| direction == Direction::Forward || &end[..] > from);
        let (first, upto) = match direction {
            Direction::Forward => (from, end.as_deref().unwrap_or(to)),
            Direction::Reverse => (end.as_deref().unwrap_or(from), to),
        };
        let complete = self.view.counts && !self.slots.is_rebuilding(partition);
        let rebuilding = !complete || self.doubts.between(first, upto).next().is_some();
        Ok(Page { items, end, rebuilding })
    }
}

/// The first possible key after `key`.
pub(in crate::node) fn after(key: &[u8]) -> Bytes {
    key::next(key)
}
