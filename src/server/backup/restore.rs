//! Bringing a backup back, while no node runs on the data directory.
//!
//! ```text
//!   check everything ─► D.restoring/restored/  made, copied, synced ─► renamed to D/restored/
//! ```
//!
//! A crash in between leaves a folder of another name. The node that is started on D begins empty, and takes from the
//! backup what the other owners hold, too (`server/restored.rs`): what it promised and did since is not in there, nor
//! what was deleted since, so it must not go on as if it were.

use super::super::restored::RESTORED;
use super::Manifest;
use crate::store::{self, MANIFEST, Moved};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Why nothing was restored; the data directory is as it was. The text begins with a code and ends with
/// what to do.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder is no backup.
    #[error(
        "not_found: {0} is no backup, for it has no {MANIFEST}; name a folder that `quorate backup` has written"
    )]
    NoBackup(PathBuf),
    /// The backup is not what was written once.
    #[error(
        "invalid: {file}: {what}; restore from another copy of this backup, or from an older one"
    )]
    Damaged {
        /// Which file of it.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is something already where it should go.
    #[error("invalid: {0} is there already; move it away, or choose another directory")]
    InTheWay(PathBuf),
    /// The backup was made by another version.
    #[error("invalid: {0}; use the version that made it")]
    OtherFormat(String),
    /// A disk refused.
    #[error("io: {at}: {source}; check the path, its permissions and the disk, and try again")]
    Io {
        /// Where.
        at: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes a data directory that begins with a backup beside it. `progress` hears of checking first, then of copying: of
/// all bytes twice.
///
/// # Errors
/// [`RestoreError`]; what had been made is removed again.
pub fn restore(
    backup: &Path,
    data: &Path,
    progress: &mut dyn FnMut(Moved),
) -> Result<Manifest, RestoreError> {
    let manifest = read_manifest(backup)?;
    let Some(log) = &manifest.log else {
        return Err(damaged(backup, MANIFEST, "it describes no log"));
    };
    let total = 2 * log.bytes();
    let explain = |error| explain(backup, error);
    let mut checked = |moved: Moved| progress(Moved { done: moved.done, total });
    store::verify(backup, log, &mut checked).map_err(explain)?;
    let data = std::path::absolute(data).map_err(|source| at(data, source))?;
    is_free(&data)?;
    let mut new = data.clone().into_os_string();
    new.push(".restoring");
    let new = PathBuf::from(new);
    let above = data.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(above).map_err(|source| at(above, source))?;
    let made = fs::DirBuilder::new().mode(0o700).create(&new);
    made.map_err(|source| match source.kind() {
        // Cut short once, or under way: it is not ours to remove.
        io::ErrorKind::AlreadyExists => RestoreError::InTheWay(new.clone()),
        _ => at(&new, source),
    })?;
    let mut copied = |moved: Moved| progress(Moved { done: total / 2 + moved.done, total });
    let finish = || {
        let inside = new.join(RESTORED);
        store::restore(backup, log, &inside, &mut copied).map_err(explain)?;
        // Whose it is: what no other owner has is for that node alone.
        let told = inside.join(MANIFEST);
        fs::write(&told, manifest.encode())
            .and_then(|()| File::open(&told)?.sync_all())
            .map_err(|source| at(&told, source))?;
        File::open(&inside).and_then(|dir| dir.sync_all()).map_err(|source| at(&inside, source))?;
        File::open(&new).and_then(|dir| dir.sync_all()).map_err(|source| at(&new, source))?;
        // Replaces an empty directory, and nothing else.
        fs::rename(&new, &data).map_err(|source| at(&data, source))?;
        File::open(above).and_then(|dir| dir.sync_all()).map_err(|source| at(above, source))
    };
    if let Err(error) = { finish }() {
        let _ = fs::remove_dir_all(&new);
        return Err(error);
    }
    Ok(manifest)
}

fn read_manifest(backup: &Path) -> Result<Manifest, RestoreError> {
    let path = backup.join(MANIFEST);
    let bytes = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            RestoreError::NoBackup(backup.to_path_buf())
        }
        _ => at(&path, source),
    })?;
    Manifest::decode(&bytes).map_err(|what| damaged(backup, MANIFEST, &what))
}

/// Nothing is there, or an empty directory.
fn is_free(data: &Path) -> Result<(), RestoreError> {
    match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RestoreError::InTheWay(data.to_path_buf())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(RestoreError::InTheWay(data.to_path_buf()))
        }
        Err(source) => Err(at(data, source)),
    }
}

fn explain(backup: &Path, error: store::RestoreError) -> RestoreError {
    match error {
        store::RestoreError::Damaged { file, what } => damaged(backup, &file, &what),
        store::RestoreError::Io { file, source } => at(&backup.join(file), source),
        other @ store::RestoreError::OtherFormat(_) => RestoreError::OtherFormat(other.to_string()),
    }
}

fn damaged(backup: &Path, file: &str, what: &str) -> RestoreError {
    RestoreError::Damaged { file: backup.join(file), what: what.into() }
}

fn at(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Io { at: path.to_path_buf(), source }
}
