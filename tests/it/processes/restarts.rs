//! Everybody dies at once, right after an acknowledgement.

use super::cluster::Cluster;
use super::load::{Promises, Running, keeps, times};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_the_death_of_all_five() {
    let rounds = times("QUORATE_ROUNDS", 2);
    let cluster = Cluster::start(5).await;
    let mut promises = Promises::new();
    for round in 0..rounds {
        let client = cluster.client().await;
        let running = Running::start(&client, 8, &format!("round{round}"));
        running.acked(50 + 37 * round).await;
        // From here to the signal there is nothing that waits.
        cluster.kill(&cluster.numbers());
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
