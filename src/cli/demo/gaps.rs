//! The longest time without a success, and what of it was the machine's own standing still.
//!
//! ```text
//! successes  | | || |                    ||| | |
//!                    └─── a gap ────────┘
//! stalls               └─┘                          the probe thread was not scheduled either
//! ```
//!
//! A probe thread sleeps for a moment, over and over; when it wakes far too late the whole machine
//! stood still, and no store can answer for that. Such time is taken off the gap and reported.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Gaps shorter than this are not worth remembering.
pub(super) const NOTABLE: Duration = Duration::from_millis(100);
/// How long the probe sleeps.
const PROBE_SLEEP: Duration = Duration::from_millis(10);
/// The probe woke so much too late: a stall.
const STALL: Duration = Duration::from_millis(50);

type Span = (Instant, Instant);

/// When something succeeded last, and all notable gaps.
#[derive(Debug)]
pub(super) struct Gaps {
    state: Mutex<(Instant, Vec<Span>)>,
}

impl Gaps {
    /// Begins to look.
    pub fn new(now: Instant) -> Gaps {
        Gaps { state: Mutex::new((now, Vec::new())) }
    }

    /// Something succeeded.
    pub fn success(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, spans) = &mut *state;
        if now.saturating_duration_since(*last) > NOTABLE {
            spans.push((*last, now));
        }
        *last = now.max(*last);
    }

    /// The longest gap until now without the machine's stalls, and how much they were in it.
    pub fn longest(&self, now: Instant, stalls: &[Span]) -> (Duration, Duration) {
        self.success(now);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let net = |gap: &Span| {
            let stalled: Duration = stalls.iter().map(|stall| overlap(gap, stall)).sum();
            ((gap.1 - gap.0).saturating_sub(stalled), stalled)
        };
        state.1.iter().map(net).max().unwrap_or_default()
    }
}

fn overlap(a: &Span, b: &Span) -> Duration {
    a.1.min(b.1).saturating_duration_since(a.0.max(b.0))
}

/// Finds out when the machine itself stands still.
#[derive(Debug)]
pub(super) struct StallProbe {
    stalls: Arc<Mutex<Vec<Span>>>,
    /// Hanging up ends the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StallProbe {
    /// Starts the probe thread.
    pub fn start() -> std::io::Result<StallProbe> {
        let stalls: Arc<Mutex<Vec<Span>>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let seen = stalls.clone();
        let thread = std::thread::Builder::new().name("stall-probe".into()).spawn(move || {
            loop {
                let asleep = Instant::now();
                if stopped.recv_timeout(PROBE_SLEEP) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let awake = Instant::now();
                if awake - asleep > PROBE_SLEEP + STALL {
                    let mut stalls = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    stalls.push((asleep + PROBE_SLEEP, awake));
                }
            }
        })?;
        Ok(StallProbe { stalls, stop: Some(stop), thread: Some(thread) })
    }

    /// The stalls so far.
    pub fn stalls(&self) -> Vec<Span> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StallProbe {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A probe that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_found_and_the_machines_part_is_taken_off() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let gaps = Gaps::new(start);
        for success in [10, 20, 1020, 1030, 1630] {
            gaps.success(at(success));
        }
        assert_eq!(gaps.longest(at(1640), &[]), (ms(1000), ms(0)));
        // 700 ms of the long gap were the machine's: now the other one is the longest.
        assert_eq!(gaps.longest(at(1640), &[(at(0), at(720))]), (ms(600), ms(0)));
        let half = [(at(500), at(620)), (at(900), at(1100))];
        assert_eq!(gaps.longest(at(1640), &half), (ms(760), ms(240)));
    }

    #[test]
    fn the_time_since_the_last_success_is_a_gap_too() {
        let start = Instant::now();
        let gaps = Gaps::new(start);
        let end = start + Duration::from_secs(3);
        assert_eq!(gaps.longest(end, &[]).0, Duration::from_secs(3));
    }
}
