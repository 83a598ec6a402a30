//! Replays the log into the index, in sorted runs.
//!
//! ```text
//!   log order   c a b a d b │ a e c …
//!   one run     a b c d     │ a c e          last occurrence wins, written in the order of keys
//! ```
//!
//! A tree likes its keys sorted, and most keys of a run are overwritten within it.

use super::Change;
use super::applier::{NOTE_EVERY, erase, erase_range, put};
use super::index::{Applied, Index, IndexResult, Located};
use super::record::{Found, Kind};
use bytes::Bytes;
use std::collections::BTreeMap;

/// About how many bytes of keys and heads one run holds.
const RUN_BYTES: usize = 32 << 20;

/// One run on its way into the index.
pub(crate) struct Replay<'a> {
    index: &'a dyn Index,
    run: BTreeMap<Bytes, Option<Located>>,
    /// Erased ranges of the run: they fall before all that is in `run`.
    ranges: Vec<(Bytes, Bytes)>,
    bytes: usize,
    from: Option<Applied>,
    pub(crate) live: u64,
    pub(crate) batches: u64,
}

impl<'a> Replay<'a> {
    /// Goes on from where the index says it is; or from nothing.
    pub(crate) fn new(index: &'a dyn Index, from: Option<Applied>) -> Replay<'a> {
        let live = from.map_or(0, |applied| applied.live);
        let (run, ranges) = Default::default();
        Replay { index, run, ranges, bytes: 0, from, live, batches: 0 }
    }

    /// Takes in the next batch of the log.
    pub(crate) fn add(&mut self, found: &Found) -> IndexResult<()> {
        if found.header.kind == Kind::Opening {
            return Ok(());
        }
        self.batches += 1;
        for (change, place, length) in found.changes() {
            match change {
                Change::Put { key, head, .. } => {
                    // Copied: a slice would keep the whole segment in memory.
                    let (key, head) = (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&head));
                    self.bytes += key.len() + head.len() + 100;
                    self.run.insert(key, Some(Located { place, length, head }));
                }
                Change::Erase { key } => {
                    self.bytes += key.len() + 100;
                    self.run.insert(Bytes::copy_from_slice(&key), None);
                }
                Change::EraseRange { from, to } if from < to => {
                    let inside = self.run.range(from.clone()..to.clone());
                    for key in inside.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                        self.run.remove(&key);
                    }
                    self.ranges.push((Bytes::copy_from_slice(&from), Bytes::copy_from_slice(&to)));
                }
                Change::EraseRange { .. } => {}
            }
        }
        if self.bytes > RUN_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the run.
    pub(crate) fn flush(&mut self) -> IndexResult<()> {
        for (from, to) in self.ranges.drain(..) {
            erase_range(self.index, &from, &to, &mut self.live)?;
        }
        for (written, (key, located)) in std::mem::take(&mut self.run).into_iter().enumerate() {
            match located {
                Some(located) => put(self.index, &key, &located, &mut self.live)?,
                None => erase(self.index, &key, &mut self.live)?,
            }
            if let Some(from) = self.from
                && written % NOTE_EVERY == 0
            {
                self.index.set_applied(Applied { live: self.live, ..from })?;
            }
        }
        self.bytes = 0;
        Ok(())
    }
}
