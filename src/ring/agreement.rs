//! What the cluster has agreed on: one chain of values, each chosen by a majority of the members that the
//! one before it names.
//!
//! ```text
//!   1 founded on A ──► 2 B joins ──► 3 C joins ──► 4 bucket "carts" ──► 5 B is back, empty
//!     acceptors: A       A, B          A, B, C       A, B, C              A, B', C
//! ```
//!
//! Layout and buckets share the chain, so that a change of one can never pass a change of the other unseen:
//! owners are moved freely only while no bucket exists, and the value that creates the first bucket ends
//! that for ever. Creating a bucket makes no new placement epoch.

use super::bucket::{Bucket, Registry, check_bucket_name};
use super::layout::{Layout, MEMBERS_LIMIT, Member, REPLICAS_LIMIT};
use super::token::Partitions;
use crate::id::{ClusterId, Epoch, Lineage, NodeId};
use serde::{Deserialize, Serialize};

/// The longest encoded value that is believed, in bytes.
const ENCODED_LIMIT: usize = 8 << 20;

/// A value of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its place in the chain.
    pub index: u64,
    /// Members and owners.
    pub layout: Layout,
    /// Buckets.
    pub buckets: Registry,
    /// Seals the contexts of clients. Drawn when the cluster was founded; never shown.
    pub secret: [u8; 32],
}

/// Why a change makes no next value. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What it asks for cannot be.
    #[error("{0}")]
    Invalid(String),
    /// It would move data, which this version does only before the first bucket exists.
    #[error("{0}")]
    WouldMoveData(String),
    /// The encoded value cannot be true.
    #[error("{0}")]
    Malformed(String),
}

impl Agreement {
    /// The first value: a cluster of one.
    pub fn found(
        cluster: ClusterId,
        secret: [u8; 32],
        partitions: Partitions,
        replicas: u8,
        first: Member,
    ) -> Result<Agreement, Refusal> {
        if !(1..=REPLICAS_LIMIT).contains(&replicas) {
            return Err(Refusal::Invalid(format!("{replicas} replicas: use 1 to {REPLICAS_LIMIT}")));
        }
        let layout = Layout::found(cluster, partitions, replicas, Member { rebuild: false, ..first });
        layout.validate().map_err(|e| Refusal::Invalid(e.to_string()))?;
        Ok(Agreement { index: 1, layout, buckets: Registry::default(), secret })
    }

    /// Who chooses the next value: every member with the lineage that is named here.
    pub fn acceptors(&self) -> Vec<(NodeId, Lineage)> {
        self.layout.members.iter().map(|member| (member.id, member.lineage)).collect()
    }

    /// Whether data may exist.
    pub fn has_data(&self) -> bool {
        !self.buckets.buckets.is_empty()
    }

    /// A new member. Before the first bucket it takes its share of the partitions; after that it joins
    /// without any, until data can be moved.
    pub fn join(&self, member: Member) -> Result<Agreement, Refusal> {
        let layout = &self.layout;
        if layout.members.len() >= MEMBERS_LIMIT {
            return Err(Refusal::Invalid(format!("the cluster has {MEMBERS_LIMIT} members")));
        }
        if layout.member(member.id).is_some() || layout.member_named(&member.name).is_some() {
            return Err(Refusal::Invalid(format!("{} is a member already", member.name)));
        }
        let mut next = self.next(true);
        let rebuild = self.has_data();
        next.layout.members.push(Member { rebuild, ..member });
        next.layout.members.sort_by_key(|member| member.id);
        if !self.has_data() {
            next.layout.place();
        }
        next.checked()
    }

    /// A member comes back with another life of its data: its slots stay where they are, and are rebuilt
    /// where data may exist.
    pub fn admit(&self, name: &str, lineage: Lineage) -> Result<Agreement, Refusal> {
        let mut next = self.next(true);
        let rebuild = self.has_data();
        let member = next.layout.members.iter_mut().find(|member| member.name == name);
        let Some(member) = member else {
            return Err(Refusal::Invalid(format!("{name} is no member")));
        };
        if member.lineage == lineage {
            return Err(Refusal::Invalid(format!("{name} is admitted already")));
        }
        member.lineage = lineage;
        member.rebuild = rebuild;
        next.checked()
    }

