//! The trees of this node's partitions, kept up to date by what is written.
//!
//! ```text
//!   opened    a checkpoint? read it ──────────────────────────┐
//!             none? scan the partition, a page at a time ──►  known ─► compared with other owners
//!   a write   old term out, new term in: waits ─ durable ──►  changes the tree
//!             the batch that makes a checkpoint untrue erases it;  quiet for a while: a new one
//! ```
//!
//! - A tree shows what readers see: what is durable, and nothing that is not.
//! - A checkpoint that is on the disk is true. So a process that dies rescans only what had been written to
//!   shortly before.
//! - Under a scan, a change counts when its key lies in the part that was scanned already; the scan will see
//!   the others.

use super::after_flush::AfterFlush;
use super::timers::Timer;
use super::{Life, Shard, Turn};
use crate::guard::{self, Guard};
use crate::id::PartitionId;
use crate::merkle::{Shape, Terms, Tree};
use crate::store::{Change, CommitNumber, Store, StoreError, key};
use crate::time::{Duration, Instant};
use crate::version::Head;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Under which of the node's own keys the checkpoints are.
const PREFIX: &str = "tree/";
/// How often there is time for what is not known, and for checkpoints.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How often, when there is nothing left to read.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// How many heads are read in a tick: a millisecond or so.
const HEADS: usize = 512;
/// How long a partition must have been quiet for a checkpoint.
const QUIET: Duration = Duration::from_secs(10);
/// How many checkpoints go into one batch, about 5 KiB each at most.
const CHECKPOINTS: usize = 64;

/// How much is known of a partition's content.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// Nothing: there may be a checkpoint.
    Nothing,
    /// Everything below this store key.
    Below(Bytes),
    /// Everything.
    All,
}

#[derive(Debug)]
struct Plot {
    /// A tree for each N of a bucket: the buckets that two owners share follow from their places in the list.
    trees: BTreeMap<u8, Tree>,
    known: Known,
    /// Whether the disk has a checkpoint of it, as of the batch under way.
    checkpoint: bool,
    changed: Instant,
}

/// What a batch does, once it is durable, or is refused.
#[derive(Debug)]
enum Effect {
    /// A write, which changes a tree.
    Write(Write),
    /// The checkpoint goes because it is not true: should the batch be refused, it must go all the same.
    Erasure(PartitionId),
}

#[derive(Debug)]
struct Write {
    partition: PartitionId,
    n: u8,
    key: Bytes,
    before: Before,
    after: Option<u128>,
    /// The batch erases the checkpoint.
    erases: bool,
}

/// What a look at a kept tree came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// There is more to read.
    GoesOn,
    /// What lies here has that tree.
    Same,
    /// It has another one.
    Differs,
    /// No tree of it is kept, or not all of it.
    Unknown,
}

/// A tree that is built once more, beside the kept one.
#[derive(Debug)]
struct Check {
    partition: PartitionId,
    trees: BTreeMap<u8, Tree>,
    from: Bytes,
}

/// What a write found under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// A record of this digest.
    Digest(u128),
    /// Something that could not be read: the partition must be scanned again.
    Unknown,
}

/// See the module's picture.
#[derive(Debug)]
pub(super) struct Trees {
    shape: Shape,
    terms: Terms,
    plots: BTreeMap<PartitionId, Plot>,
    /// Those that are not wholly known.
    unknown: BTreeSet<PartitionId>,
    waiting: AfterFlush<Effect>,
    /// Checkpoints on the disk that are not true: the batch that was to erase them was refused.
    untrue: BTreeSet<PartitionId>,
    /// Which checkpoints an earlier life has left, until the first ownership is known.
    found: BTreeSet<PartitionId>,
    check: Option<Check>,
}

