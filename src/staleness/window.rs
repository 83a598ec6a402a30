//! The round trips that were seen lately: the newest [`WINDOW`] of them.
//!
//! ```text
//!   observe ─► [ 310 290 305 │ 280 … 300 ]      the oldest is written over; nothing is allocated after the first
//! ```

use crate::time::Duration;

/// So many are kept. A share of them is known to about one in a hundred.
pub const WINDOW: usize = 2048;
/// From fewer than so many nothing is predicted.
pub const ENOUGH: usize = 256;

/// See the module's picture. Microseconds, up to 71 minutes.
#[derive(Clone, Debug, Default)]
pub struct Window {
    us: Vec<u32>,
    next: usize,
}

impl Window {
    /// It took so long.
    pub fn observe(&mut self, took: Duration) {
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.us.len() < WINDOW {
            if self.us.is_empty() {
                self.us.reserve_exact(WINDOW);
            }
            self.us.push(us);
            return;
        }
        self.us[self.next] = us;
        self.next = (self.next + 1) % WINDOW;
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.us.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.us.is_empty()
    }

    /// Whether something may be concluded.
    pub fn is_enough(&self) -> bool {
        self.us.len() >= ENOUGH
    }

    /// What is kept, shortest first, in microseconds.
    pub fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.us.iter().map(|us| f64::from(*us)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_memory_stays_as_it_was() {
        let mut window = Window::default();
        for us in 0..WINDOW as u64 + 10 {
            window.observe(Duration::from_micros(us));
        }
        assert_eq!((window.len(), window.us.capacity()), (WINDOW, WINDOW));
        let sorted = window.sorted();
        assert_eq!((sorted[0], sorted[WINDOW - 1]), (10.0, (WINDOW + 9) as f64));
    }

    #[test]
    fn a_few_are_not_enough() {
        let mut window = Window::default();
        for _ in 0..ENOUGH - 1 {
            window.observe(Duration::from_secs(1 << 40));
        }
        assert!(!window.is_enough());
        window.observe(Duration::ZERO);
        assert!(window.is_enough());
    }
}
