//! What anybody may want of the next agreement, and whether it may be.
//!
//! A change is a wish, not a value: it is applied to whatever was chosen last, so a proposer that lost an
//! index applies the same wish to the winner's value and proposes again. Two joins at one time so end in
//! one layout with both. All of it is deterministic: random ids are in the change.
//!
//! *Owners change only while no bucket exists* ("joins before data moves"). Later, a joiner only extends
//! lists that were short; lists that are full it does not enter until data can move.

use super::agreement::{RETIRED_LIMIT, decode_whole};
use super::{Agreement, Bucket, BucketSettings, Invalid, Layout, MAX_MEMBERS, Member, placement};
use super::{bucket::shown, is_bucket_name};
use crate::error::Error;
use crate::id::{BucketId, Epoch, Lineage, NodeId};
use serde::{Deserialize, Serialize};

/// A wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Let this node in. Under a member's *id* with another lineage, or under a member's *name*, it takes
    /// over that member's id, zone and weight with its own lineage: owners stay, the old life is fenced.
    ///
    /// Whether the name's present holder is alive is not known here: the proposer asks before, else two
    /// nodes started under one name by mistake would fence each other in turns.
    Join(Member),
    /// The node leaves, or is removed. Only while no bucket exists, or if it stands in no preference list.
    Remove(NodeId),
    /// The node stands elsewhere, or takes another share. Only while no bucket exists.
    Place {
        /// Which member.
        id: NodeId,
        /// Its new zone.
        zone: String,
        /// Its new weight.
        weight: u16,
    },
    /// A new bucket.
    CreateBucket {
        /// Random; used if the bucket does not exist yet.
        id: BucketId,
        /// Its name.
        name: String,
        /// What it is to be like.
        settings: BucketSettings,
    },
}

/// What a change makes of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// Nothing: the wish is fulfilled already, perhaps by an earlier try of the same.
    AlreadySo,
    /// The value to propose for the next index.
    Next(Box<Agreement>),
}

/// Why a change cannot be, or a value is not believed. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It makes no sense as it stands; mend it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
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
    /// Data would have to move, which this version does not do.
    #[error(
        "owners would change, and buckets exist: this version moves no data; join, leave and place members before the first bucket"
    )]
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
        match refusal {
            Refusal::NoSuchMember(_) => Error::NotFound(refusal.to_string()),
            Refusal::RetiredLineage | Refusal::OtherCluster => {
                Error::Forbidden(refusal.to_string())
            }
            _ => Error::Invalid(refusal.to_string()),
        }
    }
}

impl Change {
    /// As bytes, for a member that is to carry it out.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("writing to memory does not fail")
    }

    /// From bytes that came from a peer; `None` if they are no change. It may still be refused.
    pub fn decode(bytes: &[u8]) -> Option<Change> {
        decode_whole(bytes)
    }

    pub(super) fn apply_to(&self, agreement: &Agreement) -> Result<Successor, Refusal> {
        match self {
            Change::Join(member) => join(agreement, member),
            Change::Remove(id) => remove(agreement, *id),
            Change::Place { id, zone, weight } => place(agreement, *id, zone, *weight),
            Change::CreateBucket { id, name, settings } => {
                create_bucket(agreement, *id, name, settings)
            }
        }
    }
}

fn join(old: &Agreement, joiner: &Member) -> Result<Successor, Refusal> {
    joiner.validate()?;
    let layout = &old.layout;
    if old.retired.contains(&joiner.lineage) {
        return Err(Refusal::RetiredLineage);
    }
    let named = layout.member_named(&joiner.name);
    // The id beats the name: a node that remembers its id may not slip into another's place.
    if let Some(member) = layout.member(joiner.id) {
        if named.is_some_and(|other| other.id != member.id) {
            return Err(Refusal::NameTaken(joiner.name.clone()));
        }
        return admit(old, member.id, joiner.lineage);
    }
    if let Some(member) = named {
        return admit(old, member.id, joiner.lineage);
    }
    if layout.members.iter().any(|member| member.lineage == joiner.lineage) {
        return Err(Refusal::LineageTwice);
    }
    if layout.members.len() >= MAX_MEMBERS {
        return Err(Refusal::ClusterFull);
    }
    let mut next = layout.clone();
    let at = next.members.partition_point(|member| member.id < joiner.id);
    next.members.insert(at, joiner.clone());
    replace_layout(old, next)
}

