//! Backups: a node's log copied while it serves, and brought back as a new life of that node.
//!
//! ```text
//!   begin ─► node thread: names the end of the log ─► thread "backup": copies, checks, seals ─► DIR
//!   look  ─► how far it is
//!
//!   DIR/manifest.json   whose it is, as of which commit, what it consists of: last, or it is no backup
//!   DIR/0000000001.log …
//! ```
//!
//! The store knows what a copy consists of (`store/backup.rs`), this module whose it is and where it may be.

mod manifest;
mod restore;
#[cfg(test)]
mod tests;

pub use manifest::Manifest;
pub use restore::{RestoreError, restore};

use crate::Error;
use crate::message::client::Reply;
use crate::store::{Backup, BackupError, Moved};
use serde_json::{Value, json};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A backup that was begun.
pub(super) struct Copying {
    dir: String,
    state: Arc<Mutex<State>>,
    thread: JoinHandle<()>,
}

enum State {
    Copying(Moved),
    Done(Value),
    Failed(Error),
}

impl Copying {
    /// Begins to copy on a thread of its own. `data` is where the node's own data live; `owner` becomes the
    /// manifest.
    ///
    /// # Errors
    /// The system has no thread.
    pub(super) fn begin(
        backup: Backup,
        dir: String,
        data: PathBuf,
        owner: Manifest,
    ) -> io::Result<Copying> {
        let state = Arc::new(Mutex::new(State::Copying(Moved::default())));
        let (tell, to) = (state.clone(), PathBuf::from(&dir));
        let thread = std::thread::Builder::new().name("backup".into()).spawn(move || {
            let mut progress = |moved| *lock(&tell) = State::Copying(moved);
            let ended = match write(backup, &to, &data, owner, &mut progress) {
                Ok(manifest) => {
                    tracing::info!(dir = %to.display(), commit = manifest.commit(), "backed up");
                    State::Done(manifest.summary())
                }
                Err(error) => {
                    tracing::warn!(dir = %to.display(), %error, "the backup has failed");
                    State::Failed(error)
                }
            };
            *lock(&tell) = ended;
        })?;
        Ok(Copying { dir, state, thread })
    }

    /// Where it goes.
    pub(super) fn dir(&self) -> &str {
        &self.dir
    }

    /// Whether it is still under way.
    pub(super) fn is_under_way(&self) -> bool {
        !self.thread.is_finished() && matches!(*lock(&self.state), State::Copying(_))
    }

    /// How far it is.
    pub(super) fn reply(&self) -> Reply {
        // Before the state: what it says then is the last word.
        let is_over = self.thread.is_finished();
        let answer = match &*lock(&self.state) {
            State::Copying(_) if is_over => {
                return Reply::Failed(Error::Internal("the backup's thread has panicked".into()));
            }
            State::Copying(Moved { done, total }) => {
                json!({ "state": "copying", "done": done, "total": total })
            }
            State::Done(summary) => json!({ "state": "done", "backup": summary }),
            State::Failed(error) => return Reply::Failed(error.clone()),
        };
        Reply::Json(answer.to_string())
    }
}

/// What is behind it is whole at any time.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(
    backup: Backup,
    dir: &Path,
    data: &Path,
    owner: Manifest,
    progress: &mut dyn FnMut(Moved),
) -> Result<Manifest, Error> {
    make(dir, data)?;
    let mut manifest = owner;
    let describe = |copied: &_| {
        manifest.log = Some(Clone::clone(copied));
        manifest.encode()
    };
    backup.write(dir, progress, describe).map_err(|error| explain(dir, error))?;
    Ok(manifest)
}

/// Makes the folder where it is missing, for the node's own user: the log holds the cluster's secret.
fn make(dir: &Path, data: &Path) -> Result<(), Error> {
    let place = dir.display();
    if !dir.is_absolute() {
        return Err(Error::Invalid(format!("{place} is no absolute path: name the whole of it")));
    }
    let wrong = |error: io::Error| {
        Error::Invalid(format!("{place}: {error}; choose a folder that the node may write to"))
    };
    let above = dir.parent().ok_or_else(|| wrong(io::ErrorKind::AlreadyExists.into()))?;
    is_outside(above, data).map_err(wrong)?;
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => std::fs::File::open(above).and_then(|above| above.sync_all()).map_err(wrong),
        // It may be a link to anywhere.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {
            is_outside(dir, data).map_err(wrong)
        }
        Err(error) => Err(wrong(error)),
    }
}

/// A copy within the data would go when they go.
fn is_outside(dir: &Path, data: &Path) -> io::Result<()> {
    match dir.canonicalize()?.starts_with(data) {
        true => Err(io::Error::other("it is inside the node's data directory")),
        false => Ok(()),
    }
}

fn explain(dir: &Path, error: BackupError) -> Error {
    let place = dir.display();
    match error {
        BackupError::NotEmpty => {
            Error::Invalid(format!("{place} is not empty: choose a new folder"))
        }
        BackupError::Io { file, source } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull(format!("{place}/{file}: {source}"))
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => Error::Invalid(
                format!("{place}: {file}: {source}; choose a folder that the node may write to"),
            ),
            _ => Error::Internal(format!("{place}: {file}: {source}")),
        },
        BackupError::Full => Error::DiskFull(
            "the node needs the space of what it kept for the backup, which was ended".into(),
        ),
        BackupError::Stopped | BackupError::TooLong => {
            Error::Overloaded(format!("the backup was ended: {error}"))
        }
    }
}
