//! A cluster of real processes for one test.
//!
//! ```text
//! test process ──pipe──▶ watchdog (sh)      the pipe breaks: the test is over, or dead
//!                            └─▶ quorate cluster kill 1 2 3 …, remove the folder
//! ```
//!
//! * Nobody's processes but our own are signalled: `quorate cluster` believes a pid only when its command
//!   line names the node's own file, and so does [`Cluster::kill`].

use super::http::{self, Answer};
use super::process::Process;
use quorate::client::{Bytes, Client, Inspect};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::RwLock;
use tokio::time::{MissedTickBehavior, interval};

/// The program under test.
pub const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");
/// How long anything may take that should happen, on a machine that does other things too.
pub const SOON: Duration = Duration::from_secs(60);
/// How long between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Where ports are looked for: below what the system gives to outgoing connections, and what the demo uses.
const PORTS: std::ops::Range<u16> = 10_000..14_500;
/// How far the ports of two clusters are apart.
const STRIDE: u16 = 100;
/// How many nodes may join later.
const GROW: u16 = 2;
/// How often another place is tried.
const TRIES: usize = 20;

/// Waits until `look` finds something, and panics with its last reason when it never does.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    let mut again = interval(LOOK_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        again.tick().await;
        match look().await {
            Ok(found) => return found,
            Err(reason) if Instant::now() >= deadline => panic!("{what}: {reason}"),
            Err(_) => {}
        }
    }
}

/// The base of a range of ports that nobody listens on.
pub fn free_base(nodes: u16) -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let places = (PORTS.end - PORTS.start) / STRIDE;
    let next = NEXT.get_or_init(|| AtomicU16::new((std::process::id() * 7) as u16 % places));
    let free = |port: u16| {
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
    };
    for _ in 0..places {
        let base = PORTS.start + next.fetch_add(1, Ordering::Relaxed) % places * STRIDE;
        if (1..=nodes).all(|n| (0..3).all(|port| free(base + 10 * n + port))) {
            return base;
        }
    }
    panic!("no free ports between {} and {}", PORTS.start, PORTS.end);
}

/// Runs the program to its end.
pub fn quorate<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    let mut command = Command::new(QUORATE);
    command.args(arguments).env_remove("QUORATE_NODE").stdin(Stdio::null());
    command.output().expect("the program of this build runs")
}

/// What a program said on standard output.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_string()
}

/// What it said on standard error.
pub fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_string()
}

/// Tests that measure time have the machine to themselves; the others share it.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// Nodes from 1, which end when this does.
pub struct Cluster {
    dir: PathBuf,
    base: u16,
    nodes: u16,
    settings: Vec<(String, String)>,
    watchdog: Child,
    _machine: Box<dyn Send + Sync>,
}

impl Cluster {
    /// So many nodes, all ready and acquainted, which compare their replicas every few seconds.
    pub async fn start(nodes: u16) -> Cluster {
        Cluster::start_with(nodes, &[("QUORATE_TIMING__SYNC", "3s")]).await
    }

    /// The same while no other cluster runs.
    pub async fn start_alone(nodes: u16) -> Cluster {
        let machine = Box::new(MACHINE.write().await);
        Cluster::found(nodes, &[("QUORATE_TIMING__SYNC", "3s")], machine).await
    }

    /// The same with these settings in the nodes' environment.
    ///
    /// One at a time: whoever holds one and waits for another may wait for a test that waits for it.
    pub async fn start_with(nodes: u16, settings: &[(&str, &str)]) -> Cluster {
        let machine = Box::new(MACHINE.read().await);
        Cluster::found(nodes, settings, machine).await
    }

    async fn found(
        nodes: u16,
        settings: &[(&str, &str)],
        machine: Box<dyn Send + Sync>,
    ) -> Cluster {
        let mut reason = String::new();
        for _ in 0..TRIES {
            let dir = tempfile::Builder::new().prefix("quorate-it-").tempdir().expect("a folder");
            let dir = fs::canonicalize(dir.keep()).expect("it is there");
            let base = free_base(nodes + GROW);
            let watchdog = watchdog(&dir, nodes);
            let settings = settings.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let _machine: Box<dyn Send + Sync> = Box::new(());
            let mut cluster = Cluster { dir, base, nodes, settings, watchdog, _machine };
            let (count, port) = (nodes.to_string(), base.to_string());
            let started = cluster.command(&["start", "--nodes", &count, "--base-port", &port]);
            match started {
                Ok(_) => {
                    cluster._machine = machine;
                    return cluster;
                }
                // Somebody was faster: take other ports.
                Err(error) if error.contains("port_in_use") || error.contains("cannot listen") => {
                    reason = error;
                }
                Err(error) => panic!("the cluster does not start: {error}"),
            }
        }
        panic!("no cluster after {TRIES} tries: {reason}")
    }

