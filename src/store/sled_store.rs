//! The store on a real disk: our commit log, which is the truth, and sled, which finds things in it.
//!
//! ```text
//!   DIR/FORMAT        the version of all of it
//!   DIR/LOCK          held by the one process that has it open
//!   DIR/log/          0000000001.log …   STATE   DAMAGE
//!   DIR/index/        sled's files; may be deleted at any time while no process has them open
//! ```
//!
//! Four threads: the writer (one write and one sync per group), the applier (into sled), the keeper
//! (flushes sled, takes space back), the scrubber (reads everything once more). The node's thread never waits for
//! any of them.

use super::applier::Applier;
use super::backup::{Backup, Point};
use super::disk::{Disk, RealDisk};
use super::front::Front;
use super::index::{Applied, Index, IndexResult, SledIndex};
use super::log::segment_number;
use super::options::{Options, Stats};
use super::reclaim::Keeper;
use super::record::FORMAT_VERSION;
use super::recovery::{Progress, RecoverError, Recovered, recover};
use super::scrub::Scrubber;
use super::shared::{REBUILD, Shared, lock};
use super::state::{self, State};
use super::writer::Writer;
use super::{Batch, CommitNumber, Entry, Room, ScrubAt, Scrubbed, Source, Store, StoreError};
use crate::id::Lineage;
use bytes::Bytes;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
/// The longest segment for which places still fit.
const SEGMENT_LIMIT: u64 = 1 << 30;

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Whether the last run was closed in order.
    pub clean: bool,
    /// Whether the index was rebuilt from the whole log.
    pub rebuilt: bool,
    /// Damage that nobody has acted on, found by this start or while an earlier one ran, in words; empty when all
    /// is well. The node begins a new lineage,
    /// rebuilds from the other replicas, and calls [`SledStore::forget_damage`] once that is durable.
    pub damaged: Vec<String>,
    /// Segments of a log beyond repair, under their new names.
    pub set_aside: Vec<PathBuf>,
    /// The newest batch that is there.
    pub durable: CommitNumber,
    /// The lineage of the newest batch.
    pub lineage: Option<Lineage>,
    /// How many batches were replayed into the index.
    pub replayed: u64,
}

