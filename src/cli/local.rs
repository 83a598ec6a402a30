//! A node that is a process of this machine: its folder, its ports, its pid.
//!
//! ```text
//! D/n1/ ─┬─ node.toml   name, addresses, join: never the right to found a cluster
//!        ├─ node.log    what the process said
//!        ├─ pid         who it was; believed only if that process still is this node
//!        └─ data/       its life
//! ```
//!
//! * A pid is a number that the system gives to others after its owner's death. Before anything is
//!   sent to one, its command line must name this node's own `node.toml`.

use super::failure::{About, Failure, Result};
use super::process::Process;
use rustix::process::{Pid, Signal};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a process may take to be gone after SIGKILL.
const GONE_LIMIT: Duration = Duration::from_secs(10);
/// How much of the end of a log is looked at for its last lines, in bytes.
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// How long a started node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until somebody stops it.
    Detached,
    /// At most as long as the process that started it.
    WithUs,
}

/// What right a node starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It founds the cluster, unless it did so before.
    Found,
    /// It joins, or goes on with what it has.
    Join,
}

/// What the process of a node does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessState {
    /// It runs.
    Up(Pid),
    /// It is stopped by a signal.
    Paused(Pid),
    /// There is none.
    Down,
}

impl ProcessState {
    /// Who it is, if it is.
    pub fn pid(self) -> Option<Pid> {
        match self {
            ProcessState::Up(pid) | ProcessState::Paused(pid) => Some(pid),
            ProcessState::Down => None,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ProcessState::Up(_) => "up",
            ProcessState::Paused(_) => "paused",
            ProcessState::Down => "down",
        }
    }
}

/// A node of this machine.
#[derive(Clone, Debug)]
pub(super) struct LocalNode {
    /// `n1`, `n2`, …
    pub name: String,
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// Where nodes and clients reach it.
    pub native: SocketAddr,
    /// Where its HTTP interface listens.
    pub http: SocketAddr,
    /// RESP.
    pub resp: SocketAddr,
    /// Where others of its cluster are reached.
    pub join: Vec<SocketAddr>,
    /// More sections for its configuration.
    pub extra: &'static str,
    /// The cluster's key, where it has one.
    pub key_file: Option<PathBuf>,
}

impl LocalNode {
    /// Its data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// What it said.
    pub fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("node.toml")
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// Makes its folder and its configuration, anew at each start: the cluster may have grown.
    ///
    /// The founder has nobody to join, and no node's file ever says `bootstrap`.
    pub(super) fn prepare(&self, role: Start) -> Result<()> {
        fs::create_dir_all(&self.dir).about(self.dir.display())?;
        let path = self.config();
        fs::write(&path, self.toml(role)).about(path.display())
    }

    fn toml(&self, role: Start) -> String {
        let join: &[SocketAddr] = if role == Start::Found { &[] } else { &self.join };
        let join: Vec<String> = join.iter().map(SocketAddr::to_string).collect();
        let quoted = |text: &str| toml::Value::String(text.to_string());
        let key = self.key_file.as_ref().map(|path| quoted(&path.display().to_string()));
        let key = key.map(|path| format!("key_file = {path}\n")).unwrap_or_default();
        format!(
            "# A node of a local cluster; written anew at each start.\n\
             [node]\nname = {}\ndata_dir = {}\n\n\
             [listen]\nnative = \"{}\"\nhttp = \"{}\"\nresp = \"{}\"\n\n\
             [cluster]\njoin = {join:?}\n{key}{}",
            quoted(&self.name),
            quoted(&self.data().display().to_string()),
            self.native,
            self.http,
            self.resp,
            self.extra,
        )
    }

    /// Says which of its ports another process holds.
    pub fn check_ports(&self) -> Result<()> {
        for (port, address) in [("native", self.native), ("HTTP", self.http), ("RESP", self.resp)] {
            let free = TcpListener::bind(address).map(drop).and_then(|()| {
                if port == "native" { UdpSocket::bind(address).map(drop) } else { Ok(()) }
            });
            free.map_err(|error| {
                Failure::new(
                    "port_in_use",
                    format!("{}'s {port} address {address}: {error}", self.name),
                    "stop what listens there, or choose other ports",
                )
            })?;
        }
        Ok(())
    }

