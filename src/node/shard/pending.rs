//! Records that are on their way to the disk: what a put goes on from, and no reader sees.
//!
//! ```text
//!   turn 7   put k v1   staged ──commit──► 41 … durable ──► forgotten: the store shows v1
//!   turn 8   put k v2   goes on from v1 ─► 42                (two puts never mint one dot)
//!            get k      the store: what was durable before v1
//! ```

use crate::store::{CommitNumber, Store, StoreError};
use crate::version::{Record, RecordError};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
struct Unflushed {
    /// `None`: it is being erased.
    record: Option<Record>,
    /// `None`: staged in the turn that is under way.
    number: Option<CommitNumber>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Pending {
    records: BTreeMap<Bytes, Unflushed>,
    staged: Vec<Bytes>,
    committed: VecDeque<(CommitNumber, Vec<Bytes>)>,
}

impl Pending {
    /// The newest record of a key, durable or not.
    ///
    /// # Errors
    /// The store's; and a record that cannot be read is [`StoreError::Damaged`].
    pub fn latest(&self, key: &[u8], store: &dyn Store) -> Result<Option<Record>, StoreError> {
        match self.records.get(key) {
            Some(unflushed) => Ok(unflushed.record.clone()),
            None => durable(key, store),
        }
    }

    /// Whether something newer than what readers see is on its way.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.records.contains_key(key)
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.committed.is_empty()
    }

    /// The newest record of a key from now on; the caller has put the change into the batch.
    pub fn stage(&mut self, key: Bytes, record: Option<Record>) {
        self.records.insert(key.clone(), Unflushed { record, number: None });
        self.staged.push(key);
    }

    /// What was staged is in this batch.
    pub fn committed(&mut self, number: CommitNumber) {
        let staged = std::mem::take(&mut self.staged);
        for key in &staged {
            if let Some(unflushed) = self.records.get_mut(key) {
                unflushed.number = Some(number);
            }
        }
        if !staged.is_empty() {
            self.committed.push_back((number, staged));
        }
    }

    /// The store shows everything up to here.
    pub fn durable(&mut self, number: CommitNumber) {
        while self.committed.front().is_some_and(|(at, _)| *at <= number) {
            let Some((at, keys)) = self.committed.pop_front() else { break };
            for key in keys {
                if self.records.get(&key).is_some_and(|unflushed| unflushed.number == Some(at)) {
                    self.records.remove(&key);
                }
            }
        }
    }

    /// The batch under way was refused. What an earlier batch is still bringing to the disk for the same
    /// keys cannot be named here any more: the caller stores nothing until all of those are durable.
    pub fn forget_staged(&mut self) {
        for key in std::mem::take(&mut self.staged) {
            self.records.remove(&key);
        }
    }
}

/// What readers see of a key.
///
/// # Errors
/// As [`Pending::latest`].
pub(super) fn durable(key: &[u8], store: &dyn Store) -> Result<Option<Record>, StoreError> {
    let Some(entry) = store.get(key)? else { return Ok(None) };
    match Record::decode(&entry.head, entry.body) {
        Ok(record) => Ok(Some(record)),
        // A newer build wrote it: it is no damage, and must not be written over.
        Err(error @ (RecordError::UnknownKind(_) | RecordError::UnknownVersion(_))) => {
            Err(StoreError::Failed(error.to_string()))
        }
        Err(error) => Err(StoreError::Damaged(error.to_string())),
    }
}
