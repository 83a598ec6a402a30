//! Which partitions differ from another owner's, and in which leaves: the way down the trees.
//!
//! ```text
//!   me ── Roots: all that we share, 18 bytes each ──────► other     (16 of them equal? nothing else is said)
//!      ◄─ RootsCompared: 7 and 90 differ ───────────────
//!      ── 7: Branches: w sums ──────────────────────────►
//!      ◄─ LeafSums: of the branches that differ ────────
//!      ── 7: Digests of leaves 3, 18 ─► … and on as every comparison (compare.rs)
//! ```
//!
//! Each side adds up the trees of those buckets for which both nodes are owners; that follows from the layout,
//! and questions of another epoch are refused before they come here.

use super::compare::How;
use super::request::{Goes, Request, Work};
use super::slots;
use super::sync::Task;
use super::{Shard, Turn};
use crate::id::{NodeId, PartitionId};
use crate::merkle::{self, Leaves};
use crate::message::Header;
use crate::message::peer::{Data, Refusal};
use bytes::Bytes;
use std::collections::BTreeSet;

/// How many partitions go into one question: 72 KiB.
pub(super) const ROOTS_PER_PAGE: usize = 4096;
/// A partition's number and its root.
const ROOT_BYTES: usize = 2 + 16;

/// One question about roots.
#[derive(Debug)]
pub(super) struct RootsWork {
    with: NodeId,
    partitions: Vec<PartitionId>,
    asked: bool,
}

impl RootsWork {
    /// About these partitions, all owned by both; at most [`ROOTS_PER_PAGE`].
    pub fn new(with: NodeId, partitions: Vec<PartitionId>) -> RootsWork {
        RootsWork { with, partitions, asked: false }
    }
}

impl Shard {
    /// From how many replicas on a bucket of this partition has both nodes as owners; `None`: none has.
    pub(super) fn shared_from(&self, partition: PartitionId, with: NodeId) -> Option<u8> {
        let layout = &self.view.agreement.layout;
        let both = [self.view.me, with];
        (1..=layout.replicas).find(|n| both.iter().all(|node| layout.owns(*node, partition, *n)))
    }

    fn root_with(&self, partition: PartitionId, with: NodeId) -> Option<u128> {
        self.trees.root(partition, self.shared_from(partition, with)?)
    }

    /// The leaves of what this node and that one both own of a partition; `None` while they are not known.
    pub(super) fn sums_with(&self, partition: PartitionId, with: NodeId) -> Option<Vec<u128>> {
        self.trees.sums(partition, self.shared_from(partition, with)?)
    }

    pub(super) fn step_roots(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Roots(work) = &mut request.work else { return Goes::Away };
        if work.asked {
            return match request.sent.is_empty() {
                // Answered or not: what is missing is asked in the next pass.
                true => {
                    self.compare_over();
                    Goes::Away
                }
                false => Goes::On,
            };
        }
        work.asked = true;
        let with = work.with;
        let known = |p: &PartitionId| Some((*p, self.root_with(*p, with)?));
        let roots: Vec<(PartitionId, u128)> = work.partitions.iter().filter_map(known).collect();
        work.partitions = roots.iter().map(|(partition, _)| *partition).collect();
        if roots.is_empty() {
            self.compare_over();
            return Goes::Away;
        }
        let mut bytes = Vec::with_capacity(roots.len() * ROOT_BYTES);
        for (partition, root) in roots {
            bytes.extend_from_slice(&partition.0.to_be_bytes());
            bytes.extend_from_slice(&root.to_be_bytes());
        }
        let compared = self.sync.take_compared(with);
        let message = Data::Roots { roots: bytes.into(), compared };
        self.ask(id, request, with, PartitionId(0), &message, turn);
        Goes::On
    }

    /// Another owner's roots, compared with this node's.
    pub(super) fn roots_here(
        &mut self,
        header: &Header,
        roots: &[u8],
        compared: &[PartitionId],
        turn: &mut Turn,
    ) -> Result<Data, Refusal> {
        if !roots.len().is_multiple_of(ROOT_BYTES) || roots.len() > ROOTS_PER_PAGE * ROOT_BYTES {
            return Err(Refusal::Unreadable);
        }
        let (mut differ, mut unknown, mut rebuilding) = (Vec::new(), Vec::new(), Vec::new());
        let mut same = Vec::new();
        for entry in roots.chunks_exact(ROOT_BYTES) {
            let Some((partition, root)) = entry.split_first_chunk::<2>() else { continue };
            let partition = PartitionId(u16::from_be_bytes(*partition));
            let root = root.first_chunk().map(|root| u128::from_be_bytes(*root));
            // What it is to be given lies beside it already, most of it: this node asks by itself. Whom it has asked
            // may have taken something in since.
            let is_open = !(self.restored.is_there() && self.still_asks(partition, header.sender));
            match self.root_with(partition, header.sender).filter(|_| is_open) {
                None => unknown.push(partition),
                mine if mine == root => same.push(partition),
                _ => differ.push(partition),
            }
            if !self.view.counts || self.slots.is_rebuilding(partition) {
                rebuilding.push(partition);
            }
        }
        for partition in same.iter().chain(compared) {
            if self.shared_from(*partition, header.sender).is_some() {
                self.sync.verified(*partition, header.sender, turn.now.instant);
            }
        }
        Ok(Data::RootsCompared { differ, unknown, rebuilding })
    }

