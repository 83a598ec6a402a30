//! Partitions to members: a ring of virtual nodes, walked once an epoch.
//!
//! ```text
//!   partition ──► ┬─ b7 ─ a2 ─ b1 ─ c9 ─ d4 ─ …      clockwise from where it hashes to
//!   owners          b    a         c                 distinct nodes, distinct zones while there are
//!   fallbacks                           d …          the next distinct ones
//! ```
//!
//! The walk gives the order of preference; two things bend it. Load is bounded: an owner takes at most a
//! tenth more than its share (Mirrokni et al., "Consistent Hashing with Bounded Loads", 2018). And the
//! table of before is kept wherever it may be, so a join moves only what the joiner takes.
//! Zones come first: a list is spread over as many as there are, even where that overloads a node.

use super::layout::{Member, Table};
use super::token::Partitions;
use crate::id::NodeId;
use hashring::HashRing;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher};
use xxhash_rust::xxh3::Xxh3;

/// Virtual nodes for each unit of weight.
const VIRTUAL_NODES: u32 = 128;

/// Our own hasher: the crate's default carries no promise, and this one is part of the disk format.
#[derive(Clone, Copy, Debug, Default)]
struct Stable;

struct StableHasher(Xxh3);

impl BuildHasher for Stable {
    type Hasher = StableHasher;
    fn build_hasher(&self) -> StableHasher {
        StableHasher(Xxh3::new())
    }
}

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.digest()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VirtualNode {
    node: NodeId,
    index: u32,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Byte by byte in a fixed order: the derived one would depend on the machine.
        state.write(&self.node.0.to_le_bytes());
        state.write(&self.index.to_le_bytes());
    }
}

struct Point(u32);

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(b"partition");
        state.write(&self.0.to_le_bytes());
    }
}

/// The ring, laid out once: every virtual node in order, and where each partition begins its walk.
struct Ring {
    order: Vec<NodeId>,
    starts: Vec<usize>,
}

impl Ring {
    fn new(members: &[Member], partitions: Partitions) -> Ring {
        let mut nodes: Vec<VirtualNode> = members
            .iter()
            .flat_map(|member| {
                let count = u32::from(member.weight) * VIRTUAL_NODES;
                (0..count).map(|index| VirtualNode { node: member.id, index })
            })
            .collect();
        // On a collision of tokens the crate's order is that of insertion.
        nodes.sort_unstable();
        let count = nodes.len();
        let mut ring = HashRing::with_hasher(Stable);
        ring.batch_add(nodes);
        let starts: Vec<VirtualNode> = (0..partitions.count())
            .map(|p| *ring.get(&Point(p)).expect("a cluster has at least one member"))
            .collect();
        // One more than there are means: every virtual node once, in ring order.
        let order = ring.get_with_replicas(&Point(0), count + 1).unwrap_or_default();
        let at: BTreeMap<VirtualNode, usize> =
            order.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let starts = starts.iter().map(|node| at[node]).collect();
        Ring { order: order.into_iter().map(|node| node.node).collect(), starts }
    }

    /// Every node once, in the order in which the walk from `partition` meets it.
    fn walk(&self, partition: usize, nodes: usize) -> Vec<NodeId> {
        let start = self.starts[partition];
        let mut met = Vec::with_capacity(nodes);
        for node in self.order[start..].iter().chain(&self.order[..start]) {
            if !met.contains(node) {
                met.push(*node);
                if met.len() == nodes {
                    break;
                }
            }
        }
        met
    }
}

/// What placement keeps in mind while it fills the lists.
struct Placing<'a> {
    zones: BTreeMap<NodeId, &'a str>,
    share: BTreeMap<NodeId, f64>,
    load: BTreeMap<NodeId, usize>,
}

impl<'a> Placing<'a> {
    fn new(members: &'a [Member], slots: usize, partitions: usize) -> Placing<'a> {
        Placing {
            zones: members.iter().map(|m| (m.id, m.zone.as_str())).collect(),
            share: shares(members, slots, partitions),
            load: members.iter().map(|m| (m.id, 0)).collect(),
        }
    }

    fn may_take(&self, node: NodeId) -> bool {
        (self.load[&node] + 1) as f64 <= (self.share[&node] * 1.1).max(1.0)
    }

    /// How far above its share a node is.
    fn excess(&self, node: NodeId) -> f64 {
        self.load[&node] as f64 - self.share[&node]
    }

    fn take(&mut self, node: NodeId) {
        *self.load.entry(node).or_default() += 1;
    }

    fn give(&mut self, node: NodeId) {
        *self.load.entry(node).or_default() -= 1;
    }

    /// How many zones a list spreads over; a node without a zone is one of its own.
    fn spread<'b>(&self, list: impl Iterator<Item = &'b NodeId>) -> usize {
        let mut named = BTreeSet::new();
        let mut alone = 0;
        for node in list {
            match self.zones[node] {
                "" => alone += 1,
                zone => {
                    named.insert(zone);
                }
            }
        }
        named.len() + alone
    }
}

