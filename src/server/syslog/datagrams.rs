//! Messages over UDP: one a datagram. Nobody can be told to send less, so what does not fit is dropped and counted.

use super::super::http::{Bridge, now};
use super::PORT;
use super::framing::trimmed;
use super::gate::{Stage, Watch};
use super::held::read;
use super::queue::Queue;
use crate::logs::Parser;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;

/// The longest datagram that there is.
const DATAGRAM_LIMIT: usize = 64 << 10;
/// How many that have come already are taken at the end.
const LAST: usize = 100_000;
/// How long to wait when the system refuses to receive.
const PAUSE: Duration = Duration::from_millis(50);

/// Receives until the gate closes, and then what the kernel has already.
pub(super) async fn receive(socket: UdpSocket, bridge: Arc<Bridge>, queue: Queue, mut gate: Watch) {
    let mut taking = Taking { bridge, queue, parser: Parser::auto(now()) };
    let mut buffer = vec![0; DATAGRAM_LIMIT];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, from)) => taking.take(&buffer[..length], from),
                Err(error) => {
                    tracing::warn!(%error, "a datagram of syslog could not be received");
                    taking.bridge.reject_on(PORT, "receive_failed", 1);
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = gate.reached(Stage::Closing) => break,
        }
    }
    // What has come since the runtime last looked at its sockets is taken, too.
    tokio::task::yield_now().await;
    for _ in 0..LAST {
        let Ok((length, from)) = socket.try_recv_from(&mut buffer) else { break };
        taking.take(&buffer[..length], from);
    }
}

struct Taking {
    bridge: Arc<Bridge>,
    queue: Queue,
    parser: Parser,
}

impl Taking {
    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let message = trimmed(Bytes::copy_from_slice(datagram));
        let Ok(text) = std::str::from_utf8(&message) else {
            return self.bridge.reject_on(PORT, "not_utf8", 1);
        };
        if text.trim_ascii().is_empty() {
            return;
        }
        let (dispatch, _) = read(&mut self.parser, text, from.ip(), now());
        if !self.queue.offer(dispatch) {
            self.bridge.reject_on(PORT, "queue_full", 1);
        }
    }
}
