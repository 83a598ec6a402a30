//! The memory of one instance: what was promised, what was accepted.
//!
//! ```text
//!  promised   0 ──prepare 3──► 3 ──accept(3, x)──► 3 ──prepare 7──► 7 ──accept(3, y)──► refused
//!  accepted   ─                ─                  (3,x)            (3,x)
//! ```

use super::Ballot;
use serde::{Deserialize, Serialize};

/// The durable state of an acceptor.
///
/// **Whoever drives it makes the state durable before the answer leaves.** An acceptor that forgets what it
/// answered is none: two values could be chosen (a test shows it).
///
/// - `promised` never shrinks; nothing below it is accepted.
/// - A ballot is promised at most once. Whoever asks twice under one ballot has lost the answer, or its
///   memory: either way it takes a higher one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptor<V> {
    promised: Ballot,
    accepted: Option<(Ballot, V)>,
}

/// The answer to a prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<V> {
    /// Nothing below the ballot will be accepted any more. The state changed: make it durable first.
    Promise {
        /// What was accepted before, and under which ballot.
        accepted: Option<(Ballot, V)>,
    },
    /// This ballot or a higher one was promised. The state did not change.
    Refused {
        /// The highest promise.
        promised: Ballot,
    },
}

/// The answer to an accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Accepted. The state changed: make it durable first.
    Accepted,
    /// A higher ballot was promised. The state did not change.
    Refused {
        /// The highest promise.
        promised: Ballot,
    },
}

impl<V> Default for Acceptor<V> {
    fn default() -> Acceptor<V> {
        Acceptor { promised: Ballot::default(), accepted: None }
    }
}

impl<V: Clone> Acceptor<V> {
    /// An acceptor that has not been asked yet.
    pub fn new() -> Acceptor<V> {
        Acceptor::default()
    }

    /// The highest ballot that it promised or accepted.
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// What it accepted last.
    pub fn accepted(&self) -> Option<&(Ballot, V)> {
        self.accepted.as_ref()
    }

    /// Phase 1: promises `ballot`, if it is above every promise before it and not absurdly so.
    pub fn prepare(&mut self, ballot: Ballot) -> Answer<V> {
        if ballot <= self.promised || !self.promised.may_jump_to(ballot) {
            return Answer::Refused { promised: self.promised };
        }
        self.promised = ballot;
        Answer::Promise { accepted: self.accepted.clone() }
    }

    /// Phase 2: accepts `value`, unless a higher ballot was promised. Repeating it changes nothing.
    pub fn accept(&mut self, ballot: Ballot, value: V) -> Acceptance {
        if ballot < self.promised || !self.promised.may_jump_to(ballot) {
            return Acceptance::Refused { promised: self.promised };
        }
        self.promised = ballot;
        self.accepted = Some((ballot, value));
        Acceptance::Accepted
    }
}
