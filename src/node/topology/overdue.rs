//! Who has been dead for so long that others are to take its places.
//!
//! ```text
//!   dead ──down_out_after──► Out: its slots are copied from those who are there ──► it is a member without places
//!   back, while they copy ─► Abort
//!   back, later ───────────► Return: what it holds is given to the owners (`shard/remnants.rs`), and it takes a share
//! ```
//!
//! Failure is not departure, so this is slow and timid:
//!
//! - one at a time, and first whose going helps the partitions with the fewest live copies;
//! - never when more than a third of the members is down, or a whole zone: an outage must not empty itself;
//! - never below as many as data have copies;
//! - acceptors that see it alive do not promise (`acceptor.rs`), so it takes a majority to see it dead;
//! - nothing is copied from too few: a partition that has lost a quorum stays where it is (`ring/situation.rs`).
//!
//! Each node counts on its own clock and only while it runs: after a restart everybody has been dead for no time.

use super::Topology;
use crate::id::NodeId;
use crate::ring::{Agreement, Layout, Situation};
use crate::time::Instant;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Since when members have been dead.
#[derive(Debug, Default)]
pub(super) struct Down(BTreeMap<NodeId, Instant>);

impl Down {
    /// Its time begins anew.
    pub fn begin_anew(&mut self, node: NodeId, now: Instant) {
        self.0.insert(node, now);
    }
}

impl Topology {
    /// Notes who is dead by now, and forgets since when others were.
    pub(super) fn note_down(&mut self, now: Instant) {
        let others = self.others.iter().copied();
        let dead: BTreeSet<NodeId> = others.filter(|id| !self.is_live(*id)).collect();
        let down = &mut self.conduct.down.0;
        down.retain(|id, _| dead.contains(id));
        dead.into_iter().for_each(|id| {
            down.entry(id).or_insert(now);
        });
    }

    /// Whose places others are to take now, if anybody's.
    pub(super) fn overdue(&self, now: Instant, agreement: &Agreement) -> Option<NodeId> {
        let after = self.config.timing.down_out_after;
        let layout = &agreement.layout;
        let is_due = |id: &NodeId| {
            let since = self.conduct.down.0.get(id);
            since.is_some_and(|since| now.since(*since) >= after) && !layout.leaving.contains(id)
        };
        if after.is_zero() || !self.conduct.down.0.keys().any(is_due) {
            return None;
        }
        let down: BTreeSet<NodeId> = self.conduct.down.0.keys().copied().collect();
        if is_outage(layout, &down) || seats_there(layout, &down) < agreement.largest_n() {
            return None;
        }
        let due: BTreeSet<NodeId> = down.into_iter().filter(|id| is_due(id)).collect();
        worst_off(layout, &due, &self.situation())
    }
}

/// Whether so many are down that it is not they who failed: more than a third of those who take part, or a whole zone.
fn is_outage(layout: &Layout, down: &BTreeSet<NodeId>) -> bool {
    let takes_part = |id: NodeId| {
        [&layout.out, &layout.leaving, &layout.ghosts].iter().all(|set| !set.contains(&id))
    };
    let mut zones: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for member in layout.members.iter().filter(|member| takes_part(member.id)) {
        let (all, gone) = zones.entry(&member.zone).or_default();
        *all += 1;
        *gone += usize::from(down.contains(&member.id));
    }
    let (all, gone) = zones.values().fold((0, 0), |sum, zone| (sum.0 + zone.0, sum.1 + zone.1));
    3 * gone > all || zones.values().any(|(all, gone)| *all > 1 && all == gone)
}

/// How many that may have places are there.
fn seats_there(layout: &Layout, down: &BTreeSet<NodeId>) -> u8 {
    let seats = layout.members.iter().filter(|m| layout.has_seat(m.id) && !down.contains(&m.id));
    u8::try_from(seats.count()).unwrap_or(u8::MAX)
}

