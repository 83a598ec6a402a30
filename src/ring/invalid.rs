//! What is wrong with a layout or a registry that somebody sent or asked for.

use super::{BUCKET_NAME_LIMIT, MAX_REPLICAS, MAX_TOTAL_WEIGHT, MAX_WEIGHT, NAME_LIMIT};

/// A sentence that does not hold. Nothing changed; whoever sent it as a fact is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A member's name is empty, too long, or not visible ASCII.
    #[error("member name `{0}`: use 1..={NAME_LIMIT} visible ASCII characters")]
    MemberName(String),
    /// A zone's name is too long, or not visible ASCII.
    #[error("zone `{0}`: use at most {NAME_LIMIT} visible ASCII characters")]
    ZoneName(String),
    /// A member's weight is out of bounds.
    #[error("weight {0}: use 1..={MAX_WEIGHT}")]
    Weight(u16),
    /// Two members have one lineage: one life of one disk would speak twice.
    #[error("two members of one lineage")]
    LineageTwice,
    /// All weights together are too much for one ring.
    #[error("the members' weights add up to more than {MAX_TOTAL_WEIGHT}; use smaller ones")]
    TotalWeight,
    /// The largest `n` is out of bounds.
    #[error("replicas {0}: use 1..={MAX_REPLICAS}")]
    Replicas(u8),
    /// There is nobody.
    #[error("a layout without members")]
    NoMembers,
    /// More than a layout may hold.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The members are not in ascending order of distinct ids.
    #[error("members out of order, or one id twice")]
    MembersUnsorted,
    /// Two members have one name.
    #[error("two members named `{0}`")]
    NameTwice(String),
    /// The table does not fit the number of partitions, replicas and members.
    #[error("a table of the wrong size")]
    TableShape,
    /// A row of the table names a member twice, or one that does not exist.
    #[error("a row that names a member twice, or nobody")]
    TableRow,
    /// What is said of a change of owners does not fit the layout around it.
    #[error("a change of owners that contradicts itself: {0}")]
    Transition(&'static str),
    /// An index nobody reaches, or an epoch or a version above it.
    #[error("numbers that no cluster reaches")]
    Numbers,
    /// A bucket's name is out of bounds.
    #[error("bucket name `{0}`: use 1..={BUCKET_NAME_LIMIT} characters of a-z 0-9 . _ -")]
    BucketName(String),
    /// A bucket's `n` is out of bounds.
    #[error("n = {n}: use 1..={replicas}")]
    BucketN {
        /// What was asked for.
        n: u8,
        /// The layout's largest.
        replicas: u8,
    },
    /// A bucket's `r` or `w` is out of bounds.
    #[error("{which} = {count}: use 1..={n}")]
    BucketQuorum {
        /// `r` or `w`.
        which: &'static str,
        /// What was asked for.
        count: u8,
        /// The bucket's replicas.
        n: u8,
    },
    /// A bucket of a type that this version does not know.
    #[error(
        "type `{0}` is not known to this version: use counter, set, map, register or hll, or leave it out"
    )]
    BucketKind(String),
    /// Values that join are kept as siblings until somebody joins them.
    #[error("a bucket with a type keeps siblings: leave conflict out")]
    BucketKindConflict,
    /// A time to live of nothing, or beyond what a date can hold.
    #[error("ttl: use 1 ms to 100 years")]
    BucketTtl,
    /// A bucket is filed under another name than its own, or an id is used twice.
    #[error("the bucket registry contradicts itself at `{0}`")]
    Registry(String),
}
