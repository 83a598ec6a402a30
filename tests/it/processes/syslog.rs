//! Syslog over the network into real nodes: each message once, whatever framed it, and what was held when a node stopped.

use super::cluster::{Cluster, QUORATE, SOON, complained, quorate, said, until};
use super::process::{Guard, Process};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// A node once more, by hand, so that it takes syslog; and where.
async fn again_with_syslog(cluster: &Cluster, number: u16) -> (Guard, SocketAddr) {
    cluster.stop(number);
    let mut command = Command::new(QUORATE);
    command.arg("serve").arg("-c").arg(cluster.node_dir(number).join("node.toml"));
    command.args(["--syslog", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut node = Guard(command.stderr(Stdio::null()).spawn().expect("it runs"));
    let mut said = String::new();
    let stdout = node.0.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut said).expect("it says where it listens");
    let at = said.trim().rsplit_once(", syslog ").and_then(|(_, at)| at.parse().ok());
    cluster.ready(number).await;
    (node, at.unwrap_or_else(|| panic!("{said}")))
}

/// Source, level, word and text of all lines that are there, sorted.
fn lines(cluster: &Cluster, number: u16) -> Vec<[String; 4]> {
    let node = cluster.native(number).to_string();
    let query = ["logs", "query", "--limit", "10000", "--node", &node, "-o", "json"];
    let output = quorate(query);
    assert!(output.status.success(), "{}", complained(&output));
    let found: Value = serde_json::from_str(&said(&output)).unwrap();
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let each = found["lines"].as_array().unwrap().iter();
    let mut lines: Vec<_> =
        each.map(|line| ["source", "level", "word", "text"].map(|name| word(line, name))).collect();
    lines.sort();
    lines
}

async fn are_there(cluster: &Cluster, number: u16, wanted: &[[&str; 4]]) {
    let mut wanted: Vec<_> = wanted.iter().map(|line| line.map(str::to_owned)).collect();
    wanted.sort();
    until("each message is there once", SOON, async || {
        let found = lines(cluster, number);
        (found == wanted).then_some(()).ok_or_else(|| format!("{found:#?}"))
    })
    .await;
}

async fn rejected(cluster: &Cluster, reason: &str) -> Option<u64> {
    let metrics = cluster.get(1, "/metrics").await.unwrap().text();
    let name = format!("quorate_rejected_total{{port=\"syslog\",reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
}

const TRACE: &str =
    "<11>Nov  5 06:07:08 web-1 job[7]: lost\njava.io.IOException: reset\n\tat Job.run(Job.java:7)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_syslog_is_there_once_with_its_source_and_level() {
    let cluster = Cluster::start(3).await;
    let (node, at) = again_with_syslog(&cluster, 1).await;

    let mut wanted: Vec<[&str; 4]> = Vec::new();
    // Datagrams as `logger` sends them, in both forms; one twice, which are two; one without a time, and one of no text.
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let new = "<29>1 2026-01-02T03:04:05.678901+00:00 web-1 backup 77 - [timeQuality tzKnown=\"1\"] begun";
    let old = "<10>Nov  5 06:07:08 web-2 su: refused for root";
    for datagram in [new, old, old, "<12>app: no time"] {
        udp.send_to(datagram.as_bytes(), at).await.unwrap();
    }
    udp.send_to(b"<10>Nov  5 06:07:08 web-2 su: \xff", at).await.unwrap();
    wanted.push(["web-1/backup", "INFO", "notice", new]);
    wanted.extend([["web-2/su", "FATAL", "crit", old]; 2]);
    wanted.push(["127.0.0.1/app", "WARN", "warning", "<12>app: no time"]);

    // A connection of both framings, cut where it hurts; its last message is a trace, and nothing comes behind.
    let mut tcp = TcpStream::connect(at).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let counted = "<14>1 2026-01-02T03:04:06Z web-1 app - - - two\nlines";
    let line = "<15>Nov  5 06:07:09 web-1 app[1]: a line";
    let bytes = format!("{} {counted}{line}\r\n{TRACE}\n", counted.len());
    for piece in bytes.as_bytes().chunks(13) {
        tcp.write_all(piece).await.unwrap();
    }
    wanted.push(["web-1/app", "INFO", "info", counted]);
    wanted.push(["web-1/app", "DEBUG", "debug", line]);
    wanted.push(["web-1/job", "ERROR", "err", TRACE]);
    are_there(&cluster, 2, &wanted).await;
    assert_eq!(rejected(&cluster, "not_utf8").await, Some(1));
    let metrics = cluster.get(1, "/metrics").await.unwrap().text();
    assert!(metrics.contains("\nquorate_logs_ingested_total 7\n"), "{metrics}");

    // An equal one of the same second, in a later batch, is another one.
    udp.send_to(old.as_bytes(), at).await.unwrap();
    wanted.push(["web-2/su", "FATAL", "crit", old]);
    are_there(&cluster, 3, &wanted).await;

    // What begins with a digit and is no count: nobody knows where the next one begins.
    let mut strange = TcpStream::connect(at).await.unwrap();
    strange.write_all(b"12x <14>lost").await.unwrap();
    assert_eq!(strange.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed");
    assert_eq!(rejected(&cluster, "malformed").await, Some(1));

    // A node stops in order, with messages that it has only just got.
    let (last, held) = ("<14>1 2026-01-02T03:04:07Z web-1 app - - - last", "<14>app: held");
    udp.send_to(last.as_bytes(), at).await.unwrap();
    tcp.write_all(format!("{held}\n").as_bytes()).await.unwrap();
    Process::open(Pid::from_child(&node.0)).signal(Signal::TERM);
    assert!(node.ends(SOON), "it stops");
    wanted.push(["web-1/app", "INFO", "info", last]);
    wanted.push(["127.0.0.1/app", "INFO", "info", held]);
    are_there(&cluster, 2, &wanted).await;
}
