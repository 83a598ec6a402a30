//! Owners change by command, as an operator would do it: the outputs are told, and only what must moves.

use super::cluster::{Cluster, SOON, complained, quorate, said, text, until};
use super::load::{BUCKET, Running, keeps};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a command says; it must work.
fn ok(cluster: &Cluster, at: u16, arguments: &[&str]) -> String {
    let node = cluster.native(at).to_string();
    let output = quorate(arguments.iter().copied().chain(["--node", &node]));
    assert!(output.status.success(), "{arguments:?}: {}", complained(&output));
    said(&output)
}

fn json(cluster: &Cluster, at: u16, arguments: &[&str]) -> Value {
    let told = ok(cluster, at, &[arguments, &["-o", "json"]].concat());
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"))
}

fn fails(cluster: &Cluster, at: u16, arguments: &[&str]) -> String {
    let node = cluster.native(at).to_string();
    let output = quorate(arguments.iter().copied().chain(["--node", &node]));
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
    complained(&output)
}

/// The partitions that a node says it owns.
async fn owned(cluster: &Cluster, number: u16) -> BTreeSet<u64> {
    let told = cluster.json(number, "/v1/local/partitions").await;
    let all = told["partitions"].as_array().expect("a list").iter();
    all.map(|p| p["partition"].as_u64().expect("a number")).collect()
}

fn member<'a>(ring: &'a Value, name: &str) -> Option<&'a Value> {
    ring["members"].as_array().into_iter().flatten().find(|member| member["name"] == name)
}

