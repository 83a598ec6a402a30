//! Lines of logs on real nodes: as many as by hand, whatever is sent twice and whoever dies.

use super::cluster::{Cluster, QUORATE, SOON, complained, quorate, said, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many lines of each level a file has; lines without one under nothing.
type Levels = BTreeMap<Option<&'static str>, u64>;

/// A service's log of some hours, with traces between the lines.
fn written(folder: &Path, source: &str, lines: u32) -> (PathBuf, Levels) {
    let (mut text, mut levels) = (String::new(), Levels::new());
    for i in 0..lines {
        let level = ["INFO", "WARN", "INFO", "ERROR", "DEBUG"][(i * 7 % 5) as usize];
        let (hour, minute, second) = (i / 700 % 24, i / 12 % 60, i % 60);
        writeln!(
            text,
            "2026-01-02 {hour:02}:{minute:02}:{second:02},{:03} {level} [main] {source}: job {i} {}",
            i % 1000,
            "x".repeat((i * 31 % 90) as usize)
        )
        .unwrap();
        if level == "ERROR" {
            text.push_str("java.io.IOException: reset\n\tat Job.run(Job.java:7)\n");
        }
        *levels.entry(Some(level)).or_default() += 1;
    }
    let path = folder.join(format!("{source}.log"));
    std::fs::write(&path, text).unwrap();
    (path, levels)
}

fn run(node: &str, arguments: &[&str]) -> Value {
    let output = quorate(["logs"].iter().chain(arguments).chain(&["--node", node, "-o", "json"]));
    assert!(output.status.success(), "{arguments:?}: {}", complained(&output));
    serde_json::from_str(&said(&output)).unwrap()
}

/// By level, of one source.
fn counted(node: &str, source: &str) -> Levels {
    let counts = run(node, &["query", "--count", "--by", "level", "--source", source]);
    assert_eq!(counts["partial"], false);
    let known = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let each = counts["by"].as_array().unwrap().iter().map(|group| {
        let level = group["level"].as_str();
        let level = level.map(|level| *known.iter().find(|known| **known == level).unwrap());
        (level, group["count"].as_u64().unwrap())
    });
    each.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_counted_as_by_hand_also_when_they_are_sent_twice_and_a_node_dies() {
    let cluster = Cluster::start(3).await;
    let folder = tempfile::tempdir().unwrap();
    let nodes = format!("{},{}", cluster.native(1), cluster.native(3));
    let mut files: Vec<_> =
        ["web-1", "web-2", "db"].map(|source| written(folder.path(), source, 20_000)).into();
    files.extend(real());
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    let ingest = [&["ingest"][..], &paths].concat();
    // A node dies while the lines go in.
    let mut command = Command::new(QUORATE);
    command.arg("logs").args(&ingest).args(["--node", &nodes, "-o", "json"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    until("the first lines are in", SOON, async || {
        let sources = run(&nodes, &["sources"]);
        let some = sources["sources"].as_array().is_some_and(|sources| !sources.is_empty());
        some.then_some(()).ok_or_else(|| format!("{sources}"))
    })
    .await;
    cluster.kill(&[2]);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", complained(&output));
    let told: Value = serde_json::from_str(&said(&output)).unwrap();
    let all: u64 = files.iter().flat_map(|(_, levels)| levels.values()).sum();
    assert_eq!(
        (&told["ingested"], told["rejected"].as_array().map(Vec::len)),
        (&all.into(), Some(0))
    );
    for round in ["with a node down", "sent twice", "with all nodes up"] {
        match round {
            "sent twice" => assert_eq!(run(&nodes, &ingest)["ingested"], all),
            "with all nodes up" => cluster.restart(2).await,
            _ => {}
        }
        for (path, levels) in &files {
            let source = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(counted(&nodes, source), *levels, "{source}, {round}");
        }
    }
    queries(&cluster, &nodes);
    http(&cluster).await;
}

/// The real ones, where there are some: each of their lines is an event, and says its level.
fn real() -> Vec<(PathBuf, Levels)> {
    let Some(folder) = std::env::var_os("QUORATE_LOGHUB") else {
        println!("SKIPPED: QUORATE_LOGHUB names no folder of real *.log files");
        return Vec::new();
    };
    let words: [(&str, &[&str], &str); 3] = [
        ("Apache_2k", &["] [notice] ", "] [error] "], "INFO ERROR"),
        ("Hadoop_2k", &[" INFO [", " WARN [", " ERROR [", " FATAL ["], "INFO WARN ERROR FATAL"),
        ("Zookeeper_2k", &[" - INFO  [", " - WARN  [", " - ERROR ["], "INFO WARN ERROR"),
    ];
    let count = |(name, words, names): (&str, &[&str], &'static str)| {
        let path = Path::new(&folder).join(format!("{name}.log"));
        let text = std::fs::read_to_string(&path).expect("a real log");
        let mut levels = Levels::new();
        for line in text.lines() {
            let first = words.iter().filter_map(|word| Some((line.find(word)?, word)));
            let (_, word) = first.min().unwrap_or_else(|| panic!("a level in {line}"));
            let at = words.iter().position(|other| other == word).unwrap();
            *levels.entry(names.split(' ').nth(at)).or_default() += 1;
        }
        (path, levels)
    };
    words.into_iter().map(count).collect()
}

/// Pages, filters, and what people see.
fn queries(cluster: &Cluster, nodes: &str) {
    let query = |more: &[&str]| {
        run(nodes, &[&["query", "--source", "web-*", "--level", "ERROR"], more].concat())
    };
    let whole = query(&["--limit", "10000", "--order", "oldest"]);
    let lines = whole["lines"].as_array().unwrap().clone();
    assert_eq!((lines.len(), whole["cursor"].is_null()), (8_000, true));
    assert!(lines.is_sorted_by_key(|line| line["ts"].as_str().unwrap()));
    assert!(lines[0]["text"].as_str().unwrap().ends_with("\n\tat Job.run(Job.java:7)"));
    let first = query(&["--limit", "5000", "--order", "oldest"]);
    // Another node goes on.
    let other = cluster.native(3).to_string();
    let cursor = first["cursor"].as_str().unwrap();
    let query = ["query", "--source", "web-*", "--level", "ERROR", "--order", "oldest"];
    let rest = run(&other, &[&query[..], &["--limit", "5000", "--cursor", cursor]].concat());
    let both =
        [first["lines"].as_array().unwrap().clone(), rest["lines"].as_array().unwrap().clone()];
    assert_eq!(both.concat(), lines);
    let hour =
        ["query", "--level", "ERROR", "--since", "2026-01-02T03:00", "--until", "2026-01-02T04:00"];
    let hour =
        run(nodes, &[&hour[..], &["--contains", "job 21", "--count", "--by", "source"]].concat());
    assert_eq!(hour["partitions"]["asked"], 3, "one window of three sources: {hour}");
    let shown = quorate(["logs", "query", "--source", "db", "--limit", "1", "--node", nodes]);
    assert!(said(&shown).starts_with("2026-01-02T") && complained(&shown).contains("--cursor "));
}

/// The same over HTTP, and what Loki's shippers send.
async fn http(cluster: &Cluster) {
    let body = b"{\"ts\":\"2026-03-04T05:06:07.000000008Z\",\"level\":\"warn\",\"message\":\"m\"}\nnot json\n\xff\n";
    let path = "/v1/logs?source=app";
    let told = cluster.ask(1, "POST", path, &[], body).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(told.json()["rejected"][0]["line"], 3, "{}", told.text());
    let push = br#"{"streams":[{"stream":{"service_name":"app","level":"error"},"values":[["1772600767000000009","pushed"]]}]}"#;
    let pushed = cluster.ask(3, "POST", "/loki/api/v1/push", &[], push).await;
    assert_eq!(pushed.status, 204, "{}", pushed.text());
    let found = cluster
        .get(2, "/v1/logs?source=app&since=2026-03-04&until=2026-03-05")
        .await
        .unwrap()
        .json();
    let lines = found["lines"].as_array().unwrap();
    let short = |line: &Value| (line["ts"].clone(), line["level"].clone());
    let wanted =
        [("2026-03-04T05:06:07.000000009Z", "ERROR"), ("2026-03-04T05:06:07.000000008Z", "WARN")];
    assert_eq!(
        lines.iter().map(short).collect::<Vec<_>>(),
        wanted.map(|(ts, l)| (ts.into(), l.into()))
    );
    let counted = cluster.get(1, "/v1/logs?source=app&count=true&by=level").await.unwrap().json();
    assert!(counted["count"].as_u64() >= Some(2), "{counted}");
    for (path, status) in
        [("?level=loud", 400), ("?since=never", 400), ("?cursor=x", 400), ("?source=[", 400)]
    {
        let refused = cluster.get(1, &format!("/v1/logs{path}")).await.unwrap();
        assert_eq!((refused.status, refused.code().as_str()), (status, "invalid"), "{path}");
    }
    let metrics = cluster.ask(1, "GET", "/metrics", &[("accept", "application/json")], b"").await;
    assert!(metrics.json()["logs_ingested"].as_u64() >= Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pipe_has_brought_is_found_while_the_pipe_is_open() {
    let cluster = Cluster::start(3).await;
    let node = cluster.native(1).to_string();
    let mut command = Command::new(QUORATE);
    command.args(["logs", "ingest", "-", "--source", "pipe", "--node", &node, "-o", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let trace = "2026-01-02 03:04:05,006 ERROR [main] Job: lost\njava.io.IOException: reset\n\tat Job.run(Job.java:7)";
    for text in [trace, "2026-01-02 03:04:06,007 INFO [main] Job: again"] {
        writeln!(pipe, "{text}").unwrap();
        until("the newest event is found", SOON, async || {
            let found = run(&node, &["query", "--source", "pipe", "--limit", "1"]);
            (found["lines"][0]["text"] == text).then_some(()).ok_or_else(|| found.to_string())
        })
        .await;
    }
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", complained(&output));
    let told: Value = serde_json::from_str(&said(&output)).unwrap();
    assert_eq!(told["ingested"], 2, "{told}");
}
