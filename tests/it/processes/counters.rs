//! Counters under load: no write, no batch and no task for each request.

use super::cluster::{Cluster, SOON, until};
use quorate::client::{Bytes, Client};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::task::JoinSet;

/// Requests in flight at each node.
const IN_FLIGHT: usize = 64;
const PUTS: u64 = 12_000;

/// What the whole cluster has done so far.
#[derive(Debug)]
struct Work {
    requests: u64,
    writes: u64,
    batches: u64,
}

async fn work(cluster: &Cluster) -> Work {
    let mut work = Work { requests: 0, writes: 0, batches: 0 };
    for number in cluster.numbers() {
        let metrics = cluster
            .ask(number, "GET", "/metrics", &[("Accept", "application/json")], b"")
            .await
            .json();
        let count =
            |name: &str| metrics[name].as_u64().unwrap_or_else(|| panic!("{name} in {metrics}"));
        work.requests += count("native_requests");
        work.writes += count("socket_writes");
        // One sync covers at least one batch, so this is an upper bound of the syncs.
        work.batches += count("store_batches");
    }
    work
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_syncs_are_far_fewer_than_requests() {
    let cluster = Cluster::start(3).await;
    // One connection to each node carries all that is in flight.
    let mut clients: Vec<Client> = Vec::new();
    for number in cluster.numbers() {
        clients.push(cluster.client_of(&[number]).await);
    }
    clients[0].put("counted", "first", "v").await.expect("the bucket is there");
    let threads = threads(&cluster);
    let before = work(&cluster).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for client in clients.iter().flat_map(|client| std::iter::repeat_n(client, IN_FLIGHT)) {
        let (client, next) = (client.clone(), next.clone());
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= PUTS {
                    return;
                }
                let value = Bytes::from_static(&[7; 256]);
                client.put("counted", number.to_le_bytes(), value).await.expect("acknowledged");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("acknowledged");
    }
    let after = until("all of them are counted", SOON, async || {
        let after = work(&cluster).await;
        let counted = after.requests - before.requests;
        if counted >= PUTS { Ok(after) } else { Err(format!("{counted} of {PUTS}")) }
    })
    .await;
    let requests = after.requests - before.requests;
    let writes = after.writes - before.writes;
    let batches = after.batches - before.batches;
    println!(
        "{requests} puts at N=3, {IN_FLIGHT} in flight at each of three nodes: {writes} socket writes ({:.2} a put), \
         {batches} batches ({:.2} a put)",
        writes as f64 / requests as f64,
        batches as f64 / requests as f64
    );
    // One by one, a put is two writes to replicas, two acknowledgements, an answer and three batches.
    assert!(2 * (writes + batches) < requests, "one by one it would be eight a put");
    // The index brings a few of its own, once.
    let more = self::threads(&cluster) - threads;
    assert!(more < IN_FLIGHT, "{more} threads came for them");
}

/// The threads of all nodes.
fn threads(cluster: &Cluster) -> usize {
    let of = |number| {
        let pid = cluster.pid(number).expect("it is up").as_raw_pid();
        std::fs::read_dir(format!("/proc/{pid}/task")).expect("it has threads").count()
    };
    cluster.numbers().into_iter().map(of).sum()
}
