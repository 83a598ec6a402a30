//! From settings to a running node, and back down in order.
//!
//! ```text
//!   check ─► data directory ─► bind ─► HTTP answers "starting" ─► store opens ─► turns
//! ```
//!
//! Whatever is wrong is told before anything runs: a port that is taken has changed nothing on disk.

use super::bind::{self, Sockets};
use super::chaos::Chaos;
use super::clock::Clock;
use super::counters::Snapshot;
use super::http;
use super::machine::Opener;
use super::native::{self, Gossip, Peers};
use super::opener::NodeOpener;
use super::resp::{self, Resp};
use super::shared::Shared;
use super::syslog::{self, Gate, Syslog};
use super::turn::Turns;
use crate::config::{ConfigError, ServerConfig};
use crate::node;
use crate::seal::Keyring;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;

/// How many HTTP requests may wait for a turn; more are `overloaded`.
const ASKS: usize = 4096;

/// Why a node does not run. The text begins with a code and ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A socket cannot be had.
    #[error("unavailable: cannot listen on {at}: {reason}")]
    Bind {
        /// Where.
        at: SocketAddr,
        /// What the system said, and what to do.
        reason: String,
    },
    /// The data directory cannot be used: not writable, in use, another node's, of a newer format.
    #[error("unavailable: {0}")]
    Data(String),
    /// The node refused to open: the directory is another node's, of a newer format, or unreadable.
    #[error("{0}")]
    Node(String),
    /// The system gave no thread, runtime or randomness; or a thread of ours has panicked.
    #[error("internal: {0}")]
    System(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error.to_string())
    }
}

/// The beginning.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts a node on its data directory; answers when it is open and its sockets take requests. Blocks
    /// for as long as the store takes to open.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(config: ServerConfig) -> Result<Running, StartError> {
        let opener = NodeOpener::new(&config);
        Server::start_with(config, opener)
    }

    /// Starts a node whose machine `opener` makes; answers when it is open and its sockets take
    /// requests. Blocks for as long as the store takes to open.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start_with<O: Opener>(config: ServerConfig, opener: O) -> Result<Running, StartError> {
        config.check()?;
        let keys = match &config.cluster.key_file {
            Some(file) => Some(Keyring::read(file).map_err(|error| {
                StartError::Config(ConfigError::Wrong(format!("cluster.key_file: {error}")))
            })?),
            None => None,
        };
        let sockets = bind::bind(&config.listen)?;
        let native = sockets.native.local_addr()?;
        let http = sockets.http.local_addr()?;
        let node = node_config(&config, native, http)?;
        if config.cluster.insecure && !config.is_on_loopback() {
            tracing::warn!("reachable from elsewhere, and open to everybody there");
        }
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|e| StartError::System(e.to_string()))?;

        let wake = Arc::new(Notify::new());
        let stop = Arc::new(AtomicBool::new(false));
        let (publish, snapshot) = watch::channel(Arc::new(Snapshot::starting()));
        let (asks, asked) = mpsc::channel(ASKS);
        let chaos = config.node.enable_chaos.then(|| Arc::new(Chaos::new()));
        let bridge = http::Bridge::new(
            asks,
            wake.clone(),
            snapshot,
            &config,
            chaos.clone(),
            seed_of(seed, 1),
        );
        let bridge = Arc::new(bridge);
        let hosts = http::Hosts::new(http, node.http, &config.listen.http_names.0);
        let http_stop = Arc::new(Notify::new());
        let Sockets { native: listener, gossip, http: http_listener, resp, syslog } = sockets;
        let http_thread = http::spawn(http_listener, bridge.clone(), hosts, http_stop.clone())?;

        let (opened, outcome) = blocking::sync_channel(1);
        let stopper = Stopper { stop: stop.clone(), wake: wake.clone(), gate: None };
        // The node needs some of the time, too.
        let patience = config.timing.stop / 2;
        let password = Some(config.resp.password.clone()).filter(|password| !password.is_empty());
        let inside = Inside {
            config,
            keys,
            node,
            opener,
            listener,
            gossip,
            asked,
            publish,
            stop,
            wake,
            chaos,
        };
        let node_thread = std::thread::Builder::new()
            .name("node".into())
            .spawn(move || inside.run(seed_of(seed, 2), &opened))?;
        let mut running = Running {
            native,
            http,
            stopper,
            http_stop,
            node_thread,
            http_thread,
            syslog: None,
            resp: None,
        };
        match outcome.recv() {
            Ok(Ok(())) => {
                tracing::info!(%native, %http, "listening");
                if let Some(listener) = resp {
                    match resp::spawn(listener, bridge.clone(), password, seed_of(seed, 3)) {
                        Ok(resp) => {
                            tracing::info!(address = %resp.address, "speaking the Redis protocol");
                            running.resp = Some(resp);
                        }
                        Err(error) => {
                            running.stop();
                            let _ = running.wait();
                            return Err(error.into());
                        }
                    }
                }
                if let Some(sockets) = syslog
                    && let Err(error) = running.take_syslog(sockets, bridge, patience)
                {
                    running.stop();
                    let _ = running.wait();
                    return Err(error.into());
                }
                Ok(running)
            }
            Ok(Err(error)) => {
                let _ = running.wait();
                Err(error)
            }
            Err(_) => Err(running.wait().err().unwrap_or_else(|| {
                StartError::System("the node thread ended before it began".into())
            })),
        }
    }
}

