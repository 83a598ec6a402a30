//! A node that has come back empty, with a backup beside it, between owners that hold this and that.

use super::super::testing::{BUCKET, Lone, ME, agreement, item, member, record, view};
use super::*;
use crate::id::{Lineage, NodeId};
use crate::message::peer::{self, Data, RoundAsk, RoundStep};
use crate::node::view::View;
use crate::ring::{BucketSettings, Change as Wish, Member, Successor};
use crate::store::{Batch, Change, Entry, MemoryStore, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A backup in memory.
#[derive(Clone, Default)]
struct Backup {
    items: MemoryStore,
    is_busy: Arc<AtomicBool>,
    breaks: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
}

impl Backup {
    fn of(items: &BTreeMap<Bytes, Record>) -> Backup {
        let mut backup = Backup { items: MemoryStore::auto_sync(), ..Backup::default() };
        for (key, record) in items {
            let (head, body) = record.encode();
            let put = Change::Put { key: key.clone(), head, body };
            backup.items.commit(Batch { changes: vec![put] }).expect("room");
        }
        backup
    }

    fn boxed(&self) -> Box<dyn Source + Send> {
        Box::new(self.clone())
    }
}

impl Source for Backup {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.reads.fetch_add(1, SeqCst);
        match self.is_busy.load(SeqCst) {
            true => Err(StoreError::Busy("a test".into())),
            false => Store::get(&self.items, key),
        }
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Store::head(&self.items, key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        match self.breaks.load(SeqCst) {
            true => Err(StoreError::Failed("a test".into())),
            false => Store::scan(&self.items, from, to, limit),
        }
    }
}

/// Three members, of which n1 has come back empty.
fn late(n: u8) -> View {
    let agreement = agreement(&[1, 2, 3], 3, BucketSettings::new(n));
    let again = Wish::Join(Member { lineage: Lineage(77), ..member(1) });
    let Ok(Successor::Next(next)) = agreement.apply(&again) else { panic!("{again:?}") };
    view(*next)
}

/// The other owners: all of them hold the same.
#[derive(Default)]
struct Owners {
    items: BTreeMap<Bytes, Record>,
    /// What their pages of digests say, where that is something else.
    pages: Option<BTreeMap<Bytes, Record>>,
    /// How many questions there were.
    questions: usize,
    /// Under which round they read.
    round: u32,
    /// What was asked for as a whole.
    fetched: Vec<Bytes>,
    /// What was asked for by its digest only.
    asked: Vec<Bytes>,
    /// What was pushed to them.
    pushed: Vec<Bytes>,
    /// Whether they answer what is asked about single items.
    are_mute: bool,
    /// Who answers nothing at all.
    absent: Option<NodeId>,
}

impl Owners {
    fn holding(items: BTreeMap<Bytes, Record>) -> Owners {
        Owners { items, round: 1, ..Owners::default() }
    }

    /// They answer for so long.
    fn answer_for(&mut self, lone: &mut Lone, ms: u64) {
        for _ in 0..ms.div_ceil(50) {
            lone.run_for(50);
            for (to, header, message) in std::mem::take(&mut lone.sent) {
                let partition = header.partition;
                if self.absent == Some(to) {
                    continue;
                }
                let Some(answer) = self.answer(partition, message) else { continue };
                lone.hear_under(to.0, header.request, partition, self.round, answer);
            }
        }
    }

    fn answer(&mut self, partition: PartitionId, message: Data) -> Option<Data> {
        self.questions += 1;
        Some(match message {
            Data::Roots { roots, .. } => {
                let partition = |root: &[u8]| u16::from_be_bytes([root[0], root[1]]);
                let differ = roots.chunks_exact(18).map(|r| PartitionId(partition(r))).collect();
                let (unknown, rebuilding) = Default::default();
                Data::RootsCompared { differ, unknown, rebuilding }
            }
            Data::Branches { .. } => Data::LeafSums { branches: Vec::new(), sums: None },
            Data::Digests { .. } => {
                let mine = self.pages.as_ref().unwrap_or(&self.items).iter().filter(|(key, _)| {
                    key::partition_of_item(key) == Some(partition)
                        && key::bucket_of_item(key).is_some()
                });
                let items = mine.map(|(key, record)| (key.clone(), record.siblings.digest()));
                Data::DigestPage { items: items.collect(), next: None, rebuilding: false }
            }
            Data::Read { .. } if self.are_mute => return None,
            Data::Read { key, whole } => {
                if whole { &mut self.fetched } else { &mut self.asked }.push(key.clone());
                let held = self.items.get(&key);
                let encode = |record: &Record| {
                    let (head, body) = record.encode();
                    peer::Record { head, body }
                };
                let record = held.filter(|_| whole).map(encode);
                let digest = held.map(|record| record.siblings.digest());
                let (rebuilding, stands_in_for) = Default::default();
                Data::Holding { digest, record, rebuilding, stands_in_for }
            }
            Data::Replicate { key, .. } => {
                self.pushed.push(key);
                Data::Replicated
            }
            Data::CountHints => Data::HintCount(0),
            _ => return None,
        })
    }
}

fn bring(lone: &mut Lone, backup: &Backup) {
    *lone.shard.restored_mut() = Restored::brought(backup.boxed());
}

fn digest_on(lone: &Lone, key: &[u8]) -> Option<u128> {
    let entry = Store::get(&lone.disk, key).expect("a healthy disk")?;
    Some(Record::decode(&entry.head, entry.body).expect("ours").siblings.digest())
}

fn items<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<Bytes, Record> {
    of.into_iter().map(|(name, version)| (item(0, name), record(version))).collect()
}

#[test]
fn what_the_owners_hold_too_is_taken_from_the_backup_and_what_they_do_not_hold_is_left_there() {
    let mut lone = Lone::open(late(3));
    let backup = Backup::of(&items([("same", 1), ("other", 2), ("gone", 3)]));
    bring(&mut lone, &backup);
    let mut owners = Owners::holding(items([("same", 1), ("other", 12), ("new", 4)]));
    owners.answer_for(&mut lone, 5_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    let [same, other, new, gone] = ["same", "other", "new", "gone"].map(|name| item(0, name));
    for (key, record) in &owners.items {
        assert_eq!(digest_on(&lone, key), Some(record.siblings.digest()), "{key:?}");
    }
    assert_eq!(digest_on(&lone, &gone), None, "it was deleted, or it would be with the owners");
    // Two are asked at a time.
    owners.asked.dedup();
    owners.fetched.sort();
    owners.fetched.dedup();
    assert_eq!(owners.asked, [same]);
    assert_eq!(owners.fetched, [new, other]);
    assert!(owners.pushed.is_empty());
    assert_eq!((lone.shard.counters.restored_items, lone.shard.counters.sync_items), (1, 3));
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
}

/// Else it holds what nobody held under the round that its answer says.
#[test]
fn what_has_changed_since_the_page_was_read_is_fetched_or_not_there() {
    let mut lone = Lone::open(late(3));
    bring(&mut lone, &Backup::of(&items([("k", 1), ("l", 2)])));
    let mut owners = Owners::holding(items([("k", 11)]));
    owners.pages = Some(items([("k", 1), ("l", 2)]));
    owners.answer_for(&mut lone, 5_000);
    assert!(owners.asked.contains(&item(0, "k")) && owners.asked.contains(&item(0, "l")));
    assert_eq!(digest_on(&lone, &item(0, "k")), Some(record(11).siblings.digest()));
    assert_eq!(digest_on(&lone, &item(0, "l")), None);
    assert_eq!(lone.shard.counters.restored_items, 0);
}

/// Else a value comes back whose tombstone was collected between the page and the taking.
#[test]
fn what_an_owner_held_before_a_round_was_closed_here_is_not_taken_from_the_backup_either() {
    let mut lone = Lone::open(late(3));
    let key = item(0, "k");
    bring(&mut lone, &Backup::of(&items([("k", 1)])));
    let mut owners = Owners::holding(items([("k", 1)]));
    owners.are_mute = true;
    owners.answer_for(&mut lone, 150);
    for ask in [RoundAsk::Open(2), RoundAsk::Drain(2), RoundAsk::Close(2)] {
        let step = RoundStep { partition: PartitionId(0), attempt: 1, ask };
        lone.hear_of(2, 0, 0, Data::Rounds(vec![step]));
        lone.settle();
    }
    assert!(lone.shard.is_stale(&key, 1) && !lone.shard.is_stale(&key, 2));
    // They have read it under the round before, and it has been on its way since.
    owners.are_mute = false;
    owners.answer_for(&mut lone, 3_000);
    assert!(!owners.asked.is_empty());
    assert_eq!(digest_on(&lone, &key), None);
    assert_eq!(lone.shard.counters.restored_items, 0);
    assert!(lone.shard.is_filling(PartitionId(0)), "it has not been merged");
    owners.round = 2;
    owners.answer_for(&mut lone, 5_000);
    assert_eq!(digest_on(&lone, &key), Some(record(1).siblings.digest()));
    assert_eq!(lone.shard.counters.restored_items, 1);
    assert!(owners.fetched.is_empty());
}

/// Whether this owner hears that it is not compared with now.
fn is_shut(lone: &mut Lone, owner: u64) -> bool {
    let roots = [&[0, 0][..], &7u128.to_be_bytes()].concat().into();
    lone.sent.clear();
    lone.hear(owner, 5, Data::Roots { roots, compared: Vec::new() });
    let answer = lone.sent.iter().find_map(|(_, header, message)| match message {
        Data::RootsCompared { unknown, .. } if header.request == 5 => Some(!unknown.is_empty()),
        _ => None,
    });
    answer.expect("it answers")
}

/// Else other owners push to it what lies beside it, however long that takes to be read.
#[test]
fn no_owner_pushes_to_a_slot_that_is_taken_from_a_backup() {
    let mut lone = Lone::open(late(3));
    lone.run_for(200);
    assert!(!is_shut(&mut lone, 2), "it knows that it has nothing");
    *lone.shard.restored_mut() = Restored::Opening;
    assert!(is_shut(&mut lone, 2));
    let items = items([("k", 1)]);
    bring(&mut lone, &Backup::of(&items));
    assert!(is_shut(&mut lone, 2));
    Owners::holding(items).answer_for(&mut lone, 5_000);
    assert_eq!(lone.shard.restored(), RestoredIs::Done);
    assert!(!is_shut(&mut lone, 2), "whoever is complete is compared with");
}

/// Else an owner that is away for a day keeps this one from what the other has taken in for a day.
#[test]
fn an_owner_that_was_merged_pushes_while_another_is_still_to_be() {
    let mut lone = Lone::open(late(3));
    let items = items([("k", 1)]);
    bring(&mut lone, &Backup::of(&items));
    let mut owners = Owners::holding(items);
    owners.absent = Some(NodeId(3));
    owners.answer_for(&mut lone, 3_000);
    assert!(lone.shard.is_filling(PartitionId(0)), "one of two is not enough");
    assert!(!is_shut(&mut lone, 2));
    assert!(is_shut(&mut lone, 3), "it is asked first");
}

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
    backup.is_busy.store(true, SeqCst);
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
    backup.is_busy.store(false, SeqCst);
    let before = backup.reads.load(SeqCst);
    lone.run_for(50);
    let looks = backup.reads.load(SeqCst) - before;
    assert!((1..=LOOKS as u64).contains(&looks), "{looks} in a tick");
    for _ in 0..200 {
        owners.answer_for(&mut lone, 50);
        for partition in partitions.iter().filter(|p| !lone.shard.is_filling(**p)) {
            let (from, to) = key::partition_range(*partition);
            let held = Store::scan(&lone.disk, &from, &to, 1_000).expect("a healthy disk");
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
    let all = everywhere(300);
    bring(&mut lone, &Backup::of(&all));
    let mut owners = Owners::holding(BTreeMap::new());
    lone.run_for(150);
    let some = taken(&lone, &all);
    let mine = all.keys().filter(|key| is_mine(&lone, key)).count();
    assert!((1..mine).contains(&some), "{some} of {mine}");
    let mut lone = lone.again(late(1));
    bring(&mut lone, &Backup::of(&all));
    owners.answer_for(&mut lone, 8_000);
    assert_eq!((taken(&lone, &all), lone.shard.slots.rebuilding()), (mine, 0));
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

/// Nobody needs it any more: it is not waited for either.
#[test]
fn a_backup_that_cannot_be_read_is_done_with_when_it_alone_has_nothing() {
    let mut lone = Lone::open(late(3));
    *lone.shard.restored_mut() = Restored::Away(None);
    let mut owners = Owners::holding(items([("k", 1)]));
    owners.answer_for(&mut lone, 5_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    assert!(!owners.fetched.is_empty());
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
    let here = lone.shard.pending.latest(&key, &lone.disk).expect("healthy").expect("there");
    assert_eq!(here.siblings.len(), 2);
    assert_eq!(lone.shard.view.me, NodeId(1));
}
