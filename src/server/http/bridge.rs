//! From the HTTP thread to the node thread and back: bounded, and no answer is waited for without end.

use super::super::chaos::Chaos;
use super::super::counters::Snapshot;
use super::lock::Lock;
use super::watch::Looks;
use crate::Error;
use crate::config::ServerConfig;
use crate::logs::Announced;
use crate::message::client::{Reply, Request};
use crate::redis::Class;
use crate::types::Desk;
use crate::version::OperationId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// How much longer than its deadline a request is waited for: the node itself answers in time.
const GRACE: Duration = Duration::from_secs(2);
/// A snapshot older than this is asked for anew; the turn publishes no more often than that.
const SNAPSHOT_FRESH: Duration = Duration::from_millis(110);
/// How long a new one is waited for.
const SNAPSHOT_PATIENCE: Duration = Duration::from_millis(250);
/// A snapshot older than this says that the node thread hangs.
const SNAPSHOT_MAX_AGE: Duration = Duration::from_secs(5);

/// A request on its way to the node thread.
pub(in crate::server) struct Ask {
    pub(in crate::server) request: Request,
    pub(in crate::server) deadline_ms: u32,
    pub(in crate::server) reply: oneshot::Sender<Reply>,
}

/// What every handler holds.
pub(in crate::server) struct Bridge {
    asks: mpsc::Sender<Ask>,
    wake: Arc<Notify>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    rejected: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// What the log store knows of its catalog.
    pub(super) announced: Announced,
    /// What is watched here.
    pub(super) looks: Looks,
    /// What typed operations remember.
    pub(in crate::server) desk: Arc<Desk>,
    /// Lines of logs that were taken here.
    ingested: AtomicU64,
    /// Commands of Redis's clients, by class.
    resp_commands: [AtomicU64; Class::EVERY.len()],
    /// What harms this node, where that is allowed.
    pub(super) chaos: Option<Arc<Chaos>>,
    session: u64,
    sequence: AtomicU64,
    default_timeout: Duration,
    pub(super) longest_timeout: Duration,
    pub(super) value_bytes: usize,
    /// Who may ask.
    pub(super) lock: Lock,
    /// Of which origins pages may read and write here.
    pub(super) origins: Vec<String>,
    pub(super) connections: usize,
    pub(in crate::server) syslog_connections: usize,
    pub(in crate::server) resp_connections: usize,
    pub(in crate::server) stall: Duration,
}

impl Bridge {
    pub(in crate::server) fn new(
        asks: mpsc::Sender<Ask>,
        wake: Arc<Notify>,
        snapshot: watch::Receiver<Arc<Snapshot>>,
        config: &ServerConfig,
        chaos: Option<Arc<Chaos>>,
        session: u64,
    ) -> Bridge {
        Bridge {
            asks,
            wake,
            snapshot,
            rejected: Mutex::default(),
            announced: Announced::default(),
            looks: Looks::default(),
            desk: Arc::default(),
            ingested: AtomicU64::new(0),
            chaos,
            session,
            sequence: AtomicU64::new(1),
            default_timeout: config.timing.request,
            longest_timeout: config.timing.request_max,
            value_bytes: config.limits.value_bytes.bytes(),
            lock: Lock::new(&config.http.token),
            origins: config.listen.http_origins.0.clone(),
            connections: config.limits.http_connections,
            syslog_connections: config.limits.syslog_connections,
            resp_connections: config.limits.resp_connections,
            resp_commands: Default::default(),
            stall: config.timing.stall,
        }
    }

