//! What the node's thread and the store's own threads hand to one another.
//!
//! ```text
//!   node ──commit──► queue ──► writer ──► published ──durable()──► backlog ──► applier ──► index
//!     ▲                          │  one write, one sync                            │
//!     └──────────waker───────────┘               overlay evicts ◄──── applied ─────┘
//! ```
//!
//! Locks are held to move a few words, never during a disk or an index call, but for the one of the note of damage,
//! which is hardly ever written. The view of the node moves
//! only when the node asks [`durable`](super::Store::durable): a group reaches the index *after* the
//! node has seen it, so a reader cannot find the future in there.

use super::disk::Disk;
use super::hold::Holds;
use super::index::{IndexDamaged, Located};
use super::options::{Options, Stats};
use super::record::Place;
use super::scrub::Desk;
use super::{Batch, Change, CommitNumber, StoreError};
use crate::id::Lineage;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A file in the log's directory: the index is not to be trusted at the next start.
pub(crate) const REBUILD: &str = "REBUILD";

/// Batches that were written together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) batches: Vec<Written>,
    /// The first place after it.
    pub(crate) end: Place,
    /// Its last sequence number.
    pub(crate) sequence: u64,
    /// The last commit number up to here.
    pub(crate) commit: CommitNumber,
    /// Its bytes in the log.
    pub(crate) bytes: u64,
}

/// One batch in the log.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) sequence: u64,
    pub(crate) place: Place,
    pub(crate) payload: Payload,
}

/// What a written batch holds.
#[derive(Debug)]
pub(crate) enum Payload {
    /// What the node committed.
    Changes(Vec<Change>),
    /// Records that moved.
    Copies(Vec<Move>),
}

/// A live record on its way out of an old segment.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) key: Bytes,
    pub(crate) head: Bytes,
    /// The whole record as the log holds it.
    pub(crate) record: Bytes,
    pub(crate) from: Place,
}

/// An entry of the index that is to be set right, if it is still the one that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Mend {
    pub(crate) key: Bytes,
    pub(crate) seen: Located,
    /// Nothing: the log has no such key.
    pub(crate) put: Option<Located>,
}

/// What waits for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) batches: VecDeque<(CommitNumber, Batch)>,
    pub(crate) bytes: u64,
    pub(crate) request: Option<Request>,
    pub(crate) lineage: Option<Lineage>,
}

/// What the reclaimer asks of the writer.
#[derive(Debug)]
pub(crate) enum Request {
    /// From now on, note which of these keys are written.
    Watch(BTreeSet<Bytes>),
    /// Append those that were not.
    Copy(Vec<Move>),
}

