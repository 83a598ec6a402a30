//! Who shows a page: R owners must, and nobody who was asked is left out while an answer may still come.
//!
//! ```text
//!   owners   A B ✕C │ D      R = 2, C is down: A and B are asked, and D beside them
//!   shown    ✓ ✓      ✓      D's page is joined with the others; it never counts
//! ```
//!
//! A fallback's page may hold anything or nothing of the range. What is on the pages is the affair of whoever
//! asked for them: [`Scan`](super::Scan) and [`Keys`](super::Keys).

use super::{Reach, Replicas};
use crate::id::NodeId;
use crate::quorum::Quorum;
use std::collections::VecDeque;

/// What is needed next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PagesStep {
    /// Ask these; an empty list: wait.
    Ask(Vec<NodeId>),
    /// All pages are there that there will be.
    Met,
    /// Nobody is left to be asked or waited for.
    Missed,
}

#[derive(Clone, Debug)]
enum State<P> {
    Open,
    Silent,
    Refused,
    Shows(P),
}

/// A page, as far as the tally cares.
pub(super) trait Shown {
    /// Its slot is not complete.
    fn is_rebuilding(&self) -> bool;
}

/// The tally of one page.
#[derive(Clone, Debug)]
pub(super) struct Pages<P> {
    quorum: Quorum,
    owners: Vec<NodeId>,
    asked: Vec<(NodeId, State<P>)>,
    candidates: VecDeque<NodeId>,
    helpers: Vec<NodeId>,
}

impl<P: Shown> Pages<P> {
    /// Begins a page. Where an owner cannot be asked, live fallbacks are asked beside the others.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId) -> Pages<P> {
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
        Pages { quorum, owners, asked: Vec::new(), candidates, helpers }
    }

    /// `from` shows its page.
    pub fn shows(&mut self, from: NodeId, page: P) {
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

    fn set(&mut self, node: NodeId, state: State<P>) {
        if let Some(asked) = self.asked.iter_mut().find(|(asked, _)| *asked == node) {
            asked.1 = state;
        }
    }

    fn open(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.asked.iter().filter(|(_, s)| matches!(s, State::Open)).map(|(node, _)| *node)
    }

    /// How many slots must show a page.
    pub fn required(&self) -> usize {
        self.quorum.required
    }

    /// How many slots have.
    pub fn received(&self) -> usize {
        let shown = self.asked.iter().filter(|(_, state)| match state {
            State::Shows(page) => !page.is_rebuilding(),
            _ => false,
        });
        shown.filter(|(node, _)| self.owners.contains(node)).count()
    }

    /// The pages that were shown.
    pub fn shown(&self) -> impl Iterator<Item = &P> {
        self.asked.iter().filter_map(|(_, state)| match state {
            State::Shows(page) => Some(page),
            _ => None,
        })
    }

    /// What is needed next. Call it after `begin` and whenever something was heard or missed.
    pub fn step(&mut self) -> PagesStep {
        let mut asks = std::mem::take(&mut self.helpers);
        let open = self.open().filter(|node| self.owners.contains(node)).count();
        let short = self.quorum.required.saturating_sub(self.received() + open);
        let more = short.min(self.candidates.len());
        asks.extend(self.candidates.drain(..more));
        self.asked.extend(asks.iter().map(|node| (*node, State::Open)));
        if !asks.is_empty() || self.open().next().is_some() {
            return PagesStep::Ask(asks);
        }
        if self.received() >= self.quorum.required {
            return PagesStep::Met;
        }
        let somebody_may_answer = self.asked.iter().any(|(_, s)| matches!(s, State::Silent));
        if somebody_may_answer { PagesStep::Ask(Vec::new()) } else { PagesStep::Missed }
    }
}
