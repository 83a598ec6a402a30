//! Lists of keys, scans in reverse, batches and conditions, by real nodes: over HTTP, on the command line, from Rust.

use super::cluster::{Cluster, complained, quorate, said, text};
use super::http::{unbase64, values};
use quorate::client::{Bytes, Outcome};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_in_batches_is_listed_scanned_back_and_guarded_by_conditions() {
    let cluster = Cluster::start(3).await;
    batches_of_the_library(&cluster).await;
    lists_over_http_and_typed(&cluster).await;
    batches_over_http(&cluster).await;
    scans_in_reverse(&cluster).await;
    conditions(&cluster).await;
    packed_for_who_accepts_it(&cluster).await;
    with_a_node_killed(&cluster).await;
}

fn key(n: usize) -> String {
    format!("user/{n:03}")
}

async fn batches_of_the_library(cluster: &Cluster) {
    let client = cluster.client().await;
    let mut batch = client.batch().in_flight(16);
    for n in 0..200 {
        batch = batch.put(client.put("people", key(n), format!("v{n}")));
    }
    assert!(batch.await.iter().all(Outcome::is_ok));
    let mut reads = client.batch();
    for n in 0..200 {
        reads = reads.get(client.get("people", key(n)));
    }
    let reads = reads.get(client.get("people", "nobody")).await;
    for (n, outcome) in reads[..200].iter().enumerate() {
        let Outcome::Get(Ok(got)) = outcome else { panic!("{outcome:?}") };
        let expected = Bytes::from(format!("v{n}"));
        assert_eq!(got.value(), Ok(Some(&expected)), "outcomes come in the order of the requests");
    }
    assert!(matches!(&reads[200], Outcome::Get(Ok(got)) if got.is_empty()));
    let mut keys = client.keys("people").prefix("user/01").page(3).await.expect("listed");
    keys.sort();
    assert_eq!(keys, (10..20).map(|n| Bytes::from(key(n))).collect::<Vec<_>>());
}

/// What the command line says, through the first node.
fn typed(cluster: &Cluster, words: &[&str]) -> String {
    let node = cluster.native(1).to_string();
    let output = quorate(words.iter().copied().chain(["--node", &node]));
    assert!(output.status.success(), "{words:?}: {}", complained(&output));
    said(&output)
}

async fn lists_over_http_and_typed(cluster: &Cluster) {
    let (mut cursor, mut found) = (String::new(), Vec::new());
    for page in 0.. {
        // Page after page through another node.
        let node = 1 + page % 3;
        let path = format!("/v1/kv/people?limit=30&prefix=user%2F&cursor={cursor}");
        let answer = cluster.json(node, &path).await;
        let keys = answer["keys"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        found.extend(keys.iter().map(|key| String::from_utf8(unbase64(text(key))).expect("text")));
        match &answer["next"] {
            Value::Null => break,
            next => cursor = text(next).into(),
        }
    }
    found.sort();
    let all: Vec<String> = (0..200).map(key).collect();
    assert_eq!(found, all);
    let refused = cluster.get(1, "/v1/kv/people?cursor=nonsense").await.expect("an answer");
    assert_eq!((refused.status, refused.code()), (400, "invalid".into()));
    let lines = typed(cluster, &["keys", "people", "--prefix", "user/"]);
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, all);
    assert_eq!(typed(cluster, &["keys", "people", "--limit", "7"]).lines().count(), 7);
    let line = typed(cluster, &["keys", "people", "--prefix", "user/017", "-o", "json"]);
    let line: Value = serde_json::from_str(line.trim()).expect("JSON");
    assert_eq!(unbase64(text(&line["key"])), b"user/017");
    // What is deleted is not listed.
    let context = cluster.get(2, "/v1/kv/people/user%2F017").await.expect("read");
    let delete = [("X-Quorate-Context", context.context())];
    let gone = cluster.ask(1, "DELETE", "/v1/kv/people/user%2F017?w=3", &delete, b"").await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(typed(cluster, &["keys", "people", "--prefix", "user/017"]), "");
    let nowhere = cluster.json(3, "/v1/kv/nowhere").await;
    assert_eq!(nowhere, json!({"keys": [], "next": null}));
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

async fn batches_over_http(cluster: &Cluster) {
    let batch = json!({"operations": [
        {"op": "put", "bucket": "mixed", "key_text": "a", "text": "one"},
        {"op": "put", "bucket": "mixed", "key": "Yg==", "value": "dHdv", "sort_text": "s", "operation": "o-1"},
        {"op": "put", "bucket": "Not a bucket", "key_text": "a", "text": "x"},
        {"op": "delete", "bucket": "mixed", "key_text": "c"},
    ]});
    let sent = cluster.ask(2, "POST", "/v1/batch", &JSON, batch.to_string().as_bytes()).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let outcomes = sent.json()["outcomes"].clone();
    let status = |nth: usize| outcomes[nth]["status"].as_u64();
    assert_eq!([0, 1, 2, 3].map(status), [204, 204, 400, 204].map(Some), "{outcomes}");
    assert_eq!(outcomes[2]["error"]["code"], "invalid");
    let again = cluster.ask(1, "POST", "/v1/batch?w=3", &JSON, batch.to_string().as_bytes()).await;
    assert_eq!(again.json()["outcomes"][1]["status"], 204, "a named write is one write");
    let reads = json!({"operations": [
        {"op": "get", "bucket": "mixed", "key_text": "b", "sort": "cw=="},
        {"op": "get", "bucket": "mixed", "key_text": "nothing"},
    ]});
    let read = cluster.ask(3, "POST", "/v1/batch?r=3", &JSON, reads.to_string().as_bytes()).await;
    let outcomes = read.json()["outcomes"].clone();
    assert_eq!(values(&outcomes[0]), ["two"]);
    assert_eq!(outcomes[1]["siblings"], json!([]));
    for (body, kind) in [
        (
            "{\"operations\":[{\"op\":\"put\",\"bucket\":\"mixed\",\"key_text\":\"zz\",\"text\":\"x\"},{\"op\":\"get\"}]}",
            "application/json",
        ),
        (
            "{\"operations\":[{\"op\":\"put\",\"bucket\":\"mixed\",\"key\":\"*\",\"text\":\"x\"}]}",
            "application/json",
        ),
        ("[", "application/json"),
    ] {
        let headers = [("Content-Type", kind)];
        let refused = cluster.ask(1, "POST", "/v1/batch", &headers, body.as_bytes()).await;
        assert_eq!((refused.status, refused.code()), (400, "invalid".into()), "{body}");
    }
    let typed = [("Content-Type", "text/plain")];
    let refused = cluster.ask(1, "POST", "/v1/batch", &typed, batch.to_string().as_bytes()).await;
    assert_eq!(refused.status, 415, "no page of a stranger's makes a browser write");
    let zz = cluster.get(1, "/v1/kv/mixed/zz").await.expect("an answer");
    assert_eq!(zz.status, 404, "of a batch that cannot be read nothing is done");
}

async fn scans_in_reverse(cluster: &Cluster) {
    let client = cluster.client().await;
    for n in 0..50 {
        client.put("rows", "k", "v").sort(format!("{n:02}")).await.expect("written");
    }
    let back = client.scan("rows", "k").reverse().page(7).await.expect("scanned");
    let sorts: Vec<String> =
        back.iter().map(|item| String::from_utf8_lossy(&item.sort).into_owned()).collect();
    assert_eq!(sorts, (0..50).rev().map(|n| format!("{n:02}")).collect::<Vec<_>>());
    let (mut to, mut found) = (String::new(), 0);
    loop {
        let path = format!("/v1/kv/rows/k?scan=true&reverse=true&limit=20&from=05&to={to}");
        let page = cluster.json(1, &path).await;
        found += page["items"].as_array().expect("items").len();
        match &page["next"] {
            Value::Null => break,
            next => to = String::from_utf8(unbase64(text(next))).expect("text"),
        }
    }
    assert_eq!(found, 45);
    let page = typed(cluster, &["scan", "rows", "k", "--reverse", "--prefix", "1", "--limit", "2"]);
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines[1].starts_with("19") && lines[2].starts_with("18"), "{page}");
    assert_eq!(lines[3], "… goes on before --to 18");
}

