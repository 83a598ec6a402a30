//! Hedged reads: whoever is late is not waited for alone.
//!
//! ```text
//!   get   A (here) ✔   B asked ── … p95 ─► C asked too ── C answers ─► answered; B's answer counts for its record only
//! ```
//!
//! One owner more is asked when an answer is later than about the 95th percentile of what that other one takes.
//! (Dean and Barroso, "The Tail at Scale", 2013; Cassandra's rapid read protection.) It changes whom the tally hears
//! first, and nothing else: R distinct slots must have spoken, as ever.
//!
//! - One hedge for a request, to an owner that was not asked; where none is left, none.
//! - One read of [`READS_A_HEDGE`] at most, and [`BURST`] more at once: a slow-down of everybody must not become
//!   twice the load for everybody.

use super::get::GetWork;
use super::request::{Request, Work};
use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::message::peer::Data;
use crate::node::outbox::About;
use crate::time::Instant;

/// So many reads that ask other nodes pay for one hedge.
const READS_A_HEDGE: u32 = 10;
/// So many hedges may have been saved.
const BURST: u32 = 16;

/// What may still be spent on hedges: a bucket of tokens that reads fill, not time.
#[derive(Debug)]
pub(super) struct Budget {
    saved: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { saved: BURST * READS_A_HEDGE }
    }
}

impl Budget {
    /// A read asked other nodes.
    fn earn(&mut self) {
        self.saved = (self.saved + 1).min(BURST * READS_A_HEDGE);
    }

    /// Whether one more hedge may be. It is paid for then.
    fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(READS_A_HEDGE);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}

/// How a get stands with its one hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hedge {
    /// Nobody else has been asked anything.
    Unplanned,
    /// Then, if it still waits.
    At(Instant),
    /// It asked one owner more.
    Asked,
    /// There is none.
    None,
}

impl Hedge {
    /// When it is due.
    pub fn at(self) -> Option<Instant> {
        match self {
            Hedge::At(at) => Some(at),
            Hedge::Unplanned | Hedge::Asked | Hedge::None => None,
        }
    }
}

impl Shard {
    /// A get has asked other nodes for the first time.
    pub(super) fn plan_hedge(&mut self, id: u64, request: &mut Request, turn: &mut Turn) {
        let Work::Get(get) = &mut request.work else { return };
        if get.hedge != Hedge::Unplanned || request.sent.is_empty() {
            return;
        }
        self.hedges.earn();
        let spare = get.tally.spare();
        let spare = spare.filter(|node| self.peers.reach(*node, &self.view) == Reach::Up);
        get.hedge = spare.map_or(Hedge::None, |node| {
            Hedge::At(turn.now.instant + self.laggards.late_after(node, request.attempt))
        });
        self.probe_laggard(id, request, turn);
    }

    /// The answers are late: one owner more is asked, unless too many reads are hedged already.
    pub(super) fn hedge_due(&mut self, id: u64, request: &mut Request, turn: &mut Turn) {
        let Work::Get(get) = &mut request.work else { return };
        if !matches!(get.hedge, Hedge::At(at) if at <= turn.now.instant) {
            return;
        }
        get.hedge = Hedge::None;
        let up = |node| self.peers.reach(node, &self.view) == Reach::Up;
        let waits = get.write_back.is_none() && get.tally.open().next().is_some();
        if !waits || !get.tally.spare().is_some_and(up) || !self.hedges.spend() {
            return;
        }
        let Some(ask) = get.tally.hedge() else { return };
        get.hedge = Hedge::Asked;
        self.counters.hedged_reads += 1;
        self.ask_read(id, request, ask, turn);
    }

    /// A get has heard enough. Whoever was asked before the hedge, and has not answered though the hedge has, is late.
    pub(super) fn judge_hedge(&mut self, get: &GetWork) {
        let won = get.hedge == Hedge::Asked && get.tally.hedge_answered();
        let mut overtaken = get.tally.open().filter(|_| won).peekable();
        if overtaken.peek().is_some() {
            self.counters.hedges_won += 1;
        }
        for late in overtaken {
            self.laggards.overtaken(late.to);
        }
    }

    /// Asks an owner that used to be late for the digest as well: nobody waits for it, but how long it takes is seen.
    fn probe_laggard(&mut self, id: u64, request: &Request, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let unasked = get.tally.owners().filter(|node| get.tally.asked(*node).is_none());
        let Some(node) = self.laggards.probe(unasked, turn.now.instant) else { return };
        let Some(to) = self.address(node) else { return };
        self.laggards.asked(node, id, turn.now.instant, request.attempt);
        let deadline_ms = u32::try_from(request.attempt.as_millis()).unwrap_or(u32::MAX);
        let (class, partition) = (request.class, get.partition);
        let about = About { class, partition, request: id, deadline_ms, round: request.round };
        turn.outbox.send_data(to, about, &Data::Read { key: get.key.clone(), whole: false });
    }
}

#[cfg(test)]
#[path = "hedge_tests.rs"]
mod tests;
