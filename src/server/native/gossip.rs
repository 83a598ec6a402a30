//! Gossip datagrams: many a wake, and never a wait for room.

use crate::node::Event;
use crate::seal::{Datagrams, NONCE};
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
    /// Where there is a key.
    sealed: Option<Rc<Datagrams>>,
}

impl Gossip {
    pub(in crate::server) fn new(shared: Rc<Shared>, socket: UdpSocket) -> Gossip {
        let sealed = shared.keys.as_ref().map(|keys| Rc::new(Datagrams::new(keys)));
        Gossip { shared, socket: Rc::new(socket), sealed }
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
        let bytes = match self.sealed.as_ref().map(|sealed| sealed.open(bytes)) {
            None => Bytes::copy_from_slice(bytes),
            Some(Ok(opened)) => Bytes::from(opened),
            Some(Err(_)) => return self.shared.reject("gossip", "another_key"),
        };
        let size = bytes.len();
        self.shared.push(Event::Datagram { from, bytes }, size);
    }

    /// Sends one datagram, or counts that there was no room: gossip repeats itself.
    pub(in crate::server) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let sent = match &self.sealed {
            None => self.socket.try_send_to(bytes, to),
            Some(sealed) => {
                let mut nonce = [0; NONCE];
                let filled = getrandom::fill(&mut nonce)
                    .map_err(|error| io::Error::other(error.to_string()));
                filled.and_then(|()| self.socket.try_send_to(&sealed.seal(nonce, bytes), to))
            }
        };
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
