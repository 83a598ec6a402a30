//! Buckets that come, change and go.

use super::answer;
use super::body;
use super::bridge::Bridge;
use super::kv::unexpected;
use super::query::{self, Query, decode};
use crate::client::id_in;
use crate::logs;
use crate::message::client::{BucketChange, BucketSpec, Inspect, Reply, Request, Setting};
use crate::{Error, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use serde::{Deserialize, Deserializer};
use std::sync::Arc;

/// The longest description of a bucket, in bytes.
const BUCKET_BODY_LIMIT: usize = 16 << 10;

/// A bucket as a user describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    n: Option<u8>,
    r: Option<u8>,
    w: Option<u8>,
    #[serde(default)]
    conflict: Conflict,
    ttl: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Conflict {
    #[default]
    Siblings,
    Lww,
}

/// `POST /v1/buckets`.
pub(super) async fn create(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    body: Body,
) -> Response<Body> {
    let bytes = match body::read(&bridge, body, "the bucket", BUCKET_BODY_LIMIT).await {
        Ok(bytes) => bytes,
        Err(response) => return *response,
    };
    let described = Query::parse(uri.query(), &[]).and_then(|_| {
        serde_json::from_slice::<Described>(&bytes)
            .map_err(|e| Error::Invalid(format!("the bucket's description: {e}")))
    });
    let Described { name, n, r, w, conflict, ttl, kind } = match described {
        Ok(described) => described,
        Err(error) => return answer::failed(&error),
    };
    let ttl_ms = match ttl.as_deref().map(query::milliseconds).transpose() {
        Ok(ttl) => ttl,
        Err(error) => return answer::failed(&error),
    };
    let spec = BucketSpec { name, n, r, w, lww: conflict == Conflict::Lww, ttl_ms, kind };
    agreed(bridge.ask(Request::CreateBucket(spec), None).await)
}

/// What is to be changed: what is not named stays, what is null is as if nobody had ever set it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    #[serde(default, deserialize_with = "named")]
    r: Option<Option<u8>>,
    #[serde(default, deserialize_with = "named")]
    w: Option<Option<u8>>,
    #[serde(default, deserialize_with = "named")]
    ttl: Option<Option<String>>,
}

/// Something that is there, null or not.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Changed {
    fn read(bytes: &[u8]) -> Result<Changed> {
        // An array would do for a struct, too.
        let object = serde_json::from_slice::<serde_json::Map<_, _>>(bytes);
        let changed = object.and_then(|object| serde_json::from_value(object.into()));
        changed.map_err(|error| Error::Invalid(format!("the change: {error}")))
    }

    fn of(self, name: String) -> Result<BucketChange> {
        let ttl_ms = match self.ttl {
            None => Setting::Kept,
            Some(ttl) => ttl.as_deref().map(query::milliseconds).transpose()?.into(),
        };
        let count = |count: Option<Option<u8>>| count.map_or(Setting::Kept, Setting::from);
        Ok(BucketChange { name, r: count(self.r), w: count(self.w), ttl_ms })
    }
}

/// `POST /v1/buckets/{bucket}`.
pub(super) async fn change(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    body: Body,
) -> Response<Body> {
    let bytes = match body::read(&bridge, body, "the change", BUCKET_BODY_LIMIT).await {
        Ok(bytes) => bytes,
        Err(response) => return *response,
    };
    let change = name(&uri).and_then(|name| Changed::read(&bytes)?.of(name));
    match change {
        Ok(change) => agreed(bridge.ask(Request::SetBucket(change), None).await),
        Err(error) => answer::failed(&error),
    }
}

/// `DELETE /v1/buckets/{bucket}`.
pub(super) async fn remove(State(bridge): State<Arc<Bridge>>, uri: Uri) -> Response<Body> {
    match remove_named(&bridge, &uri).await {
        Ok(reply) => agreed(reply),
        Err(error) => answer::failed(&error),
    }
}

async fn remove_named(bridge: &Bridge, uri: &Uri) -> Result<Reply> {
    let name = name(uri)?;
    if logs::is_own_bucket(&name) {
        return Err(Error::Invalid(format!("{name} belongs to the log store: let lines expire")));
    }
    let id = match bridge.ask(Request::Inspect(Inspect::Buckets), None).await {
        Reply::Json(list) => id_in(&list, &name)?,
        other => return Err(unexpected(other)),
    };
    Ok(bridge.ask(Request::DropBucket { name, id }, None).await)
}

/// The name in the path; no parameter is known here.
fn name(uri: &Uri) -> Result<String> {
    Query::parse(uri.query(), &[])?;
    let name = uri.path().strip_prefix("/v1/buckets/").unwrap_or_default();
    String::from_utf8(decode(name, false)?)
        .map_err(|_| Error::Invalid("the bucket's name is not UTF-8".into()))
}

fn agreed(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Agreed => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        other => answer::failed(&unexpected(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_is_unset_and_what_is_not_there_stays() {
        let change =
            |text: &str| Changed::read(text.as_bytes()).and_then(|changed| changed.of("b".into()));
        let b = || BucketChange { name: "b".into(), ..BucketChange::default() };
        assert_eq!(change("{}"), Ok(b()));
        let (w, ttl_ms) = (Setting::Unset, Setting::Unset);
        assert_eq!(change(r#"{"w":null,"ttl":null}"#), Ok(BucketChange { w, ttl_ms, ..b() }));
        let (r, ttl_ms) = (Setting::Set(1), Setting::Set(60_000));
        assert_eq!(change(r#"{"r":1,"ttl":"1m"}"#), Ok(BucketChange { r, ttl_ms, ..b() }));
        for wrong in [r#"{"n":3}"#, r#"{"r":"x"}"#, r#"{"r":256}"#, r#"{"ttl":"soon"}"#, "[]", ""] {
            assert!(change(wrong).is_err(), "{wrong}");
        }
    }
}
