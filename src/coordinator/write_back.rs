//! A strict read's write-back: enough slots must hold what the read will show, before it shows it.
//!
//! ```text
//!   A v2   B v1   C ?         need 1: B is asked ── silent for an attempt ──► C is asked, whatever it holds
//!                             nobody left who has not had an attempt ──► missed: the read fails now
//! ```
//!
//! All that are known to be stale are asked at once, for they want it anyway.

use crate::id::NodeId;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Open,
    Silent,
    Stored,
    Refused,
}

/// How a write-back stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WroteBack {
    /// Enough hold it: the read may answer.
    Enough,
    /// Not yet.
    Waiting,
    /// So many more would have to store it than are left.
    Missed {
        /// How many.
        lacking: usize,
    },
}

/// The tally of one write-back.
#[derive(Clone, Debug)]
pub struct WriteBack {
    need: usize,
    tries: Vec<(NodeId, Answer)>,
    spares: VecDeque<NodeId>,
}

impl WriteBack {
    /// `need` of the `stale` owners must store it; all of them are to be asked. `spares` are owners of
    /// whom nobody knows what they hold.
    pub fn begin(stale: &[NodeId], spares: &[NodeId], need: usize) -> WriteBack {
        let tries = stale.iter().map(|node| (*node, Answer::Open)).collect();
        WriteBack { need, tries, spares: spares.iter().copied().collect() }
    }

    /// `by` holds it durably.
    pub fn stored(&mut self, by: NodeId) {
        self.answer(by, Answer::Stored);
    }

    /// `by` says no. Perhaps somebody else can be asked.
    pub fn refused(&mut self, by: NodeId) -> Option<NodeId> {
        self.answer(by, Answer::Refused)
    }

    /// `by` did not answer within an attempt. Perhaps somebody else can be asked.
    pub fn silent(&mut self, by: NodeId) -> Option<NodeId> {
        self.answer(by, Answer::Silent)
    }

    fn answer(&mut self, by: NodeId, answer: Answer) -> Option<NodeId> {
        let (_, before) = self.tries.iter_mut().find(|(node, _)| *node == by)?;
        if *before == Answer::Stored {
            return None;
        }
        *before = answer;
        let hopeful =
            self.tries.iter().filter(|(_, a)| matches!(a, Answer::Open | Answer::Stored)).count();
        if hopeful >= self.need {
            return None;
        }
        let spare = self.spares.pop_front()?;
        self.tries.push((spare, Answer::Open));
        Some(spare)
    }

    /// Whether `node` was asked and has not answered.
    pub fn is_open(&self, node: NodeId) -> bool {
        self.tries.contains(&(node, Answer::Open))
    }

    /// Do enough hold it?
    pub fn verdict(&self) -> WroteBack {
        let count = |answer| self.tries.iter().filter(|(_, a)| *a == answer).count();
        let stored = count(Answer::Stored);
        if stored >= self.need {
            WroteBack::Enough
        } else if stored + count(Answer::Open) >= self.need {
            WroteBack::Waiting
        } else {
            WroteBack::Missed { lacking: self.need - stored }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{A, B, C};
    use super::*;

    #[test]
    fn a_silent_one_costs_an_attempt_and_then_another_owner_is_asked() {
        let mut back = WriteBack::begin(&[A], &[B, C], 1);
        assert_eq!(back.verdict(), WroteBack::Waiting);
        assert_eq!(back.silent(A), Some(B));
        assert_eq!(back.refused(B), Some(C));
        assert_eq!(back.verdict(), WroteBack::Waiting);
        back.stored(C);
        assert_eq!(back.verdict(), WroteBack::Enough);
    }

    #[test]
    fn it_is_missed_as_soon_as_nobody_is_left_who_has_not_had_an_attempt() {
        let mut back = WriteBack::begin(&[A, B], &[], 1);
        assert_eq!(back.silent(A), None);
        assert_eq!(back.verdict(), WroteBack::Waiting);
        assert_eq!(back.silent(B), None);
        assert_eq!(back.verdict(), WroteBack::Missed { lacking: 1 });
    }

    #[test]
    fn while_enough_may_still_store_it_nobody_else_is_asked_and_a_late_one_counts() {
        let mut back = WriteBack::begin(&[A, B], &[C], 1);
        assert_eq!(back.silent(A), None, "B may still");
        back.stored(A);
        assert_eq!(back.verdict(), WroteBack::Enough);
        assert_eq!(back.refused(A), None, "what is stored stays stored");
        assert_eq!(back.verdict(), WroteBack::Enough);
    }
}
