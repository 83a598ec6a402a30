//! What a run has seen, and the figures made of it.

use crate::Load;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Latencies above this count as this.
const LATENCY_LIMIT: Duration = Duration::from_secs(120);
/// How many kinds of errors are told apart, and how much of each is kept.
const ERRORS_LIMIT: usize = 16;
const ERROR_CHARS: usize = 120;

/// The sums of a run.
pub struct Tally {
    ends: Instant,
    latency: Histogram<u64>,
    in_time: u64,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Of a run that ends then.
    pub fn new(ends: Instant) -> Tally {
        let limit = micros(LATENCY_LIMIT);
        let latency = Histogram::new_with_max(limit, 3).expect("two minutes in µs can be bucketed");
        Tally { ends, latency, in_time: 0, errors: BTreeMap::new() }
    }

    /// Whether time is up.
    pub fn over(&self, now: Instant) -> bool {
        now >= self.ends
    }

    /// A request that was sent then has ended now.
    pub fn ended(&mut self, sent: Instant, now: Instant, error: Option<&anyhow::Error>) {
        let Some(error) = error else {
            self.latency.saturating_record(micros(now - sent));
            self.in_time += u64::from(now < self.ends);
            return;
        };
        let mut kind: String = format!("{error:#}").chars().take(ERROR_CHARS).collect();
        if self.errors.len() >= ERRORS_LIMIT && !self.errors.contains_key(&kind) {
            kind = "others".into();
        }
        *self.errors.entry(kind).or_default() += 1;
    }
}

/// The CPU time that a run took, from when the clock started to the last answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub wall: Duration,
    pub servers: Duration,
    pub load: Duration,
    pub idle: Duration,
    pub machine: Duration,
}

/// One run. Latencies are of requests that succeeded.
#[derive(Debug, Serialize)]
pub struct Report {
    system: String,
    workload: String,
    connections: usize,
    in_flight: usize,
    value_bytes: usize,
    keys: usize,
    seconds: f64,
    /// Requests that succeeded, those under way when time was up among them.
    requests: u64,
    /// Successes a second, of those before time was up.
    throughput: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    errors: u64,
    errors_by_kind: BTreeMap<String, u64>,
    /// µs of CPU per request: all server processes and this client.
    cpu_us: f64,
    cpu_servers_us: f64,
    cpu_load_us: f64,
    /// How many cores each kept busy. A client at one core per thread was itself the limit.
    server_cores: f64,
    load_cores: f64,
    idle_cores: f64,
    /// The rest of the machine, the work that the kernel does for nobody in particular included.
    other_cores: f64,
    load_threads: usize,
}

impl Report {
    pub fn new(load: &Load, tally: &Tally, spent: Spent) -> Report {
        let latency = &tally.latency;
        // No success: then the figure is infinite, which JSON shows as null.
        let per_request = |time: Duration| time.as_secs_f64() * 1e6 / latency.len() as f64;
        let cores = |time: Duration| time.as_secs_f64() / spent.wall.as_secs_f64();
        Report {
            system: Load::name(load.system),
            workload: Load::name(load.workload),
            connections: load.connections,
            in_flight: load.in_flight,
            value_bytes: load.value_bytes,
            keys: load.keys,
            seconds: load.seconds,
            requests: latency.len(),
            throughput: tally.in_time as f64 / load.seconds,
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            p999_us: latency.value_at_quantile(0.999),
            max_us: latency.max(),
            errors: tally.errors.values().sum(),
            errors_by_kind: tally.errors.clone(),
            cpu_us: per_request(spent.servers + spent.load),
            cpu_servers_us: per_request(spent.servers),
            cpu_load_us: per_request(spent.load),
            server_cores: cores(spent.servers),
            load_cores: cores(spent.load),
            idle_cores: cores(spent.idle),
            other_cores: cores(
                spent.machine.saturating_sub(spent.servers + spent.load + spent.idle),
            ),
            load_threads: load.threads,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn late_successes_are_no_throughput_and_errors_no_latency() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut tally = Tally::new(at(2_000));
        tally.ended(at(0), at(500), None);
        tally.ended(at(1_900), at(2_100), None);
        tally.ended(at(0), at(1_000), Some(&anyhow::anyhow!("refused")));
        assert!(!tally.over(at(1_999)) && tally.over(at(2_000)));
        let load = ["load", "--system", "etcd", "--nodes", "a:1", "--seconds", "2"];
        let spent = Spent {
            wall: Duration::from_secs(2),
            servers: Duration::from_millis(30),
            load: Duration::from_millis(10),
            idle: Duration::from_millis(20),
            machine: Duration::from_millis(1_060),
        };
        let report = Report::new(&Load::parse_from(load), &tally, spent);
        assert_eq!((report.requests, report.throughput, report.errors), (2, 0.5, 1));
        assert_eq!(report.errors_by_kind["refused"], 1);
        assert_eq!((report.cpu_us, report.cpu_load_us), (20_000.0, 5_000.0));
        assert_eq!((report.server_cores, report.idle_cores), (0.015, 0.01));
        assert_eq!(report.other_cores, 0.5);
        assert!((199_000..=201_000).contains(&report.p50_us), "{}", report.p50_us);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let now = Instant::now();
        let mut tally = Tally::new(now);
        for number in 0..100 {
            tally.ended(now, now, Some(&anyhow::anyhow!("{number}")));
        }
        assert_eq!((tally.errors.len(), tally.errors["others"]), (ERRORS_LIMIT + 1, 84));
    }
}
