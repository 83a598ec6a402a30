//! What it costs to find and mend what differs: three nodes, many small items, a table for `docs/performance.md`.
//!
//! `cargo bench --bench repair [-- ITEMS [FOLDER]]`; 1,000,000 items of 100 bytes unless said, and some 3 GB in
//! the folder. Items are taken out of the third node's store while it is down, with the checkpoints of its trees, so that no
//! hint knows of it. Bytes, index entries and CPU are of all three nodes together.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use quorate::client::Client;
use quorate::store::{Batch, Change, Options, SledStore, Source, Store, key};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 24600;
const BINARY: &str = env!("CARGO_BIN_EXE_quorate");
const VALUE_BYTES: usize = 100;
const WRITERS: usize = 256;
/// A little longer than a node's figures stay as they are.
const PUBLISHED_EVERY: Duration = Duration::from_millis(1_200);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(900);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let items = given.first().map_or(Ok(1_000_000), |items| items.parse())?;
    let folder = PathBuf::from(given.get(1).map_or(".", String::as_str));
    let cluster = Cluster::start(folder.join(format!("repair-bench-{}", std::process::id())))?;
    let began = Instant::now();
    load(items)?;
    println!("{items} items of {VALUE_BYTES} bytes in {:.0} s", began.elapsed().as_secs_f64());
    cluster.rest()?;
    println!("| what differs | time | bytes | index entries read | items mended | CPU |");
    println!("|---|---|---|---|---|---|");
    cluster.measure("nothing, and nobody asks: 30 s idle", || {
        std::thread::sleep(Duration::from_secs(30));
        Ok(())
    })?;
    cluster.measure("nothing", || cluster.repair())?;
    let rows = [("nothing, after a crash of one", 0), ("10 items, after a crash", 10)];
    for (what, count) in rows.into_iter().chain([("1 %, after a crash", items / 100)]) {
        cluster.take_out(count)?;
        cluster.measure(what, || {
            cluster.quorate(&["cluster", "restart", "3"])?;
            cluster.repair()
        })?;
    }
    cluster.quorate(&["cluster", "wipe", "3"])?;
    let looks = Looks::begin();
    cluster.measure("everything is missing on one", || {
        cluster.quorate(&["cluster", "restart", "3", "--timeout", "900s"])?;
        cluster.rest()
    })?;
    looks.end()
}

/// Each item once, through all nodes.
fn load(items: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let client = Client::builder().nodes((1..=3).map(native)).in_flight(256).build().await?;
        let next = Arc::new(AtomicUsize::new(0));
        let writers = (0..WRITERS).map(|_| {
            let (client, next) = (client.clone(), next.clone());
            async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= items {
                        return Ok::<(), quorate::error::Error>(());
                    }
                    let value = format!("{n:0VALUE_BYTES$}");
                    client.put("repair", format!("item-{n:07}"), value).await?;
                }
            }
        });
        let mut all = tokio::task::JoinSet::new();
        for writer in writers {
            all.spawn_local(writer);
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(())
    })
}

fn native(number: u16) -> String {
    format!("127.0.0.1:{}", PORT + 10 * number)
}

struct Cluster {
    folder: PathBuf,
}

/// What one node's process has counted so far.
#[derive(Clone, Default)]
struct Counted {
    /// Which process.
    pid: String,
    bytes: u64,
    heads: u64,
    items: u64,
    cpu: f64,
}

impl Counted {
    /// What came since; a process that was not there before has counted from zero.
    fn since(&self, before: &Counted) -> Counted {
        if self.pid != before.pid {
            return self.clone();
        }
        Counted {
            pid: self.pid.clone(),
            bytes: self.bytes - before.bytes,
            heads: self.heads - before.heads,
            items: self.items - before.items,
            cpu: self.cpu - before.cpu,
        }
    }
}

impl Cluster {
    fn start(folder: PathBuf) -> Result<Cluster> {
        std::fs::create_dir_all(&folder)?;
        let cluster = Cluster { folder };
        let port = PORT.to_string();
        cluster.quorate(&["cluster", "start", "--nodes", "3", "--base-port", &port])?;
        Ok(cluster)
    }

