//! A disk with a pause between a write and its sync, and a memory of what it was.

use crate::store::{Batch, Change, CommitNumber, Entry, Source, Store, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Cloning it is copying the directory: what is not synced is not in the copy.
#[derive(Default)]
pub struct Disk {
    synced: BTreeMap<Bytes, Entry>,
    durable: u64,
    written: VecDeque<(u64, Batch)>,
    last: u64,
    /// Keys whose records cannot be read.
    rotten: BTreeSet<Bytes>,
}

impl Disk {
    /// What a power cut, or a copy of the directory, leaves.
    pub fn copy(&self) -> Disk {
        Disk {
            synced: self.synced.clone(),
            durable: self.durable,
            written: VecDeque::new(),
            last: self.durable,
            rotten: self.rotten.clone(),
        }
    }

    /// Everything up to batch `number` is durable now.
    pub fn sync(&mut self, number: u64) {
        while self.written.front().is_some_and(|(n, _)| *n <= number) {
            let Some((n, batch)) = self.written.pop_front() else { return };
            self.durable = n;
            for change in batch.changes {
                match change {
                    Change::Put { key, head, body } => {
                        self.rotten.remove(&key);
                        self.synced.insert(key, Entry { head, body });
                    }
                    Change::Erase { key } => {
                        self.synced.remove(&key);
                    }
                    Change::EraseRange { from, to } => {
                        self.synced.retain(|key, _| *key < from || *key >= to);
                    }
                }
            }
        }
    }
}

impl Source for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        if self.rotten.contains(key) {
            return Err(StoreError::Damaged("it does not match its checksum".into()));
        }
        Ok(self.synced.get(key).cloned())
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.synced.get(key).map(|entry| entry.head.clone()))
    }

    fn scan(&self, _: &[u8], _: &[u8], _: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Ok(Vec::new())
    }
}

impl Store for Disk {
    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError> {
        self.last += 1;
        self.written.push_back((self.last, batch));
        Ok(CommitNumber(self.last))
    }

    fn durable(&self) -> CommitNumber {
        CommitNumber(self.durable)
    }

    fn failed(&self) -> Option<StoreError> {
        None
    }
}

impl Disk {
    /// A record of the node's own rots.
    pub fn rot(&mut self, name: &str) {
        let key = crate::store::key::meta(name);
        assert!(self.synced.contains_key(&key), "{name}");
        self.rotten.insert(key);
    }

    /// The machine is put back in time while it runs: its numbers go back.
    pub fn rewind(&mut self, commits: u64) {
        self.durable -= commits;
        self.last = self.durable;
    }
}
