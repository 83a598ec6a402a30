//! What a key is: the join of all that was said of it at once.
//!
//! ```text
//!   siblings  {text}  {set, generation 2}  {gone, generation 1}
//!   joined    {text, set 2, gone 1}         part by part, so in any order and any number of times
//!   shown     of what is not gone or expired, the later stamp
//! ```
//!
//! Each part joins by itself: a rule that weighed parts against each other at every step would depend on the order.

use super::group::{Gone, Group, Kind};
use super::text::Text;
use crate::types::bytes::{Malformed, byte};
use bytes::Bytes;

/// With which byte a value of ours begins.
const VERSION: u8 = 1;
const TEXT: u8 = 1;
const SET: u8 = 2;
const HASH: u8 = 4;
const GONE: u8 = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Root {
    pub(in crate::redis) text: Option<Text>,
    pub(in crate::redis) set: Option<Group>,
    pub(in crate::redis) hash: Option<Group>,
    pub(in crate::redis) gone: Option<Gone>,
}

/// What of it a reader is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis) enum Shown {
    Nothing,
    Text,
    /// It exists if it has elements.
    Group(Kind, u32),
}

impl Root {
    pub(in crate::redis) fn is_empty(&self) -> bool {
        *self == Root::default()
    }

    /// What is shown at `now`, in ms since 1970.
    pub(in crate::redis) fn shown(&self, now: u64) -> Shown {
        let gone = self.gone.map_or(0, |gone| gone.generation);
        let groups = [(Kind::Set, self.set), (Kind::Hash, self.hash)];
        let groups = groups.into_iter().filter_map(|(kind, group)| Some((kind, group?)));
        let groups = groups.filter(|(_, group)| group.generation > gone);
        let groups = groups.map(|(kind, g)| {
            ((g.stamp, 0, g.generation), g.expiry, Shown::Group(kind, g.generation))
        });
        let text = self.text.iter().map(|text| ((text.stamp, 1, 0), text.expiry, Shown::Text));
        // Who comes last among equals wins: text, else the hash.
        let last = groups.chain(text).max_by_key(|(order, ..)| *order);
        match last {
            Some((_, expiry, shown)) if !expiry.is_over(now) => shown,
            _ => Shown::Nothing,
        }
    }

    /// The group of a kind.
    pub(in crate::redis) fn group(&mut self, kind: Kind) -> &mut Option<Group> {
        match kind {
            Kind::Set => &mut self.set,
            Kind::Hash => &mut self.hash,
        }
    }

    /// The highest generation of elements that there was.
    pub(in crate::redis) fn generation(&self) -> u32 {
        let groups = [self.set, self.hash].into_iter().flatten().map(|group| group.generation);
        groups.chain(self.gone.map(|gone| gone.generation)).max().unwrap_or(0)
    }

    /// The latest stamp in it.
    pub(in crate::redis) fn latest(&self) -> u64 {
        let groups = [self.set, self.hash].into_iter().flatten().map(|group| group.latest());
        let others = self.text.as_ref().map(Text::latest).into_iter();
        groups.chain(others).chain(self.gone.map(|gone| gone.stamp)).max().unwrap_or(0)
    }

    /// Takes in what somebody else said of the key.
    pub(in crate::redis) fn join(&mut self, other: Root) {
        match (&mut self.text, other.text) {
            (Some(ours), Some(theirs)) => ours.join(theirs),
            (ours, theirs) => *ours = ours.take().or(theirs),
        }
        for (ours, theirs) in [(&mut self.set, other.set), (&mut self.hash, other.hash)] {
            match (ours.as_mut(), theirs) {
                (Some(ours), Some(theirs)) => ours.join(theirs),
                (_, theirs) => *ours = ours.or(theirs),
            }
        }
        match (&mut self.gone, other.gone) {
            (Some(ours), Some(theirs)) => ours.join(theirs),
            (ours, theirs) => *ours = ours.or(theirs),
        }
    }

    pub(in crate::redis) fn encode(&self) -> Bytes {
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        let parts = flag(self.text.is_some(), TEXT)
            | flag(self.set.is_some(), SET)
            | flag(self.hash.is_some(), HASH)
            | flag(self.gone.is_some(), GONE);
        let mut out = vec![VERSION, parts];
        if let Some(text) = &self.text {
            text.encode(&mut out);
        }
        for group in [self.set, self.hash].iter().flatten() {
            group.encode(&mut out);
        }
        if let Some(gone) = &self.gone {
            gone.encode(&mut out);
        }
        out.into()
    }

    /// Reads what [`encode`](Root::encode) wrote, and nothing else.
    pub(in crate::redis) fn decode(mut from: Bytes) -> Result<Root, Malformed> {
        if byte(&mut from)? != VERSION {
            return Err(Malformed);
        }
        let parts = byte(&mut from)?;
        if parts & !(TEXT | SET | HASH | GONE) != 0 {
            return Err(Malformed);
        }
        let mut root = Root::default();
        if parts & TEXT != 0 {
            root.text = Some(Text::decode(&mut from)?);
        }
        if parts & SET != 0 {
            root.set = Some(Group::decode(&mut from)?);
        }
        if parts & HASH != 0 {
            root.hash = Some(Group::decode(&mut from)?);
        }
        if parts & GONE != 0 {
            root.gone = Some(Gone::decode(&mut from)?);
        }
        if from.is_empty() { Ok(root) } else { Err(Malformed) }
    }

    /// The join of all siblings; what cannot be read is an error, not nothing.
    pub(in crate::redis) fn of(siblings: Vec<Bytes>) -> Result<Root, Malformed> {
        let mut all = Root::default();
        for sibling in siblings {
            all.join(Root::decode(sibling)?);
        }
        Ok(all)
    }
}
