//! What the table promises, over clusters that grow node by node.

use super::*;
use crate::id::{ClusterId, Lineage, PartitionId};
use crate::ring::Layout;
use xxhash_rust::xxh3::xxh3_64;

fn member(id: u64, zone: &str, weight: u16) -> Member {
    let id = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Member {
        id: NodeId(id),
        lineage: Lineage(id ^ 1),
        name: format!("n{id}"),
        zone: zone.into(),
        weight,
        rebuild: false,
    }
}

fn q(count: u32) -> Partitions {
    Partitions::new(count).expect("a power of two")
}

fn grow(layout: &mut Layout, member: Member) {
    layout.members.push(member);
    layout.place();
}

fn founded(first: Member, replicas: u8) -> Layout {
    Layout::found(ClusterId(1), q(1024), replicas, first)
}

fn owners(layout: &Layout, partition: u16) -> Vec<NodeId> {
    layout.preference_list(PartitionId(partition), layout.replicas).owners.to_vec()
}

#[test]
fn owners_are_distinct_and_load_is_even_from_one_to_twenty_nodes() {
    for replicas in [1, 2, 3, 5] {
        let mut layout = founded(member(1, "", 1), replicas);
        for id in 2..=20 {
            grow(&mut layout, member(id, "", 1));
            assert_eq!(layout.validate(), Ok(()));
            let slots = usize::from(replicas).min(layout.members.len());
            let fair = (1024 * slots) as f64 / layout.members.len() as f64;
            for owned in layout.owned() {
                let ratio = owned as f64 / fair;
                assert!((0.8..=1.1).contains(&ratio), "{id} nodes, {replicas}: {ratio}");
            }
            assert!((0..1024).all(|p| owners(&layout, p).len() == slots));
        }
    }
}

#[test]
fn a_join_moves_only_what_the_joiner_takes() {
    for zones in [0, 3] {
        let zone = |id: u64| if zones == 0 { String::new() } else { format!("z{}", id % zones) };
        let mut layout = founded(member(1, &zone(1), 1), 3);
        for id in 2..=20 {
            let before = layout.clone();
            let joiner = member(id, &zone(id), 1);
            grow(&mut layout, joiner.clone());
            if before.members.len() < 3 {
                continue;
            }
            for p in 0..1024 {
                let (old, new) = (owners(&before, p), owners(&layout, p));
                let came: Vec<_> = new.iter().filter(|node| !old.contains(node)).collect();
                assert!(came.is_empty() || came == [&joiner.id], "{id}: {old:?} {new:?}");
            }
        }
    }
}

#[test]
fn zones_are_distinct_while_there_are_enough() {
    let mut layout = founded(member(1, "a", 1), 3);
    for (id, zone) in [(2, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c"), (7, "a")] {
        grow(&mut layout, member(id, zone, 1));
        let zones: BTreeSet<&str> = layout.members.iter().map(|m| m.zone.as_str()).collect();
        for p in 0..1024 {
            let zone = |node: &NodeId| layout.member(*node).map(|m| m.zone.as_str());
            let spread: BTreeSet<_> = owners(&layout, p).iter().map(zone).collect();
            assert_eq!(spread.len(), zones.len().min(3), "partition {p} with {id} nodes");
        }
    }
}

#[test]
fn weights_are_kept() {
    let mut layout = founded(member(1, "", 1), 3);
    for id in 2..=8 {
        grow(&mut layout, member(id, "", if id == 8 { 2 } else { 1 }));
    }
    let fair = 1024.0 * 3.0 / 9.0;
    for (member, owned) in layout.members.iter().zip(layout.owned()) {
        let ratio = owned as f64 / (fair * f64::from(member.weight));
        assert!((0.8..=1.1).contains(&ratio), "{} {ratio}", member.weight);
    }
}

#[test]
fn a_leave_moves_only_what_the_leaver_had() {
    let mut layout = founded(member(1, "", 1), 3);
    (2..=7).for_each(|id| grow(&mut layout, member(id, "", 1)));
    let before = layout.clone();
    let gone = layout.members.remove(3).id;
    layout.place();
    for p in 0..1024 {
        let kept = owners(&before, p).into_iter().filter(|node| *node != gone);
        assert!(kept.clone().all(|node| owners(&layout, p).contains(&node)), "partition {p}");
    }
    assert_eq!(layout.validate(), Ok(()));
}

#[test]
fn the_table_depends_on_members_not_on_the_order_they_are_named_in() {
    let members: Vec<Member> = (1..=9).map(|id| member(id, "", 1)).collect();
    let table = place(&members, q(256), 3, &Table::default());
    let mut shuffled = members.clone();
    shuffled.reverse();
    shuffled.sort_by_key(|m| m.id);
    assert_eq!(place(&shuffled, q(256), 3, &Table::default()), table);
}

#[test]
fn fallbacks_are_the_positions_after_the_owners() {
    let mut layout = founded(member(1, "", 1), 3);
    (2..=5).for_each(|id| grow(&mut layout, member(id, "", 1)));
    for p in 0..1024 {
        let list = layout.preference_list(PartitionId(p), 3);
        assert_eq!((list.owners.len(), list.fallbacks.len()), (3, 2));
        let one = layout.preference_list(PartitionId(p), 1);
        assert_eq!((one.owners.len(), one.fallbacks.len()), (1, 1));
        assert_eq!(one.owners[0], list.owners[0]);
        assert_eq!(one.fallbacks[0], list.owners[1]);
    }
}

#[test]
fn the_table_of_five_nodes_is_golden() {
    let mut layout = founded(member(1, "a", 1), 3);
    (2..=5).for_each(|id| grow(&mut layout, member(id, ["a", "b", "c"][id as usize % 3], 1)));
    let bytes = rmp_serde::to_vec(&layout).expect("encodes");
    assert!(bytes.len() < 16 << 10, "{} bytes", bytes.len());
    let back: Layout = rmp_serde::from_slice(&bytes).expect("decodes");
    assert_eq!(back, layout);
    assert_eq!(xxh3_64(&bytes), GOLDEN);
}

const GOLDEN: u64 = 0;
