//! One closed-loop client for Quorate and its peers; `benches/peers/run` starts what it drives.
//!
//! ```text
//!   connection 1 ─┬─ worker: send ─▶ answer, send ─▶ answer, …     latency = answer − send
//!                 └─ worker: …                                     in flight = workers of a connection
//!   connection 2 ─── …
//! ```
//!
//! Whatever the system: the same keys, the same values, the same workers, the same clock around one request. What differs
//! is in `systems/`, and no more than the protocol of each asks for. One run is one line of JSON.

mod cpu;
mod driver;
mod report;
mod systems;
mod worker;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use std::time::Duration;
use systems::Connection;

/// One run of one load against one system; prints one line of JSON.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Load {
    /// Whose protocol is spoken.
    #[arg(long, value_enum)]
    pub system: System,
    /// Where it listens, host:port; the i-th connection goes to the i-th of these, in a circle.
    #[arg(long, value_delimiter = ',', required = true)]
    pub nodes: Vec<String>,
    /// What the workers do.
    #[arg(long, value_enum, default_value = "put")]
    pub workload: Workload,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests that each connection keeps in flight.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// Bytes of a value, each of them random.
    #[arg(long, default_value_t = 1024)]
    pub value_bytes: usize,
    /// How many different keys. All are written before the clock starts.
    #[arg(long, default_value_t = 10_000)]
    pub keys: usize,
    /// How long, in seconds, once the keys are there.
    #[arg(long, default_value_t = 6.0)]
    pub seconds: f64,
    /// How long nothing is done between the writing of the keys and the run, in seconds.
    #[arg(long, default_value_t = 0.5)]
    pub settle: f64,
    /// After how many seconds a request counts as failed.
    #[arg(long, default_value_t = 5.0)]
    pub timeout: f64,
    /// The processes of the system, whose CPU time is counted.
    #[arg(long, value_delimiter = ',')]
    pub pids: Vec<u32>,
    /// Processes that are up and not driven; their CPU time is said beside.
    #[arg(long, value_delimiter = ',')]
    pub idle_pids: Vec<u32>,
    /// Threads of this client. One leaves the other cores to the servers.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Quorate's client library; QUORUM.
    Quorate,
    /// SET and then WAIT 1; GET.
    Redis,
    /// gRPC, linearizable.
    Etcd,
    /// K2V over HTTP/1.1. The key: GARAGE_KEY_ID and GARAGE_SECRET_KEY.
    Garage,
    /// CQL, QUORUM.
    #[cfg(feature = "cassandra")]
    Cassandra,
}

/// What the workers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Overwrite keys.
    Put,
    /// Read keys.
    Get,
    /// Half and half.
    Mixed,
}

impl Workload {
    /// How many of a hundred requests are reads.
    fn reads(self) -> u8 {
        match self {
            Workload::Put => 0,
            Workload::Get => 100,
            Workload::Mixed => 50,
        }
    }
}

impl Load {
    /// The value's name on the command line.
    fn name(value: impl ValueEnum) -> String {
        value.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }

    fn check(&self) -> Result<()> {
        let workers = self.connections.saturating_mul(self.in_flight);
        ensure!(
            workers > 0 && self.threads > 0,
            "connections, in flight and threads: at least one"
        );
        ensure!(
            self.keys >= workers,
            "{} keys for {workers} workers: at least as many, so that no two write one key",
            self.keys
        );
        for seconds in [self.seconds, self.settle, self.timeout] {
            ensure!((0.0..=3600.0).contains(&seconds), "seconds: at most an hour");
        }
        ensure!(self.seconds > 0.0 && self.timeout > 0.0, "seconds and timeout: above zero");
        Ok(())
    }

    fn request_limit(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }
}

fn main() -> Result<()> {
    let load = Load::parse();
    load.check()?;
    let mut runtime = match load.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.worker_threads(load.threads).enable_all().build()?;
    let report = match load.system {
        System::Quorate => run::<systems::quorate::Quorate>(&runtime, &load),
        System::Redis => run::<systems::redis::Redis>(&runtime, &load),
        System::Etcd => run::<systems::etcd::Etcd>(&runtime, &load),
        System::Garage => run::<systems::garage::Garage>(&runtime, &load),
        #[cfg(feature = "cassandra")]
        System::Cassandra => run::<systems::cassandra::Cassandra>(&runtime, &load),
    }?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn run<C: Connection>(runtime: &tokio::runtime::Runtime, load: &Load) -> Result<report::Report> {
    ensure!(
        C::MULTIPLEXES || load.in_flight == 1,
        "a connection of this protocol carries one request at a time"
    );
    runtime
        .block_on(driver::drive::<C>(load))
        .with_context(|| format!("{} at {}", Load::name(load.system), load.nodes.join(",")))
}
