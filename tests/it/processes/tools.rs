//! `doctor`, `monitor`, `debug` and `repl` against real nodes, one of which dies.

use super::cluster::{Cluster, QUORATE, SOON, complained, quorate, said, until};
use super::process::Guard;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

fn doctor(cluster: &Cluster, node: u16) -> (Option<i32>, Value) {
    let node = cluster.native(node).to_string();
    let output = quorate(["doctor", "--node", &node, "--between", "300ms", "-o", "json"]);
    let report = serde_json::from_str(&said(&output));
    (
        output.status.code(),
        report.unwrap_or_else(|error| panic!("{error}: {}", complained(&output))),
    )
}

fn findings(report: &Value) -> Vec<(&str, &str, &str)> {
    let found = report["findings"].as_array().expect("a list");
    let found = found.iter().map(|f| {
        let text = |name: &str| f[name].as_str().unwrap_or_default();
        (text("severity"), text("check"), text("node"))
    });
    found.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_nothing_in_a_well_cluster_and_the_dead_in_another() {
    let cluster = Cluster::start(3).await;
    // Each node first compares its replicas, and the machine of the test may be short of room.
    until("a cluster without complaints", SOON, async || {
        let (code, report) = doctor(&cluster, 1);
        let found = findings(&report);
        let ours =
            found.iter().filter(|(severity, check, _)| *severity != "note" && *check != "disk");
        let ours: Vec<_> = ours.collect();
        let disk = found.iter().any(|(severity, check, _)| *severity != "note" && *check == "disk");
        match (code, disk) {
            (Some(0), false) | (Some(1), true) if ours.is_empty() => Ok(()),
            _ => Err(format!("{code:?}: {report}")),
        }
    })
    .await;
    let (_, report) = doctor(&cluster, 1);
    assert_eq!((&report["nodes"], &report["answered"]), (&3.into(), &3.into()), "{report}");

    cluster.kill(&[3]);
    until("the dead one is found", SOON, async || {
        let (code, report) = doctor(&cluster, 1);
        let found = findings(&report);
        let told = found.contains(&("critical", "unreachable", "n3"));
        let dead = report.to_string().contains("dead, and does not answer");
        if code == Some(1) && told && dead { Ok(()) } else { Err(format!("{code:?}: {report}")) }
    })
    .await;
    // For people: the verdict first, then a line that begins with how bad it is; and one line of failure.
    let output = quorate(["doctor", "--node", &cluster.native(1).to_string(), "--between", "0s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("wrong; 2 of 3 nodes answered"), "{}", said(&output));
    assert!(said(&output).contains("critical"), "{}", said(&output));
    assert!(complained(&output).starts_with("unhealthy: "), "{}", complained(&output));
    // Where nobody answers there is nobody to judge.
    let output = quorate(["doctor", "--node", &cluster.native(3).to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(complained(&output).starts_with("unreachable: "), "{}", complained(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_monitor_tells_of_a_death_and_a_return_as_they_happen() {
    let cluster = Cluster::start(3).await;
    let node = cluster.native(1).to_string();
    let mut command = Command::new(QUORATE);
    command.args(["monitor", "--node", &node, "-o", "json", "--duration", "3m"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program of this build runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let guard = Guard(child);
    let (send, mut heard) = tokio::sync::mpsc::channel(256);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut told = async |what: &str, text: &str| {
        let found = async {
            let mut lines = Vec::new();
            while let Some(line) = heard.recv().await {
                let entry: Value = serde_json::from_str(&line).expect("a line of JSON");
                if entry["what"] == what && entry["text"].as_str().is_some_and(|t| t.contains(text))
                {
                    return;
                }
                lines.push(line);
            }
            panic!("it ended before `{what}`: {lines:#?}");
        };
        tokio::time::timeout(SOON, found)
            .await
            .unwrap_or_else(|_| panic!("`{what}` of `{text}` was not told"));
    };
    told("watching", "of 3 members are alive").await;
    cluster.kill(&[3]);
    told("dead", "n3").await;
    cluster.restart(3).await;
    told("back", "n3").await;
    drop(guard);
}

/// A key, a value, and secrets in a configuration: none of it is in a bundle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_holds_every_nodes_answers_and_no_secret_key_or_value() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    client.put("carts", "s3cr3t-key", "s3cr3t-value").await.expect("acknowledged");
    let config = cluster.dir().join("planted.toml");
    let planted = "# s3cr3t-comment\n[node]\nname = \"n1\"\ntoken = \"s3cr3t-token\"\n\
                   [cluster]\njoin = [\"a:s3cr3t-login@b:1\"]\nkey = \"s3cr3t-cluster\"\n";
    std::fs::write(&config, planted).expect("a writable folder");
    let file = cluster.dir().join("out.tar.gz");
    let (node, file) = (cluster.native(2).to_string(), file.display().to_string());
    let words = ["debug", &file, "--node", &node, "--config", config.to_str().expect("UTF-8")];
    let output = quorate(words);
    assert!(output.status.success(), "{}", complained(&output));
    assert_eq!(said(&output), file);

    let packed = std::fs::File::open(&file).expect("the bundle");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut all = std::collections::BTreeMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        assert!(!text.contains("s3cr3t") && !path.contains("s3cr3t"), "{path}: {text}");
        all.insert(path.split_once('/').expect("one folder").1.to_owned(), text);
    }
    for path in ["README.txt", "versions.json", "doctor.json", "config/0-planted.toml"] {
        assert!(all.contains_key(path), "{path}: {:?}", all.keys());
    }
    for node in ["0-n1", "1-n2", "2-n3"] {
        for answer in
            ["info", "status", "members", "ring", "hints", "partitions", "metrics", "clock"]
        {
            let text = &all[&format!("nodes/{node}/{answer}.json")];
            let answer: Value = serde_json::from_str(text).expect("JSON");
            assert!(answer.is_object(), "{node}: {text}");
        }
    }
    // A second bundle does not take its place.
    let again = quorate(words);
    assert_eq!(again.status.code(), Some(1));
    assert!(complained(&again).starts_with("invalid: "), "{}", complained(&again));
}

fn piped(cluster: &Cluster, lines: &str) -> Output {
    let mut command = Command::new(QUORATE);
    command.args(["repl", "--node", &cluster.native(2).to_string()]).env_remove("QUORATE_NODE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program of this build runs");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_through_a_pipe_are_commands() {
    let cluster = Cluster::start(3).await;
    let output = piped(
        &cluster,
        "# a comment\n\nput carts alice 'green tea'\nput shelf a 1 --sort 1\nput shelf a 2 --sort 2\n\
         scan shelf a --limit 1\nget carts 616c696365 --hex\nquorate status\nhelp get\nexit\nget carts alice\n",
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{}", complained(&output));
    assert!(text.contains("677265656e20746561"), "{text}");
    assert!(text.contains("goes on at --from 2") && text.contains("Usage: "), "{text}");
    assert!(text.contains("asked") && text.contains("n2"), "the repl's node was asked: {text}");
    assert!(!text.contains("green tea"), "nothing after exit is read: {text}");
    // What fails says so, and the next line is read all the same.
    let output = piped(&cluster, "get carts nobody\nfrobnicate\nget carts alice\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).ends_with("green tea"), "{}", said(&output));
    let complaints: Vec<String> = complained(&output).lines().map(str::to_owned).collect();
    let codes: Vec<_> = complaints.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(codes, ["not_found", "invalid", "failed"]);
}
