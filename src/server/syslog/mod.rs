//! Syslog over the network (RFC 3164 and 5424; RFC 6587 over TCP), into the log store.
//!
//! ```text
//!   UDP ─► a datagram is a message ─► no room: dropped, counted ─┐
//!   TCP ─► framing ─► held ─────────► no room: not read ─────────┴─► queue ─► gathered for a second ─► Logs
//! ```
//!
//! On a thread of its own, as HTTP is, and through the same door. Nobody is told what became of a message: syslog has no
//! answers. So a message that was taken is tried until the store has it, and what is lost is counted
//! (`quorate_rejected_total{port="syslog"}`).

mod connection;
mod datagrams;
mod framing;
mod gate;
mod held;
mod listener;
mod queue;
mod store;

pub(super) use gate::Gate;

use super::http::Bridge;
use super::start::Stopper;
use gate::{Leaving, Stage};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Under which name what is refused here is counted.
const PORT: &str = "syslog";

/// What runs.
#[derive(Debug)]
pub(super) struct Syslog {
    pub(super) address: SocketAddr,
    pub(super) thread: JoinHandle<()>,
}

/// Takes messages until `gate` is asked to close; then stores what it holds, for `patience` at most, and stops the node.
pub(super) fn spawn(
    (tcp, udp): (TcpListener, UdpSocket),
    bridge: Arc<Bridge>,
    gate: Arc<Gate>,
    then: Stopper,
    patience: Duration,
) -> io::Result<Syslog> {
    let address = tcp.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (tcp, udp) = {
        let _inside = runtime.enter();
        (tokio::net::TcpListener::from_std(tcp)?, tokio::net::UdpSocket::from_std(udp)?)
    };
    let thread = std::thread::Builder::new().name("syslog".into()).spawn(move || {
        let stage = gate.stage();
        let _leaving = Leaving { gate, then };
        runtime.block_on(async {
            let (datagrams, connections, lines) = queue::queue();
            let mut quit = stage.clone();
            let mut closing = stage.clone();
            let late = async {
                closing.reached(Stage::Closing).await;
                tokio::time::sleep(patience).await;
                tracing::warn!("the last messages of syslog could not be stored in time");
            };
            tokio::spawn(datagrams::receive(udp, bridge.clone(), datagrams, stage.clone()));
            tokio::spawn(listener::accept(tcp, bridge.clone(), connections, stage));
            tokio::select! {
                () = store::run(bridge, lines) => {}
                () = late => {}
                () = quit.reached(Stage::Gone) => {}
            }
        });
    })?;
    Ok(Syslog { address, thread })
}
