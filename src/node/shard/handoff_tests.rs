//! Hints, seen from inside a shard.

use super::super::testing::{Lone, ME, agreement, item, next_epoch, record, view, without};
use super::*;
use crate::id::PartitionId;
use crate::node::view::View;
use crate::ring::{Agreement, BucketSettings, Role};
use crate::store::Source;

fn five() -> Agreement {
    agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3))
}

#[test]
fn a_node_that_is_never_idle_remembers_no_more_hints_than_are_unflushed() {
    let mut lone = Lone::open(view(five()));
    for n in 0..500 {
        let item = item(0, &n.to_string());
        lone.turn(|shard, turn| shard.keep_hint(NodeId(2), &item, turn));
        // The disk keeps up and is never done.
        while lone.disk.unsynced() > 1 {
            lone.disk.sync(1);
        }
        assert_eq!(lone.disk.unsynced(), 1);
        assert!(lone.shard.handoff.unflushed.iter().count() <= 2, "after {n} hints");
    }
    lone.settle();
    assert_eq!(lone.shard.handoff.pending_for(NodeId(2)), 500);
    assert_eq!(Handoff::open(&lone.disk).expect("a healthy disk").total(), 500);
    assert!(lone.shard.handoff.is_settled());
}

#[test]
fn hints_are_counted_again_once_those_before_a_full_disk_are_durable() {
    let mut lone = Lone::open(without(view(five()), 2));
    let keep = |lone: &mut Lone, name: &str| {
        let item = item(0, name);
        lone.turn(|shard, turn| shard.keep_hint(NodeId(2), &item, turn));
    };
    keep(&mut lone, "a");
    lone.disk.set_full(true);
    keep(&mut lone, "b");
    lone.disk.set_full(false);
    // The first is still on its way: the store does not show it to who counts now.
    for _ in 0..20 {
        lone.pass(100);
    }
    assert!(lone.shard.disk_error().is_some());
    lone.run_for(200);
    assert_eq!(lone.shard.disk_error(), None);
    assert_eq!(lone.shard.handoff.pending_for(NodeId(2)), 1, "a is kept, b was refused");
}

/// A node that stands in for A, the first owner of a partition, and that view after A has left: the owners
/// are others then.
fn story_27() -> (Lone, View, NodeId, Bytes) {
    let before = five();
    let mut after = next_epoch(agreement(&[1, 3, 4, 5, 6], 3, BucketSettings::new(3)));
    after.layout.cluster = before.layout.cluster;
    let stands_in = |agreement: &Agreement, partition: u16| {
        agreement.layout.role(ME, PartitionId(partition), 3) == Role::Fallback
    };
    let owned_by_2 = |partition: u16| {
        before.layout.preference_list(PartitionId(partition), 3).owners().any(|o| o == NodeId(2))
    };
    let partition = (0..8)
        .find(|p| stands_in(&before, *p) && owned_by_2(*p) && stands_in(&after, *p))
        .expect("one of eight is like that");
    let lone = Lone::open(without(view(before), 2));
    (lone, view(after), NodeId(2), item(partition, "k"))
}

/// Every hint on the disk.
fn on_disk(lone: &Lone) -> Vec<NodeId> {
    let (from, to) = key::hint_range(None);
    let all = lone.disk.scan(&from, &to, 99).expect("a healthy disk");
    all.iter().filter_map(|(hint, _)| Some(key::parse_hint(hint)?.0)).collect()
}

