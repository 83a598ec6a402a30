//! One value, chosen once, by a majority, in spite of everything: single-decree Paxos.
//!
//! ```text
//!  Proposer                         acceptors A B C
//!     │── prepare(b) ──────────────────►│  promise: nothing below b any more;
//!     │◄───────────── promise(accepted?)│  here is what I accepted before
//!     │   a majority: adopt the value of the highest ballot among these answers, else take one's own
//!     │── accept(b, value) ────────────►│  unless a higher ballot was promised meanwhile
//!     │◄──────────────────────  accepted│
//!     │   a majority: *chosen*. Nothing else can ever be chosen here.
//! ```
//!
//! An acceptor is (node id, lineage): a node that lost its disk is another acceptor, and none of this
//! instance's. (Lamport, "Paxos Made Simple", 2001; Rystsov, "CASPaxos", 2018: the same acceptors serve a
//! rewritable register when the proposer edits the adopted value instead of completing it.)
//!
//! No I/O, no time: whoever drives it sends the messages, makes the acceptor's state durable **before**
//! its answers leave, and gives up on a proposer when its patience ends.

mod acceptor;
mod ballot;
mod proposer;
mod seat;

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod unit_tests;

pub use acceptor::{Acceptance, Acceptor, Answer};
pub use ballot::{Ballot, MAX_COUNTER_JUMP, backoff};
pub use proposer::{Outcome, Proposer, Step};
pub use seat::{Seat, Seated};

use crate::id::{Lineage, NodeId};

/// Who may promise and accept: one life of one node.
pub type AcceptorId = (NodeId, Lineage);
