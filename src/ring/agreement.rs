//! What the cluster agrees on: one chain of values, each chosen by a majority of the members *named in
//! the value before it*.
//!
//! ```text
//!  index   0              1                  2                    3
//!          founded: A ──► A, B  (by A)  ──►  A, B, C (by A, B) ──► bucket logs (by two of A, B, C)
//!  epoch   0              1                  2                    2      no owner changed
//! ```
//!
//! Members are (node id, lineage): a wiped B is not the B that value 2 names, so it has no say until a
//! value chosen without it names its new life. That is why the layout cannot fork (single-decree Paxos
//! per value, see `register`; reconfiguration as in Lamport, Malkhi and Zhou, "Reconfiguring a State
//! Machine", 2010, with a pipeline of one).

use super::{
    Change, Invalid, Layout, Member, Partitions, Refusal, Registry, Situation, Successor, placement,
};
use crate::id::{ClusterId, Epoch, Lineage, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The format of an encoded agreement.
const FORMAT: u8 = 1;
/// How deeply an encoded agreement may nest.
const DEPTH: usize = 32;
/// How many replaced lineages are remembered; the oldest are forgotten first.
pub(super) const RETIRED_LIMIT: usize = 1_024;

/// The highest index that is believed: a cluster that changes every millisecond gets there in 8,900 years,
/// and counting on from it never overflows.
const MAX_INDEX: u64 = 1 << 48;

/// A cluster's key for the tokens that it hands to clients. Never shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One value of the chain.
///
/// - Only one value is ever chosen for an index. A higher index replaces a lower one whole, so a node that
///   missed some learns the newest and needs none between.
/// - Neither epoch nor version exceeds the index.
/// - `index` grows by one per value, the layout's epoch only with placement, `buckets.version` only with
///   buckets; none ever shrinks.
/// - The owners of an existing bucket change only through the steps of a [`Transition`](super::Transition).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Which value of the chain this is.
    pub index: u64,
    /// Members and placement.
    pub layout: Layout,
    /// The buckets.
    pub buckets: Registry,
    /// Drawn at founding.
    pub secret: Secret,
    /// Lineages that were replaced or removed, oldest first: none of them is ever admitted again.
    pub retired: Vec<Lineage>,
    /// Members whose present life was admitted when data may have existed: their slots begin empty and
    /// have to be rebuilt.
    pub late: BTreeSet<NodeId>,
}

/// Why bytes are no agreement. Nothing changed; count them, drop them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Written by a version that this one does not know.
    #[error("an agreement of the unknown format {0}")]
    UnknownFormat(u8),
    /// Not decodable, or followed by something else.
    #[error("an agreement that does not parse")]
    Unparsable,
    /// Decodable, and wrong.
    #[error("an agreement that contradicts itself: {0}")]
    Invalid(#[from] Invalid),
}

impl Agreement {
    /// The first value: a new cluster of one member. `cluster` and `secret` are random and handed in;
    /// `replicas` is the largest `n` that a bucket will ever have.
    ///
    /// # Errors
    /// [`Invalid`]: the member or the numbers make no sense.
    pub fn found(
        cluster: ClusterId,
        secret: Secret,
        replicas: u8,
        partitions: Partitions,
        founder: Member,
    ) -> Result<Agreement, Invalid> {
        founder.validate()?;
        let mut layout = Layout {
            cluster,
            former: Vec::new(),
            epoch: Epoch(0),
            replicas,
            partitions,
            members: vec![founder],
            table: super::Table::default(),
            transition: None,
            leaving: BTreeSet::new(),
            held: BTreeSet::new(),
            out: BTreeSet::new(),
            ghosts: BTreeSet::new(),
        };
        if !(1..=super::MAX_REPLICAS).contains(&replicas) {
            return Err(Invalid::Replicas(replicas));
        }
        layout.table = placement::place(&layout, None);
        let buckets = Registry::default();
        Ok(Agreement {
            index: 0,
            layout,
            buckets,
            secret,
            retired: Vec::new(),
            late: BTreeSet::new(),
        })
    }

    /// Whether the slots of this member's present life had to be rebuilt.
    pub fn is_late(&self, id: NodeId) -> bool {
        self.late.contains(&id)
    }

    /// The acceptors of the *next* value: the members of this one, each with its lineage, but for ghosts.
    pub fn acceptors(&self) -> BTreeSet<(NodeId, Lineage)> {
        let members = self.layout.members.iter();
        let voters = members.filter(|member| !self.layout.ghosts.contains(&member.id));
        voters.map(|member| (member.id, member.lineage)).collect()
    }

