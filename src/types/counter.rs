//! A number that many count up and down at once, each on its own share of it.
//!
//! ```text
//!   share of A   version 7   +12 −3   lately: op 9f:4 +1
//!   share of B   version 2   + 5 −0   lately: op 9f:4 +1     a retry through B: counted once
//!   joined       each share by its highest version; shown: 9 + 5 + 1
//! ```
//!
//! A PN-counter (Shapiro et al. 2011) whose actors write whole shares, one after the other: the higher version holds
//! all that the lower one did, so the join is a maximum. An operation that has a name stays apart from the sums for
//! [`NAMED_WINDOW_MS`], and counts once, in however many shares it stands; then whoever counts next folds it.
//! (`crdts::PNCounter` adds u64s unchecked, and has no place for names.)

use super::bytes::{Malformed, number, put_number, wide};
use super::refusal::Refused;
use crate::version::OperationId;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How many actors one number may have: each process that counts is one, and one more for each outcome it did not learn.
pub const ACTORS_LIMIT: usize = 4_096;
/// How many named operations are kept apart, of all actors.
pub const NAMED_LIMIT: usize = 4_096;
/// For how long a named operation that comes again is known, in ms.
pub const NAMED_WINDOW_MS: u64 = 600_000;

/// A name for whoever counts, never used again after a write whose outcome is unknown.
pub type Actor = OperationId;

/// An operation that may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    delta: i64,
    /// In ms since 1970, by its actor's clock.
    at: u64,
}

/// What one actor has counted. Only that actor writes it.
///
/// Of one version there may be several forms, more or less folded: they say the same number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Share {
    /// How often its actor has written it.
    version: u64,
    up: u128,
    down: u128,
    named: BTreeMap<OperationId, Named>,
}

impl Share {
    /// The later one is larger, and of one version the one that is folded more.
    fn order(&self, other: &Share) -> Ordering {
        let version = self.version.cmp(&other.version);
        version.then(other.named.len().cmp(&self.named.len())).then_with(|| {
            (self.up, self.down, &self.named).cmp(&(other.up, other.down, &other.named))
        })
    }

    fn add(&mut self, delta: i64) -> Result<(), Refused> {
        let side = if delta < 0 { &mut self.down } else { &mut self.up };
        let sum =
            side.checked_add(delta.unsigned_abs().into()).filter(|s| i128::try_from(*s).is_ok());
        *side = sum.ok_or(Refused::OutOfRange)?;
        Ok(())
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    shares: BTreeMap<Actor, Share>,
}

/// An amount to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increment {
    /// How much; less than nothing counts down.
    pub by: i64,
    /// Its name, if it may come again.
    pub operation: Option<OperationId>,
    /// In ms since 1970.
    pub now: u64,
}

impl Counter {
    /// The number.
    ///
    /// # Errors
    /// [`Refused::OutOfRange`]: what was counted at once does not fit together any more; count down.
    pub fn value(&self) -> Result<i64, Refused> {
        i64::try_from(self.total().ok_or(Refused::OutOfRange)?).map_err(|_| Refused::OutOfRange)
    }

