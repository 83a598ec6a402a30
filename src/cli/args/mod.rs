//! The tree of what people type.
//!
//! ```text
//! quorate ─┬─ demo, serve, cluster …          processes
//!          ├─ put get delete scan keys …      data, through any node
//!          ├─ status members ring locate …    what an operator looks at
//!          ├─ doctor monitor debug repl …     tools around a cluster
//!          └─ bench                           load
//! ```
//!
//! Only names, defaults and shapes stand here; what a command does is in the file of its name.

mod files;
mod logs;
mod process;
mod requests;
#[cfg(test)]
mod tests;
mod tools;
mod types;

use super::output::Format;
use crate::client::load::Workload;
use crate::config::parse_duration;
use crate::quorum::Consistency;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::cli) use files::{
    FileArgs, FileCommand, FileGetArgs, FileListArgs, FileNameArgs, FilePutArgs, FileVerifyArgs,
};
pub(in crate::cli) use logs::{
    ByArg, FilterArgs, IngestArgs, LogsArgs, LogsCommand, OrderArg, QueryArgs, SourcesArgs,
    TailArgs,
};
pub(in crate::cli) use process::{
    ClusterArgs, ClusterCommand, DemoArgs, KeygenArgs, ServeArgs, SimArgs,
};
pub(in crate::cli) use requests::{
    AcceptLossArgs, BackupArgs, BenchArgs, BucketArgs, BucketCommand, BucketCreateArgs,
    BucketDropArgs, BucketSetArgs, CommitArgs, Conflict, DeleteArgs, DrainArgs, DumpArgs, GetArgs,
    KeysArgs, LatencyArgs, LeaveArgs, LocateArgs, LookArgs, PlaceArgs, PlanArgs, PutArgs,
    RemoveArgs, RepairArgs, RestoreArgs, RingArgs, RingCommand, ScanArgs, ScrubArgs, StatusArgs,
    SurvivorsArgs, WatchArgs,
};

pub(in crate::cli) use tools::{
    CompletionsArgs, DebugArgs, DoctorArgs, ManArgs, MonitorArgs, ReplArgs,
};
pub(in crate::cli) use types::{
    CounterArgs, CounterCommand, HllArgs, HllCommand, MapArgs, MapCommand, NamesArgs, RegisterArgs,
    RegisterCommand, SetArgs, SetCommand, TypedArgs, UpdateArgs,
};

/// A leaderless key-value store: any node takes any request, any node can die.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, disable_help_subcommand = true)]
pub(in crate::cli) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Start real nodes, store real log lines, kill one, and check that nothing was lost
    Demo(DemoArgs),
    /// Run one node
    Serve(ServeArgs),
    /// A cluster of local processes that stays up, for development and scripts
    Cluster(ClusterArgs),
    /// Write one item; prints the new context
    Put(PutArgs),
    /// Read one item; prints its value
    Get(GetArgs),
    /// Print an item, and again whenever it changes, until Ctrl-C
    Watch(WatchArgs),
    /// Delete one item; prints the new context
    Delete(DeleteArgs),
    /// Read a range of sort keys of one partition key
    Scan(ScanArgs),
    /// List the partition keys of a bucket, as they come
    Keys(KeysArgs),
    /// Create buckets and look at them
    Bucket(BucketArgs),
    /// Counters: buckets of type counter
    Counter(CounterArgs),
    /// Sets: buckets of type set
    Set(SetArgs),
    /// Maps of typed fields: buckets of type map
    Map(MapArgs),
    /// Registers, of which the latest value counts: buckets of type register
    Register(RegisterArgs),
    /// Counts of different elements: buckets of type hll
    Hll(HllArgs),
    /// Is the cluster well? A verdict in words, and the counts behind it
    Status(StatusArgs),
    /// Who is there, and who is dead
    Members(LookArgs),
    /// The placement: who owns how much
    Ring(RingArgs),
    /// Where one item lives, and which replica holds which dots
    Locate(LocateArgs),
    /// What a node keeps for others that were away
    Hints(LookArgs),
    /// One node: its versions, settings and addresses
    Info(LookArgs),
    /// One node's own records, one JSON object per line
    Dump(DumpArgs),
    /// Compare all replicas now, and mend what differs
    Repair(RepairArgs),
    /// Read everything once more on all nodes, and mend what has rotted
    Scrub(ScrubArgs),
    /// The node takes no more requests of clients, and is a member as before: before it is stopped or examined
    Drain(DrainArgs),
    /// The node gives its places to the others, and is no member after that
    Leave(LeaveArgs),
    /// A member is gone for good: the others take its places and copy what it held
    Remove(RemoveArgs),
    /// The node, new and empty, takes exactly the places of a member, which goes
    Replace(RemoveArgs),
    /// A member goes on with what it has, where what it lacks is lost for ever
    AcceptLoss(AcceptLossArgs),
    /// Who is still copying what it is to own
    Transfers(LookArgs),
    /// Copy one node's data, consistent, while it serves
    Backup(BackupArgs),
    /// Make a data directory of a backup, for a node that is down
    Restore(RestoreArgs),
    /// Files of any size, in pieces that lie on all nodes
    File(FileArgs),
    /// Lines of logs: send them, find them, count them
    Logs(LogsArgs),
    /// How long each node takes to answer, one question at a time
    Latency(LatencyArgs),
    /// Load with a latency histogram
    Bench(BenchArgs),
    /// What is wrong with the cluster, and what to do about it
    Doctor(DoctorArgs),
    /// What happens in the cluster, a line each, as it happens
    Monitor(MonitorArgs),
    /// Gather what a helper wants to know into one file; no keys, no values, no secrets
    Debug(DebugArgs),
    /// Type commands at a prompt, with history and completion
    Repl(ReplArgs),
    /// Make a key for a cluster: who has it not is not listened to
    Keygen(KeygenArgs),
    /// Completions for a shell
    Completions(CompletionsArgs),
    /// Manual pages
    Man(ManArgs),
    /// A whole cluster in one thread, in simulated time, broken in every way: same seed, same run
    Sim(SimArgs),
}

