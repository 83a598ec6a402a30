//! What a driver tells a node, and what the node tells its driver.

use crate::message::Frame;
use crate::message::client::{BackupRequest, Reply, Request};
use bytes::Bytes;
use std::net::SocketAddr;

/// A client's connection, or one HTTP request: chosen by the driver, repeated in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Something arrived.
#[derive(Clone, Debug)]
pub enum Event {
    /// A whole frame from another node.
    Frame(Frame),
    /// A gossip datagram.
    Datagram {
        /// Where it seems to come from.
        from: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// A client asks.
    Request {
        /// Who; the reply names it again.
        connection: ConnectionId,
        /// The client's id for the request; the reply repeats it.
        id: u64,
        /// How long the answer is worth something, ms; 0: the node's default.
        deadline_ms: u32,
        /// What it asks.
        request: Request,
    },
}

/// Something is to be done. Effects of one turn come out in no order that matters.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write these whole frames to the node that listens there: at most one of these a peer and turn.
    Send {
        /// The peer's native address.
        to: SocketAddr,
        /// One or more frames.
        bytes: Vec<u8>,
    },
    /// Send one gossip datagram.
    Datagram {
        /// The peer's native address.
        to: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Answer a client.
    Reply {
        /// Whom.
        connection: ConnectionId,
        /// The client's id for the request.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Copy the node's log, or say how far that is, and answer the client.
    Backup {
        /// Whom.
        connection: ConnectionId,
        /// The client's id for the request.
        id: u64,
        /// What it asks.
        ask: BackupRequest,
    },
    /// The data of this directory are behind what others have seen of this node (an old copy was put
    /// back, or the disk lied). Stop, set the directory aside (rename it, never delete it), and begin
    /// again with an empty one under the same name, joining through these addresses.
    SetAside {
        /// Why, for the log.
        why: String,
        /// Members that are known to exist.
        join: Vec<SocketAddr>,
    },
}
