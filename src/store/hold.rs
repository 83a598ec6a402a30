//! Whoever copies the log keeps the reclaimer from deleting what is being copied.
//!
//! ```text
//!   backup   ├────────── holds ──────────┤
//!   keeper       may I delete? not now       may I delete? ├─ deleting ─┤
//! ```
//!
//! A deletion that has begun goes on: everything that it needed had been applied by then, so its copies
//! lie before any end of the log that the node sees from then on.

use super::shared::lock;
use std::sync::{Arc, Condvar, Mutex};

/// Who holds, and whether something is being deleted.
#[derive(Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
    deleted: Condvar,
}

#[derive(Default)]
struct State {
    holders: u32,
    is_deleting: bool,
}

impl Holds {
    /// No deletion begins until what this returns is dropped. Never waits.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        lock(&self.state).holders += 1;
        Hold(self.clone())
    }

    /// Leave to delete, if nobody holds.
    pub(crate) fn begin_deletion(self: &Arc<Self>) -> Option<Deletion> {
        let mut state = lock(&self.state);
        if state.holders > 0 {
            return None;
        }
        state.is_deleting = true;
        Some(Deletion(self.clone()))
    }
}

/// Segments stay for as long as this is there.
pub(crate) struct Hold(Arc<Holds>);

impl Hold {
    /// Waits until a deletion is over that had begun before.
    pub(crate) fn settle(&self) {
        let mut state = lock(&self.0.state);
        while state.is_deleting {
            state = self.0.deleted.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.0.state).holders -= 1;
    }
}

/// A deletion under way.
pub(crate) struct Deletion(Arc<Holds>);

impl Drop for Deletion {
    fn drop(&mut self) {
        lock(&self.0.state).is_deleting = false;
        self.0.deleted.notify_all();
    }
}