    /// A member that owns nothing, or whose slots can be moved freely, goes.
    pub fn remove(&self, id: NodeId) -> Result<Agreement, Refusal> {
        let owns = self.layout.table.lists.iter().any(|list| list.contains(&id));
        if self.has_data() && owns {
            let why = "the member is on preference lists and data may exist: moving it comes later";
            return Err(Refusal::WouldMoveData(why.into()));
        }
        if self.layout.member(id).is_none() || self.layout.members.len() == 1 {
            return Err(Refusal::Invalid("no such member, or the last one".into()));
        }
        let mut next = self.next(true);
        next.layout.members.retain(|member| member.id != id);
        if !self.has_data() {
            next.layout.place();
        }
        next.checked()
    }

    /// A new bucket. `None`: it exists with these settings.
    pub fn create_bucket(&self, bucket: Bucket) -> Result<Option<Agreement>, Refusal> {
        check_bucket_name(&bucket.name).map_err(|e| Refusal::Invalid(e.to_string()))?;
        if let Some(old) = self.buckets.buckets.get(&bucket.name) {
            return match old.same_settings(&bucket) {
                true => Ok(None),
                false => Err(Refusal::Invalid(format!(
                    "bucket {} exists with other settings, and n and conflict never change",
                    bucket.name
                ))),
            };
        }
        let (most, members) = (self.layout.replicas, self.layout.members.len());
        let counts = [Some(bucket.n), bucket.r, bucket.w];
        if bucket.n > most || counts.into_iter().flatten().any(|c| c == 0 || c > bucket.n) {
            return Err(Refusal::Invalid(format!("use n of 1 to {most}, and r and w of 1 to n")));
        }
        if usize::from(bucket.n) > members {
            return Err(Refusal::Invalid(format!(
                "bucket {} needs {} replicas and the cluster has {members} members: let more join, or create it with a smaller n",
                bucket.name, bucket.n
            )));
        }
        let mut next = self.next(false);
        next.buckets.version += 1;
        next.buckets.buckets.insert(bucket.name.clone(), bucket);
        next.checked().map(Some)
    }

    fn next(&self, new_epoch: bool) -> Agreement {
        let mut next = self.clone();
        next.index += 1;
        next.layout.epoch = Epoch(next.layout.epoch.0 + u64::from(new_epoch));
        next
    }

    fn checked(self) -> Result<Agreement, Refusal> {
        self.layout.validate().map_err(|e| Refusal::Invalid(e.to_string()))?;
        Ok(self)
    }

    /// Whether this may be chosen as the value after `before`.
    pub fn follows(&self, before: &Agreement) -> bool {
        let grown = self.layout.epoch.0.checked_sub(before.layout.epoch.0);
        self.index == before.index + 1
            && self.layout.cluster == before.layout.cluster
            && self.secret == before.secret
            && self.layout.partitions == before.layout.partitions
            && self.layout.replicas == before.layout.replicas
            && matches!(grown, Some(0 | 1))
            && self.buckets.version >= before.buckets.version
            // Owners move only while no data can exist.
            && (!before.has_data() || self.layout.table == before.layout.table)
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }

    /// Reads and validates what [`encode`](Agreement::encode) made.
    ///
    /// # Errors
    /// [`Refusal::Malformed`]: drop it.
    pub fn decode(bytes: &[u8]) -> Result<Agreement, Refusal> {
        let malformed = |why: String| Refusal::Malformed(why);
        if bytes.len() > ENCODED_LIMIT {
            return Err(malformed("an agreement over the limit".into()));
        }
        let mut rest = rmp_serde::decode::Deserializer::from_read_ref(bytes);
        rest.set_max_depth(32);
        let agreement = Agreement::deserialize(&mut rest).map_err(|e| malformed(e.to_string()))?;
        if !rest.get_ref().is_empty() {
            return Err(malformed("bytes follow the agreement".into()));
        }
        agreement.layout.validate().map_err(|e| malformed(e.to_string()))?;
        let buckets = agreement.buckets.buckets.iter();
        let named = buckets.clone().all(|(name, b)| *name == b.name && check_bucket_name(name).is_ok());
        let counted = buckets.clone().all(|(_, b)| {
            let n = 1..=b.n;
            b.n <= agreement.layout.replicas
                && [Some(b.n), b.r, b.w].into_iter().flatten().all(|c| n.contains(&c))
        });
        if !named || !counted {
            return Err(malformed("a bucket that cannot be".into()));
        }
        Ok(agreement)
    }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
