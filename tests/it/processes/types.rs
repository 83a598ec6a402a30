//! Counters and sets through all nodes: from Rust, over HTTP, on the command line, with a node killed.

use super::cluster::{Cluster, SOON, complained, quorate, said, until};
use super::http::Answer;
use quorate::Error;
use quorate::client::{Bytes, DataType, FieldUpdate, FieldValue};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_values_are_one_thing_through_all_nodes_and_doors() {
    let mut cluster = Cluster::start(3).await;
    counters(&cluster).await;
    sets(&cluster).await;
    maps_registers_and_hlls(&cluster).await;
    what_is_refused(&cluster).await;
    with_a_node_killed(&mut cluster).await;
}

async fn post(cluster: &Cluster, node: u16, path: &str, name: &str, body: Value) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    if !name.is_empty() {
        headers.push(("X-Quorate-Operation", name));
    }
    let path = format!("/v1/types/{path}");
    cluster.ask(node, "POST", &path, &headers, body.to_string().as_bytes()).await
}

/// What the command line says, through a node.
fn typed(cluster: &Cluster, node: u16, words: &[&str]) -> String {
    let node = cluster.native(node).to_string();
    let output = quorate(words.iter().copied().chain(["--node", &node]));
    assert!(output.status.success(), "{words:?}: {}", complained(&output));
    said(&output)
}

async fn counters(cluster: &Cluster) {
    assert_eq!(
        typed(cluster, 1, &["bucket", "create", "visits", "--type", "counter"]),
        "visits is ready"
    );
    let mut adders = tokio::task::JoinSet::new();
    for number in 1..=3 {
        let client = cluster.client_of(&[number]).await;
        adders.spawn(async move {
            for _ in 0..100 {
                client.counter("visits").add("page", 2).await.expect("counted");
            }
        });
    }
    while let Some(done) = adders.join_next().await {
        done.expect("no panic");
    }
    // The same operation through every node is one; and each node counts on a share of its own.
    for node in [1, 2, 3, 1] {
        let answer =
            post(cluster, node, "visits/page", "order-17", json!({ "increment": 5 })).await;
        assert_eq!(answer.json(), json!({ "type": "counter", "value": 605 }), "n{node}");
        post(cluster, node, "visits/page", "", json!({ "increment": -1 })).await;
        post(cluster, node, "visits/page", "", json!({ "increment": 1 })).await;
    }
    assert_eq!(typed(cluster, 2, &["counter", "add", "visits", "page", "-5"]), "600");
    for node in 1..=3 {
        let expected = json!({ "type": "counter", "value": 600 });
        assert_eq!(cluster.json(node, "/v1/types/visits/page").await, expected);
        assert_eq!(typed(cluster, node, &["counter", "get", "visits", "page"]), "600");
    }
}

async fn sets(cluster: &Cluster) {
    let client = cluster.client().await;
    // The first add creates the bucket, with its type.
    client.set("fans").add("alice", (0..2_000).map(|n| format!("fan{n:04}"))).await.expect("added");
    let answer = post(
        cluster,
        2,
        "fans/alice",
        "",
        json!({ "remove": ["fan0000", "nobody"], "add": ["zoe"] }),
    );
    assert_eq!(answer.await.json(), json!({ "type": "set", "removed": 1 }));
    let (mut from, mut members) = (String::new(), Vec::new());
    loop {
        let page = cluster.json(3, &format!("/v1/types/fans/alice?from={from}")).await;
        members.extend(page["members"].as_array().expect("a page").clone());
        match page["next"].as_str() {
            // It ends with a zero byte.
            Some(next) => from = next.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            None => break,
        }
    }
    assert_eq!(
        (members.len(), &members[0], &members[1_999]),
        (2_000, &json!("fan0001"), &json!("zoe"))
    );
    assert_eq!(client.set("fans").size("alice").await, Ok(2_000));
    let contains = |member: &str| format!("/v1/types/fans/alice?member={member}");
    let expected = |there: bool| json!({ "type": "set", "contains": there });
    assert_eq!(cluster.json(1, &contains("zoe")).await, expected(true));
    assert_eq!(cluster.json(1, &contains("fan0000")).await, expected(false));
    typed(cluster, 1, &["set", "add", "fans", "bob", "x", "y"]);
    assert_eq!(typed(cluster, 2, &["set", "remove", "fans", "bob", "x", "z"]), "1");
    assert_eq!(typed(cluster, 3, &["set", "members", "fans", "bob"]), "y");
    assert_eq!(typed(cluster, 3, &["set", "contains", "fans", "bob", "x"]), "false");
}

