//! How fresh is a read? The chance that it misses a write, from how long messages take: no clocks, no sockets.
//!
//! ```text
//!   write    coordinator ── W ──► durable at a replica ── A ──► coordinator: w of n slots … acknowledged
//!   t later  reader      ── R ──► what the replica holds ── S ──► reader: r answers … the read is over
//!
//!   stale: at each of the r replicas that answered, R came before W
//! ```
//!
//! W, A, R and S are drawn from what was seen lately, some thousand times over: probabilistically bounded
//! staleness, the model *WARS*, by Monte Carlo. (Bailis, Venkataraman, Franklin, Hellerstein and Stoica,
//! "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012, §5.1 and §5.2.) What is
//! otherwise here than in the paper is as this store does it: a read asks r replicas, not all n, and itself first; one
//! more when they are late (a hedge); and where an owner is away, a stand-in fills its slot.
//!
//! - [`Window`]: the round trips that were seen.
//! - [`halves`] and [`excess`]: a round trip split into its two ways, and what a write takes longer.
//! - [`Spread`]: how long one way takes, to be drawn from.
//! - [`Scene`]: who is there, and what a read would miss: [`Scene::predict`].

mod scene;
mod split;
mod spread;
mod window;

pub use scene::{Needs, Owner, Places, Reader, Replica, Scene};
pub use split::{excess, halves};
pub use spread::Spread;
pub use window::{ENOUGH, WINDOW, Window};
