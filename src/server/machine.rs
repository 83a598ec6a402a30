//! What the drivers need of a node, and of whoever opens one on this disk.

use super::StartError;
use crate::id::Epoch;
use crate::message::client::{BackupRequest, Reply};
use crate::node::{Config, Counters, Effect, Event};
use crate::store::StoreError;
use crate::time::{Instant, Now};
use std::path::PathBuf;
use std::sync::Arc;

/// Called from any thread when something that was handed to the store has become durable.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A node as its drivers see it: events in, effects out.
pub trait Machine {
    /// Takes in one event; any number of times a turn.
    fn handle(&mut self, now: Now, event: Event);
    /// Ends a turn: due timers, durable releases, at most one batch for the store.
    fn end_turn(&mut self, now: Now);
    /// Takes out one effect; to be repeated after [`end_turn`](Machine::end_turn) until there is none.
    fn poll_effect(&mut self) -> Option<Effect>;
    /// When a turn is due although nothing has arrived.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The epoch of the newest layout that it knows; 0: none.
    fn epoch(&self) -> Epoch;
    /// A copy of everything it counts.
    fn counters(&self) -> Counters;
    /// Whether it has joined and is not rebuilding; else the reason in words.
    fn readiness(&self) -> Result<(), String>;
    /// Copies the log on a thread of its own, or says how far that is. Never waits for a disk.
    fn backup(&mut self, ask: BackupRequest) -> Reply;
    /// Begins an orderly stop.
    fn begin_stop(&mut self, now: Now);
    /// Whether the orderly stop is complete.
    fn is_stopped(&self) -> bool;
    /// Ends the machine and closes its store, so that the directory is free and the next start quick.
    ///
    /// # Errors
    /// What the store says. What was durable stays so.
    fn close(self) -> Result<(), StoreError>;
}

/// What a machine is given when it begins.
pub struct Birth {
    /// Name, addresses, limits, whom to join.
    pub config: Config,
    /// To be called when a batch is durable.
    pub waker: Waker,
    /// Real randomness.
    pub seed: u64,
    /// The clocks.
    pub now: Now,
}

/// Makes machines on one data directory. Used on the node thread only, so the machines need not be
/// `Send`.
pub trait Opener: Send + 'static {
    /// What it opens.
    type Machine: Machine;

    /// Opens the store in the data directory and a machine upon it.
    ///
    /// # Errors
    /// [`StartError`]; nothing was changed that the next attempt could trip over.
    fn open(&mut self, birth: Birth) -> Result<Self::Machine, StartError>;

    /// Renames the data directory, whose machine has been dropped, and leaves an empty one in its place.
    /// Answers where the old one is now.
    ///
    /// # Errors
    /// [`StartError`]; the data are where they were.
    fn set_aside(&mut self) -> Result<PathBuf, StartError>;
}
