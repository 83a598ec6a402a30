//! `/v1/types/{bucket}/{key}`: counters, sets, maps, registers and counts of different elements.
//!
//! ```text
//!   POST {"increment": 5}   ─► words ─► Typed, on this node ─► Get, Put ─► as any client's
//!   GET                     ─► the value as JSON
//! ```
//!
//! The node counts under names of its own, so that many short programs are one actor.

mod apply;
mod show;
mod text;
mod words;

use super::answer::{self, OPERATION};
use super::batch::is_json;
use super::body;
use super::bridge::Bridge;
use super::kv::{OPERATION_LIMIT, header};
use super::own::OwnNode;
use super::query::{Query, bucket_and_key};
use crate::id::DataType;
use crate::quorum::QuorumRequest;
use crate::types::{BucketKind, Typed};
use crate::version::OperationId;
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// The longest description of an operation, in bytes.
const BODY_LIMIT: usize = 2 << 20;
/// What a read may say.
const READ: [&str; 7] = ["consistency", "r", "w", "strict", "member", "from", "field"];
/// What a change may say.
const CHANGE: [&str; 4] = ["consistency", "r", "w", "strict"];

/// One value, and how it is asked for.
struct Asked {
    typed: Typed<OwnNode>,
    kind: DataType,
    bucket: String,
    key: Bytes,
    r: QuorumRequest,
    w: QuorumRequest,
}

impl Asked {
    async fn new(bridge: &Arc<Bridge>, uri: &Uri, query: &Query) -> Result<Asked> {
        let (bucket, key) = bucket_and_key(uri.path(), "/v1/types/")?;
        let node = OwnNode::new(bridge.clone());
        let typed = Typed::new(node, bridge.desk.clone(), now_ms);
        let kind = match typed.kind_of(&bucket).await? {
            BucketKind::Typed(kind) => kind,
            BucketKind::Plain => {
                let why = format!("bucket `{bucket}` holds bytes: use /v1/kv/{bucket}/KEY");
                return Err(Error::Invalid(why));
            }
            BucketKind::Missing => {
                let why = format!(
                    "there is no bucket `{bucket}`: create it with its type, POST /v1/buckets"
                );
                return Err(Error::NotFound(why));
            }
        };
        let (r, w) = (query.quorum("r")?, query.quorum("w")?);
        Ok(Asked { typed, kind, bucket, key, r, w })
    }
}

/// `GET`: what it shows.
pub(super) async fn read(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    get(&bridge, &uri).await.unwrap_or_else(|error| answer::failed(&error))
}

/// `POST`: an operation.
pub(super) async fn change(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    // A page of a stranger's may make a browser send anything but this.
    if !is_json(&headers) {
        let text = "send an operation as Content-Type: application/json";
        return answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", text);
    }
    let body = match body::read(&bridge, body, "the operation", BODY_LIMIT).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let answer = post(&bridge, &uri, &headers, &body).await;
    answer.unwrap_or_else(|error| answer::failed(&error))
}

/// `DELETE`
pub(super) async fn delete(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    deleted(&bridge, &uri).await.unwrap_or_else(|error| answer::failed(&error))
}

async fn get(bridge: &Arc<Bridge>, uri: &Uri) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &READ)?;
    let asked = Asked::new(bridge, uri, &query).await?;
    Ok(answer::json_with(StatusCode::OK, &show::value(&asked, &query).await?))
}

async fn post(
    bridge: &Arc<Bridge>,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &CHANGE)?;
    let name = header(headers, &OPERATION, OPERATION_LIMIT)?.map(OperationId::of_name);
    let asked = Asked::new(bridge, uri, &query).await?;
    apply::apply(&asked, body, name).await
}

async fn deleted(bridge: &Arc<Bridge>, uri: &Uri) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &CHANGE)?;
    let asked = Asked::new(bridge, uri, &query).await?;
    let Asked { typed, kind, bucket, key, r, w } = asked;
    let (r, w) = (Some(r), Some(w));
    match kind {
        DataType::Counter => typed.counters(bucket).quorums(r, w).delete(key).await?,
        DataType::Register => typed.registers(bucket).quorums(r, w).delete(key).await?,
        DataType::Hll => typed.hlls(bucket).quorums(r, w).delete(key).await?,
        DataType::Set | DataType::Map => {
            let why = format!("a {kind} goes with what is in it: remove its members or fields");
            return Err(Error::Invalid(why));
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// What every answer begins with.
fn answered(kind: DataType, mut object: Value) -> Value {
    object["type"] = kind.name().into();
    object
}

/// In ms since 1970.
fn now_ms() -> u64 {
    u64::try_from(super::now() / 1_000_000).unwrap_or(0)
}
