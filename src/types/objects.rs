//! What commands and types need of a store, and no more: items with siblings and contexts.

use crate::error::Result;
use crate::id::Item;
use crate::quorum::QuorumRequest;
use crate::version::OperationId;
use bytes::Bytes;
use std::future::Future;

/// All concurrent values of an item. None: it is not there, and the context still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Those that are neither deleted nor expired.
    pub values: Vec<Bytes>,
    /// For the next write; empty: nothing was seen.
    pub context: String,
}

/// One write.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of which item.
    pub item: Item,
    /// `None`: it is deleted.
    pub value: Option<Bytes>,
    /// What it replaces.
    pub context: String,
    /// In ms since 1970.
    pub expires_at: Option<u64>,
    /// The same in every retry.
    pub operation: OperationId,
}

/// A page of items of one partition key, by their sort keys.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Sort keys and what is there.
    pub items: Vec<(Bytes, Object)>,
    /// Where the next one begins; `None`: this was the last.
    pub next: Option<Bytes>,
}

/// A page of the partition keys of a bucket.
#[derive(Clone, Debug, Default)]
pub struct KeyPage {
    /// Each once.
    pub keys: Vec<Bytes>,
    /// What to ask with for the next page; `None`: this was the last.
    pub next: Option<Bytes>,
}

/// A `siblings` store.
pub trait Objects: Clone + Send + Sync + 'static {
    /// A name for a write, never given before.
    fn operation(&self) -> OperationId;

    /// Reads an item. One of a bucket that does not exist is one that is not there.
    ///
    /// # Errors
    /// As a read of the client library.
    fn read(
        &self,
        item: Item,
        quorum: QuorumRequest,
    ) -> impl Future<Output = Result<Object>> + Send;

    /// Writes an item, and answers with the context for the next write. A bucket that is not there is made.
    ///
    /// # Errors
    /// As a write of the client library: after `outcome_unknown` it may have happened.
    fn write(
        &self,
        change: Change,
        quorum: QuorumRequest,
    ) -> impl Future<Output = Result<String>> + Send;

    /// Items whose sort keys lie in `from..to`, a page of them; `to` empty: no end.
    ///
    /// # Errors
    /// As a read of the client library.
    fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
        quorum: QuorumRequest,
    ) -> impl Future<Output = Result<Page>> + Send;

    /// Partition keys under which something is, a page of them; `after` is the `next` of the page before, or empty.
    ///
    /// # Errors
    /// As a read of the client library.
    fn keys(
        &self,
        bucket: &str,
        after: Bytes,
        limit: u32,
        quorum: QuorumRequest,
    ) -> impl Future<Output = Result<KeyPage>> + Send;
}
