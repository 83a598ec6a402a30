//! Owners change while data exist. Here is how the stories are told; `random` tells those nobody thought of.

mod believed;
mod dead;
mod owners;
mod random;
mod steps;

use super::*;
use crate::error::Error;
use crate::id::{BucketId, ClusterId, Epoch, Lineage, NodeId, PartitionId};
use std::collections::BTreeSet;

fn member(id: u64, zone: &str) -> Member {
    let name = format!("n{id}");
    Member { id: NodeId(id), lineage: Lineage(1000 + id), name, zone: zone.into(), weight: 1 }
}

/// The value that this wish leads to, as everybody else would take it: from bytes, and checked.
fn next(agreement: &Agreement, change: &Change) -> Agreement {
    match agreement.apply(change) {
        Ok(Successor::Next(next)) => {
            assert_eq!(Agreement::decode(&next.encode()).as_ref(), Ok(&*next));
            assert_eq!(agreement.check_successor(&next), Ok(()), "{change:?}");
            *next
        }
        other => panic!("{change:?}: {other:?}"),
    }
}

fn refused(agreement: &Agreement, change: &Change) -> Refusal {
    agreement.apply(change).expect_err("refused")
}

fn founded(partitions: u32, zone: &str) -> Agreement {
    let partitions = Partitions::new(partitions).expect("a power of two");
    let found = Agreement::found(ClusterId(9), Secret([7; 32]), 3, partitions, member(1, zone));
    found.expect("valid")
}

fn create(id: u64, n: u8) -> Change {
    let settings = BucketSettings::new(n);
    Change::CreateBucket { id: BucketId(id), name: format!("b{id}"), settings }
}

/// Members 1, 2, … in these zones, with a bucket of three replicas: data exist.
fn with_data(partitions: u32, zones: &[&str]) -> Agreement {
    let mut agreement = founded(partitions, zones[0]);
    for (id, zone) in (2..).zip(&zones[1..]) {
        agreement = next(&agreement, &Change::Join(member(id, zone)));
    }
    next(&agreement, &create(5, 3))
}

/// So many members with a bucket of three replicas, all in one zone.
fn of(count: usize) -> Agreement {
    with_data(64, &vec![""; count])
}

fn join(agreement: &Agreement, id: u64) -> Agreement {
    next(agreement, &Change::Join(member(id, "")))
}

fn under_way(agreement: &Agreement) -> &Transition {
    agreement.layout.transition.as_ref().expect("a change is under way")
}

fn advance(agreement: &Agreement) -> Agreement {
    let Transition { since, step, .. } = *under_way(agreement);
    next(agreement, &Change::Advance { since, from: step })
}

fn abort(agreement: &Agreement) -> Agreement {
    next(agreement, &Change::Abort { since: under_way(agreement).since })
}

/// The owners and fallbacks of every partition in the table that stays.
fn rows(agreement: &Agreement) -> Vec<Vec<NodeId>> {
    let list = |p| agreement.layout.next_list(p, agreement.layout.replicas);
    let row = |p| list(p).owners().chain(list(p).fallbacks()).collect();
    agreement.layout.partitions.iter().map(row).collect()
}

/// The first `n` of every partition in the table that stays.
fn owners(agreement: &Agreement, n: usize) -> Vec<BTreeSet<NodeId>> {
    rows(agreement).iter().map(|row| row.iter().take(n).copied().collect()).collect()
}

/// How many partitions a member owns in the table that stays.
fn slots(agreement: &Agreement, id: u64) -> usize {
    owners(agreement, 3).iter().filter(|row| row.contains(&NodeId(id))).count()
}

fn names(list: &PreferenceList<'_>) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    (list.owners().collect(), list.fallbacks().collect())
}

/// What holds at every step of every change: as many owners as replicas in both tables; whoever is in either list
/// is written; the other list is there just where it says something else; who leaves is in no new list.
fn check_step(agreement: &Agreement) {
    let layout = &agreement.layout;
    for (partition, n) in
        layout.partitions.iter().flat_map(|p| (1..=agreement.largest_n()).map(move |n| (p, n)))
    {
        let list = layout.preference_list(partition, n);
        let newest = layout.next_list(partition, n);
        let other = layout.other_list(partition, n);
        for list in [Some(list), Some(newest), other].into_iter().flatten() {
            assert_eq!(names(&list).0.len(), usize::from(n), "as many distinct owners as replicas");
            assert!(list.owners().all(|owner| layout.owns(owner, partition, n)));
        }
        let (owners, fallbacks) = names(&newest);
        assert!(layout.leaving.is_disjoint(&owners) && layout.leaving.is_disjoint(&fallbacks));
        assert!(layout.held.is_disjoint(&owners));
        match (layout.transition.as_ref().map(|transition| transition.step), other) {
            (Some(_), Some(other)) => assert_ne!(names(&other), names(&list)),
            (Some(TransitionStep::Copying), None) => assert_eq!(names(&newest), names(&list)),
            (Some(TransitionStep::Settling) | None, None) => {}
            (None, Some(_)) => panic!("another list, and no change under way"),
        }
    }
}

/// Whether every prefix of every row of the table that stays lies in as many zones as it can.
fn is_spread(agreement: &Agreement) -> bool {
    let layout = &agreement.layout;
    let zone = |id: &NodeId| layout.member(*id).map_or("", |member| member.zone.as_str());
    let zones = |ids: &[NodeId]| ids.iter().map(zone).collect::<BTreeSet<_>>().len();
    let gone = [&layout.leaving, &layout.held, &layout.out];
    let gone: BTreeSet<NodeId> = gone.into_iter().flatten().copied().collect();
    let ids = layout.members.iter().map(|member| member.id);
    let all: Vec<NodeId> = ids.filter(|id| !gone.contains(id)).collect();
    rows(agreement)
        .iter()
        .all(|row| (1..=row.len().min(3)).all(|k| zones(&row[..k]) == k.min(zones(&all))))
}

/// Through all three steps, looked at on the way.
fn carried_out(agreement: &Agreement, change: &Change) -> Agreement {
    let copying = next(agreement, change);
    let settling = advance(&copying);
    let done = advance(&settling);
    for step in [&copying, &settling, &done] {
        check_step(step);
        assert_eq!(rows(step), rows(&copying));
        assert_eq!(step.apply(change), Ok(Successor::AlreadySo), "the same wish again");
    }
    done
}
