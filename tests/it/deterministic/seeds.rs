//! Seeds that nobody chose. What one of them finds becomes a test with a name, beside the code that was wrong.

use quorate::guard::Guard;
use quorate::sim::{Fault, Setup, simulate_many};

/// How many. More by hand: `cargo run --release -- sim --runs 20000`.
const RUNS: u64 = 200;

#[test]
fn two_hundred_seeds_keep_every_promise_and_meet_every_fault_and_guard() {
    let summary = simulate_many(&Setup::new(1), RUNS, 2, |_| {});
    let told: Vec<String> = summary
        .failed
        .iter()
        .map(|report| format!("quorate sim --seed {}: {}", report.seed, report.violations[0]))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));

    let sum = &summary.sum;
    for fault in Fault::EVERY {
        assert!(sum.faults.get(fault.name()).is_some_and(|count| *count > 0), "{fault:?}");
    }
    for guard in Guard::EVERY {
        assert!(sum.guards.get(guard.name()).is_some_and(|count| *count > 0), "{guard:?}");
    }
    // A run that asks little, breaks little or whose requests never meet proves little.
    assert!(sum.operations() >= RUNS * 500, "{}", sum.operations());
    assert!(sum.faults.values().sum::<u64>() >= RUNS * 6, "{:?}", sum.faults);
    assert!(sum.met * 5 >= sum.operations(), "{} of {}", sum.met, sum.operations());
    assert!(sum.outcomes["ok"] * 2 >= sum.operations(), "{:?}", sum.outcomes);
    assert!(sum.simulated.as_secs() >= RUNS * 50, "{:?}", sum.simulated);
}
