//! Version vectors: for each actor, how many of its writes are known. (Parker et al., 1983.)
//!
//! ```text
//!   {A:3, B:1}   has seen A's writes 1, 2, 3 and B's write 1
//!       │
//!       └─ descends {A:2}   ─ is concurrent with {A:2, B:2} ─ covers the dots (A,1) (A,2) (A,3) (B,1)
//! ```
//!
//! An entry claims everything up to its number, so an actor must remember everything that it ever did
//! to a key. [`Incarnations`](super::Incarnations) says which actors may go on.

use super::wire;
use crdts::{CmRDT, VClock};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Who counts: one line of writes to one key, by one process (or by one that went on cleanly).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// A random number that the process made durable before it minted its first dot.
    pub incarnation: u64,
    /// Which of that incarnation's actors.
    pub mint: u32,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.incarnation, self.mint)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One write: an actor and its number. Numbers begin at 1.
pub type Dot = crdts::Dot<Actor>;

/// The order in which dots are kept: by actor, then by number. (`Dot` itself is ordered only within
/// one actor.)
pub(super) fn dot_order(dot: &Dot) -> (Actor, u64) {
    (dot.actor, dot.counter)
}

/// What is known of a key's writes.
///
/// - No entry is zero: equal knowledge is an equal value.
/// - It iterates in the order of its actors, on every machine.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionVector(VClock<Actor>);

impl VersionVector {
    /// A vector that knows nothing.
    pub fn new() -> VersionVector {
        VersionVector::default()
    }

    /// How many writes of `actor` are known.
    pub fn get(&self, actor: Actor) -> u64 {
        self.0.get(&actor)
    }

    /// Whether the write is known.
    pub fn covers(&self, dot: &Dot) -> bool {
        dot.counter != 0 && self.get(dot.actor) >= dot.counter
    }

    /// Whether everything that `other` knows is known here; true of equals.
    pub fn descends(&self, other: &VersionVector) -> bool {
        other.iter().all(|dot| self.get(dot.actor) >= dot.counter)
    }

    /// Whether this knows all of `other`, and more.
    pub fn dominates(&self, other: &VersionVector) -> bool {
        self.descends(other) && self != other
    }

    /// Whether each knows something that the other does not.
    pub fn concurrent(&self, other: &VersionVector) -> bool {
        !self.descends(other) && !other.descends(self)
    }

    /// Learns all that `other` knows.
    pub fn join(&mut self, other: &VersionVector) {
        other.iter().for_each(|dot| self.0.apply(dot));
    }

    /// Learns of a write, and thereby claims all earlier ones of its actor.
    pub fn learn(&mut self, dot: Dot) {
        if dot.counter != 0 {
            self.0.apply(dot);
        }
    }

    /// The entries, in the order of their actors: each the highest known dot of its actor.
    pub fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        self.0.iter().map(|dot| Dot::new(*dot.actor, dot.counter))
    }

    /// How many actors it knows.
    pub fn len(&self) -> usize {
        self.0.dots.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> VersionVector {
        let mut vector = VersionVector::new();
        dots.into_iter().for_each(|dot| vector.learn(dot));
        vector
    }
}

impl fmt::Display for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, dot) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}:{}", dot.actor, dot.counter)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for VersionVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|d| (d.actor.incarnation, d.actor.mint, d.counter)))
    }
}

impl<'de> Deserialize<'de> for VersionVector {
    /// Refuses any but the canonical form, so that equal knowledge has equal bytes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<VersionVector, D::Error> {
        let entries: Vec<(u64, u32, u64)> = wire::list(deserializer)?;
        let ascending = entries.windows(2).all(|w| (w[0].0, w[0].1) < (w[1].0, w[1].1));
        if !ascending || entries.iter().any(|entry| entry.2 == 0) {
            return Err(serde::de::Error::custom("a version vector out of order"));
        }
        Ok(entries
            .into_iter()
            .map(|(incarnation, mint, counter)| Dot::new(Actor { incarnation, mint }, counter))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::tests::kit::dot;

    fn vector(entries: &[(u64, u64)]) -> VersionVector {
        entries.iter().map(|&(incarnation, counter)| dot(incarnation, counter)).collect()
    }

    #[test]
    fn descends_dominates_and_concurrent_are_the_theorems() {
        // a, b, a descends b, a dominates b, a is concurrent with b
        for (a, b, descends, dominates, concurrent) in [
            (vector(&[]), vector(&[]), true, false, false),
            (vector(&[(1, 2)]), vector(&[(1, 2)]), true, false, false),
            (vector(&[(1, 3)]), vector(&[(1, 2)]), true, true, false),
            (vector(&[(1, 2)]), vector(&[(1, 3)]), false, false, false),
            (vector(&[(1, 3), (2, 1)]), vector(&[(1, 3)]), true, true, false),
            (vector(&[(1, 3), (2, 1)]), vector(&[(1, 2), (2, 2)]), false, false, true),
        ] {
            assert_eq!(a.descends(&b), descends, "{a} {b}");
            assert_eq!(a.dominates(&b), dominates, "{a} {b}");
            assert_eq!(a.concurrent(&b), concurrent, "{a} {b}");
        }
    }

    #[test]
    fn a_dot_of_zero_is_no_write() {
        let mut known = vector(&[(1, 2)]);
        let zero = Dot::new(Actor { incarnation: 9, mint: 0 }, 0);
        assert!(!known.covers(&zero));
        known.learn(zero);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn only_the_canonical_form_is_decoded() {
        let encode = |entries: &[(u64, u32, u64)]| rmp_serde::to_vec(entries).unwrap();
        let decode = |bytes: Vec<u8>| rmp_serde::from_slice::<VersionVector>(&bytes);
        assert!(decode(encode(&[(1, 0, 2), (1, 1, 1), (2, 0, 1)])).is_ok());
        for bad in [vec![(2, 0, 1), (1, 0, 2)], vec![(1, 0, 2), (1, 0, 3)], vec![(1, 0, 0)]] {
            assert!(decode(encode(&bad)).is_err(), "{bad:?}");
        }
    }
}