/// Which nodes to talk to.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Target {
    /// Native address of a node, or of several
    #[arg(
        long = "node",
        value_name = "ADDR[,ADDR]",
        env = "QUORATE_NODE",
        value_delimiter = ',',
        default_value = "127.0.0.1:7610"
    )]
    pub nodes: Vec<String>,
    /// The cluster's key, where it has one
    #[arg(long, value_name = "F", env = "QUORATE_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

impl Target {
    /// Another node of the same cluster.
    pub fn at(&self, address: &str) -> Target {
        Target { nodes: vec![address.to_owned()], ..self.clone() }
    }
}

/// How to print what was read.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct Print {
    /// A table for people or JSON for programs
    #[arg(
        short = 'o',
        long = "output",
        value_enum,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: Format,
}

/// How keys and values are spelled on the command line.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(in crate::cli) struct Spelling {
    /// Keys and values are hexadecimal, in and out
    #[arg(long, conflicts_with = "base64")]
    pub hex: bool,
    /// Keys and values are base64, in and out
    #[arg(long)]
    pub base64: bool,
}

/// The name of one item.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ItemArgs {
    /// Bucket; the first write to it creates it
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    /// Sort key of the item
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub sort: Option<String>,
}

/// What every request for items may say.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct RequestArgs {
    #[command(flatten)]
    pub quorum: QuorumArgs,
    #[command(flatten)]
    pub spelling: Spelling,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

/// How many replicas, and for how long.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct QuorumArgs {
    /// any, one, two, three, quorum or all; the bucket's default where open
    #[arg(long, value_name = "C", value_parser = parse_consistency)]
    pub consistency: Option<Consistency>,
    /// Replicas that must answer a read; beats the consistency
    #[arg(long, value_name = "N")]
    pub r: Option<u8>,
    /// Replicas that must hold a write durably; beats the consistency
    #[arg(long, value_name = "N")]
    pub w: Option<u8>,
    /// Owners only: no fallback may stand in
    #[arg(long)]
    pub strict: bool,
    /// Give up after this long, as 250ms or 5s
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

fn parse_workload(s: &str) -> Result<Workload, String> {
    s.parse().map_err(|error: crate::Error| {
        let text = error.to_string();
        text.strip_prefix("invalid: ").unwrap_or(&text).to_string()
    })
}

fn parse_rate(s: &str) -> Result<f64, String> {
    match s.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("requests a second, above zero".to_string()),
    }
}

fn parse_consistency(s: &str) -> Result<Consistency, String> {
    s.parse().map_err(|_| "use any, one, two, three, quorum or all".to_string())
}