    /// A command on this cluster.
    fn quorate(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(BINARY);
        command.args(words).stdout(Stdio::null());
        if words[0] == "cluster" {
            command.arg("--dir").arg(&self.folder);
        } else {
            command.arg("--node").arg(native(1));
        }
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(format!("{words:?}: {status}").into()) }
    }

    fn repair(&self) -> Result<()> {
        self.quorate(&["repair", "--wait"])?;
        // What was sent is stored soon after.
        self.rest()
    }

    /// Until all nodes are ready and their trees are the same.
    fn rest(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let roots = |number| -> Result<Vec<Value>> {
                let told: Value = serde_json::from_str(&http(number, "/v1/local/partitions")?)?;
                let all = told["partitions"].as_array().cloned().unwrap_or_default();
                Ok(all.iter().map(|partition| partition["root"].clone()).collect())
            };
            let ready = (1..=3).all(|number| http(number, "/readyz").is_ok());
            if let (true, [Ok(a), Ok(b), Ok(c)]) = (ready, [1, 2, 3].map(roots))
                && a == b
                && b == c
                && !a.is_empty()
                && !a.contains(&Value::Null)
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("the nodes did not come to rest".into())
    }

    /// Kills the third node, and erases so many items, anywhere, of its store: behind everybody's back.
    fn take_out(&self, count: usize) -> Result<()> {
        self.quorate(&["cluster", "kill", "3"])?;
        let dir = self.folder.join("n3/data");
        let (mut store, _) = SledStore::open(&dir, Options::default(), &mut |_| ())?;
        let (from, to) = key::data_range();
        let every: Vec<_> = store.scan(&from, &to, usize::MAX)?;
        let gone = every.iter().step_by((every.len() / count.max(1)).max(1)).take(count);
        let mut partitions = BTreeSet::new();
        let mut changes = Vec::new();
        for (item, _) in gone {
            partitions.extend(key::partition_of_item(item));
            changes.push(Change::Erase { key: item.clone() });
        }
        let trees = key::meta("tree/");
        for partition in &partitions {
            let key = [&trees[..], &partition.0.to_be_bytes()].concat().into();
            changes.push(Change::Erase { key });
        }
        if changes.len() != count + partitions.len() {
            return Err(format!("{} items lie in {}", every.len(), dir.display()).into());
        }
        let number = store.commit(Batch { changes })?;
        let began = Instant::now();
        while store.durable() < number {
            if began.elapsed() > LIMIT {
                return Err("the store does not sync".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        store.close()?;
        Ok(())
    }

    fn counted(&self) -> [Counted; 3] {
        std::thread::sleep(PUBLISHED_EVERY);
        [1, 2, 3].map(|number| {
            let text = http(number, "/metrics").unwrap_or_default();
            let metric = |name: &str| -> u64 {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                line.and_then(|number| number.parse().ok()).unwrap_or(0)
            };
            let pid = std::fs::read_to_string(self.folder.join(format!("n{number}/pid")));
            let pid = pid.unwrap_or_default().trim().to_owned();
            Counted {
                bytes: metric("quorate_antientropy_bytes_total"),
                heads: metric("quorate_antientropy_heads_total"),
                items: metric("quorate_antientropy_items_total"),
                cpu: cpu(&pid).unwrap_or(0.0),
                pid,
            }
        })
    }

    fn measure(&self, what: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.counted();
        let began = Instant::now();
        act()?;
        let took = began.elapsed();
        let after = self.counted();
        let each: Vec<Counted> = after.iter().zip(&before).map(|(a, b)| a.since(b)).collect();
        println!(
            "| {what} | {:.1} s | {} | {} | {} | {:.2} s |",
            took.as_secs_f64(),
            each.iter().map(|node| node.bytes).sum::<u64>(),
            each.iter().map(|node| node.heads).sum::<u64>(),
            each.iter().map(|node| node.items).sum::<u64>(),
            each.iter().map(|node| node.cpu).sum::<f64>(),
        );
        Ok(())
    }
}

/// Somebody who looks at `status` again and again: a node that rebuilds is nothing healthy, and then all is well.
struct Looks {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, Duration)>,
}

impl Looks {
    /// How long the others may take to hear what a node says of itself.
    const SLACK: Duration = Duration::from_secs(5);

    fn begin() -> Looks {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut looks, mut since, mut longest) = (0, None, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let [Some(one), Some(three)] = [status(1), status(3)] else { continue };
                let rebuilds = three["partitions"]["rebuilding"].as_u64() > Some(0);
                looks += usize::from(rebuilds);
                match rebuilds && one["partitions"]["under_replicated"].as_u64() == Some(0) {
                    true => longest = longest.max(since.get_or_insert_with(Instant::now).elapsed()),
                    false => since = None,
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            (looks, longest)
        });
        Looks { stop, thread }
    }

    fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let (looks, longest) = self.thread.join().map_err(|_| "the looks ended early")?;
        println!("status: {looks} looks while one node rebuilt, wrong for {longest:.1?} at most");
        if looks == 0 || longest > Looks::SLACK {
            return Err("`status` was wrong".into());
        }
        let began = Instant::now();
        while status(1).is_none_or(|status| status["healthy"] != true) {
            if began.elapsed() > LIMIT {
                return Err(format!("all is done, and not well: {:?}", status(1)).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn status(number: u16) -> Option<Value> {
    serde_json::from_str(&http(number, "/v1/status").ok()?).ok()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.quorate(&["cluster", "stop"]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Seconds of processor time that the process has taken.
fn cpu(pid: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// The body of an answer that says 200.
fn http(number: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT + 10 * number + 1))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.starts_with("HTTP/1.1 200") { Ok(body.into()) } else { Err(head.into()) }
}
