//! The layout of one epoch: members, and for every partition its preference list.
//!
//! ```text
//!  preference list of a partition, replicas = 3:    A  B  C  D  E  F      fixed, live or not
//!  bucket with n = 3:  owners A B C · fallbacks D E F
//!  bucket with n = 1:  owner  A     · fallback  B                          a prefix of the same list
//! ```
//!
//! While owners change there are two tables, and both name their members by the one list here; see
//! [`Transition`]. (DeCandia et al., "Dynamo", 2007, §4.3 and §6.2, strategy 3.)

use super::{Invalid, Partitions, Table, Transition, bucket};
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
/// - Every row of `table`, and of the other one, names distinct members.
/// - Who is `leaving` stands in no row of the newest table. Of the older one only the member whose going is
///   the change's goal may.
/// - The epoch grows whenever any of this changes.
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
    /// The preference lists that are read, and written.
    pub table: Table,
    /// The change of owners under way; `None`: there is none, and `table` is all there is.
    pub transition: Option<Transition>,
    /// Members that are to go: they get no places, and are let go when nothing lives on them alone.
    pub leaving: BTreeSet<NodeId>,
    /// Newcomers of a change that was aborted, and those that came in to stand by: they get no places until they
    /// are released, or replace somebody. Otherwise the next change would try what has just failed.
    pub held: BTreeSet<NodeId>,
    /// Members that were dead for so long that others took their places, as far as there was somebody to copy
    /// from. They stay members: when they are back, what only they have is given to the owners, and they take a
    /// share again.
    #[serde(default)]
    pub out: BTreeSet<NodeId>,
    /// Members that are gone for good, since survivors founded the cluster anew: they have no say, and are let go
    /// when others have their places.
    #[serde(default)]
    pub ghosts: BTreeSet<NodeId>,
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
    pub fn owners(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + use<'a> {
        ids(self.members, self.owners)
    }

    /// Positions n+1..=2n: who stands in, live or not, and nobody further.
    pub fn fallbacks(&self) -> impl ExactSizeIterator<Item = NodeId> + Clone + use<'a> {
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

    /// Whether the same members own, and the same stand in, in whatever order. For lists of one layout.
    pub(super) fn names_the_same(&self, other: &PreferenceList<'_>) -> bool {
        let same = |a: &[u16], b: &[u16]| a.len() == b.len() && a.iter().all(|at| b.contains(at));
        same(self.owners, other.owners) && same(self.fallbacks, other.fallbacks)
    }
}

pub(super) fn ids<'a>(
    members: &'a [Member],
    row: &'a [u16],
) -> impl ExactSizeIterator<Item = NodeId> + Clone + use<'a> {
    row.iter().map(|&at| members[usize::from(at)].id)
}

impl Layout {
    /// The preference list of a partition for a bucket of `n` replicas. Shorter than 2n where there are
    /// fewer members; empty for a partition that does not exist.
    pub fn preference_list(&self, partition: PartitionId, n: u8) -> PreferenceList<'_> {
        self.list_in(&self.table, partition, n)
    }

    pub(super) fn list_in<'a>(
        &'a self,
        table: &'a Table,
        partition: PartitionId,
        n: u8,
    ) -> PreferenceList<'a> {
        let row = table.row(partition);
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

    /// Takes a member that stands nowhere out of the list, and gives both tables the others' new indices.
    pub(super) fn without(&mut self, id: NodeId) -> Option<Member> {
        let (at, index) = (self.position(id)?, self.index_of(id)?);
        self.table.close_gap(index);
        self.transition.iter_mut().for_each(|transition| transition.other.close_gap(index));
        self.leaving.remove(&id);
        self.held.remove(&id);
        self.out.remove(&id);
        self.ghosts.remove(&id);
        Some(self.members.remove(at))
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
        self.validate_table(&self.table)?;
        self.validate_transition()
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

    pub(super) fn validate_table(&self, table: &Table) -> Result<(), Invalid> {
        let width = table.width();
        let bounds = 1..=(2 * usize::from(self.replicas)).min(self.members.len());
        if !bounds.contains(&width) || table.cells.len() != width * self.partitions.count() {
            return Err(Invalid::TableShape);
        }
        for row in table.rows() {
            for (at, cell) in row.iter().enumerate() {
                if usize::from(*cell) >= self.members.len() || row[..at].contains(cell) {
                    return Err(Invalid::TableRow);
                }
            }
        }
        Ok(())
    }
}