#[test]
fn story_27_the_hint_of_an_owner_that_left_goes_to_every_present_owner() {
    let (mut lone, after, gone, item) = story_27();
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(gone, &item, turn);
    });
    lone.run_for(1_000);
    assert_eq!(on_disk(&lone), [gone]);
    let owners = owners_of(&after, &item);
    lone.sent.clear();
    lone.install(after);
    lone.run_for(1_000);
    assert_eq!(on_disk(&lone), owners, "at no moment is there none");
    let mut handed: Vec<(NodeId, u64)> = Vec::new();
    for (to, header, message) in &lone.sent {
        if matches!(message, Data::Replicate { key, hint_for: None, .. } if *key == item) {
            handed.push((*to, header.request));
        }
    }
    assert_eq!(handed.iter().map(|(to, _)| *to).collect::<Vec<_>>(), owners);
    for (at, (owner, request)) in handed.iter().enumerate() {
        assert!(lone.disk.get(&item).expect("readable").is_some(), "{at} owners have it");
        lone.hear(owner.0, *request, Data::Replicated);
        lone.run_for(100);
    }
    assert_eq!(on_disk(&lone), []);
    assert_eq!(lone.disk.get(&item), Ok(None), "they have it, and nothing of it is owned here");
}

#[test]
fn a_hint_that_was_on_its_way_to_the_disk_when_the_owners_changed_is_retargeted_too() {
    let (mut lone, after, gone, item) = story_27();
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(gone, &item, turn);
    });
    let owners = owners_of(&after, &item);
    lone.install(after);
    // The review finds nothing in the store and is through before the hint is there.
    for _ in 0..20 {
        lone.pass(100);
    }
    lone.run_for(1_000);
    assert_eq!(on_disk(&lone), owners);
}

#[test]
fn a_node_that_was_down_while_the_owners_changed_retargets_when_it_starts() {
    let (mut lone, after, gone, item) = story_27();
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(gone, &item, turn);
    });
    lone.settle();
    let owners = owners_of(&after, &item);
    let mut lone = lone.again(after);
    lone.run_for(1_000);
    assert_eq!(on_disk(&lone), owners);
}

fn owners_of(view: &View, item: &Bytes) -> Vec<NodeId> {
    let partition = key::partition_of_item(item).expect("an item");
    let mut owners: Vec<NodeId> =
        view.agreement.layout.preference_list(partition, 3).owners().collect();
    owners.sort();
    owners
}

#[test]
fn a_hinted_item_that_cannot_be_read_is_given_to_nobody_and_what_is_newer_is() {
    let (mut lone, _, owner, item) = story_27();
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(owner, &item, turn);
    });
    lone.settle();
    assert_eq!(lone.shard.handoff.pending_for(owner), 1);
    lone.disk.rot(&item);
    // The owner is back, and asks whether something is kept for it.
    lone.install(view(five()));
    lone.run_for(200);
    assert_eq!((lone.shard.handoff.total(), on_disk(&lone)), (0, vec![]));
    assert_eq!(lone.disk.head(&item), Ok(None), "it would keep every round of its partition open");
    assert_eq!(lone.shard.counters.hints_unreadable, 1);
    // A newer version comes: that one is for the owner again.
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(owner, &item, turn);
    });
    lone.run_for(200);
    assert_eq!(lone.shard.handoff.pending_for(owner), 1);
    assert!(lone.sent.iter().any(|(to, _, m)| *to == owner && matches!(m, Data::Replicate { .. })));
}

/// What this node owns it merges again from the others, and then it has something to give.
#[test]
fn an_owner_keeps_the_hint_for_an_item_of_its_own_that_cannot_be_read_and_nobody_waits_for_it() {
    let view = view(five());
    let layout = &view.agreement.layout;
    let list = |p: u16| layout.preference_list(PartitionId(p), 3).owners().collect::<Vec<_>>();
    let partition = (0..8).find(|p| list(*p).contains(&ME)).expect("one of eight");
    let other = list(partition).into_iter().find(|owner| *owner != ME).expect("two others");
    let item = item(partition, "k");
    let mut lone = Lone::open(without(view.clone(), other.0));
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item, &record(1), turn));
        shard.keep_hint(other, &item, turn);
    });
    lone.settle();
    lone.disk.rot(&item);
    lone.install(view);
    lone.run_for(200);
    assert_eq!(lone.shard.handoff.pending_for(other), 0);
    assert_eq!((lone.shard.handoff.total(), on_disk(&lone)), (1, vec![other]));
    assert!(lone.shard.doubts.contains(&item));
}