    /// Asks the node; every way that it can fail is a [`Reply::Failed`].
    pub(super) async fn ask(&self, request: Request, timeout: Option<Duration>) -> Reply {
        let is_write = matches!(
            request,
            Request::Put { .. }
                | Request::CreateBucket(_)
                | Request::SetBucket(_)
                | Request::DropBucket { .. }
                | Request::ChangeRing(_)
        );
        let deadline_ms = timeout.map_or(0, |t| u32::try_from(t.as_millis()).unwrap_or(u32::MAX));
        let (reply, answer) = oneshot::channel();
        match self.asks.try_send(Ask { request, deadline_ms, reply }) {
            Ok(()) => self.wake.notify_one(),
            Err(mpsc::error::TrySendError::Full(_)) => {
                return Reply::Failed(Error::Overloaded("too many HTTP requests wait".into()));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Reply::Failed(Error::Unreachable("this node is stopping".into()));
            }
        }
        let longest = timeout.unwrap_or(self.default_timeout).min(self.longest_timeout) + GRACE;
        match tokio::time::timeout(longest, answer).await {
            Ok(Ok(reply)) => reply,
            _ if is_write => Reply::Failed(Error::OutcomeUnknown { required: 1, received: 0 }),
            Ok(Err(_)) => Reply::Failed(Error::Unreachable("this node is stopping".into())),
            Err(_) => Reply::Failed(Error::Timeout { required: 1, received: 0 }),
        }
    }

    /// A name for a write whose client gave none.
    pub(super) fn operation(&self) -> OperationId {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        OperationId { session: self.session, sequence }
    }

    /// The node as of just now, or, if it does not turn, as of when it last did.
    pub(super) async fn snapshot(&self) -> Arc<Snapshot> {
        let mut published = self.snapshot.clone();
        let last = published.borrow_and_update().clone();
        if last.taken.elapsed() < SNAPSHOT_FRESH {
            return last;
        }
        self.wake.notify_one();
        let _ = tokio::time::timeout(SNAPSHOT_PATIENCE, published.changed()).await;
        published.borrow().clone()
    }

    /// The node as of this moment or later; if it does not turn for so long, as of when it last did.
    pub(super) async fn snapshot_since(&self, since: Instant, patience: Duration) -> Arc<Snapshot> {
        let mut published = self.snapshot.clone();
        let newer = async {
            loop {
                self.wake.notify_one();
                let newer = published.wait_for(|snapshot| snapshot.taken >= since);
                // It may have published just before it was woken, and does not do so again at once.
                if tokio::time::timeout(SNAPSHOT_FRESH, newer).await.is_ok() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, newer).await;
        self.snapshot.borrow().clone()
    }

    /// Why the node takes no requests, if so.
    pub(super) async fn unready(&self) -> Option<String> {
        let snapshot = self.snapshot().await;
        let age = snapshot.taken.elapsed();
        match &snapshot.unready {
            Some(reason) => Some(reason.clone()),
            None if self.asks.is_closed() => Some("this node has stopped".into()),
            None if age > SNAPSHOT_MAX_AGE => {
                Some(format!("the node has not turned for {} s", age.as_secs()))
            }
            None => None,
        }
    }

    pub(in crate::server) fn count_ingested(&self, lines: u64) {
        self.ingested.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn ingested(&self) -> u64 {
        self.ingested.load(Ordering::Relaxed)
    }

    pub(in crate::server) fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    pub(in crate::server) fn count_resp(&self, class: Class) {
        self.resp_commands[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many commands of each class Redis's clients have sent.
    pub(super) fn resp_commands(&self) -> [(Class, u64); Class::EVERY.len()] {
        Class::EVERY
            .map(|class| (class, self.resp_commands[class as usize].load(Ordering::Relaxed)))
    }

    pub(super) fn reject(&self, reason: &'static str) {
        self.reject_on("http", reason, 1);
    }

    pub(in crate::server) fn reject_on(
        &self,
        port: &'static str,
        reason: &'static str,
        times: u64,
    ) {
        // A poisoned lock still guards whole numbers.
        let mut rejected = self.rejected.lock().unwrap_or_else(|e| e.into_inner());
        *rejected.entry((port, reason)).or_default() += times;
    }

    pub(super) fn rejected(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.rejected.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}
