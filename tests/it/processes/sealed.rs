//! A cluster with a key: it works as any other, and whoever has not the key has no part in it.

use super::cluster::{QUORATE, SOON, complained, free_base, said, until};
use super::http;
use super::process::Guard;
use quorate::client::{Client, ClusterKey, Consistency, Keyring};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn quorate(key: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(QUORATE);
    command.args(arguments).env_remove("QUORATE_NODE").env_remove("QUORATE_KEY_FILE");
    if let Some(key) = key {
        command.env("QUORATE_KEY_FILE", key);
    }
    command.output().expect("the program of this build runs")
}

/// A local cluster, ended with the test.
struct Sealed {
    dir: tempfile::TempDir,
    base: u16,
}

impl Sealed {
    fn start(nodes: u16) -> Sealed {
        let dir = tempfile::tempdir().expect("a folder");
        let base = free_base(nodes);
        let started = Sealed { dir, base };
        let (nodes, base) = (nodes.to_string(), base.to_string());
        let told = started.cluster(&["start", "--sealed", "--nodes", &nodes, "--base-port", &base]);
        assert!(told.status.success(), "{}", complained(&told));
        started
    }

    fn cluster(&self, arguments: &[&str]) -> Output {
        let dir = self.dir.path().to_str().expect("UTF-8");
        quorate(None, &[&["cluster", "--dir", dir], arguments].concat())
    }

    fn key(&self) -> std::path::PathBuf {
        self.dir.path().join("cluster.key")
    }

    fn native(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.base + 10 * number)
    }

    fn run(&self, key: Option<&Path>, arguments: &[&str]) -> Output {
        quorate(key, &[arguments, &["--node", &self.native(1)]].concat())
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.cluster(&["kill", "1", "2", "3"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_key_serves_who_has_it_loses_nothing_and_takes_in_nobody_else() {
    let cluster = Sealed::start(3);
    let key = cluster.key();
    assert_eq!(fs::metadata(&key).expect("the key").permissions().mode() & 0o777, 0o600);
    let keys = Keyring::read(&key).expect("a key");
    let nodes = [1, 2, 3].map(|number| cluster.native(number));
    let client = Client::builder().nodes(nodes).keys(keys).build().await.expect("the key");
    for number in 0..200 {
        let put = client.put("b", format!("k{number}"), vec![7; 3000]);
        put.await.expect("acknowledged");
    }
    // One dies, the others stand in, it comes back and has everything.
    assert!(cluster.cluster(&["kill", "3"]).status.success());
    for number in 200..300 {
        until("writes go on", SOON, async || {
            let put = client.put("b", format!("k{number}"), vec![7; 3000]);
            put.await.map_err(|error| error.to_string())
        })
        .await;
    }
    let back = cluster.cluster(&["restart", "3"]);
    assert!(back.status.success(), "{}", complained(&back));
    until("all three have everything", SOON, async || {
        for number in 0..300 {
            let get = client.get("b", format!("k{number}")).consistency(Consistency::All);
            let got = get.await.map_err(|error| error.to_string())?;
            if got.siblings.len() != 1 || got.siblings[0].value.len() != 3000 {
                return Err(format!("k{number} has {} siblings", got.siblings.len()));
            }
        }
        Ok(())
    })
    .await;

    // The command line, in the same way, and what asks every member by itself.
    let got = cluster.run(Some(&key), &["members", "-o", "json"]);
    assert_eq!(said(&got).matches("\"alive\"").count(), 3, "{}", said(&got));
    for command in [&["repair", "--wait"][..], &["doctor"], &["latency", "--duration", "200ms"]] {
        let done = cluster.run(Some(&key), command);
        assert!(done.status.success(), "{command:?}: {} {}", said(&done), complained(&done));
    }

    // Nobody else.
    let without = cluster.run(None, &["get", "b", "k1"]);
    let told = complained(&without);
    assert!(told.starts_with("unreachable: ") && told.contains("cluster's key"), "{told}");
    let other = cluster.dir.path().join("other.key");
    assert!(quorate(None, &["keygen", other.to_str().expect("UTF-8")]).status.success());
    let told = complained(&cluster.run(Some(&other), &["get", "b", "k1"]));
    assert!(told.starts_with("unreachable: ") && told.contains("another cluster key"), "{told}");
    let joined = stranger(&cluster).await;
    assert!(joined.contains("waiting to be let in"), "{joined}");
    let members = said(&cluster.run(Some(&key), &["members", "-o", "json"]));
    assert!(!members.contains("stranger"), "{members}");
}

/// What a node without the key says of itself after it has knocked.
async fn stranger(cluster: &Sealed) -> String {
    let base = free_base(1);
    let [native, http] = [10, 11].map(|port| format!("127.0.0.1:{}", base + port));
    let mut command = Command::new(QUORATE);
    command.args([
        "serve", "--name", "stranger", "--resp", "none", "--listen", &native, "--http", &http,
    ]);
    command.arg("--data-dir").arg(cluster.dir.path().join("stranger"));
    command.args(["--join", &cluster.native(1)]).env_remove("QUORATE_KEY_FILE");
    let log = fs::File::create(cluster.dir.path().join("stranger.log")).expect("a log");
    let out = log.try_clone().expect("x");
    let _guard = Guard(command.stdout(out).stderr(log).spawn().expect("started"));
    let at = http.parse().expect("an address");
    // It is refused at least once: the cluster counts it.
    let founder = format!("127.0.0.1:{}", cluster.base + 11).parse().expect("an address");
    until("the cluster has refused it", SOON, async || {
        let metrics =
            http::ask(founder, "GET", "/metrics", &[], b"").await.map_err(|e| e.to_string())?;
        let text = metrics.text();
        let refused = |port: &str, reason: &str| {
            let name = format!("quorate_rejected_total{{port=\"{port}\",reason=\"{reason}\"}} ");
            text.lines().find_map(|l| l.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or(0)
        };
        match refused("native", "no_key") + refused("gossip", "another_key") {
            0 | 1 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let answer = http::ask(at, "GET", "/readyz", &[], b"").await.expect("it answers");
    assert_eq!(answer.status, 503);
    answer.text()
}

#[test]
fn a_key_is_never_overwritten_and_an_open_one_is_never_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("k");
    let name = file.to_str().expect("UTF-8");
    assert!(quorate(None, &["keygen", name]).status.success());
    let before = fs::read(&file).expect("a key");
    let again = quorate(None, &["keygen", name]);
    assert_eq!(again.status.code(), Some(1));
    assert!(complained(&again).contains("is there already"), "{}", complained(&again));
    assert_eq!(fs::read(&file).expect("a key"), before);
    let printed = said(&quorate(None, &["keygen"]));
    printed.parse::<ClusterKey>().expect("a key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    for command in
        [&["status", "--key-file", name][..], &["serve", "--name", "n", "--key-file", name]]
    {
        let refused = quorate(None, command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}");
        let told = complained(&refused);
        assert!(told.contains("invalid: ") && told.contains("chmod 600"), "{told}");
    }
}
