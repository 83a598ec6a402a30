//! A store directory from a copy of a log.
//!
//! ```text
//!   DAMAGE   "restored from a backup as of commit 41"     first: whoever opens it begins a new lineage
//!   1.log 2.log …                                         checked once more while they are copied
//!   STATE    clean, as of batch 57                        what is missing below that is damage, no torn end
//!   FORMAT                                                last
//! ```
//!
//! No index: it is made by whoever reads it, as an [`Archive`](super::Archive). Were it opened as a store, it would be a
//! new life of the node's, with all that is old in it.

use super::backup::{self, BackupError, Copied, CopiedFile, Moved};
use super::disk::{Disk, RealDisk, open_to_read};
use super::log::segment_number;
use super::record::FORMAT_VERSION;
use super::sled_store::check_format;
use super::state::{self, State};
use std::io;
use std::path::Path;

/// Why a copy cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is not what was written once.
    #[error("{file}: {what}")]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// It was made by a newer version, or by one from before the first release.
    #[error("the log has format {0}, this program knows format {FORMAT_VERSION}")]
    OtherFormat(u8),
    /// A disk refused.
    #[error("{file}: {source}")]
    Io {
        /// Which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

impl From<BackupError> for RestoreError {
    fn from(error: BackupError) -> RestoreError {
        match error {
            BackupError::Io { file, source } => RestoreError::Io { file, source },
            other => {
                RestoreError::Io { file: "the backup".into(), source: io::Error::other(other) }
            }
        }
    }
}

/// Reads all of a copy, and finds whatever is not as it was written.
///
/// # Errors
/// [`RestoreError`], which names the file.
pub fn verify(
    from: &Path,
    copied: &Copied,
    progress: &mut dyn FnMut(Moved),
) -> Result<(), RestoreError> {
    if copied.format != FORMAT_VERSION {
        return Err(RestoreError::OtherFormat(copied.format));
    }
    let ours = |file: &&CopiedFile| segment_number(&file.name).is_none();
    if let Some(file) = copied.files.iter().find(ours) {
        return Err(damaged(&file.name, "the manifest names it, and it is no segment of a log"));
    }
    if copied.files.is_empty() {
        return Err(damaged("the manifest", "it names no segment"));
    }
    let total = copied.bytes();
    let mut done = 0;
    for file in &copied.files {
        check(from, file, &mut |chunk| {
            done += chunk.len() as u64;
            progress(Moved { done, total });
            Ok(())
        })?;
    }
    Ok(())
}

/// Makes an archive of a copy in an empty folder. Whoever opens it as a store is told of damage, so that its
/// node begins a new lineage. Durable but for the folder's own name.
///
/// # Errors
/// [`RestoreError`]; what is in the new folder is of no use then.
pub fn restore(
    from: &Path,
    copied: &Copied,
    to: &Path,
    progress: &mut dyn FnMut(Moved),
) -> Result<(), RestoreError> {
    let log = to.join("log");
    let log = RealDisk::open(&log)
        .map_err(|source| RestoreError::Io { file: log.display().to_string(), source })?;
    let commit = copied.commit;
    let why = format!("restored from a backup as of commit {}", commit.0);
    let marked = state::write_damage(&log, &[why]);
    marked.map_err(|source| RestoreError::Io { file: "log/DAMAGE".into(), source })?;
    let total = copied.bytes();
    let mut done = 0;
    for file in &copied.files {
        let explain = |source| RestoreError::Io { file: file.name.clone(), source };
        let copy = log.create(&file.name).map_err(explain)?;
        check(from, file, &mut |chunk| {
            copy.append(chunk).map_err(explain)?;
            done += chunk.len() as u64;
            progress(Moved { done, total });
            Ok(())
        })?;
        copy.sync().map_err(explain)?;
    }
    let oldest = copied.files.iter().filter_map(|file| segment_number(&file.name)).min();
    let state = State {
        clean: true,
        boot: String::new(),
        sequence: copied.sequence,
        commit,
        floor: 0,
        oldest: oldest.unwrap_or_default(),
    };
    let written = state.write(&log);
    written.map_err(|source| RestoreError::Io { file: "log/STATE".into(), source })?;
    check_format(to).map_err(|error| RestoreError::Io {
        file: "FORMAT".into(),
        source: io::Error::other(error),
    })
}

/// Reads a file to the end, and says whether it is what the manifest says.
fn check(
    from: &Path,
    file: &CopiedFile,
    take: &mut dyn FnMut(&[u8]) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let opened = open_to_read(&from.join(&file.name)).and_then(|open| Ok((open.len()?, open)));
    let (length, open) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(&file.name, "it is missing"),
        _ => backup::about(&file.name, error).into(),
    })?;
    if length != file.bytes {
        let what = format!("it has {length} bytes, not {}", file.bytes);
        return Err(damaged(&file.name, &what));
    }
    if backup::read(&*open, &file.name, file.bytes, take)? != file.blake3 {
        return Err(damaged(&file.name, "it does not match its checksum"));
    }
    Ok(())
}

fn damaged(file: &str, what: &str) -> RestoreError {
    RestoreError::Damaged { file: file.into(), what: what.into() }
}
