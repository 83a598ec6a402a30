//! The tally of a page of partition keys: R owners show what they hold without the values, and what they show is
//! joined as far as all of them have looked.
//!
//! ```text
//!   A   k/1 †  k/2 ●───passed over───│ m/1 ●  │ page ends
//!   B   k/1 †  k/2 †  k/3 ●──────────│ m/1 ●  n/1 ●  │
//!   joined:    k/2 † after all, and A has not looked at k/3: the page ends behind k/2, and the next one asks
//! ```
//!
//! Of a partition key with many items a replica shows the first ones, up to one (●) that has a value where it lies,
//! and passes over the others. That is enough where the others agree. Where they know that the value is gone (†),
//! nobody has looked behind it together, so that the page ends there: what is passed over is a page's end, unless
//! the key stands before it.

use super::Replicas;
use super::pages::{Pages, PagesStep, Shown};
use crate::id::NodeId;
use crate::quorum::Quorum;
use crate::store::key;
use crate::time::WallClock;
use crate::version::Record;
use bytes::Bytes;
use std::collections::BTreeMap;

/// An item, as a replica shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// Its store key.
    pub key: Bytes,
    /// Its record, without values: they are empty.
    pub record: Record,
    /// What follows it under its partition key was passed over.
    pub passed_over: bool,
}

/// One replica's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// In order.
    pub items: Vec<HeldKey>,
    /// Everything below this store key was examined, but for what was passed over; `None`: the whole range.
    pub end: Option<Bytes>,
    /// Its slot is not complete.
    pub rebuilding: bool,
}

impl Shown for KeyPage {
    fn is_rebuilding(&self) -> bool {
        self.rebuilding
    }
}

/// What a page of keys needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysStep {
    /// Ask these; an empty list: wait.
    Ask(Vec<NodeId>),
    /// This is the page.
    Answer(KeysFound),
    /// Nobody is left to be asked or waited for.
    Missed,
}

/// What is on a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysFound {
    /// Partition keys, in order, each once.
    pub keys: Vec<Bytes>,
    /// How many items were joined for it.
    pub examined: usize,
    /// From which store key on it is not known; `None` when this was the whole range.
    pub next: Option<Bytes>,
}

/// The tally of one page of partition keys.
#[derive(Clone, Debug)]
pub struct Keys {
    pages: Pages<KeyPage>,
    now: WallClock,
}

impl Keys {
    /// Begins a page. What has expired by `now` is no value.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId, now: WallClock) -> Keys {
        Keys { pages: Pages::begin(quorum, replicas, me), now }
    }

    /// By what items expire on this page.
    pub fn now(&self) -> WallClock {
        self.now
    }

    /// `from` shows its page.
    pub fn shows(&mut self, from: NodeId, page: KeyPage) {
        self.pages.shows(from, page);
    }

    /// `from` did not answer within an attempt. It still may.
    pub fn silent(&mut self, from: NodeId) {
        self.pages.silent(from);
    }

    /// `from` says no.
    pub fn refused(&mut self, from: NodeId) {
        self.pages.refused(from);
    }

    /// How many slots must show a page.
    pub fn required(&self) -> usize {
        self.pages.required()
    }

    /// How many slots have.
    pub fn received(&self) -> usize {
        self.pages.received()
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.pages.shown().flat_map(|page| &page.items).map(|item| item.key.len()).sum()
    }

    /// What is needed next. Call it after `begin` and whenever something was heard or missed.
    pub fn step(&mut self) -> KeysStep {
        match self.pages.step() {
            PagesStep::Ask(nodes) => KeysStep::Ask(nodes),
            PagesStep::Met => KeysStep::Answer(self.join()),
            PagesStep::Missed => KeysStep::Missed,
        }
    }

    fn join(&self) -> KeysFound {
        let end = self.pages.shown().filter_map(|page| page.end.as_ref()).min();
        let mut joined: BTreeMap<&Bytes, (Record, bool)> = BTreeMap::new();
        for item in self.pages.shown().flat_map(|page| &page.items) {
            if end.is_some_and(|end| item.key >= *end) {
                continue;
            }
            match joined.get_mut(&item.key) {
                None => {
                    joined.insert(&item.key, (item.record.clone(), item.passed_over));
                }
                Some((joined, passed_over)) => {
                    joined.join(&item.record);
                    *passed_over |= item.passed_over;
                }
            }
        }
        let mut found = KeysFound { keys: Vec::new(), examined: 0, next: end.cloned() };
        // Behind the partition key that was found last.
        let mut behind = Bytes::new();
        for (at, (record, passed_over)) in joined {
            if *at < behind {
                continue;
            }
            found.examined += 1;
            if !record.siblings.is_deleted(self.now) {
                let (Some(item), Some(after)) = (key::parse_item(at), key::after_key(at)) else {
                    continue;
                };
                found.keys.push(item.key.into());
                behind = after;
            } else if passed_over {
                found.next = Some(key::next(at));
                return found;
            }
        }
        // Where a page was cut behind the value that was found, nobody needs the rest of that key.
        found.next = found.next.map(|next| next.max(behind));
        found
    }
}

#[cfg(test)]
mod tests;
