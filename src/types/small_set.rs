//! A set that is small enough to be one value: a map's field.
//!
//! ```text
//!   A adds x        clock A:1         x by A:1
//!   B removes x     clock A:1         nothing           it had seen A:1
//!   A adds x again  clock A:2         x by A:2          at the same time
//!   joined          clock A:2         x by A:2          what was added survives
//! ```
//!
//! Each member has the dots of the adds that nobody has removed; a dot that the other side covers and does not hold was
//! removed there (an optimised OR-set: Bieniusa et al., "An optimized conflict-free replicated set", 2012). Not
//! `crdts::Orswot`: its maps are written in no fixed order.

use super::bytes::{Malformed, bytes, number, put_bytes, put_number};
use super::counter::{ACTORS_LIMIT, Actor, name, put_name};
use super::refusal::Refused;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How many members it may have.
pub const SMALL_SET_LIMIT: usize = 1_000;

type Dot = (Actor, u64);

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallSet {
    /// What was added so far, by actor.
    clock: BTreeMap<Actor, u64>,
    /// By which adds a member is there; none has no dots.
    members: BTreeMap<Bytes, BTreeSet<Dot>>,
}

impl SmallSet {
    /// The members, in order.
    pub fn members(&self) -> impl Iterator<Item = &Bytes> {
        self.members.keys()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn version(&self, actor: &Actor) -> Option<u64> {
        self.clock.get(actor).copied()
    }

    /// Adds a member, in the place of all adds of it that are here. Answers with the actor's version.
    ///
    /// # Errors
    /// [`Refused`]: the set is as it was.
    pub fn add(&mut self, actor: Actor, member: Bytes) -> Result<u64, Refused> {
        if !self.clock.contains_key(&actor) && self.clock.len() >= ACTORS_LIMIT {
            return Err(Refused::Actors);
        }
        if !self.members.contains_key(&member) && self.members.len() >= SMALL_SET_LIMIT {
            return Err(Refused::Members);
        }
        let last = self.clock.entry(actor).or_default();
        *last = last.checked_add(1).ok_or(Refused::OutOfRange)?;
        self.members.insert(member, BTreeSet::from([(actor, *last)]));
        Ok(*last)
    }

    /// Removes a member: all adds of it that are here.
    pub fn remove(&mut self, member: &Bytes) {
        self.members.remove(member);
    }

    fn covers(&self, (actor, count): &Dot) -> bool {
        self.clock.get(actor).is_some_and(|last| last >= count)
    }

    /// Takes in another version of it.
    pub fn join(&mut self, other: SmallSet) {
        let mut joined: BTreeMap<Bytes, BTreeSet<Dot>> = BTreeMap::new();
        let mut keep = |from: &SmallSet, against: &SmallSet| {
            for (member, dots) in &from.members {
                let theirs = against.members.get(member);
                let held = |dot: &Dot| theirs.is_some_and(|dots| dots.contains(dot));
                let kept = dots.iter().filter(|dot| held(dot) || !against.covers(dot)).copied();
                let kept: Vec<Dot> = kept.collect();
                if !kept.is_empty() {
                    joined.entry(member.clone()).or_default().extend(kept);
                }
            }
        };
        keep(self, &other);
        keep(&other, self);
        self.members = joined;
        for (actor, last) in other.clock {
            let ours = self.clock.entry(actor).or_default();
            *ours = last.max(*ours);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.clock.len() as u128);
        for (actor, last) in &self.clock {
            put_name(out, actor);
            put_number(out, (*last).into());
        }
        put_number(out, self.members.len() as u128);
        for (member, dots) in &self.members {
            put_bytes(out, member);
            put_number(out, dots.len() as u128);
            for (actor, count) in dots {
                // The place of its actor in the clock: names are long.
                put_number(out, self.clock.range(..actor).count() as u128);
                put_number(out, (*count).into());
            }
        }
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<SmallSet, Malformed> {
        let mut set = SmallSet::default();
        for _ in 0..number::<u32>(from)? {
            let (actor, last) = (name(from)?, number::<u64>(from)?);
            let in_order = set.clock.last_key_value().is_none_or(|(before, _)| *before < actor);
            if last == 0 || !in_order {
                return Err(Malformed);
            }
            set.clock.insert(actor, last);
        }
        let actors: Vec<Actor> = set.clock.keys().copied().collect();
        for _ in 0..number::<u32>(from)? {
            let member = bytes(from)?;
            let in_order = set.members.last_key_value().is_none_or(|(before, _)| *before < member);
            let mut dots = BTreeSet::new();
            for _ in 0..number::<u32>(from)? {
                let actor = *actors.get(number::<usize>(from)?).ok_or(Malformed)?;
                let dot = (actor, number::<u64>(from)?);
                let after = dots.last().is_none_or(|last| *last < dot);
                if dot.1 == 0 || !after || !set.covers(&dot) {
                    return Err(Malformed);
                }
                dots.insert(dot);
            }
            if dots.is_empty() || !in_order {
                return Err(Malformed);
            }
            set.members.insert(member, dots);
        }
        Ok(set)
    }
}
