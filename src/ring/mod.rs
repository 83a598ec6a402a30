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
//!
//! Clients know the way from a key to its partition, and nothing else of this.

#[cfg(feature = "server")]
mod agreement;
#[cfg(feature = "server")]
mod bucket;
#[cfg(feature = "server")]
mod change;
#[cfg(feature = "server")]
mod fallbacks;
#[cfg(feature = "server")]
mod follows;
#[cfg(feature = "server")]
mod invalid;
#[cfg(feature = "server")]
mod layout;
#[cfg(feature = "server")]
mod placement;
#[cfg(feature = "server")]
mod plan;
#[cfg(feature = "server")]
mod relocation;
#[cfg(feature = "server")]
mod settled;
#[cfg(feature = "server")]
mod situation;
#[cfg(feature = "server")]
mod survivors;
#[cfg(feature = "server")]
mod table;
#[cfg(feature = "server")]
mod targets;
mod token;
#[cfg(feature = "server")]
mod transition;
#[cfg(feature = "server")]
mod walk;

#[cfg(all(test, feature = "server"))]
mod agreement_tests;
#[cfg(all(test, feature = "server"))]
mod placement_tests;
#[cfg(all(test, feature = "server"))]
mod transition_tests;

#[cfg(feature = "server")]
pub use agreement::{Agreement, Malformed, Secret};
#[cfg(feature = "server")]
pub use bucket::{
    BUCKET_LIMIT, BUCKET_NAME_LIMIT, Bucket, BucketSettings, Registry, is_bucket_name,
};
#[cfg(feature = "server")]
pub use change::{Change, Refusal, Successor};
#[cfg(feature = "server")]
pub use invalid::Invalid;
#[cfg(feature = "server")]
pub use layout::{
    Layout, MAX_MEMBERS, MAX_REPLICAS, MAX_TOTAL_WEIGHT, MAX_WEIGHT, Member, NAME_LIMIT,
    PreferenceList, Role,
};
#[cfg(feature = "server")]
pub use plan::{Owned, Plan, Relocation};
#[cfg(feature = "server")]
pub use situation::Situation;
#[cfg(feature = "server")]
pub use table::Table;
pub use token::{Partitions, partition_of};
#[cfg(feature = "server")]
pub use transition::{Goal, Transition, TransitionStep};
