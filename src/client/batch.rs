//! Many requests at once: each goes to its own owners, and each has its own outcome.
//!
//! ```text
//!   batch   put a ─► n2 ─► written          at most `in_flight` of them are under way;
//!           put b ─► n4 ─► outcome unknown   outcomes come in the order of the requests
//!           get c ─► n1 ─► got
//! ```
//!
//! A batch is no transaction: nothing is taken back when one of them fails, others see some of it before the rest, and
//! they are done in no order. Two writes of one key in a batch have not seen each other.

use super::{Get, Got, Put, Written};
use crate::error::Result;
use futures_util::StreamExt;
use futures_util::stream;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// How many requests of a batch are under way at once unless said.
pub const BATCH_IN_FLIGHT: usize = 64;

/// Requests to be sent together; made by [`Client::batch`](super::Client::batch). Await it to send them: the outcomes
/// come in the order in which the requests were added.
///
/// Each request is what its own builder says, with its own timeout, context and operation id: name the operations
/// ([`Put::operation`]) where the same batch may have to be sent again.
#[derive(Clone)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Batch {
    requests: Vec<Request>,
    in_flight: usize,
}

#[derive(Clone)]
enum Request {
    Put(Put),
    Get(Get),
}

/// What became of one request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of a write or a delete; the errors are those of [`Put`].
    Put(Result<Written>),
    /// Of a read.
    Get(Result<Got>),
}

impl Outcome {
    /// Whether it was done, and is known to be.
    pub fn is_ok(&self) -> bool {
        match self {
            Outcome::Put(outcome) => outcome.is_ok(),
            Outcome::Get(outcome) => outcome.is_ok(),
        }
    }
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch { requests: Vec::new(), in_flight: BATCH_IN_FLIGHT }
    }

    /// Adds a write, or a delete: what [`Client::put`](super::Client::put) and
    /// [`Client::delete`](super::Client::delete) make.
    pub fn put(mut self, put: Put) -> Self {
        self.requests.push(Request::Put(put));
        self
    }

    /// Adds a read.
    pub fn get(mut self, get: Get) -> Self {
        self.requests.push(Request::Get(get));
        self
    }

    /// At most so many are under way at once; at least 1.
    pub fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// How many requests it has.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

impl IntoFuture for Batch {
    type Output = Vec<Outcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let sent = stream::iter(self.requests).map(|request| async move {
            match request {
                Request::Put(put) => Outcome::Put(put.await),
                Request::Get(get) => Outcome::Get(get.await),
            }
        });
        Box::pin(sent.buffered(self.in_flight).collect())
    }
}
