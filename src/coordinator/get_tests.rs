//! A get's tally, step by step.

use super::super::testing::{A, B, C, D, E, five, quorum};
use super::*;
use crate::time::HybridTime;
use crate::version::{Actor, Content, Incarnations, Kind, OperationId, Write};
use bytes::Bytes;

use Reach::{Down, Up};
use std::sync::Arc;

/// A record written once by the incarnation `by`.
fn record(by: u64) -> Record {
    let mut incarnations = Incarnations::new();
    incarnations.begin(by);
    let mut record = Record::new(Kind::Siblings);
    let write = Write {
        operation: OperationId { session: by, sequence: 1 },
        stamp: HybridTime(by << 16),
        expires_at: None,
        tried_since: None,
        content: Content::Value(Bytes::copy_from_slice(&by.to_le_bytes())),
    };
    record.write(&Default::default(), write, &mut incarnations, true).expect("a fresh incarnation");
    assert!(record.local.is_some_and(|l| l.actor == Actor { incarnation: by, mint: 0 }));
    record
}

fn whole(record: &Record) -> Holding {
    Holding {
        digest: Some(record.siblings.digest()),
        record: Some(Arc::new(record.clone())),
        round: 1,
        ..Holding::default()
    }
}

fn digest(record: &Record) -> Holding {
    Holding { record: None, ..whole(record) }
}

fn asks(step: Step) -> Vec<(NodeId, bool)> {
    let Step::Ask(asks) = step else { panic!("{step:?}") };
    asks.into_iter().map(|ask| (ask.to, ask.whole)).collect()
}

#[test]
fn one_record_and_one_digest_make_a_quorum() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), B);
    assert_eq!(asks(get.step()), [(B, true), (A, false)]);
    get.holds(B, whole(&record(7)));
    assert_eq!(asks(get.step()), []);
    get.holds(A, digest(&record(7)));
    let Step::Answer { record: Some(got), stale, rebuilding: false, round: 1 } = get.step() else {
        panic!("no answer")
    };
    assert_eq!((&*got, stale), (&record(7), vec![]));
}

#[test]
fn when_digests_differ_the_other_record_is_fetched_joined_and_the_stale_are_named() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, digest(&record(8)));
    assert_eq!(asks(get.step()), [(B, true)]);
    get.holds(B, whole(&record(8)));
    let Step::Answer { record: Some(got), stale, .. } = get.step() else { panic!("no answer") };
    assert_eq!(got.siblings.len(), 2);
    assert_eq!(stale, [A, B]);
}

#[test]
fn nothing_beside_something_is_a_difference_too() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), A);
    get.step();
    get.holds(A, Holding::default());
    get.holds(B, digest(&record(8)));
    assert_eq!(asks(get.step()), [(B, true)]);
    get.holds(B, whole(&record(8)));
    let Step::Answer { record: Some(_), stale, .. } = get.step() else { panic!("no answer") };
    assert_eq!(stale, [A]);
}

#[test]
fn story_17_a_fallbacks_nothing_does_not_count() {
    let mut get = Get::begin(quorum(2, false), &five([Down, Down, Up, Up, Up]), C);
    assert_eq!(asks(get.step()), [(C, true), (D, false)]);
    get.holds(C, Holding::default());
    get.holds(D, Holding::default());
    assert_eq!(asks(get.step()), [(E, false)]);
    get.holds(E, Holding::default());
    assert_eq!(get.received(), 1);
    assert_eq!(get.step(), Step::Missed);
}

#[test]
fn a_fallback_counts_for_the_owner_whose_item_it_keeps_and_for_no_second_one() {
    let mut get = Get::begin(quorum(2, false), &five([Down, Down, Up, Up, Up]), C);
    get.step();
    get.holds(C, Holding::default());
    get.holds(D, Holding { stands_in_for: vec![A, B], ..digest(&record(7)) });
    assert_eq!(get.received(), 2);
    assert_eq!(asks(get.step()), [(D, true)]);

    let mut get = Get::begin(quorum(3, false), &five([Down, Down, Up, Up, Down]), C);
    get.step();
    get.holds(C, Holding::default());
    get.holds(D, Holding { stands_in_for: vec![A, B], ..digest(&record(7)) });
    assert_eq!(get.received(), 2, "one disk is one slot");
}

#[test]
fn a_rebuilding_owner_does_not_count_but_what_it_holds_is_joined() {
    let mut get = Get::begin(quorum(2, false), &five([Up, Up, Up, Down, Down]), A);
    get.step();
    get.holds(A, Holding { rebuilding: true, ..whole(&record(9)) });
    get.holds(B, Holding::default());
    assert_eq!(asks(get.step()), [(C, false)]);
    get.holds(C, Holding::default());
    let Step::Answer { record: Some(got), stale, .. } = get.step() else { panic!("no answer") };
    assert_eq!(*got, record(9));
    assert_eq!(stale, [B, C]);
}

#[test]
fn a_read_at_one_that_only_a_rebuilding_owner_can_answer_says_so() {
    let mut get = Get::begin(quorum(1, false), &five([Up, Down, Down, Down, Down]), A);
    get.step();
    get.holds(A, Holding { rebuilding: true, ..Holding::default() });
    assert_eq!(
        get.step(),
        Step::Answer { record: None, stale: vec![], rebuilding: true, round: 0 }
    );
}

#[test]
fn the_silent_are_passed_over_but_may_still_answer() {
    let mut get = Get::begin(quorum(2, true), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.silent(B);
    assert_eq!(asks(get.step()), [(C, false)]);
    get.silent(C);
    assert_eq!(asks(get.step()), [], "nobody else, but B or C may wake up");
    get.holds(B, digest(&record(7)));
    assert!(matches!(get.step(), Step::Answer { .. }));
}

#[test]
fn strict_asks_everybody_about_a_difference_and_writes_back_before_it_answers() {
    let mut get = Get::begin(quorum(2, true), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, Holding::default());
    assert_eq!(asks(get.step()), [(C, false)]);
    get.holds(C, Holding::default());
    let Step::WriteBack { record: got, stale, spares, need, round: 1 } = get.step() else {
        panic!("no write-back")
    };
    assert_eq!((&*got, stale, spares, need), (&record(7), vec![B, C], vec![], 1));
}

#[test]
fn an_owner_that_did_not_answer_the_read_may_still_be_written_back_to() {
    let mut get = Get::begin(quorum(2, true), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, Holding::default());
    get.step();
    get.silent(C);
    let Step::WriteBack { stale, spares, need, .. } = get.step() else { panic!("no write-back") };
    assert_eq!((stale, spares, need), (vec![B], vec![C], 1));
}

#[test]
fn strict_answers_at_once_where_a_quorum_already_holds_the_newest() {
    let mut get = Get::begin(quorum(2, true), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, Holding::default());
    get.step();
    get.holds(C, digest(&record(7)));
    let Step::Answer { stale, .. } = get.step() else { panic!("no answer") };
    assert_eq!(stale, [B]);
}
