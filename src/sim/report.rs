//! What a run has to say: a verdict, and enough figures to know what the verdict is worth.

use crate::time::Duration;
use std::collections::BTreeMap;

/// How many of what happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// One seed, judged.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A hash of everything that was delivered, in order.
    pub trace: u64,
    /// What was found wrong; none: the run is good.
    pub violations: Vec<String>,
    /// How much time passed in the simulation.
    pub simulated: Duration,
    /// Requests, by how they ended: `ok`, or the error's code.
    pub outcomes: Counts,
    /// Requests on the few keys that everybody wants, which met there through three nodes or more.
    pub met: u64,
    /// Requests that began while another one of the same key was open.
    pub overlapped: u64,
    /// Reads that showed more than one value.
    pub sibling_reads: u64,
    /// How often each kind of fault struck.
    pub faults: Counts,
    /// How often each guard acted.
    pub guards: Counts,
    /// What happened, line by line, where it was asked for.
    pub story: Vec<String>,
}

impl Report {
    /// How many requests were sent.
    pub fn operations(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Takes the figures of another run in: a sum over seeds.
    pub fn absorb(&mut self, other: &Report) {
        self.simulated += other.simulated;
        self.met += other.met;
        self.overlapped += other.overlapped;
        self.sibling_reads += other.sibling_reads;
        for (into, from) in [
            (&mut self.outcomes, &other.outcomes),
            (&mut self.faults, &other.faults),
            (&mut self.guards, &other.guards),
        ] {
            for (name, count) in from {
                *into.entry(name).or_default() += count;
            }
        }
    }
}
