//! Values that join: counters, sets, maps, registers, and counts of different elements; on siblings and contexts.
//!
//! ```text
//!   Typed ─► Counters, Sets, Maps, Registers, Hlls ─► read all siblings ─► join ─► change ─► write with their context
//!                                                                       values: counter, field, small_set, register, hll
//! ```
//!
//! - A counter, a register and an HLL are one item each; a set's members and a map's fields are items of their own
//!   (sort key = member), so that an add to a large set moves one member.
//! - Every write has read first, and replaces what it has read; what it has not seen stays, and is joined.
//! - The joins commute, associate and repeat harmlessly: whoever has seen the same siblings shows the same.
//! - What is written is [`tagged`], and a coordinator refuses everything else.

mod acted;
mod actors;
pub(crate) mod bytes;
mod counter;
mod counters;
mod crowd;
mod desk;
mod field;
mod hll;
mod maps;
#[cfg(test)]
pub(crate) mod memory;
mod objects;
mod refusal;
mod register;
mod sets;
mod singles;
mod small_set;
pub mod tagged;
#[cfg(test)]
mod tests;
mod typed;

pub use counter::{ACTORS_LIMIT, Counter, Increment, NAMED_LIMIT, NAMED_WINDOW_MS};
pub use counters::Counters;
pub use desk::Desk;
pub use field::{Field, FieldUpdate, FieldValue};
pub use hll::{HLL_ERROR, Hll};
pub use maps::{Fields, Maps};
pub use objects::{Change, KeyPage, Object, Objects, Page};
pub use refusal::Refused;
pub use register::Register;
pub use sets::{Members, Sets};
pub use singles::{Hlls, Registers};
pub use small_set::{SMALL_SET_LIMIT, SmallSet};
pub use typed::{BucketKind, Typed, TypedObjects};
