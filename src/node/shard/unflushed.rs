//! What was handed to the disk and is not durable yet: the store shows the state before it.
//!
//! ```text
//!   turn 7   stage k, v1   staged ──commit──► 41 … durable ──► forgotten: the store shows v1
//!   turn 8   stage k, v2   takes v1's place ─► 42 …           stays until 42 is durable
//! ```
//!
//! What it holds is bounded by what is on its way to the disk, however long the node is busy.

use crate::store::CommitNumber;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    /// `None`: staged in the turn that is under way.
    number: Option<CommitNumber>,
}

/// The newest state of store keys, as far as the store does not show it yet. See the module's picture.
#[derive(Debug)]
pub(super) struct Unflushed<V> {
    entries: BTreeMap<Bytes, Entry<V>>,
    staged: Vec<Bytes>,
    committed: VecDeque<(CommitNumber, Vec<Bytes>)>,
}

impl<V> Default for Unflushed<V> {
    fn default() -> Self {
        let (entries, staged, committed) = Default::default();
        Unflushed { entries, staged, committed }
    }
}

impl<V> Unflushed<V> {
    /// What is on its way for this key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The keys of what is on its way between two keys, the last one excluded.
    pub fn between(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &Bytes> {
        let range = (Bound::Included(from), Bound::Excluded(to));
        self.entries.range::<[u8], _>(range).map(|(key, _)| key)
    }

    /// Everything that is on its way, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.committed.is_empty()
    }

    /// The newest state of a key from now on; the caller has put the change into the batch.
    pub fn stage(&mut self, key: Bytes, value: V) {
        let before = self.entries.insert(key.clone(), Entry { value, number: None });
        if before.is_none_or(|before| before.number.is_some()) {
            self.staged.push(key);
        }
    }

    /// What was staged is in this batch.
    pub fn committed(&mut self, number: CommitNumber) {
        let staged = std::mem::take(&mut self.staged);
        for key in &staged {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.number = Some(number);
            }
        }
        if !staged.is_empty() {
            self.committed.push_back((number, staged));
        }
    }

    /// The store shows everything up to here. `shown` hears of each key that it shows anew: as what, unless
    /// something newer is on its way, or may be.
    pub fn durable(&mut self, number: CommitNumber, mut shown: impl FnMut(Bytes, Option<V>)) {
        while self.committed.front().is_some_and(|(at, _)| *at <= number) {
            let Some((at, keys)) = self.committed.pop_front() else { break };
            for key in keys {
                let is_newest = self.entries.get(&key).is_some_and(|e| e.number == Some(at));
                let newest = if is_newest { self.entries.remove(&key) } else { None };
                shown(key, newest.map(|entry| entry.value));
            }
        }
    }

    /// The batch under way was refused. What an earlier batch is still bringing to the disk for the same
    /// keys cannot be named here any more: the caller stores nothing until all of those are durable.
    pub fn forget_staged(&mut self) {
        for key in std::mem::take(&mut self.staged) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_until_its_newest_change_is_durable_and_no_longer() {
        let mut unflushed = Unflushed::default();
        let key = Bytes::from_static(b"k");
        unflushed.stage(key.clone(), 1);
        unflushed.committed(CommitNumber(41));
        unflushed.stage(key.clone(), 2);
        let mut shown = Vec::new();
        unflushed.durable(CommitNumber(41), |_, value| shown.push(value));
        assert_eq!(unflushed.get(&key), Some(&2), "the store shows 1");
        unflushed.committed(CommitNumber(42));
        unflushed.durable(CommitNumber(42), |_, value| shown.push(value));
        assert_eq!((unflushed.get(&key), unflushed.is_empty()), (None, true));
        assert_eq!(shown, [None, Some(2)]);
    }

    #[test]
    fn what_is_staged_twice_in_a_turn_is_shown_once() {
        let mut unflushed = Unflushed::default();
        let key = Bytes::from_static(b"k");
        unflushed.stage(key.clone(), 1);
        unflushed.stage(key, 2);
        unflushed.committed(CommitNumber(1));
        let mut shown = Vec::new();
        unflushed.durable(CommitNumber(1), |_, value| shown.push(value));
        assert_eq!(shown, [Some(2)]);
    }

    #[test]
    fn what_was_refused_is_forgotten() {
        let mut unflushed = Unflushed::default();
        unflushed.stage(Bytes::from_static(b"a"), ());
        unflushed.committed(CommitNumber(1));
        unflushed.stage(Bytes::from_static(b"b"), ());
        unflushed.forget_staged();
        assert_eq!(unflushed.iter().count(), 1);
        assert!(!unflushed.is_empty());
    }
}
