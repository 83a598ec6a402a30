//! What a client has seen of a key: it travels as a [`Context`](super::Context) and comes back with the
//! next write.
//!
//! ```text
//!   read  {v, w} ──► vector {A:7, B:2}                      all of it was shown
//!   write x, while w (A,7) was there, unseen ──► vector as before, and own (A,8)
//! ```
//!
//! The second line is why a vector alone is not enough. {A:8} would claim that the client saw (A,7) too,
//! and its next write would silently remove w, which nobody showed it. So the context after such a write
//! is *dotted*: what was seen before, and beyond it the client's own writes, one by one.

use super::sibling::OperationId;
use super::vector::{Dot, VersionVector};
use super::wire;
use crate::time::HybridTime;
use serde::{Deserialize, Serialize};

/// How many writes a context names apart from the vector; the oldest go first. Whoever writes more often
/// than that to a contended key without reading it finds some of its own old values among the siblings.
pub const BEYOND_CAP: usize = 8;

/// How many writes a context names because they were shown, though its vector claims them; the oldest go first.
pub const SHOWN_CAP: usize = 16;

/// What a client has seen: nothing, after `default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Everything that was shown, or replaced by what was shown.
    pub vector: VersionVector,
    /// Single writes beyond the vector, which could not claim them without claiming more: the client's
    /// own, and such as were replaced by what was shown. The operation is named so that a replica that has
    /// not heard of the write knows it by that.
    #[serde(deserialize_with = "wire::list")]
    pub beyond: Vec<(OperationId, Dot)>,
    /// The writes that were shown, by name: one that was tried again may stand elsewhere under a dot of which
    /// the vector knows nothing, and a replica may be told that it is gone before it hears of it. They stay named when
    /// the client has replaced them: its next write may be the first of this key that a replica hears of.
    #[serde(deserialize_with = "wire::list")]
    pub shown: Vec<(OperationId, Dot)>,
    /// The latest stamp that was shown.
    pub time: HybridTime,
}

impl Seen {
    /// Whether the write is among what was seen.
    pub fn covers(&self, dot: &Dot) -> bool {
        self.vector.covers(dot) || self.beyond.iter().any(|(_, known)| known == dot)
    }

    /// Whether everything that `other` saw was seen here too: what a session demands of a reply.
    pub fn descends(&self, other: &Seen) -> bool {
        self.vector.descends(&other.vector) && other.beyond.iter().all(|(_, dot)| self.covers(dot))
    }

    /// Adds one write, and nothing else.
    pub(super) fn add(&mut self, operation: OperationId, dot: Dot) {
        self.beyond.push((operation, dot));
        self.fold();
    }

    /// Names a write that was shown.
    pub(super) fn name(&mut self, operation: OperationId, dot: Dot) {
        self.shown.retain(|(known, _)| *known != operation);
        self.shown.push((operation, dot));
        self.shown.drain(..self.shown.len().saturating_sub(SHOWN_CAP));
    }

    /// Whether the write is named, under whatever dot.
    pub(super) fn names(&self, operation: OperationId) -> bool {
        self.beyond.iter().chain(&self.shown).any(|(known, _)| *known == operation)
    }

    /// Adds what somebody else has seen.
    pub(crate) fn join(&mut self, other: &Seen) {
        self.vector.join(&other.vector);
        self.beyond.extend(&other.beyond);
        other.shown.iter().for_each(|(operation, dot)| self.name(*operation, *dot));
        self.time = self.time.max(other.time);
        self.fold();
    }

    /// Moves into the vector what it can claim without claiming more.
    fn fold(&mut self) {
        let Seen { vector, beyond, .. } = self;
        while let Some((_, next)) =
            beyond.iter().find(|(_, dot)| vector.get(dot.actor).checked_add(1) == Some(dot.counter))
        {
            vector.learn(*next);
        }
        let mut known = Vec::new();
        beyond.retain(|(_, dot)| {
            let new = !vector.covers(dot) && !known.contains(dot);
            known.push(*dot);
            new
        });
        beyond.drain(..beyond.len().saturating_sub(BEYOND_CAP));
    }
}

impl From<VersionVector> for Seen {
    fn from(vector: VersionVector) -> Seen {
        Seen { vector, ..Seen::default() }
    }
}
