//! Records that are on their way to the disk: what a put goes on from, and no reader sees. And, so that it need not be
//! read again, what readers saw lately.
//!
//! ```text
//!   turn 7   put k v1   staged ──commit──► 41 … durable ──► recent: readers are shown v1
//!   turn 8   put k v2   goes on from v1 ─► 42                (two puts never mint one dot)
//!            get k      recent, else the store: what was durable before v1
//! ```

use super::recent::{Known, Recent};
use super::stored::{Stored, unreadable};
use super::unflushed::Unflushed;
use crate::guard::{self, Guard};
use crate::store::{CommitNumber, Store, StoreError};
use crate::version::{Head, Record};
use bytes::Bytes;
use std::sync::Arc;

/// See the module's picture. `None` in it: the record is being erased.
#[derive(Debug, Default)]
pub(super) struct Pending {
    records: Unflushed<Option<Arc<Stored>>>,
    recent: Recent,
}

impl Pending {
    /// Nothing is on its way; what was seen lately takes about so many bytes.
    pub fn new(recent_bytes: usize) -> Pending {
        Pending { recent: Recent::new(recent_bytes), ..Pending::default() }
    }

    /// The newest record of a key, durable or not.
    ///
    /// # Errors
    /// The store's; and a record that cannot be read is [`StoreError::Damaged`].
    pub fn latest(
        &mut self,
        key: &Bytes,
        store: &dyn Store,
    ) -> Result<Option<Arc<Stored>>, StoreError> {
        match self.records.get(key) {
            Some(record) if guard::holds(Guard::PutFromPending) => Ok(record.clone()),
            _ => self.shown(key, store),
        }
    }

    /// What readers see of a key.
    ///
    /// # Errors
    /// As [`latest`](Pending::latest).
    pub fn shown(
        &mut self,
        key: &Bytes,
        store: &dyn Store,
    ) -> Result<Option<Arc<Stored>>, StoreError> {
        // What is remembered is what the store shows, and that moves whenever somebody looks.
        self.durable(store.durable());
        if let Some(Known::Record(stored)) = self.recent.get(key) {
            return Ok(Some(stored));
        }
        let Some(entry) = store.get(key)? else { return Ok(None) };
        let stored = Arc::new(Stored::read(entry)?);
        self.recent.insert(key.clone(), Known::Record(stored.clone()));
        Ok(Some(stored))
    }

    /// The digest of what readers see of a key. Values are not looked at.
    ///
    /// # Errors
    /// As [`latest`](Pending::latest).
    pub fn digest(&mut self, key: &Bytes, store: &dyn Store) -> Result<Option<u128>, StoreError> {
        self.durable(store.durable());
        match self.recent.get(key) {
            Some(Known::Record(stored)) => return Ok(Some(stored.digest)),
            Some(Known::Digest(digest)) => return Ok(Some(digest)),
            None => {}
        }
        let Some(head) = store.head(key)? else { return Ok(None) };
        let digest = Head::decode(&head).map_err(unreadable)?.digest();
        self.recent.insert(key.clone(), Known::Digest(digest));
        Ok(Some(digest))
    }

    /// What lies in the store under this key may not be what was written.
    pub fn distrust(&mut self, key: &[u8]) {
        self.recent.remove(key);
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
        keys.filter_map(|key| Some(&*self.records.get(key)?.as_ref()?.record))
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The newest record of a key from now on; the caller has put the change into the batch.
    pub fn stage(&mut self, key: Bytes, record: Option<Arc<Stored>>) {
        self.records.stage(key, record);
    }

    /// See [`Unflushed::committed`].
    pub fn committed(&mut self, number: CommitNumber) {
        self.records.committed(number);
    }

    /// See [`Unflushed::durable`].
    pub fn durable(&mut self, number: CommitNumber) {
        let Pending { records, recent } = self;
        records.durable(number, |key, newest| match newest.flatten() {
            Some(stored) => recent.insert(key, Known::Record(stored)),
            // Erased; or what the store shows now is not known here, because something newer is on its way, or was
            // refused.
            None => recent.remove(&key),
        });
    }

    /// See [`Unflushed::forget_staged`].
    pub fn forget_staged(&mut self) {
        self.records.forget_staged();
    }
}

/// What the disk has of a key, whatever is remembered.
///
/// # Errors
/// As [`Pending::latest`].
pub(super) fn durable(key: &[u8], store: &dyn Store) -> Result<Option<Record>, StoreError> {
    let Some(entry) = store.get(key)? else { return Ok(None) };
    Record::decode(&entry.head, entry.body).map(Some).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{item, record};
    use super::*;
    use crate::store::{Batch, Change, MemoryStore};
    use fastrand::Rng;

    /// A shard's turns, without the shard.
    struct Turns {
        store: MemoryStore,
        pending: Pending,
        batch: Vec<Change>,
        writes: u64,
        refused: bool,
    }

    impl Turns {
        fn stage(&mut self, key: &Bytes, erase: bool) {
            self.writes += 1;
            let stored = (!erase).then(|| Arc::new(Stored::new(record(self.writes))));
            self.batch.push(match &stored {
                None => Change::Erase { key: key.clone() },
                Some(stored) => {
                    let (head, body) = (stored.encoded.head.clone(), stored.encoded.body.clone());
                    Change::Put { key: key.clone(), head, body }
                }
            });
            self.pending.stage(key.clone(), stored);
        }

        fn end(&mut self) {
            let changes = std::mem::take(&mut self.batch);
            if changes.is_empty() {
                return;
            }
            match self.store.commit(Batch { changes }) {
                Ok(number) => self.pending.committed(number),
                Err(_) => {
                    self.pending.forget_staged();
                    self.refused = true;
                }
            }
        }
    }

    #[test]
    fn readers_are_shown_what_the_store_shows_whatever_is_on_its_way_or_was_refused() {
        let keys: Vec<Bytes> = (0..4).map(|n| item(0, &format!("k{n}"))).collect();
        for seed in 0..300 {
            let mut rng = Rng::with_seed(seed);
            let budget = [0, 20_000, 1 << 20][rng.usize(..3)];
            let (store, pending) = (MemoryStore::new(), Pending::new(budget));
            let mut turns = Turns { store, pending, batch: Vec::new(), writes: 0, refused: false };
            for _ in 0..200 {
                let key = &keys[rng.usize(..keys.len())];
                match rng.u8(..12) {
                    // After a refused batch nothing is written until all before it is durable.
                    0..5 if !turns.refused => turns.stage(key, rng.u8(..4) == 0),
                    5 | 6 => turns.end(),
                    7 => drop(turns.store.sync(rng.usize(..3))),
                    8 => {
                        turns.pending.durable(turns.store.durable());
                        turns.refused &= !turns.pending.is_empty();
                    }
                    9 => turns.store.set_full(rng.u8(..3) == 0),
                    _ => {
                        let shown = durable(key, &turns.store).expect("a healthy disk");
                        let digest = shown.as_ref().map(|shown| shown.siblings.digest());
                        let pending = &mut turns.pending;
                        if rng.bool() {
                            assert_eq!(pending.digest(key, &turns.store), Ok(digest), "{seed}");
                        }
                        let stored = pending.shown(key, &turns.store).expect("a healthy disk");
                        assert_eq!(stored.as_ref().map(|stored| stored.digest), digest, "{seed}");
                        assert_eq!(stored.map(|s| Record::clone(&s.record)), shown, "{seed}");
                    }
                }
            }
        }
    }
}
