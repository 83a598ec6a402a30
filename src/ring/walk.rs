//! The ring of virtual nodes, and the walk along it.
//!
//! ```text
//!        a7   b2  c0   a3  a1   b9   …            virtual nodes in the order of their tokens
//!   ──────┴────┴───┴────┴───┴────┴──────► ring
//!            ▲ partition 17                        walk: b c a   repeats of a node are skipped
//! ```
//!
//! The `hashring` crate keeps the order; the hash is ours, for its default one carries no promise, and
//! numbers are hashed as little-endian bytes, for `Hash` of a number follows the machine. Virtual nodes
//! are sorted before they are added: where two tokens collide, the crate keeps the order of insertion.
//! `get_with_replicas` copies the whole ring, so it is asked once, for everything: its count is of those
//! *after* the first, hence length - 1. (Karger et al., "Consistent Hashing and Random Trees", 1997.)

use super::Layout;
use crate::id::{NodeId, PartitionId};
use hashring::HashRing;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};
use xxhash_rust::xxh3::Xxh3Default;

/// How many virtual nodes a unit of weight has.
const VIRTUAL_NODES: u32 = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VirtualNode {
    node: NodeId,
    index: u32,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.node.0.to_le_bytes());
        state.write(&self.index.to_le_bytes());
    }
}

/// Where a partition's walk begins.
struct Start(PartitionId);

impl Hash for Start {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0.0.to_le_bytes());
    }
}

#[derive(Clone, Copy)]
struct Stable;

impl BuildHasher for Stable {
    type Hasher = Xxh3Default;

    fn build_hasher(&self) -> Xxh3Default {
        Xxh3Default::new()
    }
}

/// The ring of those members of a layout that may be given places, flattened: walking costs no hashing and no
/// copies.
pub(super) struct Walk {
    /// The member index of every virtual node, in ring order.
    ring: Vec<u16>,
    /// For every partition, where in `ring` its walk begins.
    starts: Vec<usize>,
    members: usize,
}

impl Walk {
    pub(super) fn new(layout: &Layout) -> Walk {
        let mut virtual_nodes: Vec<VirtualNode> = Vec::new();
        for member in layout.members.iter().filter(|member| layout.has_seat(member.id)) {
            let indices = 0..u32::from(member.weight) * VIRTUAL_NODES;
            virtual_nodes.extend(indices.map(|index| VirtualNode { node: member.id, index }));
        }
        virtual_nodes.sort_unstable();
        let mut ring = HashRing::with_hasher(Stable);
        ring.batch_add(virtual_nodes);
        let all = ring.len().saturating_sub(1);
        let order = ring.get_with_replicas(&Start(PartitionId(0)), all).unwrap_or_default();
        let places: BTreeMap<VirtualNode, usize> =
            order.iter().enumerate().map(|(place, &node)| (node, place)).collect();
        let start = |p| ring.get(&Start(p)).and_then(|node| places.get(node)).copied();
        Walk {
            starts: layout.partitions.iter().filter_map(start).collect(),
            ring: order.iter().filter_map(|v| layout.index_of(v.node)).collect(),
            members: layout.members.len(),
        }
    }

    /// All of them in the order in which the walk from a partition meets them first.
    pub(super) fn from(&self, partition: usize) -> impl Iterator<Item = u16> + '_ {
        let start = self.starts[partition];
        let mut met = vec![false; self.members];
        let whole = self.ring[start..].iter().chain(&self.ring[..start]).copied();
        whole
            .filter(move |&at| !std::mem::replace(&mut met[usize::from(at)], true))
            .take(self.members)
    }

    /// All partitions, those first from whose start a virtual node of `member` is nearest.
    pub(super) fn nearest_first(&self, member: u16) -> Vec<usize> {
        let own: Vec<usize> = (0..self.ring.len()).filter(|&at| self.ring[at] == member).collect();
        let steps = |start: usize| match own.get(own.partition_point(|&at| at < start)) {
            Some(at) => at - start,
            None => own.first().map_or(usize::MAX, |at| at + self.ring.len() - start),
        };
        let mut partitions: Vec<usize> = (0..self.starts.len()).collect();
        partitions.sort_by_cached_key(|&p| (steps(self.starts[p]), p));
        partitions
    }
}
