//! The shell: sockets, disk, clocks and threads around the pure machine.
//!
//! ```text
//!            ┌───────────────────── node thread ─────────────────────┐      ┌─ HTTP thread ─┐
//!  TCP ────► │ readers ─► inbox ─► turn: handle … handle, end_turn ──┼─┐    │ axum, hyper   │
//!  UDP ────► │                      │ one write a peer, one a client │ │    │               │
//!            │                      ▼                                │ └──► │ snapshot, 1/s │
//!            │                 peers, clients, gossip      ◄─────────┼───── │ bounded asks  │
//!            └───────────────────────────▲───────────────────────────┘      └───────────────┘
//!                                        │ waker: a batch is durable
//!                                  storage writer
//! ```
//!
//! Nothing here knows what a quorum is. A driver accepts, decodes, hands over, writes and sleeps; every
//! queue has a limit with a name, and what does not fit is counted.

pub mod backup;
mod bind;
mod chaos;
mod clock;
mod counters;
mod directory;
mod http;
mod inbox;
mod machine;
mod native;
mod opener;
mod resp;
mod restored;
mod shared;
mod start;
mod syslog;
mod timeline;
mod turn;

pub use clock::Clock;
pub use counters::{DriverCounters, Snapshot};
pub use directory::DataDirectory;
pub use machine::{Birth, Machine, Opener, Waker};
pub use opener::NodeOpener;
pub use restored::RESTORED;
pub use start::{Running, Server, StartError, Stopper};
pub(crate) use timeline::{Answers, Timeline};

#[cfg(test)]
mod tests;
