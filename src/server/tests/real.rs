//! The real machine on a real disk, as one node.

use super::*;
use crate::server::StartError;

fn start(config: &ServerConfig) -> Running {
    let running = Server::start(config.clone()).expect("a node");
    let http = running.http();
    eventually("ready", || http::ask(http, "GET", "/readyz", &[], b"").0 == 200);
    running
}

#[test]
fn what_was_acknowledged_is_there_after_an_orderly_stop_and_a_directory_has_one_node() {
    let above = tempfile::tempdir().expect("a temporary directory");
    let mut config = config();
    config.node.data_dir = above.path().join("data");
    config.cluster.bootstrap = true;
    config.cluster.partitions = 8;
    let path = "/v1/kv/b/k?w=1&r=1";

    let running = start(&config);
    assert_eq!(http::ask(running.http(), "PUT", path, &[], b"value").0, 204);
    eventually("the store's sizes are shown", || {
        let seen = metrics::scrape(running.http());
        let is_there = |name| seen[name] > 0.0;
        ["quorate_store_log_bytes", "quorate_store_index_bytes", "quorate_store_live_bytes"]
            .into_iter()
            .chain(["quorate_store_segments", "quorate_store_free_bytes"])
            .all(is_there)
            && seen["quorate_store_full"] == 0.0
            && seen["quorate_store_bytes"]
                == seen["quorate_store_log_bytes"] + seen["quorate_store_index_bytes"]
    });
    let error = Server::start(config.clone()).expect_err("in use");
    assert!(matches!(&error, StartError::Data(text) if text.contains("in use")), "{error}");
    running.stop();
    running.wait().expect("an orderly end");

    let running = start(&config);
    let answer = http::ask(running.http(), "GET", path, &[], b"");
    assert_eq!((answer.0, &answer.2[..]), (200, &b"value"[..]));
    running.stop();
    running.wait().expect("an orderly end");

    config.node.name = "n2".into();
    let error = Server::start(config).expect_err("another node's").to_string();
    assert!(error.starts_with("invalid: ") && error.contains("`n1`"), "{error}");
}

/// Else a node whose store is lost for the second time is alone in a cluster of its own.
#[test]
fn where_a_backup_was_restored_nobody_founds_a_cluster() {
    for lies_here in ["restored", "restored.set-aside-1"] {
        let above = tempfile::tempdir().expect("a temporary directory");
        let mut config = config();
        config.node.data_dir = above.path().join("data");
        config.cluster.bootstrap = true;
        std::fs::create_dir_all(config.node.data_dir.join(lies_here)).expect("made");
        let running = Server::start(config).expect("a node");
        let why = || String::from_utf8(http::ask(running.http(), "GET", "/readyz", &[], b"").2);
        let waits = || why().expect("text").contains("part of no cluster");
        // A node that founds a cluster does so while it opens: none is ever seen to be part of no cluster.
        eventually(&format!("beside {lies_here} it says why it waits"), waits);
        running.stop();
        running.wait().expect("an orderly end");
    }
}

#[test]
fn a_page_sees_verdict_ring_members_and_a_timeline() {
    let above = tempfile::tempdir().expect("a temporary directory");
    let mut config = config();
    config.node.data_dir = above.path().join("data");
    config.cluster.bootstrap = true;
    config.cluster.partitions = 8;
    let running = start(&config);
    let mut events = page::Events::open(running.http());
    let ring = events.next("ring");
    assert_eq!(ring["arcs"], serde_json::json!([[0, 8, [0]]]), "{ring}");
    let entries = &events.next("timeline")["entries"];
    assert_eq!((&entries[0]["what"], &entries[0]["number"]), (&"watching".into(), &1.into()));
    let snapshot = events.next("snapshot");
    assert!(snapshot["status"]["verdict"].is_string(), "{snapshot}");
    let me = &snapshot["members"][0];
    assert_eq!((&me["name"], &me["state"]), (&"n1".into(), &"alive".into()), "{me}");
    assert_eq!((&me["local_health"], &me["rebuilding"]), (&0.into(), &false.into()), "{me}");
    assert_eq!(snapshot["hints"]["pending"], 0);
    // Who comes later is told of it, too.
    let mut second = page::Events::open(running.http());
    second.next("ring");
    running.stop();
    running.wait().expect("an orderly end");
}
