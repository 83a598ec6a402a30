//! What the drivers count, and the picture of the node that is published every second.

use crate::node::Counters;
use crate::time::{Instant, WallClock};
use std::collections::BTreeMap;

/// Counts since the process started.
///
/// With many requests at once `writes` and `reads` stay far below the number of requests: one turn
/// answers everything that has arrived.
#[derive(Clone, Debug, Default)]
pub struct DriverCounters {
    /// Turns of the node thread.
    pub turns: u64,
    /// Requests of native clients handed to the node.
    pub requests: u64,
    /// Reads from native TCP connections.
    pub reads: u64,
    /// Writes to native TCP connections, of peers and clients.
    pub writes: u64,
    /// Bytes of those writes.
    pub written_bytes: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes in them.
    pub datagram_bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes in them.
    pub datagram_bytes_sent: u64,
    /// Datagrams that the socket or the inbox had no room for.
    pub datagrams_dropped: u64,
    /// Buffers for a peer that were dropped: it does not read, or cannot be reached.
    pub peer_buffers_dropped: u64,
    /// Native connections open now.
    pub connections: u64,
    /// What was refused, by port and reason.
    pub rejected: BTreeMap<(&'static str, &'static str), u64>,
}

impl DriverCounters {
    /// Counts something refused.
    pub fn reject(&mut self, port: &'static str, reason: &'static str) {
        *self.rejected.entry((port, reason)).or_default() += 1;
    }
}

/// The node at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub wall: WallClock,
    /// When it was taken, as the node counts.
    pub instant: Instant,
    /// When it was taken, on a clock that does not step.
    pub taken: std::time::Instant,
    /// What the machine counts.
    pub node: Counters,
    /// What the drivers count.
    pub driver: DriverCounters,
    /// Why the node is not ready, if so.
    pub unready: Option<String>,
}

impl Snapshot {
    /// Before the node has opened.
    pub(super) fn starting() -> Snapshot {
        Snapshot {
            wall: WallClock(0),
            instant: Instant(0),
            taken: std::time::Instant::now(),
            node: Counters::default(),
            driver: DriverCounters::default(),
            unready: Some("starting: the store is being opened".into()),
        }
    }
}
