//! What an add to a large set costs, beside writing the whole set anew: bytes on the wire and in the logs.
//!
//! `cargo bench --bench types [-- MEMBERS [FOLDER]]`; 100,000 members of 8 bytes unless said, three nodes. Bytes on the wire
//! are those of the loopback device, TCP's own and the client's among them, less what an idle second takes: nothing else should
//! use it meanwhile. Bytes in the logs are of all three nodes. It fails where an add costs more than 5 % of the whole.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use quorate::client::{Bytes, Client, Context};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PORT: u16 = 24700;
const BINARY: &str = env!("CARGO_BIN_EXE_quorate");
const ADDS: usize = 500;
const WHOLES: usize = 20;
/// How many members one call of the load adds.
const AT_A_TIME: usize = 1_000;
/// A little longer than a node's figures stay as they are.
const PUBLISHED_EVERY: Duration = Duration::from_millis(1_200);
/// How long the idle network is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// The most that an add may cost of a whole.
const GOAL: f64 = 0.05;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let members = given.first().map_or(Ok(100_000), |members| members.parse())?;
    let folder = PathBuf::from(given.get(1).map_or(".", String::as_str));
    let cluster = Cluster::start(folder.join(format!("types-bench-{}", std::process::id())))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (add, whole) = runtime.block_on(measure(members))?;
    drop(cluster);
    println!("a set of {members} members of 8 bytes, three replicas");
    println!("| one change | bytes on the wire | bytes in the logs |");
    println!("|---|---|---|");
    println!("| an add: read the member, write it | {:.0} | {:.0} |", add.wire, add.disk);
    println!("| the whole set, read and written | {:.0} | {:.0} |", whole.wire, whole.disk);
    let (wire, disk) = (add.wire / whole.wire, add.disk / whole.disk);
    println!("| an add of a whole | {:.2} % | {:.2} % |", wire * 100.0, disk * 100.0);
    if wire.max(disk) > GOAL { Err("an add costs more than 5 %".into()) } else { Ok(()) }
}

async fn measure(members: usize) -> Result<(Cost, Cost)> {
    let client = Client::builder().nodes((1..=3).map(native)).build().await?;
    let name = |n: usize| Bytes::from(format!("m{n:07}"));
    let sets = client.set("sets");
    for first in (0..members).step_by(AT_A_TIME) {
        let last = (first + AT_A_TIME).min(members);
        sets.add("large", (first..last).map(name)).await?;
    }
    if sets.size("large").await? != members as u64 {
        return Err("not all members are there".into());
    }
    let whole: Bytes = (0..members).flat_map(|n| format!("m{n:07}\n").into_bytes()).collect();
    client.put("wholes", "large", whole.clone()).await?;
    let idle = Used::now().await?;
    tokio::time::sleep(IDLE).await;
    let idle = Used::now().await?.wire_per_second(&idle);

    let before = Used::now().await?;
    for n in 0..ADDS {
        sets.add("large", [name(members + n)]).await?;
    }
    let add = Used::now().await?.since(&before, ADDS, idle);

    let before = Used::now().await?;
    for _ in 0..WHOLES {
        let context: Context = client.get("wholes", "large").await?.context;
        client.put("wholes", "large", whole.clone()).context(&context).await?;
    }
    Ok((add, Used::now().await?.since(&before, WHOLES, idle)))
}

/// What one change has cost.
struct Cost {
    wire: f64,
    disk: f64,
}

/// What was used so far.
struct Used {
    at: Instant,
    wire: u64,
    disk: u64,
}

impl Used {
    async fn now() -> Result<Used> {
        // What was put on its way is stored, and counted, soon.
        tokio::time::sleep(PUBLISHED_EVERY).await;
        let mut disk = 0;
        for number in 1..=3 {
            let text = http(number, "/metrics")?;
            let line = text.lines().find_map(|line| line.strip_prefix("quorate_store_log_bytes "));
            disk += line.ok_or("no bytes of the log")?.parse::<f64>()? as u64;
        }
        let devices = std::fs::read_to_string("/proc/net/dev")?;
        let loopback = devices.lines().find_map(|line| line.trim().strip_prefix("lo:"));
        let received = loopback.and_then(|line| line.split_whitespace().next());
        Ok(Used { at: Instant::now(), wire: received.ok_or("no loopback device")?.parse()?, disk })
    }

    fn wire_per_second(&self, before: &Used) -> f64 {
        (self.wire - before.wire) as f64 / (self.at - before.at).as_secs_f64()
    }

    fn since(&self, before: &Used, changes: usize, idle: f64) -> Cost {
        let idle = idle * (self.at - before.at).as_secs_f64();
        let wire = ((self.wire - before.wire) as f64 - idle).max(0.0);
        let disk = self.disk.saturating_sub(before.disk) as f64;
        Cost { wire: wire / changes as f64, disk: disk / changes as f64 }
    }
}

fn native(number: u16) -> String {
    format!("127.0.0.1:{}", PORT + 10 * number)
}

struct Cluster {
    folder: PathBuf,
}

impl Cluster {
    fn start(folder: PathBuf) -> Result<Cluster> {
        std::fs::create_dir_all(&folder)?;
        let cluster = Cluster { folder };
        cluster.command(&["start", "--nodes", "3", "--base-port", &PORT.to_string()])?;
        Ok(cluster)
    }

    fn command(&self, words: &[&str]) -> Result<()> {
        let mut command = Command::new(BINARY);
        command.arg("cluster").args(words).arg("--dir").arg(&self.folder).stdout(Stdio::null());
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(format!("{words:?}: {status}").into()) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
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
