//! The two clocks of a process, read by drivers only. The first goes on while the machine is suspended: whoever wakes up
//! knows that it was away.

use crate::time::{Instant, Now, WallClock};
use rustix::time::{ClockId, clock_gettime};
use std::time::SystemTime;

/// Microseconds since it was made, and the machine's date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Microseconds since the machine started.
    start: u64,
}

impl Clock {
    /// A clock that stands at zero.
    pub fn start() -> Clock {
        Clock { start: since_boot() }
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| since.as_millis());
        Now { instant: self.instant(), wall: WallClock(u64::try_from(wall).unwrap_or(u64::MAX)) }
    }

    /// The moment on the runtime's clock at which this clock shows `at`.
    pub(super) fn moment(&self, at: Instant) -> tokio::time::Instant {
        let left = at.0.saturating_sub(self.instant().0).min(1 << 50);
        tokio::time::Instant::now() + std::time::Duration::from_micros(left)
    }

    fn instant(&self) -> Instant {
        Instant(since_boot().saturating_sub(self.start))
    }
}

fn since_boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or_default();
    secs * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1_000
}
