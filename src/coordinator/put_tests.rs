//! A put's tally, answer by answer.

use super::super::testing::{A, B, C, D, E, five, quorum};
use super::*;
use Reach::{Doubtful, Down, Up};

#[test]
fn owners_are_asked_and_two_of_three_suffice() {
    let (mut put, asks) = Put::begin(quorum(2, false), &five([Up; 5]), A);
    assert_eq!(asks.iter().map(|a| a.to).collect::<Vec<_>>(), [A, B, C]);
    put.stored(A);
    assert_eq!(put.verdict(), Verdict::Waiting);
    put.stored(A);
    assert_eq!(put.verdict(), Verdict::Waiting, "one slot counts once");
    put.stored(C);
    assert_eq!(put.verdict(), Verdict::Met);
    assert!(!put.is_settled());
}

#[test]
fn story_13_an_owner_and_its_stand_in_are_one_slot() {
    let (mut put, _) = Put::begin(quorum(2, false), &five([Up, Up, Up, Up, Up]), A);
    assert_eq!(put.silent(B), Some(Ask { to: D, hint_for: Some(B) }));
    put.stored(D);
    put.stored(B);
    assert_eq!(put.verdict(), Verdict::Waiting, "B and its stand-in D are one slot");
    put.stored(A);
    assert_eq!(put.verdict(), Verdict::Met);
}

#[test]
fn a_stand_in_serves_one_slot_only() {
    let (put, asks) = Put::begin(quorum(2, false), &five([Down, Down, Up, Up, Down]), C);
    let hints: Vec<_> = asks.iter().filter(|a| a.hint_for.is_some()).collect();
    assert_eq!(hints, [&Ask { to: D, hint_for: Some(A) }]);
    assert_eq!(put.unconfirmed().collect::<Vec<_>>(), [A, B, C]);
}

#[test]
fn a_doubtful_owner_is_asked_beside_its_stand_in() {
    let (_, asks) = Put::begin(quorum(2, false), &five([Up, Doubtful, Up, Up, Up]), A);
    assert!(asks.contains(&Ask { to: B, hint_for: None }));
    assert!(asks.contains(&Ask { to: D, hint_for: Some(B) }));
}

#[test]
fn strict_asks_no_stand_ins_and_misses_when_owners_refuse() {
    let (mut put, asks) = Put::begin(quorum(2, true), &five([Up, Down, Up, Up, Up]), A);
    assert_eq!(asks.iter().map(|a| a.to).collect::<Vec<_>>(), [A, C]);
    put.stored(A);
    assert_eq!(put.refused(C), None);
    assert_eq!(put.verdict(), Verdict::Missed { stored: 1 });
}

#[test]
fn a_refusal_finds_the_next_spare_until_there_is_none() {
    let (mut put, _) = Put::begin(quorum(3, false), &five([Up; 5]), A);
    assert_eq!(put.refused(B), Some(Ask { to: D, hint_for: Some(B) }));
    assert_eq!(put.refused(D), Some(Ask { to: E, hint_for: Some(B) }));
    assert_eq!(put.verdict(), Verdict::Waiting);
    assert_eq!(put.refused(E), None);
    put.stored(A);
    put.stored(C);
    assert_eq!(put.verdict(), Verdict::Missed { stored: 2 });
}

#[test]
fn a_miss_is_declared_when_all_who_were_asked_have_had_their_attempt() {
    let (mut put, _) = Put::begin(quorum(3, true), &five([Up; 5]), A);
    assert_eq!(put.refused(B), None);
    assert!(put.is_hopeless());
    assert_eq!(put.verdict(), Verdict::Waiting, "A and C may store it in a moment");
    put.stored(C);
    assert_eq!(put.silent(A), None);
    assert_eq!(put.verdict(), Verdict::Missed { stored: 1 });
    put.stored(A);
    assert_eq!(put.verdict(), Verdict::Missed { stored: 2 });
}

