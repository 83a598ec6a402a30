//! `GET /v1/kv/{bucket}`: the partition keys of a bucket, page by page.

use super::answer;
use super::bridge::Bridge;
use super::kv::unexpected;
use super::query::{Query, decode};
use crate::message::client::{Reply, Request, SCAN_PAGE_LIMIT};
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

const PARAMETERS: [&str; 8] =
    ["prefix", "limit", "cursor", "consistency", "r", "w", "strict", "timeout"];
/// How many items a page examines when the client does not say.
const LIMIT_DEFAULT: u32 = 100;
/// The longest cursor that is taken in, in characters; the node checks the rest.
const CURSOR_LIMIT: usize = 8 << 10;

/// A page of partition keys.
pub(super) async fn list(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    page(&bridge, &uri).await.unwrap_or_else(|error| answer::failed(&error))
}

async fn page(bridge: &Bridge, uri: &Uri) -> Result<Response<Body>> {
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let bucket = uri.path().strip_prefix("/v1/kv/").unwrap_or_default();
    let bucket = String::from_utf8(decode(bucket, false)?)
        .map_err(|_| Error::Invalid("the bucket's name is not UTF-8".into()))?;
    let request = Request::Keys {
        bucket,
        after: query.text("cursor")?.map(cursor).transpose()?.unwrap_or_default(),
        prefix: query.bytes("prefix").unwrap_or_default(),
        limit: query.number("limit", 1..=SCAN_PAGE_LIMIT)?.unwrap_or(LIMIT_DEFAULT),
        quorum: query.quorum("r")?,
    };
    let timeout = query.timeout(bridge.longest_timeout)?;
    let (keys, next) = match bridge.ask(request, timeout).await {
        Reply::Keys { keys, next } => (keys, next),
        other => return Err(unexpected(other)),
    };
    let keys: Value = keys.iter().map(|key| answer::base64(key)).collect();
    let next = next.map(|next| URL_SAFE_NO_PAD.encode(next));
    Ok(answer::json_with(StatusCode::OK, &json!({ "keys": keys, "next": next })))
}

fn cursor(text: &str) -> Result<Bytes> {
    let bytes = (text.len() <= CURSOR_LIMIT).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten();
    bytes.map(Bytes::from).ok_or_else(|| {
        Error::Invalid("parameter `cursor`: use the `next` of the page before as it came".into())
    })
}
