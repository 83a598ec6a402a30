//! What may be sent beyond one attempt for each request, so that a sick cluster is not stormed by those who retry.
//!
//! ```text
//!   ten slots of a second   │ 90 │ 110 │ … │ 100 │   requests: 1,000    a share of 10 %: 100
//!                           │  8 │  30 │ … │  61 │   extra:      99     and some each second in any case
//! ```
//!
//! The idea is Finagle's retry budget, gRPC's retry throttling: where most requests fail, trying all of them again
//! only multiplies the load. Time comes as an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// How many seconds count.
const WINDOW_SECONDS: u64 = 10;

/// See the module's picture.
#[derive(Debug)]
pub(super) struct Budget {
    percent: u64,
    per_second: u64,
    window: Mutex<Window>,
    made: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    /// The second that is counted now, from `since`.
    second: u64,
    slots: [Slot; WINDOW_SECONDS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    requests: u64,
    extra: u64,
}

impl Budget {
    /// So many percent of the requests of the window, and `per_second` in any case.
    pub(super) fn new(percent: u8, per_second: u32, now: Instant) -> Budget {
        let window = Window { since: now, second: 0, slots: Default::default() };
        Budget {
            percent: percent.into(),
            per_second: per_second.into(),
            window: Mutex::new(window),
            made: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A request begins.
    pub(super) fn request(&self, now: Instant) {
        self.at(now, |slots, now| slots[now].requests += 1);
    }

    /// Whether one more may be sent; if so, it counts.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let allowed = self.at(now, |slots, now| {
            let sum = |of: fn(&Slot) -> u64| slots.iter().map(of).sum::<u64>();
            let share = sum(|slot| slot.requests) * self.percent / 100;
            let allowed = sum(|slot| slot.extra) < share + self.per_second * WINDOW_SECONDS;
            slots[now].extra += u64::from(allowed);
            allowed
        });
        let count = if allowed { &self.made } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        allowed
    }

    /// How many were allowed and how many refused so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.made.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    fn at<T>(&self, now: Instant, act: impl FnOnce(&mut [Slot], usize) -> T) -> T {
        let window = &mut *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now.saturating_duration_since(window.since).as_secs();
        // What lies further back than the window is forgotten; clocks of two threads may differ by a step.
        let passed = second.saturating_sub(window.second).min(WINDOW_SECONDS);
        for step in 1..=passed {
            window.slots[place(second - passed + step)] = Slot::default();
        }
        window.second = window.second.max(second);
        let now = place(window.second);
        act(&mut window.slots, now)
    }
}

/// The slot of a second.
fn place(second: u64) -> usize {
    (second % WINDOW_SECONDS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn allowed(budget: &Budget, wanted: usize, now: Instant) -> usize {
        (0..wanted).filter(|_| budget.allows(now)).count()
    }

    #[tokio::test]
    async fn extra_attempts_are_a_share_of_the_requests_and_a_few_each_second() {
        let start = Instant::now();
        let budget = Budget::new(10, 2, start);
        assert_eq!(allowed(&budget, 100, start), 20, "a few each second of the window");
        (0..1000).for_each(|_| budget.request(start));
        assert_eq!(allowed(&budget, 1000, start), 100, "a tenth of a thousand");
        assert_eq!(budget.counts(), (120, 980));
    }

    #[tokio::test]
    async fn what_lies_behind_the_window_counts_no_more() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let budget = Budget::new(50, 0, start);
        (0..10).for_each(|_| budget.request(at(0)));
        assert_eq!(allowed(&budget, 9, at(9)), 5);
        assert_eq!(allowed(&budget, 9, at(10)), 0, "its requests are gone, its retries are not");
        (0..20).for_each(|_| budget.request(at(18)));
        assert_eq!(allowed(&budget, 9, at(18)), 5);
        assert_eq!(allowed(&budget, 9, at(19)), 5, "the first five are gone too");
        assert_eq!(allowed(&budget, 9, at(1_000_000)), 0);
        assert_eq!(allowed(&budget, 9, at(0)), 0, "a clock that is behind is no harm");
    }
}
