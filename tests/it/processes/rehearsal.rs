//! Run Demo of the dashboard, without the browser: a node fails on purpose, and every claim holds.

use super::cluster::{Cluster, QUORATE, SOON, until};
use super::http::{self, Answer};
use super::process::Guard;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a demo may take.
const LONG: Duration = Duration::from_secs(120);

pub(super) async fn token(cluster: &Cluster, node: u16) -> String {
    let page = cluster.ask(node, "GET", "/", &[], b"").await.text();
    let (_, rest) = page.split_once("name=\"quorate-token\" content=\"").expect("a token");
    rest.split('"').next().expect("its end").to_owned()
}

async fn run(cluster: &Cluster, node: u16, token: &str) -> Answer {
    let headers = [("X-Quorate-Token", token)];
    let at = cluster.http(node);
    let answer = http::ask_within(LONG, at, "POST", "/v1/demo", &headers, b"").await;
    answer.unwrap_or_else(|error| panic!("n{node}: {error}"))
}

/// What it told; each claim held, and there were some.
fn held(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines: Vec<Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let claims: Vec<&Value> = lines.iter().filter(|line| line["claim"].is_string()).collect();
    assert!(claims.len() >= 10, "{lines:#?}");
    assert!(claims.iter().all(|claim| claim["ok"] == true), "{lines:#?}");
    let last = lines.last().expect("a last line");
    assert_eq!((&last["done"], &last["claims"]), (&true.into(), &claims.len().into()), "{last}");
    lines
}

async fn figures(cluster: &Cluster, node: u16) -> [u64; 2] {
    let headers = [("Accept", "application/json")];
    let told = cluster.ask(node, "GET", "/metrics", &headers, b"").await.json();
    ["ingested", "repairs_completed"].map(|name| told[name].as_u64().expect(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_of_the_page_fails_and_mends_for_real_on_any_node_and_again() {
    let cluster = Cluster::start(5).await;
    for node in [2, 5, 2] {
        let token = token(&cluster, node).await;
        let before = figures(&cluster, node).await;
        held(&run(&cluster, node, &token).await);
        let after = figures(&cluster, node).await;
        assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
    }
    // What it wrote stands on three owners alike, on their own disks.
    until("the owners' dumps agree", SOON, async || {
        let mut seen = std::collections::BTreeMap::<String, Vec<Value>>::new();
        for node in cluster.numbers() {
            for (key, item) in cluster.dump(node, "quorate.demo").await? {
                seen.entry(key).or_default().push(item["siblings"].clone());
            }
        }
        let alike =
            |copies: &Vec<Value>| copies.len() == 3 && copies.iter().all(|c| *c == copies[0]);
        match seen.len() == 18 && seen.values().all(alike) {
            true => Ok(()),
            false => Err(format!("{seen:#?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_read_the_page_may_run_it_and_one_at_a_time() {
    let cluster = Cluster::start(3).await;
    let right = token(&cluster, 1).await;
    let other = token(&cluster, 2).await;
    for wrong in ["", "0", &other] {
        let refused = run(&cluster, 1, wrong).await;
        assert_eq!((refused.status, refused.code()), (403, "forbidden".into()), "{wrong:?}");
    }
    let (first, second) = tokio::join!(run(&cluster, 1, &right), run(&cluster, 1, &right));
    let mut answers = [first, second];
    answers.sort_by_key(|answer| answer.status);
    held(&answers[0]);
    assert_eq!((answers[1].status, answers[1].code()), (503, "overloaded".into()));
}

/// What a button of the page does; its status.
pub(super) async fn harm(cluster: &Cluster, node: u16, token: &str, name: &str) -> (u16, String) {
    let headers = [("X-Quorate-Token", token)];
    let path = format!("/v1/chaos/{name}");
    let answer = cluster.ask(node, "POST", &path, &headers, b"").await;
    (answer.status, answer.text())
}

/// Waits until n2 sees n1 so.
pub(super) async fn seen_as(cluster: &Cluster, wanted: &[&str]) {
    until(&format!("n1 seen as {wanted:?}"), SOON, async || {
        let state = cluster.state_of(2, 1).await?;
        wanted.contains(&state.as_str()).then_some(()).ok_or(state)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_buttons_cut_off_pause_and_kill_where_a_node_was_started_so_and_nowhere_else() {
    {
        let calm = Cluster::start(1).await;
        let key = token(&calm, 1).await;
        assert_eq!(harm(&calm, 1, &key, "kill").await.0, 404);
    }
    let cluster = Cluster::start(3).await;
    cluster.stop(1);
    let mut command = Command::new(QUORATE);
    command.arg("serve").arg("-c").arg(cluster.node_dir(1).join("node.toml")).arg("--enable-chaos");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _node = Guard(command.spawn().expect("it runs"));
    cluster.ready(1).await;
    cluster.all_alive().await;
    let key = token(&cluster, 1).await;
    assert_eq!(harm(&cluster, 1, "stranger", "kill").await.0, 403);
    assert_eq!(harm(&cluster, 1, &key, "sing").await.0, 400);

    assert_eq!(harm(&cluster, 1, &key, "partition").await.0, 202);
    seen_as(&cluster, &["dead"]).await;
    // It is there, and alone: nothing is to be had through it.
    let answer = cluster.ask(1, "PUT", "/v1/kv/carts/a?timeout=1s", &[], b"x").await;
    assert!(answer.status >= 500, "{}", answer.text());
    assert_eq!(harm(&cluster, 1, &key, "heal").await.0, 202);
    cluster.all_alive().await;

    assert_eq!(harm(&cluster, 1, &key, "pause").await.0, 202);
    seen_as(&cluster, &["suspect", "dead"]).await;
    cluster.all_alive().await;

    assert_eq!(harm(&cluster, 1, &key, "kill").await.0, 202);
    seen_as(&cluster, &["dead"]).await;
    assert!(cluster.get(1, "/healthz").await.is_err(), "it answers still");
}
