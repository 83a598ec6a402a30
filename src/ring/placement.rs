//! Places members on the ring (first version: ring order alone).

use super::{Layout, Table};
use crate::id::NodeId;
use hashring::HashRing;
use std::hash::{BuildHasher, Hash, Hasher};
use xxhash_rust::xxh3::Xxh3Default;

/// How many virtual nodes a unit of weight has.
const VIRTUAL_NODES: u32 = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VirtualNode {
    id: NodeId,
    index: u32,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.id.0.to_le_bytes());
        state.write(&self.index.to_le_bytes());
    }
}

struct Point(u16);

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0.to_le_bytes());
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

/// The table of `layout`'s members.
pub(super) fn place(layout: &Layout, _previous: Option<&Layout>) -> Table {
    let mut vnodes: Vec<VirtualNode> = Vec::new();
    for member in &layout.members {
        for index in 0..u32::from(member.weight) * VIRTUAL_NODES {
            vnodes.push(VirtualNode { id: member.id, index });
        }
    }
    vnodes.sort_unstable();
    let mut ring = HashRing::with_hasher(Stable);
    ring.batch_add(vnodes);
    let order = ring.get_with_replicas(&Point(0), ring.len() - 1).unwrap_or_default();
    let width = (2 * usize::from(layout.replicas)).min(layout.members.len());
    let rows: Vec<Vec<u16>> = layout
        .partitions
        .iter()
        .map(|p| {
            let first = ring.get(&Point(p.0)).and_then(|v| order.iter().position(|o| o == v));
            let mut row: Vec<u16> = Vec::new();
            for vnode in order.iter().cycle().skip(first.unwrap_or(0)) {
                let at = layout.position(vnode.id).unwrap_or(0) as u16;
                if row.len() == width {
                    break;
                }
                if !row.contains(&at) {
                    row.push(at);
                }
            }
            row
        })
        .collect();
    Table::of_rows(&rows)
}

/// The table of `previous`, renumbered for `layout`'s members, its short lists extended; `None` if
/// somebody who stands in it is no member any more.
pub(super) fn extend(layout: &Layout, previous: &Layout) -> Option<Table> {
    let mut rows = renumber(layout, previous)?;
    let width = (2 * usize::from(layout.replicas)).min(layout.members.len());
    let everybody = 0..layout.members.len() as u16;
    for row in &mut rows {
        let more =
            everybody.clone().filter(|at| !row.contains(at)).take(width - row.len().min(width));
        let more: Vec<u16> = more.collect();
        row.extend(more);
    }
    Some(Table::of_rows(&rows))
}

fn renumber(layout: &Layout, previous: &Layout) -> Option<Vec<Vec<u16>>> {
    let new: Vec<Option<u16>> = previous
        .members
        .iter()
        .map(|m| layout.position(m.id).and_then(|at| u16::try_from(at).ok()))
        .collect();
    previous.table.rows().map(|row| row.iter().map(|&at| new[usize::from(at)]).collect()).collect()
}
