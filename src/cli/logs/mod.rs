//! `quorate logs`: lines in, and found again.

mod followed;
mod ingest;
mod query;

use super::args::{FilterArgs, LogsCommand, SourcesArgs};
use super::connect::connect;
use super::failure::{Failure, Result};
use super::output::{Format, json, show, table};
use crate::logs::{Coverage, Filter, Levels, Logs, Nanos};
use serde_json::json;

/// How many partitions are named when they cannot be read.
const NAMED: usize = 5;

/// `quorate logs …`.
pub(super) async fn logs(command: LogsCommand) -> Result<()> {
    match command {
        LogsCommand::Ingest(args) => ingest::ingest(args).await,
        LogsCommand::Query(args) => query::query(args).await,
        LogsCommand::Tail(args) => query::tail(args).await,
        LogsCommand::Sources(args) => sources(args).await,
    }
}

async fn sources(args: SourcesArgs) -> Result<()> {
    let sources = Logs::new(connect(&args.target).await?).sources().await?;
    if args.print.output == Format::Json {
        let source = |source: &crate::logs::Source| {
            let ttl = source.ttl.map(|ttl| ttl.as_secs_f64());
            json!({"source": source.name, "ttl_seconds": ttl})
        };
        return json(&json!({"sources": sources.iter().map(source).collect::<Vec<_>>()}));
    }
    let mut rows = table(&["source", "kept for"]);
    for source in sources {
        let ttl = source.ttl.map(|ttl| humantime::format_duration(ttl).to_string());
        rows.add_row([source.name, ttl.unwrap_or_else(|| "ever".into())]);
    }
    show(&rows)
}

fn filter(args: &FilterArgs) -> Result<Filter> {
    let mut filter = Filter::default();
    if let Some(arg) = args.level {
        filter.levels =
            if arg.exactly { Levels::Exactly(arg.level) } else { Levels::AtLeast(arg.level) };
    }
    if let Some(glob) = &args.source {
        filter = filter.sources(glob)?;
    }
    if let Some(text) = &args.contains {
        filter = filter.contains(text);
    }
    if let Some(regex) = &args.regex {
        filter = filter.regex(regex)?;
    }
    Ok(filter)
}

/// A partial answer is never passed off as whole.
fn whole(coverage: &Coverage) -> Result<()> {
    if coverage.is_whole() {
        return Ok(());
    }
    let named: Vec<&str> = coverage.failed.iter().map(String::as_str).take(NAMED).collect();
    let more = if coverage.failed.len() > NAMED { ", …" } else { "" };
    let count = coverage.failed.len();
    let text = format!(
        "the answer is partial: {count} partitions could not be read ({}{more})",
        named.join(", ")
    );
    Err(Failure::new("unavailable", text, "see `quorate status`, and ask again"))
}

/// Now, in nanoseconds since 1970.
fn now() -> Nanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