    /// One more node, which joins; returns when it is ready.
    pub fn grow(&mut self) -> u16 {
        self.nodes += 1;
        self.must(&["start", "--nodes", &self.nodes.to_string()]);
        self.nodes
    }

    /// `quorate cluster …` on this cluster: what it said, or what it complained about.
    pub fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.build(arguments).output().expect("the program of this build runs");
        match output.status.success() {
            true => Ok(said(&output)),
            false => Err(complained(&output)),
        }
    }

    fn build(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(QUORATE);
        command.arg("cluster").arg("--dir").arg(&self.dir).args(arguments);
        command.envs(self.settings.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command
    }

    /// The same for one that waits for what may not come: whoever began it ends it.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.build(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program of this build runs")
    }

    /// The same, and it must work.
    pub fn must(&self, arguments: &[&str]) -> String {
        self.command(arguments).unwrap_or_else(|error| panic!("cluster {arguments:?}: {error}"))
    }

    /// Starts a node again and waits until it is ready.
    pub async fn restart(&self, number: u16) {
        self.must(&["restart", &number.to_string()]);
        self.ready(number).await;
    }

    /// Waits until a node is ready.
    pub async fn ready(&self, number: u16) {
        until(&format!("n{number} is ready"), SOON, async || {
            match self.get(number, "/readyz").await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.text()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// SIGKILL to several at one moment; then waits until they are gone.
    pub fn kill(&self, numbers: &[u16]) {
        self.end(numbers, Signal::KILL);
    }

    /// A signal to several at one moment.
    pub fn signal(&self, numbers: &[u16], signal: Signal) {
        self.processes(numbers).iter().for_each(|process| process.signal(signal));
    }

    /// The processes of nodes that are up.
    pub fn processes(&self, numbers: &[u16]) -> Vec<Process> {
        let pids: Vec<Pid> = numbers.iter().filter_map(|number| self.pid(*number)).collect();
        assert_eq!(pids.len(), numbers.len(), "all of {numbers:?} are up");
        pids.into_iter().map(Process::open).collect()
    }

    fn end(&self, numbers: &[u16], signal: Signal) {
        let processes = self.processes(numbers);
        processes.iter().for_each(|process| process.signal(signal));
        for (process, number) in processes.iter().zip(numbers) {
            assert!(process.ended(SOON), "n{number} does not end");
        }
    }

    /// An orderly stop of one.
    pub fn stop(&self, number: u16) {
        self.end(&[number], Signal::TERM);
    }

    /// The process of a node, if it is that node's.
    pub fn pid(&self, number: u16) -> Option<Pid> {
        let node = self.node_dir(number);
        let pid: i32 = fs::read_to_string(node.join("pid")).ok()?.trim().parse().ok()?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let config = node.join("node.toml").display().to_string();
        let ours = line.split('\0').any(|argument| argument == config);
        Pid::from_raw(pid).filter(|_| ours)
    }

    /// How many nodes there are.
    pub fn numbers(&self) -> Vec<u16> {
        (1..=self.nodes).collect()
    }

    /// All but one.
    pub fn others(&self, number: u16) -> Vec<u16> {
        self.numbers().into_iter().filter(|other| *other != number).collect()
    }

    /// A node's folder.
    pub fn node_dir(&self, number: u16) -> PathBuf {
        self.dir.join(format!("n{number}"))
    }

    /// A node's data.
    pub fn data(&self, number: u16) -> PathBuf {
        self.node_dir(number).join("data")
    }

    /// The cluster's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A node's native address.
    pub fn native(&self, number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.base + 10 * number))
    }

    /// A node's HTTP address.
    pub fn http(&self, number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.base + 10 * number + 1))
    }

    /// `GET path` of a node.
    pub async fn get(&self, number: u16, path: &str) -> std::io::Result<Answer> {
        http::ask(self.http(number), "GET", path, &[], b"").await
    }

    /// Any request to a node that must answer.
    pub async fn ask(
        &self,
        number: u16,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = http::ask(self.http(number), method, path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("n{number}: {method} {path}: {error}"))
    }

    /// JSON from a node that must have it.
    pub async fn json(&self, number: u16, path: &str) -> Value {
        let answer = self.ask(number, "GET", path, &[], b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// What a node says of another one's state.
    pub async fn state_of(&self, number: u16, whom: u16) -> Result<String, String> {
        let answer = self.get(number, "/v1/members").await.map_err(|error| error.to_string())?;
        let members = answer.json();
        let name = format!("n{whom}");
        let member =
            members["members"].as_array().into_iter().flatten().find(|m| m["name"] == name);
        let state = member.and_then(|member| member["state"].as_str());
        state.map(str::to_string).ok_or_else(|| format!("n{number} does not know {name}"))
    }

    /// A node's `info`.
    pub async fn info(&self, number: u16) -> Value {
        self.json(number, "/v1/info").await
    }

    /// A client of all nodes.
    pub async fn client(&self) -> Client {
        self.client_of(&self.numbers()).await
    }

    /// A client of some nodes.
    pub async fn client_of(&self, numbers: &[u16]) -> Client {
        let nodes: Vec<String> =
            numbers.iter().map(|number| self.native(*number).to_string()).collect();
        Client::builder().nodes(nodes).build().await.expect("a node greets")
    }

    /// Everything that a node holds of a bucket, by key and sort key (in base64), as `dump` shows it.
    pub async fn dump(&self, number: u16, bucket: &str) -> Result<BTreeMap<String, Value>, String> {
        let node = self.native(number).to_string();
        let client = Client::builder().nodes([node]).build().await.map_err(|e| e.to_string())?;
        let mut found = BTreeMap::new();
        let mut after = Bytes::new();
        loop {
            let what = Inspect::Dump { bucket: Some(bucket.into()), after, limit: 500 };
            let page = client.inspect(what).await.map_err(|error| error.to_string())?;
            let page: Value = serde_json::from_str(&page).map_err(|error| error.to_string())?;
            for item in page["items"].as_array().into_iter().flatten() {
                let name = format!("{}/{}", text(&item["key"]), text(&item["sort"]));
                found.insert(name, item.clone());
            }
            match page["next"].as_str() {
                Some(next) => after = http::unbase64(next).into(),
                None => return Ok(found),
            }
        }
    }

    /// Waits until each item of a bucket is on `replicas` nodes, the same on all of them. Returns the items.
    pub async fn agree(&self, bucket: &str, replicas: usize) -> BTreeMap<String, Value> {
        self.agree_among(&self.numbers(), bucket, replicas).await
    }

    /// The same, of these nodes.
    pub async fn agree_among(
        &self,
        numbers: &[u16],
        bucket: &str,
        replicas: usize,
    ) -> BTreeMap<String, Value> {
        let what = format!("the replicas of `{bucket}` agree");
        until(&what, SOON, async || {
            let mut holders: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for number in numbers {
                let dump =
                    self.dump(*number, bucket).await.map_err(|e| format!("n{number}: {e}"))?;
                for (key, item) in dump {
                    holders.entry(key).or_default().push(item);
                }
            }
            let mut items = BTreeMap::new();
            for (key, mut held) in holders {
                // Siblings stand in no particular order of their own.
                if held.len() != replicas || held.iter().any(|item| item != &held[0]) {
                    return Err(format!("{key} on {} nodes: {held:?}", held.len()));
                }
                items.extend(held.pop().map(|item| (key, item)));
            }
            Ok(items)
        })
        .await
    }

    /// A key of a new bucket without replicas that lives on the second node.
    pub async fn key_of_second(&self, client: &Client, bucket: &str) -> String {
        client.create_bucket(bucket).n(1).await.expect("created");
        for number in 0..1000 {
            let place = self.json(2, &format!("/v1/locate/{bucket}/k{number}")).await;
            if place["owners"][0] == "n2" {
                return format!("k{number}");
            }
        }
        panic!("n2 owns a third of everything");
    }

    /// Waits until nobody keeps a hint.
    pub async fn no_hints(&self) {
        until("all hints are delivered", SOON, async || {
            for number in self.numbers() {
                let answer = self.get(number, "/v1/hints").await.map_err(|e| e.to_string())?;
                let pending = &answer.json()["pending"];
                if *pending != 0 {
                    return Err(format!("n{number} keeps {pending}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until everybody sees everybody alive.
    pub async fn all_alive(&self) {
        until("everybody sees everybody", SOON, async || {
            for (number, whom) in self
                .numbers()
                .into_iter()
                .flat_map(|n| self.others(n).into_iter().map(move |o| (n, o)))
            {
                match self.state_of(number, whom).await? {
                    state if state == "alive" => {}
                    state => return Err(format!("n{number} sees n{whom} {state}")),
                }
            }
            Ok(())
        })
        .await;
    }
}

/// The text in a JSON value.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

fn watchdog(dir: &Path, nodes: u16) -> Child {
    use std::os::unix::process::CommandExt;
    // `read` ends when we do; "keep" leaves the folder to whoever wants to know what went wrong.
    let script = "read -r word; q=$1; d=$2; shift 2; \
                  for n in \"$@\"; do \"$q\" cluster --dir \"$d\" kill \"$n\"; done; \
                  [ \"$word\" = keep ] || rm -rf -- \"$d\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "watchdog", QUORATE]).arg(dir);
    command.args((1..=nodes + GROW).map(|number| number.to_string()));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C in the terminal is for the test alone.
    command.process_group(0).spawn().expect("sh runs")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.watchdog.stdin.take()
            && std::thread::panicking()
        {
            eprintln!("the nodes' logs are kept in {}", self.dir.display());
            let _ = pipe.write_all(b"keep\n");
        }
        let _ = self.watchdog.wait();
    }
}
