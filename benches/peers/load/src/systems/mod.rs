//! The systems that are driven, each in its own words behind one trait.

#[cfg(feature = "cassandra")]
pub mod cassandra;
pub mod etcd;
pub mod garage;
pub mod quorate;
pub mod redis;

use crate::Load;
use anyhow::Result;
use bytes::Bytes;
use std::future::Future;

/// One connection to one node. Clones share it: where the protocol can, their requests are in flight together.
pub trait Connection: Clone + Send + 'static {
    /// What a writer must have seen of a key so that its write replaces what is there; nothing in most systems.
    type Seen: Clone + Default + Send;
    /// Whether more than one request may be in flight on one connection.
    const MULTIPLEXES: bool = true;

    /// Connects.
    fn open(node: &str, load: &Load) -> impl Future<Output = Result<Self>> + Send;

    /// Learns what a writer of this key must have seen. Not part of what is measured.
    fn look(&mut self, key: &str) -> impl Future<Output = Result<Self::Seen>> + Send;

    /// Writes, and returns when the system has acknowledged it as the comparison asks.
    fn put(
        &mut self,
        key: &str,
        value: Bytes,
        seen: &mut Self::Seen,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Reads; how many bytes there were, 0 for a key that is not there.
    fn get(&mut self, key: &str) -> impl Future<Output = Result<usize>> + Send;
}
