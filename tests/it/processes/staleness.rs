//! `quorate status --staleness` and `/v1/staleness`, on real processes: nothing is made up, and then it is told.

use super::cluster::{Cluster, complained, quorate, said, text};
use quorate::client::{Client, Consistency};
use serde_json::Value;

/// More than a node needs of each kind, for some answers of a busy machine come too late to count.
const WRITES: usize = 400;

fn status(node: &str, more: &[&str]) -> String {
    let words = ["status", "--staleness", "--node", node];
    let output = quorate(words.into_iter().chain(more.iter().copied()));
    assert!(output.status.success(), "{}", complained(&output));
    said(&output)
}

fn json(node: &str) -> Value {
    let answer: Value = serde_json::from_str(&status(node, &["-o", "json"])).expect("JSON");
    answer["staleness"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_what_it_has_not_seen_enough_of_and_predicts_when_it_has() {
    let cluster = Cluster::start(3).await;
    let node = cluster.native(1).to_string();
    let before = json(&node);
    assert_eq!((&before["enough"], &before["predictions"]), (&false.into(), &Value::Array(vec![])));
    assert!(text(&before["verdict"]).starts_with("not enough samples yet: "), "{before}");
    assert!(status(&node, &[]).contains("not enough samples yet: "));

    // Every node owns everything here: what goes to one is coordinated by it.
    let client = Client::builder().nodes([node.clone()]).build().await.expect("connected");
    for number in 0..WRITES {
        let key = format!("k{number}");
        client.put("fresh", key, "v").consistency(Consistency::Two).await.expect("acknowledged");
    }
    let after = json(&node);
    assert_eq!(after["enough"], true, "the ways are sounded while it is waited for: {after}");
    let pairs = after["predictions"].as_array().expect("a list");
    assert_eq!(pairs.len(), 9);
    for pair in pairs {
        let number = |name: &str| pair[name].as_u64().expect("a number");
        let stale = pair["elsewhere"]["stale"].as_array().expect("a chance for each time");
        let chances: Vec<f64> = stale.iter().map(|s| s.as_f64().expect("a number")).collect();
        assert!(chances.is_sorted_by(|a, b| a >= b), "{pair}");
        if number("r") + number("w") > 3 {
            assert!(chances.iter().all(|chance| *chance == 0.0), "{pair}");
        }
    }
    let table = status(&node, &[]);
    assert!(table.contains("99.9 % FRESH AFTER") && table.contains("n3"), "{table}");
    assert_eq!(cluster.json(1, "/v1/staleness").await["enough"], true);
}