fn seed_of(seed: [u8; 8], salt: u64) -> u64 {
    u64::from_le_bytes(seed).wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn node_config(
    config: &ServerConfig,
    native: SocketAddr,
    http: SocketAddr,
) -> Result<node::Config, StartError> {
    let mut join = Vec::new();
    for name in &config.cluster.join.0 {
        let found = name.to_socket_addrs().map_err(|error| {
            StartError::Config(ConfigError::Wrong(format!(
                "cluster.join: `{name}` cannot be resolved: {error}; check the name or give an address"
            )))
        })?;
        join.extend(found);
    }
    let address = config.listen.advertise.unwrap_or(native);
    // Who listens everywhere is reached where it says that it is.
    let http_ip = if http.ip().is_unspecified() { address.ip() } else { http.ip() };
    Ok(node::Config {
        name: config.node.name.clone(),
        zone: config.node.zone.clone(),
        weight: config.node.weight,
        address,
        http: Some(SocketAddr::new(http_ip, http.port())),
        bootstrap: config.cluster.bootstrap,
        join,
        spare: config.cluster.spare,
        partitions: config.cluster.partitions,
        replicas: config.cluster.replicas,
        limits: node::Limits {
            value_bytes: config.limits.value_bytes.bytes(),
            requests_in_flight: config.limits.requests_in_flight,
            scrub_bytes_per_second: config.scrub.bytes_per_second.0,
            record_cache_bytes: config.store.record_cache_bytes.bytes(),
            hint_entries: config.hints.max_entries,
            hint_items: config.hints.max_items,
        },
        timing: node::Timing {
            attempt: config.timing.attempt,
            request: config.timing.request,
            request_max: config.timing.request_max,
            breaker: config.timing.breaker,
            sync: config.timing.sync,
            scrub: config.scrub.every,
            down_out_after: config.timing.down_out_after,
        },
    })
}

/// What the node thread takes with it.
struct Inside<O> {
    config: ServerConfig,
    keys: Option<Keyring>,
    node: node::Config,
    opener: O,
    listener: std::net::TcpListener,
    gossip: std::net::UdpSocket,
    asked: mpsc::Receiver<http::Ask>,
    publish: watch::Sender<Arc<Snapshot>>,
    stop: Arc<AtomicBool>,
    wake: Arc<Notify>,
    chaos: Option<Arc<Chaos>>,
}

impl<O: Opener> Inside<O> {
    fn run(
        self,
        seed: u64,
        opened: &blocking::SyncSender<Result<(), StartError>>,
    ) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Dropped before the runtime: its tasks hold sockets of it.
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            let mut turns = match self.build(seed) {
                Ok(turns) => turns,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return Ok(());
                }
            };
            let _ = opened.send(Ok(()));
            // A task among the others: when it yields, readers that the sockets have just woken come first.
            let turning = tokio::task::spawn_local(async move { turns.run().await });
            turning.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        })
    }

    fn build(self, seed: u64) -> Result<Turns<O>, StartError> {
        let config = self.config;
        let shared = Shared::new(
            &config.node.name,
            config.limits,
            config.timing,
            self.keys,
            self.wake.clone(),
        );
        let mut seed = fastrand::Rng::with_seed(seed);
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let socket = tokio::net::UdpSocket::from_std(self.gossip)?;
        let gossip = Gossip::new(shared.clone(), socket);
        let peers = Rc::new(Peers::new(shared.clone(), seed.u64(..)));
        let mut turns = Turns {
            opener: self.opener,
            machine: None,
            config: self.node,
            seed,
            clock: Clock::start(),
            shared: shared.clone(),
            peers,
            gossip: gossip.clone(),
            asks: self.asked,
            publish: self.publish,
            stop: self.stop,
            chaos: self.chaos,
        };
        turns.open()?;
        tokio::task::spawn_local(native::accept(shared, listener));
        tokio::task::spawn_local(gossip.receive());
        Ok(turns)
    }
}

