//! The whole node as one pure machine: events in, effects out, no I/O of its own but the store it is given.
//!
//! ```text
//!             ┌───────────────────────────── Node ──────────────────────────────┐
//!  Event ───► │ Topology: swim, agreement, witnesses ──View──► Shard: the data  │ ───► Effect
//!             │                 one Outbox: frames by peer, one batch           │
//!             └───────────────────────────────┬─────────────────────────────────┘
//!                                      Store: commit, durable
//! ```
//!
//! A driver feeds it everything that has arrived, then ends the turn: one batch goes to the store, one
//! buffer to each peer. What must not be seen before it is durable waits in the outbox until the store
//! says so.

mod archived;
mod config;
mod counters;
mod event;
mod health;
mod inspect;
mod machine;
mod outbox;
mod placement;
mod shard;
mod stall;
pub mod topology;
mod view;

pub use archived::dump_archive;
pub use config::{Config, Limits, Timing};
pub use counters::{
    Counters, DURATION_BOUNDS_US, DurationLabels, Durations, RequestLabels, Verified,
};
pub use event::{ConnectionId, Effect, Event};
pub use health::Health;
pub use machine::Node;
pub use outbox::{About, Outbox, Release, Stamp};
pub use shard::RestoredIs;
pub use topology::OpenError;
pub use view::{Peer, View};