/// Until nothing moves, and this one owns something.
async fn settled(cluster: &Cluster, by: u16, name: &str) {
    until("owners have changed", SOON, async || {
        let ring = json(cluster, by, &["ring"]);
        let owns = member(&ring, name).is_some_and(|m| m["owned"].as_u64() > Some(0));
        match ring["change"].is_null() && owns {
            true => Ok(()),
            false => Err(ring["change"].to_string()),
        }
    })
    .await;
    for number in cluster.numbers().into_iter().filter(|number| cluster.pid(*number).is_some()) {
        until("what others own is given away", SOON, async || {
            let status = cluster.json(number, "/v1/status").await;
            match status["verdict"].as_str() {
                Some(words) if !words.contains("others own") => Ok(()),
                words => Err(format!("{words:?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_by_command_while_clients_go_on() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "owners");
    running.acked(200).await;
    let mut before = Vec::new();
    for number in 1..=3 {
        before.push(owned(&cluster, number).await);
    }

    // A fourth takes a quarter of all copies, and nobody else takes anything.
    let joiner = cluster.grow();
    settled(&cluster, 1, "n4").await;
    let taken = owned(&cluster, joiner).await;
    let slots = 3 * 1024;
    assert!((slots / 5..=slots * 3 / 10).contains(&taken.len()), "{} of {slots}", taken.len());
    for number in 1..=3 {
        let (now, was) = (owned(&cluster, number).await, &before[usize::from(number) - 1]);
        assert!(now.is_subset(was), "n{number} took something");
        assert!(was.difference(&now).all(|partition| taken.contains(partition)));
    }
    assert_eq!(ok(&cluster, 2, &["transfers"]), "no change of owners is under way");
    let transfers = json(&cluster, 2, &["transfers"]);
    assert!(transfers["change"].is_null() && transfers["copying"] == Value::Array(vec![]));
    let status = json(&cluster, 2, &["status"]);
    let partitions = &status["partitions"];
    assert!(partitions["under_replicated"] == 0 && partitions["at_risk"] == 0, "{status}");

    plans(&cluster);
    leaves(&mut cluster).await;
    dies(&cluster).await;

    let promises = running.stop().await;
    keeps(&client, &promises).await;
    let there = [1, 3, 4];
    cluster.agree_among(&there, BUCKET, 3).await;
    let told = ok(&cluster, 1, &["repair", "--wait"]);
    assert!(there.iter().all(|n| told.contains(&format!("n{n} "))), "{told}");
    assert!(told.contains("ITEMS MENDED"), "{told}");
    let told = json(&cluster, 1, &["repair", "--wait"]);
    assert!(told.is_object(), "{told}");
}

/// What would move is told; nothing happens.
fn plans(cluster: &Cluster) {
    let before = json(cluster, 1, &["ring"])["epoch"].clone();
    let none = json(cluster, 1, &["ring", "plan"]);
    assert_eq!((&none["slots"], &none["moves"]), (&0.into(), &Value::Array(vec![])));
    let plan = json(cluster, 1, &["ring", "plan", "--leave", "n4"]);
    let moves = plan["moves"].as_array().expect("a list");
    assert!(!moves.is_empty() && moves.iter().all(|step| step["from"] == "n4"), "{plan}");
    assert!(plan["bytes"].as_f64() > plan["items"].as_f64(), "{plan}");
    let table = ok(cluster, 1, &["ring", "plan", "--leave", "n4"]);
    assert!(table.contains("slots in") && table.contains("BYTES, ABOUT"), "{table}");
    let plan = json(cluster, 1, &["ring", "plan", "--weight", "n3=2", "--zone", "n3=b"]);
    let moves = plan["moves"].as_array().expect("a list");
    assert!(!moves.is_empty() && moves.iter().any(|step| step["to"] == "n3"), "{plan}");
    let two = fails(cluster, 1, &["ring", "plan", "--weight", "n3=2", "--zone", "n2=b"]);
    assert!(two.starts_with("invalid: "), "{two}");
    assert_eq!(json(cluster, 1, &["ring"])["epoch"], before, "nothing happened");
}

/// n4 leaves, is let go, and is in again when it starts afresh; n3 gets a larger share for a while.
async fn leaves(cluster: &mut Cluster) {
    assert_eq!(ok(cluster, 4, &["leave", "--wait"]), "done");
    let ring = json(cluster, 1, &["ring"]);
    assert!(member(&ring, "n4").is_none(), "{ring}");
    // It hears of it a moment after the others.
    until("n4 knows that it is no member any more", SOON, async || {
        let answer = cluster.get(4, "/readyz").await.expect("it still answers");
        let knows = answer.status == 503 && answer.text().contains("no member any more");
        if knows { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    cluster.must(&["wipe", "4"]);
    cluster.restart(4).await;
    settled(cluster, 1, "n4").await;
    let before = owned(cluster, 3).await.len();
    let done = ok(cluster, 1, &["ring", "commit", "--weight", "n3=3", "--wait"]);
    assert_eq!(done, "done");
    assert!(owned(cluster, 3).await.len() > before);
    let ring = json(cluster, 1, &["ring"]);
    assert_eq!(member(&ring, "n3").expect("a member")["weight"], 3);
    ok(cluster, 1, &["ring", "commit", "--weight", "n3=1", "--wait"]);
}

/// n2 dies for good; that it lives is no reason to remove it before.
async fn dies(cluster: &Cluster) {
    let alive = fails(cluster, 1, &["remove", "n2"]);
    assert!(alive.starts_with("invalid: ") && alive.contains("n2 is alive for n1"), "{alive}");
    cluster.kill(&[2]);
    // Whoever sees it alive would refuse to let it be removed.
    for number in [1, 3, 4] {
        until("its death is seen", SOON, async || match cluster.state_of(number, 2).await? {
            state if state == "dead" => Ok(()),
            state => Err(state),
        })
        .await;
    }
    let status = json(cluster, 1, &["status"]);
    assert!(status["partitions"]["under_replicated"].as_u64() > Some(0), "{status}");
    assert!(text(&status["verdict"]).contains("fewer live copies"), "{status}");
    let metrics = cluster.get(1, "/metrics").await.expect("it answers").text();
    assert!(metrics.contains("quorate_partitions_under_replicated "), "{metrics}");
    let level = |name: &str| {
        let line = metrics.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    let (ranges, never) =
        (level("quorate_antientropy_ranges"), level("quorate_antientropy_ranges_unverified"));
    assert!(0 < ranges && never <= ranges, "{never} of {ranges}");
    assert!(level("quorate_antientropy_oldest_seconds") < 600, "{metrics}");
    assert_eq!(ok(cluster, 1, &["remove", "n2", "--wait"]), "done");
    until("everybody counts again", SOON, async || {
        let status = json(cluster, 1, &["status"]);
        match status["partitions"]["under_replicated"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(status.to_string()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_replaced_by_name_and_another_is_copied_without_being_asked() {
    let settings = [("QUORATE_TIMING__SYNC", "3s"), ("QUORATE_TIMING__DOWN_OUT_AFTER", "8s")];
    let mut cluster = Cluster::start_with(4, &settings).await;
    let client = cluster.client().await;
    let running = Running::start(&client, 4, "dead");
    running.acked(200).await;
    let promises = running.stop().await;
    // By itself.
    cluster.kill(&[4]);
    until("others have its places", SOON, async || {
        let ring = json(&cluster, 1, &["ring"]);
        let status = json(&cluster, 1, &["status"]);
        let owned = member(&ring, "n4").map(|m| m["owned"].clone());
        let under = &status["partitions"]["under_replicated"];
        match owned == Some(0.into()) && ring["change"].is_null() && *under == 0 {
            true => Ok(()),
            false => Err(format!("{owned:?} {under} {}", ring["change"])),
        }
    })
    .await;
    assert_eq!(json(&cluster, 1, &["ring"])["out"][0], "n4");
    cluster.agree_among(&[1, 2, 3], BUCKET, 3).await;
    cluster.restart(4).await;
    settled(&cluster, 1, "n4").await;
    keeps(&client, &promises).await;
    cluster.agree(BUCKET, 3).await;
    // By command: n5, which a change that was taken back has left without places, takes those of n4.
    let new = cluster.grow();
    until("it would get a share", SOON, async || {
        let ring = json(&cluster, 1, &["ring"]);
        match member(&ring, "n5") {
            Some(_) => Ok(()),
            None => Err(ring.to_string()),
        }
    })
    .await;
    let places = owned(&cluster, 4).await;
    let node = cluster.native(new).to_string();
    let replaced = quorate(["replace", "n4", "--wait", "--node", &node]);
    if replaced.status.success() {
        assert_eq!(owned(&cluster, new).await, places);
        let ring = json(&cluster, 1, &["ring"]);
        assert!(member(&ring, "n4").is_none(), "{ring}");
    } else {
        // It had its share already.
        let why = complained(&replaced);
        assert!(why.contains("still has places") || why.starts_with("change_in_progress"), "{why}");
    }
    keeps(&client, &promises).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_left_of_a_lost_majority_goes_on_when_told_to() {
    let cluster = Cluster::start(3).await;
    ok(&cluster, 1, &["put", "carts", "alice", "tea", "--consistency", "all"]);
    let command = ["ring", "force-survivors", "--survivors", "n1"];
    let decided = [&command[..], &["--yes"]].concat();
    let early = fails(&cluster, 1, &decided);
    assert!(early.starts_with("invalid: ") && early.contains("is alive"), "{early}");
    cluster.kill(&[2, 3]);
    for gone in [2, 3] {
        until("its death is seen", SOON, async || match cluster.state_of(1, gone).await? {
            state if state == "dead" => Ok(()),
            state => Err(state),
        })
        .await;
    }
    let warned = fails(&cluster, 1, &command);
    assert!(warned.contains("0 have no owner") && warned.contains("--yes"), "{warned}");
    assert!(warned.contains("1024 have fewer than a quorum"), "{warned}");
    let before = cluster.json(1, "/v1/status").await["cluster"].clone();
    let told = ok(&cluster, 1, &decided);
    assert!(told.contains("goes on as") && told.contains(text(&before)), "{told}");
    assert_ne!(cluster.json(1, "/v1/status").await["cluster"], before);
    assert_eq!(ok(&cluster, 1, &["get", "carts", "alice", "--consistency", "one"]), "tea");
    let ring = json(&cluster, 1, &["ring"]);
    assert_eq!(&ring["former"][0], &before);
    let ghosts: BTreeSet<&str> =
        ring["ghosts"].as_array().expect("a list").iter().map(text).collect();
    assert_eq!(ghosts, BTreeSet::from(["n2", "n3"]));
    // One of the others is back: it is told, and takes no part.
    cluster.must(&["restart", "2", "--timeout", "1s"]);
    until("it learns why", SOON, async || {
        let answer = cluster.get(2, "/readyz").await.map_err(|error| error.to_string())?;
        match answer.text() {
            text if answer.status == 503 && text.contains("founded this cluster anew") => Ok(()),
            text => Err(text),
        }
    })
    .await;
}
