//! What a position does, seen from outside.

use super::super::testing::{BUCKET, Lone, ME, agreement, item, record, view};
use crate::id::{NodeId, PartitionId};
use crate::message::client::{Item, Request};
use crate::message::peer::{self, Data, Refusal, RoundAsk, RoundStep, RoundTold, Told};
use crate::node::{ConnectionId, View};
use crate::quorum::{Consistency, QuorumRequest};
use crate::ring::{BucketSettings, Role};
use crate::store::Source;
use crate::time::Instant;
use crate::version::{Content, Head, Incarnations, OperationId, Record, Write};
use bytes::Bytes;

const ATTEMPT: u64 = 9;

fn five() -> View {
    view(agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3)))
}

/// A partition in whose list n1 is this.
fn partition_where(view: &View, role: Role) -> u16 {
    let layout = &view.agreement.layout;
    (0..8).find(|p| layout.role(ME, PartitionId(*p), 3) == role).expect("one of eight")
}

fn step(partition: u16, ask: RoundAsk) -> Data {
    let partition = PartitionId(partition);
    Data::Rounds(vec![RoundStep { partition, attempt: ATTEMPT, ask }])
}

/// n2 asks for a step; the disk keeps up.
fn ask(lone: &mut Lone, partition: u16, ask: RoundAsk) -> Vec<Told> {
    lone.sent.clear();
    lone.hear(2, 0, step(partition, ask));
    lone.settle();
    told(lone)
}

fn told(lone: &Lone) -> Vec<Told> {
    let to_n2 = lone.sent.iter().filter(|(to, ..)| *to == NodeId(2));
    let told = to_n2.filter_map(|(.., message)| match message {
        Data::RoundsTold(told) => Some(told.iter().map(|RoundTold { told, .. }| told.clone())),
        _ => None,
    });
    told.flatten().collect()
}

fn replicate(key: &Bytes, record: &Record, hint_for: Option<NodeId>) -> Data {
    let (head, body) = record.encode();
    Data::Replicate { key: key.clone(), record: peer::Record { head, body }, hint_for }
}

/// n3 sends a record under a round; whether it was taken.
fn takes(lone: &mut Lone, partition: u16, round: u32, message: Data) -> bool {
    lone.sent.clear();
    lone.hear_under(3, 77, PartitionId(partition), round, message);
    lone.settle();
    let answers =
        lone.sent.iter().filter(|(to, header, _)| *to == NodeId(3) && header.request == 77);
    let answers: Vec<&Data> = answers.map(|(.., message)| message).collect();
    match answers[..] {
        [Data::Replicated] => true,
        [Data::Refused(Refusal::StaleRound)] => false,
        ref other => panic!("{other:?}"),
    }
}

/// A key that was deleted.
fn grave() -> Record {
    let mut record = record(1);
    let write = Write {
        operation: OperationId { session: 1, sequence: 2 },
        stamp: crate::time::HybridTime::from_wall(crate::time::WallClock(1_790_000_000_000)),
        expires_at: None,
        tried_since: None,
        content: Content::Tombstone,
    };
    let mut incarnations = Incarnations::new();
    incarnations.begin(2);
    let seen = record.context();
    record.write(&seen, write, &mut incarnations, true).expect("a fresh actor");
    record
}

#[test]
fn an_owner_that_has_closed_a_round_takes_nothing_older_also_in_another_life() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let mut lone = Lone::open(view.clone());
    let key = item(p, "k");
    assert_eq!(ask(&mut lone, p, RoundAsk::Close(2)), [Told::No], "it is not open");
    assert_eq!(ask(&mut lone, p, RoundAsk::Open(2)), [Told::Opened(2)]);
    assert_eq!(ask(&mut lone, p, RoundAsk::Open(2)), [Told::Opened(2)], "the same attempt");
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), None)), "nothing is closed");
    assert_eq!(ask(&mut lone, p, RoundAsk::Drain(2)), [Told::Drained(2)]);
    assert_eq!(ask(&mut lone, p, RoundAsk::Close(2)), [Told::Closed(2)]);
    let mut lone = lone.again(view);
    assert_eq!(ask(&mut lone, p, RoundAsk::Open(2)), [Told::No], "nobody opens a number twice");
    assert!(!takes(&mut lone, p, 1, replicate(&key, &record(3), None)));
    assert!(takes(&mut lone, p, 2, replicate(&key, &record(4), None)));
    assert!(!takes(&mut lone, p, 0, replicate(&key, &record(5), None)), "nobody vouches for it");
}

