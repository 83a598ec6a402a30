//! Acceptor, proposer, seat and ballot one by one.

use super::*;
use crate::id::{Lineage, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

fn ballot(counter: u64, node: u64) -> Ballot {
    Ballot { counter, node: NodeId(node) }
}

fn who(id: u64) -> AcceptorId {
    (NodeId(id), Lineage(id + 10))
}

fn round(counter: u64, acceptors: u64) -> Proposer<&'static str> {
    let acceptors: BTreeSet<AcceptorId> = (1..=acceptors).map(who).collect();
    Proposer::new(ballot(counter, 1), acceptors, "own")
}

#[test]
fn an_acceptor_keeps_its_promises() {
    let mut acceptor = Acceptor::new();
    assert_eq!(acceptor.prepare(ballot(3, 1)), Answer::Promise { accepted: None });
    let refused = Answer::Refused { promised: ballot(3, 1) };
    assert_eq!(acceptor.prepare(ballot(2, 9)), refused);
    assert_eq!(acceptor.prepare(ballot(3, 0)), refused);
    assert_eq!(acceptor.prepare(ballot(3, 1)), refused, "a ballot is promised once");
    assert_eq!(acceptor.accept(ballot(3, 1), "x"), Acceptance::Accepted);
    assert_eq!(acceptor.accept(ballot(3, 1), "x"), Acceptance::Accepted, "repeating is harmless");
    let promise = Answer::Promise { accepted: Some((ballot(3, 1), "x")) };
    assert_eq!(acceptor.prepare(ballot(7, 2)), promise);
    let refused = Acceptance::Refused { promised: ballot(7, 2) };
    assert_eq!(acceptor.accept(ballot(3, 1), "y"), refused);
    assert_eq!(acceptor.accepted(), Some(&(ballot(3, 1), "x")));
    assert_eq!(acceptor.promised(), ballot(7, 2));
}

#[test]
fn accepting_without_a_promise_binds_as_a_promise() {
    let mut acceptor = Acceptor::new();
    assert_eq!(acceptor.accept(ballot(5, 1), "x"), Acceptance::Accepted);
    assert_eq!(acceptor.prepare(ballot(4, 2)), Answer::Refused { promised: ballot(5, 1) });
}

#[test]
fn one_absurd_ballot_does_not_use_up_the_counters() {
    let mut acceptor = Acceptor::<&str>::new();
    let absurd = ballot(MAX_COUNTER_JUMP + 1, 1);
    let refused = Ballot::default();
    assert_eq!(acceptor.prepare(absurd), Answer::Refused { promised: refused });
    assert_eq!(acceptor.accept(absurd, "x"), Acceptance::Refused { promised: refused });
    assert_eq!(
        acceptor.accept(ballot(u64::MAX, 1), "x"),
        Acceptance::Refused { promised: refused }
    );
    let far = ballot(MAX_COUNTER_JUMP, 1);
    assert_eq!(acceptor.prepare(far), Answer::Promise { accepted: None });
    // Nor does a refusal pull a proposer there.
    let mut proposer = round(1, 3);
    proposer.refused(who(2), ballot(1, 1), ballot(u64::MAX, 2));
    let over = Step::Done(Outcome::Contended { above: ballot(9, 2) });
    assert_eq!(proposer.refused(who(3), ballot(1, 1), ballot(9, 2)), over);
    assert_eq!(ballot(u64::MAX, 1).above(NodeId(2)), None);
    assert_eq!(ballot(4, 9).above(NodeId(2)), Some(ballot(5, 2)));
}

#[test]
fn a_round_without_trouble_takes_two_round_trips() {
    let mut proposer = round(1, 3);
    let b = proposer.ballot();
    assert_eq!(proposer.promise(who(1), b, None), Step::Wait);
    assert_eq!(proposer.promise(who(3), b, None), Step::Accept("own"));
    assert_eq!(proposer.promise(who(2), b, None), Step::Wait, "late");
    assert_eq!(proposer.accepted(who(2), b), Step::Wait);
    assert_eq!(proposer.accepted(who(1), b), Step::Done(Outcome::Chosen("own")));
    assert_eq!(proposer.accepted(who(3), b), Step::Wait, "over");
}