async fn maps_registers_and_hlls(cluster: &Cluster) {
    let client = cluster.client().await;
    client
        .map("carts")
        .update("c", "note", FieldUpdate::Assign("fast".into()))
        .await
        .expect("assigned");
    let body = json!({ "fields": {
        "apples": { "increment": 3 }, "tags": { "add": ["a", "b"] }, "gift": { "flag": true }, "gone": null,
    }});
    let answer = post(cluster, 2, "carts/c", "", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = client.map("carts").fields("c").collect().await.expect("read");
    let expected: [(Bytes, FieldValue); 4] = [
        ("apples".into(), FieldValue::Counter(3)),
        ("gift".into(), FieldValue::Flag(true)),
        ("note".into(), FieldValue::Register("fast".into())),
        ("tags".into(), FieldValue::Set(vec!["a".into(), "b".into()])),
    ];
    assert_eq!(all, expected);
    // One field is of another type: the others are done, and each says what became of it.
    let body = json!({ "fields": { "apples": { "assign": "x" }, "gift": { "flag": false } } });
    let answer = post(cluster, 3, "carts/c", "", body).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid".into()));
    assert_eq!(
        answer.json()["fields"][1],
        json!({ "field": "gift", "type": "flag", "value": false })
    );

    typed(cluster, 1, &["register", "assign", "names", "k", "old"]);
    let assigned = post(cluster, 3, "names/k", "", json!({ "assign": { "base64": "/w==" } })).await;
    assert_eq!(assigned.status, 200);
    let expected = json!({ "type": "register", "value": { "base64": "/w==" } });
    assert_eq!(cluster.json(2, "/v1/types/names/k").await, expected);
    typed(cluster, 1, &["hll", "add", "seen", "k", "a", "b"]);
    post(cluster, 2, "seen/k", "", json!({ "add": ["b", "c"] })).await;
    assert_eq!(typed(cluster, 3, &["hll", "count", "seen", "k"]), "3");
}

async fn what_is_refused(cluster: &Cluster) {
    let client = cluster.client().await;
    for put in [client.put("visits", "page", "5"), client.put("fans", "alice", "x").sort("m")] {
        let refused = put.await;
        assert!(
            matches!(&refused, Err(Error::Invalid(text)) if text.contains("/v1/types/")),
            "{refused:?}"
        );
    }
    let raw = cluster.ask(2, "PUT", "/v1/kv/visits/page", &[], b"NaN").await;
    assert_eq!((raw.status, raw.code()), (400, "invalid".into()));
    for body in [
        r#"{"increment": NaN}"#,
        r#"{"increment": 1e400}"#,
        r#"{"increment": 9223372036854775807}"#,
        "",
        "[]",
        r#"{"add": ["x"]}"#,
    ] {
        let headers = [("Content-Type", "application/json")];
        let answer =
            cluster.ask(1, "POST", "/v1/types/visits/page", &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid".into()), "{body}");
    }
    let form = cluster.ask(1, "POST", "/v1/types/visits/page", &[], br#"{"increment":1}"#).await;
    assert_eq!(form.status, 415);
    let nowhere = post(cluster, 1, "nowhere/k", "", json!({ "increment": 1 })).await;
    assert_eq!((nowhere.status, nowhere.code()), (404, "not_found".into()));
    client.put("plain", "k", "v").await.expect("a bucket of bytes");
    let plain = post(cluster, 1, "plain/k", "", json!({ "increment": 1 })).await;
    assert_eq!((plain.status, plain.code()), (400, "invalid".into()));
    let refused = client.counter("plain").add("k", 1).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let other = client.create_bucket("visits").data_type(DataType::Set).await;
    assert!(matches!(other, Err(Error::Invalid(_))), "{other:?}");
    let lww = client.create_bucket("both").data_type(DataType::Set).lww(true).await;
    assert!(matches!(lww, Err(Error::Invalid(_))), "{lww:?}");
    // All of that has changed nothing.
    assert_eq!(client.counter("visits").get("page").await, Ok(600));
}

/// A node dies in the middle: what was acknowledged is counted, once.
async fn with_a_node_killed(cluster: &mut Cluster) {
    let client = cluster.client().await;
    let (mut sum, mut unsure) = (600, 0);
    for n in 0..60 {
        if n == 20 {
            cluster.kill(&[3]);
        }
        match client.counter("visits").add("page", 1).await {
            Ok(_) => sum += 1,
            Err(Error::OutcomeUnknown { .. }) => unsure += 1,
            Err(error) if error.is_retryable() => {}
            Err(error) => panic!("{error}"),
        }
    }
    cluster.restart(3).await;
    let mut seen = Vec::new();
    for number in 1..=3 {
        let client = cluster.client_of(&[number]).await;
        let value = until("the counter is read", SOON, async || {
            client.counter("visits").get("page").await.map_err(|error| error.to_string())
        });
        seen.push(value.await);
    }
    assert!(seen.iter().all(|value| *value == seen[0]), "{seen:?}");
    assert!((sum..=sum + unsure).contains(&seen[0]), "{} is not {sum} to {unsure} more", seen[0]);
}
