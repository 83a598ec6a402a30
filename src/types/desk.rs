//! What a process remembers between typed operations: its actors, who is at work, which bucket is of which type.

use super::acted::Named;
use super::actors::{Actors, Own};
use super::crowd::Crowd;
use super::field::{FieldUpdate, FieldValue};
use crate::error::{Error, Result};
use crate::id::{DataType, Item};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::{Mutex as Lane, MutexGuard as Turn};
use xxhash_rust::xxh3::xxh3_64;

/// How many items may be worked on at once where actors matter; items share lanes by their hash.
const LANES: usize = 256;
/// How many buckets' types are remembered; then they are asked for anew.
const BUCKETS_LIMIT: usize = 1_024;

/// See the module. One in a process, for all that it does.
#[derive(Debug)]
pub struct Desk {
    lanes: Vec<Lane<()>>,
    actors: Mutex<Actors>,
    buckets: Mutex<BTreeMap<String, DataType>>,
    pub(super) counters: Crowd<Named<i64>, i64>,
    pub(super) fields: Crowd<Named<FieldUpdate>, Option<FieldValue>>,
}

impl Default for Desk {
    fn default() -> Desk {
        let lanes = (0..LANES).map(|_| Lane::default()).collect();
        Desk {
            lanes,
            actors: Mutex::default(),
            buckets: Mutex::default(),
            counters: Crowd::default(),
            fields: Crowd::default(),
        }
    }
}

impl Desk {
    /// Waits until nobody else in this process changes the item: two at once would need two actors.
    pub(super) async fn turn(&self, item: &Item) -> Turn<'_, ()> {
        let mut name = item.bucket.clone().into_bytes();
        for part in [&item.key, &item.sort] {
            name.push(0);
            name.extend_from_slice(part);
        }
        self.lanes[xxh3_64(&name) as usize % LANES].lock().await
    }

    pub(super) fn take(&self, item: &Item) -> Option<Own> {
        unpoisoned(&self.actors).take(item)
    }

    pub(super) fn give(&self, item: Item, own: Own) {
        unpoisoned(&self.actors).give(item, own);
    }

    /// After a write that ended so: the actor that was there before goes on if certainly nothing was written.
    pub(super) fn give_back(&self, item: Item, before: Option<Own>, error: &Error) {
        let nothing_changed = matches!(
            error,
            Error::Invalid(_)
                | Error::TooLarge { .. }
                | Error::TooManySiblings { .. }
                | Error::Unavailable { .. }
                | Error::Overloaded(_)
        );
        if let (true, Some(own)) = (nothing_changed, before) {
            self.give(item, own);
        }
    }

    pub(super) fn known(&self, bucket: &str) -> Option<DataType> {
        unpoisoned(&self.buckets).get(bucket).copied()
    }

    pub(super) fn learn(&self, bucket: &str, kind: DataType) {
        let mut buckets = unpoisoned(&self.buckets);
        if buckets.len() >= BUCKETS_LIMIT {
            buckets.clear();
        }
        buckets.insert(bucket.to_owned(), kind);
    }
}

/// What is inside is whole between two statements, so it may be gone on with.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Of several writes, some of which failed: whether any of them may have happened decides what is said.
pub(super) fn of_all<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failed.push(error),
        }
    }
    let unknown = |error: &&Error| matches!(error, Error::OutcomeUnknown { .. });
    let worst = failed.iter().find(unknown).or(failed.first());
    match worst {
        None => Ok(done),
        Some(error) if done.is_empty() || unknown(&error) => Err(error.clone()),
        Some(error) => {
            let (required, received) = error.counts().unwrap_or((1, 0));
            Err(Error::OutcomeUnknown { required, received })
        }
    }
}
