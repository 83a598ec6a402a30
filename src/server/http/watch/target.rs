//! What is watched: an item, or a range of sort keys under one partition key.

use super::News;
use super::marker::{Marker, RANGE_LIMIT};
use crate::message::client::{Item, PageItem, Reply, Request};
use crate::message::encode_into;
use crate::quorum::QuorumRequest;
use crate::server::http::answer;
use crate::server::http::bridge::Bridge;
use crate::server::http::kv::{CONTEXT_LIMIT, after, unexpected};
use crate::server::http::query::{Query, bucket_and_key};
use crate::{Error, Result};
use axum::http::Uri;
use bytes::Bytes;
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

/// How many bytes of values a range that is watched may have: they are read again and again.
const RANGE_BYTES: usize = 16 << 20;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Item { item: Item, quorum: QuorumRequest },
    Range { bucket: String, key: Bytes, from: Bytes, to: Bytes, quorum: QuorumRequest },
}

impl Target {
    /// What a request names.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn of(uri: &Uri, query: &Query) -> Result<Target> {
        let (bucket, key) = bucket_and_key(uri.path(), "/v1/watch/")?;
        let quorum = query.quorum("r")?;
        if !query.flag("scan")? {
            let sort = query.bytes("sort").unwrap_or_default();
            return Ok(Target::Item { item: Item { bucket, key, sort }, quorum });
        }
        let prefix = query.bytes("prefix").unwrap_or_default();
        let from = query.bytes("from").unwrap_or_default().max(prefix.clone());
        let ends = [query.bytes("to").unwrap_or_default(), after(&prefix)];
        let to = ends.into_iter().filter(|end| !end.is_empty()).min().unwrap_or_default();
        if !to.is_empty() && to <= from {
            return Err(Error::Invalid("the range ends before it begins".into()));
        }
        Ok(Target::Range { bucket, key, from, to, quorum })
    }

    /// Whether this can have been seen.
    ///
    /// # Errors
    /// [`Error::Invalid`]. Whether a context is one of this item, the node says.
    pub fn check(&self, seen: &str) -> Result<()> {
        match self {
            Target::Range { .. } => Marker::decode(seen).map(|_| ()),
            Target::Item { .. } => {
                let is_token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
                match seen.len() <= CONTEXT_LIMIT && seen.bytes().all(is_token) {
                    true => Ok(()),
                    false => {
                        let why = "parameter `seen`: give it a context, as X-Quorate-Context or `seen` came";
                        Err(Error::Invalid(why.into()))
                    }
                }
            }
        }
    }

    /// The same for all who watch the same.
    pub fn name(&self) -> Vec<u8> {
        let mut name = Vec::new();
        match self.clone() {
            Target::Item { item, quorum } => encode_into(&mut name, &Request::Get { item, quorum }),
            Target::Range { .. } => encode_into(&mut name, &self.page(Bytes::new())),
        }
        name
    }

    /// The question for the page of a range that begins there; empty: for the first one.
    fn page(&self, next: Bytes) -> Request {
        match self.clone() {
            Target::Item { item, quorum } => Request::Get { item, quorum },
            Target::Range { bucket, key, from, to, quorum } => {
                let (from, limit) = (from.max(next), RANGE_LIMIT as u32);
                Request::Scan { bucket, key, from, to, limit, quorum, reverse: false }
            }
        }
    }

    /// All that is in the range. A page may be short though more follows.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`]: it is too much to be watched.
    async fn items(&self, bridge: &Bridge) -> Result<Vec<PageItem>> {
        let (mut all, mut bytes, mut from) = (Vec::new(), 0, Bytes::new());
        loop {
            let (items, next) = match bridge.ask(self.page(from.clone()), None).await {
                Reply::Page { items, next } => (items, next),
                Reply::Failed(Error::NotFound(_)) => (Vec::new(), None),
                other => return Err(unexpected(other)),
            };
            let values = items.iter().flat_map(|item| &item.values);
            bytes += values.map(|version| version.value.len()).sum::<usize>();
            all.extend(items);
            if all.len() > RANGE_LIMIT || bytes > RANGE_BYTES {
                let why = format!(
                    "a range that is watched has at most {RANGE_LIMIT} items and {} MiB: narrow it with prefix, from and to",
                    RANGE_BYTES >> 20
                );
                return Err(Error::Invalid(why));
            }
            match next {
                Some(next) if next > from => from = next,
                _ => return Ok(all),
            }
        }
    }

    /// What is there, short; `None`: nothing could be found out.
    pub async fn fingerprint(&self, bridge: &Bridge) -> Option<u64> {
        let mut hash = Xxh3::new();
        match self {
            Target::Item { .. } => match bridge.ask(self.page(Bytes::new()), None).await {
                Reply::Got { context, .. } => hash.update(context.as_bytes()),
                _ => return None,
            },
            Target::Range { .. } => {
                for item in self.items(bridge).await.ok()? {
                    hash.update(&(item.sort.len() as u64).to_le_bytes());
                    hash.update(&item.sort);
                    hash.update(item.context.as_bytes());
                    hash.update(&[0]);
                }
            }
        }
        Some(hash.digest())
    }

    /// What is there that was not seen.
    ///
    /// # Errors
    /// What a read may end with; [`Error::Invalid`]: a range is too much to be watched.
    pub async fn news(&self, bridge: &Bridge, seen: &str) -> Result<Option<News>> {
        match self {
            Target::Item { item, quorum } => item_news(bridge, item, *quorum, seen).await,
            Target::Range { .. } => range_news(&self.items(bridge).await?, seen),
        }
    }
}

async fn item_news(
    bridge: &Bridge,
    item: &Item,
    quorum: QuorumRequest,
    seen: &str,
) -> Result<Option<News>> {
    if !seen.is_empty() {
        let (item, context) = (item.clone(), seen.to_owned());
        match bridge.ask(Request::Check { item, quorum, context, operation: None }, None).await {
            Reply::Got { .. } => return Ok(None),
            Reply::Failed(Error::ContextMismatch) => {}
            other => return Err(unexpected(other)),
        }
    }
    match bridge.ask(Request::Get { item: item.clone(), quorum }, None).await {
        // Nothing was written, or replicas answered that have not seen what the watcher has.
        Reply::Got { context, .. } if context == seen => Ok(None),
        Reply::Got { values, context, .. } => {
            let shown = json!({ "siblings": answer::siblings(&values), "context": context });
            Ok(Some(News { shown, seen: context }))
        }
        // Without a bucket there is nothing, and nothing was written.
        Reply::Failed(Error::NotFound(_)) if seen.is_empty() => Ok(None),
        other => Err(unexpected(other)),
    }
}

/// What of a range was not seen. Whoever has seen nothing yet is answered at once, be it with nothing.
pub(super) fn range_news(items: &[PageItem], seen: &str) -> Result<Option<News>> {
    let (before, now) = (Marker::decode(seen)?, Marker::of(items));
    if before.as_ref() == Some(&now) {
        return Ok(None);
    }
    let known = before.unwrap_or_default();
    let fresh: Vec<Value> =
        items.iter().filter(|item| !known.holds(item)).map(answer::page_item).collect();
    let mut shown = json!({ "items": fresh });
    // Whose name is forgotten cannot be named: who stays can.
    if known.lacks_in(&now) {
        let present: Vec<String> = items.iter().map(|item| answer::base64(&item.sort)).collect();
        shown["present"] = json!(present);
    }
    Ok(Some(News { shown, seen: now.encode() }))
}
