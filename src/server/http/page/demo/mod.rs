//! Run Demo: a node fails on purpose, in a bucket of its own, and mends before the eyes of whoever clicked.
//!
//! ```text
//!   POST /v1/demo ─► token, one at a time ─► a task: acts of script.rs on a Stage
//!                                                │ a line of JSON for each thing said or claimed
//!                                                ▼
//!                            the answer's body, as it happens; the node plays its part again however it ends
//! ```

mod script;
mod stage;

use super::super::answer;
use super::super::bridge::Bridge;
use crate::Error;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use futures_util::{StreamExt, stream};
use stage::Stage;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// How many lines may wait for a reader.
const LINES: usize = 64;

/// Whether one is under way.
#[derive(Clone, Default)]
pub(super) struct Demo(Arc<AtomicBool>);

/// Until it is dropped, one is.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Demo {
    /// Begins one; the answer's body tells of it as it goes on.
    pub(super) fn begin(&self, bridge: Arc<Bridge>) -> Response<Body> {
        if self.0.swap(true, Ordering::AcqRel) {
            let what = "the demo is running on this node already: wait until it has ended";
            return answer::failed(&Error::Overloaded(what.into()));
        }
        let running = Running(self.0.clone());
        let (sender, mut receiver) = mpsc::channel(LINES);
        tokio::spawn(async move {
            let _running = running;
            let mut stage = Stage::new(bridge, sender);
            let ended = script::play(&mut stage).await;
            stage.leave(ended).await;
        });
        let lines = stream::poll_fn(move |cx| receiver.poll_recv(cx)).map(Ok::<_, Infallible>);
        answer::with_type(StatusCode::OK, "application/x-ndjson", Body::from_stream(lines))
    }
}
