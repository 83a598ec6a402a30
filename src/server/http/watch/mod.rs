//! `/v1/watch/{bucket}/{key}`: waiting until an item, or a range of sort keys, is not as it was seen.
//!
//! ```text
//!   GET ?seen=c ─► is there anything that c has not seen? ─┬─ yes ─► it, and what to ask with next
//!                        ▲                                 └─ no ─► wait for the look ─┐
//!                        └────────────────── it changed ───────────────────────────────┘
//!   look  one for each item or range that somebody waits for, however many: reads it again every 200 ms or so
//! ```
//!
//! After Garage's K2V (PollItem, PollRange). What is waited for is decided by reads of R replicas, so that a change is seen
//! whichever node took it, as soon as it is acknowledged and R + W > N; the look is only what says when to read. What
//! came and went between two reads is not told: the last state is always told.
//!
//! With `Accept: text/event-stream` each change is an event, until the client leaves; the event's id is what was seen,
//! which browsers send back when they connect anew.

mod looks;
mod marker;
mod stream;
mod target;
#[cfg(test)]
mod tests;

pub(super) use looks::Looks;

use super::answer;
use super::bridge::Bridge;
use super::query::Query;
use crate::Result;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::time::{Instant, timeout_at};

/// What there may be in a query.
const EVERY: [&str; 6] = ["scan", "seen", "timeout", "consistency", "r", "strict"];
/// Of an item.
const ITEM: [&str; 1] = ["sort"];
/// Of a range.
const RANGE: [&str; 3] = ["prefix", "from", "to"];
/// How long is waited unless the client says.
const WAIT: Duration = Duration::from_secs(30);

/// What a watcher is shown, and what to ask with next.
#[derive(Clone, Debug, PartialEq)]
struct News {
    shown: Value,
    seen: String,
}

/// Waits for one change, or tells all that come.
pub(super) async fn watch(
    State(bridge): State<Arc<Bridge>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let begun = begin(&bridge, &uri, &headers);
    let answer = match begun {
        Ok((target, seen, _)) if wants_events(&headers) => stream::body(&bridge, target, seen),
        Ok((target, seen, wait)) => poll(&bridge, &target, seen, wait).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| answer::failed(&error))
}

fn begin(bridge: &Bridge, uri: &Uri, headers: &HeaderMap) -> Result<(Target, String, Duration)> {
    // Which of the two it is decides which other parameters there may be.
    let all = Query::parse(uri.query(), &[&EVERY[..], &ITEM, &RANGE].concat());
    let of_range = all.and_then(|query| query.flag("scan")) == Ok(true);
    let more = if of_range { &RANGE[..] } else { &ITEM };
    let query = Query::parse(uri.query(), &[&EVERY[..], more].concat())?;
    let target = Target::of(uri, &query)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = query.text("seen")?.or(last).unwrap_or_default().to_owned();
    target.check(&seen)?;
    let wait = query.timeout(bridge.longest_timeout)?.unwrap_or(WAIT.min(bridge.longest_timeout));
    Ok((target, seen, wait))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|value| value.contains("text/event-stream"))
}

/// Answers as soon as there is something that was not seen; 304 if there is nothing until then.
async fn poll(
    bridge: &Arc<Bridge>,
    target: &Target,
    seen: String,
    wait: Duration,
) -> Result<Response<Body>> {
    let until = Instant::now() + wait;
    let mut look = bridge.looks.join(bridge, target)?;
    loop {
        // Whatever happens from here on wakes us.
        look.mark();
        let failed = match target.news(bridge, &seen).await {
            Ok(Some(news)) => {
                let mut shown = news.shown;
                shown["seen"] = news.seen.into();
                return Ok(answer::json_with(StatusCode::OK, &shown));
            }
            Ok(None) => None,
            Err(error) if error.is_retryable() => Some(error),
            Err(error) => return Err(error),
        };
        if timeout_at(until, look.changed()).await.is_err() {
            return match failed {
                // It cannot be said that nothing has changed.
                Some(error) => Err(error),
                None => Ok(not_modified()),
            };
        }
    }
}

fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}
