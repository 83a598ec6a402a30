//! What a simulated cluster is like: its size, its seed, its clockwork.

use crate::node::{Limits, Timing};
use crate::time::Duration;

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes.
    pub nodes: usize,
    /// Everything random comes from here.
    pub seed: u64,
    /// Q.
    pub partitions: u32,
    /// How long a sync of a disk takes.
    pub sync: Duration,
    /// How long nodes wait for what.
    pub timing: Timing,
    /// What nodes accept.
    pub limits: Limits,
    /// The zone of each node, by number; the others have none.
    pub zones: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodes: 3,
            seed: 1,
            partitions: 16,
            sync: Duration::from_micros(300),
            timing: Timing::default(),
            limits: Limits::default(),
            zones: Vec::new(),
        }
    }
}
