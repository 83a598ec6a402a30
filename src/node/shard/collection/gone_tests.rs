//! What was collected is known: to who collected it, and to who was told.

use super::super::super::lender::{Owners, late};
use super::super::super::testing::{Lone, agreement, item, next_epoch, record, view};
use super::*;
use crate::id::NodeId;
use crate::message::peer::{self, Data, RoundAsk, RoundStep};
use crate::ring::BucketSettings;
use crate::store::Source;
use crate::version::{Actor, Content, Kind, Seen, Write};

/// X has become an owner since, and took the retry; this node remembers.
#[test]
fn of_a_late_retry_that_another_owner_has_taken_the_vector_is_kept_and_collected_in_its_turn() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    let key = item(0, "k");
    let retried = record(3);
    let [(operation, stamp)] =
        retried.siblings.iter().map(|s| (s.operation, s.stamp)).collect::<Vec<_>>()[..]
    else {
        panic!("one value")
    };
    let name = name(&key, operation).expect("an item");
    lone.shard.collection.gone.remember(name, stamp, u64::MAX);
    let (head, body) = retried.encode();
    let record = peer::Record { head, body };
    let message = Data::Replicate { key: key.clone(), record, hint_for: None };
    lone.hear(3, 7, message);
    lone.settle();
    let here = lone.latest(&key).expect("there");
    assert!(here.siblings.is_empty() && here.siblings.vector() == retried.siblings.vector());
    // So X drops it when they meet, and is what everybody is.
    let mut x = retried.clone();
    assert!(x.join(&here).changed() && x.siblings.is_same_version(&here.siblings));
    let items = vec![(key.clone(), x.siblings.digest())];
    let all = [
        RoundAsk::Open(2),
        RoundAsk::Drain(2),
        RoundAsk::Close(2),
        RoundAsk::Collect { round: 2, items },
    ];
    for ask in all {
        let step = RoundStep { partition: PartitionId(0), attempt: 1, ask };
        lone.hear(NodeId(2).0, 0, Data::Rounds(vec![step]));
        lone.settle();
    }
    assert_eq!(lone.disk.head(&key), Ok(None));
}

/// X has come back with an empty disk since, and took the retry, over a write of which it has not heard; this
/// node remembers.
#[test]
fn of_such_a_retry_in_an_lww_bucket_a_tombstone_is_kept_which_wins_over_nothing_else() {
    let settings = BucketSettings { conflict: Conflict::Lww, ..BucketSettings::new(3) };
    // A delete that is tried again hides as little as a value shows.
    for (later, value) in [(false, Some("back")), (true, Some("back")), (true, None)] {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, settings.clone())));
        let key = item(0, "k");
        let written = |sequence, millis, value: Option<&'static str>, tried_since| {
            let mut record = Record::new(Kind::Lww);
            let write = Write {
                operation: OperationId { session: 7, sequence },
                stamp: HybridTime::from_wall(WallClock(millis)),
                expires_at: None,
                tried_since,
                content: value.map_or(Content::Tombstone, |v| Content::Value(v.into())),
            };
            let actor = Actor { incarnation: sequence, mint: 0 };
            record.siblings.write(&Seen::default(), actor, write, Conflict::Lww);
            record
        };
        let hear = |lone: &mut Lone, record: &Record| {
            let (head, body) = record.encode();
            let record = peer::Record { head, body };
            let message = Data::Replicate { key: key.clone(), record, hint_for: None };
            lone.hear(3, 7, message);
            lone.settle();
        };
        let retried = written(1, 9_000, value, Some(HybridTime::default()));
        let other = written(2, 5_000, Some("other"), None);
        let operation = OperationId { session: 7, sequence: 1 };
        let name = name(&key, operation).expect("an item");
        lone.shard.collection.gone.remember(name, HybridTime(6_000 << 16), u64::MAX);
        let mut x = retried.clone();
        if later {
            hear(&mut lone, &other);
            x.join(&other);
        }
        hear(&mut lone, &x);
        let mut here = lone.latest(&key).expect("there");
        // When they meet, both hold the same: the other write, if there was one.
        assert!(x.join(&here).changed());
        here.join(&x);
        let values: Vec<_> = x.siblings.standing_values().map(|(_, value)| &value[..]).collect();
        assert_eq!(values, if later { vec![&b"other"[..]] } else { vec![] }, "{value:?}");
        assert!(x.siblings.is_same_version(&here.siblings));
        assert_eq!(x.siblings.digest(), here.siblings.digest());
    }
}

