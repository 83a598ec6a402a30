//! What every table must be, for many clusters, grown in many ways.

use super::placement::place;
use super::{Layout, Member, Partitions, Table};
use crate::id::{ClusterId, Epoch, Lineage, NodeId};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

fn member(id: u64, zone: &str, weight: u16) -> Member {
    let name = format!("n{id:x}");
    Member { id: NodeId(id), lineage: Lineage(id), name, zone: zone.into(), weight }
}

fn unplaced(mut members: Vec<Member>, replicas: u8, partitions: u32) -> Layout {
    members.sort_by_key(|m| m.id);
    Layout {
        cluster: ClusterId(1),
        former: Vec::new(),
        epoch: Epoch(0),
        replicas,
        partitions: Partitions::new(partitions).expect("a power of two"),
        members,
        table: Table::default(),
        transition: None,
        leaving: BTreeSet::new(),
        held: BTreeSet::new(),
        out: BTreeSet::new(),
        ghosts: BTreeSet::new(),
    }
}

fn at_once(members: Vec<Member>, replicas: u8, partitions: u32) -> Layout {
    let mut layout = unplaced(members, replicas, partitions);
    layout.table = place(&layout, None);
    layout
}

fn joined(previous: &Layout, joiner: Member) -> Layout {
    let mut members = previous.members.clone();
    members.push(joiner);
    changed(previous, members)
}

fn changed(previous: &Layout, members: Vec<Member>) -> Layout {
    let mut layout = Layout {
        table: Table::default(),
        ..unplaced(members, previous.replicas, previous.partitions.into())
    };
    layout.table = place(&layout, Some(previous));
    layout
}

/// The first `k` positions of a row, as ids.
fn prefix(layout: &Layout, row: &[u16], k: usize) -> BTreeSet<NodeId> {
    row.iter().take(k).map(|&at| layout.members[usize::from(at)].id).collect()
}

fn check_valid(layout: &Layout) {
    layout.validate().expect("a computed layout is valid");
    let width = layout.members.len().min(2 * usize::from(layout.replicas));
    assert_eq!(layout.table.width(), width);
    let zones: BTreeSet<&str> = layout.members.iter().map(|m| m.zone.as_str()).collect();
    for row in layout.table.rows() {
        for k in 1..=usize::from(layout.replicas).min(width) {
            let met: BTreeSet<&str> =
                row[..k].iter().map(|&at| layout.members[usize::from(at)].zone.as_str()).collect();
            assert_eq!(met.len(), k.min(zones.len()), "zones of the first {k} of {row:?}");
        }
    }
}

fn loads(layout: &Layout, k: usize) -> Vec<usize> {
    let mut loads = vec![0; layout.members.len()];
    for row in layout.table.rows() {
        row.iter().take(k).for_each(|&at| loads[usize::from(at)] += 1);
    }
    loads
}

/// Loads of equal members, in percent of a fair share: least and most.
fn spread(layout: &Layout, k: usize) -> (usize, usize) {
    let k = k.min(layout.members.len());
    let fair = layout.partitions.count() * k;
    let percent = |load: usize| load * 100 * layout.members.len() / fair;
    let loads = loads(layout, k);
    let most = loads.iter().max().copied().unwrap_or_default();
    let least = loads.iter().min().copied().unwrap_or_default();
    (percent(least), (most * 100 * layout.members.len()).div_ceil(fair))
}

fn check_join(before: &Layout, after: &Layout) {
    let joiners: BTreeSet<NodeId> = after.members.iter().map(|m| m.id).collect();
    let old: BTreeSet<NodeId> = before.members.iter().map(|m| m.id).collect();
    let joiners: BTreeSet<NodeId> = joiners.difference(&old).copied().collect();
    for (old, new) in before.table.rows().zip(after.table.rows()) {
        for k in 1..=usize::from(before.replicas).min(before.members.len()) {
            let (old, new) = (prefix(before, old, k), prefix(after, new, k));
            assert!(
                new.difference(&old).all(|id| joiners.contains(id)),
                "k={k}: {old:?} became {new:?}, which the joiner does not explain"
            );
        }
    }
}

#[test]
fn a_cluster_grown_by_joins_stays_balanced_and_only_joiners_take() {
    for (seed, replicas) in [(1, 3), (2, 3), (3, 3), (4, 1), (5, 2), (6, 5)] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut layout = at_once(vec![member(rng.u64(..), "", 1)], replicas, 1024);
        check_valid(&layout);
        for _ in 2..=20 {
            let after = joined(&layout, member(rng.u64(..), "", 1));
            check_valid(&after);
            check_join(&layout, &after);
            for k in 1..=usize::from(replicas) {
                let (least, most) = spread(&after, k);
                assert!(
                    least >= 80 && most <= 110,
                    "{} members, first {k} of {replicas}: {least}..{most} %",
                    after.members.len()
                );
            }
            layout = after;
        }
    }
}

#[test]
fn a_join_moves_no_more_than_the_joiner_s_fair_share() {
    let members: Vec<Member> = (1..=9).map(|id| member(id, "", 1)).collect();
    let before = at_once(members, 3, 1024);
    let after = joined(&before, member(77, "", 1));
    let moved: usize = before
        .table
        .rows()
        .zip(after.table.rows())
        .map(|(old, new)| prefix(&after, new, 3).difference(&prefix(&before, old, 3)).count())
        .sum();
    let fair = 3 * 1024 / 10;
    assert!((fair * 8 / 10..=fair * 11 / 10).contains(&moved), "{moved} of {fair} slots moved");
}