/// Everything that more than one thread touches.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) queue: Mutex<Queue>,
    /// Something changed for the writer: a batch, a request, room in the overlay, the end.
    pub(crate) writer_wakes: Condvar,
    pub(crate) published: Mutex<Vec<Arc<Group>>>,
    pub(crate) backlog: Mutex<VecDeque<Arc<Group>>>,
    pub(crate) applier_wakes: Condvar,
    pub(crate) keeper: Mutex<()>,
    pub(crate) keeper_wakes: Condvar,
    /// Who keeps old segments.
    pub(crate) holds: Arc<Holds>,
    pub(crate) scrub: Mutex<Desk>,
    pub(crate) scrub_wakes: Condvar,
    /// For the applier, from the scrubber.
    pub(crate) mends: Mutex<Vec<Mend>>,
    /// For the keeper, from the scrubber: live records that a rebuild would not find where they are.
    pub(crate) rescues: Mutex<Vec<Move>>,
    /// The end of what was published, packed.
    pub(crate) end: AtomicU64,
    /// The sequence number up to which the log was written.
    pub(crate) appended: AtomicU64,
    /// … and synced.
    pub(crate) synced: AtomicU64,
    /// … and published.
    pub(crate) published_upto: AtomicU64,
    /// … and applied to the index.
    pub(crate) applied: AtomicU64,
    /// … and shall be soon: somebody waits for it.
    pub(crate) applied_wanted: AtomicU64,
    /// How many requests of the reclaimer the writer has served.
    pub(crate) requests_served: AtomicU64,
    /// Bytes published and not applied.
    pub(crate) unapplied_bytes: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) live_bytes: AtomicU64,
    pub(crate) index_bytes: AtomicU64,
    pub(crate) free_bytes: AtomicU64,
    pub(crate) segments: AtomicU64,
    /// The oldest segment that still exists.
    pub(crate) oldest_segment: AtomicU64,
    pub(crate) current_segment: AtomicU64,
    pub(crate) full: AtomicBool,
    /// Held while the note of damage is read and written anew.
    pub(crate) damage: Mutex<()>,
    /// No thread shall begin anything more.
    pub(crate) stopping: AtomicBool,
    failed: Mutex<Option<StoreError>>,
    has_failed: AtomicBool,
    pub(crate) batches: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) copies: AtomicU64,
    pub(crate) reclaimed: AtomicU64,
    pub(crate) rebuilds: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: Options, disk: Arc<dyn Disk>) -> Shared {
        Shared {
            options,
            disk,
            queue: Mutex::default(),
            writer_wakes: Condvar::new(),
            published: Mutex::default(),
            backlog: Mutex::default(),
            applier_wakes: Condvar::new(),
            keeper: Mutex::default(),
            keeper_wakes: Condvar::new(),
            holds: Arc::default(),
            scrub: Mutex::default(),
            scrub_wakes: Condvar::new(),
            mends: Mutex::default(),
            rescues: Mutex::default(),
            end: AtomicU64::new(0),
            appended: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            published_upto: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            applied_wanted: AtomicU64::new(0),
            requests_served: AtomicU64::new(0),
            unapplied_bytes: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            index_bytes: AtomicU64::new(0),
            free_bytes: AtomicU64::new(0),
            segments: AtomicU64::new(0),
            oldest_segment: AtomicU64::new(0),
            current_segment: AtomicU64::new(0),
            full: AtomicBool::new(false),
            damage: Mutex::default(),
            stopping: AtomicBool::new(false),
            failed: Mutex::default(),
            has_failed: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            copies: AtomicU64::new(0),
            reclaimed: AtomicU64::new(0),
            rebuilds: AtomicU64::new(0),
        }
    }

    /// Nothing is promised any more. The first reason is kept.
    pub(crate) fn fail(&self, why: String) {
        lock(&self.failed).get_or_insert(StoreError::Failed(why));
        self.has_failed.store(true, Ordering::Release);
        self.wake_threads();
        (self.options.waker)();
    }

    /// The index is beyond use: the store stops, and the next start rebuilds it.
    pub(crate) fn fail_index(&self, why: &IndexDamaged) -> StoreError {
        // If even this file cannot be made, the index will be found damaged again.
        let noted = self.disk.create(REBUILD).and_then(|file| file.sync());
        let _ = noted.and_then(|()| self.disk.sync_dir());
        self.fail(why.to_string());
        StoreError::Failed(why.to_string())
    }

    pub(crate) fn failed(&self) -> Option<StoreError> {
        if !self.has_failed.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.failed).clone()
    }

    /// Whether the threads shall end.
    pub(crate) fn is_over(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.has_failed.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_threads();
    }

    /// Each under its lock, so that a thread that is about to wait does not miss it.
    fn wake_threads(&self) {
        drop(lock(&self.queue));
        self.writer_wakes.notify_all();
        drop(lock(&self.backlog));
        self.applier_wakes.notify_all();
        drop(lock(&self.keeper));
        self.keeper_wakes.notify_all();
        drop(lock(&self.scrub));
        self.scrub_wakes.notify_all();
    }

    /// Whether a segment is deleted, and may be partly gone for whoever has it open.
    pub(crate) fn is_deleted(&self, segment: u32) -> bool {
        u64::from(segment) < self.oldest_segment.load(Ordering::Acquire)
    }

    /// Whether the index has everything up to here. If not, it shall have it soon.
    pub(crate) fn has_applied(&self, sequence: u64) -> bool {
        if self.applied.load(Ordering::Acquire) >= sequence {
            return true;
        }
        if self.applied_wanted.fetch_max(sequence, Ordering::AcqRel) < sequence {
            // Under the lock, so that an applier that is about to wait does not miss it.
            drop(lock(&self.backlog));
            self.applier_wakes.notify_one();
        }
        false
    }

    /// Whether the writer should let the index catch up first.
    pub(crate) fn overlay_is_full(&self) -> bool {
        self.unapplied_bytes.load(Ordering::Acquire) > self.options.overlay_bytes
    }

    pub(crate) fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            batches: get(&self.batches),
            writes: get(&self.writes),
            syncs: get(&self.syncs),
            log_bytes: get(&self.log_bytes),
            live_bytes: get(&self.live_bytes),
            segments: get(&self.segments),
            index_bytes: get(&self.index_bytes),
            free_bytes: get(&self.free_bytes),
            backlog_bytes: get(&self.unapplied_bytes),
            copies: get(&self.copies),
            reclaimed_segments: get(&self.reclaimed),
            rebuilds: get(&self.rebuilds),
            full: self.full.load(Ordering::Relaxed),
        }
    }
}

/// Locks; a panic elsewhere is already reported as a failed store, and what the locks guard is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
