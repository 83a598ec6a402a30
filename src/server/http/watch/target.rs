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
        let of_range =
            ["prefix", "from", "to"].into_iter().find(|name| query.bytes(name).is_some());
        if !query.flag("scan")? {
            if let Some(name) = of_range {
                let why = format!("parameter `{name}` is of a range: add scan=true");
                return Err(Error::Invalid(why));
            }
            let sort = query.bytes("sort").unwrap_or_default();
            return Ok(Target::Item { item: Item { bucket, key, sort }, quorum });
        }
        if query.bytes("sort").is_some() {
            return Err(Error::Invalid(
                "parameter `sort` is of one item: use prefix, from, to".into(),
            ));
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

    /// The question that a look asks again and again.
    pub fn question(&self) -> Request {
        match self.clone() {
            Target::Item { item, quorum } => Request::Get { item, quorum },
            Target::Range { bucket, key, from, to, quorum } => {
                let limit = RANGE_LIMIT as u32 + 1;
                Request::Scan { bucket, key, from, to, limit, quorum, reverse: false }
            }
        }
    }

    /// The same for all who watch the same.
    pub fn name(&self) -> Vec<u8> {
        let mut name = Vec::new();
        encode_into(&mut name, &self.question());
        name
    }

    /// What was found there, short; `None`: nothing could be found out.
    pub fn fingerprint(reply: &Reply) -> Option<u64> {
        let mut hash = Xxh3::new();
        match reply {
            Reply::Got { context, .. } => hash.update(context.as_bytes()),
            Reply::Page { items, .. } => {
                for item in items {
                    hash.update(&(item.sort.len() as u64).to_le_bytes());
                    hash.update(&item.sort);
                    hash.update(item.context.as_bytes());
                    hash.update(&[0]);
                }
            }
            _ => return None,
        }
        Some(hash.digest())
    }

    /// What is there that was not seen.
    ///
    /// # Errors
    /// What a read may end with; [`Error::TooLarge`] for a range of more than [`RANGE_LIMIT`] items.
    pub async fn news(&self, bridge: &Bridge, seen: &str) -> Result<Option<News>> {
        match self {
            Target::Item { item, quorum } => item_news(bridge, item, *quorum, seen).await,
            Target::Range { .. } => match bridge.ask(self.question(), None).await {
                Reply::Page { items, next } => range_news(&items, next.is_some(), seen),
                Reply::Failed(Error::NotFound(_)) => range_news(&[], false, seen),
                other => Err(unexpected(other)),
            },
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
pub(super) fn range_news(items: &[PageItem], is_more: bool, seen: &str) -> Result<Option<News>> {
    if is_more || items.len() > RANGE_LIMIT {
        let (size, limit) = (items.len() as u64, RANGE_LIMIT as u64);
        let what = "the range that is watched (items; narrow it with prefix, from, to)".into();
        return Err(Error::TooLarge { what, size, limit });
    }
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
