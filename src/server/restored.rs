//! A restored backup beside the store: read on a thread of its own, lent to the node, and set aside.
//!
//! ```text
//!   D/restored ─► thread "restored": the log is read ─► the node looks into it ─► the node is whole
//!      ▲            │         └ damaged ─────────────────────┼────────────┐               │
//!      └─ a while ◄─┴─ in use, no room, … ◄── cannot be read ┘            ▼               ▼
//!                                       D/restored.set-aside-1   ◄──── renamed ◄──────────┘
//! ```
//!
//! - The manifest in it says whose it is. What no other owner has is taken from a node's own backup only.
//! - It is never deleted: what no owner held lies there, and there alone.
//! - Only damage takes it away before the node is whole: whatever may pass is waited for, and said.

use super::backup::Manifest;
use super::directory::{asides, set_aside};
use super::machine::Waker;
use super::opener::tell;
use crate::node::{Node, RestoredIs};
use crate::store::{Archive, ArchiveError, MANIFEST, OpenError, Store};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// The folder of a data directory in which a restore leaves a backup.
pub const RESTORED: &str = "restored";
/// How soon one that could not be read is opened again; twice as long each time.
const AGAIN: Duration = Duration::from_secs(1);
/// At the latest.
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// A restored backup, as far as a driver is concerned.
pub(super) struct Restored {
    dir: PathBuf,
    /// The node's name.
    name: String,
    waker: Waker,
    state: State,
    again: Duration,
    /// What is not back, in words.
    lost: Option<String>,
}

/// What the thread that reads it found.
struct Found {
    archive: Archive,
    /// Whose it is, if it says so.
    owner: Option<String>,
}

enum State {
    Opening(Receiver<Result<Found, ArchiveError>>),
    /// It is opened again then.
    Waiting(Instant),
    Lent,
    Closing(Receiver<io::Result<PathBuf>>),
    Over,
}

impl Restored {
    /// Begins to read the one in this data directory, if there is one. What was set aside before is told of.
    ///
    /// # Errors
    /// The system has no thread, or does not show the directory.
    pub(super) fn find<S: Store>(
        data: &Path,
        name: &str,
        node: &mut Node<S>,
        waker: Waker,
    ) -> io::Result<Option<Restored>> {
        if let Some(aside) = last_aside(data)? {
            node.tell_of_restored(left_in(&aside));
        }
        let dir = data.join(RESTORED);
        if !dir.try_exists()? {
            return Ok(None);
        }
        let state = State::Opening(read(&dir, &waker)?);
        node.expect_restored();
        node.tell_of_restored(format!("{} is being read", dir.display()));
        Ok(Some(Restored { dir, name: name.into(), waker, state, again: AGAIN, lost: None }))
    }

    /// To be called before each turn of the node.
    pub(super) fn attend<S: Store>(&mut self, node: &mut Node<S>) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match state {
            State::Opening(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => State::Opening(told),
                Ok(Ok(found)) => self.lend(found, node),
                Ok(Err(damage @ ArchiveError::Damaged { .. })) => {
                    self.give_up(&damage.to_string(), node)
                }
                Ok(Err(passing @ (ArchiveError::Open(_) | ArchiveError::Index { .. }))) => {
                    self.wait(&passing.to_string(), node)
                }
                Err(TryRecvError::Disconnected) => self.wait("its thread has panicked", node),
            },
            State::Waiting(until) => match node.restored() {
                RestoredIs::Done => self.close(node),
                _ if Instant::now() < until => State::Waiting(until),
                _ => self.try_again(node),
            },
            State::Lent => match node.restored() {
                RestoredIs::Wanted => State::Lent,
                RestoredIs::Done => {
                    let items = node.counters().restored_items;
                    tracing::info!(
                        items,
                        "the node is whole; nothing more is taken from the restored backup"
                    );
                    self.close(node)
                }
                RestoredIs::Unusable => self.wait("its index has failed", node),
            },
            State::Closing(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => State::Closing(told),
                Ok(Ok(aside)) => {
                    node.tell_of_restored(self.with_loss(left_in(&aside)));
                    tracing::warn!("{}", node.restored_words().unwrap_or_default());
                    State::Over
                }
                Ok(Err(error)) => self.stays(&error.to_string(), node),
                Err(TryRecvError::Disconnected) => self.stays("its thread has panicked", node),
            },
            State::Over => State::Over,
        };
    }

    /// Before its data directory is moved: whatever is on its way to another name has arrived there. A thread that still
    /// reads goes on, and keeps the lock for so long: the next life waits for it.
    pub(super) fn end(self) {
        if let State::Closing(told) = self.state {
            let _ = told.recv();
        }
    }

    fn lend<S: Store>(&mut self, found: Found, node: &mut Node<S>) -> State {
        let Found { archive, owner } = found;
        let (dir, commit) = (self.dir.display(), archive.commit());
        tracing::info!(%dir, commit = commit.0, "the restored backup can be looked into");
        let is_own = owner.as_ref() == Some(&self.name);
        self.lost = (!is_own).then(|| {
            let whose = match owner {
                Some(other) => format!("It is a backup of {other}"),
                None => format!("It does not say whose it is, for want of a whole {MANIFEST}"),
            };
            let me = &self.name;
            format!("{whose}, and this is {me}: items of buckets with n = 1 are not taken from it")
        });
        let words = format!("what the owners hold and {dir} has, too, is taken from there");
        node.bring_restored(Box::new(archive), is_own);
        node.tell_of_restored(self.with_loss(words));
        self.again = AGAIN;
        State::Lent
    }

    /// Nothing is known of what is in it: the node goes on, but for what it alone can have.
    fn wait<S: Store>(&mut self, why: &str, node: &mut Node<S>) -> State {
        let (dir, seconds) = (self.dir.display(), self.again.as_secs());
        tracing::warn!(%dir, why, seconds, "the restored backup cannot be read now; it is tried again");
        let until = Instant::now() + self.again;
        self.again = (self.again * 2).min(AGAIN_AT_MOST);
        let source = node.miss_restored();
        // The node does not wait for sled to end.
        let _ = thread(move || drop(source));
        node.tell_of_restored(format!(
            "{dir} cannot be read now: {why}. It is tried again, and slots with items of buckets with n = 1 wait for \
             it; to do without them, move it away"
        ));
        State::Waiting(until)
    }

    fn try_again<S: Store>(&mut self, node: &mut Node<S>) -> State {
        if let Ok(false) = self.dir.try_exists() {
            node.take_restored();
            let dir = self.dir.display();
            let words = format!("{dir} was moved away: what it alone had is not back");
            tracing::warn!("{words}");
            node.tell_of_restored(words);
            return State::Over;
        }
        match read(&self.dir, &self.waker) {
            Ok(told) => State::Opening(told),
            Err(error) => self.wait(&error.to_string(), node),
        }
    }

    fn give_up<S: Store>(&mut self, why: &str, node: &mut Node<S>) -> State {
        let dir = self.dir.display();
        tracing::warn!(%dir, why, "the restored backup is of no use: all comes from the others");
        self.lost = Some(format!(
            "It was damaged ({why}): items of buckets with n = 1 are not back from it, and their slots count \
             without them"
        ));
        self.close(node)
    }

    /// Closes it, if it is open, and sets it aside, on a thread of its own: the node waits for neither.
    fn close<S: Store>(&self, node: &mut Node<S>) -> State {
        let source = node.take_restored();
        let (sender, told) = channel();
        let (dir, waker) = (self.dir.clone(), self.waker.clone());
        let begun = thread(move || {
            // Its index and the lock go with it.
            drop(source);
            let _ = sender.send(set_aside(&dir));
            waker();
        });
        match begun {
            Ok(()) => State::Closing(told),
            Err(error) => self.stays(&error.to_string(), node),
        }
    }

    fn stays<S: Store>(&self, why: &str, node: &mut Node<S>) -> State {
        let words = format!("{} could not be set aside: {why}", self.dir.display());
        let words = self.with_loss(words);
        tracing::error!("{words}");
        node.tell_of_restored(words);
        State::Over
    }

    fn with_loss(&self, words: String) -> String {
        match &self.lost {
            Some(lost) => format!("{words}. {lost}"),
            None => words,
        }
    }
}

