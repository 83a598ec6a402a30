//! Who owns what, and what the cluster has agreed on.
//!
//! ```text
//!  bucket, key ──token──► partition ──table──► preference list
//!                                               A  B  C │ D  E  F
//!                                               owners  │ fallbacks
//! ```
//!
//! Requests read the table of the agreed [`Layout`]; the ring of virtual nodes is walked only when a
//! layout is made. While owners change there is a second table beside it, see [`Transition`].
//! An [`Agreement`] is one value of the chain that the register chooses: a layout, the
//! buckets and the cluster's secret; [`Change`] is what anybody may want of the next one.

mod agreement;
mod bucket;
mod change;
mod fallbacks;
mod follows;
mod invalid;
mod layout;
mod placement;
mod plan;
mod relocation;
mod settled;
mod situation;
mod survivors;
mod table;
mod targets;
mod token;
mod transition;
mod walk;

#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod placement_tests;
#[cfg(test)]
mod transition_tests;

pub use agreement::{Agreement, Malformed, Secret};
pub use bucket::{
    BUCKET_LIMIT, BUCKET_NAME_LIMIT, Bucket, BucketSettings, Registry, is_bucket_name,
};
pub use change::{Change, Refusal, Successor};
pub use invalid::Invalid;
pub use layout::{
    Layout, MAX_MEMBERS, MAX_REPLICAS, MAX_TOTAL_WEIGHT, MAX_WEIGHT, Member, NAME_LIMIT,
    PreferenceList, Role,
};
pub use plan::{Owned, Plan, Relocation};
pub use situation::Situation;
pub use table::Table;
pub use token::{Partitions, partition_of};
pub use transition::{Goal, Transition, TransitionStep};
