//! The client library: any node, any time, and the truth about what happened.
//!
//! ```text
//!   client.put(…).await            one future a request; no task
//!        │  retries: same operation id, another node, until the deadline
//!   pool ┼───────────────┬────────────── an owner of the key, as far as is known; else round robin
//!        │               │
//!   link to n1       link to n2          one task and one connection each: all that is queued
//!        │               │               goes out in one write, answers are matched by id
//! ```
//!
//! | to | use |
//! |---|---|
//! | read, write, delete one item | [`Client::get`], [`Client::put`], [`Client::delete`] |
//! | go on from what was read | [`Got::context`], [`Put::context`]; in one call: [`Client::update`], [`Client::resolve`] |
//! | read no older than you wrote or read before | [`Client::session`] |
//! | store your own types | [`Client::put_as`], [`Got::value_as`], [`Json`], [`MessagePack`] |
//! | wait for a change | [`Client::watch`] |
//! | count, collect, without siblings | [`Client::counter`], [`Client::set`], [`Client::map`], [`Client::register`], [`Client::hll`] |
//! | read many items | [`Client::scan`], [`Client::keys`], [`Client::batch`] |
//! | say how requests are carried out | [`ExecutionProfile`], [`Client::with_profile`], [`Builder::retry_budget`] |
//! | see what happens | [`Builder::observer`], [`Counters`], the feature `tracing` |
//!
//! Errors are told by what the caller may do next and whether anything changed: [`Error`](crate::Error).
//!
//! A node that is silent while it owes an answer is asked for a sign of life and then dropped: its
//! requests go to the next node at once, and it is not asked again before it has greeted anew.
//!
//! ```no_run
//! # async fn example() -> quorate::Result<()> {
//! use quorate::client::{Client, Consistency};
//!
//! let client = Client::builder().nodes(["127.0.0.1:7610"]).build().await?;
//! client.put("carts", "alice", "tea").consistency(Consistency::Quorum).await?;
//! let got = client.get("carts", "alice").await?;
//! assert_eq!(got.value()?.map(|v| &v[..]), Some(&b"tea"[..]));
//! # Ok(())
//! # }
//! ```

mod admin;
mod answer;
mod attempts;
mod batch;
mod budget;
mod builder;
mod codec;
mod context;
mod execute;
mod get;
mod keys;
mod kv;
mod link;
#[cfg(feature = "server")]
pub mod load;
mod observer;
mod options;
mod pool;
mod profile;
mod put;
mod resolve;
mod routing;
mod scan;
pub mod session;
mod slab;
#[cfg(feature = "tracing")]
mod span;
mod typed;
mod update;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use crate::id::DataType;
pub use crate::message::client::{
    BackupRequest, BucketSpec, Explained, HintsKept, Info, Inspect, Item, ReplicaAsked, RingChange,
    Said, Version,
};
pub use crate::quorum::Consistency;
pub use crate::seal::{ClusterKey, KeyError, Keyring};
pub use crate::types::{FieldUpdate, FieldValue};
pub use crate::version::OperationId;
#[cfg(feature = "server")]
pub(crate) use admin::id_in;
pub use admin::{ChangeRing, CreateBucket, DropBucket, Inspection, SetBucket};
pub use answer::{Got, ScanItem, Written};
pub use batch::{BATCH_IN_FLIGHT, Batch, Outcome};
pub use builder::Builder;
pub use bytes::Bytes;
pub use codec::{Codec, Json, MessagePack, Undecodable, ValueError};
pub use context::Context;
pub use get::Get;
pub use keys::Keys;
pub use kv::Kv;
pub use observer::{Counted, Counters, Observer, RequestDone, RequestKind};
pub use options::Answer;
pub use pool::Traffic;
pub use profile::{ExecutionProfile, RetryBudget, RetryPolicy, Speculation};
pub use put::Put;
pub use resolve::{RESOLVE_ROUNDS, Resolve};
pub use scan::Scan;
pub use session::Session;
#[cfg(feature = "server")]
pub(crate) use typed::kind_in;
pub use update::{UPDATE_ROUNDS, Update};
pub use watch::ItemWatch;

use budget::Budget;
use observer::Watch;
use pool::Pool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle to a cluster. Cheap to clone, and all clones share the connections; they close when the last
/// clone is gone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    profile: Arc<ExecutionProfile>,
}

struct Inner {
    pool: Pool,
    named: BTreeMap<String, Arc<ExecutionProfile>>,
    session: u64,
    sequence: AtomicU64,
    retries: Budget,
    speculations: Budget,
    watch: Watch,
    /// What typed operations remember.
    desk: Arc<crate::types::Desk>,
}

