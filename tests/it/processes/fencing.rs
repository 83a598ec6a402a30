//! A node stands still, is removed, and wakes up: it is refused, learns why, and harms nobody.
//!
//! ```text
//!   n5  ──STOP────────────────────── CONT ── refused: no member any more ── wiped, started: a new member
//!   n1       dead ── remove ── done
//!   load ────────────────────────────────────────────────────────────────► nothing lost, nothing back
//! ```

use super::cluster::{Cluster, SOON, quorate, said, until};
use super::http;
use super::load::{BUCKET, Running, keeps};
use rustix::process::Signal;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const VICTIM: u16 = 5;
const WRITERS: usize = 8;

/// What a node that is no member says of itself.
async fn is_refused(cluster: &Cluster) {
    until("it learns that it is no member any more", SOON, async || {
        let answer = cluster.get(VICTIM, "/readyz").await.map_err(|error| error.to_string())?;
        match answer.text() {
            text if answer.status == 503 && text.contains("no member any more") => Ok(()),
            text => Err(text),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_removed_while_it_stood_still_wakes_up_and_harms_nobody() {
    let cluster = Cluster::start(5).await;
    let others = cluster.others(VICTIM);
    let client = cluster.client_of(&others).await;
    let running = Running::start(&client, WRITERS, "fencing");
    running.acked(200).await;
    cluster.signal(&[VICTIM], Signal::STOP);
    // Requests that wait in its sockets for it to wake up.
    let ask = |method: &'static str, path: &'static str| {
        let address = cluster.http(VICTIM);
        tokio::spawn(async move { http::ask(address, method, path, &[], b"zombie").await })
    };
    let put = ask("PUT", "/v1/kv/load/zombie?consistency=quorum");
    let one = ask("PUT", "/v1/kv/load/zombie-one?consistency=one");
    for number in &others {
        until("its death is seen", SOON, async || {
            match cluster.state_of(*number, VICTIM).await? {
                state if state == "dead" => Ok(()),
                state => Err(state),
            }
        })
        .await;
    }
    let node = cluster.native(1).to_string();
    let removed = quorate(["remove", "n5", "--wait", "--node", &node]);
    assert_eq!(said(&removed), "done", "{removed:?}");
    let before = running.load.acked.load(SeqCst);
    running.acked(before + 200).await;
    cluster.signal(&[VICTIM], Signal::CONT);
    is_refused(&cluster).await;
    // What it was asked before it knew: refused, or done by those who are members.
    for (key, asked) in [("zombie", put), ("zombie-one", one)] {
        let answer = tokio::time::timeout(SOON, asked).await.expect("it answers").expect("asked");
        if answer.is_ok_and(|answer| answer.status == 204) {
            let got = client.get(BUCKET, key).timeout(Duration::from_secs(10)).await;
            let got = got.unwrap_or_else(|error| panic!("{key} was acknowledged: {error}"));
            assert!(got.siblings.iter().any(|sibling| sibling.value == b"zombie"[..]), "{got:?}");
        }
    }
    // Its own clients are told, and see nothing old.
    for path in ["/v1/kv/load/chain%2Ffencing-0?consistency=one", "/v1/kv/load/zombie"] {
        let answer = cluster.ask(VICTIM, "GET", path, &[], b"").await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        let answer = cluster.ask(VICTIM, "PUT", path, &[], b"late").await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
    }
    let before = running.load.acked.load(SeqCst);
    running.acked(before + 200).await;
    let promises = running.stop().await;
    keeps(&client, &promises).await;
    cluster.agree_among(&others, BUCKET, 3).await;
    // Starting it again is no way back; an empty directory is.
    cluster.kill(&[VICTIM]);
    cluster.must(&["restart", "5", "--timeout", "1s"]);
    is_refused(&cluster).await;
    cluster.must(&["wipe", "5"]);
    cluster.restart(VICTIM).await;
    until("it gets a share", SOON, async || {
        let partitions = cluster.json(VICTIM, "/v1/local/partitions").await;
        match partitions["partitions"].as_array().map(Vec::len) {
            Some(some) if some > 0 => Ok(()),
            _ => Err(partitions.to_string()),
        }
    })
    .await;
    keeps(&client, &promises).await;
    cluster.agree(BUCKET, 3).await;
}