impl Trees {
    /// No partitions yet.
    ///
    /// # Errors
    /// The store's.
    pub fn open(shape: Shape, terms: Terms, store: &dyn Store) -> Result<Trees, StoreError> {
        let (from, to) = checkpoint_range();
        let found = store.scan(&from, &to, usize::from(u16::MAX) + 1)?;
        let partition = |key: &[u8]| Some(PartitionId(u16::from_be_bytes(*key.last_chunk()?)));
        let found = found.iter().filter_map(|(key, _)| partition(key)).collect();
        let (plots, unknown, waiting, untrue, check) = Default::default();
        Ok(Trees { shape, terms, plots, unknown, waiting, untrue, found, check })
    }

    /// The checkpoints that an earlier life has left say nothing of this one: the change erases them.
    pub fn distrust(&mut self) -> Change {
        self.found.clear();
        let (from, to) = checkpoint_range();
        Change::EraseRange { from, to }
    }

    /// The shape of all trees here.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Keeps trees of these partitions from now on, and of no others: what is written to those is not followed,
    /// so the changes erase their checkpoints.
    pub fn keep(
        &mut self,
        partitions: impl Iterator<Item = PartitionId>,
        now: Instant,
    ) -> Vec<Change> {
        let partitions: BTreeSet<PartitionId> = partitions.collect();
        let found = std::mem::take(&mut self.found);
        let on_disk = self.plots.iter().filter(|(_, plot)| plot.checkpoint).map(|(p, _)| p);
        let on_disk = on_disk.chain(&found).copied();
        let gone: BTreeSet<PartitionId> = on_disk.filter(|p| !partitions.contains(p)).collect();
        self.plots.retain(|partition, _| partitions.contains(partition));
        self.unknown.retain(|partition| partitions.contains(partition));
        for partition in partitions {
            self.plots.entry(partition).or_insert_with(|| {
                self.unknown.insert(partition);
                let (trees, known) = (BTreeMap::new(), Known::Nothing);
                Plot { trees, known, checkpoint: found.contains(&partition), changed: now }
            });
        }
        gone.into_iter().map(|partition| self.erase(partition)).collect()
    }

    fn erase(&mut self, partition: PartitionId) -> Change {
        self.waiting.stage(Effect::Erasure(partition));
        Change::Erase { key: checkpoint_key(partition) }
    }

    /// Once the disk takes writes again: what it refused to erase, before anything is written that it does not tell.
    pub fn erase_untrue(&mut self) -> Vec<Change> {
        let untrue = std::mem::take(&mut self.untrue);
        untrue.into_iter().map(|partition| self.erase(partition)).collect()
    }

    /// A record is written under `key`, in the batch of this turn; erases its partition's checkpoint with it.
    pub fn stage(
        &mut self,
        partition: PartitionId,
        n: u8,
        key: &Bytes,
        before: Before,
        after: Option<u128>,
        now: Instant,
    ) -> Option<Change> {
        let plot = self.plots.get_mut(&partition)?;
        plot.changed = now;
        let erases = std::mem::take(&mut plot.checkpoint);
        if guard::holds(Guard::TreeIsKept) {
            let after = after.map(|digest| self.terms.term(key, digest));
            let key = key.clone();
            self.waiting.stage(Effect::Write(Write { partition, n, key, before, after, erases }));
        }
        erases.then(|| Change::Erase { key: checkpoint_key(partition) })
    }

    /// The batch of this turn has this number.
    pub fn committed(&mut self, number: CommitNumber) {
        self.waiting.committed(number);
    }

    /// The store shows everything up to here.
    pub fn durable(&mut self, number: CommitNumber) {
        for effect in self.waiting.durable(number) {
            if let Effect::Write(write) = effect {
                self.take_in(write);
            }
        }
    }

    /// The batch under way was refused: what it would have erased is still there, and as true as before.
    pub fn forget_staged(&mut self) {
        for effect in self.waiting.refused() {
            match effect {
                Effect::Write(write) if write.erases => {
                    if let Some(plot) = self.plots.get_mut(&write.partition) {
                        plot.checkpoint = true;
                    }
                }
                Effect::Write(_) => {}
                Effect::Erasure(partition) => {
                    self.untrue.insert(partition);
                }
            }
        }
    }

