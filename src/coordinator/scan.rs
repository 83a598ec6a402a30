//! A scan's tally: R owners must each show their page; the pages are joined as far as all of them reach.
//!
//! ```text
//!   A   1 2 3 4 │            page ends after 4
//!   B   1 2   4 5 6 │        page ends after 6
//!   ──────────────┘          what is joined ends after 4: beyond it A has not been heard
//! ```
//!
//! A fallback's page may hold anything or nothing of the range, so it is joined but never counts. What a
//! scan promises it promises for each item, not for a moment in time.

use super::{Reach, Replicas};
use crate::id::NodeId;
use crate::quorum::Quorum;
use crate::version::Record;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// One replica's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Store keys and records, in order.
    pub items: Vec<(Bytes, Record)>,
    /// Everything below this store key was examined; `None`: the whole range.
    pub end: Option<Bytes>,
    /// Its slot is not complete.
    pub rebuilding: bool,
}

/// What a scan needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanStep {
    /// Ask these; an empty list: wait.
    Ask(Vec<NodeId>),
    /// This is the page.
    Answer {
        /// Store keys and joined records, in order.
        items: Vec<(Bytes, Record)>,
        /// Where the next page begins; `None` when this was the last.
        next: Option<Bytes>,
    },
    /// Nobody is left to be asked or waited for.
    Missed,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Silent,
    Refused,
    Shows(Page),
}

/// The tally of one page of a scan.
#[derive(Clone, Debug)]
pub struct Scan {
    quorum: Quorum,
    owners: Vec<NodeId>,
    asked: Vec<(NodeId, State)>,
    candidates: VecDeque<NodeId>,
    helpers: Vec<NodeId>,
}

impl Scan {
    /// Begins a page. Where an owner cannot be asked, live fallbacks are asked beside the others.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId) -> Scan {
        let mut candidates: VecDeque<NodeId> =
            replicas.read.is_owner(me).then_some(me).into_iter().collect();
        for reach in [Reach::Up, Reach::Doubtful] {
            let owners = replicas.read.owners.iter();
            candidates.extend(owners.filter(|(n, r)| *n != me && *r == reach).map(|(n, _)| *n));
        }
        let some_down = replicas.read.owners.iter().any(|(node, r)| *node != me && *r != Reach::Up);
        let helpers = match some_down && !quorum.strict {
            true => replicas
                .read
                .fallbacks
                .iter()
                .filter(|(_, r)| *r == Reach::Up)
                .map(|f| f.0)
                .collect(),
            false => Vec::new(),
        };
        let owners = replicas.read.owners.iter().map(|(node, _)| *node).collect();
        Scan { quorum, owners, asked: Vec::new(), candidates, helpers }
    }

    /// `from` shows its page.
    pub fn shows(&mut self, from: NodeId, page: Page) {
        self.set(from, State::Shows(page));
    }

    /// `from` did not answer within an attempt. It still may.
    pub fn silent(&mut self, from: NodeId) {
        if self.open().any(|node| node == from) {
            self.set(from, State::Silent);
        }
    }

    /// `from` says no.
    pub fn refused(&mut self, from: NodeId) {
        self.set(from, State::Refused);
    }

    fn set(&mut self, node: NodeId, state: State) {
        if let Some(asked) = self.asked.iter_mut().find(|(asked, _)| *asked == node) {
            asked.1 = state;
        }
    }

    /// Who was asked and has not answered.
    pub fn open(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.asked.iter().filter(|(_, s)| matches!(s, State::Open)).map(|(node, _)| *node)
    }

    /// How many slots must show a page.
    pub fn required(&self) -> usize {
        self.quorum.required
    }

    /// How many slots have.
    pub fn received(&self) -> usize {
        self.pages().filter(|(node, page)| self.owners.contains(node) && !page.rebuilding).count()
    }

    /// How many bytes of values it holds.
    pub fn bytes(&self) -> usize {
        let records = self.pages().flat_map(|(_, page)| &page.items);
        records.map(|(_, record)| record.value_bytes()).sum()
    }

    fn pages(&self) -> impl Iterator<Item = (NodeId, &Page)> {
        self.asked.iter().filter_map(|(node, state)| match state {
            State::Shows(page) => Some((*node, page)),
            _ => None,
        })
    }

    /// What is needed next. Call it after `begin` and whenever something was heard or missed.
    pub fn step(&mut self) -> ScanStep {
        let mut asks = std::mem::take(&mut self.helpers);
        let open = self.open().filter(|node| self.owners.contains(node)).count();
        let short = self.quorum.required.saturating_sub(self.received() + open);
        let more = short.min(self.candidates.len());
        asks.extend(self.candidates.drain(..more));
        self.asked.extend(asks.iter().map(|node| (*node, State::Open)));
        if !asks.is_empty() || self.open().next().is_some() {
            return ScanStep::Ask(asks);
        }
        if self.received() >= self.quorum.required {
            return self.join();
        }
        let somebody_may_answer = self.asked.iter().any(|(_, s)| matches!(s, State::Silent));
        if somebody_may_answer { ScanStep::Ask(Vec::new()) } else { ScanStep::Missed }
    }

    fn join(&self) -> ScanStep {
        let end = self.pages().filter_map(|(_, page)| page.end.clone()).min();
        let mut joined: BTreeMap<&Bytes, Record> = BTreeMap::new();
        for (key, record) in self.pages().flat_map(|(_, page)| &page.items) {
            if end.as_ref().is_some_and(|end| key >= end) {
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
        let items = joined.into_iter().map(|(key, record)| (key.clone(), record)).collect();
        ScanStep::Answer { items, next: end }
    }
}
