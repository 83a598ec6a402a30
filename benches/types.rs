//! What an add to a large set costs, beside writing the whole set anew: bytes on the wire and in the logs.
//!
//! `cargo bench --bench types [-- MEMBERS [FOLDER]]`; 100,000 members of 8 bytes unless said, three nodes. Bytes on the wire
//! are those of the loopback device, TCP's own and the client's among them, less what an idle second takes: nothing else should
//! use it meanwhile. Bytes in the logs are those appended on all three nodes. It fails where an add costs more than 5 % of the whole.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use quorate::client::{Bytes, Client, Context};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PORT: u16 = 24700;
const BINARY: &str = env!("CARGO_BIN_EXE_quorate");
const ADDS: usize = 500;
const WHOLES: usize = 20;
/// How many members one call of the load adds.
const AT_A_TIME: usize = 1_000;
/// How long a write may take to be on the last replica, too.
const SETTLED: Duration = Duration::from_secs(1);
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
    let (add, whole) = runtime.block_on(measure(members, Logs::of(&cluster)))?;
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

async fn measure(members: usize, mut logs: Logs) -> Result<(Cost, Cost)> {
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
    let idle = Used::now(&mut logs).await?;
    tokio::time::sleep(IDLE).await;
    let idle = Used::now(&mut logs).await?.wire_per_second(&idle);

    let before = Used::now(&mut logs).await?;
    for n in 0..ADDS {
        sets.add("large", [name(members + n)]).await?;
        logs.look()?;
    }
    let add = Used::now(&mut logs).await?.since(&before, ADDS, idle);

    let before = Used::now(&mut logs).await?;
    for _ in 0..WHOLES {
        let context: Context = client.get("wholes", "large").await?.context;
        client.put("wholes", "large", whole.clone()).context(&context).await?;
        logs.look()?;
    }
    Ok((add, Used::now(&mut logs).await?.since(&before, WHOLES, idle)))
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
    async fn now(logs: &mut Logs) -> Result<Used> {
        // What was put on its way is stored soon.
        tokio::time::sleep(SETTLED).await;
        let disk = logs.look()?;
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

/// All that was ever written to the logs: segments only grow, and go when what lives in them was copied.
struct Logs {
    folders: Vec<PathBuf>,
    largest: BTreeMap<PathBuf, u64>,
}

impl Logs {
    fn of(cluster: &Cluster) -> Logs {
        let folders = (1..=3).map(|n| cluster.folder.join(format!("n{n}/data/log"))).collect();
        Logs { folders, largest: BTreeMap::new() }
    }

    fn look(&mut self) -> Result<u64> {
        for folder in &self.folders {
            for file in std::fs::read_dir(folder)? {
                let file = file?;
                // It may go meanwhile.
                let Ok(about) = file.metadata() else { continue };
                let largest = self.largest.entry(file.path()).or_default();
                *largest = about.len().max(*largest);
            }
        }
        Ok(self.largest.values().sum())
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