/// Why a directory was not opened. Nothing in it was lost.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by another process: stop it, or choose another directory")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It was written by a newer version, or by one from before the first release.
    #[error(
        "{dir} has format {found}, this program knows format {known}: use the version that wrote it"
    )]
    OtherFormat {
        /// The directory.
        dir: PathBuf,
        /// What its `FORMAT` file says.
        found: String,
        /// The format that this program reads.
        known: u8,
    },
    /// It cannot be written to.
    #[error("{dir} cannot be written to: {source}")]
    ReadOnly {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the disk refused.
    #[error("cannot open {dir}: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A durable [`Store`]. Owned by one thread; dropping it stops its threads and is as safe as a crash,
/// [`close`](SledStore::close) also spares the next start the replay.
pub struct SledStore {
    front: Front,
    threads: Vec<JoinHandle<()>>,
    keeper: Option<JoinHandle<State>>,
    index_dir: PathBuf,
    /// The damage that was told when it opened.
    told: Vec<String>,
    /// Keeps other processes out until the threads have ended.
    _lock: File,
}

impl SledStore {
    /// Opens the directory, or makes it, and brings log and index level. `progress` hears how far a
    /// long start is.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was lost, and the call may be repeated.
    pub fn open(
        dir: &Path,
        options: Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(SledStore, Opened), OpenError> {
        let explain = |source: io::Error| explain(dir, source);
        let lock = take_lock(dir)?;
        check_format(dir)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&dir.join("log")).map_err(explain)?);
        let index_dir = dir.join("index");
        let cache = options.index_cache_bytes;
        let mut make_index = |fresh: bool| -> Result<Arc<dyn Index>, RecoverError> {
            if fresh && index_dir.exists() {
                fs::remove_dir_all(&index_dir)?;
            }
            Ok(Arc::new(SledIndex::open(&index_dir, cache)?))
        };
        let boot = state::boot_id();
        let start = start(disk, &mut make_index, boot, options, progress).map_err(|error| {
            explain(match error {
                RecoverError::Disk(source) => source,
                RecoverError::Index(damaged) => io::Error::other(damaged),
            })
        })?;
        let (store, mut opened) = SledStore::begin(start, index_dir, lock);
        for name in &mut opened.set_aside {
            *name = dir.join("log").join(&*name);
        }
        Ok((store, opened))
    }

    /// Sets the threads going.
    pub(crate) fn begin(start: Started, index_dir: PathBuf, lock: File) -> (SledStore, Opened) {
        let Started { front, writer, applier, keeper, scrubber, opened } = start;
        let threads = vec![
            spawn("store-writer", 0, &front.shared, move || writer.run()),
            spawn("store-applier", APPLIER_NICE, &front.shared, move || applier.run()),
            spawn("store-scrubber", KEEPER_NICE, &front.shared, move || scrubber.run()),
        ];
        let keeper = Some(spawn("store-keeper", KEEPER_NICE, &front.shared, move || keeper.run()));
        let told = opened.damaged.clone();
        (SledStore { front, threads, keeper, index_dir, told, _lock: lock }, opened)
    }

    /// The lineage that batches bear from now on. Batches that wait in the queue may bear it already.
    pub fn set_lineage(&mut self, lineage: Lineage) {
        lock(&self.front.shared.queue).lineage = Some(lineage);
    }

    /// The node has begun a new lineage because of the damage that was told, and that is durable. What was found
    /// since is told at the next start.
    ///
    /// # Errors
    /// The disk refused; the damage will be told again.
    pub fn forget_damage(&mut self) -> Result<(), StoreError> {
        let shared = &self.front.shared;
        let _alone = lock(&shared.damage);
        let left = state::read_damage(&*shared.disk).and_then(|mut noted| {
            noted.retain(|line| !self.told.contains(line));
            state::write_damage(&*shared.disk, &noted)
        });
        left.map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// A copy of everything that is durable and seen now, to be made on another thread. Nothing waits.
    pub fn backup(&self) -> Backup {
        self.front.backup()
    }

    /// What it has done and holds.
    pub fn stats(&self) -> Stats {
        self.front.stats()
    }

    /// Makes everything committed durable, stops, and leaves a mark so that the next start is quick.
    ///
    /// # Errors
    /// The store had failed, or failed now, or the disk stayed full: what was durable before still is.
    pub fn close(mut self) -> Result<(), StoreError> {
        let shared = self.front.shared.clone();
        let is_level = |front: &Front| {
            let durable = front.durable();
            let appended = shared.appended.load(Ordering::Acquire);
            durable >= front.last() && shared.has_applied(appended)
        };
        while !is_level(&self.front) {
            if let Some(failed) = shared.failed() {
                return Err(failed);
            }
            if shared.full.load(Ordering::Acquire) && self.front.durable() < self.front.last() {
                return Err(StoreError::Full("what was committed could not be written".into()));
            }
            let guard = lock(&shared.keeper);
            drop(shared.keeper_wakes.wait_timeout(guard, Duration::from_millis(2)));
        }
        let Some(state) = self.stop() else {
            return Err(StoreError::Failed("a thread of the store has panicked".into()));
        };
        if let Some(failed) = shared.failed() {
            return Err(failed);
        }
        self.mark_clean(state).map_err(|error| StoreError::Failed(error.to_string()))
    }

    /// Everything that the mark speaks of is synced first, sled's files by ourselves: its own flush is
    /// no fdatasync.
    fn mark_clean(self, state: State) -> io::Result<()> {
        let Front { shared, index, .. } = &self.front;
        let applied = index.applied().map_err(io::Error::other)?.unwrap_or_default();
        index.checkpoint().map_err(io::Error::other)?;
        sync_tree(&self.index_dir)?;
        if shared.synced.load(Ordering::Acquire) < applied.sequence {
            return Ok(());
        }
        let (sequence, commit) = (applied.sequence, applied.commit);
        State { clean: true, sequence, commit, ..state }.write(&*shared.disk)
    }

    /// The number of the last batch that was taken.
    pub fn last(&self) -> CommitNumber {
        self.front.last()
    }

    fn stop(&mut self) -> Option<State> {
        self.front.shared.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.keeper.take()?.join().ok()
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Source for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.front.get(key)
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.front.head(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.front.scan(from, to, limit)
    }
}

impl Store for SledStore {
    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError> {
        self.front.commit(batch)
    }

    fn durable(&self) -> CommitNumber {
        self.front.durable()
    }

    fn failed(&self) -> Option<StoreError> {
        self.front.failed()
    }

    fn congested(&self) -> bool {
        self.front.congested()
    }

    fn room(&self) -> Option<Room> {
        let stats = self.stats();
        Some(Room { used: stats.log_bytes + stats.index_bytes, free: stats.free_bytes })
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.front.scan_back(from, to, limit)
    }

    fn scrub(&self, from: &ScrubAt, bytes: u64) -> bool {
        self.front.scrub(from, bytes)
    }

    fn scrubbed(&self) -> Option<Scrubbed> {
        self.front.scrubbed()
    }
}

/// A store that stands, its threads not begun.
pub(crate) struct Started {
    pub(crate) front: Front,
    pub(crate) writer: Writer,
    pub(crate) applier: Applier,
    pub(crate) keeper: Keeper,
    pub(crate) scrubber: Scrubber,
    pub(crate) opened: Opened,
}

/// Opens or makes the index; when told so, an empty one in place of what is there.
pub(crate) type MakeIndex<'a> = dyn FnMut(bool) -> Result<Arc<dyn Index>, RecoverError> + 'a;

/// Brings log and index level: everything of a start but the directory around it and the threads.
pub(crate) fn start(
    disk: Arc<dyn Disk>,
    make_index: &mut MakeIndex<'_>,
    boot: String,
    mut options: Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Started, RecoverError> {
    options.segment_bytes = options.segment_bytes.min(SEGMENT_LIMIT);
    let previous = State::read(&*disk)?;
    let must_rebuild = disk.open(REBUILD).is_ok();
    let survives = previous.as_ref().is_some_and(|state| state.clean || state.is_same_boot(&boot));
    let kept = previous.clone().unwrap_or_default();
    // Durable before the index is touched: a power cut from here on must not look like a clean stop.
    // Of a machine that died the new boot id may only be noted when the index is new.
    let trusts = survives && !must_rebuild;
    let noted = if trusts { boot.clone() } else { String::new() };
    let mut now = State { clean: false, boot: noted, ..kept };
    if previous.is_some() {
        now.write(&*disk)?;
    }
    let previous = previous.as_ref();
    let trusted =
        if trusts { try_trusted(&disk, make_index, previous, &mut now, progress)? } else { None };
    let rebuilt = trusted.is_none();
    let (index, recovered) = match trusted {
        Some(both) => both,
        None => {
            let index = make_index(true)?;
            let recovered = recover(&disk, &*index, None, previous, &mut now, progress)?;
            (index, recovered)
        }
    };
    now.boot = boot;
    now.write(&*disk)?;
    if must_rebuild {
        disk.remove(REBUILD)?;
    }
    let Recovered { log, applied, lineage, damaged, set_aside, log_bytes, replayed, is_new } =
        recovered;
    let segments = disk.list()?.iter().filter(|name| segment_number(name).is_some()).count();
    let shared = Arc::new(Shared::new(options, disk));
    shared.log_bytes.store(log_bytes, Ordering::Relaxed);
    shared.segments.store(segments as u64, Ordering::Relaxed);
    let rebuilt = rebuilt && !(is_new && previous.is_none());
    shared.rebuilds.store(rebuilt.into(), Ordering::Relaxed);
    let opened = Opened {
        clean: previous.is_some_and(|state| state.clean),
        rebuilt,
        damaged,
        set_aside: set_aside.into_iter().map(PathBuf::from).collect(),
        durable: log.commit,
        lineage,
        replayed,
    };
    let point = Point { commit: log.commit, sequence: log.sequence, end: log.end };
    shared.end.store(log.end.pack(), Ordering::Release);
    let front = Front::new(shared.clone(), index.clone(), point);
    let scrubber = Scrubber::new(shared.clone(), index.clone());
    let applier = Applier::new(shared.clone(), index.clone(), applied);
    let keeper = Keeper::new(shared.clone(), index, now)?;
    let writer = Writer::new(shared, log);
    Ok(Started { front, writer, applier, keeper, scrubber, opened })
}

/// An index and a log that agree.
type Level = (Arc<dyn Index>, Recovered);

/// Goes on with the index that is there. Nothing when it turns out to be of no use.
fn try_trusted(
    disk: &Arc<dyn Disk>,
    make_index: &mut MakeIndex<'_>,
    previous: Option<&State>,
    now: &mut State,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Level>, RecoverError> {
    let attempt = || -> Result<Option<Level>, RecoverError> {
        let index = make_index(false)?;
        let floor = previous.map_or(0, |state| state.floor);
        let level: IndexResult<Option<Applied>> = index.applied();
        let Some(applied) = level?.filter(|applied| applied.sequence >= floor) else {
            return Ok(None);
        };
        let recovered = recover(disk, &*index, Some(applied), previous, now, progress)?;
        Ok(Some((index, recovered)))
    };
    match { attempt }() {
        Err(RecoverError::Index(_)) => Ok(None),
        other => other,
    }
}

/// How nice the applier is, which does a tenth of a second's work at a time: the writer waits for it only when it is far
/// behind.
const APPLIER_NICE: i32 = 5;
/// How nice those are for which nobody waits.
const KEEPER_NICE: i32 = 10;

fn spawn<T: Send + 'static>(
    name: &str,
    nice: i32,
    shared: &Arc<Shared>,
    run: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    /// A thread that panics takes the promise with it, not the process.
    struct FailOnPanic(Arc<Shared>);
    impl Drop for FailOnPanic {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.fail("a thread of the store has panicked".into());
            }
        }
    }
    let guard = FailOnPanic(shared.clone());
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        let _guard = guard;
        // Elsewhere it would be of the whole process. Where it is refused the thread is only less polite.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, nice);
        run()
    });
    thread.expect("the system has room for four threads")
}

