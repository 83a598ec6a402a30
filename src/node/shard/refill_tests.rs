//! A node that has come back empty, beside a backup that alone has some of what it held.

use super::super::lender::{Backup, Owners, bring, digest_on, late, late_in};
use super::super::restored::RestoredIs;
use super::super::testing::{BUCKET, Lone, ME, item, record};
use super::*;
use crate::id::{Lineage, NodeId};
use crate::store::Batch;
use std::sync::atomic::Ordering::SeqCst;

/// So many items of the bucket in each of the eight partitions.
fn everywhere(each: u64) -> BTreeMap<Bytes, Record> {
    let key = |p, i| (item(p, &format!("k{i}")), record(1 + u64::from(p) * each + i));
    (0..8).flat_map(|p| (0..each).map(move |i| key(p, i))).collect()
}

fn is_mine(lone: &Lone, key: &[u8]) -> bool {
    let partition = key::partition_of_item(key).expect("an item");
    lone.shard.view.agreement.layout.owns(ME, partition, 1)
}

fn taken(lone: &Lone, items: &BTreeMap<Bytes, Record>) -> usize {
    items.iter().filter(|(key, r)| digest_on(lone, key) == Some(r.siblings.digest())).count()
}

#[test]
fn what_no_other_owner_has_is_taken_wholly_before_the_slot_counts_and_nothing_else_is() {
    let mut lone = Lone::open(late(1));
    let all = everywhere(300);
    let backup = Backup::of(&all);
    backup.items.refuse_reads(true);
    bring(&mut lone, &backup);
    let mine: BTreeMap<Bytes, Record> = all
        .iter()
        .filter(|(key, _)| is_mine(&lone, key))
        .map(|(k, r)| (k.clone(), r.clone()))
        .collect();
    let owned = |p: &PartitionId| lone.shard.view.agreement.layout.owns(ME, *p, 1);
    let partitions: Vec<PartitionId> = (0..8).map(PartitionId).filter(owned).collect();
    assert!((2..8).contains(&partitions.len()), "{partitions:?}");
    let mut owners = Owners::holding(BTreeMap::new());
    owners.answer_for(&mut lone, 5_000);
    let rebuilding = partitions.iter().filter(|p| lone.shard.is_filling(**p)).count();
    assert_eq!(rebuilding, partitions.len(), "all owners were merged, and something is missing");
    assert_eq!(lone.shard.slots.rebuilding(), partitions.len(), "the others are complete");
    assert_eq!(lone.shard.restored(), RestoredIs::Wanted);
    backup.items.refuse_reads(false);
    let before = backup.reads.load(SeqCst);
    lone.run_for(50);
    let looks = backup.reads.load(SeqCst) - before;
    assert!((1..=LOOKS as u64).contains(&looks), "{looks} in a tick");
    for _ in 0..200 {
        owners.answer_for(&mut lone, 50);
        for partition in partitions.iter().filter(|p| !lone.shard.is_filling(**p)) {
            let (from, to) = key::partition_range(*partition);
            let held = lone.disk.scan(&from, &to, 1_000).expect("a healthy disk");
            assert_eq!(held.len(), 300, "{partition} is called complete");
        }
    }
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    assert_eq!((taken(&lone, &all), taken(&lone, &mine)), (mine.len(), mine.len()));
    assert_eq!(lone.shard.counters.restored_items, mine.len() as u64, "each once");
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
    assert!(owners.fetched.is_empty() && owners.pushed.is_empty());
}

