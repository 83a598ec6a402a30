//! What may be looked at: the node answers in JSON, health is answered from the last snapshot.

use super::answer;
use super::bridge::Bridge;
use super::kv::unexpected;
use super::query::{Query, bucket_and_key};
use crate::message::client::{Inspect, Item, Reply, Request};
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use serde_json::json;
use std::sync::Arc;

async fn inspect(bridge: &Bridge, uri: &Uri, what: Result<Inspect>) -> Response<Body> {
    let what = what.and_then(|what| {
        let known: &[&str] = match what {
            Inspect::Local(_) | Inspect::Locate(_) => &["sort"],
            _ => &[],
        };
        Query::parse(uri.query(), known).map(|_| what)
    });
    let reply = match what {
        Ok(what) => bridge.ask(Request::Inspect(what), None).await,
        Err(error) => Reply::Failed(error),
    };
    match reply {
        Reply::Json(text) => answer::json_text(StatusCode::OK, text),
        other => answer::failed(&unexpected(other)),
    }
}

macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident => $what:ident;)*) => {$(
        $(#[$doc])*
        pub(super) async fn $name(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
            inspect(&bridge, &uri, Ok(Inspect::$what)).await
        }
    )*};
}

plain! {
    status => Status;
    members => Members;
    ring => Ring;
    hints => Hints;
    info => Info;
    buckets => Buckets;
    partitions => Partitions;
    staleness => Staleness;
}

fn item(uri: &Uri, prefix: &str) -> Result<Item> {
    let query = Query::parse(uri.query(), &["sort"])?;
    let (bucket, key) = bucket_and_key(uri.path(), prefix)?;
    Ok(Item { bucket, key, sort: query.bytes("sort").unwrap_or_default() })
}

pub(super) async fn local(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    inspect(&bridge, &uri, item(&uri, "/v1/local/").map(Inspect::Local)).await
}

pub(super) async fn locate(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    inspect(&bridge, &uri, item(&uri, "/v1/locate/").map(Inspect::Locate)).await
}

/// The process is there.
pub(super) async fn healthz() -> Response<Body> {
    answer::with_type(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")
}

/// The node has joined and is not rebuilding.
pub(super) async fn readyz(State(bridge): State<Arc<Bridge>>) -> Response<Body> {
    match bridge.unready().await {
        None => answer::json_with(StatusCode::OK, &json!({ "ready": true })),
        Some(reason) => {
            let mut response = answer::json_with(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({
                    "ready": false,
                    "reason": reason,
                    "error": { "code": "unavailable", "message": format!("unavailable: {reason}") },
                }),
            );
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
            response
        }
    }
}

/// The metrics as of just now.
pub(super) async fn metrics(
    State(bridge): State<Arc<Bridge>>,
    headers: HeaderMap,
) -> Response<Body> {
    let (snapshot, rejected) = (bridge.snapshot().await, bridge.rejected());
    if answer::wants_json(&headers) {
        return answer::json_with(
            StatusCode::OK,
            &super::metrics::object(&snapshot, bridge.ingested()),
        );
    }
    let commands = bridge.resp_commands();
    let commands = commands.iter().map(|(class, count)| (class.name(), *count)).collect();
    match super::metrics::text(snapshot, rejected, bridge.ingested(), commands) {
        Ok(text) => answer::with_type(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text,
        ),
        Err(error) => answer::failed(&Error::Internal(format!("metrics: {error}"))),
    }
}