/// Who of these stands in the partitions with the fewest live copies; in most of them, where several do.
fn worst_off(layout: &Layout, due: &BTreeSet<NodeId>, situation: &Situation) -> Option<NodeId> {
    let mut misery: BTreeMap<NodeId, BTreeMap<usize, usize>> = BTreeMap::new();
    for partition in layout.partitions.iter().filter(|p| !situation.frozen.contains(p)) {
        let owners = layout.preference_list(partition, layout.replicas).owners();
        let live = owners.clone().filter(|id| !situation.away.contains(id)).count();
        for id in owners.filter(|id| due.contains(id)) {
            *misery.entry(id).or_default().entry(live).or_default() += 1;
        }
    }
    let fewest = |counts: &BTreeMap<usize, usize>| {
        counts.first_key_value().map(|(live, partitions)| (*live, Reverse(*partitions)))
    };
    misery.into_iter().min_by_key(|(id, counts)| (fewest(counts), *id)).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BucketId, ClusterId, Lineage, PartitionId};
    use crate::ring::{BucketSettings, Change, Member, Partitions, Secret, Successor};

    fn of(zones: &[&str]) -> Agreement {
        let member = |id: u64| {
            let zone = zones[id as usize - 1].to_owned();
            let name = format!("n{id}");
            Member { id: NodeId(id), lineage: Lineage(id), name, zone, weight: 1 }
        };
        let partitions = Partitions::try_from(64).expect("a power of two");
        let founded = Agreement::found(ClusterId(1), Secret([0; 32]), 3, partitions, member(1))
            .expect("valid");
        let settings = BucketSettings::new(3);
        let bucket = Change::CreateBucket { id: BucketId(1), name: "b".into(), settings };
        let joins = (2..=zones.len() as u64).map(|id| Change::Join(member(id)));
        joins.chain([bucket]).fold(founded, |agreement, change| match agreement.apply(&change) {
            Ok(Successor::Next(next)) => *next,
            other => panic!("{other:?}"),
        })
    }

    fn ids(of: &[u64]) -> BTreeSet<NodeId> {
        of.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn an_outage_does_not_empty_itself() {
        let check = |zones: &[&str], down: &[u64], outage: bool| {
            assert_eq!(is_outage(&of(zones).layout, &ids(down)), outage, "{zones:?} {down:?}");
        };
        check(&[""; 5], &[1], false);
        check(&[""; 5], &[1, 2], true);
        check(&[""; 6], &[1, 2], false);
        check(&[""; 7], &[1, 2, 3], true);
        let zones = ["a", "a", "b", "b", "c", "c"];
        check(&zones, &[1, 2], true);
        check(&zones, &[1, 3], false);
        check(&["a", "b", "c", "d"], &[1], false);
    }

    #[test]
    fn the_one_whose_going_helps_those_with_the_fewest_copies_goes_first() {
        let agreement = of(&[""; 9]);
        let layout = &agreement.layout;
        let due = ids(&[2, 3]);
        let dead = ids(&[2, 3, 4]);
        let live = (1..=9).map(NodeId).filter(|id| !dead.contains(id)).collect();
        let lost = |p: PartitionId| {
            layout.preference_list(p, 3).owners().filter(|id| dead.contains(id)).count()
        };
        let lost_of = |id: u64, most: usize| {
            let own = |p: &PartitionId| layout.preference_list(*p, 3).slot_of(NodeId(id)).is_some();
            let all = layout.partitions.iter().filter(own).map(lost).filter(|lost| *lost <= most);
            let all: Vec<usize> = all.collect();
            let worst = all.iter().max().copied().unwrap_or_default();
            (worst, all.iter().filter(|lost| **lost == worst).count(), Reverse(id))
        };
        let worst = |most: usize| {
            let worst = [2, 3].map(|id| lost_of(id, most)).into_iter().max();
            worst.map(|(.., Reverse(id))| NodeId(id))
        };
        // What has lost a quorum cannot be copied at all, and does not count.
        let situation = Situation::new(&agreement, &live, &BTreeSet::new());
        let frozen = layout.partitions.iter().filter(|p| lost(*p) > 1);
        assert_eq!(situation.frozen, frozen.collect());
        assert!(!situation.frozen.is_empty());
        assert_eq!(worst_off(layout, &due, &situation), worst(1));
        // Where every partition can be copied, those with the fewest copies come first.
        let thawed = Situation { frozen: BTreeSet::new(), ..situation };
        assert_eq!(worst_off(layout, &due, &thawed), worst(3));
        assert_eq!(worst_off(layout, &BTreeSet::new(), &thawed), None);
    }
}
