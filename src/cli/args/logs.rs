//! The log store.

use super::{Print, Target};
use crate::config::parse_duration;
use crate::logs::{Format as LineFormat, Level, Zone};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct LogsArgs {
    #[command(subcommand)]
    pub command: LogsCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LogsCommand {
    /// Send lines of files, plain or compressed; `-` is standard input
    Ingest(IngestArgs),
    /// Find lines, or count them
    Query(QueryArgs),
    /// Show new lines as they come
    Tail(TailArgs),
    /// Which sources there are
    Sources(SourcesArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IngestArgs {
    /// Files; what is gzip or zstd is unpacked
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Where the lines come from; unless said each file's own name, without its endings
    #[arg(long, value_name = "S")]
    pub source: Option<String>,
    /// auto, iso, log4j, syslog, syslog5424, apache-error, apache-access, json or plain
    #[arg(long, value_name = "F", default_value = "auto", value_parser = parse_format)]
    pub format: AnyFormat,
    /// The zone of times that name none, as Europe/Berlin or +02:00
    #[arg(long, value_name = "Z", default_value = "UTC")]
    pub zone: Zone,
    /// How long lines of this source are kept after they arrived; unless said as long as before
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

/// A format, or whichever fits.
#[derive(Clone, Debug)]
pub(in crate::cli) struct AnyFormat(pub Option<LineFormat>);

fn parse_format(name: &str) -> Result<AnyFormat, String> {
    if name == "auto" {
        return Ok(AnyFormat(None));
    }
    name.parse().map(|format| AnyFormat(Some(format))).map_err(|error| format!("{error}"))
}

/// Which lines.
#[derive(Debug, Args)]
pub(in crate::cli) struct FilterArgs {
    /// This level and worse: TRACE, DEBUG, INFO, WARN, ERROR, FATAL; `=WARN` for that one only
    #[arg(long, value_name = "L", value_parser = parse_levels)]
    pub level: Option<LevelArg>,
    /// Only of sources whose names match, as `web-*`
    #[arg(long, value_name = "GLOB")]
    pub source: Option<String>,
    /// Only with this text in it
    #[arg(long, value_name = "TEXT")]
    pub contains: Option<String>,
    /// Only where this regular expression matches somewhere
    #[arg(long, value_name = "R")]
    pub regex: Option<String>,
}

/// `ERROR` or `=ERROR`.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct LevelArg {
    pub level: Level,
    pub exactly: bool,
}

fn parse_levels(word: &str) -> Result<LevelArg, String> {
    let (exactly, name) = match word.strip_prefix('=') {
        Some(name) => (true, name),
        None => (false, word),
    };
    let level = Level::of_word(name).ok_or("use TRACE, DEBUG, INFO, WARN, ERROR or FATAL")?;
    Ok(LevelArg { level, exactly })
}

#[derive(Debug, Args)]
pub(in crate::cli) struct QueryArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Not before: a time, as 2026-01-02T03:04, or how long ago, as 15m
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Before
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Which come first
    #[arg(long, value_enum, default_value = "newest")]
    pub order: OrderArg,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "count")]
    pub limit: usize,
    /// Go on where an earlier answer ended
    #[arg(long, value_name = "C", conflicts_with = "count")]
    pub cursor: Option<String>,
    /// How many there are, not which
    #[arg(long)]
    pub count: bool,
    /// Count by this
    #[arg(long, value_enum, requires = "count")]
    pub by: Option<ByArg>,
    /// How long a step is, by time; unless said the time asked for in sixty
    #[arg(long, value_name = "D", value_parser = parse_duration, requires = "by")]
    pub step: Option<Duration>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OrderArg {
    /// The newest
    Newest,
    /// The oldest
    Oldest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ByArg {
    /// By level
    Level,
    /// By source
    Source,
    /// By time
    Time,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TailArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Begin with what is dated so long ago
    #[arg(long, value_name = "D", value_parser = parse_duration, default_value = "10s")]
    pub since: Duration,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SourcesArgs {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}