    fn take_in(&mut self, write: Write) {
        let Some(plot) = self.plots.get_mut(&write.partition) else { return };
        match &plot.known {
            Known::Nothing => return,
            Known::Below(key) if write.key >= *key => return,
            Known::Below(_) | Known::All => {}
        }
        let before = match write.before {
            Before::Nothing => None,
            Before::Digest(digest) => Some(self.terms.term(&write.key, digest)),
            Before::Unknown => return self.scan_again(write.partition),
        };
        let leaf = self.shape.leaf(&write.key);
        let change = |trees: &mut BTreeMap<u8, Tree>| {
            trees.entry(write.n).or_default().change(self.shape, leaf, before, write.after);
        };
        change(&mut plot.trees);
        if let Some(check) = &mut self.check
            && check.partition == write.partition
            && write.key < check.from
        {
            change(&mut check.trees);
        }
    }

    /// The checkpoint under this key of the store cannot be read: the change erases it.
    pub fn doubt_checkpoint(&mut self, key: &[u8]) -> Option<Change> {
        let partition = key.strip_prefix(&key::meta(PREFIX)[..])?;
        self.doubt(PartitionId(u16::from_be_bytes(partition.try_into().ok()?)))
    }

    /// Builds the tree of a partition once more, up to `limit` heads of it, and compares it with the kept one. Also
    /// how many heads were read.
    ///
    /// # Errors
    /// The store's.
    pub fn check(
        &mut self,
        partition: PartitionId,
        limit: usize,
        n_of: impl Fn(&[u8]) -> Option<u8>,
        store: &dyn Store,
    ) -> Result<(Checked, usize), StoreError> {
        // As in `look`.
        self.durable(store.durable());
        let (first, end) = key::partition_range(partition);
        let check = self.check.take().filter(|check| check.partition == partition);
        let mut check = check.unwrap_or(Check { partition, trees: BTreeMap::new(), from: first });
        if self.known(partition).is_none() {
            return Ok((Checked::Unknown, 0));
        }
        let page = store.scan(&check.from, &end, limit)?;
        let more = page.len() == limit;
        let next = page.last().filter(|_| more).map(|(key, _)| super::scan::after(key));
        self.count(&page, n_of, &mut check.trees);
        if let Some(next) = next {
            check.from = next;
            self.check = Some(check);
            return Ok((Checked::GoesOn, page.len()));
        }
        let kept = &self.plots[&partition].trees;
        let bytes = |trees: &BTreeMap<u8, Tree>, n: &u8| {
            trees.get(n).unwrap_or(&Tree::default()).encode(self.shape)
        };
        let mut sizes = kept.keys().chain(check.trees.keys());
        let same = sizes.all(|n| bytes(kept, n) == bytes(&check.trees, n));
        Ok((if same { Checked::Same } else { Checked::Differs }, page.len()))
    }

    /// Adds items to trees.
    fn count(
        &self,
        page: &[(Bytes, Bytes)],
        n_of: impl Fn(&[u8]) -> Option<u8>,
        trees: &mut BTreeMap<u8, Tree>,
    ) {
        for (key, head) in page {
            let Some(n) = n_of(key) else { continue };
            let digest = Head::decode(head).map_or(0, |head| head.digest());
            let (leaf, term) = (self.shape.leaf(key), self.terms.term(key, digest));
            trees.entry(n).or_default().change(self.shape, leaf, None, Some(term));
        }
    }

    /// What is known of this partition may be wrong: it is scanned again, and the change erases its checkpoint.
    pub fn doubt(&mut self, partition: PartitionId) -> Option<Change> {
        self.scan_again(partition);
        let plot = self.plots.get_mut(&partition)?;
        std::mem::take(&mut plot.checkpoint).then(|| self.erase(partition))
    }

