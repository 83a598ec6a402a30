//! Processes: `serve`, `demo`, `cluster`.

use super::Print;
use crate::config::parse_duration;
use crate::ring::MAX_MEMBERS;
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
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
    /// Redis protocol address, or `none` (default: 127.0.0.1:7612)
    #[arg(long, value_name = "ADDR")]
    pub resp: Option<String>,
    /// Syslog address, UDP and TCP, for the log store (default: none)
    #[arg(long, value_name = "A")]
    pub syslog: Option<SocketAddr>,
    /// Native address that others reach this node at, where it differs
    #[arg(long, value_name = "A")]
    pub advertise: Option<SocketAddr>,
    /// Members to join through; waits for one, never founds a cluster
    #[arg(long, value_name = "A,A", value_delimiter = ',')]
    pub join: Option<Vec<String>>,
    /// Found a cluster: for the very first start of its first node
    #[arg(long)]
    pub bootstrap: bool,
    /// Come in without places, to stand by: `replace` or `ring commit` gives it some
    #[arg(long)]
    pub spare: bool,
    /// Failure domain: replicas are spread over zones
    #[arg(long, value_name = "Z")]
    pub zone: Option<String>,
    /// The cluster's key, a file of `quorate keygen`: who has it not is not listened to
    #[arg(long, value_name = "F", env = "QUORATE_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Listen beyond loopback without key, token or password
    #[arg(long)]
    pub insecure: bool,
    /// Offer on the dashboard to kill, pause and cut off this node
    #[arg(long)]
    pub enable_chaos: bool,
    /// Leave the terminal's session, so that the node outlives it
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Die as soon as the process of this id, which started the node, is gone
    #[arg(long, value_name = "PID", hide = true)]
    pub die_with: Option<u32>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Where to write it, readable by its owner alone; standard output where open
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DemoArgs {
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
pub(in crate::cli) struct ClusterArgs {
    /// The cluster's folder
    #[arg(long, global = true, value_name = "D", default_value = "quorate-cluster")]
    pub dir: PathBuf,
    #[command(subcommand)]
    pub command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterCommand {
    /// Start what is down, found the cluster in a new folder; returns when all are ready
    Start {
        /// How many nodes (default 5, or as many as the folder has)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
        nodes: Option<u16>,
        /// Node i listens on P+10·i (native), +1 (HTTP), +2 (RESP); default 7600
        #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..))]
        base_port: Option<u16>,
        /// Make a key, D/cluster.key: nodes and clients seal what they say, and nobody else is listened to. For a new folder
        #[arg(long)]
        sealed: bool,
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
pub(in crate::cli) struct NodesArgs {
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

/// How many members a simulated cluster has.
fn parse_size(s: &str) -> Result<usize, String> {
    match s.parse() {
        Ok(size) if (2..=MAX_MEMBERS).contains(&size) => Ok(size),
        _ => Err(format!("a number of members, 2 to {MAX_MEMBERS}")),
    }
}

/// `quorate sim`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct SimArgs {
    /// The seed: everything random comes from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run so many seeds from this one on, over all cores; only what failed is told
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// Take one guard of the protocol out at a time, and run up to so many seeds until one notices
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "K", conflicts_with = "runs")]
    pub mutants: Option<u64>,
    /// Requests in each run
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub steps: u64,
    /// Measure membership and ring at many sizes instead: deaths, false deaths, traffic, balance
    #[arg(long, conflicts_with_all = ["runs", "steps"])]
    pub scale: bool,
    /// The sizes
    #[arg(long, value_name = "N,N", value_delimiter = ',', requires = "scale",
        default_value = "5,50,200,1000", value_parser = parse_size)]
    pub members: Vec<usize>,
    #[command(flatten)]
    pub print: Print,
}
