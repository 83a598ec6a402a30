//! Hooks for your metrics: what becomes of requests, attempts and connections.
//!
//! ```text
//!   request ─▶ attempt ─▶ retried ─▶ attempt ─▶ speculated ─▶ done { kind, error, duration, attempts }
//! ```
//!
//! Hooks are called where the event happens: they must be quick, and must not block. Without an observer nothing is
//! measured. Neither keys nor values are told.

use crate::error::Error;
use crate::message::client::Request;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which sort of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// A read of one item.
    Get,
    /// A write of one item.
    Put,
    /// A delete of one item.
    Delete,
    /// A page of a scan.
    Scan,
    /// All others: pages of keys, buckets, inspections, changes of the ring.
    Other,
}

impl RequestKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            RequestKind::Get => "get",
            RequestKind::Put => "put",
            RequestKind::Delete => "delete",
            RequestKind::Scan => "scan",
            RequestKind::Other => "other",
        }
    }

    pub(super) fn of(request: &Request) -> RequestKind {
        match request {
            Request::Get { .. } | Request::Explain { .. } => RequestKind::Get,
            Request::Put { value: Some(_), .. } => RequestKind::Put,
            Request::Put { value: None, .. } => RequestKind::Delete,
            Request::Scan { .. } => RequestKind::Scan,
            _ => RequestKind::Other,
        }
    }
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestDone<'a> {
    /// Which sort of request.
    pub kind: RequestKind,
    /// How it ended; `None`: well. A value for a label is [`Error::code`].
    pub error: Option<&'a Error>,
    /// From its beginning to its end, pauses included.
    pub duration: Duration,
    /// How often it was sent.
    pub attempts: u32,
}

/// What a client tells; every method does nothing unless it is overwritten.
pub trait Observer: Send + Sync + 'static {
    /// A request has ended. One whose future is dropped before never does.
    fn done(&self, done: &RequestDone<'_>) {
        let _ = done;
    }

    /// A request is about to be sent once more.
    fn retried(&self, kind: RequestKind) {
        let _ = kind;
    }

    /// A request was not sent once more, for the retry budget is empty.
    fn retry_refused(&self, kind: RequestKind) {
        let _ = kind;
    }

    /// A read that was not answered in time was sent to a second node.
    fn speculated(&self) {}

    /// A connection to this address has come up or gone down.
    fn connection(&self, address: &str, up: bool) {
        let _ = (address, up);
    }
}

/// An observer that may be absent.
#[derive(Clone, Default)]
pub(super) struct Watch(pub(super) Option<Arc<dyn Observer>>);

impl Watch {
    pub(super) fn tell(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            event(&**observer);
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(some)" } else { "Watch(none)" })
    }
}

/// An observer that counts; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    inner: Arc<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    requests: AtomicU64,
    errors: AtomicU64,
    unknown: AtomicU64,
    attempts: AtomicU64,
    micros: AtomicU64,
    retries: AtomicU64,
    retries_refused: AtomicU64,
    speculated: AtomicU64,
    connections_up: AtomicU64,
    connections_down: AtomicU64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// Requests that have ended.
    pub requests: u64,
    /// Those that ended with an error.
    pub errors: u64,
    /// Those of which nobody knows whether they were stored; they are errors too.
    pub unknown: u64,
    /// How often they were sent.
    pub attempts: u64,
    /// How long they took in all.
    pub duration: Duration,
    /// How often something was sent once more.
    pub retries: u64,
    /// How often it was not, for the budget was empty.
    pub retries_refused: u64,
    /// Reads that were sent to a second node.
    pub speculated: u64,
    /// How often a connection came up.
    pub connections_up: u64,
    /// How often one went down.
    pub connections_down: u64,
}

impl Counters {
    /// What was counted so far; the numbers are read one after the other.
    pub fn read(&self) -> Counted {
        let of = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let cells = &self.inner;
        Counted {
            requests: of(&cells.requests),
            errors: of(&cells.errors),
            unknown: of(&cells.unknown),
            attempts: of(&cells.attempts),
            duration: Duration::from_micros(of(&cells.micros)),
            retries: of(&cells.retries),
            retries_refused: of(&cells.retries_refused),
            speculated: of(&cells.speculated),
            connections_up: of(&cells.connections_up),
            connections_down: of(&cells.connections_down),
        }
    }
}

impl Observer for Counters {
    fn done(&self, done: &RequestDone<'_>) {
        let cells = &self.inner;
        let add = |cell: &AtomicU64, n: u64| cell.fetch_add(n, Ordering::Relaxed);
        add(&cells.requests, 1);
        add(&cells.errors, u64::from(done.error.is_some()));
        let unknown = matches!(done.error, Some(Error::OutcomeUnknown { .. }));
        add(&cells.unknown, u64::from(unknown));
        add(&cells.attempts, u64::from(done.attempts));
        add(&cells.micros, u64::try_from(done.duration.as_micros()).unwrap_or(u64::MAX));
    }

    fn retried(&self, _: RequestKind) {
        self.inner.retries.fetch_add(1, Ordering::Relaxed);
    }

    fn retry_refused(&self, _: RequestKind) {
        self.inner.retries_refused.fetch_add(1, Ordering::Relaxed);
    }

    fn speculated(&self) {
        self.inner.speculated.fetch_add(1, Ordering::Relaxed);
    }

    fn connection(&self, _: &str, up: bool) {
        let cell = if up { &self.inner.connections_up } else { &self.inner.connections_down };
        cell.fetch_add(1, Ordering::Relaxed);
    }
}
