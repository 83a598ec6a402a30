//! A string, and a number that many may count up at once.
//!
//! ```text
//!   SET k 5           generation 7f3a, base "5"
//!   INCR through A    generation 7f3a, base "5", A: +1
//!   INCR through B    generation 7f3a, base "5", B: +1        joined: 7
//!   SET k 0           generation 09c1, base "0"               it replaces what it saw
//! ```
//!
//! Within a generation each actor only adds to its own sums, so the larger one is the newer one (a PN-counter, Shapiro et
//! al. 2011). Of different generations the later stamp wins whole, as Redis users know it. Generation 0 is that of a
//! number that nobody has set: two who count from nothing add up.

use super::expiry::Expiry;
use crate::redis::number::integer;
use crate::types::bytes::{Malformed, bytes, number, put_bytes, put_number, wide};
use bytes::Bytes;
use std::collections::BTreeMap;

/// How many actors one number may have: each process that counts is one, and one more for each outcome it did not learn.
pub(in crate::redis) const ACTORS_LIMIT: usize = 4_096;

/// What one actor has added and taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis) struct Sums {
    pub(in crate::redis) up: u128,
    pub(in crate::redis) down: u128,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Text {
    /// When its generation began.
    pub(in crate::redis) stamp: u64,
    /// Drawn by whoever set it; 0: nobody has.
    pub(in crate::redis) generation: u64,
    /// What was set.
    pub(in crate::redis) base: Bytes,
    /// What was counted since, by actor.
    pub(in crate::redis) sums: BTreeMap<u64, Sums>,
    pub(in crate::redis) expiry: Expiry,
}

impl Text {
    /// A number that nobody has set.
    pub(in crate::redis) fn counter() -> Text {
        Text { base: Bytes::from_static(b"0"), ..Text::default() }
    }

    /// The number that begins when this one has expired: the same one, whoever begins it.
    pub(in crate::redis) fn successor(&self) -> Text {
        let stamp = self.expiry.at.unwrap_or(0).max(self.latest() + 1);
        let generation = (self.generation ^ stamp).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Text { stamp, generation, ..Text::counter() }
    }

    /// The latest stamp in it.
    pub(in crate::redis) fn latest(&self) -> u64 {
        self.stamp.max(self.expiry.stamp)
    }

    /// What a reader is shown.
    pub(in crate::redis) fn shown(&self) -> Bytes {
        if self.sums.is_empty() {
            return self.base.clone();
        }
        let base = integer(&self.base).map_or(0, i128::from);
        Bytes::from(base.saturating_add(self.counted()).to_string())
    }

    /// As a number, if it is one that fits.
    pub(in crate::redis) fn as_integer(&self) -> Option<i64> {
        let base = integer(&self.base)?;
        i64::try_from(i128::from(base).saturating_add(self.counted())).ok()
    }

    fn counted(&self) -> i128 {
        let clamp = |sum: u128| i128::try_from(sum).unwrap_or(i128::MAX);
        let each = self.sums.values().map(|sums| clamp(sums.up).saturating_sub(clamp(sums.down)));
        each.fold(0, i128::saturating_add)
    }

    /// Takes in another version of it.
    pub(in crate::redis) fn join(&mut self, other: Text) {
        let order = |text: &Text| (text.stamp, text.generation, text.base.clone());
        match order(&other).cmp(&order(&*self)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => *self = other,
            std::cmp::Ordering::Equal => {
                for (actor, theirs) in other.sums {
                    let ours = self.sums.entry(actor).or_default();
                    ours.up = ours.up.max(theirs.up);
                    ours.down = ours.down.max(theirs.down);
                }
                self.expiry = self.expiry.max(other.expiry);
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.stamp.into());
        put_number(out, self.generation.into());
        put_bytes(out, &self.base);
        self.expiry.encode(out);
        put_number(out, self.sums.len() as u128);
        for (actor, sums) in &self.sums {
            put_number(out, (*actor).into());
            put_number(out, sums.up);
            put_number(out, sums.down);
        }
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Text, Malformed> {
        let (stamp, generation) = (number(from)?, number(from)?);
        let base = bytes(from)?;
        let expiry = Expiry::decode(from)?;
        let count: usize = number(from)?;
        if count > ACTORS_LIMIT {
            return Err(Malformed);
        }
        let mut sums = BTreeMap::new();
        for _ in 0..count {
            let actor: u64 = number(from)?;
            if sums.last_key_value().is_some_and(|(last, _)| *last >= actor) {
                return Err(Malformed);
            }
            sums.insert(actor, Sums { up: wide(from)?, down: wide(from)? });
        }
        Ok(Text { stamp, generation, base, sums, expiry })
    }
}
