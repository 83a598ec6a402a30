//! One stream: server-sent events as a body, at the reader's pace.

use super::moment::{Moment, event};
use super::seats::Seat;
use crate::node::DURATION_BOUNDS_US;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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
    Body::new(Stream { next: Box::pin(reader.next()) })
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

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Reader)>> + Send>>;

/// Turns "and then?" into a body.
struct Stream {
    next: Next,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.next.as_mut().poll(cx).map(|more| {
            let (bytes, reader) = more?;
            self.next = Box::pin(reader.next());
            Some(Ok(Frame::data(bytes)))
        })
    }
}