    fn scan_again(&mut self, partition: PartitionId) {
        self.check.take_if(|check| check.partition == partition);
        if let Some(plot) = self.plots.get_mut(&partition) {
            plot.trees.clear();
            plot.known = Known::Below(key::partition_range(partition).0);
            self.unknown.insert(partition);
        }
    }

    /// Whether some partition is not wholly known.
    pub fn is_incomplete(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Reads on where something is not known: a checkpoint, or up to `limit` heads. `n_of` says how many
    /// replicas the bucket of a store key has. Returns how many heads were read.
    ///
    /// # Errors
    /// The store's. What is known stays known.
    pub fn look(
        &mut self,
        limit: usize,
        n_of: impl Fn(&[u8]) -> Option<u8>,
        store: &dyn Store,
    ) -> Result<u64, StoreError> {
        // The store may show more by now than the changes that have taken effect.
        self.durable(store.durable());
        let (mut left, mut read) = (limit, 0);
        while left > 0
            && let Some(partition) = self.unknown.first().copied()
        {
            let Some(plot) = self.plots.get_mut(&partition) else { break };
            let (first, end) = key::partition_range(partition);
            if plot.known == Known::Nothing {
                left -= 1;
                if plot.checkpoint
                    && let Some(trees) = read_checkpoint(partition, self.shape, store)?
                {
                    (plot.trees, plot.known) = (trees, Known::All);
                    self.unknown.remove(&partition);
                    continue;
                }
                plot.known = Known::Below(first.clone());
                // An empty page would look like the end.
                continue;
            }
            let Known::Below(from) = &plot.known else { break };
            let page = store.scan(from, &end, left)?;
            read += page.len() as u64;
            let more = page.len() == left;
            left -= page.len().min(left);
            let next = page.last().filter(|_| more).map(|(key, _)| super::scan::after(key));
            for (key, head) in page {
                let Some(n) = n_of(&key) else { continue };
                let digest = Head::decode(&head).map_or(0, |head| head.digest());
                let (leaf, term) = (self.shape.leaf(&key), self.terms.term(&key, digest));
                plot.trees.entry(n).or_default().change(self.shape, leaf, None, Some(term));
            }
            match next {
                Some(next) => plot.known = Known::Below(next),
                None => {
                    plot.known = Known::All;
                    self.unknown.remove(&partition);
                }
            }
        }
        Ok(read)
    }

    /// Checkpoints of what has been quiet, or at an orderly stop of everything; for the batch of this turn.
    pub fn checkpoint(&mut self, now: Instant, stopping: bool) -> Vec<Change> {
        let is_due = |plot: &Plot| {
            !plot.checkpoint
                && plot.known == Known::All
                && (stopping || now.since(plot.changed) >= QUIET)
        };
        let most = if stopping { usize::MAX } else { CHECKPOINTS };
        let due = self.plots.iter().filter(|(_, plot)| is_due(plot)).map(|(p, _)| *p);
        // A tree shows what is durable, and the batch comes after all that is under way.
        let busy = self.waiting.iter().map(|effect| match effect {
            Effect::Write(write) => write.partition,
            Effect::Erasure(partition) => *partition,
        });
        let busy: BTreeSet<PartitionId> = busy.collect();
        let due: Vec<_> = due.filter(|partition| !busy.contains(partition)).take(most).collect();
        let write = |partition: PartitionId| {
            let plot = self.plots.get_mut(&partition).expect("it was just found there");
            plot.checkpoint = true;
            let trees =
                plot.trees.iter().map(|(n, tree)| (*n, Bytes::from(tree.encode(self.shape))));
            let mut body = Vec::new();
            crate::message::encode_into(&mut body, &trees.collect::<Vec<(u8, Bytes)>>());
            Change::Put { key: checkpoint_key(partition), head: Bytes::new(), body: body.into() }
        };
        due.into_iter().map(write).collect()
    }

    /// The leaves of what two owners of a partition share, when both own it for buckets of `at_least` replicas
    /// and more; `None` while that is not known here.
    pub fn sums(&self, partition: PartitionId, at_least: u8) -> Option<Vec<u128>> {
        let plot = self.known(partition)?;
        let mut sums = vec![0; self.shape.leaves()];
        plot.trees.range(at_least..).for_each(|(_, tree)| tree.add_to(&mut sums));
        Some(sums)
    }

    /// The sum of all of [`sums`](Trees::sums).
    pub fn root(&self, partition: PartitionId, at_least: u8) -> Option<u128> {
        let trees = self.known(partition)?.trees.range(at_least..);
        Some(trees.fold(0, |sum, (_, tree)| sum.wrapping_add(tree.root())))
    }

    /// How many items a partition has, tombstones with them; `None` while that is not known here.
    pub fn items(&self, partition: PartitionId) -> Option<u64> {
        Some(self.known(partition)?.trees.values().map(Tree::items).sum())
    }

    fn known(&self, partition: PartitionId) -> Option<&Plot> {
        self.plots.get(&partition).filter(|plot| plot.known == Known::All)
    }
}

impl Shard {
    /// Trees of what this node owns under the view of now.
    pub(super) fn keep_trees(&mut self, turn: &mut Turn) {
        let owned = self.slots.owned().map(|(partition, _)| partition);
        for change in self.trees.keep(owned, turn.now.instant) {
            turn.outbox.persist(change);
        }
        self.timers.set(turn.now.instant + TICK, Timer::Trees);
    }

