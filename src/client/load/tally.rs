//! What a run has seen so far, and the figures made of it.

use super::Load;
use crate::error::Error;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Latencies above this count as this.
const LATENCY_LIMIT: Duration = Duration::from_secs(120);

/// One second of a run, for those who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Which, from 1.
    pub number: u64,
    /// Requests that succeeded in it.
    pub done: u64,
    /// Requests that did not.
    pub failed: u64,
}

/// What was measured. Latencies are of requests that succeeded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What the clients did.
    pub workload: String,
    /// How long, in seconds.
    pub seconds: f64,
    /// Requests that succeeded, those under way when time was up among them.
    pub done: u64,
    /// Successes a second, of those before time was up.
    pub throughput: f64,
    /// Half were faster, µs.
    pub p50_us: u64,
    /// One of a hundred was slower, µs.
    pub p99_us: u64,
    /// One of a thousand was slower, µs.
    pub p999_us: u64,
    /// The slowest, µs.
    pub max_us: u64,
    /// The longest time without a success.
    pub longest_gap: Duration,
    /// Failures by their code, those of unknown outcome not among them.
    pub errors: BTreeMap<&'static str, u64>,
    /// Writes of unknown outcome.
    pub unknown: u64,
    /// At a fixed rate: requests whose moment came but that were never sent, since all clients were
    /// still waiting for answers when time was up. Their latency is in no figure.
    pub unsent: u64,
}

/// The sums of a run.
pub(super) struct Tally {
    began: Instant,
    ends: Instant,
    last_success: Instant,
    longest_gap: Duration,
    latency: Histogram<u64>,
    in_time: u64,
    errors: BTreeMap<&'static str, u64>,
    unknown: u64,
    issued: u64,
    second: Second,
}

impl Tally {
    pub(super) fn new(began: Instant, duration: Duration) -> Tally {
        let limit = micros(LATENCY_LIMIT);
        Tally {
            began,
            ends: began + duration,
            last_success: began,
            longest_gap: Duration::ZERO,
            latency: Histogram::new_with_max(limit, 3).expect("two minutes in µs can be bucketed"),
            in_time: 0,
            errors: BTreeMap::new(),
            unknown: 0,
            issued: 0,
            second: Second::default(),
        }
    }

    /// The moment of the next request, or `None` when there is none any more.
    pub(super) fn next_moment(&mut self, now: Instant, rate: Option<f64>) -> Option<Instant> {
        let moment = match rate {
            None => now,
            // f64 counts exactly far beyond any number of requests.
            Some(rate) => self.began + Duration::from_secs_f64(self.issued as f64 / rate),
        };
        if moment >= self.ends || now >= self.ends {
            return None;
        }
        self.issued += 1;
        Some(moment)
    }

    /// A request that was to be sent at `moment` has ended.
    pub(super) fn ended(&mut self, moment: Instant, now: Instant, error: Option<&Error>) {
        match error {
            None => {
                self.latency.saturating_record(micros(now - moment));
                self.longest_gap = self.longest_gap.max(now - self.last_success);
                self.last_success = now;
                self.in_time += u64::from(now < self.ends);
                self.second.done += 1;
            }
            Some(error) => {
                self.second.failed += 1;
                match error {
                    Error::OutcomeUnknown { .. } => self.unknown += 1,
                    other => *self.errors.entry(other.code()).or_default() += 1,
                }
            }
        }
    }

    /// The second that ends now; another begins.
    pub(super) fn end_second(&mut self) -> Second {
        let number = self.second.number + 1;
        let ended = Second { number, ..self.second };
        self.second = Second { number, ..Second::default() };
        ended
    }

    pub(super) fn report(&self, load: &Load, now: Instant) -> Report {
        let seconds = load.duration.as_secs_f64();
        let due = load.rate.map_or(0, |rate| (seconds * rate).ceil() as u64);
        let latency = &self.latency;
        Report {
            workload: load.workload.to_string(),
            seconds,
            done: latency.len(),
            throughput: self.in_time as f64 / seconds,
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            p999_us: latency.value_at_quantile(0.999),
            max_us: latency.max(),
            longest_gap: self
                .longest_gap
                .max(now.min(self.ends) - self.last_success.min(self.ends)),
            errors: self.errors.clone(),
            unknown: self.unknown,
            unsent: due.saturating_sub(self.issued),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(rate: Option<f64>) -> Load {
        Load { duration: Duration::from_secs(2), rate, ..Load::default() }
    }

    #[test]
    fn a_late_send_counts_from_its_intended_moment() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut tally = Tally::new(began, Duration::from_secs(2));
        assert_eq!(tally.next_moment(began, Some(10.0)), Some(began));
        // A whole second behind, the next one was still due after a tenth.
        assert_eq!(tally.next_moment(at(1_000), Some(10.0)), Some(at(100)));
        tally.ended(at(100), at(1_100), None);
        assert_eq!(tally.next_moment(at(2_000), Some(10.0)), None);
        let report = tally.report(&load(Some(10.0)), at(2_000));
        assert!((999_000..=1_001_000).contains(&report.max_us), "{}", report.max_us);
        assert_eq!((report.done, report.unsent), (1, 18));
        assert_eq!(report.longest_gap, Duration::from_millis(1_100));
    }

    #[test]
    fn unknown_outcomes_are_not_errors_and_late_successes_are_no_throughput() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut tally = Tally::new(began, Duration::from_secs(2));
        let unknown = Error::OutcomeUnknown { required: 2, received: 1 };
        tally.ended(began, at(10), Some(&unknown));
        tally.ended(began, at(10), Some(&Error::Overloaded("x".into())));
        tally.ended(began, at(500), None);
        assert_eq!(tally.end_second(), Second { number: 1, done: 1, failed: 2 });
        tally.ended(at(1_900), at(2_100), None);
        assert_eq!(tally.end_second(), Second { number: 2, done: 1, failed: 0 });
        let report = tally.report(&load(None), at(2_100));
        assert_eq!((report.unknown, report.errors["overloaded"]), (1, 1));
        assert_eq!((report.done, report.throughput), (2, 0.5));
    }
}
