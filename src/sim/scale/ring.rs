//! The ring at scale: a cluster grown join by join, as real ones grow, by the changes that real ones agree on.

use crate::id::{ClusterId, Lineage, NodeId};
use crate::ring::{Agreement, Change, Member, Partitions, Secret, Successor};
use xxhash_rust::xxh3::xxh3_64;

/// How many owners a partition has.
const REPLICAS: u8 = 3;

/// Who owns how much at one size, in slots: partitions × owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// How many members.
    pub members: usize,
    /// Q.
    pub partitions: usize,
    /// All slots; an equal share of them is `slots / members`.
    pub slots: usize,
    /// What the least loaded member owns.
    pub least: usize,
    /// And the most loaded one.
    pub most: usize,
    /// How many slots changed their owner at the last join.
    pub moved: usize,
    /// And how many of those went to somebody else than the newcomer.
    pub moved_elsewhere: usize,
}

impl Balance {
    /// A load in percent of an equal share.
    pub fn percent(&self, load: usize) -> f64 {
        100.0 * (load * self.members) as f64 / self.slots as f64
    }

    /// The slots that moved at the last join, in percent of all.
    pub fn moved_percent(&self) -> f64 {
        100.0 * self.moved as f64 / self.slots as f64
    }
}

fn member(number: usize) -> Member {
    let id = |salt: u8| xxh3_64(&[&(number as u64).to_le_bytes()[..], &[salt]].concat());
    Member {
        id: NodeId(id(0)),
        lineage: Lineage(id(1)),
        name: format!("n{number}"),
        zone: String::new(),
        weight: 1,
    }
}

/// Grows a cluster of `partitions` join by join up to the largest of `sizes`, and looks at it at each of them;
/// `tick` comes after each join.
pub fn grow(partitions: Partitions, sizes: &[usize], mut tick: impl FnMut()) -> Vec<Balance> {
    let most = sizes.iter().copied().max().unwrap_or_default();
    let (cluster, secret) = (ClusterId(1), Secret([0; 32]));
    let founded = Agreement::found(cluster, secret, REPLICAS, partitions, member(1));
    let mut agreement = founded.expect("numbers that are ours");
    let mut seen = Vec::new();
    for number in 2..=most {
        let next = match agreement.apply(&Change::Join(member(number))) {
            Ok(Successor::Next(next)) => *next,
            other => unreachable!("a newcomer may join while there are no buckets: {other:?}"),
        };
        if sizes.contains(&number) {
            seen.push(balance(&agreement, &next, member(number).id));
        }
        agreement = next;
        tick();
    }
    seen
}

fn balance(before: &Agreement, after: &Agreement, newcomer: NodeId) -> Balance {
    let (before, after) = (&before.layout, &after.layout);
    let mut loads = vec![0; after.members.len()];
    let (mut moved, mut moved_elsewhere) = (0, 0);
    for partition in after.partitions.iter() {
        let list = after.preference_list(partition, REPLICAS);
        let old = before.preference_list(partition, REPLICAS);
        for owner in list.owners() {
            let at = after.members.binary_search_by_key(&owner, |member| member.id);
            loads[at.expect("owners are members")] += 1;
            if old.slot_of(owner).is_none() {
                moved += 1;
                moved_elsewhere += usize::from(owner != newcomer);
            }
        }
    }
    Balance {
        members: loads.len(),
        partitions: after.partitions.count(),
        slots: loads.iter().sum(),
        least: loads.iter().copied().min().unwrap_or_default(),
        most: loads.iter().copied().max().unwrap_or_default(),
        moved,
        moved_elsewhere,
    }
}
