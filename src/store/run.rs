//! Changes on their way into the index: of each key the newest, in the order of keys.
//!
//! ```text
//!   log order   c a b a d b │ a e c …
//!   one run     a b c d     │ a c e          last occurrence wins
//! ```
//!
//! A tree likes its keys sorted, and most keys of a run are overwritten within it.

use super::index::{Applied, Index, IndexResult, Located};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// How many keys of an erased range are taken from the index at a time.
const ERASE_CHUNK: usize = 256;
/// After so many changes it is noted how much of what the index points to is alive: what a crash leaves of a run may be
/// all of it but the end.
const NOTE_EVERY: usize = 32;

/// See the module's picture.
#[derive(Default)]
pub(crate) struct Run {
    newest: BTreeMap<Bytes, Option<Located>>,
    /// Erased ranges: they fall before all that is in `newest`.
    ranges: Vec<(Bytes, Bytes)>,
}

impl Run {
    /// The key's record lies there; or it has none.
    pub(crate) fn set(&mut self, key: Bytes, located: Option<Located>) {
        self.newest.insert(key, located);
    }

    /// No key of a range has one.
    pub(crate) fn erase_range(&mut self, from: Bytes, to: Bytes) {
        if from >= to {
            return;
        }
        let inside = self.newest.range(from.clone()..to.clone());
        for key in inside.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.newest.remove(&key);
        }
        self.ranges.push((from, to));
    }

    /// Brings it into the index, and what lives up to date. `noted`: the index has what this speaks of, so that the
    /// count is noted with it on the way. `rest` is called again and again meanwhile.
    pub(crate) fn write(
        self,
        index: &dyn Index,
        live: &mut u64,
        noted: Option<Applied>,
        rest: &mut dyn FnMut(),
    ) -> IndexResult<()> {
        for (from, to) in &self.ranges {
            erase_range(index, from, to, live)?;
        }
        for (written, (key, located)) in self.newest.into_iter().enumerate() {
            if written % NOTE_EVERY == 0 {
                rest();
                if let Some(noted) = noted {
                    // No further than before, but with what is there now.
                    index.set_applied(Applied { live: *live, ..noted })?;
                }
            }
            let length = located.as_ref().map_or(0, |located| located.length);
            let before = match located {
                Some(located) => index.put(&key, &located)?,
                None => index.remove(&key)?,
            };
            *live = (*live + u64::from(length)).saturating_sub(before.unwrap_or(0).into());
        }
        Ok(())
    }
}

/// A few keys at a time, so that no scan is open while the index changes.
fn erase_range(index: &dyn Index, from: &[u8], to: &[u8], live: &mut u64) -> IndexResult<()> {
    loop {
        let mut keys = Vec::new();
        index.scan(from, to, &mut |key, _| {
            keys.push(Bytes::copy_from_slice(key));
            if keys.len() < ERASE_CHUNK {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        for key in &keys {
            *live = live.saturating_sub(index.remove(key)?.unwrap_or(0).into());
        }
        if keys.len() < ERASE_CHUNK {
            return Ok(());
        }
    }
}
