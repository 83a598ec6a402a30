//! Who owns what: keys to partitions, partitions to preference lists, and the chain of agreed values.
//!
//! ```text
//!   bucket, key ──xxh3──► partition ──table──►  A B C │ D E F      owners │ fixed fallbacks
//!                                     ▲
//!            members, zones, weights ─┘ walked on the ring of virtual nodes once an epoch
//! ```
//!
//! Requests read the table, never the ring. (Karger et al. 1997; DeCandia et al., "Dynamo", 2007, §4.2 and
//! §6.2's third strategy: equal partitions, placed separately.)

mod agreement;
mod bucket;
mod layout;
mod placement;
mod token;

pub use agreement::{Agreement, Refusal};
pub use bucket::{Bucket, Registry, check_bucket_name};
pub use layout::{Layout, LayoutError, Member, PreferenceList, Table};
pub use token::{Partitions, partition_of};
