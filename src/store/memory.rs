//! A store in memory over a modelled disk: for simulation, where crashes must be cheap and exact.
//!
//! ```text
//!             sync(1)              crash(Survivors::None)        crash(Survivors::Whole(1))
//!   disk  ▐1▐2▐3▐            ▐1▐2▐3▐4▐                ▐1▐2▐3▐4▐                  ▐1▐2▐3▐4▐5▐
//!   cache        4 5 6  ──►           5 6   ──►                       or                      (6 was torn)
//! ```
//!
//! What is committed waits in the cache until [`sync`](MemoryStore::sync) moves it to the disk, in
//! order. A crash loses the cache, except that a power cut may happen to leave some whole batches of it
//! on the disk: nobody was told so, but they are there. The first torn one ends the log.

use super::{Batch, Change, CommitNumber, Entry, ScrubAt, Scrubbed, Source, Store, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a crash leaves of the batches that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing: the usual power cut.
    None,
    /// So many whole batches; the next one is torn, and recovery cuts it off with what follows.
    Whole(usize),
}

/// A handle to one modelled disk. A clone is a second handle to the *same* disk, so that a node can own
/// one and the simulator, which pulls the plug, another. [`copy`](MemoryStore::copy) makes a new disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    /// What is on the disk.
    synced: BTreeMap<Bytes, Entry>,
    durable: CommitNumber,
    /// What only the page cache holds: these have the numbers after `durable`.
    cache: VecDeque<Batch>,
    /// Keys whose bodies fail their checksum.
    rotten: BTreeSet<Bytes>,
    scrubbed: Option<Scrubbed>,
    auto_sync: bool,
    full: bool,
    sync_fails: bool,
    no_reads: bool,
    no_heads: bool,
    failed: Option<StoreError>,
}

impl MemoryStore {
    /// An empty disk; nothing is durable before [`sync`](Self::sync).
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty disk that syncs at every commit: for tests that are not about durability.
    pub fn auto_sync() -> MemoryStore {
        let store = MemoryStore::default();
        store.set_auto_sync(true);
        store
    }

    /// Whether every commit is durable at once. Switching it on syncs what waits.
    pub fn set_auto_sync(&self, on: bool) {
        let mut disk = self.disk();
        disk.auto_sync = on;
        if on {
            disk.sync(usize::MAX);
        }
    }

    /// A new disk with the same content and the same cache: a backup, to be "restored" later. It is whole and has
    /// room, whatever the old one lacks.
    pub fn copy(&self) -> MemoryStore {
        let disk = self.disk().clone();
        let disk = Disk { full: false, sync_fails: false, no_reads: false, failed: None, ..disk };
        MemoryStore { disk: Arc::new(Mutex::new(disk)) }
    }

    /// How many committed batches wait for a sync.
    pub fn unsynced(&self) -> usize {
        self.disk().cache.len()
    }

    /// Makes up to `batches` waiting ones durable, oldest first, and returns how many. With a fault
    /// from [`fail_sync`](Self::fail_sync) none: the store has failed until [`crash`](Self::crash).
    pub fn sync(&self, batches: usize) -> usize {
        self.disk().sync(batches)
    }

    /// The process and the machine die and start again: what was not synced is gone but for
    /// `survivors`. A failed store works again, for this is a new process; a full disk stays full.
    /// Returns the newest number that the disk holds.
    pub fn crash(&self, survivors: Survivors) -> CommitNumber {
        let mut disk = self.disk();
        disk.failed = None;
        disk.sync_fails = false;
        if let Survivors::Whole(batches) = survivors {
            disk.sync(batches);
        }
        disk.cache.clear();
        disk.durable
    }

    /// Loses everything, as a replaced disk does.
    pub fn wipe(&self) {
        let mut disk = self.disk();
        *disk = Disk { auto_sync: disk.auto_sync, ..Disk::default() };
    }

    /// The next sync fails, and with it the store.
    pub fn fail_sync(&self) {
        self.disk().sync_fails = true;
    }

    /// Whether the disk has no room: commits are refused, reads go on.
    pub fn set_full(&self, full: bool) {
        self.disk().full = full;
    }