/// The slots that each node should own, by weight; nobody owns a partition twice.
///
/// Shares are computed with IEEE additions and divisions alone, which are the same on every machine.
fn shares(members: &[Member], slots: usize, partitions: usize) -> BTreeMap<NodeId, f64> {
    let mut share = BTreeMap::new();
    let mut open: Vec<&Member> = members.iter().collect();
    let mut left = (slots * partitions) as f64;
    loop {
        let weight: u32 = open.iter().map(|m| u32::from(m.weight)).sum();
        let fair = |m: &Member| left * f64::from(m.weight) / f64::from(weight.max(1));
        let (full, rest): (Vec<_>, Vec<_>) =
            open.iter().copied().partition(|m| fair(m) > partitions as f64);
        if full.is_empty() {
            share.extend(open.iter().map(|m| (m.id, fair(m))));
            return share;
        }
        for member in full {
            share.insert(member.id, partitions as f64);
            left -= partitions as f64;
        }
        open = rest;
    }
}

/// Computes the table of `members`, keeping of `before` what may be kept.
pub(super) fn place(
    members: &[Member],
    partitions: Partitions,
    replicas: u8,
    before: &Table,
) -> Table {
    let count = partitions.count() as usize;
    let slots = usize::from(replicas).min(members.len());
    let ring = Ring::new(members, partitions);
    let walks: Vec<Vec<NodeId>> = (0..count).map(|p| ring.walk(p, members.len())).collect();
    let mut placing = Placing::new(members, slots, count);
    let mut owners = keep(&mut placing, before, count, slots);
    for (list, walk) in owners.iter_mut().zip(&walks) {
        fill(&mut placing, list, walk, slots);
    }
    spread_zones(&mut placing, &mut owners, &walks);
    level(&mut placing, &mut owners, &walks, members);
    let width = (2 * usize::from(replicas)).min(members.len());
    for (list, walk) in owners.iter_mut().zip(&walks) {
        let fallbacks = walk.iter().filter(|node| !list[..slots].contains(node));
        let fallbacks: Vec<NodeId> = fallbacks.take(width - slots).copied().collect();
        list.extend(fallbacks);
    }
    Table { lists: owners }
}

/// What remains of the owners of before.
fn keep(placing: &mut Placing, before: &Table, count: usize, slots: usize) -> Vec<Vec<NodeId>> {
    let mut owners = vec![Vec::with_capacity(slots); count];
    for (list, old) in owners.iter_mut().zip(&before.lists) {
        // A list of before may be shorter than `slots`, and then has no fallbacks.
        list.extend(old.iter().take(slots).filter(|node| placing.zones.contains_key(node)));
        list.iter().for_each(|node| placing.take(*node));
    }
    owners
}

/// Fills the open positions of one list: fresh zones first, within the load; then whoever is met.
fn fill(placing: &mut Placing, list: &mut Vec<NodeId>, walk: &[NodeId], slots: usize) {
    while list.len() < slots {
        let spread = placing.spread(list.iter());
        let free: Vec<NodeId> = walk.iter().copied().filter(|node| !list.contains(node)).collect();
        let fresh = |node: &&NodeId| {
            placing.spread(list.iter().chain(std::iter::once(*node))) > spread
        };
        let some_fresh = free.iter().any(|node| fresh(&node));
        let fits = |node: &&NodeId| !some_fresh || fresh(node);
        let chosen = free
            .iter()
            .filter(fits)
            .find(|node| placing.may_take(**node))
            .or_else(|| free.iter().find(fits))
            .copied();
        let Some(node) = chosen else { return };
        placing.take(node);
        list.push(node);
    }
}

/// Replaces an owner by one of a zone that the list lacks, where one of its zones is there twice.
fn spread_zones(placing: &mut Placing, owners: &mut [Vec<NodeId>], walks: &[Vec<NodeId>]) {
    for (list, walk) in owners.iter_mut().zip(walks) {
        while let Some((at, node)) = wider(placing, list, walk) {
            placing.give(list[at]);
            placing.take(node);
            list[at] = node;
        }
    }
}

fn wider(placing: &Placing, list: &[NodeId], walk: &[NodeId]) -> Option<(usize, NodeId)> {
    let spread = placing.spread(list.iter());
    if spread == list.len() {
        return None;
    }
    for node in walk.iter().filter(|node| !list.contains(node)) {
        let at = (0..list.len())
            .filter(|at| spread_with(placing, list, *at, *node) > spread)
            .max_by(|a, b| placing.excess(list[*a]).total_cmp(&placing.excess(list[*b])));
        if let Some(at) = at {
            return Some((at, *node));
        }
    }
    None
}

fn spread_with(placing: &Placing, list: &[NodeId], at: usize, node: NodeId) -> usize {
    let others = list.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, node)| node);
    placing.spread(others.chain(std::iter::once(&node)))
}

/// Gives nodes below their share slots of those above it: first where the walk prefers them.
fn level(
    placing: &mut Placing,
    owners: &mut [Vec<NodeId>],
    walks: &[Vec<NodeId>],
    members: &[Member],
) {
    for member in members {
        let node = member.id;
        for rank in 0..members.len() {
            for (list, walk) in owners.iter_mut().zip(walks) {
                if placing.excess(node) > -1.0 {
                    break;
                }
                if walk[rank] != node || list.contains(&node) {
                    continue;
                }
                let spread = placing.spread(list.iter());
                let at = (0..list.len())
                    .filter(|at| placing.excess(list[*at]) > placing.excess(node) + 1.0)
                    .filter(|at| placing.excess(list[*at]) > 0.0)
                    .filter(|at| spread_with(placing, list, *at, node) >= spread)
                    .max_by(|a, b| placing.excess(list[*a]).total_cmp(&placing.excess(list[*b])));
                if let Some(at) = at {
                    placing.give(list[at]);
                    placing.take(node);
                    list[at] = node;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
