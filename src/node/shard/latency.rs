//! How long one peer takes to answer a read: the 95th percentile of what was seen lately.
//!
//! ```text
//!   128 µs   160   192   224   256   320 …        4 buckets an octave: at most a quarter too high, never too low
//!     3       40    61    12     4     1          at WINDOW answers every count is halved: old ones fade
//! ```
//!
//! Whole numbers only, so the same answers give the same percentile on every machine.

use crate::time::Duration;

/// Answers up to so many microseconds are all as good as each other, as a power of two.
const FLOOR_BITS: u32 = 7;
/// Octaves above that; what takes longer than the last of them (a second) counts as that.
const OCTAVES: usize = 13;
/// Parts of an octave, as a power of two.
const PART_BITS: u32 = 2;
const BUCKETS: usize = 1 + (OCTAVES << PART_BITS);
/// At so many answers the old ones count half.
const WINDOW: u32 = 128;
/// From fewer answers nothing is concluded.
const ENOUGH: u32 = 16;
/// The share of answers that are in time, in percent.
const PERCENTILE: u32 = 95;

/// See the module's picture. As large as it is, whatever happens.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    counts: [u16; BUCKETS],
    total: u32,
    /// Asked for more often than it changes.
    p95: Option<Duration>,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: [0; BUCKETS], total: 0, p95: None }
    }
}

impl Latency {
    /// An answer took so long.
    pub fn observe(&mut self, took: Duration) {
        self.counts[bucket(took)] += 1;
        self.total += 1;
        if self.total == WINDOW {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
        self.p95 = self.percentile();
    }

    /// So long, or a little less, 95 of a hundred answers took at most. `None`: too few were seen.
    pub fn p95(&self) -> Option<Duration> {
        self.p95
    }

    fn percentile(&self) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let mut missing = (self.total * PERCENTILE).div_ceil(100);
        let at = self.counts.iter().position(|count| {
            missing = missing.saturating_sub(u32::from(*count));
            missing == 0
        });
        at.map(bound)
    }
}

fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if us >> FLOOR_BITS == 0 {
        return 0;
    }
    let octave = us.ilog2();
    let part = (us >> (octave - PART_BITS)) as usize & ((1 << PART_BITS) - 1);
    let at = 1 + (((octave - FLOOR_BITS) as usize) << PART_BITS) + part;
    at.min(BUCKETS - 1)
}

/// What everything in this bucket is below.
fn bound(bucket: usize) -> Duration {
    let Some(at) = bucket.checked_sub(1) else { return Duration::from_micros(1 << FLOOR_BITS) };
    let octave = FLOOR_BITS + (at >> PART_BITS) as u32;
    let part = (at & ((1 << PART_BITS) - 1)) as u64;
    Duration::from_micros(((1 << PART_BITS) + part + 1) << (octave - PART_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    fn of(answers: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        answers.into_iter().for_each(|took| latency.observe(us(took)));
        latency
    }

    #[test]
    fn nothing_is_concluded_from_few_answers() {
        assert_eq!(of([300; 15]).p95(), None);
        assert_eq!(of([300; 16]).p95(), Some(us(320)));
    }

    #[test]
    fn one_late_answer_of_twenty_is_not_the_percentile_and_two_are() {
        let with = |late: usize| of([300; 100].into_iter().chain(std::iter::repeat_n(9_000, late)));
        assert_eq!(with(5).p95(), Some(us(320)));
        assert_eq!(with(6).p95(), Some(us(10_240)));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut latency = of([100_000; 1_000]);
        let forgotten = (1..1_000).find(|_| {
            latency.observe(us(300));
            latency.p95() == Some(us(320))
        });
        assert!(forgotten.is_some_and(|after| after <= 400), "{forgotten:?}");
        let noticed = (1..100).find(|_| {
            latency.observe(us(100_000));
            latency.p95() > Some(us(100_000))
        });
        assert!(noticed.is_some_and(|after| after <= 8), "{noticed:?}");
    }

    proptest! {
        #[test]
        fn the_percentile_is_never_too_low_and_at_most_a_quarter_too_high(
            mut answers in prop::collection::vec(0_u64..1_000_000, 16..127)
        ) {
            let p95 = of(answers.iter().copied()).p95().expect("enough").as_micros() as u64;
            answers.sort_unstable();
            let rank = (answers.len() * 95).div_ceil(100);
            let exact = answers[rank - 1].max(1 << FLOOR_BITS);
            prop_assert!(p95 >= exact && p95 <= exact + exact / 4 + 1, "{p95} for {exact}");
        }

        #[test]
        fn whatever_is_seen_it_stays_small_and_has_an_opinion(
            answers in prop::collection::vec(any::<u64>(), 16..2_000)
        ) {
            let latency = of(answers);
            prop_assert!(latency.total < WINDOW);
            prop_assert!(latency.p95().is_some());
            prop_assert!(latency.p95() <= Some(bound(BUCKETS - 1)));
        }
    }
}
