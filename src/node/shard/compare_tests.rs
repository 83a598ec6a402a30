//! A comparison, question by question.

use super::super::testing::{Lone, agreement, item, next_epoch, record, view};
use super::*;
use crate::message::peer::Refusal;
use crate::ring::BucketSettings;
use crate::store::Source;

/// The last question that went to somebody in this comparison.
fn last_read(lone: &Lone, request: u64) -> Option<Bytes> {
    lone.sent.iter().rev().find_map(|(_, header, message)| match message {
        Data::Read { key, whole: true } if header.request == request => Some(key.clone()),
        _ => None,
    })
}

#[test]
fn one_record_that_the_other_side_cannot_read_does_not_end_the_comparison() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    lone.run_for(100);
    let (with, header) = lone
        .sent
        .iter()
        .find_map(|(to, header, m)| matches!(m, Data::Roots { .. }).then_some((*to, *header)))
        .expect("it asks for roots as soon as it knows its own");
    let differ = vec![PartitionId(0)];
    let (unknown, rebuilding) = Default::default();
    lone.hear(with.0, header.request, Data::RootsCompared { differ, unknown, rebuilding });
    lone.run_for(100);
    let (with, header) = lone
        .sent
        .iter()
        .find_map(|(to, header, m)| matches!(m, Data::Digests { .. }).then_some((*to, *header)))
        .expect("there is nothing here: all is asked for");
    let keys = ["a", "b", "c"].map(|name| item(header.partition.0, name));
    let items = keys.iter().map(|key| (key.clone(), 7)).collect();
    let page = Data::DigestPage { items, next: None, rebuilding: false };
    lone.hear(with.0, header.request, page);
    for key in &keys {
        assert_eq!(last_read(&lone, header.request).as_ref(), Some(key));
        lone.hear(with.0, header.request, Data::Refused(Refusal::Unreadable));
    }
    lone.run_for(100);
    assert_eq!(lone.shard.counters.sync_rounds, 2, "the roots, and this came to its end");
}

/// Else an owner that is busy is never compared with as a whole.
#[test]
fn what_the_other_side_has_no_room_for_is_passed_over_and_given_in_the_next_comparison() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    let keys = ["a", "b", "c"].map(|name| item(0, name));
    for key in &keys {
        lone.turn(|shard, turn| assert!(shard.join_here(key, &record(1), turn)));
    }
    let (mut given, mut refused, mut pages) = (Vec::new(), 0, 0);
    for _ in 0..4_000 {
        lone.run_for(50);
        for (to, header, message) in std::mem::take(&mut lone.sent) {
            if to != NodeId(2) {
                continue;
            }
            let answer = match message {
                Data::Roots { .. } => {
                    let differ =
                        if given.len() < keys.len() { vec![PartitionId(0)] } else { vec![] };
                    let (unknown, rebuilding) = Default::default();
                    Data::RootsCompared { differ, unknown, rebuilding }
                }
                Data::Branches { .. } => Data::LeafSums { branches: Vec::new(), sums: None },
                Data::Digests { .. } => {
                    pages += 1;
                    let held =
                        given.iter().map(|key: &Bytes| (key.clone(), record(1).siblings.digest()));
                    Data::DigestPage { items: held.collect(), next: None, rebuilding: false }
                }
                // It takes one of each comparison.
                Data::Replicate { key, .. } if given.len() < pages => {
                    given.push(key);
                    Data::Replicated
                }
                Data::Replicate { .. } => {
                    refused += 1;
                    Data::Refused(Refusal::Overloaded)
                }
                _ => continue,
            };
            lone.hear_of(to.0, header.request, header.partition.0, answer);
        }
        if given.len() == keys.len() {
            break;
        }
    }
    assert_eq!(
        (given.len(), refused, pages),
        (3, 3, 3),
        "two, and one, were passed over, and the rest was not left"
    );
}