    /// The number, or the end of the range that it is beyond.
    pub fn clamped(&self) -> i64 {
        let total = self.total().unwrap_or(i128::MAX);
        total.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Of an operation that stands in several shares, whatever they say, the largest amount counts.
    fn named(&self) -> BTreeMap<OperationId, i64> {
        let mut named = BTreeMap::new();
        for (operation, one) in self.shares.values().flat_map(|share| &share.named) {
            let delta = named.entry(*operation).or_insert(one.delta);
            *delta = one.delta.max(*delta);
        }
        named
    }

    fn total(&self) -> Option<i128> {
        let mut total = 0_i128;
        for share in self.shares.values() {
            total = total.checked_add(i128::try_from(share.up).ok()?)?;
            total = total.checked_sub(i128::try_from(share.down).ok()?)?;
        }
        self.named().into_values().try_fold(total, |total, delta| total.checked_add(delta.into()))
    }

    /// The version of an actor's share.
    pub(super) fn version(&self, actor: &Actor) -> Option<u64> {
        self.shares.get(actor).map(|share| share.version)
    }

    /// Counts on the share of `actor`, which is its own, and whose last version this is. An operation that is there is
    /// not counted again. Answers with the version that is to be written.
    ///
    /// # Errors
    /// [`Refused`]: the counter is as it was.
    pub fn add(&mut self, actor: Actor, increment: Increment) -> Result<u64, Refused> {
        let mut next = self.clone();
        let version = next.add_to(actor, increment)?;
        // What is shown must fit; but who counts back towards what fits is let.
        let fits = |counter: &Counter| counter.value().is_ok();
        let back = |from: Option<i128>, to: Option<i128>| match (from, to) {
            (Some(from), Some(to)) => to.unsigned_abs() < from.unsigned_abs(),
            _ => false,
        };
        if !fits(&next) && (fits(self) || !back(self.total(), next.total())) {
            return Err(Refused::OutOfRange);
        }
        *self = next;
        Ok(version)
    }

    fn add_to(&mut self, actor: Actor, increment: Increment) -> Result<u64, Refused> {
        let Increment { by, operation, now } = increment;
        let known = operation.and_then(|operation| self.named().get(&operation).copied());
        if known.is_some_and(|amount| amount != by) {
            return Err(Refused::OtherAmount);
        }
        self.fold(now);
        if !self.shares.contains_key(&actor) && self.shares.len() >= ACTORS_LIMIT {
            return Err(Refused::Actors);
        }
        let apart: usize = self.shares.values().map(|share| share.named.len()).sum();
        let share = self.shares.entry(actor).or_default();
        match operation {
            _ if known.is_some() => {}
            Some(_) if apart >= NAMED_LIMIT => return Err(Refused::Named),
            Some(operation) => {
                share.named.insert(operation, Named { delta: by, at: now });
            }
            None => share.add(by)?,
        }
        share.version = share.version.checked_add(1).ok_or(Refused::OutOfRange)?;
        Ok(share.version)
    }

    /// Adds to the sums what nobody will send again, in whosever share it stands: no number changes by that. What
    /// stands in several shares is first left to the smallest actor's.
    fn fold(&mut self, now: u64) {
        // In how many shares each stands, and in which its window is over.
        let mut holders: BTreeMap<OperationId, (usize, Vec<Actor>)> = BTreeMap::new();
        for (actor, share) in &self.shares {
            for (operation, one) in &share.named {
                let (count, over) = holders.entry(*operation).or_default();
                *count += 1;
                if now.saturating_sub(one.at) > NAMED_WINDOW_MS {
                    over.push(*actor);
                }
            }
        }
        for (operation, (count, over)) in holders {
            // One of them keeps it, and is alone with it next time.
            let kept = usize::from(count > 1 && over.len() == count);
            for actor in over.iter().skip(kept) {
                let Some(share) = self.shares.get_mut(actor) else { continue };
                let Some(one) = share.named.get(&operation).copied() else { continue };
                if count > 1 || share.add(one.delta).is_ok() {
                    share.named.remove(&operation);
                }
            }
        }
    }

    /// Takes in another version of it.
    pub fn join(&mut self, other: Counter) {
        for (actor, theirs) in other.shares {
            match self.shares.entry(actor) {
                Entry::Vacant(none) => drop(none.insert(theirs)),
                Entry::Occupied(mut ours) if theirs.order(ours.get()) == Ordering::Greater => {
                    ours.insert(theirs);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.shares.len() as u128);
        for (actor, share) in &self.shares {
            put_name(out, actor);
            put_number(out, share.version.into());
            put_number(out, share.up);
            put_number(out, share.down);
            put_number(out, share.named.len() as u128);
            for (operation, one) in &share.named {
                put_name(out, operation);
                // Signs last: small amounts of either sign are short.
                let delta = i128::from(one.delta);
                put_number(out, ((delta << 1) ^ (delta >> 127)) as u128);
                put_number(out, one.at.into());
            }
        }
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Counter, Malformed> {
        let mut counter = Counter::default();
        // No length is believed: what is announced must come.
        for _ in 0..number::<u32>(from)? {
            let actor = name(from)?;
            let is_last = counter.shares.last_key_value().is_none_or(|(last, _)| *last < actor);
            let mut share = Share { version: number(from)?, ..Share::default() };
            (share.up, share.down) = (wide(from)?, wide(from)?);
            for _ in 0..number::<u32>(from)? {
                let operation = name(from)?;
                if share.named.last_key_value().is_some_and(|(last, _)| *last >= operation) {
                    return Err(Malformed);
                }
                let bits = wide(from)?;
                let delta = ((bits >> 1) as i128) ^ -((bits & 1) as i128);
                let delta = i64::try_from(delta).map_err(|_| Malformed)?;
                share.named.insert(operation, Named { delta, at: number(from)? });
            }
            if !is_last {
                return Err(Malformed);
            }
            counter.shares.insert(actor, share);
        }
        Ok(counter)
    }
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &OperationId) {
    put_number(out, name.session.into());
    put_number(out, name.sequence.into());
}

pub(super) fn name(from: &mut Bytes) -> Result<OperationId, Malformed> {
    Ok(OperationId { session: number(from)?, sequence: number(from)? })
}
