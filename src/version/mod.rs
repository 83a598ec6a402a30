//! Causality: which value has seen which, and what may therefore be forgotten.
//!
//! ```text
//!   Actor ── Dot ── VersionVector          what happened, counted per actor
//!                      │
//!   Sibling ────── Siblings ── join, write the dotted version vector set of one key
//!                      │
//!   Incarnations ── Record ── head + body   what a node stores and sends; whose actor goes on
//!                      │
//!                     Seen ── Context       what a client has seen, as a token it cannot forge
//! ```
//!
//! After Preguiça et al., "Dotted Version Vectors", 2012, and Almeida et al., "Scalable and Accurate
//! Causality Tracking for Eventually Consistent Stores", 2014. Deliberately absent: `crdts::MVReg`
//! (with actors on servers it loses writes), clocks, and anything that asks for the time.

mod context;
mod head;
mod incarnation;
mod join;
mod packed;
mod record;
mod seen;
mod sibling;
mod siblings;
mod vector;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use crate::id::Conflict;
pub use context::{Context, ContextError, ContextScope, MAX_CONTEXT_LENGTH, peek};
pub use incarnation::{ENDED_CLEANLY_CAP, Incarnations, Local, MintsExhausted};
pub use join::Applied;
pub use record::{Head, Joined, Kind, Record, RecordError, SiblingHead};
pub use seen::{BEYOND_CAP, SHOWN_CAP, Seen};
pub use sibling::{
    BEATEN_BYTES, BEATEN_CAP, COVERED_CAP, COVERED_WINDOW, Cause, Content, Covered, OperationId,
    SIBLINGS_CAP, SIBLINGS_WARNING, Sibling,
};
pub use siblings::Siblings;
pub use vector::{Actor, Dot, VersionVector};
pub(crate) use wire::at_end;
pub use write::{Room, Write, Written};