    /// The body at `key` no longer matches its checksum, until it is written again.
    pub fn rot(&self, key: &[u8]) {
        self.disk().rotten.insert(Bytes::copy_from_slice(key));
    }

    /// Whether records cannot be read for now, whole as they are: no file descriptor is left.
    #[cfg(test)]
    pub(crate) fn refuse_reads(&self, refuse: bool) {
        self.disk().no_reads = refuse;
    }

    /// Whether heads cannot be read for now, either.
    #[cfg(test)]
    pub(crate) fn refuse_heads(&self, refuse: bool) {
        self.disk().no_heads = refuse;
    }

    /// A panic in another holder of the lock is that holder's; the data behind it is whole, for every
    /// change of it below happens after the last thing that can panic.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn sync(&mut self, batches: usize) -> usize {
        if self.failed.is_some() || self.cache.is_empty() || batches == 0 {
            return 0;
        }
        if self.sync_fails {
            self.failed = Some(StoreError::Failed("the modelled disk lost a sync".into()));
            return 0;
        }
        let batches = batches.min(self.cache.len());
        for batch in self.cache.drain(..batches) {
            self.durable.0 += 1;
            for change in batch.changes {
                apply(&mut self.synced, &mut self.rotten, change);
            }
        }
        batches
    }
}

fn apply(synced: &mut BTreeMap<Bytes, Entry>, rotten: &mut BTreeSet<Bytes>, change: Change) {
    match change {
        Change::Put { key, head, body } => {
            rotten.remove(&key);
            synced.insert(key, Entry { head, body });
        }
        Change::Erase { key } => {
            rotten.remove(&key);
            synced.remove(&key);
        }
        Change::EraseRange { from, to } => {
            if from < to {
                let gone = synced.range(from..to).map(|(key, _)| key.clone()).collect::<Vec<_>>();
                for key in gone {
                    rotten.remove(&key);
                    synced.remove(&key);
                }
            }
        }
    }
}

