//! Waiting for a change at a node that did not take it.

use super::cluster::{Cluster, SOON};
use super::http::unbase64;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn put(cluster: &Cluster, through: u16, path: &str, value: &[u8]) -> String {
    let put = cluster.ask(through, "PUT", &format!("/v1/kv/{path}"), &[], value).await;
    assert_eq!(put.status, 204, "{}", put.text());
    put.context().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_of_what_another_node_took_also_when_a_third_dies() {
    let cluster = Cluster::start(3).await;
    let poll = async |through: u16, path: &str| {
        cluster.ask(through, "GET", &format!("/v1/watch/{path}"), &[], b"").await
    };
    // Nothing was ever written, and nothing is: that is known when the time is over.
    let asked = Instant::now();
    assert_eq!(poll(3, "b/k?timeout=300ms").await.status, 304);
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());

    // What is there already is told at once, and then no more.
    let written = put(&cluster, 1, "b/k", b"one").await;
    let told = poll(3, "b/k").await;
    assert_eq!(told.status, 200, "{}", told.text());
    let seen = told.json()["seen"].as_str().expect("text").to_owned();
    assert_eq!(unbase64(told.json()["siblings"][0]["value"].as_str().expect("text")), b"one");
    for seen in [&seen, &written] {
        assert_eq!(poll(2, &format!("b/k?timeout=300ms&seen={seen}")).await.status, 304);
    }

    // A change while somebody waits, and while a node dies: a write, and then a delete.
    let path = format!("b/k?timeout=9s&seen={seen}");
    let change = async {
        cluster.kill(&[2]);
        let path = "/v1/kv/b/k";
        cluster.ask(1, "PUT", path, &[("x-quorate-context", &seen)], b"two").await
    };
    let (told, changed) = tokio::join!(poll(3, &path), change);
    assert_eq!((told.status, changed.status), (200, 204), "{} {}", told.text(), changed.text());
    assert_eq!(unbase64(told.json()["siblings"][0]["value"].as_str().expect("text")), b"two");
    let seen = told.json()["seen"].as_str().expect("text").to_owned();
    let path = format!("b/k?timeout=9s&seen={seen}");
    let headers = [("x-quorate-context", seen.as_str())];
    let delete = cluster.ask(1, "DELETE", "/v1/kv/b/k", &headers, b"");
    let (told, deleted) = tokio::join!(poll(3, &path), delete);
    assert_eq!((told.status, deleted.status), (200, 204), "{}", told.text());
    assert_eq!(told.json()["siblings"], serde_json::json!([]));

    for (path, status) in [
        ("b/k?seen=!", 400),
        ("b/k?seen=AAAA", 400),
        ("b/k?from=a", 400),
        ("b/k?scan=true&sort=a", 400),
        ("b/k?scan=true&seen=AAAA", 400),
        ("b/?timeout=1s", 400),
    ] {
        let refused = poll(3, path).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_tells_what_is_new_and_what_is_left() {
    let cluster = Cluster::start(3).await;
    let poll =
        async |path: &str| cluster.ask(3, "GET", &format!("/v1/watch/{path}"), &[], b"").await;
    let empty = poll("b/k?scan=true&prefix=a").await;
    assert_eq!((empty.status, &empty.json()["items"]), (200, &serde_json::json!([])));
    let seen = empty.json()["seen"].as_str().expect("text").to_owned();
    let context = put(&cluster, 1, "b/k?sort=a1", b"1").await;
    put(&cluster, 1, "b/k?sort=b1", b"not in it").await;
    let told = poll(&format!("b/k?scan=true&prefix=a&seen={seen}")).await;
    assert_eq!(told.json()["items"].as_array().map(Vec::len), Some(1), "{}", told.text());
    let seen = told.json()["seen"].as_str().expect("text").to_owned();
    let path = format!("b/k?scan=true&prefix=a&timeout=9s&seen={seen}");
    let change = put(&cluster, 2, "b/k?sort=a2", b"2");
    let (told, _) = tokio::join!(poll(&path), change);
    let items = told.json()["items"].clone();
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(unbase64(items[0]["sort"].as_str().expect("text")), b"a2");
    let seen = told.json()["seen"].as_str().expect("text").to_owned();
    let headers = [("x-quorate-context", context.as_str())];
    let gone = cluster.ask(1, "DELETE", "/v1/kv/b/k?sort=a1", &headers, b"").await;
    assert_eq!(gone.status, 204);
    let told = poll(&format!("b/k?scan=true&prefix=a&seen={seen}")).await.json();
    assert_eq!(told["items"], serde_json::json!([]));
    assert_eq!(told["present"], serde_json::json!(["YTI="]));

    // Many in several pages are told whole, and too many are refused.
    let client = cluster.client().await;
    for number in 0..501 {
        if number == 500 {
            let all = poll("many/k?scan=true").await.json();
            assert_eq!(all["items"].as_array().map(Vec::len), Some(500));
        }
        client.put("many", "k", "v").sort(format!("{number:03}")).await.expect("acknowledged");
    }
    let refused = poll("many/k?scan=true").await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{}", refused.text());
    assert_eq!(poll("many/k?scan=true&prefix=4").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_on_and_end_with_the_newest_state() {
    let cluster = Cluster::start(3).await;
    let mut stream = TcpStream::connect(cluster.http(2)).await.expect("it listens");
    let host = cluster.http(2);
    let request =
        format!("GET /v1/watch/b/k HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut heard = String::new();
    let mut context = String::new();
    for number in 0..20 {
        let path = "/v1/kv/b/k";
        let headers = [("x-quorate-context", context.as_str())];
        let headers = if context.is_empty() { &[][..] } else { &headers[..] };
        let put = cluster.ask(1, "PUT", path, headers, format!("v{number}").as_bytes()).await;
        assert_eq!(put.status, 204, "{}", put.text());
        context = put.context().to_owned();
    }
    // "v19", in base64.
    let last = "\"value\":\"djE5\"";
    let listen = async {
        let mut buffer = [0; 4096];
        while !heard.contains(last) {
            let read = stream.read(&mut buffer).await.expect("it goes on");
            assert!(read > 0, "it ended: {heard}");
            heard += &String::from_utf8_lossy(&buffer[..read]);
        }
    };
    tokio::time::timeout(SOON, listen).await.expect("the last state is told");
    assert!(heard.contains("text/event-stream"), "{heard}");
    assert!(heard.contains("event: change\nid: "), "{heard}");
    let told = heard.matches("event: change").count();
    assert!((1..=20).contains(&told), "{told}");
}
