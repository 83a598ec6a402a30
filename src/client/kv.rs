//! What a layer on top needs of a store, and no more: so that the same code runs in a client's process and inside a node.
//!
//! ```text
//!   logs ──► Kv ──┬── Client        over the network, to whoever is alive
//!                 └── a node's HTTP thread, straight to its own node
//! ```

use super::{Bytes, Client, Item};
use crate::error::Result;
use crate::time::WallClock;
use std::future::Future;

/// Items of buckets where the last write wins: one value each.
pub trait Kv: Clone + Send + Sync + 'static {
    /// Creates a bucket in which the last write wins, with the cluster's own N, R and W. Doing so again is fine.
    ///
    /// # Errors
    /// As [`Client::create_bucket`].
    fn create_lww_bucket(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Writes a value; done when as many replicas as the bucket's W have it durably. `expires_at` is in ms since 1970.
    ///
    /// # Errors
    /// As [`Client::put`]. What is written again with the same value has done no harm.
    fn write(
        &self,
        item: Item,
        value: Bytes,
        expires_at: Option<u64>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads a value, as as many replicas as the bucket's R know it.
    ///
    /// # Errors
    /// As [`Client::get`].
    fn read(&self, item: Item) -> impl Future<Output = Result<Option<Bytes>>> + Send;

    /// All items of a partition key whose sort keys lie in `from..to` (empty: no end), in order, in memory at once.
    ///
    /// # Errors
    /// As [`Client::scan`].
    fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
    ) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>>> + Send;
}

impl Kv for Client {
    async fn create_lww_bucket(&self, name: &str) -> Result<()> {
        self.create_bucket(name).lww(true).await.map(drop)
    }

    async fn write(&self, item: Item, value: Bytes, expires_at: Option<u64>) -> Result<()> {
        let mut put = self.put(item.bucket, &item.key, value).sort(&item.sort);
        if let Some(expires_at) = expires_at {
            put = put.expires_at(WallClock(expires_at));
        }
        put.await.map(drop)
    }

    async fn read(&self, item: Item) -> Result<Option<Bytes>> {
        let got = self.get(item.bucket, &item.key).sort(&item.sort).await?;
        Ok(got.value()?.cloned())
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let items = self.scan(bucket, &key).from(&from).to(&to).await?;
        let values = items.into_iter().map(|item| {
            let value = item.value()?.cloned().unwrap_or_default();
            Ok((item.sort, value))
        });
        values.collect()
    }
}
