//! A client that knows who owns what asks an owner.

use super::cluster::{Cluster, SOON, until};
use quorate::client::Client;

const BUCKET: &str = "routed";
const KEYS: usize = 100;

async fn forwards(cluster: &Cluster, of: &[u16]) -> u64 {
    let mut sum = 0;
    for number in of {
        let json = &[("Accept", "application/json")][..];
        let metrics = cluster.ask(*number, "GET", "/metrics", json, b"").await.json();
        sum += metrics["forwards"].as_u64().expect("a number");
    }
    sum
}

/// Puts and gets of every key; how many of the gets an owner coordinated.
async fn round(client: &Client, name: &str) -> usize {
    let mut by_owners = 0;
    for number in 0..KEYS {
        let key = format!("{name}-{number}");
        client.put(BUCKET, &key, "v").await.expect("acknowledged");
        let got = client.get(BUCKET, &key).await.expect("read");
        assert!(got.siblings.iter().any(|sibling| sibling.value == "v"), "{key}");
        // An owner that coordinates a read answers it, too.
        by_owners += usize::from(got.info.replied.contains(&got.info.coordinator));
    }
    by_owners
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_knows_the_owners_asks_them_and_nobody_when_it_does_not() {
    let cluster = Cluster::start(5).await;
    let numbers: Vec<u16> = cluster.numbers();
    let client = cluster.client().await;
    client.create_bucket(BUCKET).await.expect("agreed");
    until("nothing is forwarded any more", SOON, async || {
        let before = forwards(&cluster, &numbers).await;
        round(&client, "settling").await;
        let more = forwards(&cluster, &numbers).await - before;
        if more == 0 { Ok(()) } else { Err(format!("{more} were")) }
    })
    .await;
    let before = forwards(&cluster, &numbers).await;
    assert_eq!(round(&client, "steady").await, KEYS, "owners coordinate");
    assert_eq!(forwards(&cluster, &numbers).await, before);

    // A client of one node has no choice.
    let lone = cluster.client_of(&[1]).await;
    round(&lone, "lone").await;
    assert!(forwards(&cluster, &numbers).await > before);

    cluster.kill(&[2]);
    let left: Vec<u16> = cluster.others(2);
    // Two owners of each key are left. Half of the puts would be forwarded if it asked anybody.
    until("few are forwarded without it", SOON, async || {
        let before = forwards(&cluster, &left).await;
        round(&client, "without one").await;
        let more = forwards(&cluster, &left).await - before;
        if more <= KEYS as u64 / 10 { Ok(()) } else { Err(format!("{more} were")) }
    })
    .await;
}
