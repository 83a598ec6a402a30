//! One request under way: of a client, of another node, or of this node itself.

use super::compare::CompareWork;
use super::exchange::RootsWork;
use super::forward::ForwardWork;
use super::get::GetWork;
use super::handoff::HandoffWork;
use super::keys::KeysWork;
use super::locate::LocateWork;
use super::put::PutWork;
use super::scan::ScanWork;
use crate::id::{Epoch, NodeId, PartitionId};
use crate::message::Class;
use crate::message::client::Request as ClientRequest;
use crate::node::ConnectionId;
use crate::quorum::QuorumRequest;
use crate::time::{Duration, Instant};

/// Who waits for the answer.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A client of this node.
    Client {
        /// Its connection.
        connection: ConnectionId,
        /// Its id for the request.
        id: u64,
    },
    /// Another node that forwarded a client's request.
    Peer {
        /// Which.
        node: NodeId,
        /// Its id for the request.
        request: u64,
        /// What it is about.
        partition: PartitionId,
    },
    /// This node itself.
    Own,
}

/// What the labels of a client's request are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub op: &'static str,
    pub consistency: &'static str,
}

impl Labels {
    /// The labels of a request with this quorum.
    pub fn new(op: &'static str, quorum: QuorumRequest) -> Labels {
        let consistency = match (quorum.count, quorum.consistency) {
            (Some(_), _) => "count",
            (None, Some(level)) => level.name(),
            (None, None) => "default",
        };
        Labels { op, consistency }
    }
}

/// Who asked, since when, and what it is counted as.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub origin: Origin,
    pub labels: Option<Labels>,
    pub begun: Instant,
}

/// A question that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub to: NodeId,
    pub at: Instant,
    /// It was behind: ask again then.
    pub again: Option<Instant>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Request {
    pub asker: Asker,
    pub deadline: Instant,
    /// Only answers of this epoch count.
    pub epoch: Epoch,
    /// How long one question may stay open.
    pub attempt: Duration,
    pub class: Class,
    pub sent: Vec<Sent>,
    /// How old the record may be that its next question carries; see `collection`.
    pub round: u32,
    pub work: Work,
    /// How many bytes of values it held when it was last put away.
    pub bytes: usize,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Work {
    Put(Box<PutWork>),
    Get(Box<GetWork>),
    Scan(Box<ScanWork>),
    Keys(Box<KeysWork>),
    Forward(Box<ForwardWork>),
    Locate(Box<LocateWork>),
    Handoff(HandoffWork),
    Roots(RootsWork),
    Compare(Box<CompareWork>),
    /// It waits for its bucket to be created or heard of.
    Parked {
        request: Box<ClientRequest>,
        bucket: String,
        forwarded: bool,
    },
}

impl Work {
    /// How many bytes of values it holds on behalf of a client.
    pub fn bytes(&self) -> usize {
        match self {
            Work::Put(put) => put.record.body.len(),
            Work::Get(get) => get.bytes(),
            Work::Scan(scan) => scan.tally.bytes(),
            Work::Keys(keys) => keys.bytes(),
            Work::Forward(forward) => forward.bytes(),
            Work::Parked { request, .. } => value_bytes(request),
            Work::Locate(_) | Work::Handoff(_) | Work::Roots(_) | Work::Compare(_) => 0,
        }
    }
}

/// The bytes of a value that a client wants stored.
pub(super) fn value_bytes(request: &ClientRequest) -> usize {
    match request {
        ClientRequest::Put { value: Some(value), .. } => value.len(),
        _ => 0,
    }
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Away,
}