    /// The answer about roots: what is the same is merged, what differs is compared.
    pub(super) fn roots_compared(
        &mut self,
        request: &Request,
        differ: &[PartitionId],
        unknown: &[PartitionId],
        rebuilding: &[PartitionId],
        turn: &mut Turn,
    ) {
        let Work::Roots(work) = &request.work else { return };
        let with = work.with;
        let [differ, unknown, rebuilding] =
            [differ, unknown, rebuilding].map(|list| list.iter().copied().collect::<BTreeSet<_>>());
        for partition in &work.partitions {
            let is_urgent = self.is_filling(*partition);
            if differ.contains(partition) || unknown.contains(partition) && is_urgent {
                self.sync.push(Task::Compare { partition: *partition, with, how: How::Both });
            } else if !unknown.contains(partition) {
                self.sync.verified(*partition, with, turn.now.instant);
                if rebuilding.contains(partition) || !is_urgent {
                    continue;
                }
                match self.sync.has_told(*partition, with) {
                    true => self.merged(*partition, with),
                    false => {
                        let how = How::Collected;
                        self.sync.push(Task::Compare { partition: *partition, with, how });
                    }
                }
            }
        }
        self.counters.sync_rounds += 1;
        self.counters.sync_roots += work.partitions.len() as u64;
        self.finish_slots(slots::EVERY, turn);
    }

    /// Another owner's branches, and under those that differ this node's leaves.
    pub(super) fn branches_here(&self, header: &Header, sums: &[u8]) -> Result<Data, Refusal> {
        let shape = self.trees.shape();
        let theirs = unpack(sums).filter(|sums| sums.len() == shape.width());
        let theirs = theirs.ok_or(Refusal::Unreadable)?;
        let Some(mine) = self.sums_with(header.partition, header.sender) else {
            return Ok(Data::LeafSums { branches: Vec::new(), sums: None });
        };
        let branches = merkle::differing(&merkle::branches(shape, &mine), &theirs);
        let leaves = branches.iter().flat_map(|b| &mine[b * shape.width()..][..shape.width()]);
        let sums = Some(pack(&leaves.copied().collect::<Vec<_>>()));
        let branches = branches.into_iter().filter_map(|branch| u16::try_from(branch).ok());
        Ok(Data::LeafSums { branches: branches.collect(), sums })
    }

    /// In which leaves this node and that one differ, by its sums of these branches; `None` if they are not
    /// what was asked for.
    pub(super) fn differing_leaves(
        &self,
        partition: PartitionId,
        with: NodeId,
        branches: &[u16],
        sums: Option<&Bytes>,
    ) -> Option<Leaves> {
        let Some(sums) = sums else { return Some(Leaves::All) };
        let (shape, sums) = (self.trees.shape(), unpack(sums)?);
        let Some(mine) = self.sums_with(partition, with) else { return Some(Leaves::All) };
        if sums.len() != branches.len() * shape.width() {
            return None;
        }
        let mut leaves = BTreeSet::new();
        for (branch, theirs) in branches.iter().zip(sums.chunks(shape.width())) {
            let first = usize::from(*branch) * shape.width();
            let mine = mine.get(first..first + shape.width())?;
            leaves.extend(merkle::differing(mine, theirs).iter().map(|leaf| first + leaf));
        }
        // One pass over everything is cheaper than picking out most of it.
        Some(if leaves.len() * 2 > shape.leaves() { Leaves::All } else { Leaves::Some(leaves) })
    }
}

pub(super) fn pack(sums: &[u128]) -> Bytes {
    sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
}

fn unpack(bytes: &[u8]) -> Option<Vec<u128>> {
    let sums = bytes.chunks(16).map(|sum| Some(u128::from_be_bytes(*sum.first_chunk()?)));
    sums.collect()
}
