//! A suspicion: the time a member has to contradict, shorter the more accusers agree.
//!
//! ```text
//!   accusers   1 ───────────────────────────────► dead after 24 s     (five members)
//!              2 ────────────────► 11.4 s
//!              3 ─────► 4 s
//! ```
//!
//! One accuser may be ill itself, and then the member needs time to hear of the charge. Three who found
//! out independently are rarely all ill (Lifeguard's dynamic suspicion timeout, Dadgar et al., §IV-B).

use super::scale;
use crate::id::NodeId;
use crate::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

/// The most accusers that anyone remembers.
const MAX_ACCUSERS: usize = 4;

/// A small set of members; zero means nobody. Fixed in size, so that a peer cannot make it grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accusers([NodeId; MAX_ACCUSERS]);

impl Accusers {
    pub(super) fn one(accuser: NodeId) -> Accusers {
        let mut accusers = Accusers::default();
        accusers.insert(accuser);
        accusers
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.0.into_iter().filter(|id| *id != NodeId(0))
    }

    /// Whether it is news, and there was room for it.
    pub(super) fn insert(&mut self, accuser: NodeId) -> bool {
        if accuser == NodeId(0) || self.0.contains(&accuser) {
            return false;
        }
        let Some(free) = self.0.iter_mut().find(|id| **id == NodeId(0)) else { return false };
        *free = accuser;
        true
    }
}

/// One member under suspicion.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    started: Instant,
    least: Duration,
    longest: Duration,
    /// How many accusers beyond the first bring it down to `least`.
    needed: u32,
    accusers: Accusers,
}

impl Suspicion {
    pub(super) fn new(started: Instant, least: Duration, longest: Duration, needed: u32) -> Self {
        let needed = needed.min(MAX_ACCUSERS as u32 - 1);
        Suspicion { started, least, longest, needed, accusers: Accusers::default() }
    }

    /// Another accuser. Whether it is news that others should hear.
    pub(super) fn confirm(&mut self, accuser: NodeId) -> bool {
        self.accusers.iter().count() <= self.needed as usize && self.accusers.insert(accuser)
    }

    pub(super) fn accusers(&self) -> Accusers {
        self.accusers
    }

    pub(super) fn deadline(&self) -> Instant {
        let confirmations = self.accusers.iter().count().saturating_sub(1) as u32;
        self.started + scale::suspicion(self.least, self.longest, confirmations, self.needed)
    }

    /// Time in which we could not have heard a contradiction does not count.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.started = self.started + by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_accuser_twice_is_one_accuser() {
        let mut suspicion =
            Suspicion::new(Instant(0), Duration::from_secs(4), Duration::from_secs(24), 2);
        assert!(suspicion.confirm(NodeId(1)));
        let alone = suspicion.deadline();
        assert!(!suspicion.confirm(NodeId(1)));
        assert_eq!(suspicion.deadline(), alone);
        assert!(suspicion.confirm(NodeId(2)) && suspicion.deadline() < alone);
        assert!(suspicion.confirm(NodeId(3)));
        assert_eq!(suspicion.deadline(), Instant(4_000_000));
        assert!(!suspicion.confirm(NodeId(4)), "nobody needs a fourth");
    }
}
