//! Work that is due some time leaves the processors to others most of the time.
//!
//! ```text
//!   work ▐▐      ▐▐      ▐▐      one part work, three parts rest
//! ```
//!
//! A low priority does not do it: it is one among the threads of a process, and other nodes on the same machine are other
//! processes.

use std::time::{Duration, Instant};

/// For how long is worked in one go.
const WORK: Duration = Duration::from_millis(2);
/// How many times as long is rested.
const REST: u32 = 3;
/// A rest that the machine itself, asleep meanwhile, would make longer than this is over then.
const LONGEST: Duration = Duration::from_millis(50);

/// Since when a thread has worked. The default never rests: for whoever steps by hand.
#[derive(Default)]
pub(crate) struct Pace {
    since: Option<Instant>,
}

impl Pace {
    /// Rests from now on.
    pub(crate) fn begin() -> Pace {
        Pace { since: Some(Instant::now()) }
    }

    /// Work begins now, after a wait.
    pub(crate) fn work(&mut self) {
        self.since = self.since.map(|_| Instant::now());
    }

    /// Between two pieces of work, each much shorter than a millisecond: rests if it is time, unless `is_urgent`.
    pub(crate) fn rest(&mut self, is_urgent: bool) {
        let Some(since) = &mut self.since else { return };
        let worked = since.elapsed();
        if worked < WORK {
            return;
        }
        if !is_urgent {
            std::thread::sleep((worked * REST).min(LONGEST));
        }
        *since = Instant::now();
    }
}
