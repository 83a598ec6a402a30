//! Answers as programs get them, on the command line and over HTTP.

use super::count::{Counts, Group};
use super::level::Level;
use super::moment::show_time;
use super::read::Coverage;
use super::search::{Found, Page};
use serde_json::{Value, json};

/// A line.
pub fn line(found: &Found) -> Value {
    let line = &found.line;
    json!({
        "ts": show_time(line.at),
        "dated_by_arrival": line.by_arrival,
        "source": &*found.source,
        "level": line.level.map(Level::as_str),
        "word": line.word,
        "text": line.text,
    })
}

/// A page of lines and what it rests on.
pub fn page(page: &Page, coverage: &Coverage) -> Value {
    let mut answer = rests_on(coverage);
    answer["lines"] = page.lines.iter().map(line).collect();
    answer["cursor"] = page.next.as_ref().map(ToString::to_string).into();
    answer
}

/// Counts and what they rest on.
pub fn counts(counts: &Counts) -> Value {
    let group = |(group, count): (&Group, &u64)| match group {
        Group::All => json!({"count": count}),
        Group::Source(source) => json!({"source": source, "count": count}),
        Group::Level(level) => json!({"level": level.map(Level::as_str), "count": count}),
        Group::Time(at) => json!({"time": show_time(*at), "count": count}),
    };
    let mut answer = rests_on(&counts.coverage);
    answer["count"] = counts.total().into();
    answer["by"] = counts.groups.iter().map(group).collect();
    answer
}

fn rests_on(coverage: &Coverage) -> Value {
    json!({
        "partial": !coverage.is_whole(),
        "partitions": {
            "asked": coverage.partitions,
            "read": coverage.partitions.saturating_sub(coverage.failed.len() as u64),
            "failed": coverage.failed,
        },
        "blocks_read": coverage.blocks_read,
        "blocks_counted": coverage.blocks_counted,
    })
}
