//! Hints, seen from inside a shard.

use super::super::testing::{Lone, agreement, item, view, without};
use super::*;
use crate::ring::BucketSettings;

fn five() -> crate::ring::Agreement {
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
