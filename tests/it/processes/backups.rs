//! A node copied while it serves, and brought back after its disk was lost.

use super::cluster::{Cluster, SOON, complained, quorate, said, text, until};
use super::http;
use super::load::{BUCKET, Running, keeps};
use quorate::client::{Client, Consistency};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
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
    assert!(log.contains("the restored backup can be looked into"), "it says where from");

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

const ITEMS: usize = 300;

fn key(number: usize) -> String {
    format!("k{number:04}")
}

fn value(number: usize, version: &str) -> String {
    format!("{number}-{version}-{}", "x".repeat(200))
}

/// Writes so many items of a bucket.
async fn write_all(client: &Client, bucket: &'static str, items: usize) {
    const WRITERS: usize = 16;
    let write = |from: usize| {
        let client = client.clone();
        tokio::spawn(async move {
            for number in (from..items).step_by(WRITERS) {
                let put = client.put(bucket, key(number), value(number, "old"));
                put.consistency(Consistency::All).await.expect("acknowledged");
            }
        })
    };
    for writer in (0..WRITERS).map(write).collect::<Vec<_>>() {
        writer.await.expect("all is written");
    }
}

async fn must_back_up(cluster: &Cluster, name: &str) -> PathBuf {
    let dir = cluster.dir().join(name);
    let taken = back_up(cluster, &dir);
    assert!(taken.status.success(), "{}", complained(&taken));
    dir
}

fn must_restore(cluster: &Cluster, dir: &Path) {
    let restored = restore(dir, &cluster.data(2));
    assert!(restored.status.success(), "{}", complained(&restored));
}

/// What n2 counts under this name.
async fn counted(cluster: &Cluster, name: &str) -> Result<u64, String> {
    let answer = cluster.get(2, "/metrics").await.map_err(|error| error.to_string())?.text();
    let count = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    count.ok_or_else(|| format!("{name} is not told"))
}

/// Writes so many items, and one that n2 alone owns, and backs n2 up. Returns the key of that one, and the backup.
async fn backed_up(cluster: &Cluster, client: &Client, items: usize) -> (String, PathBuf) {
    write_all(client, "story", items).await;
    let alone = cluster.key_of_second(client, "alone").await;
    client.put("alone", &alone, "kept").strict(true).await.expect("acknowledged");
    (alone, must_back_up(cluster, "backup").await)
}

/// What n2 alone owned is there.
async fn is_kept(client: &Client, alone: &str) {
    let got = client.get("alone", alone).await.expect("only the backup had it");
    assert_eq!(got.value().expect("one").map(|v| &v[..]), Some(&b"kept"[..]));
}

/// Waits until n2 has no more use for what was restored; returns what its status says of it.
async fn set_aside(cluster: &Cluster) -> String {
    until("what was restored is set aside", SOON, async || {
        let status = cluster.json(2, "/v1/status").await;
        let words = status["restored"].as_str().unwrap_or_default().to_string();
        if words.contains("set-aside-1") { Ok(words) } else { Err(status.to_string()) }
    })
    .await
}

/// The keys in a dump.
fn keys_of<'a>(items: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let name = |item: &Value| String::from_utf8(http::unbase64(text(&item["key"]))).expect("ours");
    items.into_iter().map(name).collect()
}

