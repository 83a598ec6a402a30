//! `quorate drain`: clients go elsewhere, and nobody misses the node as a replica.

use super::cluster::{Cluster, QUORATE, SOON, until};
use quorate::Error;
use quorate::client::Consistency;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

fn drain(cluster: &Cluster, number: u16, more: &[&str]) -> Value {
    let mut command = Command::new(QUORATE);
    command.args(["drain", "-o", "json", "--node", &cluster.native(number).to_string()]);
    let output = command.args(more).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_takes_no_requests_and_stores_as_before_until_it_is_told_or_started_again() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    client.put("b", "before", "v").await.expect("acknowledged");

    let told = drain(&cluster, 2, &[]);
    assert_eq!(
        (&told["name"], &told["drained"], &told["requests"]),
        (&"n2".into(), &true.into(), &0.into())
    );
    until("n2 says that it is not ready", SOON, async || {
        let answer = cluster.get(2, "/readyz").await.map_err(|error| error.to_string())?;
        let why = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
        if answer.status == 503 && why.contains("drained") { Ok(()) } else { Err(why) }
    })
    .await;
    let refused = cluster.ask(2, "PUT", "/v1/kv/b/k", &[], b"v").await;
    assert_eq!((refused.status, refused.code()), (503, "overloaded".into()));
    let lone = cluster.client_of(&[2]).await;
    let refused = lone.put("b", "k", "v").timeout(Duration::from_secs(2)).await;
    assert!(matches!(refused, Err(Error::Overloaded(_))), "{refused:?}");

    // Who knows others does not notice, and n2 is one of the three that store.
    for number in 0..50 {
        let put = client.put("b", format!("k{number}"), "v").consistency(Consistency::All);
        put.await.expect("all three have it");
    }
    assert!(cluster.dump(2, "b").await.expect("its records").len() >= 51);
    assert_eq!(cluster.state_of(1, 2).await.as_deref(), Ok("alive"));
    cluster.no_hints().await;

    assert_eq!(drain(&cluster, 2, &["--off"])["drained"], false);
    cluster.ready(2).await;
    assert_eq!(cluster.ask(2, "PUT", "/v1/kv/b/k", &[], b"v").await.status, 204);

    drain(&cluster, 2, &[]);
    cluster.kill(&[2]);
    cluster.restart(2).await;
    assert_eq!(cluster.ask(2, "GET", "/v1/kv/b/k", &[], b"").await.status, 200);
}
