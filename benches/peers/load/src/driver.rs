//! The closed loop: connect, write the keys, let it settle, start the clock, wait for the last answer.

use crate::report::{Report, Spent, Tally};
use crate::systems::Connection;
use crate::worker::Worker;
use crate::{Load, cpu};
use anyhow::{Context as _, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long all keys may take to be written, however slow the system.
const PREPARE_LIMIT: Duration = Duration::from_secs(120);
/// How long a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// One run.
///
/// # Errors
/// It cannot connect, the keys cannot be written, or a server died. Failures under load are counted instead.
pub async fn drive<C: Connection>(load: &Load) -> Result<Report> {
    let workers = hire::<C>(load).await?;
    let workers = timeout(PREPARE_LIMIT, prepare(workers))
        .await
        .context("the keys could not be written in time")??;
    sleep(Duration::from_secs_f64(load.settle)).await;

    let before = clock(load)?;
    let began = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::new(began + Duration::from_secs_f64(load.seconds))));
    let mut working: JoinSet<()> =
        workers.into_iter().map(|worker| worker.work(tally.clone())).collect();
    while let Some(ended) = working.join_next().await {
        ended.context("a worker vanished")?;
    }
    let after = clock(load)?;
    let spent = Spent {
        wall: began.elapsed(),
        servers: after.servers.saturating_sub(before.servers),
        load: after.load.saturating_sub(before.load),
        idle: after.idle.saturating_sub(before.idle),
        machine: after.machine.saturating_sub(before.machine),
    };
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Report::new(load, &tally, spent))
}

/// What all have used so far.
fn clock(load: &Load) -> Result<Spent> {
    Ok(Spent {
        wall: Duration::ZERO,
        servers: cpu::of_processes(&load.pids)?,
        load: cpu::of_this_process()?,
        idle: cpu::of_processes(&load.idle_pids)?,
        machine: cpu::of_the_machine()?,
    })
}

/// Opens every connection and gives each of its requests in flight a worker.
async fn hire<C: Connection>(load: &Load) -> Result<Vec<Worker<C>>> {
    let mut workers = Vec::with_capacity(load.connections * load.in_flight);
    for number in 0..load.connections {
        let node = &load.nodes[number % load.nodes.len()];
        let connection = timeout(CONNECT_LIMIT, C::open(node, load))
            .await
            .context("no connection in time")??;
        for _ in 0..load.in_flight {
            workers.push(Worker::new(connection.clone(), load, workers.len()));
        }
    }
    Ok(workers)
}

/// Lets all workers write their keys.
async fn prepare<C: Connection>(workers: Vec<Worker<C>>) -> Result<Vec<Worker<C>>> {
    let mut writing = JoinSet::new();
    for mut worker in workers {
        writing.spawn(async move { worker.prepare().await.map(|()| worker) });
    }
    let mut prepared = Vec::with_capacity(writing.len());
    while let Some(written) = writing.join_next().await {
        prepared.push(written.context("a worker vanished")??);
    }
    Ok(prepared)
}
