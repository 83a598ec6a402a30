//! The table of what is under way.

use super::request::{Request, Work};
use crate::message::client::Request as ClientRequest;
use std::collections::BTreeMap;

/// Every request of this node, by its number.
///
/// - A number is given out once, also across lives: the first one of a life is random, for an answer that
///   was meant for an earlier life may still be on its way.
#[derive(Debug)]
pub(super) struct Requests {
    entries: BTreeMap<u64, Request>,
    last: u64,
    clients: usize,
    parked: usize,
    bytes: usize,
}

impl Requests {
    /// None are under way; numbers go on from `first`, which is random.
    pub fn new(first: u64) -> Requests {
        // Half of all numbers are left: neither 0 nor the life's own ticket is ever reached.
        Requests { entries: BTreeMap::new(), last: first >> 1, clients: 0, parked: 0, bytes: 0 }
    }

    /// A number for a new request. 0 is never given out.
    pub fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn take(&mut self, id: u64) -> Option<Request> {
        let request = self.entries.remove(&id)?;
        self.bytes -= request.bytes;
        self.clients -= usize::from(request.asker.labels.is_some());
        self.parked -= usize::from(matches!(request.work, Work::Parked { .. }));
        Some(request)
    }

    pub fn put(&mut self, id: u64, mut request: Request) {
        request.bytes = request.work.bytes();
        self.bytes += request.bytes;
        self.clients += usize::from(request.asker.labels.is_some());
        self.parked += usize::from(matches!(request.work, Work::Parked { .. }));
        self.entries.insert(id, request);
    }

    /// Those that wait for their bucket, oldest first.
    pub fn parked(&self) -> impl Iterator<Item = (&ClientRequest, &str)> {
        // Most of the time there are none, and this is asked for every turn.
        let entries = (self.parked > 0).then_some(&self.entries);
        entries.into_iter().flat_map(BTreeMap::values).filter_map(|entry| match &entry.work {
            Work::Parked { request, bucket, .. } => Some((&**request, &**bucket)),
            _ => None,
        })
    }

    /// How many requests of clients are under way.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// How many bytes of values all requests under way hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.clients == 0
    }

    /// Their numbers, oldest first.
    pub fn numbers(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    pub fn get(&self, id: u64) -> Option<&Request> {
        self.entries.get(&id)
    }
}
