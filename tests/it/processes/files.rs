//! Files on real nodes, one of which is killed while a file is read.

use super::cluster::{Cluster, QUORATE, complained};
use quorate::client::Context;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn file(cluster: &Cluster, arguments: &[&str]) -> Output {
    let nodes: Vec<String> =
        cluster.numbers().iter().map(|number| cluster.native(*number).to_string()).collect();
    let mut command = Command::new(QUORATE);
    command.arg("file").args(arguments).args(["--node", &nodes.join(",")]);
    command.output().expect("started")
}

fn ok(cluster: &Cluster, arguments: &[&str]) -> Vec<u8> {
    let output = file(cluster, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", complained(&output));
    output.stdout
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_back_also_when_a_node_dies_and_a_lost_piece_is_noticed() {
    let cluster = Cluster::start(3).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let mut random = fastrand::Rng::with_seed(7);
    let content: Vec<u8> = (0..9_000_001).map(|_| random.u8(..)).collect();
    std::fs::write(&from, &content).expect("written");

    ok(&cluster, &["put", path(&from), "a/large"]);
    ok(&cluster, &["put", path(&from), "a/large"]);
    std::fs::write(&from, b"small").expect("written");
    ok(&cluster, &["put", path(&from), "small"]);
    let listed: Value =
        serde_json::from_slice(&ok(&cluster, &["list", "-o", "json"])).expect("JSON");
    let sizes: Vec<_> =
        listed["files"].as_array().expect("a list").iter().map(|f| &f["size"]).collect();
    assert_eq!(sizes, [&9_000_001, &5]);
    assert_eq!(listed["files"][0]["blake3"], blake3_of(&content));

    cluster.kill(&[2]);
    ok(&cluster, &["get", "a/large", path(&to)]);
    assert!(std::fs::read(&to).expect("there") == content);
    assert_eq!(ok(&cluster, &["get", "small", "-"]), b"small");
    ok(&cluster, &["verify"]);
    cluster.restart(2).await;

    // Pieces have names of their own; one of the large file's is taken away behind its back.
    let client = cluster.client().await;
    let mut keys = client.keys("files.pieces");
    let mut pieces = Vec::new();
    while let Some(page) = keys.next_page().await.expect("read") {
        pieces.extend(page);
    }
    assert_eq!(pieces.len(), 18 + 1, "of the first put of it nothing is left");
    let mut taken = false;
    for key in pieces {
        let got = client.get("files.pieces", &key).await.expect("read");
        if !taken && got.value().expect("one").expect("there").len() > 100 {
            let context: Context = got.context;
            client.delete("files.pieces", &key).context(&context).await.expect("deleted");
            taken = true;
        }
    }
    let verdict = file(&cluster, &["verify", "-o", "json"]);
    assert_eq!(verdict.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&verdict.stdout).expect("JSON");
    assert_eq!(
        (&verdict["files"][0]["ok"], &verdict["files"][1]["ok"]),
        (&false.into(), &true.into())
    );
    let refused = file(&cluster, &["get", "a/large", path(&to)]);
    assert!(complained(&refused).starts_with("not_found: "), "{}", complained(&refused));
    assert!(std::fs::read(&to).expect("there") == content, "what was there stays");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "and nothing half");

    ok(&cluster, &["delete", "a/large"]);
    ok(&cluster, &["delete", "small"]);
    assert!(complained(&file(&cluster, &["delete", "small"])).starts_with("not_found: "));
    let left = client.keys("files.pieces").next_page().await.expect("read");
    assert!(left.is_none_or(|page| page.is_empty()), "no piece is left");
}

fn blake3_of(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}
