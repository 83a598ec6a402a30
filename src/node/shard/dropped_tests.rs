//! What becomes of a dropped bucket's items, seen from inside a shard.

use super::super::testing::{BUCKET, Lone, agreement, item, record, view};
use super::*;
use crate::id::NodeId;
use crate::ring::{Agreement, BucketSettings, Change, Successor};
use crate::store::Source;
use crate::store::memory::Survivors;

/// Another bucket, which stays.
const OTHER: BucketId = BucketId(2);

fn next(agreement: &Agreement, wish: &Change) -> Agreement {
    let Ok(Successor::Next(next)) = agreement.apply(wish) else { panic!("{wish:?}") };
    *next
}

fn three() -> Agreement {
    let settings = BucketSettings::new(3);
    let three = agreement(&[1, 2, 3], 3, settings.clone());
    next(&three, &Change::CreateBucket { id: OTHER, name: "o".into(), settings })
}

fn without_b(agreement: &Agreement) -> Agreement {
    next(agreement, &Change::DropBucket { name: "b".into(), id: BUCKET })
}

fn other(partition: u16, name: &str) -> Bytes {
    key::item(PartitionId(partition), OTHER, name.as_bytes(), b"")
}

/// A node that holds these, with trees that know it.
fn holding(agreement: &Agreement, items: &[Bytes]) -> Lone {
    let mut lone = Lone::open(view(agreement.clone()));
    lone.turn(|shard, turn| {
        for item in items {
            assert!(shard.join_here(item, &record(1), turn));
        }
    });
    lone.settle();
    grown(&mut lone);
    lone
}

fn grown(lone: &mut Lone) {
    while lone.shard.trees.is_incomplete() {
        lone.turn(|shard, turn| shard.tend_trees(turn));
    }
}

fn roots(lone: &Lone) -> Vec<Option<u128>> {
    (0..8).map(|partition| lone.shard.trees.root(PartitionId(partition), 0)).collect()
}

fn items(lone: &Lone) -> usize {
    let (from, to) = key::data_range();
    lone.disk.scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

/// Until nothing is left to be done now.
fn erased(lone: &mut Lone) {
    for _ in 0..100 {
        lone.turn(|shard, turn| shard.tend_dropped(turn));
        lone.settle();
        if !lone.shard.dropped.is_busy() {
            return;
        }
    }
    panic!("it never ends: {:?}", lone.shard.dropped);
}

fn many() -> Vec<Bytes> {
    (0..8).flat_map(|p| (0..200).map(move |k| item(p, &format!("k{k}")))).collect()
}

#[test]
fn what_was_dropped_goes_and_what_lies_beside_it_stays_in_the_trees_too() {
    let three = three();
    let kept = [other(0, "k"), other(5, "k")];
    let mut lone = holding(&three, &[&many()[..], &kept].concat());
    assert_eq!(items(&lone), 1602);
    lone.install(view(without_b(&three)));
    erased(&mut lone);
    assert_eq!(items(&lone), 2);
    assert!(kept.iter().all(|key| lone.latest(key).is_some()));
    let only_kept = holding(&three, &kept);
    assert_eq!(roots(&lone), roots(&only_kept), "as if it had never been there");
}

#[test]
fn nobody_writes_to_it_any_more_and_what_was_on_its_way_goes_later() {
    let three = three();
    let mut lone = holding(&three, &[item(1, "a")]);
    // Staged in the turn in which the news comes.
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&item(2, "b"), &record(1), turn));
        shard.install(view(without_b(&three)), turn);
        shard.tend_dropped(turn);
    });
    lone.settle();
    erased(&mut lone);
    // A read of before the news would mend what it saw, as late as it may.
    lone.turn(|shard, turn| assert!(shard.join_here(&item(3, "c"), &record(1), turn)));
    lone.settle();
    assert_eq!(items(&lone), 1, "b, and no c");
    lone.pass(66_000);
    erased(&mut lone);
    assert_eq!(items(&lone), 0);
    assert!(lone.shard.dropped.again.is_empty());
}

#[test]
fn what_a_full_disk_did_not_take_is_erased_when_there_is_room() {
    let three = three();
    let mut lone = holding(&three, &many());
    lone.install(view(without_b(&three)));
    lone.disk.set_full(true);
    lone.pass(70_000);
    lone.run_for(200);
    assert_eq!(items(&lone), 1600);
    lone.disk.set_full(false);
    lone.run_for(2_000);
    erased(&mut lone);
    assert_eq!(items(&lone), 0);
}

#[test]
fn hints_for_it_go_and_others_stay() {
    let agreement = {
        let settings = BucketSettings::new(1);
        let five = super::super::testing::agreement(&[1, 2, 3], 3, settings.clone());
        next(&five, &Change::CreateBucket { id: OTHER, name: "o".into(), settings })
    };
    let owner = NodeId(2);
    let mut lone = holding(&agreement, &[item(0, "k"), other(0, "k")]);
    lone.turn(|shard, turn| {
        shard.keep_hint(owner, &item(0, "k"), turn);
        shard.keep_hint(owner, &other(0, "k"), turn);
    });
    lone.settle();
    lone.install(view(without_b(&agreement)));
    erased(&mut lone);
    let (from, to) = key::hint_range(None);
    let left = lone.disk.scan(&from, &to, 9).expect("a healthy disk");
    assert_eq!(
        left.iter().map(|(hint, _)| hint.clone()).collect::<Vec<_>>(),
        [key::hint(owner, &other(0, "k"))]
    );
    assert!(lone.latest(&other(0, "k")).is_some() && lone.latest(&item(0, "k")).is_none());
}

#[test]
fn a_process_that_died_while_it_erased_goes_on_when_it_starts() {
    let three = three();
    let mut lone = holding(&three, &many());
    let gone = without_b(&three);
    lone.install(view(gone.clone()));
    lone.turn(|shard, turn| shard.tend_dropped(turn));
    lone.settle();
    assert!((1..1600).contains(&items(&lone)), "{} are left", items(&lone));
    lone.disk.crash(Survivors::Whole(0));
    let mut lone = lone.again(view(gone));
    erased(&mut lone);
    assert_eq!(items(&lone), 0);
}

#[test]
fn owners_neither_take_nor_give_it_while_one_has_erased_it() {
    let three = three();
    let key = item(0, "k");
    let mut lone = holding(&three, std::slice::from_ref(&key));
    let (partition, with) = (PartitionId(0), NodeId(2));
    assert!(lone.shard.is_shared(&key, partition, with));
    lone.install(view(without_b(&three)));
    assert!(!lone.shard.is_shared(&key, partition, with));
    assert!(lone.shard.is_dropped(&key) && !lone.shard.is_dropped(&other(0, "k")));
}
