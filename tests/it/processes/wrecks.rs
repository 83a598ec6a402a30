//! Disks that come back with less than they had: no index, nothing at all, or an old copy.

use super::cluster::{Cluster, text};
use super::load::{BUCKET, Running, keeps};
use serde_json::Value;
use std::fs;
use std::path::Path;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_index_was_deleted_comes_back_without_loss() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "index");
    running.acked(200).await;
    let promises = running.stop().await;
    let before = cluster.agree(BUCKET, 3).await;
    let life = cluster.info(2).await["lineage"].clone();
    cluster.kill(&[2]);
    fs::remove_dir_all(cluster.data(2).join("index")).expect("the index lies there");
    // Without the others there is nobody from whom it could have got anything.
    cluster.kill(&[1, 3]);
    cluster.must(&["restart", "2"]);
    assert_eq!(cluster.dump(2, BUCKET).await.expect("it answers"), before);
    cluster.must(&["start"]);
    assert_eq!(cluster.info(2).await["lineage"], life, "nothing was lost, so it is the same life");
    keeps(&cluster.client().await, &promises).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_comes_back_under_its_name_and_nothing_is_lost() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "wiped");
    running.acked(100).await;
    // The founder, of all nodes: it must join now, not found a second cluster.
    for victim in [3, 1] {
        let witness = if victim == 1 { 2 } else { 1 };
        let before =
            (cluster.info(victim).await, members(&cluster.json(witness, "/v1/ring").await));
        cluster.must(&["wipe", &victim.to_string()]);
        assert!(!cluster.data(victim).exists());
        let acked = running.load.acked.load(std::sync::atomic::Ordering::SeqCst);
        running.acked(acked + 50).await;
        cluster.restart(victim).await;
        let after = (cluster.info(victim).await, members(&cluster.json(victim, "/v1/ring").await));
        assert_eq!(after.0["id"], before.0["id"], "it takes over what it was");
        assert_eq!(after.0["cluster"], before.0["cluster"], "it founds nothing");
        assert_ne!(after.0["lineage"], before.0["lineage"], "it is a new life");
        assert_eq!(after.1, before.1, "the same members");
    }
    let promises = running.stop().await;
    cluster.no_hints().await;
    keeps(&client, &promises).await;
    cluster.agree(BUCKET, 3).await;
    // What it holds now it holds itself.
    cluster.kill(&[2, 3]);
    let alone = cluster.dump(1, BUCKET).await.expect("it answers");
    for (key, values) in &promises {
        let item = &alone[&format!("{}/", base64(key))];
        let found = super::http::values(item);
        assert!(values.iter().any(|value| found.contains(value)), "{key}: {values:?}, but {item}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_a_directory_is_noticed_and_nothing_is_lost() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "old");
    running.acked(100).await;
    cluster.stop(2);
    let copy = cluster.dir().join("copy");
    copy_dir(&cluster.data(2), &copy);
    let life = cluster.info(1).await["cluster"].clone();
    cluster.restart(2).await;
    let before = cluster.info(2).await;
    let acked = running.load.acked.load(std::sync::atomic::Ordering::SeqCst);
    running.acked(acked + 200).await;
    cluster.kill(&[2]);
    fs::remove_dir_all(cluster.data(2)).expect("it was there");
    copy_dir(&copy, &cluster.data(2));
    cluster.restart(2).await;
    let after = cluster.info(2).await;
    assert_eq!((&after["id"], &after["cluster"]), (&before["id"], &life));
    assert_ne!(after["lineage"], before["lineage"], "it knows that it was behind");
    let aside = cluster.node_dir(2).join("data.set-aside-1");
    assert!(aside.join("log").is_dir(), "what it found is kept");
    let promises = running.stop().await;
    cluster.no_hints().await;
    keeps(&client, &promises).await;
    cluster.agree(BUCKET, 3).await;
}

fn members(ring: &Value) -> Vec<(String, String)> {
    let members = ring["members"].as_array().expect("a ring has members");
    members.iter().map(|m| (text(&m["name"]).into(), text(&m["id"]).into())).collect()
}

fn base64(key: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(key)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}
