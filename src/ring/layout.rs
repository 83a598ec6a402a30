//! The layout of one epoch: members, and for every partition its preference list.
//!
//! ```text
//!  preference list of a partition, replicas = 3:    A  B  C  D  E  F      fixed, live or not
//!  bucket with n = 3:  owners A B C · fallbacks D E F
//!  bucket with n = 1:  owner  A     · fallback  B                          a prefix of the same list
//! ```
//!
//! (DeCandia et al., "Dynamo", 2007, §4.3 and §6.2, strategy 3.)

use super::{Invalid, Partitions, Table, bucket};
use crate::id::{ClusterId, Epoch, Lineage, NodeId, PartitionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The largest `n` that any layout can have.
pub const MAX_REPLICAS: u8 = 7;
/// The most members: what a layout may cost everybody who holds it.
pub const MAX_MEMBERS: usize = 1_000;
/// The largest weight of a member.
pub const MAX_WEIGHT: u16 = 128;
/// The largest sum of weights: each unit is 128 virtual nodes on the ring.
pub const MAX_TOTAL_WEIGHT: u32 = 4_096;
/// The longest name of a member or a zone, in bytes.
pub const NAME_LIMIT: usize = 64;
/// The most former cluster ids that a layout remembers.
const MAX_FORMER: usize = 64;

/// A node as the layout names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The physical node.
    pub id: NodeId,
    /// The life of its data that takes part. Any other life of the same node is fenced.
    pub lineage: Lineage,
    /// What people call it; distinct within a layout. A node that comes back empty under this name
    /// takes over the id. 1..=64 bytes of visible ASCII.
    pub name: String,
    /// Its failure domain; may be empty. At most 64 bytes of visible ASCII.
    pub zone: String,
    /// Its share of the partitions relative to others; 1 is usual, `1..=128`.
    pub weight: u16,
}

impl Member {
    /// Whether a layout may name it.
    ///
    /// # Errors
    /// [`Invalid`], with what is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        let visible = |s: &str| s.len() <= NAME_LIMIT && s.bytes().all(|b| b.is_ascii_graphic());
        if self.name.is_empty() || !visible(&self.name) {
            return Err(Invalid::MemberName(bucket::shown(&self.name)));
        }
        if !visible(&self.zone) {
            return Err(Invalid::ZoneName(bucket::shown(&self.zone)));
        }
        if self.weight == 0 || self.weight > MAX_WEIGHT {
            return Err(Invalid::Weight(self.weight));
        }
        Ok(())
    }
}

/// Who owns what in one epoch.
///
/// - `members` are sorted by id, with distinct ids and distinct names.
/// - Every row of `table` names distinct members.
/// - The epoch grows whenever members, lineages or rows change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its ids before survivors founded it anew, oldest first.
    pub former: Vec<ClusterId>,
    /// The version of this layout.
    pub epoch: Epoch,
    /// The largest `n` of any bucket: a row has up to twice as many positions. `1..=7`.
    pub replicas: u8,
    /// Q.
    pub partitions: Partitions,
    /// The members, sorted by id.
    pub members: Vec<Member>,
    /// The preference lists.
    pub table: Table,
}

/// What a node is to a partition, for one `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// One of the owners.
    Primary,
    /// One of the fallbacks.
    Fallback,
    /// Neither.
    Stranger,
}

/// The owners and the fallbacks of a partition, in the order of preference.
#[derive(Clone, Copy, Debug)]
pub struct PreferenceList<'a> {
    members: &'a [Member],
    owners: &'a [u16],
    fallbacks: &'a [u16],
}

impl<'a> PreferenceList<'a> {
    /// The first n positions: each is a slot, and this is their order.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + 'a {
        ids(self.members, self.owners)
    }

    /// Positions n+1..=2n: who stands in, live or not, and nobody further.
    pub fn fallbacks(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + 'a {
        ids(self.members, self.fallbacks)
    }

    /// What `node` is here.
    pub fn role(&self, node: NodeId) -> Role {
        if self.owners().any(|id| id == node) {
            Role::Primary
        } else if self.fallbacks().any(|id| id == node) {
            Role::Fallback
        } else {
            Role::Stranger
        }
    }

    /// Which owner slot is `node`'s, counted from 0; `None` if it is no owner.
    pub fn slot_of(&self, node: NodeId) -> Option<usize> {
        self.owners().position(|id| id == node)
    }
}

