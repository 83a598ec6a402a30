//! Records that are on their way to the disk: what a put goes on from, and no reader sees.
//!
//! ```text
//!   turn 7   put k v1   staged ──commit──► 41 … durable ──► forgotten: the store shows v1
//!   turn 8   put k v2   goes on from v1 ─► 42                (two puts never mint one dot)
//!            get k      the store: what was durable before v1
//! ```

use super::unflushed::Unflushed;
use crate::guard::{self, Guard};
use crate::store::{CommitNumber, Store, StoreError};
use crate::version::{Record, RecordError};
use bytes::Bytes;

/// See the module's picture. `None` in it: the record is being erased.
#[derive(Debug, Default)]
pub(super) struct Pending {
    records: Unflushed<Option<Record>>,
}

impl Pending {
    /// The newest record of a key, durable or not.
    ///
    /// # Errors
    /// The store's; and a record that cannot be read is [`StoreError::Damaged`].
    pub fn latest(&self, key: &[u8], store: &dyn Store) -> Result<Option<Record>, StoreError> {
        match self.records.get(key) {
            Some(record) if guard::holds(Guard::PutFromPending) => Ok(record.clone()),
            _ => durable(key, store),
        }
    }

    /// Whether something newer than what readers see is on its way.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.records.get(key).is_some()
    }

    /// What is on its way between these keys, the last one excluded.
    pub fn between(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &Bytes> {
        self.records.between(from, to)
    }

    /// The records that are on their way between these keys, the last one excluded.
    pub fn records_between(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &Record> {
        let keys = self.records.between(from, to);
        keys.filter_map(|key| self.records.get(key)?.as_ref())
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The newest record of a key from now on; the caller has put the change into the batch.
    pub fn stage(&mut self, key: Bytes, record: Option<Record>) {
        self.records.stage(key, record);
    }

    /// See [`Unflushed::committed`].
    pub fn committed(&mut self, number: CommitNumber) {
        self.records.committed(number);
    }

    /// See [`Unflushed::durable`].
    pub fn durable(&mut self, number: CommitNumber) {
        self.records.durable(number);
    }

    /// See [`Unflushed::forget_staged`].
    pub fn forget_staged(&mut self) {
        self.records.forget_staged();
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
