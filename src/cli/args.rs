//! The tree of what people type.
//!
//! ```text
//! quorate ─┬─ demo, serve, cluster …          processes
//!          ├─ put get delete scan bucket …    data, through any node
//!          ├─ status members ring locate …    what an operator looks at
//!          └─ bench                           load
//! ```
//!
//! Only names, defaults and shapes stand here; what a command does is in the file of its name.

use super::output::Format;
use crate::client::load::Workload;
use crate::config::{parse_duration, parse_size};
use crate::quorum::Consistency;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A leaderless key-value store: any node takes any request, any node can die.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
    /// Delete one item; prints the new context
    Delete(DeleteArgs),
    /// Read a range of sort keys of one partition key
    Scan(ScanArgs),
    /// Create buckets and look at them
    Bucket(BucketArgs),
    /// Is the cluster well? A verdict in words, and the counts behind it
    Status(LookArgs),
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
    /// Load with a latency histogram
    Bench(BenchArgs),
}

/// Which nodes to talk to.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    /// Native address of a node, or of several
    #[arg(
        long = "node",
        value_name = "ADDR[,ADDR]",
        env = "QUORATE_NODE",
        value_delimiter = ',',
        default_value = "127.0.0.1:7610"
    )]
    pub nodes: Vec<String>,
}

/// How to print what was read.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Print {
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
pub(super) struct Spelling {
    /// Keys and values are hexadecimal, in and out
    #[arg(long, conflicts_with = "base64")]
    pub hex: bool,
    /// Keys and values are base64, in and out
    #[arg(long)]
    pub base64: bool,
}