fn ids<'a>(
    members: &'a [Member],
    row: &'a [u16],
) -> impl ExactSizeIterator<Item = NodeId> + Clone + 'a {
    row.iter().map(|&at| members[usize::from(at)].id)
}

impl Layout {
    /// The preference list of a partition for a bucket of `n` replicas. Shorter than 2n where there are
    /// fewer members; empty for a partition that does not exist.
    pub fn preference_list(&self, partition: PartitionId, n: u8) -> PreferenceList<'_> {
        let row = self.table.row(partition);
        let n = usize::from(n);
        let (owners, rest) = row.split_at(n.min(row.len()));
        PreferenceList { members: &self.members, owners, fallbacks: &rest[..n.min(rest.len())] }
    }

    /// What `node` is to a partition of a bucket of `n` replicas.
    pub fn role(&self, node: NodeId, partition: PartitionId, n: u8) -> Role {
        self.preference_list(partition, n).role(node)
    }

    /// The partitions in which `node` is at position `1..=n`: what it owns for a bucket of `n` replicas.
    pub fn partitions_owned(&self, node: NodeId, n: u8) -> impl Iterator<Item = PartitionId> + '_ {
        self.partitions.iter().filter(move |&p| self.role(node, p, n) == Role::Primary)
    }

    /// The member with this id.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.position(id).map(|at| &self.members[at])
    }

    /// The member with this name.
    pub fn member_named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Whether this very life of this node takes part. Anybody else is fenced.
    pub fn admits(&self, id: NodeId, lineage: Lineage) -> bool {
        self.member(id).is_some_and(|member| member.lineage == lineage)
    }

    pub(super) fn position(&self, id: NodeId) -> Option<usize> {
        self.members.binary_search_by_key(&id, |member| member.id).ok()
    }

    /// A member's index: what the table's cells hold.
    pub(super) fn index_of(&self, id: NodeId) -> Option<u16> {
        self.position(id).and_then(|at| u16::try_from(at).ok())
    }

    /// Whether every sentence that the types promise holds. For whatever came from a peer or a disk:
    /// nothing here may be trusted (or indexed with) before it passed.
    ///
    /// # Errors
    /// [`Invalid`], with the first sentence that does not hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !(1..=MAX_REPLICAS).contains(&self.replicas) {
            return Err(Invalid::Replicas(self.replicas));
        }
        if self.former.len() > MAX_FORMER {
            return Err(Invalid::TooMany("former cluster ids"));
        }
        self.validate_members()?;
        self.validate_table()
    }

    fn validate_members(&self) -> Result<(), Invalid> {
        if self.members.is_empty() {
            return Err(Invalid::NoMembers);
        }
        if self.members.len() > MAX_MEMBERS {
            return Err(Invalid::TooMany("members"));
        }
        self.members.iter().try_for_each(Member::validate)?;
        if !self.members.is_sorted_by(|a, b| a.id < b.id) {
            return Err(Invalid::MembersUnsorted);
        }
        let mut names: Vec<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Invalid::NameTwice(pair[0].to_owned()));
        }
        let lineages: BTreeSet<Lineage> = self.members.iter().map(|m| m.lineage).collect();
        if lineages.len() < self.members.len() {
            return Err(Invalid::LineageTwice);
        }
        if self.members.iter().map(|m| u32::from(m.weight)).sum::<u32>() > MAX_TOTAL_WEIGHT {
            return Err(Invalid::TotalWeight);
        }
        Ok(())
    }

    fn validate_table(&self) -> Result<(), Invalid> {
        let width = self.table.width();
        let bounds = 1..=(2 * usize::from(self.replicas)).min(self.members.len());
        if !bounds.contains(&width) || self.table.cells.len() != width * self.partitions.count() {
            return Err(Invalid::TableShape);
        }
        for row in self.table.rows() {
            for (at, cell) in row.iter().enumerate() {
                if usize::from(*cell) >= self.members.len() || row[..at].contains(cell) {
                    return Err(Invalid::TableRow);
                }
            }
        }
        Ok(())
    }

    /// Whether every preference list of `old` is a prefix of this layout's: nobody lost a place.
    pub(super) fn extends(&self, old: &Layout) -> bool {
        let whole = usize::from(MAX_REPLICAS);
        let names = |layout: &Layout, row: &[u16]| -> Vec<NodeId> {
            ids(&layout.members, row).take(2 * whole).collect()
        };
        let mut rows = self.table.rows().zip(old.table.rows());
        rows.all(|(new, old_row)| names(self, new).starts_with(&names(old, old_row)))
    }
}
