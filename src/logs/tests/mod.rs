//! The whole of it over a store in memory.

mod counts;
mod memory;
mod searches;

use super::{Entry, Level, Logs, Nanos, Stream};
use memory::Memory;

const SECOND: Nanos = 1_000_000_000;
const HOUR: Nanos = 3600 * SECOND;
/// 2026-01-02 00:00 UTC.
const DAY: Nanos = 1_767_312_000 * SECOND;

fn entry(at: Nanos, level: Option<Level>, text: &str) -> Entry {
    Entry { at, level, word: None, by_arrival: false, text: text.into() }
}

/// Lines of some hours, in order, some of them equal.
fn lines(seed: u64, count: usize) -> Vec<Entry> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut at = DAY;
    let line = |i: usize| {
        at += [0, 0, SECOND / 3, 5 * SECOND][rng.usize(..4)];
        let level =
            [None, Some(Level::Info), Some(Level::Info), Some(Level::Warn), Some(Level::Error)];
        let level = level[rng.usize(..5)];
        let text = match rng.u8(..8) {
            0 => "the same".to_owned(),
            _ => format!("request {i} took {} ms on {}", rng.u16(..), "x".repeat(rng.usize(..80))),
        };
        let text = format!("{} {text}", level.map_or("-", Level::as_str));
        entry(at, level, &text)
    };
    (0..count).map(line).collect()
}

async fn stream(logs: &Logs<Memory>, source: &str) -> Stream<Memory> {
    logs.stream(source, None, DAY).await.unwrap()
}

async fn send(logs: &Logs<Memory>, source: &str, lines: &[Entry]) {
    let mut stream = stream(logs, source).await;
    for line in lines {
        stream.push(line.clone()).await.unwrap();
    }
    stream.flush().await.unwrap();
}