/// Asks a running node to stop, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    wake: Arc<Notify>,
    /// What comes first: messages of syslog that were taken are stored.
    gate: Option<Arc<Gate>>,
}

impl Stopper {
    /// Begins an orderly stop: the node leaves gossip and ends its incarnation.
    pub fn stop(&self) {
        if self.gate.as_ref().is_some_and(|gate| gate.close()) {
            return;
        }
        self.stop.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// A node that runs.
#[derive(Debug)]
pub struct Running {
    native: SocketAddr,
    http: SocketAddr,
    stopper: Stopper,
    http_stop: Arc<Notify>,
    node_thread: JoinHandle<Result<(), StartError>>,
    http_thread: JoinHandle<()>,
    syslog: Option<Syslog>,
    resp: Option<Resp>,
}

impl Running {
    fn take_syslog(
        &mut self,
        sockets: (std::net::TcpListener, std::net::UdpSocket),
        bridge: Arc<http::Bridge>,
        patience: std::time::Duration,
    ) -> io::Result<()> {
        let (gate, then) = (Arc::new(Gate::new()), self.stopper.clone());
        let syslog = syslog::spawn(sockets, bridge, gate.clone(), then, patience)?;
        tracing::info!(address = %syslog.address, "taking syslog");
        self.stopper.gate = Some(gate);
        self.syslog = Some(syslog);
        Ok(())
    }

    /// Where it listens for nodes and clients: the real port where 0 was asked for.
    pub fn native(&self) -> SocketAddr {
        self.native
    }

    /// Where it answers HTTP: the real port where 0 was asked for.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it speaks the Redis protocol, if it does: the real port where 0 was asked for.
    pub fn resp(&self) -> Option<SocketAddr> {
        self.resp.as_ref().map(|resp| resp.address)
    }

    /// Where it takes syslog, if it does: the real port where 0 was asked for.
    pub fn syslog(&self) -> Option<SocketAddr> {
        self.syslog.as_ref().map(|syslog| syslog.address)
    }

    /// What asks it to stop.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Begins an orderly stop; [`wait`](Running::wait) tells when it is done.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Waits until the node has ended.
    ///
    /// # Errors
    /// [`StartError`] when it ended by itself: its disk could not be opened again, or a bug.
    pub fn wait(self) -> Result<(), StartError> {
        let ended = self.node_thread.join();
        self.http_stop.notify_one();
        if let Some(gate) = &self.stopper.gate {
            gate.give_up();
        }
        if let Some(resp) = &self.resp {
            resp.stop();
        }
        let resp = self.resp.map_or(Ok(()), |resp| resp.thread.join());
        let http = self.http_thread.join();
        let syslog = self.syslog.map_or(Ok(()), |syslog| syslog.thread.join());
        ended.map_err(|_| panicked("node"))??;
        syslog.map_err(|_| panicked("syslog"))?;
        resp.map_err(|_| panicked("RESP"))?;
        http.map_err(|_| panicked("HTTP"))
    }

    /// Waits until the node has ended; SIGTERM and SIGINT begin its orderly stop, a second one ends the
    /// waiting.
    ///
    /// # Errors
    /// As [`wait`](Running::wait).
    pub fn wait_for_signals(self) -> Result<(), StartError> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopper = self.stopper();
        let ended = Arc::new(Notify::new());
        let tell = ended.clone();
        let waiting = std::thread::Builder::new().name("wait".into()).spawn(move || {
            let result = self.wait();
            tell.notify_one();
            result
        })?;
        let forced = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut signals = 0;
            while signals < 2 {
                tokio::select! {
                    () = ended.notified() => return Ok::<bool, io::Error>(false),
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                signals += 1;
                stopper.stop();
            }
            Ok(true)
        })?;
        if forced {
            return Err(StartError::System("stopped before the orderly stop was complete".into()));
        }
        waiting.join().map_err(|_| panicked("waiting"))?
    }
}

fn panicked(thread: &str) -> StartError {
    StartError::System(format!("the {thread} thread panicked; see its message above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_http_everywhere_says_where_it_is_reached() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let told = |config: &ServerConfig, http| {
            node_config(config, at("10.0.0.7:7610"), at(http)).expect("nothing to resolve").http
        };
        let mut config = ServerConfig::default();
        assert_eq!(told(&config, "127.0.0.1:7611"), Some(at("127.0.0.1:7611")));
        assert_eq!(told(&config, "0.0.0.0:7611"), Some(at("10.0.0.7:7611")));
        config.listen.advertise = Some(at("192.168.56.11:7610"));
        assert_eq!(told(&config, "0.0.0.0:7611"), Some(at("192.168.56.11:7611")));
    }
}
