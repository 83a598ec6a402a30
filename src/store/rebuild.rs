//! Replays the log into the index, in runs.

use super::Change;
use super::index::{Applied, Index, IndexResult, Located};
use super::record::{Found, Kind};
use super::run::Run;
use bytes::Bytes;

/// About how many bytes of keys and heads one run holds.
const RUN_BYTES: usize = 32 << 20;

/// A run on its way into the index, and how far that is.
pub(crate) struct Replay<'a> {
    index: &'a dyn Index,
    run: Run,
    bytes: usize,
    from: Option<Applied>,
    pub(crate) live: u64,
    pub(crate) batches: u64,
}

impl<'a> Replay<'a> {
    /// Goes on from where the index says it is; or from nothing.
    pub(crate) fn new(index: &'a dyn Index, from: Option<Applied>) -> Replay<'a> {
        let live = from.map_or(0, |applied| applied.live);
        Replay { index, run: Run::default(), bytes: 0, from, live, batches: 0 }
    }

    /// Takes in the next batch of the log.
    pub(crate) fn add(&mut self, found: &Found) -> IndexResult<()> {
        if found.header.kind == Kind::Opening {
            return Ok(());
        }
        self.batches += 1;
        // A slice would keep the whole segment in memory.
        let copied = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        for (change, place, length) in found.changes() {
            match change {
                Change::Put { key, head, .. } => {
                    self.bytes += key.len() + head.len() + 100;
                    let located = Located { place, length, head: copied(&head) };
                    self.run.set(copied(&key), Some(located));
                }
                Change::Erase { key } => {
                    self.bytes += key.len() + 100;
                    self.run.set(copied(&key), None);
                }
                Change::EraseRange { from, to } => {
                    self.run.erase_range(copied(&from), copied(&to));
                }
            }
        }
        if self.bytes > RUN_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the run.
    pub(crate) fn flush(&mut self) -> IndexResult<()> {
        self.bytes = 0;
        std::mem::take(&mut self.run).write(self.index, &mut self.live, self.from, &mut || ())
    }
}
