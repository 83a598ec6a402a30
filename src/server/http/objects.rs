//! This node as a store of siblings, for the Redis protocol and typed operations.

use super::kv::unexpected;
use super::own::OwnNode;
use crate::client::{Bytes, Item, kind_in};
use crate::id::DataType;
use crate::message::client::{BucketSpec, Expiry, Inspect, Reply, Request, SCAN_PAGE_LIMIT};
use crate::quorum::QuorumRequest;
use crate::types::{BucketKind, Change, KeyPage, Object, Objects, Page, TypedObjects};
use crate::version::OperationId;
use crate::{Error, Result};
use std::time::Duration;

/// How long one try may take.
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(2));

impl Objects for OwnNode {
    fn operation(&self) -> OperationId {
        self.0.operation()
    }

    async fn read(&self, item: Item, quorum: QuorumRequest) -> Result<Object> {
        match self.0.ask(Request::Get { item, quorum }, TIMEOUT).await {
            Reply::Got { values, context, .. } => {
                let values = values.into_iter().map(|version| version.value).collect();
                Ok(Object { values, context })
            }
            // No bucket, nothing in it.
            Reply::Failed(Error::NotFound(_)) => Ok(Object::default()),
            other => Err(unexpected(other)),
        }
    }

    async fn write(&self, change: Change, quorum: QuorumRequest) -> Result<String> {
        let Change { item, value, context, expires_at, operation } = change;
        let expires_at = expires_at.map(Expiry::At);
        let request =
            Request::Put { item, quorum, value, context, operation, expires_at, tried_since: None };
        match self.0.ask(request, TIMEOUT).await {
            Reply::Written { context, .. } => Ok(context),
            other => Err(unexpected(other)),
        }
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
        quorum: QuorumRequest,
    ) -> Result<Page> {
        let (bucket, limit) = (bucket.into(), SCAN_PAGE_LIMIT);
        let request = Request::Scan { bucket, key, from, to, limit, quorum, reverse: false };
        match self.0.ask(request, TIMEOUT).await {
            Reply::Page { items, next } => {
                let items = items.into_iter().map(|item| {
                    let values = item.values.into_iter().map(|version| version.value).collect();
                    (item.sort, Object { values, context: item.context })
                });
                Ok(Page { items: items.collect(), next })
            }
            Reply::Failed(Error::NotFound(_)) => Ok(Page::default()),
            other => Err(unexpected(other)),
        }
    }

    async fn keys(
        &self,
        bucket: &str,
        after: Bytes,
        limit: u32,
        quorum: QuorumRequest,
    ) -> Result<KeyPage> {
        let request =
            Request::Keys { bucket: bucket.into(), after, prefix: Bytes::new(), limit, quorum };
        match self.0.ask(request, TIMEOUT).await {
            Reply::Keys { keys, next } => Ok(KeyPage { keys, next }),
            Reply::Failed(Error::NotFound(_)) => Ok(KeyPage::default()),
            other => Err(unexpected(other)),
        }
    }
}

impl TypedObjects for OwnNode {
    async fn bucket_kind(&self, bucket: &str) -> Result<BucketKind> {
        match self.0.ask(Request::Inspect(Inspect::Buckets), TIMEOUT).await {
            Reply::Json(list) => kind_in(&list, bucket),
            other => Err(unexpected(other)),
        }
    }

    async fn create_typed(&self, bucket: &str, kind: DataType) -> Result<()> {
        let spec = BucketSpec {
            name: bucket.into(),
            kind: Some(kind.name().into()),
            ..BucketSpec::default()
        };
        match self.0.ask(Request::CreateBucket(spec), None).await {
            Reply::Agreed => Ok(()),
            other => Err(unexpected(other)),
        }
    }
}
