//! A get's tally, step by step.

use super::super::testing::{A, B, C, D, E, five, quorum};
use super::*;
use crate::time::HybridTime;
use crate::version::{Actor, Content, Incarnations, Kind, OperationId, Write};
use bytes::Bytes;
use proptest::prelude::*;

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

#[test]
fn whoever_is_late_is_hedged_with_what_it_was_asked_and_not_waited_for() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), A);
    assert_eq!(asks(get.step()), [(A, true), (B, false)]);
    get.holds(A, whole(&record(7)));
    assert_eq!(get.spare(), Some(C));
    assert_eq!(get.hedge(), Some(AskRead { to: C, whole: false }));
    assert_eq!(asks(get.step()), [], "B or C, whoever comes first");
    assert!(!get.hedge_answered());
    get.holds(C, digest(&record(7)));
    assert!(matches!(get.step(), Step::Answer { .. }));
    assert!(get.hedge_answered());
    assert_eq!(get.open().map(|ask| ask.to).collect::<Vec<_>>(), [B]);
}

#[test]
fn when_the_record_itself_is_late_the_hedge_brings_it() {
    // D coordinates, and owns nothing.
    let mut get = Get::begin(quorum(2, true), &five([Up; 5]), D);
    assert_eq!(asks(get.step()), [(A, true), (B, false)]);
    get.holds(B, digest(&record(7)));
    assert_eq!(get.hedge(), Some(AskRead { to: C, whole: true }));
    get.holds(C, whole(&record(7)));
    let Step::Answer { record: Some(got), stale, .. } = get.step() else { panic!("waits for A") };
    assert_eq!((&*got, stale), (&record(7), vec![]));
}

#[test]
fn a_record_that_the_hedge_brought_is_not_fetched_or_waited_for_again() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, digest(&record(8)));
    assert_eq!(asks(get.step()), [(B, true)], "fetched");
    assert_eq!(get.hedge(), Some(AskRead { to: C, whole: true }), "it takes long");
    get.holds(C, whole(&record(8)));
    let Step::Answer { record: Some(got), stale, .. } = get.step() else { panic!("no answer") };
    assert_eq!(got.siblings.len(), 2);
    assert_eq!(stale, [A, C]);
}

#[test]
fn a_record_that_somebody_told_of_is_waited_for_whatever_the_hedge_holds() {
    let mut get = Get::begin(quorum(2, false), &five([Up; 5]), A);
    get.step();
    get.holds(A, whole(&record(7)));
    get.holds(B, digest(&record(8)));
    get.step();
    get.hedge();
    get.holds(C, whole(&record(7)));
    assert_eq!(asks(get.step()), [], "B's 8 is on its way");
    get.holds(B, whole(&record(8)));
    let Step::Answer { record: Some(got), .. } = get.step() else { panic!("no answer") };
    assert_eq!(got.siblings.len(), 2);
}

#[test]
fn there_is_no_hedge_without_somebody_late_or_an_owner_that_is_left() {
    let mut all = Get::begin(quorum(3, true), &five([Up; 5]), A);
    all.step();
    assert_eq!((all.spare(), all.hedge()), (None, None), "everybody was asked");
    let mut sloppy = Get::begin(quorum(2, false), &five([Up, Up, Down, Up, Up]), A);
    sloppy.step();
    assert_eq!(sloppy.hedge(), None, "a fallback is none");
    let mut done = Get::begin(quorum(1, false), &five([Up; 5]), A);
    done.step();
    done.holds(A, whole(&record(7)));
    assert_eq!(done.hedge(), None, "nobody is waited for");
}

proptest! {
    /// Whoever answers in whatever order, and whenever the hedge is sent.
    #[test]
    fn a_hedge_makes_no_quorum_smaller_and_no_record_go_unseen(
        required in 1_usize..=3,
        strict: bool,
        me in 0_usize..5,
        held in prop::collection::vec(0_u64..4, 5),
        order in prop::collection::vec(0_usize..5, 60),
        hedge_at in 0_usize..8,
    ) {
        let nodes = [A, B, C, D, E];
        let mut get = Get::begin(quorum(required, strict), &five([Up; 5]), nodes[me]);
        let mut heard: Vec<NodeId> = Vec::new();
        for (at, turn) in order.into_iter().enumerate() {
            match get.step() {
                Step::Ask(_) => {}
                Step::Answer { record: got, .. } => {
                    prop_assert!(get.received() >= required);
                    let owners = heard.iter().filter(|node| [A, B, C].contains(node)).count();
                    prop_assert!(owners >= required, "no fallback kept anything");
                    prop_assert_eq!(seen(got.as_deref()), told(&heard, &held));
                    return Ok(());
                }
                Step::WriteBack { record: got, need, .. } => {
                    prop_assert!(strict && need > 0 && get.received() >= required);
                    prop_assert_eq!(seen(Some(&*got)), told(&heard, &held));
                    return Ok(());
                }
                Step::Missed => prop_assert!(false, "all owners answer"),
            }
            if at == hedge_at {
                get.hedge();
            }
            let open: Vec<AskRead> = get.open().collect();
            prop_assert!(!open.is_empty(), "it waits for nobody");
            let AskRead { to, whole: wants } = open[turn % open.len()];
            let place = nodes.iter().position(|node| *node == to).expect("one of five");
            // Fallbacks keep nothing here.
            let holding = match held[place] {
                0 => Holding { round: 1, ..Holding::default() },
                _ if place > 2 => Holding { round: 1, ..Holding::default() },
                by if wants => whole(&record(by)),
                by => digest(&record(by)),
            };
            get.holds(to, holding);
            heard.push(to);
        }
        prop_assert!(false, "it never ends");
    }
}

/// Whose writes are in a record.
fn seen(record: Option<&Record>) -> std::collections::BTreeSet<u64> {
    let dots = record.into_iter().flat_map(|record| record.siblings.iter());
    dots.map(|sibling| sibling.dot.actor.incarnation).collect()
}

/// Whose writes the owners among these have told of.
fn told(heard: &[NodeId], held: &[u64]) -> std::collections::BTreeSet<u64> {
    let owners = [A, B, C].into_iter().zip(held).filter(|(node, _)| heard.contains(node));
    owners.map(|(_, by)| *by).filter(|by| *by > 0).collect()
}
