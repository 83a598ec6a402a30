//! The demo on log files: real ones where there are some.

use super::cluster::{complained, quorate, said};
use std::path::PathBuf;

/// A small sample: what nodes of our own said.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/processes/sample.log");

#[test]
fn the_demo_keeps_every_line_of_the_sample() {
    demo(vec![PathBuf::from(SAMPLE)]);
}

#[test]
fn the_demo_keeps_every_line_of_real_logs() {
    let Some(folder) = std::env::var_os("QUORATE_LOGHUB") else {
        println!("SKIPPED: QUORATE_LOGHUB names no folder of real *.log files");
        return;
    };
    let entries = std::fs::read_dir(&folder).expect("QUORATE_LOGHUB is a folder");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    assert!(!files.is_empty(), "there are *.log files in {folder:?}");
    files.sort();
    demo(files);
}

fn demo(files: Vec<PathBuf>) {
    let arguments = ["demo", "--once", "--logs"].map(PathBuf::from);
    let output = quorate(arguments.into_iter().chain(files));
    let claims = said(&output);
    assert!(output.status.success(), "{claims}\n{}", complained(&output));
    let held = claims.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(held >= 8 && !claims.contains("FAIL"), "{claims}");
    println!("{claims}");
}