/// Whether this data directory began beside a backup: then there is a cluster already, whatever a configuration says.
///
/// # Errors
/// The system does not show the directory.
pub(super) fn began_with_backup(data: &Path) -> io::Result<bool> {
    Ok(data.join(RESTORED).try_exists()? || last_aside(data)?.is_some())
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("restored".into()).spawn(work).map(drop)
}

/// Reads it, and makes its index, on a thread of its own.
fn read(dir: &Path, waker: &Waker) -> io::Result<Receiver<Result<Found, ArchiveError>>> {
    let (sender, told) = channel();
    let (dir, waker) = (dir.to_path_buf(), waker.clone());
    thread(move || {
        let opened = Archive::open(&dir, &mut tell("reading the restored backup"));
        let found = opened.and_then(|archive| Ok(Found { archive, owner: owner(&dir)? }));
        // The node may have ended meanwhile.
        let _ = sender.send(found);
        waker();
    })?;
    Ok(told)
}

/// Whose it is, by its manifest; nothing, if that is not there, or not whole.
fn owner(dir: &Path) -> Result<Option<String>, OpenError> {
    match std::fs::read(dir.join(MANIFEST)) {
        Ok(bytes) => Ok(Manifest::decode(&bytes).ok().map(|manifest| manifest.name().into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io { dir: dir.to_path_buf(), source }),
    }
}

fn left_in(aside: &Path) -> String {
    let aside = aside.display();
    format!(
        "{aside} is what was restored. How much of it no owner held is not known; that lies there alone, and \
         `quorate dump --local --data-dir {aside}` shows it, if it is whole. Remove it when nobody misses anything"
    )
}

/// The newest that was set aside here.
fn last_aside(data: &Path) -> io::Result<Option<PathBuf>> {
    Ok(asides(&data.join(RESTORED))?.into_iter().max().map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_whose_it_is_or_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let owner = || owner(dir.path()).expect("readable");
        assert_eq!(owner(), None, "it was restored by an older version");
        let text = |text: &str| text.to_string();
        let manifest = Manifest::begin(text("c"), text("1"), text("n2"), text("5")).encode();
        let path = dir.path().join(MANIFEST);
        std::fs::write(&path, &manifest).expect("written");
        assert_eq!(owner().as_deref(), Some("n2"));
        std::fs::write(&path, &manifest[1..]).expect("written");
        assert_eq!(owner(), None, "nobody knows what else is wrong");
    }

    #[test]
    fn the_newest_that_was_set_aside_is_told_of() {
        let data = tempfile::tempdir().expect("a temporary directory");
        assert!(!began_with_backup(data.path()).expect("readable"));
        for name in ["restored.set-aside-2", "restored.set-aside-10", "restored.set-aside-x"] {
            std::fs::create_dir(data.path().join(name)).expect("made");
        }
        let last = last_aside(data.path()).expect("readable").expect("there are some");
        assert!(last.ends_with("restored.set-aside-10"), "{}", last.display());
        assert!(began_with_backup(data.path()).expect("readable"));
    }
}
