//! Story 7 while the node runs: values rot under an index that still knows their vector and digest.

use super::kit::*;
use bytes::Bytes;
use quorate::Error;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::quorum::{Consistency, QuorumRequest};

fn scan(key: &str, quorum: QuorumRequest) -> Request {
    let (key, from, to) = (key.to_owned().into(), Bytes::new(), Bytes::new());
    Request::Scan { bucket: "b".into(), key, from, to, limit: 100, quorum, reverse: false }
}

fn unreadable(c: &mut quorate::sim::Cluster, number: usize) -> u64 {
    metric(c, number, "records_unreadable")
}

#[test]
fn what_rotted_is_told_and_fetched_from_the_others_although_the_digests_agree() {
    let (mut c, [a, ..], _) = five_without_sync(601);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    rot(&mut c, a, "k");
    assert_eq!(got(c.ask(a, get("k", quorum()))).0, ["v"], "the others have it");
    assert_eq!(unreadable(&mut c, a), 1);
    let status = inspect(&mut c, a, Inspect::Status);
    assert_eq!((&status["healthy"], &status["records_unreadable"]), (&false.into(), &1.into()));
    until(&mut c, "it is mended", |c| local(c, a, "k") == ["v"] && unreadable(c, a) == 0);
    assert_eq!(metric(&mut c, a, "sync_items"), 1);
    assert_eq!(inspect(&mut c, a, Inspect::Status)["healthy"], true);
}

#[test]
fn story_7_a_put_over_a_rotten_record_mints_no_dot_again() {
    let (mut c, [a, b, o], _) = five_without_sync(602);
    let v1 = acked(c.ask(a, put("k", "v1", "")));
    converges(&mut c, "k", &["v1"]);
    rot(&mut c, a, "k");
    // With what the client has seen, and with nothing.
    let written = c.ask(a, put("k", "v2", &v1));
    assert_eq!(info(&written).coordinator, format!("n{a}"));
    acked(written);
    converges(&mut c, "k", &["v2"]);
    rot(&mut c, a, "k");
    acked(c.ask(a, put("k", "v3", "")));
    converges(&mut c, "k", &["v2", "v3"]);
    for node in [a, b, o] {
        let record = inspect(&mut c, node, Inspect::Local(item("k")));
        let vector = record["vector"].as_object().expect("a vector");
        assert_eq!(vector.len(), 3, "each put after the rot has an actor of its own: {vector:?}");
        assert!(vector.values().all(|counter| *counter == 1), "{vector:?}");
    }
    until(&mut c, "it is merged", |c| unreadable(c, a) == 0);
}

