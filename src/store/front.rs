//! The node's side of the store: a view that moves only when the node looks.
//!
//! ```text
//!   durable()   takes in what was published ─► overlay ─► hands it to the applier; evicts what is applied
//!   get, scan   overlay, else index, else (the body) the log; a scan may begin at either end
//! ```

use super::applier::is_worth_waking;
use super::backup::{Backup, Point};
use super::index::{Index, Located};
use super::options::Stats;
use super::overlay::{Known, Overlay};
use super::record::batch_len;
use super::scrub::ScrubPage;
use super::segments::Segments;
use super::shared::{Group, Shared, lock};
use super::{Batch, CommitNumber, Entry, ScrubAt, Scrubbed, Source, Store, StoreError};
use bytes::Bytes;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest batch, in bytes: far above what a node puts into one.
const BATCH_LIMIT: usize = 1 << 30;

/// What the node's thread holds of a store.
pub(crate) struct Front {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Arc<dyn Index>,
    /// The number of the last batch that was taken.
    last: CommitNumber,
    view: RefCell<View>,
}

struct View {
    /// The end of the last group taken in.
    seen: Point,
    overlay: Overlay,
    segments: Segments,
}

impl Front {
    pub(crate) fn new(shared: Arc<Shared>, index: Arc<dyn Index>, seen: Point) -> Front {
        shared.published_upto.store(seen.sequence, Ordering::Release);
        let (overlay, segments) = (Overlay::default(), Segments::default());
        let view = RefCell::new(View { seen, overlay, segments });
        Front { shared, index, last: seen.commit, view }
    }

    /// A copy of what reads show now.
    pub(crate) fn backup(&self) -> Backup {
        Backup::new(self.shared.clone(), || self.view.borrow().seen)
    }

    /// The last number given out.
    pub(crate) fn last(&self) -> CommitNumber {
        self.last
    }

    /// What was done and is held.
    pub(crate) fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How many changes the overlay holds.
    #[cfg(test)]
    pub(crate) fn overlay_len(&self) -> usize {
        self.view.borrow().overlay.len()
    }

    pub(crate) fn read(&self, key: &[u8], located: &Located) -> Result<Option<Entry>, StoreError> {
        let read = self.view.borrow_mut().segments.read(&*self.shared.disk, key, located);
        match read {
            // It was being deleted, and parts of it are gone.
            Err(StoreError::Damaged(_)) if self.shared.is_deleted(located.place.segment) => {
                Ok(None)
            }
            read => read,
        }
    }

    fn locate(&self, key: &[u8]) -> Result<Option<Located>, StoreError> {
        self.index.get(key).map_err(|error| self.shared.fail_index(&error))
    }
}

impl Source for Front {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        match self.view.borrow().overlay.get(key) {
            Known::Record(entry) => return Ok(Some(entry.clone())),
            Known::Erased => return Ok(None),
            Known::Nothing => {}
        }
        // Between the index and the log a record may move, and its old segment go: then the index has
        // the new place already. It cannot move twice in that time, but for a thread that slept long.
        for _ in 0..8 {
            let Some(located) = self.locate(key)? else { return Ok(None) };
            if let Some(entry) = self.read(key, &located)? {
                return Ok(Some(entry));
            }
        }
        Err(StoreError::Damaged("the record's segment is missing".into()))
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.view.borrow().overlay.get(key) {
            Known::Record(entry) => return Ok(Some(entry.head.clone())),
            Known::Erased => return Ok(None),
            Known::Nothing => {}
        }
        Ok(self.locate(key)?.map(|located| located.head))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut items = Vec::new();
        if from >= to || limit == 0 {
            return Ok(items);
        }
        let view = self.view.borrow();
        let mut fresh = view.overlay.records(from, to).peekable();
        let indexed = self.index.scan(from, to, &mut |key, located| {
            while let Some((newer, entry)) = fresh.next_if(|(newer, _)| newer[..] < *key) {
                items.push((newer.clone(), entry.head.clone()));
            }
            if items.len() < limit && view.overlay.shows_through(key) {
                items.push((Bytes::copy_from_slice(key), located.head));
            }
            if items.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        indexed.map_err(|error| self.shared.fail_index(&error))?;
        items.extend(fresh.map(|(key, entry)| (key.clone(), entry.head.clone())));
        items.truncate(limit);
        Ok(items)
    }
}

impl Store for Front {
    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError> {
        if let Some(failed) = self.shared.failed() {
            return Err(failed);
        }
        if self.shared.full.load(Ordering::Acquire) {
            return Err(StoreError::Full("less is free than the reserve".into()));
        }
        let length = batch_len(&batch);
        assert!(length < BATCH_LIMIT, "a node bounds its batches far below 1 GiB");
        let mut queue = lock(&self.shared.queue);
        if queue.bytes > 0 && queue.bytes + length as u64 > self.shared.options.queue_bytes {
            return Err(StoreError::Busy("too many bytes wait for the disk".into()));
        }
        self.last.0 += 1;
        queue.bytes += length as u64;
        queue.batches.push_back((self.last, batch));
        drop(queue);
        self.shared.writer_wakes.notify_one();
        Ok(self.last)
    }

    fn durable(&self) -> CommitNumber {
        let view = &mut *self.view.borrow_mut();
        if self.shared.published_upto.load(Ordering::Acquire) > view.seen.sequence {
            let groups = std::mem::take(&mut *lock(&self.shared.published));
            for group in &groups {
                view.overlay.add(group);
                let Group { commit, sequence, end, .. } = **group;
                view.seen = Point { commit, sequence, end };
            }
            let mut backlog = lock(&self.shared.backlog);
            let was_empty = backlog.is_empty();
            backlog.extend(groups);
            drop(backlog);
            if is_worth_waking(was_empty, &self.shared) {
                self.shared.applier_wakes.notify_one();
            }
        }
        view.overlay.evict(self.shared.applied.load(Ordering::Acquire));
        let oldest = self.shared.oldest_segment.load(Ordering::Acquire);
        view.segments.close_before(oldest);
        view.seen.commit
    }

    fn failed(&self) -> Option<StoreError> {
        self.shared.failed()
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut items = Vec::new();
        if from >= to || limit == 0 {
            return Ok(items);
        }
        let view = self.view.borrow();
        let mut fresh = view.overlay.records(from, to).rev().peekable();
        let indexed = self.index.scan_back(from, to, &mut |key, located| {
            while let Some((newer, entry)) = fresh.next_if(|(newer, _)| newer[..] > *key) {
                items.push((newer.clone(), entry.head.clone()));
            }
            if items.len() < limit && view.overlay.shows_through(key) {
                items.push((Bytes::copy_from_slice(key), located.head));
            }
            if items.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        indexed.map_err(|error| self.shared.fail_index(&error))?;
        items.extend(fresh.map(|(key, entry)| (key.clone(), entry.head.clone())));
        items.truncate(limit);
        Ok(items)
    }

    fn congested(&self) -> bool {
        lock(&self.shared.queue).bytes > self.shared.options.queue_bytes / 2
    }

    fn scrub(&self, from: &ScrubAt, bytes: u64) -> bool {
        let mut desk = lock(&self.shared.scrub);
        if desk.is_busy || self.shared.is_over() {
            return false;
        }
        desk.is_busy = true;
        desk.asked = Some(ScrubPage { from: from.clone(), bytes });
        drop(desk);
        self.shared.scrub_wakes.notify_one();
        true
    }

    fn scrubbed(&self) -> Option<Scrubbed> {
        let mut desk = lock(&self.shared.scrub);
        let done = desk.done.take()?;
        desk.is_busy = false;
        Some(done)
    }
}
