//! A span of `tracing` around each request, at level DEBUG, target `quorate::client`: which sort, which bucket, at which
//! consistency; when it has ended, how often it was sent, to whom last, and the code of its error. Neither keys nor values.

use super::Client;
use super::attempts::Effect;
use super::execute::Trail;
use super::observer::RequestKind;
use crate::error::{Error, Result};
use crate::message::client::{Reply, Request};
use crate::quorum::QuorumRequest;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

/// Runs a request within its span.
pub(super) async fn within(
    client: &Client,
    request: &Request,
    effect: Effect,
    deadline: Instant,
    trail: &mut Trail,
) -> Result<Reply> {
    let span = begin(request);
    let end = client.run(request, effect, deadline, trail).instrument(span.clone()).await;
    if !span.is_disabled() {
        span.record("attempts", trail.attempts);
        if let Some(node) = trail.node.and_then(|node| client.inner.pool.address(node)) {
            span.record("node", node);
        }
        if let Err(error) = &end {
            span.record("error", Error::code(error));
        }
    }
    end
}

fn begin(request: &Request) -> Span {
    let kind = RequestKind::of(request).name();
    let span = debug_span!(
        target: "quorate::client",
        "request",
        kind,
        bucket = Empty,
        consistency = Empty,
        attempts = Empty,
        node = Empty,
        error = Empty
    );
    if span.is_disabled() {
        return span;
    }
    let about = match request {
        Request::Get { item, quorum }
        | Request::Explain { item, quorum }
        | Request::Put { item, quorum, .. } => Some((&item.bucket, quorum)),
        Request::Scan { bucket, quorum, .. } => Some((bucket, quorum)),
        _ => None,
    };
    if let Some((bucket, quorum)) = about {
        span.record("bucket", bucket.as_str());
        span.record("consistency", told(*quorum).as_str());
    }
    span
}

fn told(quorum: QuorumRequest) -> String {
    match (quorum.count, quorum.consistency) {
        (Some(count), _) => count.to_string(),
        (None, Some(level)) => level.name().to_owned(),
        (None, None) => "bucket".to_owned(),
    }
}
