//! Many seeds over all cores.

use super::report::Report;
use super::run::{Setup, simulate};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The verdicts of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many were run.
    pub runs: u64,
    /// Those in which something was wrong, by seed.
    pub failed: Vec<Report>,
    /// The figures of all of them, added up.
    pub sum: Report,
}

/// Runs a seed; a node that panics is a finding like any other.
pub fn judge(setup: &Setup) -> Report {
    catch_unwind(AssertUnwindSafe(|| simulate(setup))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let violations = vec![format!("panicked: {text}")];
        Report { seed: setup.seed, violations, ..Report::default() }
    })
}

/// Runs `runs` seeds from `setup.seed` on, on so many threads; `tick` is called after each, on any of them.
pub fn simulate_many(
    setup: &Setup,
    runs: u64,
    threads: usize,
    tick: impl Fn(&Report) + Sync,
) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary { runs, ..Summary::default() });
    let work = || {
        loop {
            let offset = next.fetch_add(1, Ordering::Relaxed);
            if offset >= runs {
                return;
            }
            let seed = setup.seed.wrapping_add(offset);
            let report = judge(&Setup { seed, ..setup.clone() });
            tick(&report);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.sum.absorb(&report);
            if !report.violations.is_empty() {
                summary.failed.push(report);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failed.sort_by_key(|report| report.seed);
    summary
}
