//! What a strict read stores before it answers: once for all readers of a key, and past silent replicas.

use super::kit::*;
use quorate::Error;
use quorate::sim::Cluster;

/// The first owner of `k` alone holds `v`, and nobody has a hint for it. The others' disks stand still.
fn held_by_one(seed: u64) -> (Cluster, [usize; 3]) {
    let (mut c, [a, b, o], _) = five_without_sync(seed);
    cut_off(&mut c, &[a]);
    c.send_within(a, 200, put_at("k", "v", "", strict()));
    millis(&mut c, 150);
    // The deadline would leave hints.
    let before = c.disk(a).copy();
    c.restore(a, before);
    c.network.heal();
    [b, o].iter().for_each(|node| c.hold_syncs(*node, true));
    c.start(a);
    until(&mut c, "it answers", |c| !local(c, a, "k").is_empty());
    // Before that, nobody believes what it holds.
    until(&mut c, "its answers count", |c| c.node(a).is_some_and(|n| n.readiness().is_ok()));
    (c, [a, b, o])
}

#[test]
fn many_strict_readers_of_a_key_that_differs_write_it_back_once() {
    let (mut c, [_, b, o]) = held_by_one(501);
    let reads: Vec<_> = (0..20).map(|_| c.send(b, get("k", strict()))).collect();
    millis(&mut c, 100);
    assert!(reads.iter().all(|read| !c.answered(*read)), "two of three do not hold it yet");
    assert_eq!(metric(&mut c, b, "read_repairs"), 2, "it went to each of the two once");
    c.hold_syncs(o, false);
    millis(&mut c, 10);
    for read in reads {
        assert_eq!(got(c.answer(read)).0, ["v"]);
    }
}

#[test]
fn a_reader_that_waits_for_another_ones_write_back_goes_on_when_that_one_runs_out_of_time() {
    let (mut c, [_, b, o]) = held_by_one(502);
    let hasty = c.send_within(b, 100, get("k", strict()));
    let patient = c.send(b, get("k", strict()));
    millis(&mut c, 150);
    assert!(matches!(failed(c.answer(hasty)), Error::QuorumNotMet { required: 2, received: 1 }));
    assert_eq!(c.answer(patient), None);
    assert_eq!(metric(&mut c, b, "read_repairs"), 4, "the other one leads now");
    c.hold_syncs(o, false);
    millis(&mut c, 10);
    assert_eq!(got(c.answer(patient)).0, ["v"]);
}

#[test]
fn a_write_back_that_nobody_answers_costs_an_attempt_and_not_the_deadline() {
    let (mut c, [_, b, _]) = held_by_one(503);
    let reads: Vec<_> = (0..3).map(|_| c.send(b, get("k", strict()))).collect();
    millis(&mut c, 500);
    for read in reads {
        let error = failed(c.answer(read));
        assert!(matches!(error, Error::QuorumNotMet { required: 2, received: 1 }), "{error}");
    }
}

#[test]
fn when_a_stale_owner_is_silent_the_write_back_goes_to_one_that_had_not_answered_the_read() {
    let (mut c, [a, b, o]) = held_by_one(504);
    c.network.cut(a, o);
    c.hold_syncs(o, false);
    let read = c.send(a, get("k", strict()));
    // `o` lets an attempt pass, and then `b` does.
    millis(&mut c, 400);
    c.network.heal();
    millis(&mut c, 350);
    assert_eq!(got(c.answer(read)).0, ["v"]);
    assert_eq!(local(&mut c, o, "k"), ["v"]);
    assert!(local(&mut c, b, "k").is_empty());
}
