//! This node as a store for what is built on top: the same requests as a client's, without a network between.

use super::bridge::Bridge;
use super::kv::unexpected;
use crate::client::{Bytes, Item, Kv};
use crate::message::client::{BucketSpec, Expiry, Reply, Request, SCAN_PAGE_LIMIT};
use crate::quorum::QuorumRequest;
use crate::{Error, Result};
use std::sync::Arc;

/// See the module.
#[derive(Clone)]
pub(in crate::server) struct OwnNode(pub(super) Arc<Bridge>);

impl Kv for OwnNode {
    async fn create_lww_bucket(&self, name: &str) -> Result<()> {
        let spec = BucketSpec { name: name.into(), lww: true, ..BucketSpec::default() };
        match self.0.ask(Request::CreateBucket(spec), None).await {
            Reply::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn write(&self, item: Item, value: Bytes, expires_at: Option<u64>) -> Result<()> {
        let request = Request::Put {
            item,
            quorum: QuorumRequest::default(),
            value: Some(value),
            context: String::new(),
            operation: self.0.operation(),
            expires_at: expires_at.map(Expiry::At),
            tried_since: None,
        };
        match self.0.ask(request, None).await {
            Reply::Written { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn read(&self, item: Item) -> Result<Option<Bytes>> {
        let request = Request::Get { item, quorum: QuorumRequest::default() };
        match self.0.ask(request, None).await {
            Reply::Got { mut values, .. } if values.len() <= 1 => {
                Ok(values.pop().map(|version| version.value))
            }
            Reply::Got { values, .. } => Err(Error::Siblings { count: values.len() }),
            other => Err(unexpected(other)),
        }
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        mut from: Bytes,
        to: Bytes,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let mut all = Vec::new();
        loop {
            let request = Request::Scan {
                bucket: bucket.into(),
                key: key.clone(),
                from: from.clone(),
                to: to.clone(),
                limit: SCAN_PAGE_LIMIT,
                quorum: QuorumRequest::default(),
                reverse: false,
            };
            let (items, next) = match self.0.ask(request, None).await {
                Reply::Page { items, next } => (items, next),
                other => return Err(unexpected(other)),
            };
            for mut item in items {
                let value = item.values.pop().map(|version| version.value).unwrap_or_default();
                all.push((item.sort, value));
            }
            match next {
                Some(next) if next > from => from = next,
                _ => return Ok(all),
            }
        }
    }
}
