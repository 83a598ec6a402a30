//! Dirty ranges, seen from inside a shard.

use super::super::testing::{Lone, ME, agreement, item, next_epoch, record, view, without};
use super::*;
use crate::message::peer::{self, Data, Refusal};
use crate::node::config::Limits;
use crate::ring::{Agreement, BucketSettings, Role};
use crate::store::Source;
use std::collections::BTreeSet;

const AWAY: NodeId = NodeId(2);

fn five() -> Agreement {
    agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3))
}

/// A partition in which this node plays this role, and n2 is an owner.
fn partition(role: Role) -> u16 {
    let layout = five().layout;
    let fits = |p: &u16| {
        let p = PartitionId(*p);
        layout.role(ME, p, 3) == role && layout.role(AWAY, p, 3) == Role::Primary
    };
    (0..8).find(fits).expect("one of eight is like that")
}

fn limits(hint_entries: u64, hint_items: u64) -> Limits {
    Limits { hint_entries, hint_items, ..Limits::default() }
}

/// Keeps so many items of a partition for n2, which is away.
fn keep(lone: &mut Lone, partition: u16, names: std::ops::Range<u32>) {
    for name in names {
        keep_for(lone, &item(partition, &name.to_string()), AWAY);
    }
    lone.settle();
}

fn keep_for(lone: &mut Lone, item: &Bytes, owner: NodeId) {
    lone.turn(|shard, turn| {
        assert!(shard.join_here(item, &record(1), turn));
        shard.keep_hint(owner, item, turn);
    });
}

fn with_range() -> (Lone, u16) {
    let lone = Lone::open_with(without(view(five()), 2), limits(10, 1_000));
    let (mut lone, partition) = (lone, partition(Role::Fallback));
    keep(&mut lone, partition, 0..50);
    lone.run_for(300);
    (lone, partition)
}

fn hints(lone: &Lone) -> usize {
    let (from, to) = key::hint_range(None);
    lone.disk.scan(&from, &to, 999).expect("a healthy disk").len()
}

fn ranges(lone: &Lone) -> Vec<NodeId> {
    let from = key::meta(PREFIX);
    let found = lone.disk.scan(&from, &key::after_prefix(&from), 999).expect("a healthy disk");
    found.iter().map(|(name, _)| parse(&name[from.len()..]).expect("a range").0).collect()
}

fn items(lone: &Lone, partition: u16) -> usize {
    let (from, to) = key::partition_range(PartitionId(partition));
    lone.disk.scan(&from, &to, 999).expect("a healthy disk").len()
}

/// What has been handed over and not been answered: to whom, under which number, what.
fn handed(lone: &mut Lone) -> Vec<(NodeId, u64, Bytes)> {
    let sent = std::mem::take(&mut lone.sent);
    let handed = sent.into_iter().filter_map(|(to, header, message)| match message {
        Data::Replicate { key, hint_for: None, .. } => Some((to, header.request, key)),
        _ => None,
    });
    handed.collect()
}

/// Lets those who are there confirm what they are handed, until nothing comes for a second.
fn confirm_all(lone: &mut Lone) -> Vec<(NodeId, Bytes)> {
    let (mut all, mut quiet) = (Vec::new(), 0);
    while quiet < 50 {
        lone.run_for(20);
        let handed = handed(lone);
        quiet = if handed.is_empty() { quiet + 1 } else { 0 };
        for (to, request, item) in handed {
            lone.hear(to.0, request, Data::Replicated);
            all.push((to, item));
        }
    }
    all
}

#[test]
fn over_budget_one_range_stands_for_all_hints_of_a_partition_and_the_data_stay() {
    let (lone, partition) = with_range();
    assert_eq!((hints(&lone), ranges(&lone), items(&lone, partition)), (0, vec![AWAY], 50));
    let told = |lone: &Lone| (lone.shard.handoff.pending_for(AWAY), lone.shard.handoff.total());
    assert_eq!(told(&lone), (50, 50));
    // Another life knows it, too, and so does a reader.
    let mut lone = lone.again(without(view(five()), 2));
    assert_eq!(told(&lone), (50, 50));
    let some = item(partition, "7");
    let held = lone.turn(|shard, turn| {
        assert!(shard.is_hinted(AWAY, &some, turn) && shard.stands_in(&some, turn));
        shard.held(&some, PartitionId(partition), 3, false, turn)
    });
    assert_eq!(held.expect("readable").stands_in_for, [AWAY]);
    // What is kept from now on needs no entry either.
    keep(&mut lone, partition, 50..60);
    assert_eq!((hints(&lone), told(&lone)), (0, (60, 60)));
}