    /// Starts its process, which must be down.
    ///
    /// A child that lives `WithUs` dies with the *thread* that started it: call this from the thread
    /// that lives longest.
    pub fn spawn(&self, role: Start, lifetime: Lifetime) -> Result<Child> {
        self.prepare(role)?;
        let exe = std::env::current_exe().about("this program")?;
        let log = OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.about(self.log().display())?;
        let mut command = Command::new(exe);
        command.arg("serve").arg("--config").arg(self.config());
        match lifetime {
            Lifetime::Detached => command.arg("--detached"),
            Lifetime::WithUs => command.arg("--die-with").arg(std::process::id().to_string()),
        };
        if role == Start::Found {
            command.arg("--bootstrap");
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().about(self.log().display())?)
            .stderr(log);
        for (name, _) in std::env::vars_os() {
            // What the environment says of *a* node's name and places would make all of them one.
            let ours = |prefix| name.as_encoded_bytes().starts_with(prefix);
            let places = ours(b"QUORATE_LISTEN__") || ours(b"QUORATE_CLUSTER__");
            let common = name == "QUORATE_CLUSTER__SPARE" || name == "QUORATE_CLUSTER__PARTITIONS";
            // And who started it must know which key and token it has.
            let locks = name == "QUORATE_KEY_FILE" || ours(b"QUORATE_HTTP__");
            if (ours(b"QUORATE_NODE") || places || locks) && !common {
                command.env_remove(name);
            }
        }
        if lifetime == Lifetime::WithUs {
            // Ctrl-C in the terminal is for us alone; we tell the children.
            use std::os::unix::process::CommandExt;
            command.process_group(0);
        }
        let child = command.spawn().about(format!("cannot start {}", self.name))?;
        let pid = self.pid_file();
        fs::write(&pid, child.id().to_string()).about(pid.display())?;
        Ok(child)
    }

    /// Looks whether its process lives.
    pub fn process(&self) -> ProcessState {
        let recorded = fs::read_to_string(self.pid_file()).ok();
        // No process has the id 0, and to signal a negative one is to signal a whole group.
        let number = recorded.and_then(|text| text.trim().parse().ok()).filter(|pid| *pid > 0);
        let pid = number.and_then(Pid::from_raw);
        match pid {
            Some(pid) if is_process_of(pid, &self.config()) => match process_letter(pid) {
                Some('T' | 't') => ProcessState::Paused(pid),
                Some('Z' | 'X') | None => ProcessState::Down,
                Some(_) => ProcessState::Up(pid),
            },
            _ => ProcessState::Down,
        }
    }

    /// Its process, if it lives.
    fn open(&self) -> Result<Option<Process>> {
        let Some(pid) = self.process().pid() else { return Ok(None) };
        let opened = Process::open(pid).about(format!("cannot watch {}", self.name))?;
        // Between the look and the opening the number may have come to be another's.
        Ok(opened.filter(|_| self.process().pid() == Some(pid)))
    }

    fn send(&self, process: &Process, signal: Signal) -> Result<bool> {
        process.signal(signal).about(format!("cannot signal {}", self.name))
    }

    /// Sends a signal, if there is anybody to hear it. Returns whether there was.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        self.open()?.map_or(Ok(false), |process| self.send(&process, signal))
    }

    /// SIGKILL, and waits until the process is gone. Returns whether there was one.
    pub fn kill(&self) -> Result<bool> {
        let Some(process) = self.open()? else { return Ok(false) };
        let was_up = self.send(&process, Signal::KILL)?;
        if self.is_gone(&process, GONE_LIMIT)? {
            return Ok(was_up);
        }
        Err(Failure::new(
            "timeout",
            format!("{} is still there after {} s", self.name, GONE_LIMIT.as_secs()),
            "look into its log, or kill it",
        ))
    }

    /// Asks it to end in order. Returns whom to wait for, if there is somebody.
    pub fn end(&self) -> Result<Option<Process>> {
        let Some(process) = self.open()? else { return Ok(None) };
        self.send(&process, Signal::TERM)?;
        // A paused process cannot hear that it should end.
        self.send(&process, Signal::CONT)?;
        Ok(Some(process))
    }

    /// Waits until its process is gone. False: it is still there.
    pub fn is_gone(&self, process: &Process, limit: Duration) -> Result<bool> {
        process.ended(limit).about(format!("cannot wait for {}", self.name))
    }

    /// The last lines of its log.
    pub fn last_words(&self, lines: usize) -> Vec<String> {
        let tail = tail(&self.log(), LOG_TAIL_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&tail);
        let all: Vec<&str> = text.lines().collect();
        let from = all.len().saturating_sub(lines);
        all[from..].iter().map(|line| format!("{}: {line}", self.name)).collect()
    }
}

