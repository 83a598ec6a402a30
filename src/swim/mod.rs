//! Who is alive? SWIM (Das et al., 2002) with Lifeguard (Dadgar et al., 2018), as a machine without I/O.
//!
//! ```text
//!      datagram ─► wire ─► hear (claims) ─► beliefs ──► Changed …      merge.rs
//!                    │                         │
//!                    └─► ping, ack, nack ─► probe.rs   rumors ─► piggyback, gossip   rumor.rs
//!      timeout  ─► probe, gossip, push-pull, suspicions that ran out   timer.rs
//! ```
//!
//! - Its opinion never changes the ring: failure is not departure.
//! - Members are never forgotten by themselves; dead ones are looked for now and then, so a healed
//!   partition or a restarted node is found again.
//! - No floating point, no map without order: the same seed gives the same trace everywhere.

mod config;
mod counters;
mod machine;
mod member;

pub use config::Config;
pub use counters::Counters;
pub use machine::{Output, Swim};
pub use member::{
    Facts, Identity, Incarnation, MAX_INCARNATION, MAX_INCARNATION_STEP, MAX_LABEL, Member, State,
};