#[test]
fn what_was_accepted_under_the_highest_ballot_is_completed() {
    let mut proposer = round(9, 5);
    let b = proposer.ballot();
    assert_eq!(proposer.promise(who(1), b, Some((ballot(4, 2), "older"))), Step::Wait);
    assert_eq!(proposer.promise(who(2), b, Some((ballot(6, 2), "newer"))), Step::Wait);
    assert_eq!(proposer.promise(who(3), b, Some((ballot(5, 3), "older"))), Step::Accept("newer"));
    for id in 1..=2 {
        assert_eq!(proposer.accepted(who(id), b), Step::Wait);
    }
    assert_eq!(proposer.accepted(who(5), b), Step::Done(Outcome::ChosenOther("newer")));
}

#[test]
fn duplicates_strangers_and_earlier_rounds_do_not_count() {
    let mut proposer = round(5, 3);
    let b = proposer.ballot();
    assert_eq!(proposer.promise(who(1), b, None), Step::Wait);
    assert_eq!(proposer.promise(who(1), b, None), Step::Wait, "the same again");
    assert_eq!(proposer.promise(who(9), b, None), Step::Wait, "a stranger");
    let wiped = (NodeId(2), Lineage(99));
    assert_eq!(proposer.promise(wiped, b, None), Step::Wait, "another life of a member");
    assert_eq!(proposer.promise(who(2), ballot(4, 1), None), Step::Wait, "an earlier round");
    assert_eq!(proposer.promise(who(2), b, Some((ballot(6, 2), "x"))), Step::Wait, "not credible");
    assert_eq!(proposer.accepted(who(2), b), Step::Wait, "nothing to accept yet");
    assert_eq!(proposer.promise(who(3), b, None), Step::Accept("own"));
    assert_eq!(proposer.accepted(who(1), b), Step::Wait);
    assert_eq!(proposer.accepted(who(1), b), Step::Wait, "the same again");
    assert_eq!(proposer.accepted(wiped, b), Step::Wait);
    assert_eq!(proposer.accepted(who(2), ballot(4, 1)), Step::Wait);
    for (from, ballot) in [(wiped, b), (who(9), b), (who(3), ballot(4, 1))] {
        assert_eq!(proposer.refused(from, ballot, self::ballot(8, 2)), Step::Wait);
        assert_eq!(proposer.declined(from, ballot), Step::Wait);
    }
    assert_eq!(proposer.accepted(who(3), b), Step::Done(Outcome::Chosen("own")));
}

#[test]
fn a_round_is_contended_once_a_majority_cannot_be_had() {
    let mut proposer = round(2, 3);
    let b = proposer.ballot();
    assert_eq!(proposer.refused(who(1), b, ballot(7, 3)), Step::Wait);
    assert_eq!(proposer.refused(who(1), b, ballot(7, 3)), Step::Wait, "the same again");
    let over = Step::Done(Outcome::Contended { above: ballot(7, 3) });
    assert_eq!(proposer.refused(who(2), b, ballot(5, 2)), over);
    assert_eq!(proposer.promise(who(3), b, None), Step::Wait, "over");
    let mut proposer = round(2, 3);
    proposer.promise(who(1), b, None);
    assert_eq!(proposer.promise(who(2), b, None), Step::Accept("own"));
    assert_eq!(proposer.refused(who(3), b, ballot(7, 3)), Step::Wait);
    assert_eq!(proposer.refused(who(2), b, ballot(7, 3)), over, "refused after promising");
}

