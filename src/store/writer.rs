//! The one writer: everything that waits goes into one buffer, one write, one sync.
//!
//! ```text
//!   committed   1 2 3   4 5 6 7 8 9    10
//!   disk        [write+sync 1]  [write+sync 2..8]  [write+sync 9..]
//!   durable                 1                   8
//! ```
//!
//! While one sync runs the next group gathers, so the cost of a sync is shared by as many batches as
//! arrive during one. A group is published only after its sync; a failed one is never tried again.

use super::log::Log;
use super::options::Durability;
use super::record::{self, Header, Kind, encode_batch, encode_change};
use super::shared::{Group, Move, Payload, Queue, Request, Shared, Written, lock};
use super::{Batch, Change, CommitNumber};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// About how much goes into one write.
const GROUP_BYTES: u64 = 8 << 20;
/// How long to wait before asking a full disk again.
const FULL_RETRY: Duration = Duration::from_millis(200);
/// How much is written between two looks at the free space at most.
const SPACE_CHECK_BYTES: u64 = 4 << 20;

/// The writer and what it knows between two groups.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    log: Log,
    buffer: Vec<u8>,
    /// The keys that the reclaimer wants to copy, less those written since it asked.
    watched: Option<BTreeSet<Bytes>>,
    /// A group that found no room, to be tried again.
    stuck: Option<Work>,
    oldest_unsynced: Option<Instant>,
    /// How much was written since the last look at the free space, and when that was.
    since_space_check: u64,
    space_checked: Instant,
}

