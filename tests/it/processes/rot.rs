//! Bits that flip in the files of real nodes: found by a scrub, never served, mended from the others.

use super::cluster::{Cluster, SOON, complained, quorate, said, until};
use quorate::client::{Client, Consistency};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const ITEMS: usize = 120;

fn value(number: usize) -> String {
    format!("payload-{number:04}-{}", "x".repeat(300))
}

/// The segments of a node's log.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let logs = files.into_iter().filter(|path| {
        path.extension().is_some_and(|e| e == "log")
            && path.parent().is_some_and(|p| p.ends_with("log"))
    });
    logs.chain(folders.iter().flat_map(|folder| segments(folder))).collect()
}

/// Flips a bit of this item's value wherever it lies in the node's log.
fn flip(cluster: &Cluster, node: u16, number: usize) {
    use std::os::unix::fs::FileExt;
    let needle = format!("payload-{number:04}-");
    let mut flipped = 0;
    for path in segments(&cluster.data(node)) {
        let bytes = fs::read(&path).expect("readable");
        let file = fs::File::options().write(true).open(&path).expect("ours");
        let found =
            bytes.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle.as_bytes());
        for (at, _) in found {
            let at = at + 20 + number % 200;
            file.write_all_at(&[bytes[at] ^ 1 << (number % 8)], at as u64).expect("ours");
            flipped += 1;
        }
    }
    assert!(flipped > 0, "n{node} has no {needle}");
}

fn scrub(cluster: &Cluster) -> Value {
    let node = cluster.native(1).to_string();
    let scrubbed = quorate(["scrub", "--wait", "--rate", "64MiB", "-o", "json", "--node", &node]);
    assert!(scrubbed.status.success(), "{}", complained(&scrubbed));
    serde_json::from_str(&said(&scrubbed)).expect("JSON")
}

fn of<'a>(told: &'a Value, node: &str) -> &'a Value {
    let nodes = told["nodes"].as_array().expect("nodes");
    nodes.iter().find(|told| told["name"] == node).expect("it answered")
}

async fn serves_all(client: &Client, level: Consistency) {
    for number in 0..ITEMS {
        let got = client.get("rot", format!("k{number}")).consistency(level).await;
        let got = got.unwrap_or_else(|error| panic!("k{number}: {error}"));
        let bytes = got.value().expect("one").expect("it is there");
        assert_eq!(&bytes[..], value(number).as_bytes(), "k{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_that_flip_in_the_log_are_found_never_served_and_mended_from_the_others() {
    let settings = [("QUORATE_TIMING__SYNC", "3s"), ("QUORATE_STORE__SEGMENT_BYTES", "16KiB")];
    let cluster = Cluster::start_with(3, &settings).await;
    let client = cluster.client().await;
    for number in 0..ITEMS {
        let put = client.put("rot", format!("k{number}"), value(number));
        put.consistency(Consistency::All).await.expect("acknowledged");
    }
    let calm = scrub(&cluster);
    for node in ["n1", "n2", "n3"] {
        let told = of(&calm, node);
        assert!(told["records"].as_u64() >= Some(ITEMS as u64), "{told}");
        for field in ["damaged", "left", "alone", "places", "index", "trees_differed"] {
            assert_eq!(told[field], 0, "{node}: {field}: {told}");
        }
        assert!(told["trees"].as_u64() > Some(0), "{told}");
    }

    // A node that is down, in its oldest segments as in its newest.
    cluster.stop(2);
    (0..ITEMS).step_by(9).for_each(|number| flip(&cluster, 2, number));
    cluster.restart(2).await;
    let second = cluster.client_of(&[2]).await;
    serves_all(&second, Consistency::One).await;
    let told = scrub(&cluster);
    let flipped = ITEMS.div_ceil(9);
    let rot = of(&told, "n2");
    // Reading has found some already. The counters are told once a second.
    until("all that rotted is counted as mended", SOON, async || {
        let metrics = cluster.get(2, "/metrics").await.expect("it answers").text();
        let line = metrics.lines().find_map(|l| l.strip_prefix("quorate_records_mended_total "));
        let count: usize = line.expect("it is told").parse().expect("a number");
        if count == flipped { Ok(()) } else { Err(format!("{count} of {flipped}")) }
    })
    .await;
    assert!(rot["places"].as_u64() > Some(0), "{rot}");
    assert_eq!((&rot["left"], &rot["alone"]), (&0.into(), &0.into()));
    assert_eq!(of(&told, "n1")["damaged"], 0);

    // A node that runs, and that nobody asks for what has rotted.
    (3..ITEMS).step_by(8).for_each(|number| flip(&cluster, 3, number));
    let told = scrub(&cluster);
    let rot = of(&told, "n3");
    let flipped = (3..ITEMS).step_by(8).count();
    assert_eq!((&rot["damaged"], &rot["mended"]), (&flipped.into(), &flipped.into()), "{rot}");
    assert_eq!(
        (&rot["left"], &rot["index"], &rot["trees_differed"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(of(&told, "n2")["damaged"], 0, "it was mended for good");
    let third = cluster.client_of(&[3]).await;
    serves_all(&third, Consistency::One).await;
    assert_eq!(cluster.agree("rot", 3).await.len(), ITEMS);

    // Mended means that it lies there whole: also after a start from the log alone.
    cluster.stop(3);
    let index = segments(&cluster.data(3))[0].parent().expect("log").with_file_name("index");
    fs::remove_dir_all(&index).expect("the index may go at any time");
    cluster.restart(3).await;
    serves_all(&cluster.client_of(&[3]).await, Consistency::All).await;
}
