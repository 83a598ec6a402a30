//! Trees against a fresh look at the disk.

use super::super::testing::{Lone, agreement, item, next_epoch, record, view};
use super::*;
use crate::node::view::View;
use crate::ring::BucketSettings;
use crate::store::Batch;
use crate::store::Source;
use crate::store::memory::Survivors;
use proptest::prelude::*;

/// Three members own everything; buckets have all three as owners.
fn three() -> View {
    view(agreement(&[1, 2, 3], 3, BucketSettings::new(3)))
}

fn owned() -> impl Iterator<Item = PartitionId> {
    (0..8).map(PartitionId)
}

/// What the trees would be if they were built from what is durable now.
fn computed(lone: &Lone) -> Vec<Option<u128>> {
    let mut trees = Trees::open(lone.shard.trees.shape, lone.shard.trees.terms.clone(), &lone.disk)
        .expect("a healthy disk");
    trees.found.clear();
    let erased = trees.keep(owned(), Instant(0));
    assert!(erased.is_empty());
    while trees.is_incomplete() {
        trees.look(7, |_| Some(3), &lone.disk).expect("a healthy disk");
    }
    owned().map(|partition| trees.root(partition, 0)).collect()
}

fn kept(lone: &Lone) -> Vec<Option<u128>> {
    owned().map(|partition| lone.shard.trees.root(partition, 0)).collect()
}

fn checkpoints(lone: &Lone) -> usize {
    let (from, to) = checkpoint_range();
    lone.disk.scan(&from, &to, 99).expect("a healthy disk").len()
}

#[derive(Clone, Debug)]
enum Step {
    Join(u16, u8, u64),
    Erase(u16, u8),
    Rot(u16, u8),
    Sync(usize),
    Full(bool),
    Doubt(u16),
    Pass(u64),
    Crash(usize),
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3u16, 0..6u8, 1..9u64).prop_map(|(p, k, i)| Step::Join(p, k, i)),
        2 => (0..3u16, 0..6u8).prop_map(|(p, k)| Step::Erase(p, k)),
        1 => (0..3u16, 0..6u8).prop_map(|(p, k)| Step::Rot(p, k)),
        4 => (1..4usize).prop_map(Step::Sync),
        1 => any::<bool>().prop_map(Step::Full),
        1 => (0..3u16).prop_map(Step::Doubt),
        3 => prop_oneof![Just(10), Just(1_000), Just(11_000)].prop_map(Step::Pass),
        1 => (0..3usize).prop_map(Step::Crash),
        1 => Just(Step::Stop),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Writes, erasures, rot, refused batches, crashes that lose what was not synced, checkpoints.
    #[test]
    fn a_tree_is_what_a_scan_of_the_disk_would_make_of_it(steps in steps()) {
        let mut lone = Lone::open(three());
        for step in steps {
            match step {
                Step::Join(partition, key, incarnation) => {
                    let item = item(partition, &key.to_string());
                    lone.turn(|shard, turn| shard.join_here(&item, &record(incarnation), turn));
                }
                Step::Erase(partition, key) => {
                    let item = item(partition, &key.to_string());
                    lone.turn(|shard, turn| {
                        if shard.disk.is_none() && let Ok((_, before)) = shard.latest(&item, turn) {
                            shard.stage(item, before, None, turn);
                        }
                    });
                }
                Step::Rot(partition, key) => lone.disk.rot(&item(partition, &key.to_string())),
                Step::Sync(batches) => {
                    lone.disk.sync(batches);
                }
                Step::Full(full) => lone.disk.set_full(full),
                Step::Doubt(partition) => lone.turn(|shard, turn| {
                    let erase = shard.trees.doubt(PartitionId(partition));
                    erase.into_iter().for_each(|change| turn.outbox.persist(change));
                }),
                Step::Pass(ms) => lone.pass(ms),
                Step::Crash(survivors) => {
                    lone.disk.set_full(false);
                    lone.disk.crash(Survivors::Whole(survivors));
                    lone = lone.again(three());
                }
                Step::Stop => {
                    lone.disk.set_full(false);
                    lone.turn(|shard, turn| shard.end_cleanly(turn));
                    lone.disk.sync(usize::MAX);
                    lone = lone.again(three());
                }
            }
            // What is not known is not compared; what is known is right at every moment.
            lone.turn(|_, _| ());
            let expected = computed(&lone);
            for (kept, computed) in kept(&lone).into_iter().zip(expected) {
                prop_assert!(kept.is_none() || kept == computed);
            }
        }
        lone.disk.set_full(false);
        lone.run_for(3_000);
        prop_assert_eq!(kept(&lone), computed(&lone));
    }
}