#[test]
fn a_round_that_too_few_answer_is_unreachable() {
    let mut proposer = round(2, 5);
    let b = proposer.ballot();
    proposer.promise(who(1), b, None);
    proposer.promise(who(2), b, None);
    assert_eq!(proposer.give_up(), Outcome::Unreachable { answered: 2, required: 3 });
    assert_eq!(proposer.promise(who(3), b, None), Step::Wait, "given up");
    let mut proposer = round(2, 3);
    assert_eq!(proposer.declined(who(2), b), Step::Wait);
    let over = Step::Done(Outcome::Unreachable { answered: 0, required: 2 });
    assert_eq!(proposer.declined(who(3), b), over);
}

#[test]
fn a_round_alone_chooses_alone() {
    let mut proposer = round(1, 1);
    let b = proposer.ballot();
    assert_eq!(proposer.promise(who(1), b, None), Step::Accept("own"));
    assert_eq!(proposer.accepted(who(1), b), Step::Done(Outcome::Chosen("own")));
}

#[test]
fn a_seat_answers_for_one_instance() {
    let mut seat = Seat::after(3);
    assert_eq!(seat.prepare(3, ballot(1, 1)), Seated::Past);
    assert_eq!(seat.prepare(5, ballot(1, 1)), Seated::Ahead);
    let promise = Seated::Here(Answer::Promise { accepted: None });
    assert_eq!(seat.prepare(4, ballot(1, 1)), promise);
    assert_eq!(seat.accept(3, ballot(1, 1), "x"), Seated::Past);
    assert_eq!(seat.accept(5, ballot(1, 1), "x"), Seated::Ahead);
    assert_eq!(seat.accept(4, ballot(1, 1), "x"), Seated::Here(Acceptance::Accepted));
    let accepted = seat.clone();
    seat.learn(3);
    assert_eq!(seat, accepted, "what it knew already does not make it forget");
    seat.learn(6);
    assert_eq!((seat.instance(), seat.acceptor()), (7, &Acceptor::new()));
    assert_eq!(Seat::<u8>::after(u64::MAX).instance(), u64::MAX);
}

#[test]
fn who_stands_takes_a_ballot_that_it_never_had_before() {
    let mut seat = Seat::after(3);
    assert_eq!(seat.stand(NodeId(1), Ballot::default()), Some((ballot(1, 1), None)));
    assert_eq!(seat.stand(NodeId(1), Ballot::default()), Some((ballot(2, 1), None)));
    assert_eq!(seat.accept(4, ballot(5, 2), "x"), Seated::Here(Acceptance::Accepted));
    let disk = rmp_serde::to_vec(&seat).expect("a state");
    let mut seat: Seat<&str> = rmp_serde::from_slice(&disk).expect("the same state");
    let accepted = Some((ballot(5, 2), "x"));
    assert_eq!(seat.stand(NodeId(1), ballot(4, 3)), Some((ballot(6, 1), accepted)));
    assert_eq!(seat.stand(NodeId(1), ballot(9, 3)), Some((ballot(10, 1), accepted)));
    let absurd = ballot(u64::MAX, 3);
    assert_eq!(seat.stand(NodeId(1), absurd), Some((ballot(11, 1), accepted)));
    let refused = Answer::Refused { promised: ballot(11, 1) };
    assert_eq!(seat.prepare(4, ballot(10, 9)), Seated::Here(refused), "it binds as a promise");
}

#[test]
fn pauses_are_random_and_grow_up_to_a_bound() {
    let mut rng = fastrand::Rng::with_seed(1);
    let check = |rng: &mut fastrand::Rng, lost: u32, most: u64| {
        let most = Duration::from_millis(most);
        let pauses: BTreeSet<Duration> = (0..100).map(|_| backoff(rng, lost)).collect();
        assert!(pauses.iter().all(|pause| *pause <= most && *pause >= most / 4), "{lost}");
        assert!(pauses.len() > 50, "two proposers part");
    };
    check(&mut rng, 0, 20);
    check(&mut rng, 1, 40);
    check(&mut rng, 6, 1_280);
    check(&mut rng, u32::MAX, 1_280);
}