#[test]
fn a_range_is_walked_when_its_owner_is_back_and_goes_when_everything_has_arrived() {
    let (mut lone, partition) = with_range();
    lone.sent.clear();
    lone.install(view(five()));
    lone.run_for(100);
    let first = handed(&mut lone);
    assert!(!first.is_empty() && first.len() < 50, "{} at once", first.len());
    // None of these is confirmed, and the process dies.
    let mut lone = lone.again(view(five()));
    assert_eq!((ranges(&lone), items(&lone, partition)), (vec![AWAY], 50));
    let arrived = confirm_all(&mut lone);
    assert!(arrived.iter().all(|(to, _)| *to == AWAY));
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>().len(), 50);
    assert_eq!((ranges(&lone), items(&lone, partition)), (vec![], 0));
    assert_eq!(lone.shard.handoff.total(), 0);
}

#[test]
fn what_does_not_arrive_keeps_its_range() {
    let (mut lone, partition) = with_range();
    lone.install(view(five()));
    let mut refused = None;
    for _ in 0..500 {
        lone.run_for(20);
        for (to, request, item) in handed(&mut lone) {
            let again = refused.get_or_insert(item.clone());
            let answer =
                if *again == item { Data::Refused(Refusal::Overloaded) } else { Data::Replicated };
            lone.hear(to.0, request, answer);
        }
    }
    assert_eq!((ranges(&lone), items(&lone, partition)), (vec![AWAY], 1));
    assert!(lone.shard.handoff.pending_for(AWAY) > 0);
    confirm_all(&mut lone);
    assert_eq!((ranges(&lone), items(&lone, partition)), (vec![], 0));
}

#[test]
fn what_is_kept_while_a_range_is_walked_gets_a_hint_of_its_own() {
    let (mut lone, partition) = with_range();
    lone.install(view(five()));
    lone.run_for(200);
    let first = handed(&mut lone);
    // The owner is away again for somebody, for an item that the walk may have passed; and newer for one on its way.
    let (new, newer) = (item(partition, "0 before all others"), first[0].2.clone());
    keep_for(&mut lone, &new, AWAY);
    lone.turn(|shard, turn| {
        assert!(shard.join_here(&newer, &record(2), turn));
        shard.keep_hint(AWAY, &newer, turn);
    });
    lone.settle();
    assert_eq!(hints(&lone), 2);
    for (to, request, _) in first {
        lone.hear(to.0, request, Data::Replicated);
    }
    assert!(lone.disk.get(&newer).expect("readable").is_some(), "it is newer than what arrived");
    let arrived = confirm_all(&mut lone);
    assert!(arrived.contains(&(AWAY, new)) && arrived.contains(&(AWAY, newer)));
    assert_eq!((hints(&lone), ranges(&lone), items(&lone, partition)), (0, vec![], 0));
}

#[test]
fn an_item_that_two_owners_want_goes_with_the_last_of_them() {
    let (mut lone, partition) = with_range();
    let layout = five().layout;
    let mut owners = layout.preference_list(PartitionId(partition), 3).owners();
    let other = owners.find(|owner| *owner != AWAY).expect("three own it");
    let both = item(partition, "7");
    lone.install(without(without(view(five()), 2), other.0));
    keep_for(&mut lone, &both, other);
    lone.settle();
    lone.install(without(view(five()), other.0));
    confirm_all(&mut lone);
    assert_eq!((ranges(&lone), items(&lone, partition)), (vec![], 1));
    lone.install(view(five()));
    // It has not answered other questions meanwhile.
    lone.hear(other.0, 1, Data::HintCount(0));
    assert_eq!(lone.shard.handoff.pending_for(other), 1);
    assert_eq!(confirm_all(&mut lone), [(other, both)]);
    assert_eq!(items(&lone, partition), 0);
}

