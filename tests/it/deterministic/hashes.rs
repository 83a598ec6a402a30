//! Same seed, same run: on every machine, in every build, in every process.
//!
//! A change of the protocol changes these hashes, and is to say so; anything else that does is a leak of the
//! machine into the protocol. `quorate sim --seed N -o json` shows the new one.

use crate::processes::cluster::{complained, quorate, said};
use quorate::sim::{Setup, simulate};

/// Seeds, and the traces of their runs.
const GOLDEN: [(u64, u64); 3] =
    [(1, 0x1216_a9b0_8ef4_2a23), (2, 0x2e20_12ee_9f32_d176), (3, 0xaaa2_4e75_8615_1407)];

#[test]
fn a_seed_is_the_same_run_everywhere() {
    for (seed, golden) in GOLDEN {
        let here = simulate(&Setup::new(seed)).trace;
        assert_eq!(format!("{here:016x}"), format!("{golden:016x}"), "seed {seed}");
        assert_eq!(here, simulate(&Setup::new(seed)).trace, "seed {seed}, once more");
        let there = quorate(["sim", "--seed", &seed.to_string(), "-o", "json"]);
        assert!(there.status.success(), "{}", complained(&there));
        let report: serde_json::Value = serde_json::from_str(&said(&there)).expect("JSON");
        assert_eq!(report["trace"], format!("{here:016x}"), "seed {seed}, in another process");
    }
}

#[test]
fn a_story_is_told_line_by_line_and_changes_nothing() {
    let told = simulate(&Setup { story: true, ..Setup::new(1) });
    assert!(told.story.len() > 500, "{} lines", told.story.len());
    assert_eq!(told.trace, simulate(&Setup::new(1)).trace);
}
