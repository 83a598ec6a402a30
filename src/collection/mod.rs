//! When may a tombstone go? One attempt to collect some of a partition, as a tally without I/O.
//!
//! ```text
//!   verify   owners A B C      all hold k as T, durably         else k stays
//!   open r   positions A…E     stamp r on what they read        r is above every number that any of them used
//!   drain    positions A…E     keep nothing older for others
//!   close    owners A B C      take nothing older for themselves
//!   collect  owners A B C      erase k where it still is T
//! ```
//!
//! The order is the proof. What is read from an owner under r is read after it held T, so it is T or knows T. What
//! was read before, nobody keeps when the round is drained, and nobody takes once it is closed. So when T goes,
//! there is nothing left that T would be needed against. A driver that dies in between leaves numbers behind
//! and nothing else; the next one takes a higher number.

use crate::guard::{self, Guard};
use crate::id::NodeId;
use std::collections::BTreeSet;

/// What is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Who holds what?
    Verifying,
    /// Everybody stamps with the number of the round.
    Opening,
    /// Nobody keeps anything older for others.
    Draining,
    /// No owner takes anything older.
    Closing,
    /// All of them did.
    Closed,
    /// It came to nothing.
    Failed,
}

/// What somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It holds everything but these, and stamps with this number.
    Held {
        /// Their places.
        lacking: Vec<usize>,
        /// The number.
        round: u32,
    },
    /// It stamps with this number.
    Opened(u32),
    /// It keeps nothing older than this number for others.
    Drained(u32),
    /// It takes nothing older than this number.
    Closed(u32),
    /// It will not.
    Refused,
}

/// The tally of one attempt. See the module's picture.
///
/// - It goes on only when everybody who was asked has said yes, in the phase that is under way.
/// - The first number is above all that the owners have named; positions refuse one that they used before.
#[derive(Clone, Debug)]
pub struct Attempt {
    owners: BTreeSet<NodeId>,
    positions: BTreeSet<NodeId>,
    phase: Phase,
    round: u32,
    heard: BTreeSet<NodeId>,
    lacking: BTreeSet<usize>,
    count: usize,
}

impl Attempt {
    /// To collect so many tombstones that these own, of a partition in whose list are these.
    pub fn begin(owners: BTreeSet<NodeId>, positions: BTreeSet<NodeId>, count: usize) -> Attempt {
        let (heard, lacking) = Default::default();
        Attempt { owners, positions, phase: Phase::Verifying, round: 0, heard, lacking, count }
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The number of the round; 0 while verifying.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Who is still to say something.
    pub fn waits_for(&self) -> impl Iterator<Item = NodeId> + '_ {
        let asked = match self.phase {
            Phase::Verifying | Phase::Closing => Some(&self.owners),
            Phase::Opening | Phase::Draining => Some(&self.positions),
            Phase::Closed | Phase::Failed => None,
        };
        asked.into_iter().flatten().filter(|node| !self.heard.contains(node)).copied()
    }

    /// The places of those that everybody holds.
    pub fn verified(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count).filter(|at| !self.lacking.contains(at))
    }

    /// `from` says something. True: another phase has begun.
    pub fn hear(&mut self, from: NodeId, heard: Heard) -> bool {
        if self.waits_for().all(|node| node != from) {
            return false;
        }
        match (self.phase, heard) {
            (Phase::Verifying, Heard::Held { lacking, round }) => {
                if guard::holds(Guard::VerifiedByAll) {
                    self.lacking.extend(lacking);
                }
                self.round = self.round.max(round);
            }
            (Phase::Opening, Heard::Opened(round))
            | (Phase::Draining, Heard::Drained(round))
            | (Phase::Closing, Heard::Closed(round))
                if round == self.round => {}
            (Phase::Verifying | Phase::Opening, Heard::Refused) => {
                self.phase = Phase::Failed;
                return true;
            }
            // Late, repeated, or refused for a while.
            _ => return false,
        }
        self.heard.insert(from);
        if self.waits_for().next().is_some() {
            return false;
        }
        self.heard.clear();
        self.phase = match self.phase {
            Phase::Verifying if self.verified().next().is_none() => Phase::Failed,
            Phase::Verifying => match self.round.checked_add(1) {
                Some(next) => {
                    self.round = next;
                    Phase::Opening
                }
                None => Phase::Failed,
            },
            Phase::Opening => Phase::Draining,
            Phase::Draining => Phase::Closing,
            Phase::Closing | Phase::Closed => Phase::Closed,
            Phase::Failed => Phase::Failed,
        };
        true
    }
}

#[cfg(test)]
mod tests;