pub(super) fn take_lock(dir: &Path) -> Result<File, OpenError> {
    fs::create_dir_all(dir).map_err(|source| explain(dir, source))?;
    let mut options = File::options();
    let opened = options.write(true).create(true).truncate(false).open(dir.join(LOCK));
    let file = opened.map_err(|source| explain(dir, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(explain(dir, source)),
    }
}

pub(super) fn check_format(dir: &Path) -> Result<(), OpenError> {
    let explain = |source| explain(dir, source);
    let path = dir.join(FORMAT);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let found = text.trim().to_owned();
            match found.parse::<u8>() {
                Ok(FORMAT_VERSION) => Ok(()),
                _ => Err(OpenError::OtherFormat {
                    dir: dir.to_path_buf(),
                    found,
                    known: FORMAT_VERSION,
                }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let new = dir.join("FORMAT.tmp");
            fs::write(&new, format!("{FORMAT_VERSION}\n")).map_err(explain)?;
            File::open(&new).and_then(|file| file.sync_all()).map_err(explain)?;
            fs::rename(&new, &path).map_err(explain)?;
            File::open(dir).and_then(|file| file.sync_all()).map_err(explain)
        }
        Err(error) => Err(explain(error)),
    }
}

fn explain(dir: &Path, source: io::Error) -> OpenError {
    let dir = dir.to_path_buf();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly { dir, source }
        }
        _ => OpenError::Io { dir, source },
    }
}

/// Syncs every file and directory below.
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_tree(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    File::open(dir)?.sync_all()
}
