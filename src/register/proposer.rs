//! One round of one proposer: a tally of two majorities.
//!
//! A round lives for one ballot. It is driven by answers, and ends with an [`Outcome`]; the next try is a
//! new round with a higher ballot. Every answer names its acceptor and its ballot: strangers, earlier
//! rounds, duplicates and latecomers change nothing.

use super::{AcceptorId, Ballot};
use std::collections::BTreeSet;

/// What the driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<V> {
    /// Wait for more answers, or lose patience and [`give_up`](Proposer::give_up).
    Wait,
    /// Send accept with the round's ballot and this value to every acceptor.
    Accept(V),
    /// The round is over.
    Done(Outcome<V>),
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<V> {
    /// Our own value is chosen, for ever. Tell everybody.
    Chosen(V),
    /// Another value is chosen, for ever. Tell everybody, make the wish fit it, and try the next instance.
    ChosenOther(V),
    /// Others are at it. Our value may still be chosen by a later round. Pause, then try above this ballot.
    Contended {
        /// The highest ballot seen; the next one goes above it.
        above: Ballot,
    },
    /// Too few acceptors answered. Our value may still be chosen by a later round.
    Unreachable {
        /// How many answered in the phase that did not end.
        answered: usize,
        /// How many are needed.
        required: usize,
    },
}

/// A round.
#[derive(Clone, Debug)]
pub struct Proposer<V> {
    ballot: Ballot,
    acceptors: BTreeSet<AcceptorId>,
    own: V,
    highest_refusal: Ballot,
    phase: Phase<V>,
}

#[derive(Clone, Debug)]
enum Phase<V> {
    Preparing { tally: Tally, highest: Option<(Ballot, V)> },
    Accepting { tally: Tally, value: V },
    Done,
}

/// Who said yes and who said no in one phase. The first word of each counts.
#[derive(Clone, Debug, Default)]
struct Tally {
    yes: BTreeSet<AcceptorId>,
    no: BTreeSet<AcceptorId>,
}

impl<V: Clone + PartialEq> Proposer<V> {
    /// A round under `ballot` that wants `own` chosen by a majority of `acceptors`. Send prepare with the
    /// ballot to each of them. The ballot comes from [`Seat::stand`](super::Seat::stand): no ballot is ever
    /// used for two rounds.
    pub fn new(ballot: Ballot, acceptors: BTreeSet<AcceptorId>, own: V) -> Proposer<V> {
        assert!(!acceptors.is_empty(), "a value has somebody to choose it");
        let phase = Phase::Preparing { tally: Tally::default(), highest: None };
        Proposer { ballot, acceptors, own, highest_refusal: ballot, phase }
    }

    /// The round's ballot.
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// Whom to send prepare and accept to.
    pub fn acceptors(&self) -> &BTreeSet<AcceptorId> {
        &self.acceptors
    }

    /// How many of them are a majority.
    pub fn majority(&self) -> usize {
        self.acceptors.len() / 2 + 1
    }

    /// `from` promised `ballot`, and had accepted this before.
    pub fn promise(
        &mut self,
        from: AcceptorId,
        ballot: Ballot,
        accepted: Option<(Ballot, V)>,
    ) -> Step<V> {
        // An acceptor that promises has accepted nothing as high: such an answer is not a promise.
        let credible = accepted.as_ref().is_none_or(|(before, _)| *before < self.ballot);
        if ballot != self.ballot || !self.acceptors.contains(&from) || !credible {
            return Step::Wait;
        }
        let majority = self.majority();
        let Phase::Preparing { tally, highest } = &mut self.phase else { return Step::Wait };
        if !tally.first_word(from) {
            return Step::Wait;
        }
        tally.yes.insert(from);
        if let Some((before, value)) = accepted
            && highest.as_ref().is_none_or(|(top, _)| before > *top)
        {
            *highest = Some((before, value));
        }
        if tally.yes.len() < majority {
            return Step::Wait;
        }
        // What somebody accepted may have been chosen: completing it is the only safe thing to do.
        let value = match highest.take() {
            Some((_, value)) => value,
            None => self.own.clone(),
        };
        self.phase = Phase::Accepting { tally: Tally::default(), value: value.clone() };
        Step::Accept(value)
    }

    /// `from` accepted the value under `ballot`.
    pub fn accepted(&mut self, from: AcceptorId, ballot: Ballot) -> Step<V> {
        if ballot != self.ballot || !self.acceptors.contains(&from) {
            return Step::Wait;
        }
        let majority = self.majority();
        let Phase::Accepting { tally, value } = &mut self.phase else { return Step::Wait };
        if !tally.first_word(from) {
            return Step::Wait;
        }
        tally.yes.insert(from);
        if tally.yes.len() < majority {
            return Step::Wait;
        }
        let value = value.clone();
        self.phase = Phase::Done;
        Step::Done(if value == self.own {
            Outcome::Chosen(value)
        } else {
            Outcome::ChosenOther(value)
        })
    }

    /// `from` refused `ballot`, for it has promised `promised`.
    pub fn refused(&mut self, from: AcceptorId, ballot: Ballot, promised: Ballot) -> Step<V> {
        if ballot != self.ballot || !self.acceptors.contains(&from) {
            return Step::Wait;
        }
        if !matches!(self.phase, Phase::Done) && self.ballot.may_jump_to(promised) {
            self.highest_refusal = self.highest_refusal.max(promised);
        }
        self.no(from)
    }

    /// `from` takes no part now (it has not passed its witness check, or it is behind).
    pub fn declined(&mut self, from: AcceptorId, ballot: Ballot) -> Step<V> {
        if ballot != self.ballot || !self.acceptors.contains(&from) {
            return Step::Wait;
        }
        self.no(from)
    }

    fn no(&mut self, from: AcceptorId) -> Step<V> {
        let spare = self.acceptors.len() - self.majority();
        let tally = match &mut self.phase {
            Phase::Preparing { tally, .. } | Phase::Accepting { tally, .. } => tally,
            Phase::Done => return Step::Wait,
        };
        if tally.first_word(from) {
            tally.no.insert(from);
        }
        if tally.no.len() > spare { Step::Done(self.give_up()) } else { Step::Wait }
    }

    /// The driver's patience is over. What was accepted so far stays: the value may be chosen later.
    pub fn give_up(&mut self) -> Outcome<V> {
        let required = self.majority();
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        if self.highest_refusal > self.ballot {
            return Outcome::Contended { above: self.highest_refusal };
        }
        let answered = match phase {
            Phase::Preparing { tally, .. } | Phase::Accepting { tally, .. } => tally.yes.len(),
            Phase::Done => 0,
        };
        Outcome::Unreachable { answered, required }
    }
}

impl Tally {
    fn first_word(&self, from: AcceptorId) -> bool {
        !self.yes.contains(&from) && !self.no.contains(&from)
    }
}