/// The name tells the story: that is what a restored backup brought back once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_and_collected_after_a_backup_is_not_back_with_it() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let (alone, dir) = backed_up(&cluster, &client, ITEMS).await;
    let (deleted, replaced) = (0..60, 60..110);
    for number in deleted.clone() {
        let seen = client.get("story", key(number)).await.expect("it is there");
        let delete = client.delete("story", key(number)).context(&seen.context);
        delete.consistency(Consistency::All).await.expect("acknowledged");
    }
    for number in replaced.clone() {
        let seen = client.get("story", key(number)).await.expect("it is there");
        let put = client.put("story", key(number), value(number, "new")).context(&seen.context);
        put.consistency(Consistency::All).await.expect("acknowledged");
    }
    let left: BTreeSet<String> = (60..ITEMS).map(key).collect();
    until("all tombstones are collected everywhere", SOON, async || {
        for number in cluster.numbers() {
            let there = keys_of(cluster.dump(number, "story").await?.values());
            if there != left {
                return Err(format!("n{number} has {} items", there.len()));
            }
        }
        Ok(())
    })
    .await;

    cluster.must(&["wipe", "2"]);
    must_restore(&cluster, &dir);
    cluster.restart(2).await;
    let words = set_aside(&cluster).await;
    // Once more between all owners, now that n2 is whole.
    let repaired = quorate(["repair", "--wait", "--node", &cluster.native(1).to_string()]);
    assert!(repaired.status.success(), "{}", complained(&repaired));
    assert_eq!(keys_of(cluster.agree("story", 3).await.values()), left, "nothing is back");
    let second = cluster.client_of(&[2]).await;
    for number in 60..ITEMS {
        let version = if replaced.contains(&number) { "new" } else { "old" };
        let got = second.get("story", key(number)).consistency(Consistency::One).await;
        let got = got.unwrap_or_else(|error| panic!("{}: {error}", key(number)));
        let bytes = got.value().expect("one").expect("it is there");
        assert_eq!(&bytes[..], value(number, version).as_bytes(), "{}", key(number));
    }
    is_kept(&client, &alone).await;
    let from_there = until("it is counted what came from where", SOON, async || {
        counted(&cluster, "quorate_restored_items_total").await
    })
    .await;
    let unchanged = (ITEMS - replaced.end + 1) as u64;
    assert!((unchanged * 9 / 10..=unchanged).contains(&from_there), "{from_there}");

    // It lies there still, and can be read.
    let aside = cluster.data(2).join("restored.set-aside-1");
    assert!(words.contains(&aside.display().to_string()), "{words}");
    assert!(!cluster.data(2).join("restored").exists());
    let look = ["dump", "--local", "--bucket", "story", "--data-dir"];
    let dumped =
        quorate(look.iter().map(AsRef::<std::ffi::OsStr>::as_ref).chain([aside.as_os_str()]));
    assert!(dumped.status.success(), "{}", complained(&dumped));
    let lines: Vec<Value> =
        said(&dumped).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(keys_of(&lines), (0..ITEMS).map(key).collect());
    assert!(lines.iter().all(|item| item["bucket"] == "story"));
    // The next life says so, too, and takes nothing from there.
    cluster.stop(2);
    cluster.restart(2).await;
    assert_eq!(set_aside(&cluster).await, words);
    assert_eq!(keys_of(cluster.agree("story", 3).await.values()), left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_while_it_takes_from_a_backup_goes_on_with_it() {
    let cluster = Cluster::start(5).await;
    let client = cluster.client().await;
    // So many that it takes a while.
    const MANY: usize = 10 * ITEMS;
    let (alone, dir) = backed_up(&cluster, &client, MANY).await;
    // With n5 away nobody can complete what it owns, too: there is no end before the end.
    cluster.kill(&[5]);
    cluster.must(&["wipe", "2"]);
    must_restore(&cluster, &dir);
    let mut starting = cluster.begin(&["restart", "2"]);
    until("n2 has taken something", SOON, async || {
        match counted(&cluster, "quorate_restored_items_total").await? {
            0 => Err("nothing yet".into()),
            _ => Ok(()),
        }
    })
    .await;
    cluster.kill(&[2]);
    starting.kill().expect("ours");
    starting.wait().expect("ours");
    assert!(cluster.data(2).join("restored/log").exists(), "it is there for the next life");
    cluster.must(&["restart", "2", "5"]);
    set_aside(&cluster).await;
    let all: BTreeSet<String> = (0..MANY).map(key).collect();
    assert_eq!(keys_of(cluster.agree("story", 3).await.values()), all);
    is_kept(&client, &alone).await;
    let after = until("it is counted what came from where", SOON, async || {
        counted(&cluster, "quorate_restored_items_total").await
    })
    .await;
    assert!(after > 0, "the other life had taken everything, or this one nothing");
}

/// Else a disk that lets both down keeps the node from coming back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_that_rots_before_it_is_read_is_set_aside_and_the_others_give_everything()
{
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    write_all(&client, "story", ITEMS).await;
    let dir = must_back_up(&cluster, "backup").await;
    cluster.must(&["wipe", "2"]);
    must_restore(&cluster, &dir);
    let log = cluster.data(2).join("restored/log/0000000001.log");
    let mut bytes = fs::read(&log).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).expect("ours");
    cluster.restart(2).await;
    let words = set_aside(&cluster).await;
    assert!(words.contains("n = 1 are not back"), "{words}");
    let all: BTreeSet<String> = (0..ITEMS).map(key).collect();
    assert_eq!(keys_of(cluster.agree("story", 3).await.values()), all);
    let said = fs::read_to_string(cluster.node_dir(2).join("node.log")).expect("it writes one");
    assert!(said.contains("the restored backup is of no use"), "it says so");
}

/// Else what only the backup has is answered with "not found", for good, because somebody looked into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_that_is_in_use_when_its_node_starts_is_waited_for() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let (alone, dir) = backed_up(&cluster, &client, ITEMS).await;
    cluster.must(&["wipe", "2"]);
    must_restore(&cluster, &dir);
    // As a dump of it does.
    let lock = cluster.data(2).join("restored/LOCK");
    let lock = fs::File::create(lock).expect("a folder of ours");
    lock.lock().expect("nobody has it");
    let mut starting = cluster.begin(&["restart", "2"]);
    let all: BTreeSet<String> = (0..ITEMS).map(key).collect();
    until("all that has other owners is back, and the rest is waited for", SOON, async || {
        let status = cluster.get(2, "/v1/status").await.map_err(|error| error.to_string())?.json();
        let words = status["restored"].as_str().unwrap_or_default();
        let there = keys_of(cluster.dump(2, "story").await?.values());
        match words.contains("in use") && there == all {
            true => Ok(()),
            false => Err(format!("{} items, {words}", there.len())),
        }
    })
    .await;
    let ready = cluster.get(2, "/readyz").await.expect("it answers");
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(cluster.data(2).join("restored/log").exists());
    let unknown = client.get("alone", &alone).strict(true).await;
    assert!(unknown.is_err(), "nobody knows: {unknown:?}");
    drop(lock);
    starting.wait().expect("ours");
    cluster.ready(2).await;
    set_aside(&cluster).await;
    is_kept(&client, &alone).await;
}
