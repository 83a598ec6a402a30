//! Five nodes for the tests of the tallies: A, B, C own the partition, D and E are its fallbacks.

use super::{List, Reach, Replicas};
use crate::id::NodeId;
use crate::quorum::Quorum;

pub(super) const A: NodeId = NodeId(1);
pub(super) const B: NodeId = NodeId(2);
pub(super) const C: NodeId = NodeId(3);
pub(super) const D: NodeId = NodeId(4);
pub(super) const E: NodeId = NodeId(5);

/// Whom of A to E it is worth asking.
pub(super) fn five(reach: [Reach; 5]) -> Replicas {
    let nodes = [A, B, C, D, E].into_iter().zip(reach).collect::<Vec<_>>();
    let read = List { owners: nodes[..3].to_vec(), fallbacks: nodes[3..].to_vec() };
    Replicas { read, other: None }
}

pub(super) fn quorum(required: usize, strict: bool) -> Quorum {
    Quorum { n: 3, required, strict }
}
