//! The layout: members, and for each partition its preference list. A value of the agreed chain.

use super::placement;
use super::token::Partitions;
use crate::id::{ClusterId, Epoch, Lineage, NodeId, PartitionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most members of one cluster.
pub const MEMBERS_LIMIT: usize = 1024;
/// The largest N that a cluster may be founded with.
pub const REPLICAS_LIMIT: u8 = 7;
/// The longest name or zone, in bytes.
const WORD_LIMIT: usize = 64;

/// A node of the layout. An acceptor and a replica are (id, lineage), never the id alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id, for ever.
    pub id: NodeId,
    /// The life of its data that was admitted.
    pub lineage: Lineage,
    /// Its name: unique among members.
    pub name: String,
    /// Its failure domain; empty: a domain of its own.
    pub zone: String,
    /// Its share relative to others.
    pub weight: u16,
    /// This life was admitted when data existed already, so its slots have to be rebuilt.
    pub rebuild: bool,
}

/// The preference list of every partition: owners first, then fallbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub(super) lists: Vec<Vec<NodeId>>,
}

/// The N owners of a partition and the N fixed positions after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreferenceList<'a> {
    /// The slots.
    pub owners: &'a [NodeId],
    /// Who may stand in, live or not, and nobody else: so everyone knows where hints can be.
    pub fallbacks: &'a [NodeId],
}

/// The agreed placement.
///
/// - Members ascend by id; ids and names are distinct.
/// - The table has a list for each partition, of distinct members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Compact", try_from = "Compact")]
pub struct Layout {
    /// The cluster.
    pub cluster: ClusterId,
    /// Ids that it had before it was founded anew on its survivors.
    pub former: Vec<ClusterId>,
    /// Grows with every change of members or owners.
    pub epoch: Epoch,
    /// The largest N of any bucket.
    pub replicas: u8,
    /// Q.
    pub partitions: Partitions,
    /// Everybody.
    pub members: Vec<Member>,
    /// Who owns what.
    pub table: Table,
}

/// Why a layout cannot be true. Nothing was taken from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a layout that cannot be: {0}")]
pub struct LayoutError(pub &'static str);

impl Layout {
    /// The first layout of a cluster: one member.
    pub fn found(cluster: ClusterId, partitions: Partitions, replicas: u8, first: Member) -> Layout {
        let mut layout = Layout {
            cluster,
            former: Vec::new(),
            epoch: Epoch(1),
            replicas,
            partitions,
            members: vec![first],
            table: Table::default(),
        };
        layout.place();
        layout
    }

    /// Computes the table for the members of now, from the table of before.
    pub(super) fn place(&mut self) {
        self.members.sort_by_key(|member| member.id);
        self.table = placement::place(&self.members, self.partitions, self.replicas, &self.table);
    }

    /// The owners and fallbacks of a partition for a bucket of `n` replicas.
    pub fn preference_list(&self, partition: PartitionId, n: u8) -> PreferenceList<'_> {
        let list = self.table.lists.get(usize::from(partition.0)).map_or(&[][..], |list| &list[..]);
        let n = usize::from(n).min(list.len());
        let (owners, rest) = list.split_at(n);
        PreferenceList { owners, fallbacks: &rest[..n.min(rest.len())] }
    }

    /// A member by its id.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.binary_search_by_key(&id, |member| member.id).ok().map(|at| &self.members[at])
    }

    /// A member by its name.
    pub fn member_named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// How many slots each member owns, in the order of members.
    pub fn owned(&self) -> Vec<usize> {
        let mut owned = vec![0; self.members.len()];
        for list in &self.table.lists {
            for id in list.iter().take(usize::from(self.replicas)) {
                if let Ok(at) = self.members.binary_search_by_key(id, |member| member.id) {
                    owned[at] += 1;
                }
            }
        }
        owned
    }

    /// Looks at everything that the rest of the node relies on.
    ///
    /// # Errors
    /// [`LayoutError`]: do not install it.
    pub fn validate(&self) -> Result<(), LayoutError> {
        let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(LayoutError(what)) };
        ensure((1..=REPLICAS_LIMIT).contains(&self.replicas), "its largest N is out of bounds")?;
        ensure((1..=MEMBERS_LIMIT).contains(&self.members.len()), "too few or too many members")?;
        let ascending = self.members.is_sorted_by(|a, b| a.id < b.id);
        ensure(ascending, "its members are out of order")?;
        let names: BTreeSet<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
        ensure(names.len() == self.members.len(), "two members have one name")?;
        for member in &self.members {
            let words = [&member.name, &member.zone];
            ensure(words.iter().all(|word| word.len() <= WORD_LIMIT), "a name is too long")?;
            ensure(!member.name.is_empty() && member.weight > 0, "a member has no name or weight")?;
        }
        let lists = &self.table.lists;
        ensure(lists.len() == self.partitions.count() as usize, "a partition has no list")?;
        let least = usize::from(self.replicas).min(1);
        for list in lists {
            let distinct: BTreeSet<&NodeId> = list.iter().collect();
            let members = list.iter().all(|id| self.member(*id).is_some());
            let fits = (least..=2 * usize::from(self.replicas)).contains(&list.len());
            ensure(fits && members && distinct.len() == list.len(), "a list is not of members")?;
        }
        Ok(())
    }
}

/// As it is encoded: positions name members by their place, so a thousand lists are a few kilobytes.
#[derive(Serialize, Deserialize)]
struct Compact {
    cluster: ClusterId,
    former: Vec<ClusterId>,
    epoch: Epoch,
    replicas: u8,
    partitions: Partitions,
    members: Vec<Member>,
    width: u8,
    #[serde(with = "serde_bytes")]
    table: Vec<u8>,
}

impl From<Layout> for Compact {
    fn from(layout: Layout) -> Compact {
        let width = layout.table.lists.first().map_or(0, Vec::len);
        let mut table = Vec::with_capacity(layout.table.lists.len() * width * 2);
        for id in layout.table.lists.iter().flatten() {
            let at = layout.members.binary_search_by_key(id, |member| member.id);
            let at = at.expect("a list names members only");
            table.extend_from_slice(&(at as u16).to_le_bytes());
        }
        Compact {
            cluster: layout.cluster,
            former: layout.former,
            epoch: layout.epoch,
            replicas: layout.replicas,
            partitions: layout.partitions,
            members: layout.members,
            width: u8::try_from(width).expect("a list has at most 14 positions"),
            table,
        }
    }
}

impl TryFrom<Compact> for Layout {
    type Error = LayoutError;

    fn try_from(compact: Compact) -> Result<Layout, LayoutError> {
        let width = usize::from(compact.width) * 2;
        let expected = compact.partitions.count() as usize * width;
        if width == 0 || compact.table.len() != expected {
            return Err(LayoutError("its table has the wrong size"));
        }
        let id = |pair: &[u8]| -> Result<NodeId, LayoutError> {
            let at = usize::from(u16::from_le_bytes([pair[0], pair[1]]));
            let member = compact.members.get(at);
            member.map(|member| member.id).ok_or(LayoutError("a list names nobody"))
        };
        let list = |bytes: &[u8]| bytes.chunks_exact(2).map(id).collect::<Result<Vec<_>, _>>();
        let lists = compact.table.chunks_exact(width).map(list).collect::<Result<Vec<_>, _>>()?;
        Ok(Layout {
            cluster: compact.cluster,
            former: compact.former,
            epoch: compact.epoch,
            replicas: compact.replicas,
            partitions: compact.partitions,
            members: compact.members,
            table: Table { lists },
        })
    }
}
