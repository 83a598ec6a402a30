//! A store in memory that can be told to fail.

use crate::client::{Bytes, Item, Kv};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

type Items = BTreeMap<(String, Bytes, Bytes), (Bytes, Option<u64>)>;

#[derive(Clone, Default)]
pub(super) struct Memory {
    items: Arc<Mutex<Items>>,
    /// Partition keys that cannot be read.
    unreachable: Arc<Mutex<BTreeSet<Bytes>>>,
    /// How many writes fail before one is taken.
    refuse: Arc<Mutex<u32>>,
}

impl Memory {
    pub(super) fn hide(&self, key: impl Into<Bytes>) {
        self.unreachable.lock().unwrap().insert(key.into());
    }

    pub(super) fn show_all(&self) {
        self.unreachable.lock().unwrap().clear();
    }

    pub(super) fn refuse(&self, writes: u32) {
        *self.refuse.lock().unwrap() = writes;
    }

    /// The partition keys of a bucket, and how many items each has.
    pub(super) fn keys(&self, bucket: &str) -> BTreeMap<Bytes, usize> {
        let mut keys = BTreeMap::new();
        for ((found, key, _), _) in self.items.lock().unwrap().iter() {
            if found == bucket {
                *keys.entry(key.clone()).or_default() += 1;
            }
        }
        keys
    }

    pub(super) fn expiries(&self, bucket: &str) -> BTreeSet<Option<u64>> {
        let items = self.items.lock().unwrap();
        items.iter().filter(|((found, ..), _)| found == bucket).map(|(_, (_, at))| *at).collect()
    }

    fn check(&self, key: &Bytes) -> Result<()> {
        match self.unreachable.lock().unwrap().contains(key) {
            true => Err(Error::QuorumNotMet { required: 2, received: 1 }),
            false => Ok(()),
        }
    }
}

impl Kv for Memory {
    async fn create_lww_bucket(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn write(&self, item: Item, value: Bytes, expires_at: Option<u64>) -> Result<()> {
        let mut refuse = self.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            return Err(Error::OutcomeUnknown { required: 2, received: 1 });
        }
        let at = (item.bucket, item.key, item.sort);
        self.items.lock().unwrap().insert(at, (value, expires_at));
        Ok(())
    }

    async fn read(&self, item: Item) -> Result<Option<Bytes>> {
        self.check(&item.key)?;
        let at = (item.bucket, item.key, item.sort);
        Ok(self.items.lock().unwrap().get(&at).map(|(value, _)| value.clone()))
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        self.check(&key)?;
        let items = self.items.lock().unwrap();
        let begin = (bucket.to_owned(), key.clone(), from);
        let found = items.range(begin..).take_while(|((b, k, sort), _)| {
            *b == bucket && *k == key && (to.is_empty() || *sort < to)
        });
        Ok(found.map(|((_, _, sort), (value, _))| (sort.clone(), value.clone())).collect())
    }
}
