//! A restored backup beside the store: read on a thread of its own, lent to the node, and set aside.
//!
//! ```text
//!   D/restored ─► thread "restored": the log is read ─► the node looks into it ─► the node is whole
//!                   └ damaged ──────────────────────────────────────────────────┐      │
//!                                       D/restored.set-aside-1   ◄──── renamed ─┴──────┘
//! ```
//!
//! It is never deleted: what no owner held lies there, and there alone.

use super::directory::set_aside;
use super::machine::Waker;
use crate::node::{Node, RestoredIs};
use crate::store::{Archive, Store};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// The folder of a data directory in which a restore leaves a backup.
pub const RESTORED: &str = "restored";
/// How often progress is told while it is read.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A restored backup, as far as a driver is concerned.
pub(super) struct Restored {
    dir: PathBuf,
    state: State,
}

enum State {
    Opening(Receiver<Result<Archive, String>>),
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
        node: &mut Node<S>,
        waker: Waker,
    ) -> io::Result<Option<Restored>> {
        if let Some(aside) = last_aside(data)? {
            node.tell_of_restored(Some(left_in(&aside)));
        }
        let dir = data.join(RESTORED);
        if !dir.is_dir() {
            return Ok(None);
        }
        let (tell, told) = channel();
        let at = dir.clone();
        std::thread::Builder::new().name("restored".into()).spawn(move || {
            let mut last = Instant::now();
            let opened = Archive::open(&at, &mut |progress| {
                if last.elapsed() >= TELL_EVERY {
                    last = Instant::now();
                    tracing::info!(?progress, "reading the restored backup");
                }
            });
            // The node may have ended meanwhile.
            let _ = tell.send(opened.map_err(|error| error.to_string()));
            waker();
        })?;
        node.expect_restored();
        node.tell_of_restored(Some(format!("{} is being read", dir.display())));
        Ok(Some(Restored { dir, state: State::Opening(told) }))
    }

    /// To be called before each turn of the node.
    pub(super) fn attend<S: Store>(&mut self, node: &mut Node<S>, waker: &Waker) {
        let state = std::mem::replace(&mut self.state, State::Over);
        self.state = match state {
            State::Opening(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => State::Opening(told),
                Ok(Ok(archive)) => self.lend(archive, node),
                Ok(Err(why)) => self.give_up(&why, node, waker),
                Err(TryRecvError::Disconnected) => {
                    self.give_up("its thread has panicked", node, waker)
                }
            },
            State::Lent => match node.restored() {
                RestoredIs::Wanted => State::Lent,
                RestoredIs::Done => {
                    let items = node.counters().restored_items;
                    tracing::info!(
                        items,
                        "the node is whole; nothing more is taken from the restored backup"
                    );
                    self.close(node, waker)
                }
                RestoredIs::Unusable => self.give_up("it cannot be read any more", node, waker),
            },
            State::Closing(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => State::Closing(told),
                Ok(Ok(aside)) => {
                    let words = left_in(&aside);
                    tracing::warn!("{words}");
                    node.tell_of_restored(Some(words));
                    State::Over
                }
                Ok(Err(error)) => self.stays(&error.to_string(), node),
                Err(TryRecvError::Disconnected) => self.stays("its thread has panicked", node),
            },
            State::Over => State::Over,
        };
    }

    fn lend<S: Store>(&self, archive: Archive, node: &mut Node<S>) -> State {
        let (dir, commit) = (self.dir.display(), archive.commit());
        tracing::info!(%dir, commit = commit.0, "the restored backup can be looked into");
        node.bring_restored(Box::new(archive));
        node.tell_of_restored(Some(format!(
            "what the owners hold and {dir} has, too, is taken from there"
        )));
        State::Lent
    }

    fn give_up<S: Store>(&self, why: &str, node: &mut Node<S>, waker: &Waker) -> State {
        let dir = self.dir.display();
        tracing::warn!(%dir, why, "the restored backup is of no use: all comes from the others");
        self.close(node, waker)
    }

    /// Closes it, if it is open, and sets it aside, on a thread of its own: the node waits for neither.
    fn close<S: Store>(&self, node: &mut Node<S>, waker: &Waker) -> State {
        let source = node.take_restored();
        let (tell, told) = channel();
        let (dir, waker) = (self.dir.clone(), waker.clone());
        let begun = std::thread::Builder::new().name("restored".into()).spawn(move || {
            // The lock goes with it.
            drop(source);
            let _ = tell.send(retire(&dir));
            waker();
        });
        match begun {
            Ok(_) => State::Closing(told),
            Err(error) => self.stays(&error.to_string(), node),
        }
    }

    fn stays<S: Store>(&self, why: &str, node: &mut Node<S>) -> State {
        let words = format!("{} could not be set aside: {why}", self.dir.display());
        tracing::error!("{words}");
        node.tell_of_restored(Some(words));
        State::Over
    }
}

/// Sets it aside, without its index, which can be made again.
fn retire(dir: &Path) -> io::Result<PathBuf> {
    Archive::forget_index(dir)?;
    set_aside(dir)
}

fn left_in(aside: &Path) -> String {
    let aside = aside.display();
    format!(
        "{aside} is what was restored. How much of it no owner held is not known; that lies there alone, and \
         `quorate dump --local --data-dir {aside}` shows it. Remove it when nobody misses anything"
    )
}

/// The newest that was set aside here.
fn last_aside(data: &Path) -> io::Result<Option<PathBuf>> {
    let prefix = format!("{RESTORED}.set-aside-");
    let mut last = None;
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
        if let Some(number) = number {
            last = last.max(Some((number, path)));
        }
    }
    Ok(last.map(|(_, path)| path))
}