/// Else a slot is called complete that lacks what was in the batch.
#[test]
fn what_a_full_disk_has_refused_is_taken_again() {
    let mut lone = Lone::open(late(1));
    let all = everywhere(20);
    let backup = Backup::of(&all);
    let mut owners = Owners::holding(BTreeMap::new());
    *lone.shard.restored_mut() = Restored::Opening;
    owners.answer_for(&mut lone, 3_000);
    assert_eq!((owners.questions, lone.shard.slots.rebuilding()), (0, 8), "it is not open yet");
    lone.disk.set_full(true);
    bring(&mut lone, &backup);
    owners.answer_for(&mut lone, 1_000);
    assert!(lone.shard.disk_error().is_some(), "it was refused");
    assert!(backup.reads.load(SeqCst) > 0);
    lone.disk.set_full(false);
    owners.answer_for(&mut lone, 8_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    let mine = all.keys().filter(|key| is_mine(&lone, key)).count();
    assert_eq!(taken(&lone, &all), mine);
}

#[test]
fn a_process_that_dies_in_the_middle_goes_on_where_slots_are_not_complete() {
    let mut lone = Lone::open(late(1));
    let all = everywhere(1_000);
    bring(&mut lone, &Backup::of(&all));
    let mut owners = Owners::holding(BTreeMap::new());
    lone.run_for(150);
    lone.disk.sync(usize::MAX);
    let some = taken(&lone, &all);
    let mine = all.keys().filter(|key| is_mine(&lone, key)).count();
    assert!((1..mine).contains(&some), "{some} of {mine}");
    let mut lone = lone.again(late(1));
    bring(&mut lone, &Backup::of(&all));
    owners.answer_for(&mut lone, 8_000);
    assert_eq!((taken(&lone, &all), lone.shard.slots.rebuilding()), (mine, 0));
    assert_eq!(lone.shard.counters.restored_items, (mine - some) as u64, "each once");
}

/// Else what only the backup has is answered with "not found", for good, because a disk was full for a while.
#[test]
fn a_backup_that_cannot_be_read_for_now_holds_up_what_it_alone_has_and_nothing_else() {
    let mut lone = Lone::open(late(1));
    let backup = Backup::of(&everywhere(1));
    bring(&mut lone, &backup);
    backup.breaks.store(true, SeqCst);
    let mut owners = Owners::holding(BTreeMap::new());
    owners.answer_for(&mut lone, 5_000);
    let owned = |p: &PartitionId| lone.shard.view.agreement.layout.owns(ME, *p, 1);
    let partitions: Vec<PartitionId> = (0..8).map(PartitionId).filter(owned).collect();
    assert_eq!(lone.shard.slots.rebuilding(), partitions.len(), "the others are complete");
    assert_eq!(lone.shard.restored(), RestoredIs::Unusable);
    // As a driver does: it is closed elsewhere, and opened again.
    let broken = std::mem::replace(lone.shard.restored_mut(), Restored::Away(None));
    assert!(broken.into_source().is_some());
    owners.answer_for(&mut lone, 3_000);
    assert_eq!(lone.shard.slots.rebuilding(), partitions.len());
    assert_eq!(lone.shard.restored(), RestoredIs::Wanted);
    backup.breaks.store(false, SeqCst);
    bring(&mut lone, &backup);
    owners.answer_for(&mut lone, 3_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    assert_eq!(taken(&lone, &everywhere(1)), partitions.len());
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
}

/// Whose copy is newer is for versions to say, not for who was here first.
#[test]
fn what_was_written_since_is_joined_with_what_the_backup_has() {
    let mut lone = Lone::open(late(1));
    let owned = |p: &u16| lone.shard.view.agreement.layout.owns(ME, PartitionId(*p), 1);
    let partition = (0..8).find(owned).expect("some are");
    let key = item(partition, "k");
    assert_eq!(key::bucket_of_item(&key), Some(BUCKET));
    lone.turn(|shard, turn| assert!(shard.join_here(&key, &record(2), turn)));
    lone.settle();
    bring(&mut lone, &Backup::of(&BTreeMap::from([(key.clone(), record(1))])));
    Owners::holding(BTreeMap::new()).answer_for(&mut lone, 5_000);
    let here = lone.latest(&key).expect("there");
    assert_eq!(here.siblings.len(), 2);
    assert_eq!(lone.shard.view.me, NodeId(1));
}

/// Else what was deleted and collected since it was taken in is back, for the second time.
#[test]
fn what_was_taken_once_is_not_taken_again_in_another_life() {
    let all = everywhere(20);
    let mut lone = Lone::open(late(1));
    bring(&mut lone, &Backup::of(&all));
    let mut owners = Owners::holding(BTreeMap::new());
    // Nobody is whole without both.
    owners.absent = Some(NodeId(3));
    owners.answer_for(&mut lone, 3_000);
    let mine = taken(&lone, &all);
    assert!(mine > 0 && lone.shard.slots.rebuilding() > 0);
    let erase = |key: &Bytes| Change::Erase { key: key.clone() };
    lone.disk.commit(Batch { changes: all.keys().map(erase).collect() }).expect("room");
    lone.settle();
    let mut lone = lone.again(late_in(1, Lineage(78)));
    bring(&mut lone, &Backup::of(&all));
    owners.absent = None;
    owners.answer_for(&mut lone, 5_000);
    assert_eq!((lone.shard.slots.rebuilding(), taken(&lone, &all)), (0, 0));
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
    // Another restore is another directory.
    let mut other = Lone::open(late_in(1, Lineage(79)));
    bring(&mut other, &Backup::of(&all));
    owners.answer_for(&mut other, 5_000);
    assert_eq!(taken(&other, &all), mine);
}

/// Else a slot counts that lacks what the note says is there.
#[test]
fn what_the_disk_has_refused_is_not_noted() {
    let all = everywhere(20);
    let mut lone = Lone::open(late(1));
    lone.run_for(30);
    lone.disk.set_full(true);
    bring(&mut lone, &Backup::of(&all));
    let mut owners = Owners::holding(BTreeMap::new());
    owners.answer_for(&mut lone, 1_000);
    lone.disk.set_full(false);
    let mut lone = lone.again(late(1));
    bring(&mut lone, &Backup::of(&all));
    owners.answer_for(&mut lone, 5_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    assert_eq!(taken(&lone, &all), all.keys().filter(|key| is_mine(&lone, key)).count());
}

/// Else one file that cannot be opened keeps everything behind it away, and nobody is told.
#[test]
fn an_item_that_cannot_be_read_holds_up_its_own_slot_alone_and_is_told() {
    let mut lone = Lone::open(late(1));
    let all = everywhere(300);
    let mine: Vec<&Bytes> = all.keys().filter(|key| is_mine(&lone, key)).collect();
    let rotten = mine[mine.len() - 1];
    let backup = Backup { busy: Some(mine[0].clone()), ..Backup::of(&all) };
    backup.items.rot(rotten);
    bring(&mut lone, &backup);
    let mut owners = Owners::holding(BTreeMap::new());
    owners.answer_for(&mut lone, 8_000);
    assert_eq!(lone.shard.slots.rebuilding(), 1, "the others are complete");
    assert_eq!(taken(&lone, &all), mine.len() - 300 - 1);
    let words = lone.shard.restored_troubles().expect("it says so");
    assert!(words.contains("1 items of buckets with n = 1 are damaged"), "{words}");
    assert!(words.contains("1 slots wait") && words.contains("a test"), "{words}");
    let rejected = |why| lone.shard.counters.rejected[&("restored", why)];
    assert!(rejected("busy") > 1 && rejected("unreadable") == 1);
    bring(&mut lone, &Backup { busy: None, ..backup });
    owners.answer_for(&mut lone, 3_000);
    assert_eq!((lone.shard.slots.rebuilding(), taken(&lone, &all)), (0, mine.len() - 1));
    let words = lone.shard.restored_troubles().expect("what is lost is still told");
    assert!(!words.contains("wait"), "{words}");
}

/// Else what lay on another node long ago is served by this one.
#[test]
fn of_a_backup_of_another_node_nothing_is_taken_that_no_owner_has() {
    let mut lone = Lone::open(late(1));
    let all = everywhere(3);
    let source = Backup::of(&all).boxed();
    *lone.shard.restored_mut() = Restored::Open { source, is_own: false };
    Owners::holding(BTreeMap::new()).answer_for(&mut lone, 5_000);
    assert_eq!((lone.shard.slots.rebuilding(), taken(&lone, &all)), (0, 0));
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
}
