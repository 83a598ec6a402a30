//! The Redis protocol on a port of its own: a driver of [`crate::redis`].
//!
//! ```text
//!   accept ─► connection ─► Reader ─► Session ─► Pending, Pending, … ─► in order ─► write
//!                 ▲                                                          │
//!                 └────── not read while too much waits or is unread ────────┘
//! ```
//!
//! On a thread of its own, as HTTP is, and through the same door. What the node has taken when it stops is answered; then
//! the connections close.

mod connection;
mod listener;

use super::http::{Bridge, OwnNode};
use crate::redis::{Engine, Settings};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Under which name what is refused here is counted.
const PORT: &str = "resp";
/// How long connections may take to hear the last answers when the node has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// What runs.
#[derive(Debug)]
pub(super) struct Resp {
    pub(super) address: SocketAddr,
    pub(super) thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Resp {
    /// The node has ended: the thread does so, soon.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Serves Redis's clients until it is [stopped](Resp::stop). `seed` must differ at each start.
pub(super) fn spawn(
    listener: TcpListener,
    bridge: Arc<Bridge>,
    password: Option<String>,
    seed: u64,
) -> io::Result<Resp> {
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let settings = Settings::new(password, bridge.value_bytes(), now_ms);
    let desk = bridge.desk.clone();
    let engine = Engine::new(OwnNode::new(bridge.clone()), settings, desk, seed);
    let (stop, mut stopped) = watch::channel(false);
    let thread = std::thread::Builder::new().name("resp".into()).spawn(move || {
        runtime.block_on(async {
            let (open, mut closed) = tokio::sync::mpsc::channel::<()>(1);
            let watching = stopped.clone();
            tokio::select! {
                () = listener::accept(listener, bridge, engine, watching, open) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
            // Each connection holds a sender: when all have gone, nothing is left to be received.
            let _ = tokio::time::timeout(FAREWELL, closed.recv()).await;
        });
    })?;
    Ok(Resp { address, thread, stop })
}

/// In ms since 1970.
fn now_ms() -> u64 {
    u64::try_from(super::http::now() / 1_000_000).unwrap_or(0)
}
