//! Why a wish cannot be fulfilled, or a value is not believed.

use crate::error::Error;
use crate::id::NodeId;
use crate::ring::{Invalid, MAX_MEMBERS};

/// Why a change cannot be, or a value is not believed. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It makes no sense as it stands; mend it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Owners are changing already, and only one change is under way at a time.
    #[error("owners are changing already")]
    ChangeInProgress,
    /// The change has not come as far as the step that is to be ended.
    #[error("the change of owners has not come that far yet")]
    NotYet,
    /// The cluster is full.
    #[error("the cluster has {MAX_MEMBERS} members already")]
    ClusterFull,
    /// This life of the node was replaced or removed. It must begin a new one (a new lineage).
    #[error("this life of the node was replaced or removed; it may join again as a new one")]
    RetiredLineage,
    /// The lineage is another member's.
    #[error("another member has this lineage")]
    LineageTwice,
    /// A node that is a member under one name comes with the name of another.
    #[error("the name `{0}` belongs to another member")]
    NameTaken(String),
    /// No such member.
    #[error("no member {0}")]
    NoSuchMember(NodeId),
    /// A cluster keeps at least one member.
    #[error("the last member cannot leave")]
    LastMember,
    /// Fewer members would have places than data have copies.
    #[error(
        "{needed} members with places are needed, {have} would be left: join another node first, or replace this one (members that a change left without places come in with `ring commit`)"
    )]
    TooFewLeft {
        /// How many it takes.
        needed: u8,
        /// How many there would be.
        have: usize,
    },
    /// A member that is on its way out cannot take places.
    #[error("member {0} is leaving")]
    Leaving(NodeId),
    /// Those who are left are enough to agree on everything.
    #[error("a majority is there, and needs no force: remove the others")]
    Majority,
    /// The name of a member that is gone, and whose places others have not taken yet.
    #[error("`{0}` is gone for good since survivors founded the cluster anew: choose another name")]
    Ghost(String),
    /// Only a member that was asked to leave is let go.
    #[error("member {0} is not leaving: it leaves, or is removed, first")]
    NotLeaving(NodeId),
    /// It stands in preference lists.
    #[error("member {0} still has places")]
    HasPlaces(NodeId),
    /// It stands in no preference list.
    #[error("member {0} has no places that another could take")]
    HasNoPlaces(NodeId),
    /// Owners would change at once, and not step by step.
    #[error("owners of data would change without the steps that move the data")]
    DataWouldMove,
    /// More replicas than there are places for.
    #[error(
        "n = {n} needs {n} members with partitions, the cluster has {have}: join more nodes, or create the bucket with a smaller n"
    )]
    TooFewMembers {
        /// What was asked for.
        n: u8,
        /// How many there are.
        have: u8,
    },
    /// A bucket of this name exists, with other settings.
    #[error("bucket `{0}` exists with other settings")]
    BucketExists(String),
    /// There is no bucket of this name.
    #[error("there is no bucket `{0}`: create it first")]
    NoSuchBucket(String),
    /// The bucket that was meant is gone, and another one has its name.
    #[error("another bucket is called `{0}` by now")]
    AnotherBucket(String),
    /// The random id is in use. Draw another.
    #[error("the bucket id is in use")]
    BucketIdTaken,
    /// A value of another cluster.
    #[error("an agreement of another cluster")]
    OtherCluster,
    /// A value that does not follow this one.
    #[error("an agreement that does not follow the known one")]
    NotNext,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let text = refusal.to_string();
        match refusal {
            Refusal::ChangeInProgress => Error::ChangeInProgress(text),
            Refusal::NoSuchMember(_) | Refusal::NoSuchBucket(_) => Error::NotFound(text),
            Refusal::AnotherBucket(_) => Error::ContextMismatch,
            Refusal::RetiredLineage | Refusal::OtherCluster => Error::Forbidden(text),
            _ => Error::Invalid(text),
        }
    }
}