impl Client {
    /// Begins a client; see [`Builder`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The same client with the defaults of a profile that [`Builder::named_profile`] has named: connections,
    /// operation ids and budgets are shared. For one request: `client.with_profile("fast")?.get(…)`.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound): nobody has named one so.
    pub fn with_profile(&self, name: &str) -> crate::Result<Client> {
        let missing = || crate::Error::NotFound(format!("no execution profile `{name}`"));
        let profile = self.inner.named.get(name).cloned().ok_or_else(missing)?;
        Ok(Client { inner: self.inner.clone(), profile })
    }

    /// How many retries were made so far, and how many were not for the [budget](Builder::retry_budget) was empty.
    pub fn retries(&self) -> (u64, u64) {
        self.inner.retries.counts()
    }

    /// Writes `value` under `key`. Without [`Put::context`] nothing is replaced: the value stands beside
    /// what is there. Await it to send it.
    pub fn put(
        &self,
        bucket: impl Into<String>,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
    ) -> Put {
        Put::new(self, bucket.into(), key.as_ref(), Some(value.into()))
    }

    /// Deletes what [`Put::context`] has seen of `key`; a concurrent write survives. Without a context,
    /// nothing was seen and nothing goes.
    pub fn delete(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> Put {
        Put::new(self, bucket.into(), key.as_ref(), None)
    }

    /// Reads `key`.
    pub fn get(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> Get {
        Get::new(self, bucket.into(), key.as_ref())
    }

    /// Waits for `key` to change, again and again.
    pub fn watch(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> ItemWatch {
        ItemWatch::new(self, bucket.into(), key.as_ref())
    }

    /// Reads the items of one partition key, in order of their sort keys.
    pub fn scan(&self, bucket: impl Into<String>, key: impl AsRef<[u8]>) -> Scan {
        Scan::new(self, bucket.into(), key.as_ref())
    }

    /// Lists the partition keys of a bucket under which something has a value.
    pub fn keys(&self, bucket: impl Into<String>) -> Keys {
        Keys::new(self, bucket.into())
    }

    /// Requests that are sent at once, each with its own outcome. No transaction; see [`Batch`].
    pub fn batch(&self) -> Batch {
        Batch::new()
    }

    /// Reads `key`; where there are siblings, writes back what `merge` makes of them, until a read
    /// shows one value. At most [`RESOLVE_ROUNDS`] times.
    pub fn resolve<V: Into<Bytes>>(
        &self,
        bucket: impl Into<String>,
        key: impl AsRef<[u8]>,
        merge: impl FnMut(&[Version]) -> V + Send + 'static,
    ) -> Resolve {
        Resolve::new(self, bucket.into(), key.as_ref(), merge)
    }

    /// Creates a bucket. Doing so again with the same settings is fine.
    pub fn create_bucket(&self, name: impl Into<String>) -> CreateBucket {
        CreateBucket::new(self, name.into())
    }

    /// Changes the defaults of a bucket: R, W, how long items live. Asking for the same again is fine.
    ///
    /// # Errors
    /// When it is awaited: [`Error::NotFound`](crate::Error::NotFound), there is no such bucket;
    /// [`Error::Invalid`](crate::Error::Invalid), it cannot be like that; nothing changed.
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): ask again.
    pub fn set_bucket(&self, name: impl Into<String>) -> SetBucket {
        SetBucket::new(self, name.into())
    }

    /// Drops a bucket and everything in it, for good: nobody can read it any more when the answer comes, and the nodes erase what
    /// they have of it. The next write to its name creates another bucket, with default settings.
    ///
    /// A write that is under way meanwhile may end in an error or be acknowledged, and is gone in either case. Not for the buckets
    /// of the log store: who is sending lines does not notice.
    ///
    /// # Errors
    /// When it is awaited: [`Error::NotFound`](crate::Error::NotFound), there is no such bucket, or the node has not heard of it yet.
    /// [`Error::ContextMismatch`](crate::Error::ContextMismatch): it was dropped before, and another one has its name, which stays.
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown): ask again; it is dropped, or will be, or not.
    pub fn drop_bucket(&self, name: impl Into<String>) -> DropBucket {
        DropBucket::new(self, name.into())
    }

    /// Lets the owners of partitions change: a member leaves, is removed or replaced, everybody gets its share.
    /// Asking for the same again is fine.
    pub fn change_ring(&self, change: RingChange) -> ChangeRing {
        ChangeRing::new(self, change)
    }

    /// Looks at the cluster, or at whichever node answers: for one certain node, build a client that
    /// knows only that one. The answer is JSON.
    pub fn inspect(&self, what: Inspect) -> Inspection {
        Inspection::new(self, what)
    }

    /// An operation id that no other write has. Give it to [`Put::operation`] when the same write may
    /// have to be sent again later, beyond the retries of one call.
    pub fn next_operation(&self) -> OperationId {
        OperationId {
            session: self.inner.session,
            sequence: self.inner.sequence.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// What this client has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.inner.pool.traffic()
    }

    /// The addresses of the nodes with a working connection, in the order in which they were given.
    pub fn nodes_up(&self) -> Vec<String> {
        self.inner.pool.nodes_up()
    }
}
