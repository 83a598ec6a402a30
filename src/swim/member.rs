//! What one node believes about another.
//!
//! ```text
//!              ping unanswered            nobody refutes
//!     Alive ─────────────────► Suspect ─────────────────► Dead         Left: said goodbye itself
//!       ▲                          │                        │            │
//!       └──── the member itself, with a higher incarnation ─┴────────────┘
//! ```
//!
//! Claims about a member are ordered by (incarnation, state): the higher wins, so beliefs merge in any
//! order to the same result. Only the member itself raises its incarnation (Das et al., §4.2).

use crate::id::{Lineage, NodeId};
use crate::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The longest name and the longest zone, in bytes.
pub const MAX_LABEL: usize = 64;

/// How often a member has contradicted others. Only the member itself raises it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// No claim above this is believed, whomever it is about.
pub const MAX_INCARNATION: Incarnation = Incarnation(1 << 48);

/// How far above what is known a claim may reach. One message moves an incarnation by this at most;
/// honest ones grow by one for each accusation, so the distance is never met except by a lie.
pub const MAX_INCARNATION_STEP: u64 = 1 << 32;

impl Incarnation {
    /// Whether a claim of `claimed` about someone known at `self` could be honest.
    pub fn admits(self, claimed: Incarnation) -> bool {
        claimed <= MAX_INCARNATION && claimed.0 <= self.0.saturating_add(MAX_INCARNATION_STEP)
    }
}

/// The opinion about a member. The order matters: at equal incarnation the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// It answers, or someone says so.
    #[serde(rename = "a")]
    Alive,
    /// It did not answer somebody, and has not contradicted yet.
    #[serde(rename = "s")]
    Suspect,
    /// It did not contradict in time. Its slots stay its own: failure is not departure.
    #[serde(rename = "d")]
    Dead,
    /// It said goodbye.
    #[serde(rename = "l")]
    Left,
}

impl State {
    /// The word that people read: `alive`, `suspect`, `dead`, `left`.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Dead => "dead",
            State::Left => "left",
        }
    }

    /// Whether the member takes part: nobody has given it up, and it has not left.
    pub fn is_live(self) -> bool {
        matches!(self, State::Alive | State::Suspect)
    }
}

/// Who a member is and where it can be reached, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Random, never zero, outlives restarts.
    pub id: NodeId,
    /// Which life of its data.
    pub lineage: Lineage,
    /// What people call it, at most [`MAX_LABEL`] bytes.
    pub name: String,
    /// Where it stands, at most [`MAX_LABEL`] bytes.
    pub zone: String,
    /// Where it takes gossip (UDP) and connections (TCP). Trusted over the source of a datagram.
    pub address: SocketAddr,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
}

impl Identity {
    /// Whether a peer could be called this: an id, bounded labels of printable text, addresses that can
    /// be sent to.
    pub fn is_sound(&self) -> bool {
        let label = |s: &str| s.len() <= MAX_LABEL && !s.chars().any(char::is_control);
        self.id != NodeId(0)
            && label(&self.name)
            && label(&self.zone)
            && is_reachable(&self.address)
            && self.http.as_ref().is_none_or(is_reachable)
    }
}

/// Whether something can be sent there at all.
pub(super) fn is_reachable(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

/// The few numbers that a node tells everybody about itself. Opaque here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// The newest agreement (configuration of the register) that it has installed.
    pub agreement: u64,
    /// Its newest durable commit.
    pub durable: u64,
    /// One bit for each: ready, rebuilding, draining. The node names them.
    pub flags: u32,
    /// The placement epoch up to which it has all that it is to own; 0: it lacks something.
    pub complete: u64,
    /// The placement epoch up to which nothing lies on it that others own; 0: something does.
    pub clean: u64,
    /// How many slots it still has to copy.
    pub moving: u32,
    /// The placement epoch in which it has found nothing on it where it has no place; 0: not yet.
    pub settled: u64,
}

/// One line of the membership table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub identity: Identity,
    /// What is believed of it.
    pub state: State,
    /// How often it has contradicted.
    pub incarnation: Incarnation,
    /// What it says about itself.
    pub facts: Facts,
    /// Counts the changes of `facts` within an incarnation.
    pub facts_version: u64,
    /// When `state` last changed, on our clock.
    pub since: Instant,
    /// How long its direct acks take, smoothed; none before the first.
    pub round_trip: Option<Duration>,
    /// It has spoken for itself, here or to somebody who told. False: it was only
    /// [introduced](super::Swim::introduce).
    pub met: bool,
}