#[test]
fn what_was_written_over_a_rotten_record_does_not_count_before_it_is_merged() {
    let (mut c, [a, b, o], _) = five_without_sync(603);
    c.network.partition(&[o], &all_but(5, &[o]));
    acked(c.ask(a, put_at("k", "v", "", strict())));
    assert_eq!(local(&mut c, b, "k"), ["v"]);
    c.kill(b);
    rot(&mut c, a, "k");
    c.network.heal();
    until(&mut c, "they meet", |c| sees_alive(c, o, a) && sees_alive(c, a, o));
    assert!(local(&mut c, o, "k").is_empty());
    acked(c.ask(o, put_at("k", "w", "", strict())));
    assert_eq!(local(&mut c, a, "k"), ["w"], "readable again, and less than it was");
    // `v` was acknowledged on two of three, and one of them was lost: nobody may say that there is only `w`.
    let lost = |c: &mut quorate::sim::Cluster| {
        for through in [a, o] {
            for request in [get("k", strict()), scan("k", strict())] {
                let counted = match failed(c.ask(through, request)) {
                    Error::QuorumNotMet { received, .. } | Error::Timeout { received, .. } => {
                        received
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(counted, 1);
            }
        }
    };
    lost(&mut c);
    secs(&mut c, 5);
    c.kill(a);
    c.start(a);
    until(&mut c, "it is back", |c| sees_alive(c, o, a) && sees_alive(c, a, o));
    secs(&mut c, 5);
    assert_eq!(unreadable(&mut c, a), 1, "that is durable");
    lost(&mut c);
    c.start(b);
    formed(&mut c, 5);
    converges(&mut c, "k", &["v", "w"]);
    until(&mut c, "it is merged", |c| unreadable(c, a) == 0);
    c.kill(b);
    assert_eq!(got(c.ask(a, get("k", strict()))).0, ["v", "w"]);
}

#[test]
fn all_counts_nobody_who_has_the_digest_and_not_the_value() {
    let (mut c, [a, b, _], _) = five_without_sync(604);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    rot(&mut c, b, "k");
    let all = failed(c.ask(a, get("k", level(Consistency::All))));
    assert!(matches!(all, Error::QuorumNotMet { required: 3, received: 2 }), "{all}");
    until(&mut c, "it is mended", |c| unreadable(c, b) == 0);
    assert_eq!(got(c.ask(a, get("k", level(Consistency::All)))).0, ["v"]);
}

#[test]
fn a_comparison_goes_on_past_what_the_other_one_cannot_read() {
    let (mut c, [a, b, o], [d, e]) = five(605);
    acked(c.ask(a, put("k", "v1", "")));
    converges(&mut c, "k", &["v1"]);
    let all = all_but(5, &[o]);
    c.network.partition(&[o], &all);
    let (_, context) = got(c.ask(a, get("k", quorum())));
    acked(c.ask(a, put_at("k", "v2", &context, strict())));
    for sort in 0..3 {
        acked(c.ask(a, put_sorted("k", sort, "v", strict())));
    }
    // The others can be asked no more, and `a` has lost the first of four.
    [b, d, e].iter().for_each(|node| c.kill(*node));
    rot(&mut c, a, "k");
    c.network.heal();
    until(&mut c, "the rest comes", |c| (0..3).all(|sort| !sorted(c, o, "k", sort).is_empty()));
    assert_eq!(local(&mut c, o, "k"), ["v1"]);
    [b, d, e].iter().for_each(|node| c.start(*node));
    converges(&mut c, "k", &["v2"]);
    until(&mut c, "it is merged", |c| unreadable(c, a) == 0);
}

#[test]
fn two_that_lost_different_records_of_a_partition_mend_each_other() {
    let (mut c, [a, b, o], _) = five_without_sync(606);
    for sort in 0..3 {
        acked(c.ask(a, put_sorted("k", sort, "v", level(Consistency::All))));
    }
    for (sort, node) in [a, b, o].into_iter().enumerate() {
        rot_sorted(&mut c, node, "k", sort);
    }
    // And the third one's too, of which each of them has one: all three are in doubt of something.
    for sort in 0..3 {
        let read = c.ask([a, b, o][sort], get_sorted("k", sort, quorum()));
        assert!(
            matches!(read, Some(Reply::Got { ref values, .. }) if values.len() == 1),
            "{read:?}"
        );
    }
    until(&mut c, "all are mended", |c| [a, b, o].iter().all(|node| unreadable(c, *node) == 0));
    for (sort, node) in [a, b, o].into_iter().enumerate() {
        assert_eq!(sorted(&mut c, node, "k", sort), ["v"]);
    }
}

#[test]
fn two_that_lost_the_same_record_do_not_wait_for_each_other() {
    let (mut c, [a, b, o], _) = five_without_sync(608);
    acked(c.ask(a, put_at("k", "v", "", level(Consistency::All))));
    for node in [a, b] {
        rot(&mut c, node, "k");
        assert_eq!(got(c.ask(node, get("k", level(Consistency::One)))).0, ["v"]);
    }
    until(&mut c, "both are mended", |c| unreadable(c, a) + unreadable(c, b) == 0);
    c.kill(o);
    assert_eq!(got(c.ask(a, get("k", strict()))).0, ["v"]);
}

#[test]
fn a_scan_shows_what_one_replica_cannot_read() {
    let (mut c, [a, ..], _) = five_without_sync(607);
    for sort in 0..3 {
        acked(c.ask(a, put_sorted("k", sort, "v", level(Consistency::All))));
    }
    rot_sorted(&mut c, a, "k", 1);
    for _ in 0..2 {
        let page = c.ask(a, scan("k", quorum()));
        let Some(Reply::Page { items, next: None }) = page else { panic!("{page:?}") };
        assert_eq!(items.len(), 3);
    }
}

fn scrub(begin: bool) -> Inspect {
    Inspect::Scrub { begin, bytes_per_second: None }
}

#[test]
fn a_scrub_finds_and_mends_what_nobody_has_asked_for() {
    let (mut c, [a, b, o], _) = five_without_sync(609);
    for sort in 0..20 {
        acked(c.ask(a, put_sorted("k", sort, "v", level(Consistency::All))));
    }
    (0..20).step_by(3).for_each(|sort| rot_sorted(&mut c, a, "k", sort));
    rot_sorted(&mut c, b, "k", 1);
    secs(&mut c, 30);
    assert_eq!(unreadable(&mut c, a), 0, "nobody has looked");
    assert_eq!(inspect(&mut c, a, scrub(true))["state"], "running");
    // It goes on where it was when the process dies.
    millis(&mut c, 200);
    c.kill(a);
    c.start(a);
    until(&mut c, "it is through", |c| {
        let told = inspect(c, a, scrub(false));
        told["state"] == "idle" && told["left"] == 0 && metric(c, a, "records_mended") == 7
    });
    assert_eq!(metric(&mut c, a, "scrub_trees_differed"), 0);
    for sort in 0..20 {
        assert_eq!(sorted(&mut c, a, "k", sort), ["v"]);
    }
    assert_eq!(metric(&mut c, b, "scrubs") + metric(&mut c, o, "scrubs"), 0, "none was asked to");
}
