//! Changes as server-sent events, at the reader's pace: who is slow is told the newest state.

use super::looks::Watcher;
use super::target::Target;
use crate::Result;
use crate::server::http::answer;
use crate::server::http::bridge::Bridge;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long nothing is sent at the most: a reader who has left is noticed then.
const QUIET: Duration = Duration::from_secs(15);

struct Reader {
    bridge: Arc<Bridge>,
    target: Target,
    look: Watcher,
    seen: String,
    /// It has been told of an error, and of nothing good since.
    is_failing: bool,
    ended: bool,
}

/// An answer that does not end by itself.
///
/// # Errors
/// Too many watch here.
pub(super) fn body(bridge: &Arc<Bridge>, target: Target, seen: String) -> Result<Response<Body>> {
    let look = bridge.looks.join(bridge, &target)?;
    let bridge = bridge.clone();
    let reader = Reader { bridge, target, look, seen, is_failing: false, ended: false };
    let events = stream::unfold(reader, Reader::next).map(Ok::<_, Infallible>);
    let mut response =
        answer::with_type(StatusCode::OK, "text/event-stream", Body::from_stream(events));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Reader {
    /// The next bytes.
    async fn next(mut self) -> Option<(Bytes, Reader)> {
        if self.ended {
            return None;
        }
        loop {
            self.look.mark();
            match self.target.news(&self.bridge, &self.seen).await {
                Ok(Some(news)) => {
                    self.is_failing = false;
                    let bytes = event("change", Some(&news.seen), &news.shown);
                    self.seen = news.seen;
                    return Some((bytes, self));
                }
                Ok(None) => {}
                Err(error) => {
                    self.ended = !error.is_retryable();
                    if self.ended || !std::mem::replace(&mut self.is_failing, true) {
                        let bytes =
                            event("error", None, &json!({ "error": answer::error_object(&error) }));
                        return Some((bytes, self));
                    }
                }
            }
            if timeout(QUIET, self.look.changed()).await.is_err() {
                return Some((Bytes::from_static(b":\n\n"), self));
            }
        }
    }
}

fn event(name: &str, id: Option<&str>, data: &Value) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}
