//! The longest time without a success, less what the machine itself stood still.
//!
//! ```text
//! successes  | | || |                    ||| | |
//!                    └─── a gap ────────┘
//! stalls               └─┘                          the probe thread did not run either
//! ```

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the probe sleeps.
const SLEEP: Duration = Duration::from_millis(10);
/// It woke so much too late: a stall.
const STALL: Duration = Duration::from_millis(50);

type Span = (Instant, Instant);

/// When something succeeded last, and the longest gaps before.
pub struct Gaps {
    state: Mutex<(Instant, Vec<Span>)>,
}

impl Gaps {
    /// Begins to look.
    pub fn new() -> Gaps {
        Gaps { state: Mutex::new((Instant::now(), Vec::new())) }
    }

    /// Something succeeded.
    pub fn success(&self) {
        let now = Instant::now();
        let mut state = self.state.lock().expect("no test thread has panicked");
        let last = state.0;
        if now - last > Duration::from_millis(50) {
            state.1.push((last, now));
        }
        state.0 = now;
    }

    /// The longest gap after `since`: net of stalls, and how much these were.
    pub fn longest(&self, since: Instant, stalls: &[Span]) -> (Duration, Duration) {
        let state = self.state.lock().expect("no test thread has panicked");
        let now = (state.0, Instant::now());
        let gaps = state.1.iter().chain([&now]).filter(|gap| gap.1 >= since);
        let net = |gap: &Span| {
            let overlap =
                |stall: &Span| gap.1.min(stall.1).saturating_duration_since(gap.0.max(stall.0));
            let stalled = stalls.iter().map(overlap).sum();
            ((gap.1 - gap.0).saturating_sub(stalled), stalled)
        };
        gaps.map(net).max().unwrap_or_default()
    }
}

/// Finds out when the machine itself stands still.
pub struct Probe {
    stalls: Arc<Mutex<Vec<Span>>>,
    /// Hanging up ends the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Starts the thread.
    pub fn start() -> Probe {
        let stalls: Arc<Mutex<Vec<Span>>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let seen = stalls.clone();
        let thread = std::thread::spawn(move || {
            loop {
                let asleep = Instant::now();
                if stopped.recv_timeout(SLEEP) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let awake = Instant::now();
                if awake - asleep > SLEEP + STALL {
                    seen.lock().expect("nobody panics here").push((asleep + SLEEP, awake));
                }
            }
        });
        Probe { stalls, stop: Some(stop), thread: Some(thread) }
    }

    /// For how long the machine stood still between these moments.
    pub fn stalled(&self, from: Instant, to: Instant) -> Duration {
        let overlap = |stall: &Span| to.min(stall.1).saturating_duration_since(from.max(stall.0));
        self.stalls().iter().map(overlap).sum()
    }

    /// The stalls so far.
    pub fn stalls(&self) -> Vec<Span> {
        self.stalls.lock().expect("nobody panics here").clone()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join);
    }
}
