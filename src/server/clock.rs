//! The two clocks of a process, read by drivers only.

use crate::time::{Instant, Now, WallClock};
use std::time::SystemTime;

/// Microseconds since it was made, and the machine's date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that stands at zero.
    pub fn start() -> Clock {
        Clock { start: std::time::Instant::now() }
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        let since = self.start.elapsed().as_micros();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| since.as_millis());
        Now {
            instant: Instant(u64::try_from(since).unwrap_or(u64::MAX)),
            wall: WallClock(u64::try_from(wall).unwrap_or(u64::MAX)),
        }
    }

    /// The moment on the runtime's clock at which this clock shows `at`.
    pub(super) fn moment(&self, at: Instant) -> tokio::time::Instant {
        let moment = self.start + std::time::Duration::from_micros(at.0.min(1 << 50));
        tokio::time::Instant::from_std(moment)
    }
}
