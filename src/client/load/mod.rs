//! Load, measured: what `quorate bench` runs.
//!
//! ```text
//!   closed loop:   send ─▶ answer, send ─▶ answer, …            latency = answer − send
//!   fixed rate:    |····|····|····|····|   intended moments      latency = answer − intended
//!                  send late? that wait counts (no coordinated omission; Tene, 2015)
//! ```
//!
//! - Every client has its own connection, to one node, clients spread evenly; each keeps `in_flight`
//!   requests under way.
//! - Writes carry the context of that key's last write, as a well-behaved client does, and no two writers
//!   share a key: so nothing measured here is a growing heap of siblings.
//! - Keys carry a random mark of the run: a run never meets the data of an earlier one.
//!
//! The engine runs in the caller's runtime; one thread is enough, and leaves the others to the nodes.

mod tally;
mod worker;
mod workload;

pub use tally::{Report, Second};
pub use workload::Workload;

use super::{Client, Consistency, ExecutionProfile, RetryPolicy};
use crate::error::{Error, Result};
use crate::seal::Keyring;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tally::Tally;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use worker::{Run, Worker};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Load {
    /// Native addresses.
    pub nodes: Vec<String>,
    /// The cluster's keys, where it has some.
    pub keyring: Option<Keyring>,
    /// The bucket; created by its first write if it is not there.
    pub bucket: String,
    /// What the clients do.
    pub workload: Workload,
    /// How many clients, each with a connection of its own, to one node: the i-th client to the i-th node,
    /// in a circle. Those of a node that dies fail until it is back.
    pub clients: usize,
    /// How many requests each has under way.
    pub in_flight: usize,
    /// The size of a value, in bytes.
    pub value_bytes: usize,
    /// How many different keys; chosen evenly.
    pub keys: usize,
    /// How long, once the keys are there.
    pub duration: Duration,
    /// The consistency of reads and writes; `None`: the bucket's.
    pub consistency: Option<Consistency>,
    /// Requests a second over all clients; `None`: as fast as answers come.
    pub rate: Option<f64>,
    /// How long a request may take.
    pub timeout: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            nodes: Vec::new(),
            keyring: None,
            bucket: "bench".into(),
            workload: Workload::Put,
            clients: 64,
            in_flight: 1,
            value_bytes: 1024,
            keys: 10_000,
            duration: Duration::from_secs(10),
            consistency: None,
            rate: None,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Runs the load; `progress` hears of every second. Requests that are under way when time is up are waited
/// for. Call it inside a tokio runtime; one of a single thread is best.
///
/// # Errors
/// [`Error::Invalid`] for a load that cannot be; what building a client or writing the keys beforehand
/// ends with. Failures under load are counted instead.
pub async fn run(load: Load, mut progress: impl FnMut(Second)) -> Result<Report> {
    check(&load)?;
    let mut workers = hire(&load).await?;
    if load.workload.reads() {
        let mut writing = JoinSet::new();
        for mut worker in workers {
            writing.spawn(async move { worker.write_own_keys().await.map(|()| worker) });
        }
        workers = Vec::new();
        while let Some(written) = writing.join_next().await {
            workers.push(written.map_err(vanished)??);
        }
    }
    let began = Instant::now();
    let run = Arc::new(Run {
        tally: Mutex::new(Tally::new(began, load.duration)),
        workload: load.workload,
        rate: load.rate,
    });
    let mut working: JoinSet<_> =
        workers.into_iter().map(|worker| worker.work(run.clone())).collect();
    let mut seconds = interval_at(began + Duration::from_secs(1), Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = seconds.tick() => progress(run.tally().end_second()),
            worked = working.join_next() => match worked {
                Some(worked) => worked.map_err(vanished)?,
                None => return Ok(run.tally().report(&load, Instant::now())),
            },
        }
    }
}

fn vanished(error: tokio::task::JoinError) -> Error {
    Error::Internal(format!("a load worker vanished: {error}"))
}

fn check(load: &Load) -> Result<()> {
    let rate_fits = load.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
    let reads_fit = !matches!(load.workload, Workload::Mixed { reads: 101.. });
    if load.clients == 0
        || load.in_flight == 0
        || load.duration.is_zero()
        || !rate_fits
        || !reads_fit
    {
        return Err(Error::Invalid(
            "clients, requests in flight, duration and rate must be above zero, reads at most 100 %"
                .into(),
        ));
    }
    if load.nodes.is_empty() {
        return Err(Error::Invalid("no node given: name at least one `host:port`".into()));
    }
    let workers = load.clients.saturating_mul(load.in_flight);
    if load.keys < workers {
        return Err(Error::Invalid(format!(
            "{} keys for {workers} requests at a time: use at least as many, so that no two write one key",
            load.keys
        )));
    }
    Ok(())
}

/// Connects every client and gives each of its requests under way a worker.
async fn hire(load: &Load) -> Result<Vec<Worker>> {
    let profile = ExecutionProfile {
        consistency: load.consistency,
        timeout: load.timeout,
        // What a retry hides would be missing from the figures.
        retries: RetryPolicy::never(),
        ..ExecutionProfile::default()
    };
    let mark = fastrand::u32(..);
    let mut workers = Vec::with_capacity(load.clients * load.in_flight);
    for number in 0..load.clients {
        let node = load.nodes[number % load.nodes.len()].as_str();
        let client = Client::builder()
            .nodes([node])
            .keys(load.keyring.clone())
            .profile(profile.clone())
            .in_flight(load.in_flight)
            .name("bench")
            .build()
            .await?;
        for _ in 0..load.in_flight {
            workers.push(Worker::new(client.clone(), load, mark, workers.len()));
        }
    }
    Ok(workers)
}