#[test]
fn the_range_of_an_owner_that_left_is_for_every_present_owner() {
    let (mut lone, partition) = with_range();
    let mut after = next_epoch(agreement(&[1, 3, 4, 5, 6], 3, BucketSettings::new(3)));
    after.layout.cluster = five().layout.cluster;
    let list = after.layout.preference_list(PartitionId(partition), 3);
    let mut present: Vec<NodeId> = list.owners().filter(|owner| *owner != ME).collect();
    present.sort();
    lone.install(view(after));
    lone.settle();
    assert_eq!(ranges(&lone), present, "at no moment is there none");
    assert_eq!(items(&lone, partition), 50);
    let arrived = confirm_all(&mut lone);
    for owner in present {
        let had: BTreeSet<_> = arrived.iter().filter(|(to, _)| *to == owner).collect();
        assert_eq!(had.len(), 50, "{owner:?}");
    }
    assert_eq!(ranges(&lone), []);
}

#[test]
fn a_rotten_item_does_not_keep_its_range_alive() {
    let (mut lone, partition) = with_range();
    lone.disk.rot(&item(partition, "7"));
    lone.install(view(five()));
    confirm_all(&mut lone);
    assert_eq!((ranges(&lone), hints(&lone)), (vec![], 0));
    assert_eq!((items(&lone, partition), lone.shard.counters.hints_unreadable), (0, 1));
}

#[test]
fn an_owner_needs_no_range_for_another_owner() {
    let mut lone = Lone::open_with(without(view(five()), 2), limits(10, 1_000));
    let partition = partition(Role::Primary);
    keep(&mut lone, partition, 0..50);
    lone.run_for(300);
    assert_eq!((hints(&lone), ranges(&lone), items(&lone, partition)), (0, vec![], 50));
    assert_eq!((lone.shard.counters.hints_left_to_trees, lone.shard.handoff.total()), (50, 0));
}

/// Else it is there and counts for nothing: nobody gets it, and its item never goes. (Seed 1124970.)
#[test]
fn what_is_kept_while_the_hints_of_a_partition_go_is_a_hint_like_any_other() {
    let mut lone = Lone::open_with(without(view(five()), 2), limits(10, 1_000));
    let partition = partition(Role::Primary);
    keep(&mut lone, partition, 0..10);
    let some = item(partition, "7");
    lone.turn(|shard, turn| {
        shard.collapse(AWAY, PartitionId(partition), turn);
        assert!(!shard.has_hint(AWAY, &some, turn), "the store shows it still");
        shard.keep_hint(AWAY, &some, turn);
    });
    lone.settle();
    assert_eq!((hints(&lone), lone.shard.handoff.total()), (1, 1));
    lone.turn(|shard, turn| shard.forget_hint(AWAY, &some, turn));
    lone.settle();
    assert_eq!((hints(&lone), lone.shard.handoff.total()), (0, 0));
}

#[test]
fn who_keeps_enough_stands_in_for_no_more_and_goes_on_with_what_it_has() {
    let mut lone = Lone::open_with(without(view(five()), 2), limits(10, 40));
    let partition = partition(Role::Fallback);
    let replicate = |lone: &mut Lone, name: u32| {
        let (head, body) = record(u64::from(name) + 1).encode();
        let key = item(partition, &name.to_string());
        let record = peer::Record { head, body };
        let before = lone.sent.len();
        lone.hear_of(3, 7, partition, Data::Replicate { key, record, hint_for: Some(AWAY) });
        lone.settle();
        lone.settle();
        lone.sent.split_off(before).into_iter().map(|(_, _, answer)| answer).collect::<Vec<_>>()
    };
    for name in 0..40 {
        assert_eq!(replicate(&mut lone, name), [Data::Replicated], "{name}");
    }
    lone.run_for(300);
    lone.sent.clear();
    assert_eq!(ranges(&lone), [AWAY]);
    assert_eq!(replicate(&mut lone, 40), [Data::Refused(Refusal::Overloaded)]);
    assert_eq!(replicate(&mut lone, 7), [Data::Replicated], "that one it has");
    assert_eq!((items(&lone, partition), lone.shard.counters.hints_declined), (40, 1));
    lone.install(view(five()));
    confirm_all(&mut lone);
    assert_eq!(items(&lone, partition), 0);
    assert_eq!(replicate(&mut lone, 41), [Data::Replicated]);
}
