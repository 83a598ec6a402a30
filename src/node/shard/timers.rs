//! What is due when. A timer that is set again moves; setting costs a walk down a small tree.

use crate::id::NodeId;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A request's next attempt, or its deadline.
    Request(u64),
    /// A peer that fell silent is to be asked whether it is back.
    Breaker(NodeId),
    /// Hints are to be replayed.
    Handoff,
    /// Partitions are to be compared.
    Sync,
    /// Trees are to be read on, or written down.
    Trees,
    /// Tombstones are to be looked for, and rounds to go on.
    Collect,
    /// What lies here is to be read once more.
    Scrub,
    /// What was dropped is to be erased.
    Dropped,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets a timer, or moves it.
    pub fn set(&mut self, at: Instant, timer: Timer) {
        if let Some(before) = self.at.insert(timer, at) {
            if before == at {
                return;
            }
            self.due.remove(&(before, timer));
        }
        self.due.insert((at, timer));
    }

    /// Forgets a timer.
    pub fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// When the first one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(Instant(5), Timer::Sync);
        timers.set(Instant(9), Timer::Sync);
        timers.set(Instant(7), Timer::Handoff);
        timers.set(Instant(1), Timer::Request(1));
        timers.clear(Timer::Request(1));
        assert_eq!(timers.next(), Some(Instant(7)));
        assert_eq!(timers.pop_due(Instant(6)), None);
        assert_eq!(timers.pop_due(Instant(9)), Some(Timer::Handoff));
        assert_eq!(timers.pop_due(Instant(9)), Some(Timer::Sync));
        assert_eq!(timers.next(), None);
    }
}
