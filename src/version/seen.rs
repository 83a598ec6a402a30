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
//! is *dotted*: what was seen before, and apart from it the one write of its own.

use super::sibling::OperationId;
use super::vector::{Dot, VersionVector};
use crate::time::HybridTime;
use serde::{Deserialize, Serialize};

/// What a client has seen: nothing, after `default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Everything that was shown, or replaced by what was shown.
    pub vector: VersionVector,
    /// The client's own last write, where the vector could not claim it without claiming more.
    pub own: Option<(OperationId, Dot)>,
    /// The latest stamp that was shown.
    pub time: HybridTime,
}

impl Seen {
    /// Whether the write is among what was seen.
    pub fn covers(&self, dot: &Dot) -> bool {
        self.vector.covers(dot) || self.own.is_some_and(|(_, own)| own == *dot)
    }

    /// Whether everything that `other` saw was seen here too: what a session demands of a reply.
    pub fn descends(&self, other: &Seen) -> bool {
        self.vector.descends(&other.vector) && other.own.is_none_or(|(_, dot)| self.covers(&dot))
    }
}

impl From<VersionVector> for Seen {
    fn from(vector: VersionVector) -> Seen {
        Seen { vector, ..Seen::default() }
    }
}
