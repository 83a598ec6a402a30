//! The other driver of the same node: a whole cluster in one thread, over real wire bytes, in simulated time.
//!
//! ```text
//!   heap of (time, sequence, delivery) ──► Node::handle, Node::end_turn ──► effects ──► heap
//!        network: latency, loss, duplicates, cuts in either direction
//!        disk:    a batch is durable one sync later; a crash loses what is not
//! ```
//!
//! Same seed, same events, same trace: [`Cluster::trace`] is a running hash of everything delivered.

mod cluster;
mod delays;
mod fault;
mod faults;
mod many;
#[cfg(any(test, feature = "mutants"))]
mod mutants;
mod network;
mod options;
mod oracle;
mod owners;
mod report;
mod run;
pub mod scale;
mod tap;
mod workload;

pub use cluster::{Cluster, Outcome, Pending};
pub use delays::Delays;
pub use fault::Fault;
pub use many::{Summary, judge, simulate_many};
#[cfg(any(test, feature = "mutants"))]
pub use mutants::{Hunt, hunt, hunt_all};
pub use network::Network;
pub use options::Options;
pub use report::{Counts, Report};
pub use run::{Setup, simulate};
pub use tap::Heard;
