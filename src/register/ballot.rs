//! Ballots: rounds of one instance, totally ordered, never shared by two proposers.

use crate::id::NodeId;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// How far above the highest counter it knows an acceptor or a proposer follows another's counter.
///
/// An instance begins at 0 and a round takes milliseconds, so no honest counter gets here in years; one
/// forged or rotten message can therefore not use up the counters that are left.
pub const MAX_COUNTER_JUMP: u64 = 1 << 28;

/// The first pause after a lost round, at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
/// The longest pause.
const MAX_BACKOFF: Duration = Duration::from_millis(1_280);

/// A round of one proposer. Ordered by counter, then by node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Ballot {
    /// Counts rounds; 0 is below every real ballot.
    pub counter: u64,
    /// Whose round it is.
    pub node: NodeId,
}

impl Ballot {
    /// The first ballot of `node` above `self`, which it saw somewhere.
    ///
    /// `None` when the counters are used up (which honest proposers never see).
    pub fn above(self, node: NodeId) -> Option<Ballot> {
        let counter = self.counter.checked_add(1)?;
        Some(Ballot { counter, node })
    }

    /// Whether somebody who knows `self` may believe in `other`, if it is higher: within the bound.
    pub fn may_jump_to(self, other: Ballot) -> bool {
        other.counter <= self.counter.saturating_add(MAX_COUNTER_JUMP)
    }
}

/// How long to wait before the next try after `lost` rounds in a row (0: the first was lost): random, so
/// that two proposers part, and longer each time.
pub fn backoff(rng: &mut fastrand::Rng, lost: u32) -> Duration {
    let most = FIRST_BACKOFF.saturating_mul(1 << lost.min(16)).min(MAX_BACKOFF);
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.u64(most / 4..=most))
}
