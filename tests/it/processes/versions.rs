//! Two writers, one key.

use super::cluster::{Cluster, text};
use super::http::values;
use quorate::client::{Client, Consistency};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_both_come_back_until_someone_resolves_them() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    stale_writers_through_one_node(&cluster, &client).await;
    one_write_through_two_coordinators(&cluster).await;
    over_http_too(&cluster).await;
}

async fn stale_writers_through_one_node(cluster: &Cluster, client: &Client) {
    let one = cluster.client_of(&[2]).await;
    let seen = one.put("carts", "alice", "tea").await.expect("a first value").context;
    one.put("carts", "alice", "milk").context(&seen).await.expect("a writer");
    one.put("carts", "alice", "honey").context(&seen).await.expect("another, who saw the same");
    for number in cluster.numbers() {
        let got = cluster.client_of(&[number]).await.get("carts", "alice").await.expect("a read");
        let mut found: Vec<&[u8]> = got.siblings.iter().map(|sibling| &sibling.value[..]).collect();
        found.sort();
        assert_eq!(found, [&b"honey"[..], b"milk"], "n{number}");
        assert_eq!(got.value().expect_err("two values").code(), "siblings");
    }
    let merged = client.resolve("carts", "alice", |siblings| {
        let mut parts: Vec<_> =
            siblings.iter().map(|s| String::from_utf8_lossy(&s.value).into_owned()).collect();
        parts.sort();
        parts.join("+")
    });
    let merged = merged.await.expect("resolved");
    assert_eq!(merged.value().expect("one").map(|v| &v[..]), Some(&b"honey+milk"[..]));
    cluster.agree("carts", 3).await;
    for number in cluster.numbers() {
        let local = cluster.json(number, "/v1/local/carts/alice").await;
        assert_eq!(values(&local), ["honey+milk"], "n{number}");
    }
}

async fn one_write_through_two_coordinators(cluster: &Cluster) {
    let operation = [("X-Quorate-Operation", "order-17")];
    for coordinator in [1, 3, 2] {
        let put =
            cluster.ask(coordinator, "PUT", "/v1/kv/orders/o17?w=3", &operation, b"two cups").await;
        assert_eq!(put.status, 204, "{}", put.text());
    }
    let got = cluster
        .ask(2, "GET", "/v1/kv/orders/o17?r=3", &[("Accept", "application/json")], b"")
        .await;
    assert_eq!(values(&got.json()), ["two cups"], "three sendings, one write");
    // A late retry does not bring back what was overwritten meanwhile.
    let context = got.context().to_string();
    let put = cluster
        .ask(1, "PUT", "/v1/kv/orders/o17", &[("X-Quorate-Context", &context)], b"three")
        .await;
    assert_eq!(put.status, 204);
    let late = cluster.ask(3, "PUT", "/v1/kv/orders/o17", &operation, b"two cups").await;
    assert_eq!(late.status, 204, "{}", late.text());
    for item in cluster.agree("orders", 3).await.values() {
        assert_eq!(values(item), ["three"]);
    }
    // The client library names a write the same way.
    let clients = [cluster.client_of(&[1]).await, cluster.client_of(&[2]).await];
    let id = clients[0].next_operation();
    for client in &clients {
        client
            .put("orders", "o18", "x")
            .operation(id)
            .consistency(Consistency::All)
            .await
            .expect("acknowledged");
    }
    assert_eq!(clients[0].get("orders", "o18").await.expect("read").siblings.len(), 1);
}

async fn over_http_too(cluster: &Cluster) {
    let first = cluster.ask(1, "PUT", "/v1/kv/http/k", &[], b"a").await;
    assert_eq!(first.status, 204);
    let context = first.context().to_string();
    for (number, value) in [(2, "b"), (3, "c")] {
        let put = cluster
            .ask(
                number,
                "PUT",
                "/v1/kv/http/k",
                &[("X-Quorate-Context", &context)],
                value.as_bytes(),
            )
            .await;
        assert_eq!(put.status, 204);
    }
    let got = cluster.ask(1, "GET", "/v1/kv/http/k", &[], b"").await;
    assert_eq!(
        (got.status, got.code().as_str(), values(&got.json())),
        (409, "siblings", vec!["b".into(), "c".into()])
    );
    assert_eq!(text(&got.json()["context"]), got.context());
    let context = got.context().to_string();
    let delete =
        cluster.ask(2, "DELETE", "/v1/kv/http/k", &[("X-Quorate-Context", &context)], b"").await;
    assert_eq!(delete.status, 204);
    let got = cluster.ask(3, "GET", "/v1/kv/http/k", &[], b"").await;
    assert_eq!((got.status, got.code().as_str()), (404, "not_found"));
    for item in cluster.agree("http", 3).await.values() {
        assert!(values(item).is_empty(), "{item}");
    }
}
