//! A log that nothing is written to any more, and an index to find things in it: what a restored backup is asked by.
//!
//! ```text
//!   DIR/FORMAT  DIR/LOCK
//!   DIR/log/    0000000001.log …  STATE      as the restore left them: read, and never touched
//!   DIR/archive-index/  made anew each time it is opened, out of the log
//! ```
//!
//! - No thread, no writer, no reclaimer, no scrub: what is read is what was copied.
//! - All of the log must be there, batch by batch, up to the one that `STATE` names, but for what was missing when its
//!   node lived with it. An archive with another hole might show what was overwritten or erased there, so it is not
//!   opened at all.
//! - The index is not kept from one time to the next: nobody would notice what a crash took from it. One that cannot be
//!   made, for want of room, says nothing of the log: it is made again.

use super::disk::{Disk, RealDisk};
use super::index::{Index, IndexDamaged, SledIndex};
use super::log::{segment_name, segment_numbers};
use super::order::Order;
use super::rebuild::Replay;
use super::record::{Found, batches};
use super::recovery::{Progress, read_whatever};
use super::segments::Segments;
use super::sled_store::{OpenError, check_format, take_lock};
use super::state::State;
use super::{CommitNumber, Entry, Source, StoreError};
use bytes::Bytes;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// sled's cache, in bytes; it uses up to 2.5 times that. Each item is looked for about twice, and then never again.
const CACHE_BYTES: u64 = 8 << 20;

/// Where its index is: not where a store has its own.
const INDEX: &str = "archive-index";

/// Why an archive cannot be read. Nothing in it was touched.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is in use, of a newer format, or the disk refused: another time it may be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its index cannot be made now: another time it may be. What was made of it is gone.
    #[error("{dir}: {what}")]
    Index {
        /// The archive.
        dir: PathBuf,
        /// What went wrong.
        what: String,
    },
    /// It is not all there, and never will be.
    #[error("{dir}: {what}")]
    Damaged {
        /// The archive.
        dir: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// See the module's picture. It may be opened on one thread and asked on another.
pub struct Archive {
    disk: RealDisk,
    index: Arc<dyn Index>,
    segments: RefCell<Segments>,
    commit: CommitNumber,
    /// After the index is closed, and before others are let in.
    _scratch: Scratch,
    /// Keeps other processes out.
    _lock: File,
}

/// The folder of an index, for as long as there is one.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Archive {
    /// Reads all of the log in `dir`, which a restore has made, and builds the index. That may take long: `progress`
    /// hears how far it is.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn open(dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Archive, ArchiveError> {
        let refused = |source: io::Error| {
            ArchiveError::Open(OpenError::Io { dir: dir.to_path_buf(), source })
        };
        let log = dir.join("log");
        if !log.try_exists().map_err(refused)? {
            let what = "there is no log in it".into();
            return Err(ArchiveError::Damaged { dir: dir.to_path_buf(), what });
        }
        let lock = take_lock(dir)?;
        check_format(dir)?;
        Archive::read(dir, &log, lock, progress)
    }

    fn read(
        dir: &Path,
        log: &Path,
        lock: File,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Archive, ArchiveError> {
        let damaged = |what: String| ArchiveError::Damaged { dir: dir.to_path_buf(), what };
        let refused = |source: io::Error| {
            ArchiveError::Open(OpenError::Io { dir: dir.to_path_buf(), source })
        };
        let disk = RealDisk::open(log).map_err(refused)?;
        let state = State::read(&disk).map_err(refused)?;
        let Some(state) = state.filter(|state| state.clean) else {
            return Err(damaged("it does not say where its log ends".into()));
        };
        // A crash may have left one.
        match fs::remove_dir_all(dir.join(INDEX)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        let scratch = Scratch(dir.join(INDEX));
        let broken = |error: IndexDamaged| {
            let what = format!("no index can be made for it: {error}");
            ArchiveError::Index { dir: dir.to_path_buf(), what }
        };
        let index = SledIndex::open(&scratch.0, CACHE_BYTES).map_err(broken)?;
        let mut replay = Replay::new(&index, None);
        let numbers = segment_numbers(&disk).map_err(refused)?;
        if numbers.first() != Some(&state.oldest) {
            return Err(damaged(format!("segment {} of its log is missing", state.oldest)));
        }
        let length = |segment: &u32| disk.open(&segment_name(*segment)).and_then(|f| f.len());
        let lengths: io::Result<Vec<u64>> = numbers.iter().map(length).collect();
        let lengths = lengths.map_err(refused)?;
        let total = lengths.iter().sum();
        let mut walk = Walk::default();
        let mut done = 0;
        for (segment, len) in numbers.into_iter().zip(lengths) {
            progress(Progress { done, total, rebuilding: true });
            let file = disk.open(&segment_name(segment)).map_err(refused)?;
            let bytes = Bytes::from(read_whatever(&*file).map_err(refused)?);
            for found in batches(segment, &bytes) {
                if walk.is_next(&found) {
                    replay.add(&found).map_err(broken)?;
                }
            }
            done += len;
        }
        progress(Progress { done, total, rebuilding: true });
        walk.finish(state.sequence).map_err(damaged)?;
        replay.flush().map_err(broken)?;
        let (segments, commit) = (RefCell::new(Segments::default()), state.commit);
        let index = Arc::new(index);
        Ok(Archive { disk, index, segments, commit, _scratch: scratch, _lock: lock })
    }

    /// As of which commit it is.
    pub fn commit(&self) -> CommitNumber {
        self.commit
    }
}

/// Batches in the order of the log, each once.
#[derive(Default)]
struct Walk {
    order: Order,
    /// The last batches that are not there.
    hole: Option<(u64, u64)>,
}

impl Walk {
    /// Whether this one has not been met yet.
    fn is_next(&mut self, found: &Found) -> bool {
        if self.order.last.is_none() && found.place.offset > 0 {
            // A segment begins with an opening: nobody knows how many came before this one.
            self.hole = Some((found.header.sequence, found.header.sequence));
        }
        self.hole = self.order.missing_before(&found.header).or(self.hole);
        self.order.take(&found.header)
    }

    /// Whether everything was met up to this batch. What was missing when the last lineage began is why it did.
    fn finish(self, upto: u64) -> Result<(), String> {
        let last = self.order.last.unwrap_or(0);
        let end = (last < upto).then_some((last + 1, upto));
        let hole = end.or(self.hole.filter(|(from, _)| *from >= self.order.lineage_since));
        hole.map_or(Ok(()), |(from, to)| {
            Err(format!("batches {from} to {to} of its log are damaged"))
        })
    }
}

/// A cache that turns out to be of no use says nothing of what it was made of.
fn unusable(error: IndexDamaged) -> StoreError {
    StoreError::Failed(error.to_string())
}

impl Source for Archive {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let Some(located) = self.index.get(key).map_err(unusable)? else { return Ok(None) };
        let read = self.segments.borrow_mut().read(&self.disk, key, &located)?;
        let missing = || StoreError::Damaged("the record's segment is missing".into());
        read.ok_or_else(missing).map(Some)
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.index.get(key).map_err(unusable)?.map(|located| located.head))
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
        let visited = self.index.scan(from, to, &mut |key, located| {
            items.push((Bytes::copy_from_slice(key), located.head));
            if items.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        visited.map_err(unusable)?;
        Ok(items)
    }
}