/// What every request for one item may say.
#[derive(Clone, Debug, Args)]
pub(super) struct RequestArgs {
    /// Sort key of the item
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub sort: Option<String>,
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
pub(super) struct QuorumArgs {
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

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    /// Bucket; the first write creates it
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    /// Value; `-` reads it from standard input, as it is
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// Context of an earlier read or write: what it saw is replaced
    #[arg(long, value_name = "T")]
    pub context: Option<String>,
    /// Expires after this long, as 15m or 7d
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Bucket
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
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
pub(super) struct DeleteArgs {
    /// Bucket
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    /// Context of an earlier read or write: what it saw is removed
    #[arg(long, value_name = "T")]
    pub context: Option<String>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
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
    /// At most so many items
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub quorum: QuorumArgs,
    #[command(flatten)]
    pub spelling: Spelling,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(super) struct BucketArgs {
    #[command(subcommand)]
    pub command: BucketCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum BucketCommand {
    /// Create a bucket; again with the same settings is fine
    Create(BucketCreateArgs),
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
pub(super) struct BucketCreateArgs {
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
    #[command(flatten)]
    pub target: Target,
}

/// What concurrent writes to one item become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Conflict {
    /// Both are kept until someone resolves them.
    Siblings,
    /// The last writer wins.
    Lww,
}

/// A command that only looks.
#[derive(Clone, Debug, Args)]
pub(super) struct LookArgs {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

#[derive(Debug, Args)]
pub(super) struct RingArgs {
    /// Also list every partition with its owners
    #[arg(long)]
    pub partitions: bool,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(super) struct LocateArgs {
    /// Bucket
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    /// Sort key
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub sort: Option<String>,
    #[command(flatten)]
    pub spelling: Spelling,
    #[command(flatten)]
    pub look: LookArgs,
}

#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    /// This node's own records: no coordination, no repair
    #[arg(long, required = true)]
    pub local: bool,
    /// Only this bucket
    #[arg(long, value_name = "B")]
    pub bucket: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// What the load is made of: put, get, mixed, or a mix of the Yahoo Cloud Serving Benchmark: a, b, c
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
pub(super) struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(short = 'c', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the node: unique in the cluster, kept for ever
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Where its data live
    #[arg(long, value_name = "D")]
    pub data_dir: Option<PathBuf>,
    /// Native address: nodes and clients (default 127.0.0.1:7610)
    #[arg(long, value_name = "A")]
    pub listen: Option<SocketAddr>,
    /// HTTP address (default 127.0.0.1:7611)
    #[arg(long, value_name = "A")]
    pub http: Option<SocketAddr>,
    /// Native address that others reach this node at, where it differs
    #[arg(long, value_name = "A")]
    pub advertise: Option<SocketAddr>,
    /// Members to join through; waits for one, never founds a cluster
    #[arg(long, value_name = "A,A", value_delimiter = ',')]
    pub join: Option<Vec<String>>,
    /// Found a cluster: for the very first start of its first node
    #[arg(long)]
    pub bootstrap: bool,
    /// Failure domain: replicas are spread over zones
    #[arg(long, value_name = "Z")]
    pub zone: Option<String>,
    /// Listen beyond loopback without a cluster key
    #[arg(long)]
    pub insecure: bool,
    /// Leave the terminal's session, so that the node outlives it
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Die as soon as the process of this id, which started the node, is gone
    #[arg(long, value_name = "PID", hide = true)]
    pub die_with: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Node processes
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(3..=9))]
    pub nodes: u8,
    /// Where the nodes live; a temporary folder, removed at the end, where open
    #[arg(long, value_name = "D")]
    pub dir: Option<PathBuf>,
    /// Log files whose lines are stored (default: the nodes' own and, where readable, /var/log/*.log)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub logs: Vec<PathBuf>,
    /// End by itself; exit 1 when a claim does not hold
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// The cluster's folder
    #[arg(long, global = true, value_name = "D", default_value = "quorate-cluster")]
    pub dir: PathBuf,
    #[command(subcommand)]
    pub command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Start what is down, found the cluster in a new folder; returns when all are ready
    Start {
        /// How many nodes (default 5, or as many as the folder has)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
        nodes: Option<u16>,
        /// Node i listens on P+10·i (native), +1 (HTTP), +2 (RESP); default 7600
        #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
        base_port: Option<u16>,
        /// Give up after this long
        #[arg(long, value_name = "D", default_value = "60s", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// Stop every node in an orderly way
    Stop,
    /// Every node: process, ports, readiness
    Status {
        #[command(flatten)]
        print: Print,
    },
    /// SIGKILL
    Kill(NodesArgs),
    /// Start nodes that are down, with what they have
    Restart {
        #[command(flatten)]
        nodes: NodesArgs,
        /// Wait this long for readiness
        #[arg(long, value_name = "D", default_value = "30s", value_parser = parse_duration)]
        timeout: Duration,
    },
    /// SIGKILL, and remove the data
    Wipe(NodesArgs),
    /// SIGSTOP: the process hangs, its ports still accept
    Pause(NodesArgs),
    /// SIGCONT
    Resume(NodesArgs),
}

#[derive(Debug, Args)]
pub(super) struct NodesArgs {
    /// Number of the node, from 1; several are fine
    #[arg(value_name = "N", required = true, value_parser = parse_node_number)]
    pub numbers: Vec<u16>,
}

/// `3` or `n3`.
fn parse_node_number(s: &str) -> Result<u16, String> {
    match s.strip_prefix('n').unwrap_or(s).parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a node's number, from 1".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_name_of_the_interface_parses() {
        for line in [
            "quorate demo --nodes 3 --dir d --logs a b --once",
            "quorate serve -c f --name n --data-dir d --listen 127.0.0.1:1 --http 127.0.0.1:2 --advertise 127.0.0.1:3 --join 127.0.0.1:4,127.0.0.1:5 --bootstrap --zone z --insecure",
            "quorate cluster start --nodes 5 --dir D --base-port 7600",
            "quorate cluster --dir D status -o json",
            "quorate cluster kill 3 --dir D",
            "quorate cluster restart n3",
            "quorate cluster wipe 3",
            "quorate cluster pause 1 2",
            "quorate cluster resume 3",
            "quorate cluster stop",
            "quorate put b k v --sort s --consistency quorum --r 1 --w 2 --strict --context t --timeout 250ms --ttl 7d",
            "quorate put b k - --hex",
            "quorate get b k --siblings --explain -o json --node 127.0.0.1:1,127.0.0.1:2",
            "quorate delete b k --context t",
            "quorate scan b k --from a --to z --limit 3",
            "quorate scan b k --prefix p --output json",
            "quorate bucket create b --n 3 --r 2 --w 2 --conflict lww",
            "quorate bucket list -o json",
            "quorate bucket get b",
            "quorate status",
            "quorate members -o json",
            "quorate ring",
            "quorate locate b k --sort s",
            "quorate hints",
            "quorate info",
            "quorate dump --local --bucket b",
            "quorate bench --workload a --clients 2 --in-flight 3 --value-bytes 1KiB --keys 5 --duration 1s --consistency all --rate 100",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn a_value_may_begin_with_a_dash_and_flags_still_follow() {
        let cli = parse("quorate put b k -5 --w 2").unwrap();
        let Command::Put(put) = cli.command else { panic!("not a put") };
        assert_eq!((put.value.as_str(), put.request.quorum.w), ("-5", Some(2)));
    }

    #[test]
    fn several_nodes_are_several() {
        let cli = parse("quorate status --node a:1,b:2").unwrap();
        let Command::Status(look) = cli.command else { panic!("not a status") };
        assert_eq!(look.target.nodes, ["a:1", "b:2"]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "quorate put b k",
            "quorate get b k --hex --base64",
            "quorate put b k v --timeout 5",
            "quorate put b k v --consistency most",
            "quorate dump",
            "quorate cluster kill 0",
            "quorate cluster kill",
            "quorate demo --nodes 2",
            "quorate nothing",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
