//! A scan's tally: R owners must each show their page; the pages are joined as far as all of them reach.
//!
//! ```text
//!   A   1 2 3 4 │            page ends after 4
//!   B   1 2   4 5 6 │        page ends after 6
//!   ──────────────┘          what is joined ends after 4: beyond it A has not been heard
//! ```
//!
//! In reverse the same holds, from the right: what is joined begins at the largest key down to which a page goes.
//! Who has to show a page is in [`pages`](super::pages). What a scan promises it promises for each item, not
//! for a moment in time.

use super::Replicas;
use super::pages::{Pages, PagesStep, Shown};
use crate::id::NodeId;
use crate::quorum::Quorum;
use crate::version::Record;
use bytes::Bytes;
use std::collections::BTreeMap;

/// One replica's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Store keys and records.
    pub items: Vec<(Bytes, Record)>,
    /// Everything below this store key was examined, in reverse everything from it on; `None`: the whole range.
    pub end: Option<Bytes>,
    /// Its slot is not complete.
    pub rebuilding: bool,
}

impl Shown for Page {
    fn is_rebuilding(&self) -> bool {
        self.rebuilding
    }
}

/// From where to where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key to the largest.
    #[default]
    Forward,
    /// From the largest to the smallest.
    Reverse,
}

/// What a scan needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanStep {
    /// Ask these; an empty list: wait.
    Ask(Vec<NodeId>),
    /// This is the page.
    Answer {
        /// Store keys and joined records, in the scan's direction.
        items: Vec<(Bytes, Record)>,
        /// Where the next page begins; in reverse, before which key it does. `None` when this was the last.
        next: Option<Bytes>,
    },
    /// Nobody is left to be asked or waited for.
    Missed,
}

/// The tally of one page of a scan.
#[derive(Clone, Debug)]
pub struct Scan {
    pages: Pages<Page>,
    direction: Direction,
}

impl Scan {
    /// Begins a page. Where an owner cannot be asked, live fallbacks are asked beside the others.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId, direction: Direction) -> Scan {
        Scan { pages: Pages::begin(quorum, replicas, me), direction }
    }

    /// Where it goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// `from` shows its page.
    pub fn shows(&mut self, from: NodeId, page: Page) {
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

    /// How many bytes of values it holds.
    pub fn bytes(&self) -> usize {
        let records = self.pages.shown().flat_map(|page| &page.items);
        records.map(|(_, record)| record.value_bytes()).sum()
    }

    /// What is needed next. Call it after `begin` and whenever something was heard or missed.
    pub fn step(&mut self) -> ScanStep {
        match self.pages.step() {
            PagesStep::Ask(nodes) => ScanStep::Ask(nodes),
            PagesStep::Met => self.join(),
            PagesStep::Missed => ScanStep::Missed,
        }
    }

    fn join(&self) -> ScanStep {
        let ends = self.pages.shown().filter_map(|page| page.end.as_ref());
        let end = match self.direction {
            Direction::Forward => ends.min(),
            Direction::Reverse => ends.max(),
        };
        let is_beyond = |key: &Bytes| match self.direction {
            Direction::Forward => end.is_some_and(|end| key >= end),
            Direction::Reverse => end.is_some_and(|end| key < end),
        };
        let mut joined: BTreeMap<&Bytes, Record> = BTreeMap::new();
        for (key, record) in self.pages.shown().flat_map(|page| &page.items) {
            if is_beyond(key) {
                continue;
            }
            match joined.get_mut(key) {
                None => {
                    joined.insert(key, record.clone());
                }
                Some(joined) => {
                    joined.join(record);
                }
            }
        }
        let items = joined.into_iter().map(|(key, record)| (key.clone(), record));
        let items = match self.direction {
            Direction::Forward => items.collect(),
            Direction::Reverse => items.rev().collect(),
        };
        ScanStep::Answer { items, next: end.cloned() }
    }
}

#[cfg(test)]
mod tests;