/// An old copy was put back before anybody had noted how far its disk was.
#[test]
fn who_is_asked_to_drain_or_close_what_it_has_not_opened_is_an_old_copy() {
    for role in [Role::Primary, Role::Fallback] {
        let view = five();
        let p = partition_where(&view, role);
        for (number, forgotten) in [(2, false), (3, true)] {
            for asked in [RoundAsk::Drain(number), RoundAsk::Close(number)] {
                let mut lone = Lone::open(view.clone());
                assert_eq!(ask(&mut lone, p, RoundAsk::Open(2)), [Told::Opened(2)]);
                let mut lone = lone.again(view.clone());
                ask(&mut lone, p, asked);
                assert_eq!(lone.shard.is_old_copy().is_some(), forgotten, "{number}");
            }
        }
    }
}

#[test]
fn who_sends_what_is_older_than_a_closed_round_is_told_of_that_round() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let mut lone = Lone::open(view);
    for round in [RoundAsk::Open(2), RoundAsk::Drain(2), RoundAsk::Close(2)] {
        ask(&mut lone, p, round);
    }
    for (under, tells) in [(0, false), (1, true), (2, false)] {
        lone.sent.clear();
        let message = replicate(&item(p, "k"), &record(3), None);
        lone.hear_under(3, 77, PartitionId(p), under, message);
        lone.settle();
        let step = RoundStep { partition: PartitionId(p), attempt: 0, ask: RoundAsk::Close(2) };
        let told = |(to, _, message): &(NodeId, _, Data)| {
            *to == NodeId(3) && *message == Data::Rounds(vec![step.clone()])
        };
        assert_eq!(lone.sent.iter().any(told), tells, "{under}");
    }
}

#[test]
fn what_was_opened_is_told_and_stamped_with_when_it_is_durable() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let mut lone = Lone::open(view);
    let key = item(p, "k");
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), None)));
    let stamp = |lone: &mut Lone| {
        lone.sent.clear();
        lone.hear(3, 5, Data::Read { key: key.clone(), whole: true });
        let held = lone.sent.iter().find(|(.., m)| matches!(m, Data::Holding { .. }));
        held.expect("an answer").1.round
    };
    assert_eq!(stamp(&mut lone), 1);
    lone.hear(2, 0, step(p, RoundAsk::Open(2)));
    assert_eq!((told(&lone), stamp(&mut lone)), (vec![], 1), "the disk has not said so");
    lone.settle();
    assert_eq!(stamp(&mut lone), 2);
}

#[test]
fn a_stand_in_drains_when_its_owners_have_everything_and_keeps_nothing_older_from_then_on() {
    let view = five();
    let p = partition_where(&view, Role::Fallback);
    let owners: Vec<NodeId> =
        view.agreement.layout.preference_list(PartitionId(p), 3).owners().collect();
    let absent = owners[2];
    let mut lone = Lone::open(super::super::testing::without(view, absent.0));
    let key = item(p, "k");
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), Some(absent))));
    assert_eq!(ask(&mut lone, p, RoundAsk::Open(2)), [Told::Opened(2)]);
    assert_eq!(ask(&mut lone, p, RoundAsk::Drain(2)), [Told::NotYet(2)]);
    assert_eq!(ask(&mut lone, p, RoundAsk::Close(2)), [Told::No]);
    // What it keeps it stamps with what it has drained.
    lone.sent.clear();
    lone.hear(3, 5, Data::Read { key: key.clone(), whole: true });
    let held = lone.sent.iter().find(|(.., m)| matches!(m, Data::Holding { .. }));
    assert_eq!(held.expect("an answer").1.round, 1);
    // The owner has it, by another way.
    lone.turn(|shard, turn| shard.forget_hint(absent, &key, turn));
    assert_eq!(lone.disk.get(&key).map(|entry| entry.is_some()), Ok(true), "not durable yet");
    assert_eq!(
        {
            lone.sent.clear();
            lone.hear(2, 0, step(p, RoundAsk::Drain(2)));
            told(&lone)
        },
        [Told::NotYet(2)]
    );
    lone.settle();
    assert_eq!(ask(&mut lone, p, RoundAsk::Drain(2)), [Told::Drained(2)]);
    assert!(!takes(&mut lone, p, 1, replicate(&key, &record(3), Some(absent))));
    assert!(takes(&mut lone, p, 2, replicate(&key, &record(4), Some(absent))));
}

