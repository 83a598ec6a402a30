//! Everybody dies at once, right after an acknowledgement.

use super::cluster::{Cluster, SOON};
use super::load::{Promises, Running, keeps, times};
use rustix::process::Signal;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

/// Enough that every disk is busy with those before when a write is acknowledged.
const WRITERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_the_death_of_all_five() {
    let rounds = times("QUORATE_ROUNDS", 2);
    let cluster = Cluster::start(5).await;
    let mut promises = Promises::new();
    for round in 0..rounds {
        let client = cluster.client().await;
        let running = Running::start(&client, WRITERS, &format!("round{round}"));
        let all = cluster.processes(&cluster.numbers());
        // From the acknowledgement to the signals there is nothing that waits.
        let kill = move || {
            all.iter().for_each(|process| process.signal(Signal::KILL));
            all
        };
        let all = running.at(1_000 + 370 * round, kill).await;
        assert!(all.iter().all(|process| process.ended(SOON)));
        let acked = running.load.acked.load(SeqCst);
        let begin = Instant::now();
        cluster.must(&["start"]);
        let up = begin.elapsed();
        promises.extend(running.stop().await);
        drop(client);
        keeps(&cluster.client().await, &promises).await;
        println!(
            "round {round}: {acked} acknowledged before all died; ready again after {up:?}; {} promises kept",
            promises.len()
        );
    }
    cluster.no_hints().await;
    cluster.agree(super::load::BUCKET, 3).await;
}
