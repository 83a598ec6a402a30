//! One stream: server-sent events as a body, at the reader's pace.

use super::moment::{Moment, event};
use super::seats::Seat;
use crate::node::DURATION_BOUNDS_US;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// What one reader has seen so far.
struct Reader {
    moments: watch::Receiver<Option<Arc<Moment>>>,
    seat: Arc<Seat>,
    greeted: bool,
    chaos: bool,
    ring: Option<u64>,
    entry: u64,
}

/// The body of an answer that does not end by itself.
pub(super) fn body(
    mut moments: watch::Receiver<Option<Arc<Moment>>>,
    seat: Arc<Seat>,
    listened: &Notify,
    chaos: bool,
) -> Body {
    let is_fresh = moments.borrow_and_update().as_ref().is_some_and(|moment| moment.is_fresh());
    if is_fresh {
        moments.mark_changed();
    }
    listened.notify_one();
    let reader = Reader { moments, seat, greeted: false, chaos, ring: None, entry: 0 };
    Body::from_stream(stream::unfold(reader, Reader::next).map(Ok::<_, Infallible>))
}

impl Reader {
    /// The next bytes; `None` ends the stream.
    async fn next(mut self) -> Option<(Bytes, Reader)> {
        if !self.seat.keep() {
            return None;
        }
        if !self.greeted {
            self.greeted = true;
            return Some((hello(self.chaos), self));
        }
        self.moments.changed().await.ok()?;
        let moment = self.moments.borrow_and_update().clone();
        let bytes = moment.map(|moment| self.tell(&moment)).unwrap_or_default();
        Some((bytes, self))
    }

    /// Of a moment, what this reader does not know.
    fn tell(&mut self, moment: &Moment) -> Bytes {
        let mut bytes = Vec::new();
        if let Some((number, ring)) = &moment.ring
            && self.ring.replace(*number) != Some(*number)
        {
            bytes.extend_from_slice(ring);
        }
        let new: Vec<_> = moment.entries.iter().filter(|e| e.number > self.entry).collect();
        if let Some(last) = new.last() {
            self.entry = last.number;
            let entries: Vec<_> = new.iter().map(|entry| entry.json()).collect();
            bytes.extend_from_slice(&event("timeline", &json!({ "entries": entries })));
        }
        bytes.extend_from_slice(&moment.snapshot);
        bytes.into()
    }
}

/// What does not change while the process lives. A page begins anew with it.
fn hello(chaos: bool) -> Bytes {
    let version = env!("CARGO_PKG_VERSION");
    event("hello", &json!({ "version": version, "bounds_us": DURATION_BOUNDS_US, "chaos": chaos }))
}