#[test]
fn only_what_is_held_durably_just_so_and_by_nobody_to_be_shown_is_verified_and_collected() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let mut lone = Lone::open(view);
    let names = ["grave", "other", "alive", "absent", "pending"];
    let keys: Vec<Bytes> = names.iter().map(|name| item(p, name)).collect();
    let (dead, live) = (grave(), record(7));
    for (key, record) in keys.iter().zip([&dead, &dead, &live]) {
        assert!(takes(&mut lone, p, 1, replicate(key, record, None)));
    }
    lone.hear(3, 78, replicate(&keys[4], &dead, None));
    let digest = dead.siblings.digest();
    let digests = [digest, digest ^ 1, live.siblings.digest(), digest, digest];
    let items: Vec<(Bytes, u128)> = keys.iter().cloned().zip(digests).collect();
    lone.sent.clear();
    lone.hear(2, 0, step(p, RoundAsk::Verify { items: items.clone() }));
    assert_eq!(told(&lone), [Told::Held { lacking: vec![1, 2, 3, 4], round: 1 }]);
    lone.settle();
    for round in [RoundAsk::Open(2), RoundAsk::Drain(2)] {
        ask(&mut lone, p, round);
    }
    let all = || RoundAsk::Collect { round: 2, items: items.clone() };
    ask(&mut lone, p, all());
    let left = |lone: &Lone| -> Vec<bool> {
        keys.iter().map(|key| lone.disk.head(key).expect("healthy").is_some()).collect()
    };
    assert_eq!(left(&lone), [true, true, true, false, true], "it has not closed the round");
    ask(&mut lone, p, RoundAsk::Close(2));
    ask(&mut lone, p, all());
    // The last one has become durable meanwhile, and is just what everybody held.
    assert_eq!(left(&lone), [false, true, true, false, false]);
    assert_eq!(lone.shard.counters.tombstones_collected, 2);
}

/// Else its shard would never open again.
#[test]
fn a_node_begins_without_the_memory_that_has_rotted() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let mut lone = Lone::open(view.clone());
    let key = item(p, "grave");
    let heads = [(key, Head::decode(&grave().encode().0).expect("ours"))];
    lone.turn(|shard, turn| shard.remember_gone(&heads, turn));
    lone.settle();
    let prefix = crate::store::key::meta("gone/");
    let to = crate::store::key::after_prefix(&prefix);
    let noted = lone.disk.scan(&prefix, &to, 9).expect("healthy");
    assert_eq!(noted.len(), 1);
    lone.disk.rot(&noted[0].0);
    let lone = lone.again(view);
    assert_eq!(lone.shard.disk_error(), None);
}

#[test]
fn numbers_begin_anew_in_each_epoch_and_attempts_end_with_theirs() {
    let agreed = agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3));
    let before = view(agreed.clone());
    let p = partition_where(&before, Role::Primary);
    let mut lone = Lone::open(before);
    let key = item(p, "k");
    for round in [RoundAsk::Open(5), RoundAsk::Drain(5), RoundAsk::Close(5)] {
        ask(&mut lone, p, round);
    }
    assert!(!takes(&mut lone, p, 4, replicate(&key, &record(1), None)));
    let after = view(super::super::testing::next_epoch(agreed));
    lone.install(after.clone());
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), None)));
    let mut lone = lone.again(after);
    assert!(
        takes(&mut lone, p, 1, replicate(&key, &record(2), None)),
        "what is noted is of another"
    );
}

