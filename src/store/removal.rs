//! Gives the space of deleted segments back in small steps.
//!
//! ```text
//!   0000000007.log ─► 0000000007.log.gone ─► 63 MiB ─► 62 MiB ─► … ─► removed
//! ```
//!
//! To remove a large file at once holds up every sync of the file system meanwhile, for a tenth of a second where freed
//! blocks are discarded. A file with a second name, a link that a backup made, has nothing to give back: its name goes.

use super::disk::Disk;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many steps a segment takes; each longer where more segments wait.
const STEPS: u64 = 64;
/// How long syncs have to themselves between two steps.
const PAUSE: Duration = Duration::from_millis(100);
/// What the name of a deleted file ends with until all of it is gone.
const GONE: &str = ".gone";

/// Files that are deleted and not all gone yet.
pub(crate) struct Removals {
    disk: Arc<dyn Disk>,
    step_bytes: u64,
    waiting: VecDeque<String>,
    last: Instant,
}

impl Removals {
    /// Goes on with what an earlier life has left. `segment_bytes` is about how long each is.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn new(disk: Arc<dyn Disk>, segment_bytes: u64) -> io::Result<Removals> {
        let step_bytes = (segment_bytes / STEPS).max(1);
        let mut left = disk.list()?;
        left.retain(|name| name.ends_with(GONE));
        Ok(Removals { disk, step_bytes, waiting: left.into(), last: Instant::now() })
    }

    /// Takes a file's name away; returns when that is durable. The space follows.
    ///
    /// # Errors
    /// Whatever the disk says; the name may be there or not.
    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        let gone = format!("{name}{GONE}");
        self.disk.rename(name, &gone)?;
        self.disk.sync_dir()?;
        self.waiting.push_back(gone);
        Ok(())
    }

    /// How long until something should be done; nothing: there is nothing to do.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| PAUSE.saturating_sub(self.last.elapsed()))
    }

    /// Does a little of it; all of a file where the space is wanted now. A file that the disk does not want to cut is
    /// left to the next start.
    pub(crate) fn step(&mut self, is_urgent: bool) {
        self.last = Instant::now();
        let Some(name) = self.waiting.front() else { return };
        let step = if is_urgent { u64::MAX } else { self.step_bytes * self.waiting.len() as u64 };
        if !self.shorten(name, step).unwrap_or(false) {
            self.waiting.pop_front();
        }
    }

    /// Whether something of it is left.
    fn shorten(&self, name: &str, by: u64) -> io::Result<bool> {
        let file = self.disk.open(name)?;
        let left = file.len()?.saturating_sub(by);
        if left == 0 || file.names()? > 1 {
            self.disk.remove(name)?;
            return Ok(false);
        }
        file.truncate(left)?;
        Ok(true)
    }
}
