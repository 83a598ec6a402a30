//! For tests: a backup in memory, and the other owners of a node that has come back empty beside it.

use super::Restored;
use super::testing::{Lone, agreement, item, member, record, view};
use crate::id::{Lineage, NodeId, PartitionId};
use crate::message::peer::{self, Collected, Data};
use crate::node::view::View;
use crate::ring::{BucketSettings, Change as Wish, Member, Successor};
use crate::store::{Batch, Change, Entry, MemoryStore, Source, Store, StoreError, key};
use crate::version::Record;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A backup in memory.
#[derive(Clone, Default)]
pub(super) struct Backup {
    pub items: MemoryStore,
    /// What cannot be read now.
    pub busy: Option<Bytes>,
    pub breaks: Arc<AtomicBool>,
    pub reads: Arc<AtomicU64>,
}

impl Backup {
    pub fn of(items: &BTreeMap<Bytes, Record>) -> Backup {
        let mut backup = Backup { items: MemoryStore::auto_sync(), ..Backup::default() };
        for (key, record) in items {
            let (head, body) = record.encode();
            let put = Change::Put { key: key.clone(), head, body };
            backup.items.commit(Batch { changes: vec![put] }).expect("room");
        }
        backup
    }

    pub fn boxed(&self) -> Box<dyn Source + Send> {
        Box::new(self.clone())
    }
}

impl Source for Backup {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        match self.busy.as_deref() == Some(key) {
            true => Err(StoreError::Busy("a test".into())),
            false => self.items.get(key),
        }
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.items.head(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        match self.breaks.load(SeqCst) {
            true => Err(StoreError::Failed("a test".into())),
            false => self.items.scan(from, to, limit),
        }
    }
}

/// Three members, of which n1 has come back empty.
pub(super) fn late(n: u8) -> View {
    late_in(n, Lineage(77))
}

/// The same, in this life of its data.
pub(super) fn late_in(n: u8, lineage: Lineage) -> View {
    let agreement = agreement(&[1, 2, 3], 3, BucketSettings::new(n));
    let again = Wish::Join(Member { lineage, ..member(1) });
    let Ok(Successor::Next(next)) = agreement.apply(&again) else { panic!("{again:?}") };
    view(*next)
}

/// The other owners: all of them hold the same.
#[derive(Default)]
pub(super) struct Owners {
    pub items: BTreeMap<Bytes, Record>,
    /// What their pages of digests say, where that is something else.
    pub pages: Option<BTreeMap<Bytes, Record>>,
    /// How many questions there were.
    pub questions: usize,
    /// Under which round they read.
    pub round: u32,
    /// What was asked for as a whole.
    pub fetched: Vec<Bytes>,
    /// What was asked for by its digest only.
    pub asked: Vec<Bytes>,
    /// What was pushed to them.
    pub pushed: Vec<Bytes>,
    /// Whether they answer what is asked about single items.
    pub are_mute: bool,
    /// Who answers nothing at all.
    pub absent: Option<NodeId>,
    /// What they have collected of partition 0.
    pub collected: Vec<Collected>,
}

impl Owners {
    pub fn holding(items: BTreeMap<Bytes, Record>) -> Owners {
        Owners { items, round: 1, ..Owners::default() }
    }

    /// They answer for so long.
    pub fn answer_for(&mut self, lone: &mut Lone, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            lone.run_for(50);
            for (to, header, message) in std::mem::take(&mut lone.sent) {
                let partition = header.partition;
                if self.absent == Some(to) {
                    continue;
                }
                let Some(answer) = self.answer(partition, message) else { continue };
                lone.hear_under(to.0, header.request, partition, self.round, answer);
            }
        }
    }

    fn answer(&mut self, partition: PartitionId, message: Data) -> Option<Data> {
        self.questions += 1;
        Some(match message {
            Data::Roots { roots, .. } => {
                let partition = |root: &[u8]| u16::from_be_bytes([root[0], root[1]]);
                let differ = roots.chunks_exact(18).map(|r| PartitionId(partition(r))).collect();
                let (unknown, rebuilding) = Default::default();
                Data::RootsCompared { differ, unknown, rebuilding }
            }
            Data::Branches { .. } => Data::LeafSums { branches: Vec::new(), sums: None },
            Data::Digests { .. } => {
                let mine = self.pages.as_ref().unwrap_or(&self.items).iter().filter(|(key, _)| {
                    key::partition_of_item(key) == Some(partition)
                        && key::bucket_of_item(key).is_some()
                });
                let items = mine.map(|(key, record)| (key.clone(), record.siblings.digest()));
                Data::DigestPage { items: items.collect(), next: None, rebuilding: false }
            }
            Data::Read { .. } if self.are_mute => return None,
            Data::Read { key, whole } => {
                if whole { &mut self.fetched } else { &mut self.asked }.push(key.clone());
                let held = self.items.get(&key);
                let encode = |record: &Record| {
                    let (head, body) = record.encode();
                    peer::Record { head, body }
                };
                let record = held.filter(|_| whole).map(encode);
                let digest = held.map(|record| record.siblings.digest());
                let (rebuilding, stands_in_for) = Default::default();
                Data::Holding { digest, record, rebuilding, stands_in_for }
            }
            Data::Replicate { key, .. } => {
                self.pushed.push(key);
                Data::Replicated
            }
            Data::Collected { .. } => {
                let here = partition == PartitionId(0);
                let items = if here { self.collected.clone() } else { Vec::new() };
                Data::CollectedPage { items, next: None, rebuilding: false }
            }
            Data::CountHints => Data::HintCount(0),
            _ => return None,
        })
    }
}

pub(super) fn bring(lone: &mut Lone, backup: &Backup) {
    *lone.shard.restored_mut() = Restored::Open { source: backup.boxed(), is_own: true };
}

pub(super) fn digest_on(lone: &Lone, key: &[u8]) -> Option<u128> {
    let entry = lone.disk.get(key).expect("a healthy disk")?;
    Some(Record::decode(&entry.head, entry.body).expect("ours").siblings.digest())
}

pub(super) fn items<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<Bytes, Record> {
    of.into_iter().map(|(name, version)| (item(0, name), record(version))).collect()
}
