//! A copy of the log as of one commit, made while the node goes on.
//!
//! ```text
//!   1.log  2.log  3.log  4.log▐▐▐▐▐ ──► 5.log …        the log; `end` is what the node's thread saw last
//!     ║      ║      ║      │   end
//!   1.log  2.log  3.log  4.log▐         linked, or copied; the last one up to `end`
//!   manifest.json                       last, when all the rest is durable
//! ```
//!
//! - Everything up to `end` and nothing behind it: exactly the state as of one commit. What the reclaimer
//!   copied towards the end is in it, for nothing is deleted before its copies are applied, nor while the
//!   copying holds.
//! - A sealed segment never changes again, so another name for the same file is a copy. The last one is
//!   copied always: it is still written to.
//! - The index is not copied: it is rebuilt from the log.
//! - It runs on a thread of its own, and the node's thread does no more than name the end.

use super::CommitNumber;
use super::disk::{Disk, DiskFile, RealDisk};
use super::hold::Hold;
use super::log::{segment_name, segment_number};
use super::record::{FORMAT_VERSION, Place};
use super::shared::Shared;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The file that makes a folder a backup.
pub const MANIFEST: &str = "manifest.json";
/// What it is called before that.
const UNSEALED: &str = "manifest.json.tmp";
/// How much is read at a time.
const CHUNK: usize = 1 << 20;
/// How much is written before it is synced, so that the log's own syncs never wait behind all of it.
const SYNC_BYTES: u64 = 8 << 20;
/// How long old segments are kept for a copy. Where they can be linked it takes no time at all.
const HOLD_LIMIT: Duration = Duration::from_secs(6 * 3600);

/// A copy of the log, described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The version of the log's bytes.
    pub format: u8,
    /// The newest commit in it.
    pub commit: CommitNumber,
    /// The newest batch in it, copies of the reclaimer counted.
    pub sequence: u64,
    /// Its segments, oldest first.
    pub files: Vec<CopiedFile>,
}

impl Copied {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One segment of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its blake3 checksum, in hexadecimal.
    pub blake3: String,
}

/// How far a copy, or a check of one, is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes that are done.
    pub done: u64,
    /// Bytes that there are.
    pub total: u64,
}

/// Why there is no copy. What had been written of it is removed again.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder holds something already.
    #[error("the folder is not empty")]
    NotEmpty,
    /// A disk refused.
    #[error("{file}: {source}")]
    Io {
        /// Which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The store is closing, or has failed.
    #[error("the store has stopped")]
    Stopped,
    /// The store's own disk is nearly full, and may need what is kept for the copy.
    #[error("the store's disk is nearly full")]
    Full,
    /// Old segments were kept for as long as they may be.
    #[error("it took longer than {} h", HOLD_LIMIT.as_secs() / 3600)]
    TooLong,
}

/// What a copy holds: everything before `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) commit: CommitNumber,
    pub(crate) sequence: u64,
    pub(crate) end: Place,
}

/// A copy to be made, on any thread. Old segments stay until it is made or dropped.
pub struct Backup {
    shared: Arc<Shared>,
    point: Point,
    hold: Hold,
}

impl Backup {
    /// Of everything up to a point that the node's thread sees now.
    pub(crate) fn new(shared: Arc<Shared>, see: impl FnOnce() -> Point) -> Backup {
        // First: what is deleted before this, the point does not need.
        let hold = shared.holds.hold();
        Backup { shared, point: see(), hold }
    }

    /// The newest commit that will be in it.
    pub fn commit(&self) -> CommitNumber {
        self.point.commit
    }

    /// Copies into an empty folder, which is made where it is missing. The last file is [`MANIFEST`], and
    /// holds what `describe` says; without it the folder is no backup.
    ///
    /// # Errors
    /// [`BackupError`]; the folder is empty again then.
    pub fn write(
        self,
        dir: &Path,
        progress: &mut dyn FnMut(Moved),
        describe: impl FnOnce(&Copied) -> Vec<u8>,
    ) -> Result<Copied, BackupError> {
        let target = RealDisk::open(dir).map_err(|source| about(&dir.display(), source))?;
        self.write_to(&target, progress, describe)
    }