/// Else who leaves gives the same items away for ever while their owner waits for a third one.
#[test]
fn what_an_owner_doubts_is_offered_by_what_it_has() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3))));
    let (partition, owners) = foreign(&lone);
    let left = item(partition.0, "left");
    lone.turn(|shard, turn| assert!(shard.join_here(&left, &record(1), turn)));
    // Under another layout it is looked for.
    let after = next_epoch((*lone.shard.view.agreement).clone());
    lone.install(view(after));
    let mut pushed = 0;
    for _ in 0..200 {
        lone.run_for(50);
        for (to, header, message) in std::mem::take(&mut lone.sent) {
            if header.partition != partition || !owners.contains(&to) {
                continue;
            }
            let answer = match message {
                // They have it, and doubt that it is all they should have.
                Data::Digests { .. } => {
                    let items = vec![(left.clone(), 0)];
                    Data::DigestPage { items, next: None, rebuilding: false }
                }
                Data::Read { key, .. } if key == left => {
                    let (head, body) = record(1).encode();
                    let record = Some(crate::message::peer::Record { head, body });
                    let (rebuilding, stands_in_for) = Default::default();
                    Data::Holding { digest: Some(0), record, rebuilding, stands_in_for }
                }
                Data::Replicate { .. } => {
                    pushed += 1;
                    Data::Replicated
                }
                _ => continue,
            };
            lone.hear_of(to.0, header.request, partition.0, answer);
        }
    }
    assert_eq!(pushed, 0, "they have it");
    assert_eq!(lone.disk.get(&left), Ok(None), "each has been seen to have it");
}

/// Else it counts as given, and goes.
#[test]
fn what_cannot_be_read_now_is_given_away_later() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3))));
    let (partition, owners) = foreign(&lone);
    let left = item(partition.0, "left");
    lone.turn(|shard, turn| assert!(shard.join_here(&left, &record(1), turn)));
    let after = next_epoch((*lone.shard.view.agreement).clone());
    lone.install(view(after));
    let mut have = std::collections::BTreeSet::new();
    for look in 0..600 {
        lone.disk.refuse_reads(look < 200);
        lone.run_for(50);
        for (to, header, message) in std::mem::take(&mut lone.sent) {
            let answer = match message {
                Data::Roots { .. } => {
                    let (differ, unknown, rebuilding) = Default::default();
                    Data::RootsCompared { differ, unknown, rebuilding }
                }
                _ if header.partition != partition || !owners.contains(&to) => continue,
                Data::Digests { .. } => {
                    let has = have.contains(&to);
                    let items = has.then(|| (left.clone(), record(1).siblings.digest()));
                    let items = items.into_iter().collect();
                    Data::DigestPage { items, next: None, rebuilding: false }
                }
                Data::Replicate { .. } => {
                    have.insert(to);
                    Data::Replicated
                }
                _ => continue,
            };
            lone.hear_of(to.0, header.request, header.partition.0, answer);
        }
        assert!(look >= 200 || lone.disk.head(&left).is_ok_and(|head| head.is_some()));
    }
    assert_eq!(have.len(), 3);
    assert_eq!(lone.disk.get(&left), Ok(None));
}

/// Else who waits for a repair waits for the next round, long after the trees are there.
#[test]
fn while_somebody_waits_for_a_repair_what_could_not_be_told_is_asked_again_soon() {
    let rounds = |waits: bool| {
        let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
        let (mut asked, mut since) = (0, None);
        for _ in 0..100 {
            lone.run_for(100);
            if asked > 0 && (waits || since.is_none()) {
                let told = lone.turn(|shard, turn| shard.repair_json(since, turn.now.instant));
                since = since.or(told["since"].as_u64());
            }
            for (to, header, message) in std::mem::take(&mut lone.sent) {
                let Data::Roots { roots, .. } = message else { continue };
                asked += 1;
                let partition = |root: &[u8]| PartitionId(u16::from_be_bytes([root[0], root[1]]));
                let all = roots.chunks(18).map(partition);
                // Its trees are being built.
                let (differ, rebuilding) = Default::default();
                let answer = Data::RootsCompared { differ, unknown: all.collect(), rebuilding };
                lone.hear(to.0, header.request, answer);
            }
        }
        asked
    };
    let (waited, left_alone) = (rounds(true), rounds(false));
    assert!(waited > 2 * left_alone && left_alone > 0, "{waited} {left_alone}");
}

/// A partition in which n1 has no place, and who has.
fn foreign(lone: &Lone) -> (PartitionId, Vec<NodeId>) {
    let layout = &lone.shard.view.agreement.layout;
    let owners = |p: u16| layout.preference_list(PartitionId(p), 3).owners().collect::<Vec<_>>();
    let partition = (0..8).find(|p| !owners(*p).contains(&lone.shard.view.me));
    let partition = partition.expect("five nodes, three replicas");
    (PartitionId(partition), owners(partition))
}