#[test]
fn what_cannot_succeed_is_refused_before_anything_is_stored() {
    let check = |reach, required, strict, fine| {
        assert_eq!(five(reach).check(quorum(required, strict)).is_ok(), fine);
    };
    check([Up, Down, Down, Down, Down], 1, true, true);
    check([Up, Down, Down, Up, Down], 2, false, true);
    check([Up, Down, Down, Up, Up], 2, true, false);
    check([Up, Doubtful, Down, Down, Down], 2, true, true);
    check([Down, Down, Down, Up, Up], 3, false, false);
}

#[test]
fn puts_are_coordinated_by_owners_first() {
    let check = |reach, me, strict, expected: Option<NodeId>| {
        assert_eq!(five(reach).coordinator(me, strict), expected);
    };
    check([Up; 5], B, false, Some(B));
    check([Up; 5], E, false, Some(A));
    check([Down, Doubtful, Up, Up, Up], E, false, Some(C));
    check([Down, Down, Down, Up, Up], E, false, Some(D));
    check([Down, Down, Down, Up, Up], D, false, Some(D));
    check([Down, Doubtful, Down, Down, Down], NodeId(9), false, Some(B));
    check([Down, Down, Down, Up, Up], E, true, None);
}

/// C gives its place to E, in the list that is to come; D stands in in both.
fn moving(reach: [Reach; 5]) -> Replicas {
    let mut replicas = five(reach);
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| ([A, B, C, D, E][at], reach[at]));
    replicas.other = Some(List { owners: vec![a, e, b], fallbacks: vec![d, c] });
    replicas
}

#[test]
fn while_owners_change_each_of_the_two_lists_needs_its_quorum() {
    let begin = || Put::begin(quorum(2, false), &moving([Up; 5]), A);
    let (mut put, asks) = begin();
    assert_eq!(asks.iter().map(|ask| ask.to).collect::<Vec<_>>(), [A, B, C, E]);
    put.stored(A);
    put.stored(C);
    assert_eq!(put.verdict(), Verdict::Waiting, "two of the old owners, one of the new ones");
    put.stored(E);
    assert_eq!(put.verdict(), Verdict::Met);
    let (mut put, _) = begin();
    put.stored(A);
    put.stored(B);
    assert_eq!(put.verdict(), Verdict::Met, "both are owners in either list");
    let (mut put, _) = begin();
    for owner in [B, E] {
        put.refused(owner);
    }
    put.refused(D);
    put.stored(A);
    put.stored(C);
    assert_eq!(put.verdict(), Verdict::Missed { stored: 1 }, "told is the list that has fewer");
}

#[test]
fn who_owns_a_slot_in_one_list_stands_in_for_nobody_in_the_other() {
    let (_, asks) = Put::begin(quorum(2, false), &moving([Up, Down, Up, Up, Up]), A);
    let hints: Vec<_> = asks.iter().filter(|ask| ask.hint_for.is_some()).collect();
    assert_eq!(hints, [&Ask { to: D, hint_for: Some(B) }], "C and E hold it for themselves");
}

#[test]
fn a_stand_in_counts_only_where_it_is_a_fallback() {
    let mut replicas = moving([Up, Down, Up, Up, Up]);
    let other = replicas.other.as_mut().expect("there are two");
    other.fallbacks.clear();
    let (mut put, _) = Put::begin(quorum(3, false), &replicas, A);
    for node in [A, C, D, E] {
        put.stored(node);
    }
    assert_eq!(put.received(), 2, "the new list has nobody in place of B");
    assert_eq!(put.verdict(), Verdict::Missed { stored: 2 });
}

#[test]
fn a_write_needs_both_lists_alive_and_a_read_only_one() {
    let replicas = moving([Down, Down, Up, Up, Down]);
    assert!(replicas.check(quorum(2, false)).is_ok(), "C and D");
    assert!(replicas.check_write(quorum(2, false)).is_ok(), "D stands in; C is a fallback there");
    assert!(replicas.check(quorum(1, true)).is_ok());
    assert!(replicas.check_write(quorum(1, true)).is_err(), "of A, E, B nobody is there");
}
