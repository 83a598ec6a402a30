//! What each level promises when replicas are gone.

use super::cluster::{Cluster, SOON, text, until};
use quorate::Error;
use quorate::client::{Client, Consistency, ExecutionProfile, RetryPolicy};
use rustix::process::Signal;
use std::time::Duration;

/// A client that says what the first node says.
async fn plain(cluster: &Cluster, numbers: &[u16]) -> Client {
    let nodes: Vec<String> =
        numbers.iter().map(|number| cluster.native(*number).to_string()).collect();
    let profile = ExecutionProfile { retries: RetryPolicy::never(), ..ExecutionProfile::default() };
    Client::builder().nodes(nodes).profile(profile).build().await.expect("a node greets")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_works_where_two_of_three_are_dead_and_all_says_how_many_are_missing() {
    let cluster = Cluster::start(3).await;
    let client = plain(&cluster, &[1]).await;
    client
        .put("levels", "k", "before")
        .consistency(Consistency::All)
        .await
        .expect("all three are there");

    // Two owners that hang: they accept connections and never answer.
    cluster.signal(&[2, 3], Signal::STOP);
    let put = client.put("levels", "hung", "v").timeout(Duration::from_millis(1500)).await;
    assert_eq!(
        put.expect_err("nobody else could store it"),
        Error::OutcomeUnknown { required: 2, received: 1 }
    );
    let put = cluster.ask(1, "PUT", "/v1/kv/levels/hung-http?timeout=1s", &[], b"v").await;
    assert_eq!((put.status, put.code().as_str()), (504, "outcome_unknown"), "{}", put.text());
    assert_eq!(
        (&put.json()["error"]["required"], &put.json()["error"]["received"]),
        (&2.into(), &1.into())
    );
    let got = client.get("levels", "k").consistency(Consistency::One).await.expect("one is there");
    assert_eq!(got.value().expect("one value").map(|v| &v[..]), Some(&b"before"[..]));
    cluster.signal(&[2, 3], Signal::CONT);
    // What was unknown came to be, or did not; it never is half.
    for item in cluster.agree("levels", 3).await.values() {
        assert_eq!(item["siblings"].as_array().map(Vec::len), Some(1), "{item}");
    }

    cluster.kill(&[2, 3]);
    until("one of three reads and writes", SOON, async || {
        let one = Consistency::One;
        client.put("levels", "alone", "v").consistency(one).await.map_err(|e| e.to_string())?;
        let got =
            client.get("levels", "alone").consistency(one).await.map_err(|e| e.to_string())?;
        if got.siblings.is_empty() { Err("nothing".into()) } else { Ok(()) }
    })
    .await;
    let error =
        client.get("levels", "k").consistency(Consistency::All).await.expect_err("two are dead");
    assert_eq!(error.counts().map(|(required, _)| required), Some(3), "{error}");
    assert!(error.counts().is_some_and(|(_, received)| received <= 1), "{error}");
    assert!(["quorum_not_met", "unavailable", "timeout"].contains(&error.code()), "{error}");
    let error = client
        .put("levels", "k2", "v")
        .consistency(Consistency::All)
        .await
        .expect_err("two are dead");
    assert!(error.to_string().contains("3"), "{error}");
    assert_eq!(error.counts().map(|(required, _)| required), Some(3), "{error}");
    let answer = cluster.ask(1, "GET", "/v1/kv/levels/k?consistency=all", &[], b"").await;
    assert!([503, 504].contains(&answer.status), "{}", answer.text());
    assert_eq!(answer.json()["error"]["required"], 3);
    println!("all, two dead: {error}; over HTTP {} {}", answer.status, answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_refuses_where_only_fallbacks_could_answer() {
    let cluster = Cluster::start(5).await;
    let client = cluster.client().await;
    client.put("strict", "k", "before").consistency(Consistency::All).await.expect("acknowledged");
    let place = cluster.json(1, "/v1/locate/strict/k").await;
    let numbers = |list: &str| -> Vec<u16> {
        let names = place[list].as_array().expect("a list of nodes");
        names.iter().map(|name| text(name)[1..].parse().expect("n and a number")).collect()
    };
    let (owners, fallbacks) = (numbers("owners"), numbers("fallbacks"));
    assert_eq!((owners.len(), fallbacks.len()), (3, 2));
    cluster.kill(&owners[1..]);
    let alive = plain(&cluster, &fallbacks[..1]).await;
    // Fallbacks stand in as soon as an attempt has shown that the owners are gone.
    let seen = until("a sloppy quorum writes", SOON, async || {
        alive
            .put("strict", "k", "sloppy")
            .timeout(Duration::from_secs(2))
            .await
            .map_err(|e| e.to_string())
    })
    .await;
    assert!(!seen.info.hinted.is_empty(), "somebody stood in: {:?}", seen.info);
    // Before anybody knows why they are silent, and after.
    let strict = async || {
        let put =
            alive.put("strict", "k", "strict").strict(true).timeout(Duration::from_secs(2)).await;
        let get = alive.get("strict", "k").strict(true).timeout(Duration::from_secs(2)).await;
        (put.expect_err("one owner is no quorum"), get.expect_err("one owner is no quorum"))
    };
    let (put, get) = strict().await;
    for error in [&put, &get] {
        assert!(matches!(error.counts(), Some((2, 0 | 1))), "{put}; {get}");
    }
    println!("strict, two of three owners dead: put: {put}; get: {get}");
    for dead in &owners[1..] {
        until("the dead are known to be dead", SOON, async || {
            match cluster.state_of(owners[0], *dead).await? {
                state if state == "dead" => Ok(()),
                state => Err(state),
            }
        })
        .await;
    }
    let (put, get) = strict().await;
    for error in [&put, &get] {
        assert!(matches!(error.counts(), Some((2, 0 | 1))), "{put}; {get}");
    }
    println!("and once that is known: put: {put}; get: {get}");
    for owner in &owners[1..] {
        cluster.restart(*owner).await;
    }
    cluster.no_hints().await;
    cluster.agree("strict", 3).await;
    client
        .get("strict", "k")
        .strict(true)
        .consistency(Consistency::All)
        .await
        .expect("everybody is back");
}
