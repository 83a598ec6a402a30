//! Whatever talks to a node: items, buckets, looking, load.

use super::{ItemArgs, Print, RequestArgs, Spelling, Target};
use super::{parse_consistency, parse_rate, parse_workload};
use crate::client::load::Workload;
use crate::config::{parse_duration, parse_size};
use crate::id::DataType;
use crate::message::client::Setting;
use crate::quorum::Consistency;
use crate::ring::MAX_WEIGHT;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct PutArgs {
    #[command(flatten)]
    pub item: ItemArgs,
    /// Value; `-` reads it from standard input, as it is
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// Context of an earlier read or write: what it saw is replaced
    #[arg(long, value_name = "T")]
    pub context: Option<String>,
    /// How long the item lives; unless said as long as its bucket says
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GetArgs {
    #[command(flatten)]
    pub item: ItemArgs,
    /// Several concurrent values are fine: print them all
    #[arg(long)]
    pub siblings: bool,
    /// Tell on standard error who coordinated, who answered and what was repaired
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchArgs {
    #[command(flatten)]
    pub item: ItemArgs,
    /// Only the next change, and not what is there now
    #[arg(long)]
    pub once: bool,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    pub item: ItemArgs,
    /// Context of an earlier read or write: what it saw is removed
    #[arg(long, value_name = "T")]
    pub context: Option<String>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ScanArgs {
    /// Bucket
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    /// First sort key that is wanted
    #[arg(long, value_name = "S", allow_hyphen_values = true, conflicts_with = "prefix")]
    pub from: Option<String>,
    /// First sort key that is not wanted any more
    #[arg(long, value_name = "S", allow_hyphen_values = true, conflicts_with = "prefix")]
    pub to: Option<String>,
    /// Only sort keys that begin so
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub prefix: Option<String>,
    /// From the last item of the range to the first
    #[arg(long)]
    pub reverse: bool,
    /// At most so many items
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeysArgs {
    /// Bucket
    pub bucket: String,
    /// Only keys that begin so
    #[arg(long, value_name = "P", allow_hyphen_values = true)]
    pub prefix: Option<String>,
    /// At most so many keys
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BucketArgs {
    #[command(subcommand)]
    pub command: BucketCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BucketCommand {
    /// Create a bucket; again with the same settings is fine
    Create(BucketCreateArgs),
    /// Change a bucket: R, W, how long items live; the rest is fixed
    Set(BucketSetArgs),
    /// Drop a bucket and everything in it, for good
    Drop(BucketDropArgs),
    /// List the buckets
    List(LookArgs),
    /// Show one bucket
    Get {
        /// Its name
        bucket: String,
        #[command(flatten)]
        look: LookArgs,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BucketCreateArgs {
    /// Name: 1 to 64 of a-z 0-9 . _ -
    pub bucket: String,
    /// Replicas; fixed at creation
    #[arg(long, value_name = "N")]
    pub n: Option<u8>,
    /// Replicas that must answer a read, unless the request says otherwise
    #[arg(long, value_name = "N")]
    pub r: Option<u8>,
    /// Replicas that must hold a write, unless the request says otherwise
    #[arg(long, value_name = "N")]
    pub w: Option<u8>,
    /// What concurrent writes become; fixed at creation
    #[arg(long, value_enum, default_value = "siblings")]
    pub conflict: Conflict,
    /// What its values are: counter, set, map, register or hll; bytes unless said; fixed at creation
    #[arg(long = "type", value_name = "T", value_parser = parse_type)]
    pub kind: Option<DataType>,
    /// How long an item lives, unless its write says otherwise
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("settings").args(["r", "w", "ttl"]).multiple(true).required(true)))]
pub(in crate::cli) struct BucketSetArgs {
    /// Its name
    pub bucket: String,
    /// Replicas that must answer a read, unless the request says otherwise; `default`: a majority
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub r: Option<Setting<u8>>,
    /// Replicas that must hold a write, unless the request says otherwise; `default`: a majority
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub w: Option<Setting<u8>>,
    /// How long an item lives that is written from now on; `default`: for ever
    #[arg(long, value_name = "D", value_parser = parse_life)]
    pub ttl: Option<Setting<Duration>>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BucketDropArgs {
    /// Its name
    pub bucket: String,
    /// Really: nothing brings it back but a backup
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub target: Target,
}

/// A word that leaves a setting to the cluster.
const DEFAULT: &str = "default";

fn parse_count(text: &str) -> Result<Setting<u8>, String> {
    match text {
        DEFAULT => Ok(Setting::Unset),
        _ => text.parse().map(Setting::Set).map_err(|_| "use a number, or `default`".to_owned()),
    }
}

fn parse_life(text: &str) -> Result<Setting<Duration>, String> {
    match text {
        DEFAULT => Ok(Setting::Unset),
        _ => {
            parse_duration(text).map(Setting::Set).map_err(|error| format!("{error}, or `default`"))
        }
    }
}

fn parse_type(name: &str) -> Result<DataType, String> {
    DataType::named(name).ok_or_else(|| "use counter, set, map, register or hll".to_string())
}

/// What concurrent writes to one item become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Conflict {
    /// Both are kept until someone resolves them.
    Siblings,
    /// The last writer wins.
    Lww,
}

/// A command that only looks.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct LookArgs {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// Also predict how likely reads miss what was just written, for each r and w
    #[arg(long)]
    pub staleness: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArgs {
    /// Stay until everything has been compared, with progress
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ScrubArgs {
    /// Stay until everything has been read and mended, with progress
    #[arg(long)]
    pub wait: bool,
    /// Read at most so much a second, as 64MiB; else as the nodes are set
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub rate: Option<u64>,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DrainArgs {
    /// Take requests again
    #[arg(long)]
    pub off: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct RingArgs {
    #[command(subcommand)]
    pub command: Option<RingCommand>,
    /// Also list every partition with its owners
    #[arg(long)]
    pub partitions: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RingCommand {
    /// What a change would move: without flags, that everybody gets its share
    Plan(PlanArgs),
    /// Carries out what `plan` showed; without flags: members that a change which was taken back left without
    /// places may have some again
    Commit(CommitArgs),
    /// Takes back the change of owners that is under way
    Abort(LookArgs),
    /// A majority of the members is gone for ever: those who are left go on as a new cluster
    ForceSurvivors(SurvivorsArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SurvivorsArgs {
    /// Every member that is left, by name
    #[arg(long, value_name = "NODE,NODE", required = true, value_delimiter = ',')]
    pub survivors: Vec<String>,
    /// Do it; without, it is only told what may be lost
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PlanArgs {
    /// This member leaves
    #[arg(long, value_name = "NODE", group = "what")]
    pub leave: Option<String>,
    /// This member is gone for good
    #[arg(long, value_name = "NODE", group = "what")]
    pub remove: Option<String>,
    /// NEW takes the places of OLD
    #[arg(long, value_names = ["OLD", "NEW"], num_args = 2, group = "what")]
    pub replace: Vec<String>,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CommitArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub go: LeaveArgs,
}

/// Where a member stands, and what share it takes.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct PlaceArgs {
    /// This member takes another share of the data: 1 is usual, 2 is twice as much
    #[arg(long, value_name = "NODE=W", value_parser = parse_weight)]
    pub weight: Option<(String, u16)>,
    /// This member stands in another zone; nothing after the `=`: in none
    #[arg(long, value_name = "NODE=Z", value_parser = parse_zone)]
    pub zone: Option<(String, String)>,
}

fn parse_zone(s: &str) -> Result<(String, String), String> {
    let (node, zone) = s.split_once('=').ok_or("NODE=ZONE, as n3=b")?;
    Ok((node.to_owned(), zone.to_owned()))
}

fn parse_weight(s: &str) -> Result<(String, u16), String> {
    let (node, weight) = s.split_once('=').ok_or("NODE=WEIGHT, as n3=2")?;
    match weight.parse() {
        Ok(weight) if (1..=MAX_WEIGHT).contains(&weight) => Ok((node.to_owned(), weight)),
        _ => Err(format!("a weight is 1 to {MAX_WEIGHT}")),
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LeaveArgs {
    /// Stay until it is through, with progress
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveArgs {
    /// Name of the member
    pub member: String,
    #[command(flatten)]
    pub go: LeaveArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AcceptLossArgs {
    /// Name of the member that cannot complete its slots
    pub member: String,
    /// Really: from now on its answers count, and what nobody has is lost
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LocateArgs {
    #[command(flatten)]
    pub item: ItemArgs,
    #[command(flatten)]
    pub spelling: Spelling,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DumpArgs {
    /// This node's own records: no coordination, no repair
    #[arg(long, required = true)]
    pub local: bool,
    /// Only this bucket
    #[arg(long, value_name = "B")]
    pub bucket: Option<String>,
    /// Of what a restore left here, or a node has set aside of it, in place of a node
    #[arg(long, value_name = "D")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupArgs {
    /// Folder on the node's own machine: new or empty
    pub dir: PathBuf,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArgs {
    /// Folder that `quorate backup` has written
    pub dir: PathBuf,
    /// The data directory to be: not there, or empty
    #[arg(long, value_name = "D")]
    pub data_dir: PathBuf,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BenchArgs {
    /// What the load is made of: put, get, mixed, or what the Yahoo Cloud Serving Benchmark calls a, b, c, d, e, f
    #[arg(long, value_name = "W", default_value = "put", value_parser = parse_workload)]
    pub workload: Workload,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients: u32,
    /// Requests that each connection keeps in flight
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub in_flight: u32,
    /// Size of a value, as 1024 or 1KiB
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = parse_size)]
    pub value_bytes: u64,
    /// How many different keys
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// How long
    #[arg(long, value_name = "D", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// any, one, two, three, quorum or all
    #[arg(long, value_name = "C", default_value = "quorum", value_parser = parse_consistency)]
    pub consistency: Consistency,
    /// Requests a second in all, timed from when each was meant to be sent; as fast as answers come where open
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Bucket
    #[arg(long, value_name = "B", default_value = "bench")]
    pub bucket: String,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LatencyArgs {
    /// How long; Ctrl-C ends it earlier, and what was measured is shown
    #[arg(long, value_name = "D", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Pause between two rounds over all nodes
    #[arg(long, value_name = "D", default_value = "10ms", value_parser = parse_duration)]
    pub interval: Duration,
    /// Read this item as well: its bucket
    #[arg(long, value_name = "B", requires = "key")]
    pub bucket: Option<String>,
    /// Read this item as well: its partition key
    #[arg(long, value_name = "K", requires = "bucket", allow_hyphen_values = true)]
    pub key: Option<String>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}