fn nth(n: u64) -> Name {
    (PartitionId(0), n, OperationId { session: 1, sequence: n })
}

#[test]
fn beyond_the_most_the_oldest_go_and_what_was_remembered_again_stays() {
    let mut gone = Gone::default();
    let stamp = HybridTime::from_wall(WallClock(1_000));
    (0..10).for_each(|n| gone.remember(nth(n), stamp, 100 + n / 2));
    gone.remember(nth(0), stamp, 900);
    assert_eq!(gone.limit(10), None);
    assert_eq!(gone.limit(8), Some((3, 101)), "0 is known for longer, and dates go as a whole");
    let left: Vec<u64> = gone.known.keys().map(|(_, n, _)| *n).collect();
    assert_eq!(left, [0, 4, 5, 6, 7, 8, 9]);
    assert!(gone.forget(WallClock(200)));
    assert!(gone.holds(nth(0), stamp) && !gone.holds(nth(9), stamp));
    assert!(gone.forget(WallClock(901)));
    assert!(gone.known.is_empty() && gone.until.is_empty());
}

/// X's disk is new, and the others have collected since. A whole comparison tells it, and so do equal roots.
#[test]
fn who_fills_a_slot_is_complete_when_it_was_told_what_was_collected() {
    for all_differ in [true, false] {
        let mut lone = Lone::open(late(3));
        let (key, partition) = (item(0, "k"), PartitionId(0));
        let (hash, operation) = (xxh3_64(&key), OperationId { session: 7, sequence: 1 });
        let entry = |hash| {
            let stamp = HybridTime::from_wall(WallClock(1_790_000_000_000));
            Collected { hash, operation, stamp, until: 1_790_000_300_000 }
        };
        let answer_for = |lone: &mut Lone, ms: u64, tells: bool| {
            for _ in 0..ms.div_ceil(50) {
                lone.run_for(50);
                for (to, header, message) in std::mem::take(&mut lone.sent) {
                    let (unknown, rebuilding) = Default::default();
                    let answer = match message {
                        Data::Roots { .. } => {
                            let differ =
                                if all_differ { (0..8).map(PartitionId).collect() } else { vec![] };
                            Data::RootsCompared { differ, unknown, rebuilding }
                        }
                        Data::Branches { .. } => Data::LeafSums { branches: vec![], sums: None },
                        Data::Digests { .. } => {
                            Data::DigestPage { items: vec![], next: None, rebuilding: false }
                        }
                        Data::CountHints => Data::HintCount(0),
                        Data::Collected { from } if tells => {
                            let (items, next) = match header.partition == partition {
                                false => (vec![], None),
                                true if from < (hash, operation) => {
                                    (vec![entry(hash - 1)], Some((hash, operation)))
                                }
                                true => (vec![entry(hash)], None),
                            };
                            Data::CollectedPage { items, next, rebuilding: false }
                        }
                        _ => continue,
                    };
                    lone.hear_of(to.0, header.request, header.partition.0, answer);
                }
            }
        };
        answer_for(&mut lone, 10_000, false);
        assert_eq!(lone.shard.slots.rebuilding(), 8, "nobody has told it anything");
        answer_for(&mut lone, 10_000, true);
        assert_eq!(lone.shard.slots.rebuilding(), 0);
        let knows = |lone: &mut Lone, key: &Bytes| {
            lone.turn(|shard, turn| shard.was_collected(key, operation, turn))
        };
        assert!(knows(&mut lone, &key) && !knows(&mut lone, &item(1, "k")));
        let mut lone = lone.again(late(3));
        assert!(knows(&mut lone, &key), "and does so in its next life");
    }
}