/// The last bytes of a file.
fn tail(path: &Path, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Whether this process was started as the node of this configuration file.
fn is_process_of(pid: Pid, config: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(line) = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())) else { return false };
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    arguments.next() == Some(b"serve")
        && arguments.next() == Some(b"--config")
        && arguments.next() == Some(config.as_os_str().as_bytes())
}

/// The letter of a process's state in `/proc/PID/stat`; it follows the name, which may hold anything.
fn process_letter(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    fn node(dir: &Path) -> LocalNode {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        LocalNode {
            name: "n1".into(),
            dir: dir.to_path_buf(),
            native: address(7610),
            http: address(7611),
            resp: address(7612),
            join: vec![address(7620), address(7630)],
            extra: "",
            key_file: None,
        }
    }

    fn stranger() -> Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn the_file_of_a_node_never_lets_it_found_a_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path());
        for (role, members) in [(Start::Found, 0), (Start::Join, 2)] {
            node.prepare(role).unwrap();
            let config = ServerConfig::load(Some(&node.config()), [], &[]).unwrap();
            assert!(!config.cluster.bootstrap);
            assert_eq!(config.cluster.join.0.len(), members);
            assert_eq!((config.node.name.as_str(), config.node.data_dir), ("n1", node.data()));
            assert_eq!((config.listen.native, config.listen.http), (node.native, node.http));
            assert_eq!(config.listen.resp, Some(node.resp));
        }
    }

    #[test]
    fn a_pid_is_believed_only_if_the_process_is_this_node() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path());
        assert_eq!(node.process(), ProcessState::Down, "no pid file");
        let mut child = stranger();
        fs::write(node.dir.join("pid"), child.id().to_string()).unwrap();
        assert_eq!(node.process(), ProcessState::Down, "a recycled pid is a stranger's");
        assert!(!node.kill().unwrap());
        assert!(child.try_wait().unwrap().is_none(), "the stranger lives");
        child.kill().unwrap();
        child.wait().unwrap();
        for junk in ["", "x", "-1", "0", "99999999999"] {
            fs::write(node.dir.join("pid"), junk).unwrap();
            assert_eq!(node.process(), ProcessState::Down, "{junk}");
        }
    }

    #[test]
    fn a_process_with_our_command_line_is_paused_resumed_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path());
        // A shell that runs a script named `serve`, with the arguments of this node.
        fs::write(dir.path().join("serve"), "echo begun; read _\n").unwrap();
        let mut child = Command::new("sh")
            .current_dir(dir.path())
            .arg("serve")
            .arg("--config")
            .arg(node.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        fs::write(node.dir.join("pid"), child.id().to_string()).unwrap();
        // It has our command line once it runs, a moment after it was made.
        child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        assert_eq!(node.process().name(), "up");
        let pid = Pid::from_child(&child);
        let told = |what| assert!(waitid(WaitId::Pid(pid), what).unwrap().is_some());
        assert!(node.signal(Signal::STOP).unwrap());
        told(WaitIdOptions::STOPPED);
        assert_eq!(node.process().name(), "paused");
        assert!(node.signal(Signal::CONT).unwrap());
        told(WaitIdOptions::CONTINUED);
        assert_eq!(node.process().name(), "up");
        assert!(node.kill().unwrap());
        assert_eq!(node.process(), ProcessState::Down, "a zombie is no node");
        child.wait().unwrap();
        assert!(!node.kill().unwrap(), "nobody is left");
    }

    #[test]
    fn a_taken_port_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut node = node(dir.path());
        node.native = taken.local_addr().unwrap();
        let failure = node.check_ports().unwrap_err();
        assert_eq!(failure.code(), "port_in_use");
        assert!(failure.to_string().contains("n1's native address 127.0.0.1:"), "{failure}");
    }

    #[test]
    fn the_last_lines_of_a_log_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path());
        assert!(node.last_words(3).is_empty());
        fs::write(node.log(), "a\nb\nc\n").unwrap();
        assert_eq!(node.last_words(2), ["n1: b", "n1: c"]);
    }
}
