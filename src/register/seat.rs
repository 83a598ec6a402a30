//! A node's seat in a chain of instances: an acceptor for the one value that is being chosen now.
//!
//! ```text
//!  chain      0   1   2   3   (4)            the newest value that this node knows is 3
//!  seat                        ▲ acceptor    prepare(4): answered · prepare(≤3): past · prepare(≥5): ahead
//!  learns 6 ─────────────────────► (7)       a new acceptor; what was promised for 4 is of no use any more
//! ```
//!
//! Dropping the old acceptor is safe: the values up to 6 are chosen, and nobody can choose them again.

use super::{Acceptance, Acceptor, Answer, Ballot};
use crate::id::NodeId;
use serde::{Deserialize, Serialize};

/// The acceptor of the instance after the newest chosen value that its node knows. Durable, like
/// [`Acceptor`], and **together with that value**: a node that came back with an older value and a seat
/// beyond it could answer for an instance whose acceptors it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat<V> {
    instance: u64,
    acceptor: Acceptor<V>,
}

/// Whether a question was for this seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seated<A> {
    /// It was: the answer, to be sent once the seat is durable.
    Here(A),
    /// That value is chosen already: send the newest one instead.
    Past,
    /// This node is behind: it fetches the newest value and answers nothing.
    Ahead,
}

impl<V: Clone> Seat<V> {
    /// A seat for a node whose newest chosen value is the one at `known`.
    pub fn after(known: u64) -> Seat<V> {
        Seat { instance: known.saturating_add(1), acceptor: Acceptor::new() }
    }

    /// The instance that it answers for.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// The acceptor of that instance.
    pub fn acceptor(&self) -> &Acceptor<V> {
        &self.acceptor
    }

    /// Begins a round of this node's own: promises it a ballot above all that this seat promised and above
    /// `seen`, and returns it with what was accepted here: the proposer's first promise, if this node is an
    /// acceptor. `None` if the counters are used up.
    ///
    /// **Make the seat durable before the ballot leaves.** A proposer that comes back and uses an old
    /// ballot for another value can fork the chain: answers to its former life may still be on their way
    /// (a test shows it). For the same reason a node proposes only while the newest value that it knows
    /// names its lineage: one that was wiped knows none of its ballots.
    pub fn stand(&mut self, node: NodeId, seen: Ballot) -> Option<(Ballot, Option<(Ballot, V)>)> {
        let promised = self.acceptor.promised();
        let above = if promised.may_jump_to(seen) { promised.max(seen) } else { promised };
        let ballot = above.above(node)?;
        match self.acceptor.prepare(ballot) {
            Answer::Promise { accepted } => Some((ballot, accepted)),
            Answer::Refused { .. } => None,
        }
    }

    /// Phase 1 of `instance`.
    pub fn prepare(&mut self, instance: u64, ballot: Ballot) -> Seated<Answer<V>> {
        match instance.cmp(&self.instance) {
            std::cmp::Ordering::Less => Seated::Past,
            std::cmp::Ordering::Greater => Seated::Ahead,
            std::cmp::Ordering::Equal => Seated::Here(self.acceptor.prepare(ballot)),
        }
    }

    /// Phase 2 of `instance`. The caller has checked that `value` may follow the value it knows.
    pub fn accept(&mut self, instance: u64, ballot: Ballot, value: V) -> Seated<Acceptance> {
        match instance.cmp(&self.instance) {
            std::cmp::Ordering::Less => Seated::Past,
            std::cmp::Ordering::Greater => Seated::Ahead,
            std::cmp::Ordering::Equal => Seated::Here(self.acceptor.accept(ballot, value)),
        }
    }

    /// The value at `known` is chosen and known here. Moves on, unless it knew that already.
    pub fn learn(&mut self, known: u64) {
        if known >= self.instance {
            *self = Seat::after(known);
        }
    }
}
