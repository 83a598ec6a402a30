//! What readers were shown lately: hot keys are neither looked up, nor read, nor decoded.
//!
//! ```text
//!   young   a  c  f          full: it becomes the old one, and what was the old one goes
//!   old     b  c' d  e       found here: it moves to the young one
//!   gone    …                dropped a few at a time: no turn waits for all of it
//! ```
//!
//! It says what the store says, or nothing: whoever changes what the store shows says so here.

use super::stored::Stored;
use bytes::Bytes;
use std::collections::HashMap;
use std::collections::hash_map::IntoIter;
use std::sync::Arc;

/// What an entry takes beside its key and what lies in the store, in bytes: about.
const ENTRY_BYTES: usize = 512;
/// How many that are gone are dropped with each that comes.
const DROPPED_AT_ONCE: usize = 4;
/// An entry takes no more than this part of all.
const LARGEST_PART: usize = 8;

/// See the module's picture. Nobody sees the order of these maps.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<Bytes, Known>,
    old: HashMap<Bytes, Known>,
    gone: IntoIter<Bytes, Known>,
    /// What the young ones take.
    bytes: usize,
    budget: usize,
}

/// What is known of a key that the store has.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// All.
    Record(Arc<Stored>),
    /// Its digest.
    Digest(u128),
}

impl Recent {
    /// One that takes about so many bytes.
    pub fn new(budget: usize) -> Recent {
        Recent { budget, ..Recent::default() }
    }

    /// What is known of a key.
    pub fn get(&mut self, key: &[u8]) -> Option<Known> {
        if let Some(known) = self.young.get(key) {
            return Some(known.clone());
        }
        let (key, known) = self.old.remove_entry(key)?;
        self.insert(key, known.clone());
        Some(known)
    }

    /// The store shows this from now on.
    pub fn insert(&mut self, key: Bytes, known: Known) {
        let (length, cost) = (key.len(), known.cost(key.len()));
        if cost > self.budget / LARGEST_PART {
            return self.remove(&key);
        }
        self.old.remove(&key);
        let before = self.young.insert(key, known);
        self.bytes += cost;
        self.bytes -= before.map_or(0, |before| before.cost(length));
        if self.bytes > self.budget / 2 {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            (self.gone, self.bytes) = (old.into_iter(), 0);
        }
        self.gone.by_ref().take(DROPPED_AT_ONCE).for_each(drop);
    }

    /// What the store shows of it has changed.
    pub fn remove(&mut self, key: &[u8]) {
        self.old.remove(key);
        if let Some((key, known)) = self.young.remove_entry(key) {
            self.bytes -= known.cost(key.len());
        }
    }
}

impl Known {
    fn cost(&self, key_length: usize) -> usize {
        let stored = match self {
            Known::Digest(_) => 0,
            // Decoded, a head of a hot key takes about four times its bytes.
            Known::Record(stored) => 5 * stored.encoded.head.len() + stored.encoded.body.len(),
        };
        ENTRY_BYTES + key_length + stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Bytes {
        number.to_be_bytes().to_vec().into()
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let one = Known::Digest(0).cost(key(0).len());
        let mut recent = Recent::new(100 * one);
        for number in 0..10_000 {
            recent.insert(key(number), Known::Digest(number as u128));
            assert!(
                matches!(recent.get(&key(0)), Some(Known::Digest(0))),
                "{number} came after it"
            );
            assert!(recent.young.len() <= 50 && recent.old.len() <= 51 && recent.gone.len() <= 51);
            assert_eq!(recent.bytes, recent.young.len() * one);
        }
        assert!(recent.get(&key(5_000)).is_none());
        assert!(recent.get(&key(9_990)).is_some());
    }

    #[test]
    fn what_has_changed_is_not_found_wherever_it_was() {
        let mut recent = Recent::new(1 << 20);
        recent.insert(key(1), Known::Digest(1));
        recent.old = std::mem::take(&mut recent.young);
        recent.bytes = 0;
        recent.insert(key(1), Known::Digest(2));
        recent.remove(&key(1));
        assert!(recent.get(&key(1)).is_none());
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let mut recent = Recent::new(0);
        recent.insert(key(1), Known::Digest(1));
        assert!(recent.get(&key(1)).is_none());
    }
}
