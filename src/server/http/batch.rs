//! `POST /v1/batch`: many operations, an outcome for each.
//!
//! ```text
//!   {"operations":[{"op":"put",…},{"op":"get",…}]} ─► all are read ─► a few at a time ─► {"outcomes":[…,…]}
//! ```
//!
//! A batch that cannot be read is refused before anything is done. After that each operation is a request of its own: no
//! order, nothing taken back.

use super::answer;
use super::body;
use super::bridge::Bridge;
use super::kv::unexpected;
use super::query::{Query, milliseconds};
use crate::message::client::{Expiry, Item, Reply, Request};
use crate::quorum::QuorumRequest;
use crate::time::HybridTime;
use crate::version::OperationId;
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The most operations of one batch.
const OPERATIONS_LIMIT: usize = 1_000;
/// The longest body, in bytes.
const BODY_LIMIT: usize = 16 << 20;
/// Beyond so many bytes of values in the answer the other reads are not done.
const ANSWER_BYTES: usize = 16 << 20;
/// How many operations of a batch are under way at once.
const IN_FLIGHT: usize = 32;
const PARAMETERS: [&str; 5] = ["consistency", "r", "w", "strict", "timeout"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    operations: Vec<Operation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Put,
    Get,
    Delete,
}

/// One operation as it is written. What is not called text is base64.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    op: Op,
    bucket: String,
    key: Option<String>,
    key_text: Option<String>,
    sort: Option<String>,
    sort_text: Option<String>,
    value: Option<String>,
    text: Option<String>,
    context: Option<String>,
    ttl: Option<String>,
    operation: Option<String>,
}

/// What all operations of a batch share.
struct Shared {
    reads: QuorumRequest,
    writes: QuorumRequest,
    timeout: Option<Duration>,
}

/// A batch, and what became of it.
pub(super) async fn batch(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    // A page of a stranger's may make a browser send anything but this.
    if !is_json(&headers) {
        let text = "send a batch as Content-Type: application/json";
        return answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", text);
    }
    let body = match body::read(&bridge, body, "the batch", BODY_LIMIT).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let requests = Query::parse(uri.query(), &PARAMETERS).and_then(|query| {
        let (reads, writes) = (query.quorum("r")?, query.quorum("w")?);
        let timeout = query.timeout(bridge.longest_timeout)?;
        let shared = Shared { reads, writes, timeout };
        Ok((read(&bridge, &body, &shared)?, shared))
    });
    drop(body);
    match requests {
        Ok((requests, shared)) => answer::json_with(
            StatusCode::OK,
            &json!({ "outcomes": outcomes(&bridge, requests, shared.timeout).await }),
        ),
        Err(error) => answer::failed(&error),
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

async fn outcomes(
    bridge: &Bridge,
    requests: Vec<Request>,
    timeout: Option<Duration>,
) -> Vec<Value> {
    let answered = AtomicUsize::new(0);
    let answered = &answered;
    let sent = stream::iter(requests).map(|request| async move {
        let is_read = matches!(request, Request::Get { .. });
        if is_read && answered.load(Ordering::Relaxed) > ANSWER_BYTES {
            return failed(&too_much());
        }
        match bridge.ask(request, timeout).await {
            Reply::Got { values, context, .. } => {
                let bytes: usize = values.iter().map(|version| version.value.len()).sum();
                let before = answered.fetch_add(bytes, Ordering::Relaxed);
                // One answer always has room, however large it may be.
                if before > 0 && before + bytes > ANSWER_BYTES {
                    return failed(&too_much());
                }
                let siblings = answer::siblings(&values);
                json!({ "status": 200, "siblings": siblings, "context": context })
            }
            Reply::Written { context, .. } => json!({ "status": 204, "context": context }),
            other => failed(&unexpected(other)),
        }
    });
    sent.buffered(IN_FLIGHT).collect().await
}

fn too_much() -> Error {
    let what = "the answer to this batch".into();
    Error::TooLarge { what, size: ANSWER_BYTES as u64 + 1, limit: ANSWER_BYTES as u64 }
}

fn failed(error: &Error) -> Value {
    json!({ "status": answer::status(error).as_u16(), "error": answer::error_object(error) })
}

/// What is to be done; nothing of it, if one of them cannot be read.
fn read(bridge: &Bridge, body: &[u8], shared: &Shared) -> Result<Vec<Request>> {
    let batch: Batch = serde_json::from_slice(body)
        .map_err(|error| Error::Invalid(format!("the batch is not as documented: {error}")))?;
    let size = batch.operations.len();
    if size > OPERATIONS_LIMIT {
        let (size, limit) = (size as u64, OPERATIONS_LIMIT as u64);
        return Err(Error::TooLarge { what: "the number of operations".into(), size, limit });
    }
    let requests = batch.operations.into_iter().enumerate().map(|(nth, wanted)| {
        let name = wanted.operation.as_deref().map(OperationId::of_name);
        let id = name.unwrap_or_else(|| bridge.operation());
        request(wanted, shared, id, name.is_some()).map_err(|why| {
            Error::Invalid(format!("operation {nth}: {why}; nothing of the batch was done"))
        })
    });
    requests.collect()
}

fn request(
    wanted: Operation,
    shared: &Shared,
    operation: crate::version::OperationId,
    is_named: bool,
) -> std::result::Result<Request, String> {
    let key = one_of("key", wanted.key, wanted.key_text)?.ok_or("it has no key")?;
    let sort = one_of("sort", wanted.sort, wanted.sort_text)?.unwrap_or_default();
    let item = Item { bucket: wanted.bucket, key, sort };
    let value = one_of("value", wanted.value, wanted.text)?;
    if wanted.op != Op::Put && value.is_some() {
        return Err("only a put has a value".into());
    }
    if wanted.op != Op::Put && wanted.ttl.is_some() {
        return Err("only a put has a ttl".into());
    }
    if wanted.op == Op::Get {
        if wanted.context.is_some() || wanted.operation.is_some() {
            return Err("a get has neither context nor operation".into());
        }
        return Ok(Request::Get { item, quorum: shared.reads });
    }
    if wanted.op == Op::Put && value.is_none() {
        return Err("a put needs a value, or a text".into());
    }
    let ttl = wanted.ttl.as_deref().map(milliseconds).transpose();
    Ok(Request::Put {
        item,
        quorum: shared.writes,
        value,
        context: wanted.context.unwrap_or_default(),
        operation,
        expires_at: ttl.map_err(|error| error.to_string())?.map(Expiry::After),
        // Who names an operation does it to try again.
        tried_since: is_named.then(HybridTime::default),
    })
}

/// Bytes in base64, or a text.
fn one_of(
    name: &str,
    base64: Option<String>,
    text: Option<String>,
) -> std::result::Result<Option<Bytes>, String> {
    match (base64, text) {
        (Some(_), Some(_)) => Err(format!("its {name} stands there twice, as base64 and as text")),
        (Some(base64), None) => match STANDARD.decode(base64) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(_) => Err(format!("its {name} is not base64")),
        },
        (None, text) => Ok(text.map(Bytes::from)),
    }
}