/// It was wiped, and takes a late retry before anybody has told it; the others have dropped that.
#[test]
fn what_was_taken_before_it_was_told_goes_before_the_slot_is_complete() {
    let mut lone = Lone::open(late(3));
    let (key, retried) = (item(0, "k"), record(3));
    let (head, body) = retried.encode();
    let record = peer::Record { head, body };
    lone.hear(3, 7, Data::Replicate { key: key.clone(), record, hint_for: None });
    lone.settle();
    assert_eq!(lone.latest(&key).expect("taken").siblings.standing_values().count(), 1);
    let [(operation, stamp)] =
        retried.siblings.iter().map(|s| (s.operation, s.stamp)).collect::<Vec<_>>()[..]
    else {
        panic!("one value")
    };
    let mut owners = Owners::holding(BTreeMap::new());
    owners.collected.push(Collected { hash: xxh3_64(&key), operation, stamp, until: u64::MAX });
    owners.answer_for(&mut lone, 10_000);
    assert_eq!(lone.shard.slots.rebuilding(), 0);
    let left = lone.latest(&key).expect("its vector");
    assert!(left.siblings.is_empty() && left.siblings.vector() == retried.siblings.vector());
}

/// Found by a review: what was the same in another epoch, before owners changed, says nothing in this one.
#[test]
fn in_another_epoch_roots_are_asked_for_once_more() {
    let mut lone = Lone::open(late(3));
    let mut asked = Vec::new();
    // Nothing is told, so that comparisons wait for it, and for a place among those that run.
    for _ in 0..40 {
        lone.run_for(50);
        for (to, header, message) in std::mem::take(&mut lone.sent) {
            if let Data::Roots { .. } = message {
                let (differ, unknown, rebuilding) = Default::default();
                let same = Data::RootsCompared { differ, unknown, rebuilding };
                lone.hear_of(to.0, header.request, 0, same);
            }
        }
    }
    let mut after = late(3);
    after.agreement = next_epoch((*after.agreement).clone()).into();
    lone.install(after);
    for _ in 0..100 {
        lone.run_for(50);
        for (to, header, message) in std::mem::take(&mut lone.sent) {
            let answer = match message {
                Data::Collected { .. } => {
                    Data::CollectedPage { items: vec![], next: None, rebuilding: false }
                }
                Data::CountHints => Data::HintCount(0),
                Data::Roots { .. } => {
                    asked.push(to);
                    continue;
                }
                _ => continue,
            };
            lone.hear_of(to.0, header.request, header.partition.0, answer);
        }
    }
    assert!(!asked.is_empty());
    assert_eq!(lone.shard.slots.rebuilding(), 8, "no roots were compared in this epoch");
}

#[test]
fn what_was_collected_of_a_partition_is_told_page_by_page() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    let stamp = HybridTime::from_wall(WallClock(1_000));
    for n in 0..1_500 {
        let (_, hash, operation) = nth(n);
        for partition in [0, 1] {
            lone.shard.collection.gone.remember(
                (PartitionId(partition), hash, operation),
                stamp,
                u64::MAX,
            );
        }
    }
    let (mut told, mut from) = (Vec::new(), Some(Default::default()));
    while let Some(at) = from.take() {
        lone.sent.clear();
        lone.hear_of(2, 9, 0, Data::Collected { from: at });
        let [(_, _, Data::CollectedPage { items, next, rebuilding: false })] = &lone.sent[..]
        else {
            panic!("{:?}", lone.sent)
        };
        told.push(items.len());
        from = *next;
    }
    assert_eq!(told, [1024, 476]);
}