#[test]
fn what_was_quiet_is_not_scanned_again_after_a_crash() {
    let mut lone = Lone::open(three());
    for n in 0..40u64 {
        let item = item(1, &n.to_string());
        lone.turn(|shard, turn| shard.join_here(&item, &record(n + 1), turn));
    }
    lone.run_for(12_000);
    assert_eq!(checkpoints(&lone), 8, "everything was quiet");
    let late = item(2, "late");
    lone.turn(|shard, turn| shard.join_here(&late, &record(1), turn));
    lone.settle();
    assert_eq!(checkpoints(&lone), 7, "what is no longer true is gone");
    lone.disk.crash(Survivors::Whole(0));
    lone = lone.again(three());
    lone.run_for(100);
    assert_eq!(lone.shard.counters.tree_heads, 1, "only the partition that was written to");
    assert_eq!(kept(&lone), computed(&lone));
}

#[test]
fn after_an_orderly_stop_nothing_is_scanned() {
    let mut lone = Lone::open(three());
    for n in 0..40u64 {
        let item = item((n % 8) as u16, &n.to_string());
        lone.turn(|shard, turn| shard.join_here(&item, &record(n + 1), turn));
    }
    lone.settle();
    lone.run_for(100);
    lone.turn(|shard, turn| shard.end_cleanly(turn));
    lone.disk.sync(usize::MAX);
    lone = lone.again(three());
    lone.run_for(100);
    assert_eq!(lone.shard.counters.tree_heads, 0);
    assert_eq!(kept(&lone), computed(&lone));
}

/// Else a node that owns a partition again, after others wrote to it as to a stand-in, would trust the old one.
#[test]
fn a_checkpoint_of_what_is_not_owned_any_more_is_erased() {
    let mut lone = Lone::open(three());
    lone.run_for(12_000);
    assert_eq!(checkpoints(&lone), 8);
    let mut others = next_epoch(agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3)));
    others.layout.cluster = lone.shard.view.agreement.layout.cluster;
    let mine = others.layout.partitions_owned(lone.shard.view.me, 3).count();
    assert!(mine < 8);
    lone.install(view(others.clone()));
    lone.settle();
    assert_eq!(checkpoints(&lone), mine);
    // And where the ownership changed while the process was away.
    let elsewhere = checkpoint_key(
        (0..8)
            .map(PartitionId)
            .find(|p| lone.shard.slots.owned().all(|(o, _)| o != *p))
            .expect("one"),
    );
    let change = Change::Put { key: elsewhere, head: Bytes::new(), body: Bytes::new() };
    lone.disk.commit(Batch { changes: vec![change] }).expect("room");
    lone.settle();
    assert_eq!(checkpoints(&lone), mine + 1);
    lone = lone.again(view(others));
    lone.settle();
    assert_eq!(checkpoints(&lone), mine);
}

/// Else the next life would trust it: of the tree that was doubted, or of a partition that others wrote meanwhile.
#[test]
fn a_checkpoint_that_a_full_disk_refused_to_erase_goes_as_soon_as_there_is_room() {
    let mut lone = Lone::open(three());
    lone.run_for(12_000);
    assert_eq!(checkpoints(&lone), 8);
    lone.disk.set_full(true);
    lone.turn(|shard, turn| {
        let erase = shard.trees.doubt(PartitionId(3)).expect("there is one");
        turn.outbox.persist(erase);
    });
    assert!(lone.shard.disk_error().is_some());
    lone.disk.set_full(false);
    for _ in 0..20 {
        lone.disk.sync(usize::MAX);
        lone.pass(10);
    }
    assert_eq!(lone.shard.disk_error(), None);
    assert_eq!(checkpoints(&lone), 7);
}

/// The tree is told nothing of one write, as a bug would have it.
#[test]
fn a_scrub_finds_a_tree_that_is_wrong_and_has_it_built_again() {
    let mut lone = Lone::open(three());
    lone.settle();
    lone.run_for(500);
    let put = |lone: &mut Lone, name: &str| {
        let item = item(1, name);
        lone.turn(|shard, turn| shard.join_here(&item, &record(5), turn));
        lone.settle();
    };
    put(&mut lone, "seen");
    guard::take_out(Some(Guard::TreeIsKept));
    put(&mut lone, "unseen");
    guard::take_out(None);
    assert_ne!(kept(&lone), computed(&lone));
    lone.turn(|shard, turn| shard.scrub_json(true, None, turn));
    // Writes go on meanwhile, and are in both trees.
    for number in 0..40 {
        put(&mut lone, &format!("later {number}"));
        lone.run_for(20);
    }
    lone.run_for(3_000);
    assert_eq!(lone.shard.counters.scrubs, 1);
    assert_eq!(lone.shard.counters.scrub_trees_differed, 1);
    assert_eq!(kept(&lone), computed(&lone));
    lone.turn(|shard, turn| shard.scrub_json(true, None, turn));
    lone.run_for(3_000);
    assert_eq!((lone.shard.counters.scrubs, lone.shard.counters.scrub_trees_differed), (2, 1));
}