    /// Reads on where a tree is not known, and writes down what has been quiet.
    pub(super) fn tend_trees(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        let (buckets, dropped) = (&self.buckets_by_id, &self.dropped);
        let n_of = |key: &[u8]| {
            let bucket = key::bucket_of_item(key)?;
            let known = buckets.get(&bucket.0).map(|bucket| bucket.settings.n);
            known.or_else(|| dropped.replicas(bucket))
        };
        match self.trees.look(HEADS, n_of, turn.store) {
            Ok(heads) => self.counters.tree_heads += heads,
            Err(_) => {
                self.counters.reject("store", "scan");
                self.timers.set(now + IDLE_TICK, Timer::Trees);
                return;
            }
        }
        if self.trees.is_incomplete() {
            self.timers.set(now + TICK, Timer::Trees);
            return;
        }
        self.timers.set(now + IDLE_TICK, Timer::Trees);
        if self.disk.is_none() && self.life == Life::Running {
            for change in self.trees.checkpoint(now, false) {
                turn.outbox.persist(change);
            }
        }
    }
}

fn checkpoint_range() -> (Bytes, Bytes) {
    let from = key::meta(PREFIX);
    let to = key::after_prefix(&from);
    (from, to)
}

fn checkpoint_key(partition: PartitionId) -> Bytes {
    [&key::meta(PREFIX)[..], &partition.0.to_be_bytes()].concat().into()
}

fn read_checkpoint(
    partition: PartitionId,
    shape: Shape,
    store: &dyn Store,
) -> Result<Option<BTreeMap<u8, Tree>>, StoreError> {
    let entry = match store.get(&checkpoint_key(partition)) {
        // It would only have saved a scan.
        Err(StoreError::Damaged(_)) => None,
        entry => entry?,
    };
    let trees =
        entry.and_then(|entry| crate::message::decode::<Vec<(u8, Bytes)>>(&entry.body).ok());
    let decode = |(n, bytes): (u8, Bytes)| Some((n, Tree::decode(shape, &bytes)?));
    Ok(trees.and_then(|trees| trees.into_iter().map(decode).collect()))
}

#[cfg(test)]
#[path = "trees_tests.rs"]
mod tests;