/// A new life of a member takes over: same id, same rows, and the old life is fenced for good.
fn admit(old: &Agreement, id: NodeId, lineage: Lineage) -> Result<Successor, Refusal> {
    let at = old.layout.position(id).ok_or(Refusal::NoSuchMember(id))?;
    let former = old.layout.members[at].lineage;
    if former == lineage {
        return Ok(Successor::AlreadySo);
    }
    if old.layout.members.iter().any(|member| member.lineage == lineage) {
        return Err(Refusal::LineageTwice);
    }
    let mut next = step(old);
    next.layout.members[at].lineage = lineage;
    next.layout.epoch = Epoch(next.layout.epoch.0 + 1);
    if !next.buckets.buckets.is_empty() {
        next.late.insert(id);
    }
    retire(&mut next, former);
    Ok(Successor::Next(Box::new(next)))
}

fn remove(old: &Agreement, id: NodeId) -> Result<Successor, Refusal> {
    let Some(at) = old.layout.position(id) else {
        return Err(Refusal::NoSuchMember(id));
    };
    if old.layout.members.len() == 1 {
        return Err(Refusal::LastMember);
    }
    let mut next = old.layout.clone();
    let gone = next.members.remove(at);
    let mut successor = replace_layout(old, next)?;
    if let Successor::Next(next) = &mut successor {
        retire(next, gone.lineage);
    }
    Ok(successor)
}

fn place(old: &Agreement, id: NodeId, zone: &str, weight: u16) -> Result<Successor, Refusal> {
    let at = old.layout.position(id).ok_or(Refusal::NoSuchMember(id))?;
    let mut next = old.layout.clone();
    let member = &mut next.members[at];
    if member.zone == zone && member.weight == weight {
        return Ok(Successor::AlreadySo);
    }
    member.zone = zone.to_owned();
    member.weight = weight;
    member.validate()?;
    if !old.buckets.buckets.is_empty() {
        return Err(Refusal::DataWouldMove);
    }
    replace_layout(old, next)
}

fn create_bucket(
    old: &Agreement,
    id: BucketId,
    name: &str,
    settings: &BucketSettings,
) -> Result<Successor, Refusal> {
    if !is_bucket_name(name) {
        return Err(Invalid::BucketName(shown(name)).into());
    }
    settings.validate(old.layout.replicas)?;
    if let Some(bucket) = old.buckets.get(name) {
        return if bucket.settings == *settings {
            Ok(Successor::AlreadySo)
        } else {
            Err(Refusal::BucketExists(name.to_owned()))
        };
    }
    if settings.n > old.largest_n() {
        return Err(Refusal::TooFewMembers { n: settings.n, have: old.largest_n() });
    }
    if old.buckets.by_id(id).is_some() {
        return Err(Refusal::BucketIdTaken);
    }
    let bucket = Bucket { id, name: name.to_owned(), settings: settings.clone() };
    let mut next = step(old);
    next.buckets.version += 1;
    next.buckets.buckets.insert(bucket.name.clone(), bucket);
    next.buckets.validate(old.largest_n())?;
    Ok(Successor::Next(Box::new(next)))
}

/// The next value with other members: placed anew while there is nothing to move, extended after that.
fn replace_layout(old: &Agreement, mut layout: Layout) -> Result<Successor, Refusal> {
    layout.table = if old.buckets.buckets.is_empty() {
        placement::place(&layout, Some(&old.layout))
    } else {
        placement::extend(&layout, &old.layout).ok_or(Refusal::DataWouldMove)?
    };
    layout.epoch = Epoch(layout.epoch.0 + 1);
    layout.validate()?;
    let mut next = step(old);
    next.layout = layout;
    Ok(Successor::Next(Box::new(next)))
}

fn step(old: &Agreement) -> Agreement {
    Agreement { index: old.index + 1, ..old.clone() }
}

fn retire(next: &mut Agreement, lineage: Lineage) {
    next.retired.push(lineage);
    let excess = next.retired.len().saturating_sub(RETIRED_LIMIT);
    next.retired.drain(..excess);
}
