//! Gossip datagrams: many a wake, and never a wait for room.

use crate::node::Event;
use crate::server::shared::Shared;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::UdpSocket;

/// How many datagrams are taken before others get their turn.
const DATAGRAMS_PER_WAKE: usize = 64;
/// Longer than any datagram of ours; what is longer is cut by the kernel and then does not decode.
const DATAGRAM_LIMIT: usize = 2048;

/// The gossip socket.
#[derive(Clone)]
pub(in crate::server) struct Gossip {
    shared: Rc<Shared>,
    socket: Rc<UdpSocket>,
}

impl Gossip {
    pub(in crate::server) fn new(shared: Rc<Shared>, socket: UdpSocket) -> Gossip {
        Gossip { shared, socket: Rc::new(socket) }
    }

    /// Receives for ever.
    pub(in crate::server) async fn receive(self) {
        let mut buffer = [0; DATAGRAM_LIMIT];
        loop {
            // An error here is about a datagram that somebody did not take; the socket itself stands.
            let _ = self.socket.readable().await;
            for _ in 0..DATAGRAMS_PER_WAKE {
                match self.socket.try_recv_from(&mut buffer) {
                    Ok((count, from)) => self.take(from, &buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => self.shared.reject("gossip", "receive_failed"),
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn take(&self, from: SocketAddr, bytes: &[u8]) {
        let full = self.shared.is_full();
        let mut counters = self.shared.counters.borrow_mut();
        if full {
            counters.datagrams_dropped += 1;
            return;
        }
        counters.datagrams_received += 1;
        counters.datagram_bytes_received += bytes.len() as u64;
        drop(counters);
        let event = Event::Datagram { from, bytes: Bytes::copy_from_slice(bytes) };
        self.shared.push(event, bytes.len());
    }

    /// Sends one datagram, or counts that there was no room: gossip repeats itself.
    pub(in crate::server) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let sent = self.socket.try_send_to(bytes, to);
        let mut counters = self.shared.counters.borrow_mut();
        match sent {
            Ok(_) => {
                counters.datagrams_sent += 1;
                counters.datagram_bytes_sent += bytes.len() as u64;
            }
            Err(_) => counters.datagrams_dropped += 1,
        }
    }
}
