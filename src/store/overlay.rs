//! What is durable but not yet in the index, ordered so that scans can be merged.
//!
//! ```text
//!   overlay   b:erased   d:(head, body)    [f..h erased]        wins
//!   index     a  b  c    d   e              f  g  h             shows through
//!   ───────────────────────────────────────────────────────
//!   view      a     c    d   e                    h
//! ```
//!
//! Invariants:
//! - An entry goes only when the index has applied its batch, and only in the shard's turn: a reader
//!   that found nothing here finds the index at least that far.
//! - Every entry inside an erased range is newer than the range.

use super::shared::{Group, Payload};
use super::{Change, Entry};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// How many entries go in one look at the most.
const EVICTED_AT_ONCE: usize = 1024;

/// The changes of durable batches that the index may not have yet.
#[derive(Default)]
pub(crate) struct Overlay {
    entries: BTreeMap<Bytes, Fresh>,
    ranges: VecDeque<Range>,
    /// Which keys came with which batch, oldest first.
    arrivals: VecDeque<(u64, Bytes)>,
}

struct Fresh {
    sequence: u64,
    /// Nothing: the key was erased.
    entry: Option<Entry>,
}

struct Range {
    sequence: u64,
    from: Bytes,
    to: Bytes,
}

/// What the overlay knows of a key.
pub(crate) enum Known<'a> {
    /// Its newest record.
    Record(&'a Entry),
    /// That it is gone.
    Erased,
    /// Nothing: ask the index.
    Nothing,
}

impl Overlay {
    /// Takes in a durable group. Copies change no content, so they are not seen here.
    pub(crate) fn add(&mut self, group: &Group) {
        for written in &group.batches {
            let Payload::Changes(changes) = &written.payload else { continue };
            for change in changes {
                match change {
                    Change::Put { key, head, body } => {
                        let entry = Entry { head: head.clone(), body: body.clone() };
                        self.set(written.sequence, key, Some(entry));
                    }
                    Change::Erase { key } => self.set(written.sequence, key, None),
                    Change::EraseRange { from, to } if from < to => {
                        self.erase_range(written.sequence, from, to);
                    }
                    Change::EraseRange { .. } => {}
                }
            }
        }
    }

    fn set(&mut self, sequence: u64, key: &Bytes, entry: Option<Entry>) {
        self.entries.insert(key.clone(), Fresh { sequence, entry });
        self.arrivals.push_back((sequence, key.clone()));
    }

    fn erase_range(&mut self, sequence: u64, from: &Bytes, to: &Bytes) {
        let inside = self.entries.range(from.clone()..to.clone());
        for key in inside.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.entries.remove(&key);
        }
        self.ranges.push_back(Range { sequence, from: from.clone(), to: to.clone() });
    }

    /// Forgets what the index has applied: all such ranges, for none may outlive the entries that are newer, and some of
    /// such entries; a window of the index has more than a turn of the node should wait for.
    pub(crate) fn evict(&mut self, applied: u64) {
        while self.ranges.front().is_some_and(|range| range.sequence <= applied) {
            self.ranges.pop_front();
        }
        for _ in 0..EVICTED_AT_ONCE {
            if self.arrivals.front().is_none_or(|(sequence, _)| *sequence > applied) {
                return;
            }
            let (sequence, key) = self.arrivals.pop_front().expect("it has a front");
            if self.entries.get(&key).is_some_and(|fresh| fresh.sequence == sequence) {
                self.entries.remove(&key);
            }
        }
    }

    /// What it knows of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Known<'_> {
        match self.entries.get(key) {
            Some(Fresh { entry: Some(entry), .. }) => Known::Record(entry),
            Some(Fresh { entry: None, .. }) => Known::Erased,
            None if self.covers(key) => Known::Erased,
            None => Known::Nothing,
        }
    }

    /// Whether an erased range hides what the index has under this key.
    fn covers(&self, key: &[u8]) -> bool {
        self.ranges.iter().any(|range| range.from[..] <= *key && *key < range.to[..])
    }

    /// Whether what the index has under this key still holds.
    pub(crate) fn shows_through(&self, key: &[u8]) -> bool {
        !self.entries.contains_key(key) && !self.covers(key)
    }

    /// The records of `from..to` that are here, in order.
    pub(crate) fn records(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Entry)> {
        self.entries
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
            .filter_map(|(key, fresh)| Some((key, fresh.entry.as_ref()?)))
    }

    /// How many keys and ranges it holds.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::CommitNumber;
    use super::super::record::Place;
    use super::super::shared::Written;
    use super::*;

    fn group(sequence: u64, changes: Vec<Change>) -> Group {
        let place = Place { segment: 1, offset: 0 };
        let batches = vec![Written { sequence, place, payload: Payload::Changes(changes) }];
        Group { batches, end: place, sequence, commit: CommitNumber(sequence), bytes: 0 }
    }

    #[test]
    fn what_the_index_has_goes_a_little_at_a_time_and_no_erased_range_hides_what_came_after_it() {
        let key = |n: usize| Bytes::from(n.to_be_bytes().to_vec());
        let put = |n| Change::Put { key: key(n), head: Bytes::new(), body: Bytes::new() };
        let many = 3 * EVICTED_AT_ONCE;
        let mut overlay = Overlay::default();
        overlay.add(&group(1, vec![Change::EraseRange { from: key(0), to: key(many) }]));
        overlay.add(&group(2, (0..many).map(put).collect()));
        overlay.evict(1);
        assert_eq!(overlay.len(), many);
        for left in [2 * EVICTED_AT_ONCE, EVICTED_AT_ONCE, 0] {
            overlay.add(&group(1, vec![Change::EraseRange { from: key(0), to: key(1) }]));
            overlay.evict(2);
            assert_eq!(overlay.len(), left);
            assert!((0..many).all(|n| !matches!(overlay.get(&key(n)), Known::Erased)));
        }
    }
}
