//! The clock by which items expire. It never steps back, not even where the machine's clock does, or the node begins
//! another life.
//!
//! ```text
//!   wall   12:00:05 ─ set back to 11:00:00 …         date   12:00:05, and on from there when the wall has caught up
//! ```
//!
//! What a node has shown as expired it must not show again. So the date is put down while it is in use, about once
//! a second, and a new life begins a second after what was put down.

use super::{Shard, Turn};
use crate::store::{Change, Store, StoreError, key};
use crate::time::WallClock;
use bytes::Bytes;
use std::cell::Cell;

/// Where it is put down.
const NAME: &str = "date";
/// How far it may run ahead of what was put down: how often it is, in milliseconds, and some time for the disk.
const AHEAD: u64 = 3_000;

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Dates {
    latest: Cell<WallClock>,
    /// Somebody has asked whether something has expired, since it was put down.
    used: Cell<bool>,
    noted: WallClock,
}

impl Dates {
    /// As an earlier life has left it.
    pub fn open(store: &dyn Store, wall: WallClock) -> Result<Dates, StoreError> {
        let head = store.head(&key::meta(NAME))?;
        let noted = head.and_then(|head| head.first_chunk().map(|at| u64::from_le_bytes(*at)));
        let noted = WallClock(noted.unwrap_or(0));
        let past = if noted.0 == 0 { 0 } else { noted.0.saturating_add(AHEAD) };
        Ok(Dates { latest: Cell::new(WallClock(past).max(wall)), used: Cell::new(false), noted })
    }

    /// The date now.
    pub fn at(&self, wall: WallClock) -> WallClock {
        self.latest.set(self.latest.get().max(wall));
        self.latest.get()
    }
}

impl Shard {
    /// By what items expire. It only goes on.
    pub(super) fn date(&self, turn: &Turn) -> WallClock {
        self.dates.at(turn.now.wall)
    }

    /// As [`date`](Shard::date), to show something by it.
    pub(super) fn date_shown(&self, turn: &Turn) -> WallClock {
        self.dates.used.set(true);
        self.date(turn)
    }

    /// Puts it down, if somebody was shown something by it.
    pub(super) fn persist_clock(&mut self, turn: &mut Turn) {
        let date = self.date(turn);
        let due = date.0 >= self.dates.noted.0.saturating_add(AHEAD / 3);
        if !due || !self.dates.used.take() || self.disk.is_some() {
            return;
        }
        self.dates.noted = date;
        let head = Bytes::copy_from_slice(&date.0.to_le_bytes());
        turn.outbox.persist(Change::Put { key: key::meta(NAME), head, body: Bytes::new() });
    }
}
