//! `/v1/kv/{bucket}/{key}`: one item, or a range of sort keys.

use super::answer::{self, CONTEXT, INFO, OPERATION};
use super::body;
use super::bridge::Bridge;
use super::condition::Condition;
use super::query::{Query, bucket_and_key};
use crate::message::client::{Expiry, Info, Item, PageItem, Reply, Request, SCAN_PAGE_LIMIT};
use crate::time::HybridTime;
use crate::version::OperationId;
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// What every form of the request may say.
const ITEM: [&str; 7] = ["sort", "consistency", "r", "w", "strict", "timeout", "explain"];
/// Of a put.
const PUT: [&str; 1] = ["ttl"];
const SCAN: [&str; 11] = [
    "scan",
    "prefix",
    "from",
    "to",
    "limit",
    "reverse",
    "consistency",
    "r",
    "w",
    "strict",
    "timeout",
];
/// How many items a page of a scan examines when the client does not say.
const SCAN_DEFAULT: u32 = 100;
/// The longest name that a client may give a write, in bytes.
pub(super) const OPERATION_LIMIT: usize = 128;
/// The longest context that is taken in, in bytes; the node checks the rest.
pub(super) const CONTEXT_LIMIT: usize = 32 << 10;

/// `GET`: one item, or a range of sort keys.
pub(super) async fn read(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    // Which of the two it is decides which other parameters there may be.
    let every = [&ITEM[..], &SCAN].concat();
    let is_scan = Query::parse(uri.query(), &every).and_then(|query| query.flag("scan"));
    let answer = match is_scan {
        Ok(true) => scan(&bridge, &uri).await,
        _ => get(&bridge, &uri, &headers).await,
    };
    answer.unwrap_or_else(|error| answer::failed(&error))
}

/// `PUT`: the body is the value.
pub(super) async fn put(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match body::read(&bridge, body, "the value", bridge.value_bytes).await {
        Ok(value) => written(&bridge, &uri, &headers, Some(value)).await,
        Err(response) => *response,
    }
}

/// `DELETE`
pub(super) async fn delete(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    written(&bridge, &uri, &headers, None).await
}

async fn written(
    bridge: &Bridge,
    uri: &Uri,
    headers: &HeaderMap,
    value: Option<Bytes>,
) -> Response<Body> {
    write(bridge, uri, headers, value).await.unwrap_or_else(|error| answer::failed(&error))
}

fn item_of(uri: &Uri, query: &Query) -> Result<Item> {
    let (bucket, key) = bucket_and_key(uri.path(), "/v1/kv/")?;
    Ok(Item { bucket, key, sort: query.bytes("sort").unwrap_or_default() })
}

async fn get(bridge: &Bridge, uri: &Uri, headers: &HeaderMap) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &[&ITEM[..], &["scan"]].concat())?;
    query.flag("scan")?;
    let explain = query.flag("explain")?;
    let (item, quorum) = (item_of(uri, &query)?, query.quorum("r")?);
    let request = match explain {
        true => Request::Explain { item, quorum },
        false => Request::Get { item, quorum },
    };
    let timeout = query.timeout(bridge.longest_timeout)?;
    let (values, context, info) = match bridge.ask(request, timeout).await {
        Reply::Got { values, context, info } => (values, context, info),
        other => return Err(unexpected(other)),
    };
    let mut object = json!({ "siblings": answer::siblings(&values), "context": context });
    if explain {
        object["info"] = json!(info);
    }
    let response = if answer::wants_json(headers) {
        answer::json_with(StatusCode::OK, &object)
    } else {
        match <[_; 1]>::try_from(values) {
            Ok([only]) => answer::with_type(StatusCode::OK, "application/octet-stream", only.value),
            Err(none) if none.is_empty() => {
                let error = Error::NotFound("there is nothing under this key".into());
                answer::failed_with(&error, json!({ "context": context }))
            }
            Err(many) => answer::failed_with(&Error::Siblings { count: many.len() }, object),
        }
    };
    Ok(explained(with_context(response, &context), explain, &info))
}

