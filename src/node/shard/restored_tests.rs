//! A node that has come back empty, with a backup beside it, between owners that hold this and that.

use super::super::lender::{Backup, Owners, bring, digest_on, items, late};
use super::super::testing::{Lone, item, record};
use super::*;
use crate::id::{NodeId, PartitionId};
use crate::message::peer::{Data, RoundAsk, RoundStep};

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
