//! Typed operations: counters, sets, maps, registers and counts of different elements; see [`types`](crate::types).
//!
//! ```no_run
//! # async fn example(client: &quorate::client::Client) -> quorate::Result<()> {
//! client.counter("visits").add("front", 1).await?;
//! client.set("fans").add("alice", ["bob", "carol"]).await?;
//! assert!(client.set("fans").contains("alice", "bob").await?);
//! # Ok(())
//! # }
//! ```

use super::attempts::Effect;
use super::options::Options;
use super::{Client, Inspect, Item};
use crate::error::{Error, Result};
use crate::id::DataType;
use crate::message::client::{BucketSpec, Expiry, Reply, Request, SCAN_PAGE_LIMIT};
use crate::quorum::QuorumRequest;
use crate::types::{
    BucketKind, Change, Counters, Hlls, KeyPage, Maps, Object, Objects, Page, Registers, Sets,
    Typed, TypedObjects,
};
use crate::version::OperationId;
use bytes::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};

/// In ms since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Client {
    fn typed(&self) -> Typed<Client> {
        Typed::new(self.clone(), self.inner.desk.clone(), now)
    }

    /// The counters of a bucket. This process counts under a name of its own in each counter, and in a counter there is
    /// room for [`ACTORS_LIMIT`](crate::types::ACTORS_LIMIT) names: a program that counts once and ends does so over HTTP.
    pub fn counter(&self, bucket: impl Into<String>) -> Counters<Client> {
        self.typed().counters(bucket)
    }

    /// The sets of a bucket.
    pub fn set(&self, bucket: impl Into<String>) -> Sets<Client> {
        self.typed().sets(bucket)
    }

    /// The maps of a bucket.
    pub fn map(&self, bucket: impl Into<String>) -> Maps<Client> {
        self.typed().maps(bucket)
    }

    /// The registers of a bucket.
    pub fn register(&self, bucket: impl Into<String>) -> Registers<Client> {
        self.typed().registers(bucket)
    }

    /// The counts of different elements of a bucket.
    pub fn hll(&self, bucket: impl Into<String>) -> Hlls<Client> {
        self.typed().hlls(bucket)
    }

    async fn ask_typed(
        &self,
        request: Request,
        quorum: QuorumRequest,
        writes: bool,
    ) -> Result<Reply> {
        let mut options = Options::of(self);
        options.quorum = quorum;
        let required = options.required();
        let effect = match writes {
            true => Effect::Changes { required },
            false => Effect::Reads { required },
        };
        self.execute(&request, effect, options.deadline()).await
    }

    /// What the handle leaves open is as the client's profile says.
    fn asked(&self, quorum: QuorumRequest) -> QuorumRequest {
        let QuorumRequest { consistency, count, strict } = Options::of(self).quorum;
        QuorumRequest {
            consistency: quorum.consistency.or(consistency),
            count: quorum.count.or(count),
            strict: quorum.strict || strict,
        }
    }
}

impl Objects for Client {
    fn operation(&self) -> OperationId {
        self.next_operation()
    }

    async fn read(&self, item: Item, quorum: QuorumRequest) -> Result<Object> {
        let quorum = self.asked(quorum);
        match self.ask_typed(Request::Get { item, quorum }, quorum, false).await {
            // No bucket, nothing in it.
            Err(Error::NotFound(_)) => Ok(Object::default()),
            Err(error) => Err(error),
            Ok(Reply::Got { values, context, .. }) => {
                let values = values.into_iter().map(|version| version.value).collect();
                Ok(Object { values, context })
            }
            Ok(other) => Err(super::execute::unexpected(&other)),
        }
    }

    async fn write(&self, change: Change, quorum: QuorumRequest) -> Result<String> {
        let quorum = self.asked(quorum);
        let Change { item, value, context, expires_at, operation } = change;
        let expires_at = expires_at.map(Expiry::At);
        let request =
            Request::Put { item, quorum, value, context, operation, expires_at, tried_since: None };
        match self.ask_typed(request, quorum, true).await? {
            Reply::Written { context, .. } => Ok(context),
            other => Err(super::execute::unexpected(&other)),
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
        let (bucket, limit, quorum) = (bucket.into(), SCAN_PAGE_LIMIT, self.asked(quorum));
        let request = Request::Scan { bucket, key, from, to, limit, quorum, reverse: false };
        match self.ask_typed(request, quorum, false).await {
            Err(Error::NotFound(_)) => Ok(Page::default()),
            Err(error) => Err(error),
            Ok(Reply::Page { items, next }) => {
                let items = items.into_iter().map(|item| {
                    let values = item.values.into_iter().map(|version| version.value).collect();
                    (item.sort, Object { values, context: item.context })
                });
                Ok(Page { items: items.collect(), next })
            }
            Ok(other) => Err(super::execute::unexpected(&other)),
        }
    }

    async fn keys(
        &self,
        bucket: &str,
        after: Bytes,
        limit: u32,
        quorum: QuorumRequest,
    ) -> Result<KeyPage> {
        let (bucket, quorum) = (bucket.into(), self.asked(quorum));
        let request = Request::Keys { bucket, after, prefix: Bytes::new(), limit, quorum };
        match self.ask_typed(request, quorum, false).await? {
            Reply::Keys { keys, next } => Ok(KeyPage { keys, next }),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

impl TypedObjects for Client {
    async fn bucket_kind(&self, bucket: &str) -> Result<BucketKind> {
        kind_in(&self.inspect(Inspect::Buckets).await?, bucket)
    }

    async fn create_typed(&self, bucket: &str, kind: DataType) -> Result<()> {
        let spec = BucketSpec {
            name: bucket.into(),
            kind: Some(kind.name().into()),
            ..BucketSpec::default()
        };
        let quorum = QuorumRequest::default();
        match self.ask_typed(Request::CreateBucket(spec), quorum, true).await? {
            Reply::Agreed => Ok(()),
            other => Err(super::execute::unexpected(&other)),
        }
    }
}

/// What the list of buckets says of one.
pub(crate) fn kind_in(list: &str, bucket: &str) -> Result<BucketKind> {
    let unreadable = |what: String| Error::Internal(format!("the list of buckets: {what}"));
    let list: serde_json::Value =
        serde_json::from_str(list).map_err(|error| unreadable(error.to_string()))?;
    let buckets = list["buckets"].as_array().ok_or_else(|| unreadable("none".into()))?;
    let Some(found) = buckets.iter().find(|one| one["name"] == bucket) else {
        return Ok(BucketKind::Missing);
    };
    match found["type"].as_str() {
        None => Ok(BucketKind::Plain),
        Some(name) => match DataType::named(name) {
            Some(kind) => Ok(BucketKind::Typed(kind)),
            None => Err(Error::Invalid(format!(
                "bucket `{bucket}` is of type {name}, which this version does not know"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_buckets_tells_types() {
        let list =
            r#"{"buckets":[{"name":"a","type":"set"},{"name":"b","type":null},{"name":"c"}]}"#;
        let check = |bucket, expected| assert_eq!(kind_in(list, bucket), Ok(expected), "{bucket}");
        check("a", BucketKind::Typed(DataType::Set));
        check("b", BucketKind::Plain);
        check("c", BucketKind::Plain);
        check("d", BucketKind::Missing);
        assert!(kind_in("{}", "a").is_err());
        assert!(kind_in(r#"{"buckets":[{"name":"a","type":"graph"}]}"#, "a").is_err());
    }
}
