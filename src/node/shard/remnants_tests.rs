//! What lies where only others own it, seen from inside a shard.

use super::super::testing::{Lone, ME, agreement, item, record, view};
use super::*;
use crate::ring::{Agreement, BucketSettings, Change, Successor};

/// A bucket of one replica beside the bucket of three.
const SINGLE: BucketId = BucketId(2);

/// Five members, and both buckets.
fn five() -> Agreement {
    let wish =
        Change::CreateBucket { id: SINGLE, name: "s".into(), settings: BucketSettings::new(1) };
    let five = agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3));
    let Ok(Successor::Next(next)) = five.apply(&wish) else { panic!("{wish:?}") };
    *next
}

/// A partition that n1 owns for three replicas and not for one.
fn owned_for_three(agreement: &Agreement) -> PartitionId {
    let layout = &agreement.layout;
    let mut all = (0..8).map(PartitionId);
    let is_so = |p: &PartitionId| layout.owns(ME, *p, 3) && !layout.owns(ME, *p, 1);
    all.find(is_so).expect("one of eight is like that")
}

fn single(partition: PartitionId) -> Bytes {
    key::item(partition, SINGLE, b"k", b"")
}

/// A node on whose disk these lie, and that has looked through everything.
fn holding(agreement: &Agreement, items: &[Bytes]) -> Lone {
    let mut lone = Lone::open(view(agreement.clone()));
    lone.turn(|shard, turn| {
        for item in items {
            assert!(shard.join_here(item, &record(1), turn));
        }
    });
    lone.settle();
    lone.turn(|shard, turn| shard.look_for_remnants(true, turn));
    lone
}

#[test]
fn what_is_owned_for_one_bucket_is_not_a_remnant_because_of_another() {
    let five = five();
    let partition = owned_for_three(&five);
    let lone = holding(&five, &[item(partition.0, "k")]);
    assert!(lone.shard.remnants.are_gone(), "{:?}", lone.shard.remnants);
}

#[test]
fn nothing_is_offered_to_oneself_and_who_has_given_to_all_others_erases() {
    let five = five();
    let partition = owned_for_three(&five);
    let mine = item(partition.0, "k");
    let mut lone = holding(&five, &[mine.clone(), single(partition)]);
    let layout = five.layout.clone();
    let open = lone.shard.remnants.open(&layout, ME);
    let owners: Vec<_> = layout.preference_list(partition, 3).owners().collect();
    assert_eq!((open.len(), owners.len()), (2, 3));
    for (which, owner) in &open {
        assert!(*which == partition && owners.contains(owner) && *owner != ME, "{open:?}");
    }
    let kept = |lone: &mut Lone| lone.latest(&single(partition)).is_some();
    // To one of them is not enough, and what is only on its way counts for nothing.
    lone.shard.remnants.offered(partition, open[0].1, false);
    lone.shard.remnants.offered(partition, open[1].1, true);
    lone.turn(|shard, turn| shard.erase_remnants(turn));
    lone.settle();
    assert!(kept(&mut lone));
    lone.shard.remnants.offered(partition, open[1].1, false);
    lone.turn(|shard, turn| shard.erase_remnants(turn));
    lone.settle();
    assert!(!kept(&mut lone), "every owner has it");
    assert!(lone.latest(&mine).is_some(), "that is its own");
    assert!(lone.shard.remnants.are_gone());
}
