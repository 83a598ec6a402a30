//! What must hold of a key's versions, judged by an oracle that shares no idea with them.
//!
//! ```text
//!   histories  ── steps ──►  world   nodes, disks, messages, clients: the code under test
//!                              │ after every step: what stands here?
//!                            oracle  explicit sets of writes: no vectors, no dots, no stamps
//! ```

mod contexts;
mod histories;
mod joins;
pub(super) mod kit;
mod node;
mod oracle;
mod records;
mod stories;
mod world;