impl Source for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let disk = self.disk();
        if disk.no_reads {
            return Err(StoreError::Busy("the modelled log cannot be opened".into()));
        }
        if disk.rotten.contains(key) && disk.synced.contains_key(key) {
            return Err(StoreError::Damaged("the body does not match its checksum".into()));
        }
        Ok(disk.synced.get(key).cloned())
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let disk = self.disk();
        if disk.no_heads {
            return Err(StoreError::Busy("a test".into()));
        }
        Ok(disk.synced.get(key).map(|entry| entry.head.clone()))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let disk = self.disk();
        let range = disk.synced.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.take(limit).map(|(key, entry)| (key.clone(), entry.head.clone())).collect())
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError> {
        let mut disk = self.disk();
        if let Some(failed) = &disk.failed {
            return Err(failed.clone());
        }
        if disk.full {
            return Err(StoreError::Full("the modelled disk has no room".into()));
        }
        disk.cache.push_back(batch);
        let number = CommitNumber(disk.durable.0 + disk.cache.len() as u64);
        if disk.auto_sync {
            disk.sync(usize::MAX);
        }
        Ok(number)
    }

    fn durable(&self) -> CommitNumber {
        self.disk().durable
    }

    fn failed(&self) -> Option<StoreError> {
        self.disk().failed.clone()
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let disk = self.disk();
        let range = disk.synced.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.rev().take(limit).map(|(key, entry)| (key.clone(), entry.head.clone())).collect())
    }

    fn scrub(&self, from: &ScrubAt, bytes: u64) -> bool {
        let disk = &mut *self.disk();
        let from = match from {
            ScrubAt::Log { .. } => Bytes::new(),
            ScrubAt::Keys(from) => from.clone(),
        };
        let mut page = Scrubbed::default();
        let size = |key: &Bytes, entry: &Entry| key.len() + entry.head.len() + entry.body.len();
        page.total = disk.synced.iter().map(|(key, entry)| size(key, entry) as u64).sum();
        for (key, entry) in disk.synced.range(from..) {
            if page.bytes >= bytes {
                page.next = Some(ScrubAt::Keys(key.clone()));
                break;
            }
            page.records += 1;
            page.bytes += size(key, entry) as u64;
            if !disk.rotten.contains(key) {
                continue;
            }
            match entry.body.is_empty() {
                // The head is all of it, and the index has that.
                true => page.copied += u64::from(disk.rotten.remove(key)),
                false => page.damaged.push(key.clone()),
            }
        }
        disk.scrubbed = Some(page);
        true
    }

    fn scrubbed(&self) -> Option<Scrubbed> {
        self.disk().scrubbed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Harness, put};
    use super::*;

    struct InMemory(MemoryStore);

    impl Harness for InMemory {
        fn fresh() -> InMemory {
            InMemory(MemoryStore::new())
        }
        fn store(&mut self) -> &mut dyn Store {
            &mut self.0
        }
        fn sync(&mut self) {
            self.0.sync(usize::MAX);
        }
        fn crash(&mut self) {
            self.0.crash(Survivors::None);
        }
        fn break_sync(&mut self) {
            self.0.fail_sync();
            self.0.sync(1);
        }
    }

    conformance::suite!(InMemory);

    #[test]
    fn batches_become_durable_one_after_another() {
        let mut store = MemoryStore::new();
        for i in 0..3 {
            store.commit(put(&[i], b"h", b"b")).unwrap();
        }
        assert_eq!(store.sync(1), 1);
        assert_eq!(store.durable(), CommitNumber(1));
        assert_eq!((store.head(&[0]).unwrap().is_some(), store.head(&[1]).unwrap()), (true, None));
        assert_eq!(store.sync(9), 2);
        assert_eq!(store.durable(), CommitNumber(3));
    }

    #[test]
    fn a_crash_may_leave_whole_batches_that_nobody_was_told_of() {
        let mut store = MemoryStore::new();
        for i in 0..3 {
            store.commit(put(&[i], b"h", b"b")).unwrap();
        }
        assert_eq!(store.crash(Survivors::Whole(2)), CommitNumber(2));
        assert_eq!((store.head(&[1]).unwrap().is_some(), store.head(&[2]).unwrap()), (true, None));
        assert_eq!(store.commit(put(b"x", b"h", b"b")).unwrap(), CommitNumber(3));
    }

    #[test]
    fn a_copy_is_another_disk_and_a_clone_is_the_same() {
        let mut store = MemoryStore::auto_sync();
        let backup = store.copy();
        let same = store.clone();
        store.commit(put(b"k", b"h", b"b")).unwrap();
        assert_eq!(backup.head(b"k").unwrap(), None);
        assert!(same.head(b"k").unwrap().is_some());
        store.wipe();
        assert_eq!((same.head(b"k").unwrap(), same.durable()), (None, CommitNumber(0)));
    }

    #[test]
    fn a_copy_has_room_and_works_whatever_became_of_the_disk() {
        let mut store = MemoryStore::new();
        store.commit(put(b"k", b"h", b"b")).unwrap();
        store.fail_sync();
        store.sync(1);
        store.set_full(true);
        let mut copy = store.copy();
        assert_eq!(copy.commit(put(b"l", b"h", b"b")), Ok(CommitNumber(2)));
        assert_eq!(copy.sync(9), 2);
    }

    #[test]
    fn a_full_disk_refuses_batches_and_serves_reads() {
        let mut store = MemoryStore::auto_sync();
        store.commit(put(b"k", b"h", b"b")).unwrap();
        store.set_full(true);
        assert!(matches!(store.commit(put(b"l", b"h", b"b")), Err(StoreError::Full(_))));
        assert!(store.get(b"k").unwrap().is_some());
        store.set_full(false);
        assert_eq!(store.commit(put(b"l", b"h", b"b")), Ok(CommitNumber(2)));
    }

    #[test]
    fn a_rotten_body_is_never_returned_and_a_new_write_mends_it() {
        let mut store = MemoryStore::auto_sync();
        store.commit(put(b"k", b"h", b"b")).unwrap();
        store.rot(b"k");
        assert!(matches!(store.get(b"k"), Err(StoreError::Damaged(_))));
        store.commit(put(b"k", b"h", b"c")).unwrap();
        assert_eq!(store.get(b"k").unwrap().unwrap().body, "c");
    }
}
