//! The commands of Redis, on a store without a leader: on siblings and contexts, and nothing else of it.
//!
//! ```text
//!   bytes ─► wire ─► Session ─► table ─┬─ lane of a key ─► load ─► view ─ command, command ─► save ─► replies
//!                                      └─ connection, all keys, refused
//!   value: what is stored, and how what was written at once becomes one
//! ```
//!
//! - Every write has read first, and replaces what it has read; what it has not seen stays, and is joined.
//! - Counts add up, whichever node they go through; of strings the later one wins; of a set and a hash what
//!   was added survives a removal that had not seen it.
//! - What a command answers is stored on as many replicas as the bucket, or the connection, says.

mod actors;
mod command;
mod engine;
mod glob;
mod lane;
mod load;
mod number;
mod pending;
mod reply;
#[allow(clippy::disallowed_methods)] // it waits between two tries, in a driver's runtime
mod retry;
mod save;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod value;
mod view;
pub mod wire;

pub use crate::types::{Change, KeyPage, Object, Objects, Page};
pub use command::table::Class;
pub use engine::Engine;
pub use pending::Pending;
pub use reply::Reply;
pub use session::Session;
pub use settings::Settings;

/// In which bucket the keys lie.
pub const BUCKET: &str = "redis";