/// It may be an old copy: others are told of it, and given only what a client has just written.
#[test]
fn a_store_that_nobody_has_vouched_for_is_round_zero_and_a_put_passes_on_its_own_value_alone() {
    let mut unsure = view(agreement(&[1, 2, 3], 3, BucketSettings::new(3)));
    (unsure.witnessed, unsure.counts) = (false, false);
    let mut lone = Lone::open(unsure);
    let name = Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
    let (_, partition, key) = lone.shard.place(&name).expect("it exists");
    assert_eq!(crate::store::key::bucket_of_item(&key), Some(BUCKET));
    assert!(takes(&mut lone, partition.0, 1, replicate(&key, &record(1), None)));
    lone.sent.clear();
    lone.hear(3, 5, Data::Read { key: key.clone(), whole: true });
    let round = |lone: &Lone| lone.sent.iter().find(|s| s.1.request == 5).map(|s| s.1.round);
    assert_eq!(round(&lone), Some(0));
    lone.sent.clear();
    let put = Request::Put {
        item: name,
        quorum: QuorumRequest {
            consistency: Some(Consistency::Quorum),
            count: None,
            strict: false,
        },
        value: Some(Bytes::from_static(b"new")),
        context: String::new(),
        operation: OperationId { session: 3, sequence: 1 },
        expires_at: None,
        tried_since: None,
    };
    lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), 1, 0, put, turn));
    let sent: Vec<(u32, Record)> = lone
        .sent
        .iter()
        .filter_map(|(_, header, message)| match message {
            Data::Replicate { record, .. } => Some((
                header.round,
                Record::decode(&record.head, record.body.clone()).expect("ours"),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 2, "to both others");
    for (round, record) in sent {
        assert_eq!(
            (round, record.siblings.len(), record.siblings.vector().iter().count()),
            (1, 1, 1)
        );
    }
    lone.settle();
    let here = lone.latest(&key).expect("there");
    assert_eq!(here.siblings.len(), 2);
}

/// What a refused batch was to erase is written by nobody once more.
#[test]
fn after_a_refused_batch_every_partition_is_read_again() {
    let mut collection = super::Collection::default();
    let partitions = [PartitionId(3), PartitionId(5)];
    collection.graves.keep(partitions.into_iter());
    let now = Instant(0);
    partitions.into_iter().for_each(|partition| collection.graves.read(partition, None, now));
    assert_eq!(collection.graves.due(now).count(), 0);
    collection.forget_staged();
    assert!(collection.graves.due(now).eq(partitions));
}

#[test]
fn every_partition_has_its_turn_though_others_are_marked_again_and_again() {
    let mut graves = super::Graves::default();
    graves.keep((0..8).map(PartitionId));
    let mut read = Vec::new();
    for pass in 0..16 {
        let now = Instant(pass * 10_000_000_000);
        // There is time for one.
        let first = graves.due(now).next().expect("all are marked");
        graves.passed(first);
        graves.read(first, None, now);
        graves.mark(first);
        read.push(first.0);
    }
    let twice: Vec<u16> = (0..8).chain(0..8).collect();
    assert_eq!(read, twice);
}

#[test]
fn what_is_on_its_way_to_the_disk_is_looked_for_again_when_there_is_something_to_see_in_it() {
    let mut lone = Lone::open(view(agreement(&[1], 1, BucketSettings::new(1))));
    let p = PartitionId(5);
    lone.run_for(3_000);
    let marked = |lone: &Lone| lone.shard.collection.graves.due(Instant(u64::MAX)).count();
    assert_eq!(marked(&lone), 0);
    let stage = |lone: &mut Lone, name: &str, record: &Record| {
        let key = item(p.0, name);
        lone.turn(|shard, turn| assert!(shard.join_here(&key, record, turn)));
    };
    stage(&mut lone, "alive", &record(1));
    lone.shard.collection.graves.mark(p);
    lone.pass(1_100);
    assert_eq!(marked(&lone), 0, "there is nothing in it");
    let write = Write {
        operation: OperationId { session: 5, sequence: 1 },
        stamp: crate::time::HybridTime(1 << 16),
        expires_at: Some(crate::time::WallClock(1_790_000_100_000)),
        tried_since: None,
        content: Content::Value(Bytes::from_static(b"v")),
    };
    let mut expires = Record::default();
    let mut incarnations = Incarnations::new();
    incarnations.begin(5);
    expires.write(&Default::default(), write, &mut incarnations, true).expect("a fresh actor");
    stage(&mut lone, "expires", &expires);
    // Something else there has expired meanwhile.
    lone.shard.collection.graves.expires(p, crate::time::WallClock(1_790_000_001_000));
    lone.pass(1_100);
    assert_eq!(marked(&lone), 0, "not yet");
    lone.pass(100_000);
    assert_eq!(marked(&lone), 1, "now it has, and is read again until the disk shows it");
    lone.run_for(8_000);
    assert_eq!((marked(&lone), lone.disk.head(&item(p.0, "expires"))), (0, Ok(None)));
    stage(&mut lone, "grave", &grave());
    lone.pass(1_100);
    assert_eq!(marked(&lone), 1);
    lone.run_for(8_000);
    assert_eq!((marked(&lone), lone.disk.head(&item(p.0, "grave"))), (0, Ok(None)));
}

/// Else it takes something older in place of the tombstone that the others are about to erase.
#[test]
fn a_round_is_not_closed_here_while_what_was_verified_has_rotted() {
    let view = five();
    let p = partition_where(&view, Role::Primary);
    let owners: Vec<NodeId> =
        view.agreement.layout.preference_list(PartitionId(p), 3).owners().collect();
    let mut lone = Lone::open(view);
    let key = item(p, "k");
    let dead = grave();
    assert!(takes(&mut lone, p, 1, replicate(&key, &dead, None)));
    let items = vec![(key.clone(), dead.siblings.digest())];
    let held = Told::Held { lacking: vec![], round: 1 };
    assert_eq!(ask(&mut lone, p, RoundAsk::Verify { items }), [held]);
    ask(&mut lone, p, RoundAsk::Open(2));
    assert_eq!(ask(&mut lone, p, RoundAsk::Drain(2)), [Told::Drained(2)]);
    lone.disk.rot(&key);
    lone.turn(|shard, turn| assert!(shard.cannot_read(&key, turn)));
    assert_eq!(ask(&mut lone, p, RoundAsk::Close(2)), [Told::NotYet(2)]);
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), None)), "older, and taken");
    assert!(takes(&mut lone, p, 2, replicate(&key, &dead, None)));
    for other in owners.into_iter().filter(|owner| *owner != ME) {
        lone.turn(|shard, turn| shard.doubts_merged(&[(key.clone(), true)], other, turn));
    }
    assert_eq!(ask(&mut lone, p, RoundAsk::Close(2)), [Told::Closed(2)]);
}

#[test]
fn a_stand_in_drains_though_what_it_keeps_for_somebody_has_rotted() {
    let view = five();
    let p = partition_where(&view, Role::Fallback);
    let absent = view.agreement.layout.preference_list(PartitionId(p), 3).owners().next();
    let absent = absent.expect("three owners");
    let mut lone = Lone::open(super::super::testing::without(view.clone(), absent.0));
    let key = item(p, "k");
    assert!(takes(&mut lone, p, 1, replicate(&key, &record(1), Some(absent))));
    lone.disk.rot(&key);
    lone.install(view);
    lone.run_for(300);
    ask(&mut lone, p, RoundAsk::Open(2));
    assert_eq!(ask(&mut lone, p, RoundAsk::Drain(2)), [Told::Drained(2)]);
}
