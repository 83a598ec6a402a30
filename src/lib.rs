//! Quorate: a leaderless, Dynamo-style key-value store. Any node takes any request; any node can die.
//!
//! The protocol is a set of state machines without I/O; sockets, disks, clocks and randomness live in
//! drivers. Modules stand on floors, and import only from lower ones (`tests/it/floors.rs` checks it):
//!
//! | floor | modules | what it is |
//! |---|---|---|
//! | 0 | [`error`], [`guard`], [`id`], [`quorum`], `seal`, [`time`] | ground: the words that all others use; who has the cluster's key |
//! | 1 | `config`, [`version`], `ring`, `merkle`, `store` | settings; causality; who owns what; what differs; ordered bytes, atomic batches |
//! | 2 | `swim`, `register`, `coordinator`, `staleness`, [`types`] | who is alive; what was agreed; has the quorum been met? how fresh is a read? values that join |
//! | 3 | [`message`] | frames and envelopes: bytes and messages |
//! | 4 | `node` | the whole node as one pure machine: topology and shard over one outbox |
//! | 5 | `client`, `sim` | the client library; the deterministic driver |
//! | 6 | [`files`] | files of any size, in pieces |
//! | 6 | `logs` | lines of logs, found by source, time and level |
//! | 6 | `redis` | the commands of Redis, on siblings and contexts |
//! | 7 | `server` | the real driver: tokio, sockets, HTTP, a disk |
//! | 8 | `cli` | what people type |
//!
//! A put goes `server` → `node` → `coordinator` (the tally) and `version` (the dot) → `store` (durable), and
//! only then back. `ARCHITECTURE.md` follows a put, a gossip packet and a sync round through them.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "server")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // a driver
pub mod cli;
#[cfg(feature = "client")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // a driver
pub mod client;
#[cfg(feature = "server")]
pub mod collection;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod coordinator;
pub mod error;
#[cfg(feature = "client")]
pub mod files;
pub mod guard;
pub mod id;
#[cfg(feature = "server")]
pub mod logs;
#[cfg(feature = "server")]
pub mod merkle;
pub mod message;
#[cfg(feature = "server")]
pub mod node;
pub mod quorum;
#[cfg(feature = "server")]
pub mod redis;
#[cfg(feature = "server")]
pub mod register;
pub mod ring;
#[cfg(feature = "client")]
pub mod seal;
#[cfg(feature = "server")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // a driver
pub mod server;
#[cfg(feature = "server")]
pub mod sim;
#[cfg(feature = "server")]
pub mod staleness;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod swim;
pub mod time;
#[cfg(feature = "client")]
pub mod types;
pub mod version;

pub use error::{Error, Result};

/// The README's program compiles.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