async fn write(
    bridge: &Bridge,
    uri: &Uri,
    headers: &HeaderMap,
    value: Option<Bytes>,
) -> Result<Response<Body>> {
    let more = if value.is_some() { &PUT[..] } else { &[] };
    let query = Query::parse(uri.query(), &[&ITEM[..], more].concat())?;
    let explain = query.flag("explain")?;
    let name = header(headers, &OPERATION, OPERATION_LIMIT)?.map(OperationId::of_name);
    let item = item_of(uri, &query)?;
    let (quorum, expires_at) = (query.quorum("w")?, query.duration("ttl")?.map(Expiry::After));
    let timeout = query.timeout(bridge.longest_timeout)?;
    let condition = Condition::of(headers)?;
    condition.hold(bridge, &item, query.quorum("r")?, name, timeout).await?;
    let request = Request::Put {
        item,
        quorum,
        value,
        context: condition.context.to_owned(),
        operation: name.unwrap_or_else(|| bridge.operation()),
        expires_at,
        // Who names an operation does it to try again.
        tried_since: name.map(|_| HybridTime::default()),
    };
    let (context, info) = match bridge.ask(request, timeout).await {
        Reply::Written { context, info } => (context, info),
        other => return Err(unexpected(other)),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(explained(with_context(response, &context), explain, &info))
}

pub(super) fn header<'a>(
    headers: &'a HeaderMap,
    name: &axum::http::HeaderName,
    limit: usize,
) -> Result<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= limit);
    text.map(Some).ok_or_else(|| {
        Error::Invalid(format!("header `{name}`: use 1 to {limit} visible ASCII characters"))
    })
}

async fn scan(bridge: &Bridge, uri: &Uri) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &SCAN)?;
    let (bucket, key) = bucket_and_key(uri.path(), "/v1/kv/")?;
    let prefix = query.bytes("prefix").unwrap_or_default();
    let from = query.bytes("from").unwrap_or_default().max(prefix.clone());
    // An empty end is no end.
    let ends = [query.bytes("to").unwrap_or_default(), after(&prefix)];
    let to = ends.into_iter().filter(|end| !end.is_empty()).min().unwrap_or_default();
    let limit = query.number("limit", 1..=SCAN_PAGE_LIMIT)?.unwrap_or(SCAN_DEFAULT);
    let (quorum, reverse) = (query.quorum("r")?, query.flag("reverse")?);
    let timeout = query.timeout(bridge.longest_timeout)?;
    if !to.is_empty() && to <= from {
        return Ok(page(&[], None));
    }
    let request = Request::Scan { bucket, key, from, to, limit, quorum, reverse };
    match bridge.ask(request, timeout).await {
        Reply::Page { items, next } => Ok(page(&items, next.as_deref())),
        other => Err(unexpected(other)),
    }
}

/// The first sort key after everything that begins with `prefix`; empty when there is none.
pub(super) fn after(prefix: &[u8]) -> Bytes {
    let end = prefix.iter().rposition(|byte| *byte < 0xff);
    end.map_or_else(Bytes::new, |last| {
        let mut out = prefix[..=last].to_vec();
        out[last] += 1;
        out.into()
    })
}

fn page(items: &[PageItem], next: Option<&[u8]>) -> Response<Body> {
    let items: Value = items.iter().map(answer::page_item).collect();
    let object = json!({ "items": items, "next": next.map(answer::base64) });
    answer::json_with(StatusCode::OK, &object)
}

/// Whoever was shown nothing has no context; a header without a value would be none to send back.
fn with_context(response: Response<Body>, context: &str) -> Response<Body> {
    if context.is_empty() {
        return response;
    }
    answer::with_header(response, CONTEXT, context)
}

fn explained(response: Response<Body>, explain: bool, info: &Info) -> Response<Body> {
    if !explain {
        return response;
    }
    answer::with_header(response, INFO, &json!(info).to_string())
}

/// The error in a reply; one of the wrong kind is a bug on this side.
pub(super) fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Failed(error) => error,
        _ => Error::Internal("the node answered something else than was asked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_begins_with_a_prefix_lies_before_its_end() {
        assert_eq!(&after(b"ab")[..], b"ac");
        assert_eq!(&after(b"a\xff")[..], b"b");
        assert_eq!(&after(b"\xff\xff")[..], b"");
        assert_eq!(&after(b"")[..], b"");
    }
}