async fn conditions(cluster: &Cluster) {
    let path = "/v1/kv/guarded/k";
    let put = |number: u16, condition: String, value: &'static str| async move {
        let headers = [("If-Match", condition.as_str())];
        cluster.ask(number, "PUT", path, &headers, value.as_bytes()).await
    };
    let first = put(1, "\"\"".into(), "1").await;
    assert_eq!(first.status, 204, "nothing was seen, and nothing is there: {}", first.text());
    let refused = put(2, "\"\"".into(), "2").await;
    assert_eq!((refused.status, refused.code()), (412, "context_mismatch".into()));
    let second = put(3, format!("\"{}\"", first.context()), "2").await;
    assert_eq!(second.status, 204, "{}", second.text());
    let stale = put(1, first.context().into(), "3").await;
    assert_eq!(stale.status, 412);
    let headers = [("If-Match", first.context())];
    assert_eq!(cluster.ask(2, "DELETE", path, &headers, b"").await.status, 412);
    let got = cluster.get(1, path).await.expect("read");
    assert_eq!((got.status, got.text()), (200, "2".into()));
    let headers = [("If-Match", got.context())];
    assert_eq!(cluster.ask(2, "DELETE", path, &headers, b"").await.status, 204);
    assert_eq!(cluster.get(3, path).await.expect("read").status, 404);
}

async fn packed_for_who_accepts_it(cluster: &Cluster) {
    let value = vec![b'x'; 64 << 10];
    assert_eq!(cluster.ask(1, "PUT", "/v1/kv/large/k", &[], &value).await.status, 204);
    let accept = [("Accept-Encoding", "gzip")];
    let packed = cluster.ask(2, "GET", "/v1/kv/large/k", &accept, b"").await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert!(packed.body.len() < 4_096, "{} bytes", packed.body.len());
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_end(&mut reader, &mut unpacked).expect("gzip");
    assert!(unpacked == value);
    let plain = cluster.get(2, "/v1/kv/large/k").await.expect("read");
    assert!(plain.header("content-encoding").is_empty() && plain.body == value);
    let small = cluster.ask(2, "GET", "/v1/kv/guarded/k", &accept, b"").await;
    assert_eq!(small.header("content-encoding"), "", "what is small is sent as it is");
}

async fn with_a_node_killed(cluster: &Cluster) {
    cluster.kill(&[2]);
    let client = cluster.client_of(&[1, 3]).await;
    let keys = client.keys("people").timeout(std::time::Duration::from_secs(20)).await;
    assert_eq!(keys.expect("two of three are a quorum").len(), 199);
    let back = client.scan("rows", "k").reverse().limit(3).await.expect("scanned");
    assert_eq!(back[0].sort, "49");
}
