//! How many streams there may be, and who keeps a place that he does not use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// How many streams a node serves at a time; beyond that a page is told to come back.
pub(super) const STREAMS: usize = 32;
/// Who has not asked for the next moment for so long does not read. His place goes to whoever wants it.
const ASLEEP: Duration = Duration::from_secs(10);

/// The places.
#[derive(Default)]
pub(super) struct Seats {
    taken: Mutex<Vec<Weak<Seat>>>,
}

/// One place; free again when it is dropped.
pub(super) struct Seat {
    used: Mutex<Instant>,
    lost: AtomicBool,
}

impl Seats {
    /// A free place, or one whose holder sleeps.
    pub(super) fn take(&self) -> Option<Arc<Seat>> {
        // A poisoned lock still guards a list.
        let mut taken = self.taken.lock().unwrap_or_else(|e| e.into_inner());
        taken.retain(|seat| seat.strong_count() > 0);
        if taken.len() >= STREAMS {
            taken.retain(|seat| seat.upgrade().is_some_and(|seat| !seat.is_asleep()));
        }
        if taken.len() >= STREAMS {
            return None;
        }
        let seat =
            Arc::new(Seat { used: Mutex::new(Instant::now()), lost: AtomicBool::new(false) });
        taken.push(Arc::downgrade(&seat));
        Some(seat)
    }
}

impl Seat {
    /// Its holder asks for more. False: somebody else has the place by now.
    pub(super) fn keep(&self) -> bool {
        *self.used.lock().unwrap_or_else(|e| e.into_inner()) = Instant::now();
        !self.lost.load(Ordering::Relaxed)
    }

    fn is_asleep(&self) -> bool {
        let used = *self.used.lock().unwrap_or_else(|e| e.into_inner());
        let asleep = used.elapsed() > ASLEEP;
        self.lost.fetch_or(asleep, Ordering::Relaxed);
        asleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_a_sleeper_loses_his() {
        let seats = Seats::default();
        let mut held: Vec<Arc<Seat>> = (0..STREAMS).filter_map(|_| seats.take()).collect();
        assert_eq!((held.len(), seats.take().is_none()), (STREAMS, true));
        held.pop();
        held.push(seats.take().expect("the one given back"));
        let Some(long_ago) = Instant::now().checked_sub(ASLEEP * 2) else { return };
        *held[0].used.lock().expect("unpoisoned") = long_ago;
        let taken = seats.take();
        assert!(taken.is_some() && !held[0].keep() && held[1].keep());
        assert!(seats.take().is_none());
    }
}
