//! When a shard hedges, whom it asks then, and how often it may.

use super::super::testing::{Lone, agreement, record, view};
use super::*;
use crate::id::NodeId;
use crate::message::client::{Item, Reply, Request as Wanted};
use crate::message::peer;
use crate::node::ConnectionId;
use crate::quorum::QuorumRequest;
use crate::ring::BucketSettings;
use bytes::Bytes;
use proptest::prelude::*;

/// n1 of three, and a key: n1 has nothing of it.
fn three() -> Lone {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    lone.run_for(100);
    lone.sent.clear();
    lone
}

fn get(lone: &mut Lone) {
    let item = Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
    let wanted = Wanted::Get { item, quorum: QuorumRequest::default() };
    lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), 1, 0, wanted, turn));
}

/// Who was asked to read since the last time, by which request, and whether for the whole record.
fn reads(lone: &mut Lone) -> Vec<(u64, u64, bool)> {
    let sent = lone.sent.drain(..);
    let reads = sent.filter_map(|(to, header, message)| match message {
        peer::Data::Read { whole, .. } => Some((to.0, header.request, whole)),
        _ => None,
    });
    reads.collect()
}

fn nothing(lone: &mut Lone, from: u64, request: u64) {
    let (digest, record, stands_in_for) = (None, None, Vec::new());
    let held = peer::Data::Holding { digest, record, rebuilding: false, stands_in_for };
    lone.hear(from, request, held);
}

/// Reads in which everybody who is asked answers at once.
fn calm(lone: &mut Lone, times: usize) {
    for _ in 0..times {
        get(lone);
        for (node, request, _) in reads(lone) {
            nothing(lone, node, request);
        }
        lone.pass(1);
    }
    lone.replies.clear();
}

fn counted(lone: &Lone) -> (u64, u64) {
    (lone.shard.counters.hedged_reads, lone.shard.counters.hedges_won)
}

#[test]
fn a_late_answer_is_hedged_once_and_whoever_is_first_is_heard() {
    let mut lone = three();
    calm(&mut lone, 50);
    assert_eq!(counted(&lone), (0, 0));
    get(&mut lone);
    let asked = reads(&mut lone);
    let [(late, request, false)] = asked[..] else { panic!("{asked:?}") };
    lone.pass(20);
    let asked = reads(&mut lone);
    let [(other, again, false)] = asked[..] else { panic!("{asked:?}") };
    assert!(other != late && again == request);
    lone.pass(20);
    assert_eq!(reads(&mut lone), [], "one hedge, no more");
    nothing(&mut lone, other, request);
    assert!(matches!(&lone.replies[..], [Reply::Got { .. }]));
    assert_eq!(counted(&lone), (1, 1));
    nothing(&mut lone, late, request);
    assert_eq!(lone.replies.len(), 1);
}

#[test]
fn a_hedge_that_is_not_needed_after_all_is_not_won() {
    let mut lone = three();
    calm(&mut lone, 50);
    get(&mut lone);
    let asked = reads(&mut lone);
    lone.pass(20);
    nothing(&mut lone, asked[0].0, asked[0].1);
    assert!(matches!(&lone.replies[..], [Reply::Got { .. }]));
    assert_eq!(counted(&lone), (1, 0));
}

#[test]
fn nobody_is_hedged_where_everybody_was_asked() {
    let mut lone = Lone::open(view(agreement(&[1, 2], 2, BucketSettings::new(2))));
    lone.run_for(100);
    lone.sent.clear();
    get(&mut lone);
    assert_eq!(reads(&mut lone).len(), 1);
    lone.pass(200);
    assert_eq!(reads(&mut lone), []);
    assert_eq!(counted(&lone), (0, 0));
}

#[test]
fn a_strict_read_that_differs_still_hears_everybody_before_it_answers() {
    let mut lone = three();
    calm(&mut lone, 50);
    let item = Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
    let quorum = QuorumRequest { strict: true, ..QuorumRequest::default() };
    let wanted = Wanted::Get { item, quorum };
    lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), 1, 0, wanted, turn));
    let asked = reads(&mut lone);
    lone.pass(20);
    let other = reads(&mut lone)[0].0;
    let (request, late) = (asked[0].1, asked[0].0);
    let record = record(7);
    let (head, body) = record.encode();
    let told = peer::Data::Holding {
        digest: Some(record.siblings.digest()),
        record: Some(peer::Record { head, body }),
        rebuilding: false,
        stands_in_for: Vec::new(),
    };
    lone.hear_under(other, request, crate::id::PartitionId(0), 1, told);
    assert!(lone.replies.is_empty(), "the late one may hold something, too");
    let write_backs = |lone: &Lone| {
        let replicate = |message: &peer::Data| matches!(message, peer::Data::Replicate { .. });
        lone.sent.iter().filter(|(_, _, message)| replicate(message)).count()
    };
    assert_eq!(write_backs(&lone), 0);
    nothing(&mut lone, late, request);
    assert_eq!(write_backs(&lone), 1, "only one of three holds it");
    assert!(lone.replies.is_empty());
    lone.hear(late, request, peer::Data::Replicated);
    lone.settle();
    assert!(matches!(&lone.replies[..], [Reply::Got { .. }]));
}

#[test]
fn who_is_overtaken_again_and_again_is_asked_last_until_it_is_in_time_again() {
    let mut lone = three();
    calm(&mut lone, 50);
    get(&mut lone);
    let late = reads(&mut lone)[0].0;
    let other = 5 - late;
    let mut firsts = Vec::new();
    for _ in 0..20 {
        get(&mut lone);
        for (node, request, _) in reads(&mut lone) {
            firsts.push(node);
            if node == other {
                nothing(&mut lone, node, request);
            }
        }
        lone.pass(5);
        for (node, request, _) in reads(&mut lone) {
            if node == other {
                nothing(&mut lone, node, request);
            }
        }
    }
    assert!(lone.shard.laggards.lags(NodeId(late)));
    let again = firsts.iter().skip(6).filter(|node| **node == late).count();
    assert!(again <= 1, "but for a probe: {firsts:?}");
    // It answers again: every probe in time, and after some of them it is asked like everybody.
    for _ in 0..20 {
        calm(&mut lone, 1);
        lone.pass(100);
    }
    assert!(!lone.shard.laggards.lags(NodeId(late)));
}

#[test]
fn when_everybody_stalls_at_once_few_are_hedged() {
    let mut lone = three();
    calm(&mut lone, 200);
    (0..1_000).for_each(|_| get(&mut lone));
    let asked = reads(&mut lone);
    lone.pass(100);
    let again = reads(&mut lone);
    assert_eq!((asked.len(), again.len()), (1_000, BURST as usize));
    lone.pass(100);
    assert_eq!(reads(&mut lone), []);
    for (node, request, _) in asked.into_iter().chain(again) {
        nothing(&mut lone, node, request);
    }
    assert_eq!(lone.replies.len(), 1_000);
    assert_eq!(counted(&lone).0, u64::from(BURST));
}

proptest! {
    #[test]
    fn the_share_of_hedges_is_bounded_over_every_stretch_of_reads(
        story in prop::collection::vec(any::<bool>(), 1..2_000)
    ) {
        let mut budget = Budget::default();
        let spent: Vec<u32> = story.iter().map(|late| {
            budget.earn();
            u32::from(*late && budget.spend())
        }).collect();
        for window in [1, 10, 100, 1_000] {
            for stretch in spent.windows(window) {
                let most = window as u32 / READS_A_HEDGE + BURST + 1;
                prop_assert!(stretch.iter().sum::<u32>() <= most);
            }
        }
    }
}
