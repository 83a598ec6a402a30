//! A node copied while it serves, and brought back after its disk was lost.

use super::cluster::{Cluster, complained, quorate, said};
use super::load::{BUCKET, Running, keeps};
use quorate::client::Consistency;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// `quorate backup` of n2.
fn back_up(cluster: &Cluster, dir: &Path) -> std::process::Output {
    let node = cluster.native(2).to_string();
    quorate([
        "backup".as_ref(),
        dir.as_os_str(),
        "--node".as_ref(),
        node.as_ref(),
        "-o".as_ref(),
        "json".as_ref(),
    ])
}

fn restore(dir: &Path, data: &Path) -> std::process::Output {
    quorate(["restore".as_ref(), dir.as_os_str(), "--data-dir".as_ref(), data.as_os_str()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_brings_a_wiped_node_back_and_nothing_that_came_later_is_undone()
{
    // Segments so small that several are sealed.
    let settings = [("QUORATE_TIMING__SYNC", "3s"), ("QUORATE_STORE__SEGMENT_BYTES", "16KiB")];
    let cluster = Cluster::start_with(3, &settings).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "backup");
    running.acked(300).await;
    // Only n2 has it: after its disk is gone, only the backup has.
    let alone = cluster.key_of_second(&client, "alone").await;
    client.put("alone", &alone, "kept").strict(true).await.expect("acknowledged");
    let all = |key: &'static str, value: &'static str| {
        client.put("later", key, value).consistency(Consistency::All)
    };
    let seen = all("deleted", "before").await.expect("acknowledged");
    let old = all("replaced", "before").await.expect("acknowledged");

    let dir = cluster.dir().join("backup");
    let taken = back_up(&cluster, &dir);
    assert!(taken.status.success(), "{}", complained(&taken));
    let backup: Value = serde_json::from_str(&said(&taken)).expect("JSON");
    let before = cluster.info(2).await;
    assert_eq!(backup["name"], "n2");
    for (field, of) in [("node", "id"), ("cluster", "cluster"), ("lineage", "lineage")] {
        assert_eq!(backup[field], before[of], "{field}");
    }
    assert!(backup["files"].as_u64().expect("a count") > 2, "{backup}");
    assert!(before["durable_commit"].as_u64() >= backup["commit"].as_u64());
    let both = format!("{},{}", cluster.native(1), cluster.native(2));
    let two = quorate(["backup", "/nowhere", "--node", &both]);
    assert!(complained(&two).starts_with("invalid: ") && !two.status.success());
    let again = back_up(&cluster, &dir);
    assert_eq!(again.status.code(), Some(1));
    assert!(complained(&again).starts_with("invalid: "), "{}", complained(&again));

    let deleted = client.delete("later", "deleted").context(&seen.context);
    deleted.consistency(Consistency::All).await.expect("acknowledged");
    all("replaced", "after").context(&old.context).await.expect("acknowledged");
    let acked = running.load.acked.load(SeqCst);
    running.acked(acked + 200).await;
    let occupied = restore(&dir, &cluster.data(2));
    assert_eq!(occupied.status.code(), Some(1), "a node runs there");
    assert!(complained(&occupied).starts_with("invalid: "), "{}", complained(&occupied));

    cluster.must(&["wipe", "2"]);
    let restored = restore(&dir, &cluster.data(2));
    assert!(restored.status.success(), "{}", complained(&restored));
    assert!(said(&restored).contains("n2"), "{}", said(&restored));
    cluster.restart(2).await;
    let after = cluster.info(2).await;
    assert_eq!((&after["id"], &after["cluster"]), (&before["id"], &before["cluster"]));
    assert_ne!(after["lineage"], before["lineage"], "it is a new life");
    assert!(!cluster.node_dir(2).join("data.set-aside-1").exists(), "its data are used");
    let log = fs::read_to_string(cluster.node_dir(2).join("node.log")).expect("it writes one");
    assert!(log.contains("restored from a backup"), "it says why");

    let promises = running.stop().await;
    cluster.no_hints().await;
    keeps(&client, &promises).await;
    cluster.agree(BUCKET, 3).await;
    let got = client.get("alone", &alone).await.expect("it is there again");
    assert_eq!(got.value().expect("one").map(|v| &v[..]), Some(&b"kept"[..]));
    cluster.agree("later", 3).await;
    for (key, expected) in [("deleted", None), ("replaced", Some(&b"after"[..]))] {
        let got = client.get("later", key).consistency(Consistency::All).await.expect("all answer");
        assert_eq!(got.value().expect("one at most").map(|v| &v[..]), expected, "{key}");
    }
    // The life goes on after another start: it was restored once.
    cluster.stop(2);
    cluster.restart(2).await;
    assert_eq!(cluster.info(2).await["lineage"], after["lineage"]);
}