#[test]
fn a_cluster_placed_at_once_is_balanced() {
    for count in 1..=20 {
        let members = (0..count).map(|i| member(xxh3_64(&[i]), "", 1)).collect();
        let layout = at_once(members, 3, 1024);
        check_valid(&layout);
        let (least, most) = spread(&layout, 3);
        assert!(least >= 80 && most <= 110, "{count} members: {least}..{most} %");
    }
}

#[test]
fn owners_lie_in_distinct_zones_while_there_are_enough() {
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let zones = rng.usize(1..=5);
        let mut layout = at_once(vec![member(rng.u64(..), "z0", 1)], 3, 256);
        for _ in 1..rng.usize(2..=14) {
            let zone = format!("z{}", rng.usize(0..zones));
            let weight = rng.u16(1..=4);
            let after = joined(&layout, member(rng.u64(..), &zone, weight));
            check_valid(&after);
            check_join(&layout, &after);
            layout = after;
        }
        let again = at_once(layout.members.clone(), 3, 256);
        check_valid(&again);
    }
}

#[test]
fn equal_zones_are_loaded_equally() {
    let mut layout = at_once(vec![member(1, "a", 1)], 3, 1024);
    for id in 2..=12 {
        let zone = ["a", "b", "c", "d"][id as usize % 4];
        layout = joined(&layout, member(id, zone, 1));
    }
    check_valid(&layout);
    let (least, most) = spread(&layout, 3);
    assert!(least >= 80 && most <= 110, "{least}..{most} %");
}

#[test]
fn a_member_carries_by_its_weight() {
    let weights = [1, 1, 2, 2, 4, 4, 8];
    let mut layout = at_once(vec![member(100, "", 1)], 3, 1024);
    for (id, weight) in (1..).zip(weights) {
        layout = joined(&layout, member(id, "", weight));
    }
    check_valid(&layout);
    let total: usize = layout.members.iter().map(|m| usize::from(m.weight)).sum();
    let carried = loads(&layout, 3);
    for (member, load) in layout.members.iter().zip(carried) {
        // The heaviest would own more than every partition once; what it cannot carry others share.
        let fair = (3 * 1024 * usize::from(member.weight) / total).min(1024);
        let bounds = fair * 8 / 10..=fair * 11 / 10 + 24;
        assert!(bounds.contains(&load), "weight {}: {load} of {fair}", member.weight);
    }
}

#[test]
fn the_order_in_which_members_are_listed_does_not_matter() {
    let mut rng = fastrand::Rng::with_seed(5);
    let members: Vec<Member> =
        (0..9).map(|i| member(rng.u64(..), ["a", "b", "c"][i % 3], 1 + (i as u16 % 3))).collect();
    let first = at_once(members.clone(), 3, 256);
    for _ in 0..5 {
        let mut shuffled = members.clone();
        rng.shuffle(&mut shuffled);
        assert_eq!(at_once(shuffled, 3, 256), first);
    }
}

#[test]
fn a_leaver_s_places_go_to_others_and_nothing_else_moves() {
    for seed in 0..10 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.u64(4..=12);
        let members: Vec<Member> = (0..count).map(|_| member(rng.u64(..), "", 1)).collect();
        let before = at_once(members.clone(), 3, 256);
        let gone = rng.usize(..members.len());
        let left: Vec<Member> = members
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != gone)
            .map(|(_, m)| m.clone())
            .collect();
        let after = changed(&before, left);
        check_valid(&after);
        let gone = members[gone].id;
        for (old, new) in before.table.rows().zip(after.table.rows()) {
            let (old, new) = (prefix(&before, old, 3), prefix(&after, new, 3));
            let lost: Vec<&NodeId> = old.difference(&new).collect();
            assert!(lost.iter().all(|id| **id == gone), "{lost:?} lost a place");
        }
        let (least, most) = spread(&after, 3);
        assert!(least >= 80 && most <= 112, "{least}..{most} %");
    }
}

#[test]
fn a_changed_weight_moves_load_and_a_changed_zone_spreads_owners_again() {
    let mut members: Vec<Member> =
        (1..=6).map(|id| member(id, ["a", "b", "c"][id as usize % 3], 1)).collect();
    let before = at_once(members.clone(), 3, 256);
    members[0].weight = 4;
    let heavier = changed(&before, members.clone());
    check_valid(&heavier);
    assert!(loads(&heavier, 3)[0] > loads(&before, 3)[0] * 14 / 10);
    members[0].zone = "d".into();
    check_valid(&changed(&heavier, members));
}

#[test]
fn one_partition_and_the_most_partitions_work() {
    check_valid(&at_once((1..=4).map(|id| member(id, "", 1)).collect(), 3, 1));
    let layout = at_once((1..=2).map(|id| member(id, "", 1)).collect(), 1, 65_536);
    check_valid(&layout);
    let (least, most) = spread(&layout, 1);
    assert!(least >= 99 && most <= 101, "{least}..{most} %");
}

/// The table of a fixed cluster. If this changes, nodes of two versions would disagree about a join: a
/// change of the algorithm needs a new protocol version, not a new number here.
#[test]
fn the_table_of_a_fixed_cluster_is_the_same_for_ever() {
    let zones = ["a", "b", "c", "a", "b"];
    let member = |i: u64| member(0x1111 * (i + 1), zones[i as usize], 1 + (i as u16 % 2));
    let mut layout = at_once(vec![member(0)], 3, 1024);
    for i in 1..5 {
        layout = joined(&layout, member(i));
    }
    let bytes: Vec<u8> = layout.table.rows().flatten().flat_map(|at| at.to_le_bytes()).collect();
    assert_eq!(bytes.len(), 2 * 5 * 1024);
    assert_eq!(xxh3_64(&bytes), GOLDEN, "{:#x}", xxh3_64(&bytes));
}

const GOLDEN: u64 = 0xb4c4_9891_d106_c950;