/// What goes into one group.
#[derive(Default)]
struct Work {
    copies: Vec<Move>,
    batches: Vec<(CommitNumber, Batch)>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.batches.is_empty()
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done.
    Worked,
    /// There was nothing to do.
    Idle,
    /// The disk is full, or the store has failed.
    Blocked,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, log: Log) -> Writer {
        shared.appended.store(log.sequence, Ordering::Release);
        shared.synced.store(log.synced, Ordering::Release);
        shared.current_segment.store(log.end.segment.into(), Ordering::Release);
        let mut writer = Writer {
            shared,
            log,
            buffer: Vec::new(),
            watched: None,
            stuck: None,
            oldest_unsynced: None,
            since_space_check: 0,
            space_checked: Instant::now(),
        };
        writer.check_space();
        writer
    }

    /// The thread: steps until the store is over.
    pub(crate) fn run(mut self) {
        while !self.shared.is_over() {
            let step = self.step();
            let shared = self.shared.clone();
            let queue = lock(&shared.queue);
            if shared.is_over() {
                break;
            }
            let until = match (step, self.until_sync()) {
                (Step::Blocked, _) => FULL_RETRY,
                _ if self.has_work(&queue) => continue,
                (_, Some(left)) => left,
                (_, None) => FULL_RETRY.max(Duration::from_secs(1)),
            };
            drop(shared.writer_wakes.wait_timeout(queue, until));
        }
    }

    fn has_work(&self, queue: &Queue) -> bool {
        let waiting = !queue.batches.is_empty() || queue.request.is_some();
        waiting && !self.shared.overlay_is_full()
    }

    fn until_sync(&self) -> Option<Duration> {
        match (self.shared.options.durability, self.oldest_unsynced) {
            (Durability::Interval(every), Some(since)) => {
                Some(every.saturating_sub(since.elapsed()))
            }
            _ => None,
        }
    }

    /// Writes one group, if there is anything to write, and syncs what is due.
    pub(crate) fn step(&mut self) -> Step {
        if self.shared.failed().is_some() {
            return Step::Blocked;
        }
        if self.until_sync().is_some_and(|left| left.is_zero())
            && let Err(error) = self.sync()
        {
            return self.fail("fdatasync", &error);
        }
        self.refresh_space();
        let work = match self.stuck.take() {
            Some(work) => work,
            None if self.shared.overlay_is_full() => return Step::Blocked,
            None => self.gather(),
        };
        if work.is_empty() {
            return Step::Idle;
        }
        match self.write(work) {
            Ok(step) => step,
            Err(error) => self.fail("the log", &error),
        }
    }

    fn fail(&self, what: &str, error: &io::Error) -> Step {
        self.shared.fail(format!("{what}: {error}"));
        Step::Blocked
    }

    fn gather(&mut self) -> Work {
        let mut work = Work::default();
        let mut queue = lock(&self.shared.queue);
        if let Some(lineage) = queue.lineage.take() {
            self.log.lineage = lineage;
        }
        let request = queue.request.take();
        let mut bytes = 0;
        while let Some((_, batch)) = queue.batches.front() {
            let length = record::batch_len(batch) as u64;
            if bytes > 0 && bytes + length > GROUP_BYTES {
                break;
            }
            bytes += length;
            queue.bytes -= length;
            work.batches.extend(queue.batches.pop_front());
        }
        drop(queue);
        match request {
            Some(Request::Watch(keys)) => {
                self.watched = Some(keys);
                self.shared.requests_served.fetch_add(1, Ordering::Release);
            }
            Some(Request::Copy(mut copies)) => {
                // Only what nobody wrote since: else the copy, lying later in the log, would win over
                // the newer record at a rebuild.
                let watched = self.watched.take().unwrap_or_default();
                copies.retain(|copy| watched.contains(&copy.key));
                if copies.is_empty() {
                    self.shared.requests_served.fetch_add(1, Ordering::Release);
                }
                work.copies = copies;
            }
            None => {}
        }
        work
    }

    fn write(&mut self, mut work: Work) -> io::Result<Step> {
        if u64::from(self.log.end.offset) >= self.shared.options.segment_bytes {
            if self.log.synced < self.log.sequence {
                self.sync()?;
            }
            if let Err(error) = self.log.roll() {
                return self.no_room(error, work);
            }
            let segment = u64::from(self.log.end.segment);
            self.shared.current_segment.store(segment, Ordering::Release);
            self.shared.segments.fetch_add(1, Ordering::Relaxed);
            self.shared.log_bytes.fetch_add(record::BATCH_HEADER as u64, Ordering::Relaxed);
        }
        let before = (self.log.sequence, self.log.commit);
        let batches = self.encode(&mut work);
        if let Err(error) = self.log.append(&self.buffer) {
            (self.log.sequence, self.log.commit) = before;
            self.log.cut_back()?;
            return self.no_room(error, unencode(batches, work));
        }
        self.shared.writes.fetch_add(1, Ordering::Relaxed);
        self.shared.log_bytes.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.shared.appended.store(self.log.sequence, Ordering::Release);
        self.since_space_check += self.buffer.len() as u64;
        match self.shared.options.durability {
            Durability::Sync => self.sync()?,
            Durability::Interval(_) => {
                self.oldest_unsynced.get_or_insert_with(Instant::now);
            }
        }
        self.publish(batches);
        Ok(Step::Worked)
    }

    fn encode(&mut self, work: &mut Work) -> Vec<Written> {
        self.buffer.clear();
        let start = self.log.end;
        let mut written = Vec::with_capacity(work.batches.len() + 1);
        let mut add = |buffer: &mut Vec<u8>, header: &Header, payload: Payload| {
            let mut place = start;
            place.offset += buffer.len() as u32;
            encode_batch(buffer, start, header, |out| payload.encode(out));
            written.push(Written { sequence: header.sequence, place, payload });
        };
        if !work.copies.is_empty() {
            let header = self.log.next_header(Kind::Copy, self.log.commit);
            add(&mut self.buffer, &header, Payload::Copies(std::mem::take(&mut work.copies)));
        }
        for (number, batch) in &mut work.batches {
            if let Some(watched) = &mut self.watched {
                forget_written(watched, batch);
            }
            let header = self.log.next_header(Kind::Commit, *number);
            let changes = std::mem::take(&mut batch.changes);
            add(&mut self.buffer, &header, Payload::Changes(changes));
        }
        written
    }

    fn publish(&mut self, batches: Vec<Written>) {
        let bytes = self.buffer.len() as u64;
        let (sequence, commit, end) = (self.log.sequence, self.log.commit, self.log.end);
        let copied = matches!(&batches[0].payload, Payload::Copies(_));
        self.shared
            .batches
            .fetch_add((batches.len() - usize::from(copied)) as u64, Ordering::Relaxed);
        let group = Arc::new(Group { batches, end, sequence, commit, bytes });
        self.shared.end.store(end.pack(), Ordering::Release);
        self.shared.unapplied_bytes.fetch_add(bytes, Ordering::AcqRel);
        lock(&self.shared.published).push(group);
        self.shared.published_upto.store(sequence, Ordering::Release);
        if copied {
            self.shared.requests_served.fetch_add(1, Ordering::Release);
        }
        (self.shared.options.waker)();
        // A buffer that one huge group blew up is given back.
        if self.buffer.capacity() as u64 > 2 * GROUP_BYTES {
            self.buffer = Vec::new();
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.sync()?;
        self.oldest_unsynced = None;
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.shared.synced.store(self.log.synced, Ordering::Release);
        Ok(())
    }

    /// A full disk is no failed disk: nothing of the group is there, and it may be tried again.
    fn no_room(&mut self, error: io::Error, work: Work) -> io::Result<Step> {
        if error.kind() != io::ErrorKind::StorageFull
            && error.kind() != io::ErrorKind::QuotaExceeded
        {
            return Err(error);
        }
        self.shared.full.store(true, Ordering::Release);
        self.since_space_check = SPACE_CHECK_BYTES;
        self.stuck = Some(work);
        Ok(Step::Blocked)
    }

    /// By the bytes, for we fill the disk; and by the clock, for others do too.
    fn refresh_space(&mut self) {
        let full = self.shared.full.load(Ordering::Acquire);
        let stale = self.space_checked.elapsed() >= self.shared.options.space_check_every;
        if full || stale || self.since_space_check >= SPACE_CHECK_BYTES {
            self.check_space();
        }
    }

    fn check_space(&mut self) {
        (self.since_space_check, self.space_checked) = (0, Instant::now());
        if let Ok(available) = self.log.disk.available() {
            self.shared.free_bytes.store(available, Ordering::Relaxed);
            let full = available < self.shared.options.reserve_bytes;
            let was = self.shared.full.swap(full, Ordering::AcqRel);
            if was != full {
                (self.shared.options.waker)();
            }
        }
    }

    /// The timer of [`Durability::Interval`] fires.
    #[cfg(test)]
    pub(crate) fn sync_now(&mut self) -> io::Result<()> {
        if self.shared.failed().is_some() {
            return Err(io::Error::other("it has failed"));
        }
        self.sync().inspect_err(|error| assert_eq!(self.fail("fdatasync", error), Step::Blocked))
    }
}

impl Payload {
    fn encode(&self, out: &mut Vec<u8>) -> usize {
        match self {
            Payload::Changes(changes) => {
                changes.iter().for_each(|change| encode_change(out, change));
                changes.len()
            }
            Payload::Copies(copies) => {
                copies.iter().for_each(|copy| out.extend_from_slice(&copy.record));
                copies.len()
            }
        }
    }
}

/// Puts a group that was not written back into its parts.
fn unencode(written: Vec<Written>, mut work: Work) -> Work {
    let mut batches = work.batches.iter_mut();
    for written in written {
        match written.payload {
            Payload::Copies(copies) => work.copies = copies,
            Payload::Changes(changes) => {
                let (_, batch) = batches.next().expect("as many as were encoded");
                batch.changes = changes;
            }
        }
    }
    work
}

fn forget_written(watched: &mut BTreeSet<Bytes>, batch: &Batch) {
    for change in &batch.changes {
        match change {
            Change::Put { key, .. } | Change::Erase { key } => {
                watched.remove(key);
            }
            Change::EraseRange { from, to } => {
                watched.retain(|key| key < from || key >= to);
            }
        }
    }
}