    /// How many of them choose.
    pub fn majority(&self) -> usize {
        (self.layout.members.len() - self.layout.ghosts.len()) / 2 + 1
    }

    /// The largest `n` that a bucket can be created with now: as many owners as every table names.
    pub fn largest_n(&self) -> u8 {
        let (old, new) = self.layout.tables();
        self.layout.replicas.min(old.width).min(new.width)
    }

    /// What `change` makes of this value: the next one, to be proposed for `index + 1`.
    ///
    /// The same on every node and every time: random ids are in the change. When another value was chosen
    /// for the index, apply the same change to that one and try the next index.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is to be proposed.
    pub fn apply(&self, change: &Change) -> Result<Successor, Refusal> {
        self.apply_in(change, &Situation::default())
    }

    /// As [`apply`](Agreement::apply), in a situation in which not everybody is there.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is to be proposed.
    pub fn apply_in(&self, change: &Change, situation: &Situation) -> Result<Successor, Refusal> {
        change.apply_to(self, situation)
    }

    /// Whether an acceptor that knows this value may accept `next` for `index + 1`. It asks only what no
    /// honest proposer can fail; whether the change is wise was the proposer's question.
    ///
    /// # Errors
    /// [`Refusal`]; refuse the value.
    pub fn check_successor(&self, next: &Agreement) -> Result<(), Refusal> {
        next.validate()?;
        let (old, new) = (&self.layout, &next.layout);
        let same_cluster = old.cluster == new.cluster
            && old.former == new.former
            && old.partitions == new.partitions
            && old.replicas == new.replicas
            && self.secret == next.secret;
        if !same_cluster {
            return Err(Refusal::OtherCluster);
        }
        let placement_differs = *old != Layout { epoch: old.epoch, ..new.clone() };
        let buckets_differ = self.buckets.buckets != next.buckets.buckets;
        let follows = self.index.checked_add(1) == Some(next.index)
            && new.epoch.0.checked_sub(old.epoch.0) == Some(u64::from(placement_differs))
            && next.buckets.version.checked_sub(self.buckets.version)
                == Some(u64::from(buckets_differ));
        if !follows {
            return Err(Refusal::NotNext);
        }
        if next.layout.members.iter().any(|member| self.retired.contains(&member.lineage)) {
            return Err(Refusal::RetiredLineage);
        }
        let kept = self.buckets.may_become(&next.buckets);
        if !kept || (!self.buckets.buckets.is_empty() && !new.follows(old)) {
            return Err(Refusal::DataWouldMove);
        }
        Ok(())
    }

    /// Whether a chosen value that somebody sent replaces this one. Indices may be skipped.
    ///
    /// # Errors
    /// [`Refusal`]: it is of another cluster, or makes no sense; drop it.
    pub fn is_superseded_by(&self, other: &Agreement) -> Result<bool, Refusal> {
        if self.layout.cluster != other.layout.cluster || self.secret != other.secret {
            return Err(Refusal::OtherCluster);
        }
        other.validate()?;
        let newer = other.index > self.index;
        let grown = other.layout.epoch >= self.layout.epoch
            && other.buckets.version >= self.buckets.version;
        if newer && !grown { Err(Refusal::NotNext) } else { Ok(newer) }
    }

    /// Whether every sentence that the types promise holds.
    ///
    /// # Errors
    /// [`Invalid`], with the first that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        let counts = [self.layout.epoch.0, self.buckets.version];
        if self.index > MAX_INDEX || counts.iter().any(|&count| count > self.index) {
            return Err(Invalid::Numbers);
        }
        self.layout.validate()?;
        if self.retired.len() > RETIRED_LIMIT {
            return Err(Invalid::TooMany("retired lineages"));
        }
        self.buckets.validate(self.largest_n())
    }

    /// As bytes, for the wire and the disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        rmp_serde::encode::write(&mut bytes, self).expect("writing to memory does not fail");
        bytes
    }

    /// From bytes that came from a peer or a disk; validated.
    ///
    /// # Errors
    /// [`Malformed`]; nothing changed.
    pub fn decode(bytes: &[u8]) -> Result<Agreement, Malformed> {
        let (&format, body) = bytes.split_first().ok_or(Malformed::Unparsable)?;
        if format != FORMAT {
            return Err(Malformed::UnknownFormat(format));
        }
        let agreement: Agreement = decode_whole(body).ok_or(Malformed::Unparsable)?;
        agreement.validate()?;
        Ok(agreement)
    }
}

/// Decodes all of `bytes`, or nothing.
pub(super) fn decode_whole<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(DEPTH);
    let value = T::deserialize(&mut decoder).ok()?;
    drop(decoder);
    rest.is_empty().then_some(value)
}