    pub(crate) fn write_to(
        self,
        target: &dyn Disk,
        progress: &mut dyn FnMut(Moved),
        describe: impl FnOnce(&Copied) -> Vec<u8>,
    ) -> Result<Copied, BackupError> {
        let there = target.list().map_err(|source| about(&"the folder", source))?;
        if !there.is_empty() {
            return Err(BackupError::NotEmpty);
        }
        // Claims the folder: were two to write there, one might write into a file that the other has linked.
        let manifest = target.create_new(UNSEALED).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::NotEmpty,
            _ => about(&MANIFEST, source),
        })?;
        let outcome = self.copy(target, progress).and_then(|(shared, copied)| {
            // A store that has stopped may have had its directory replaced under our hands.
            may_go_on(&shared)?;
            let sealed = seal(target, &*manifest, &describe(&copied));
            sealed.map_err(|source| about(&MANIFEST, source))?;
            Ok(copied)
        });
        if outcome.is_err() {
            // What cannot be removed is no backup either.
            for name in target.list().unwrap_or_default() {
                if segment_number(&name).is_some() || name == MANIFEST || name == UNSEALED {
                    let _ = target.remove(&name);
                }
            }
        }
        outcome
    }

    fn copy(
        self,
        target: &dyn Disk,
        progress: &mut dyn FnMut(Moved),
    ) -> Result<(Arc<Shared>, Copied), BackupError> {
        let Backup { shared, point, hold } = self;
        hold.settle();
        let began = Instant::now();
        let source = &*shared.disk;
        let segments = lengths(source, point.end)?;
        let total = segments.iter().map(|(_, bytes)| bytes).sum();
        let mut done = 0;
        let mut files = Vec::with_capacity(segments.len());
        let mut linked = Vec::new();
        progress(Moved { done, total });
        for (segment, bytes) in segments {
            let name = segment_name(segment);
            let mut file = CopiedFile { name, bytes, blake3: String::new() };
            if segment < point.end.segment && target.link(source, &file.name).is_ok() {
                linked.push(files.len());
            } else {
                let to = target.create_new(&file.name);
                let to = to.map_err(|source| about(&file.name, source))?;
                let from = source.open(&file.name).map_err(|source| about(&file.name, source))?;
                let mut unsynced = 0;
                file.blake3 = read(&*from, &file.name, bytes, &mut |chunk| {
                    may_hold(&shared, began)?;
                    to.append(chunk).map_err(|source| about(&file.name, source))?;
                    done += chunk.len() as u64;
                    unsynced += chunk.len() as u64;
                    if unsynced >= SYNC_BYTES {
                        unsynced = 0;
                        to.sync().map_err(|source| about(&file.name, source))?;
                    }
                    progress(Moved { done, total });
                    Ok(())
                })?;
                to.sync().map_err(|source| about(&file.name, source))?;
            }
            files.push(file);
        }
        // The links keep what is behind them: from here on the reclaimer need not wait.
        drop(hold);
        for index in linked {
            let CopiedFile { name, bytes, .. } = &files[index];
            let file = target.open(name).map_err(|source| about(name, source))?;
            files[index].blake3 = read(&*file, name, *bytes, &mut |chunk| {
                may_go_on(&shared)?;
                done += chunk.len() as u64;
                progress(Moved { done, total });
                Ok(())
            })?;
        }
        let Point { commit, sequence, .. } = point;
        Ok((shared, Copied { format: FORMAT_VERSION, commit, sequence, files }))
    }
}

/// The segments of the log with how much of each is copied, oldest first.
fn lengths(disk: &dyn Disk, end: Place) -> Result<Vec<(u32, u64)>, BackupError> {
    let names = disk.list().map_err(|source| about(&"the log", source))?;
    let mut segments: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    segments.retain(|segment| *segment <= end.segment);
    segments.sort_unstable();
    let length = |segment: u32| {
        if segment == end.segment {
            return Ok((segment, end.offset.into()));
        }
        let name = segment_name(segment);
        let length = disk.open(&name).and_then(|file| file.len());
        Ok((segment, length.map_err(|source| about(&name, source))?))
    };
    segments.into_iter().map(length).collect()
}

/// Reads the beginning of a file, and returns its checksum.
pub(super) fn read<E: From<BackupError>>(
    file: &dyn DiskFile,
    name: &str,
    bytes: u64,
    take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<String, E> {
    let mut sum = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).map_or(CHUNK, |left| left.min(CHUNK));
        file.read_at(&mut chunk[..length], at).map_err(|source| about(&name, source))?;
        sum.update(&chunk[..length]);
        take(&chunk[..length])?;
        at += length as u64;
    }
    Ok(sum.finalize().to_string())
}

fn may_go_on(shared: &Shared) -> Result<(), BackupError> {
    if shared.is_over() { Err(BackupError::Stopped) } else { Ok(()) }
}

fn may_hold(shared: &Shared, since: Instant) -> Result<(), BackupError> {
    may_go_on(shared)?;
    if shared.full.load(Ordering::Acquire) {
        return Err(BackupError::Full);
    }
    if since.elapsed() > HOLD_LIMIT { Err(BackupError::TooLong) } else { Ok(()) }
}

/// Writes the manifest, when everything else has its name for good.
fn seal(target: &dyn Disk, file: &dyn DiskFile, manifest: &[u8]) -> io::Result<()> {
    target.sync_dir()?;
    file.append(manifest)?;
    file.sync()?;
    target.rename(UNSEALED, MANIFEST)?;
    target.sync_dir()
}

pub(super) fn about(file: &dyn std::fmt::Display, source: io::Error) -> BackupError {
    BackupError::Io { file: file.to_string(), source }
}
