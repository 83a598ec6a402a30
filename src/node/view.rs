//! What the data path knows of the cluster at one moment: a value, replaced whole.

use crate::id::{Lineage, NodeId};
use crate::ring::Agreement;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What this node knows of another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its native address; `None` while nobody has told it.
    pub address: Option<SocketAddr>,
    /// SWIM has not given it up, or has not met it yet. A hint at whom to ask first; never a reason to count anybody.
    pub alive: bool,
    /// It has said, in the epoch of now, that nothing lies on it where it has no place.
    pub settled: bool,
}

/// The agreed layout and buckets, and the opinions of the moment.
///
/// - `agreement` only ever grows.
/// - `peers` names every member of the layout but this node.
#[derive(Clone, Debug)]
pub struct View {
    /// This node.
    pub me: NodeId,
    /// The life of its data.
    pub lineage: Lineage,
    /// Its name.
    pub name: String,
    /// The newest value of the chain that this node has made durable.
    pub agreement: Arc<Agreement>,
    /// The other members.
    pub peers: BTreeMap<NodeId, Peer>,
    /// A majority has answered how far it saw this node, and nobody saw it further ahead. Until then the
    /// node mints fresh actors and promises nothing.
    pub witnessed: bool,
    /// Enough members have answered for this node's reads to count towards R: see `topology::witness`.
    pub counts: bool,
    /// The agreement names this node with this lineage. Otherwise it is fenced.
    pub admitted: bool,
}
