//! `quorate latency`: every node has a line of its own.

use super::cluster::{Cluster, complained, quorate, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_is_asked_and_has_figures_of_its_own() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    client.put("timed", "k", "v").await.expect("acknowledged");
    let node = cluster.native(2).to_string();
    let words = ["latency", "--node", &node, "--duration", "1s", "--bucket", "timed", "--key", "k"];
    let output = quorate(words.into_iter().chain(["-o", "json"]));
    assert!(output.status.success(), "{}", complained(&output));
    let report: serde_json::Value = serde_json::from_str(&said(&output)).expect("JSON");
    let nodes = report["nodes"].as_array().expect("a list");
    let names = nodes.iter().map(|n| (n["node"].as_str(), n["asked"].as_str()));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let expected = ["n1", "n2", "n3"].map(|n| [(Some(n), Some("get")), (Some(n), Some("ping"))]);
    assert_eq!(names, expected.concat());
    for node in nodes {
        let figures = ["min_us", "p50_us", "p99_us", "max_us"].map(|name| node[name].as_u64());
        assert!(figures[0] > Some(0) && figures.is_sorted(), "{node}");
        assert!(node["count"].as_u64() > Some(1) && node["failed"] == 0, "{node}");
    }
    let table = quorate(["latency", "--node", &node, "--duration", "200ms"]);
    assert!(table.status.success(), "{}", complained(&table));
    assert!(said(&table).starts_with("NODE") && said(&table).contains("n3"), "{}", said(&table));
}
