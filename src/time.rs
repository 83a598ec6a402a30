//! Time as the protocol sees it: handed in, never asked for.
//!
//! [`Instant`] only moves forward and means nothing outside one process. [`WallClock`] is what the
//! machine believes the date to be; it may step. [`HybridTime`] orders writes across nodes: 48 bits of
//! milliseconds and 16 of logic, after Kulkarni et al., "Logical Physical Clocks", 2014.

mod agenda;

pub use agenda::Agenda;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
pub use std::time::Duration;

/// Microseconds since this process (or this simulation) began. Monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// Milliseconds since 1970, as the machine believes. It may step either way.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallClock(pub u64);

/// Both clocks at one moment: what a driver hands to a machine with every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timeouts.
    pub instant: Instant,
    /// For stamps.
    pub wall: WallClock,
}

/// A hybrid timestamp: milliseconds in the upper 48 bits, a logical count in the lower 16.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HybridTime(pub u64);

impl HybridTime {
    /// The first moment of a millisecond.
    pub fn from_wall(wall: WallClock) -> HybridTime {
        HybridTime(wall.0.min((1 << 48) - 1) << 16)
    }

    /// The milliseconds in it.
    pub fn wall(self) -> WallClock {
        WallClock(self.0 >> 16)
    }

    /// The next possible stamp after this one.
    pub fn next(self) -> HybridTime {
        HybridTime(self.0.saturating_add(1))
    }
}

impl fmt::Debug for HybridTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// How far a stamp from elsewhere may pull the local clock ahead of the wall clock.
pub const MAX_CLOCK_PULL: Duration = Duration::from_millis(500);

/// The hybrid clock of one node.
///
/// - `tick` never returns the same stamp twice, and never one at or below `after`.
/// - What is observed from elsewhere moves the clock itself at most [`MAX_CLOCK_PULL`] past the wall
///   clock, so one client that stamps the year 2100 spoils one key, not the node.
#[derive(Clone, Debug, Default)]
pub struct HybridClock {
    last: HybridTime,
}

impl HybridClock {
    /// A clock that goes on after `last`, the highest stamp known to be given out.
    pub fn resume(last: HybridTime) -> HybridClock {
        HybridClock { last }
    }

    /// The last stamp that this clock gave out or was pulled to.
    pub fn last(&self) -> HybridTime {
        self.last
    }

    /// A stamp above everything the clock gave out before and above `after`.
    ///
    /// A far future `after` yields a far future stamp but leaves the clock near the wall clock.
    pub fn tick(&mut self, wall: WallClock, after: HybridTime) -> HybridTime {
        self.last = self.last.next().max(HybridTime::from_wall(wall));
        if after < self.last {
            return self.last;
        }
        let stamp = after.next();
        self.observe(wall, stamp);
        stamp
    }

    /// Learns of a stamp from elsewhere, within the bound.
    pub fn observe(&mut self, wall: WallClock, seen: HybridTime) {
        let pull = u64::try_from(MAX_CLOCK_PULL.as_millis()).unwrap_or(u64::MAX);
        let bound = HybridTime::from_wall(WallClock(wall.0.saturating_add(pull)));
        self.last = self.last.max(seen.min(bound));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_when_the_wall_clock_steps_back() {
        let mut clock = HybridClock::default();
        let first = clock.tick(WallClock(1_000), HybridTime::default());
        let second = clock.tick(WallClock(10), HybridTime::default());
        assert!(second > first);
    }

    #[test]
    fn a_stamp_from_the_year_2100_moves_the_clock_by_half_a_second_at_most() {
        let mut clock = HybridClock::default();
        let now = WallClock(1_700_000_000_000);
        let future = HybridTime::from_wall(WallClock(4_102_444_800_000));
        assert!(clock.tick(now, future) > future);
        assert!(clock.tick(now, HybridTime::default()).wall().0 <= now.0 + 500);
    }

    #[test]
    fn ticks_are_unique_also_next_to_what_was_observed() {
        let mut clock = HybridClock::default();
        let a = clock.tick(WallClock(5), HybridTime(7 << 16));
        let b = clock.tick(WallClock(5), HybridTime::default());
        assert!(b > a, "{a:?} {b:?}");
    }
}
