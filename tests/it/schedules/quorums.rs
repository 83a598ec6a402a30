//! Stories 17 and 19 to 21, and what the levels promise: who counts, and who does not.

use super::kit::*;
use quorate::Error;
use quorate::message::client::{Inspect, Reply};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::time::Duration;

#[test]
fn story_17_the_nothing_of_a_fallback_does_not_count() {
    let (mut c, [a, b, o], [d, e]) = five(117);
    cut_off(&mut c, &[o]);
    acked(c.ask(a, put_at("k", "v", "", strict())));
    c.network.heal();
    cut_off(&mut c, &[a, b]);
    for round in 0..2 {
        for through in [o, d, e] {
            let error = failed(c.ask(through, get("k", quorum())));
            let few = matches!(error, Error::QuorumNotMet { required: 2, received: 0 | 1 });
            assert!(few || matches!(error, Error::Unavailable { .. }), "{error}");
        }
        if round == 0 {
            notices(&mut c, o, &[a, b]);
            notices(&mut c, d, &[a, b]);
            notices(&mut c, e, &[a, b]);
        }
    }
    c.network.heal();
    formed(&mut c, 5);
    assert_eq!(got(c.ask(o, get("k", quorum()))).0, ["v"]);
}

#[test]
fn what_a_fallback_holds_does_count() {
    let (mut c, [a, b, o], [d, e]) = five(217);
    cut_off(&mut c, &[a, b]);
    for node in [o, d, e] {
        notices(&mut c, node, &[a, b]);
    }
    let written = c.ask(o, put("k", "v", ""));
    assert_eq!(info(&written).hinted.len(), 2 - usize::from(info(&written).hinted.len() < 2));
    for through in [o, d, e] {
        assert_eq!(got(c.ask(through, get("k", quorum()))).0, ["v"]);
    }
}

#[test]
fn story_19_a_wiped_owner_that_has_heard_one_stale_source_does_not_count() {
    let (mut c, [a, b, o], _) = five(119);
    cut_off(&mut c, &[a]);
    acked(c.ask(o, put_at("k", "v", "", strict())));
    c.network.heal();
    c.wipe(o);
    cut_off(&mut c, &[b]);
    assert!(local(&mut c, a, "k").is_empty(), "it is stale");
    c.start(o);
    until(&mut c, "it is let in", |c| {
        inspect(c, o, Inspect::Partitions)["partitions"].as_array().is_some_and(|p| !p.is_empty())
    });
    secs(&mut c, 30);
    for through in [a, o] {
        let error = failed(c.ask(through, get("k", quorum())));
        let few = matches!(error, Error::QuorumNotMet { required: 2, received: 0 | 1 });
        assert!(few || matches!(error, Error::Unavailable { .. }), "n{through}: {error}");
    }
    c.network.heal();
    formed(&mut c, 5);
    converges(&mut c, "k", &["v"]);
    assert_eq!(got(c.ask(o, get("k", quorum()))).0, ["v"]);
}

#[test]
fn story_20_a_hung_peer_costs_one_attempt_and_is_left_alone_until_it_is_back() {
    let (mut c, [a, b, o], _) = five(120);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.pause(b);
    let mut slow = 0;
    for _ in 0..50 {
        let begun = c.now();
        assert_eq!(got(c.ask(a, get("k", quorum()))).0, ["v"]);
        let took = c.now().since(begun);
        assert!(took <= Duration::from_millis(310), "{took:?}");
        slow += usize::from(took > Duration::from_millis(100));
        millis(&mut c, 10);
    }
    assert!(slow <= 1, "{slow} reads waited for it");
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let (_, context) = got(c.ask(a, get("k", quorum())));
    for n in 0..5 {
        let begun = c.now();
        acked(c.ask(o, put_at("k", &format!("w{n}"), &context, three)));
        assert!(c.now().since(begun) <= Duration::from_millis(310));
    }
    c.resume(b);
    until(&mut c, "it is asked again", |c| {
        let reply = c.ask(a, get("k", level(Consistency::All)));
        matches!(reply, Some(Reply::Got { .. }))
    });
}

#[test]
fn story_21_a_node_that_nobody_hears_condemns_nobody_and_stops_nobody() {
    let (mut c, [a, b, o], [d, e]) = five(121);
    let others = [b, o, d, e];
    others.iter().for_each(|other| c.network.cut(a, *other));
    let mut gone = [false; 6];
    // Who owns nothing of it passes it on to A first, which takes it in and is not heard.
    for through in [d, e] {
        let begun = c.now();
        acked(c.ask(through, put("k", "passed on", "")));
        assert!(c.now().since(begun) < Duration::from_millis(1500));
    }
    for second in 0..60 {
        secs(&mut c, 1);
        for by in others {
            for of in others.into_iter().filter(|of| *of != by) {
                assert!(sees_alive(&mut c, by, of), "n{by} takes n{of} for dead");
            }
            assert!(sees_alive(&mut c, a, by), "n{a}, which hears n{by}, takes it for dead");
            let alive = sees_alive(&mut c, by, a);
            assert!(!(alive && gone[by]), "n{by} changes its mind");
            gone[by] |= !alive;
        }
        let through = others[second % 4];
        let begun = c.now();
        acked(c.ask(through, put(&format!("k{second}"), "v", "")));
        assert!(c.now().since(begun) < Duration::from_millis(1500));
    }
    assert_eq!(gone.iter().filter(|gone| **gone).count(), 4, "everybody gives it up");
    c.network.heal();
    formed(&mut c, 5);
    for second in 0..60 {
        converges(&mut c, &format!("k{second}"), &["v"]);
    }
}

#[test]
fn one_works_with_two_of_three_dead_and_all_says_how_many_are_missing() {
    let mut c = cluster(3, 218);
    acked(c.ask(1, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.kill(2);
    c.kill(3);
    for noticed in [false, true] {
        if noticed {
            notices(&mut c, 1, &[2, 3]);
        }
        assert_eq!(got(c.ask(1, get("k", level(Consistency::One)))).0, ["v"]);
        let (_, context) = got(c.ask(1, get("k", level(Consistency::One))));
        acked(c.ask(1, put_at("k", "v", &context, level(Consistency::One))));
        let any = if noticed { "any1" } else { "any0" };
        acked(c.ask(1, put_at(any, "v", "", level(Consistency::Any))));
        // The hints that the coordinator keeps for the dead never count.
        let (written, read) = match noticed {
            true => (
                Error::Unavailable { required: 2, alive: 1 },
                Error::Unavailable { required: 3, alive: 1 },
            ),
            false => (
                Error::OutcomeUnknown { required: 2, received: 1 },
                Error::QuorumNotMet { required: 3, received: 1 },
            ),
        };
        assert_eq!(failed(c.ask(1, put("other", "v", ""))), written);
        assert_eq!(failed(c.ask(1, get("k", level(Consistency::All)))), read);
    }
    c.start(2);
    c.start(3);
    formed(&mut c, 3);
    converges(&mut c, "other", &["v"]);
    converges(&mut c, "any0", &["v"]);
    converges(&mut c, "any1", &["v"]);
}

#[test]
fn strict_refuses_where_only_stand_ins_could_answer() {
    let (mut c, [a, b, o], [d, _]) = five(219);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.kill(a);
    c.kill(b);
    for through in [o, d] {
        notices(&mut c, through, &[a, b]);
        let few = Error::Unavailable { required: 2, alive: 1 };
        assert_eq!(failed(c.ask(through, get("k", strict()))), few);
        assert_eq!(failed(c.ask(through, put_at("k", "w", "", strict()))), few);
        assert_eq!(local(&mut c, o, "k"), ["v"], "nothing was stored");
        let all = Error::Unavailable { required: 3, alive: 1 };
        assert_eq!(failed(c.ask(through, get("k", level(Consistency::All)))), all);
    }
    let written = c.ask(d, put("k2", "w", ""));
    acked(written);
}

#[test]
fn a_missed_quorum_after_one_copy_is_an_unknown_outcome_and_may_appear() {
    let (mut c, [a, b, o], [d, e]) = five(220);
    cut_off(&mut c, &[a]);
    let pending = c.send_within(a, 1_000, put_at("k", "v", "", strict()));
    secs(&mut c, 2);
    assert_eq!(failed(c.answer(pending)), Error::OutcomeUnknown { required: 2, received: 1 });
    assert!([b, o, d, e].iter().all(|node| local(&mut c, *node, "k").is_empty()));
    c.network.heal();
    formed(&mut c, 5);
    converges(&mut c, "k", &["v"]);
}

#[test]
fn a_strict_read_stores_what_it_saw_on_a_quorum_before_it_answers() {
    let (mut c, [a, b, o], _) = five_without_sync(221);
    cut_off(&mut c, &[a]);
    let pending = c.send_within(a, 200, put_at("k", "v", "", strict()));
    millis(&mut c, 150);
    // The deadline leaves hints on `a`; the read must not depend on their replay, nor on repair.
    let before = c.disk(a).copy();
    assert_eq!(local(&mut c, a, "k"), ["v"]);
    c.restore(a, before);
    c.network.heal();
    assert_eq!(c.answer(pending), None);
    c.start(a);
    [b, o].iter().for_each(|node| c.hold_syncs(*node, true));
    until(&mut c, "its answers count", |c| c.node(a).is_some_and(|n| n.readiness().is_ok()));
    let read = c.send(b, get("k", strict()));
    millis(&mut c, 250);
    assert_eq!(c.answer(read), None, "shown once, it must be shown for ever");
    c.hold_syncs(o, false);
    millis(&mut c, 10);
    assert_eq!(got(c.answer(read)).0, ["v"]);
    c.kill(a);
    c.hold_syncs(b, false);
    assert_eq!(got(c.ask(b, get("k", strict()))).0, ["v"]);
}

#[test]
fn a_strict_read_that_cannot_store_what_it_saw_fails() {
    let (mut c, [a, b, o], _) = five_without_sync(222);
    cut_off(&mut c, &[a]);
    c.send_within(a, 200, put_at("k", "v", "", strict()));
    millis(&mut c, 150);
    c.kill(a);
    c.network.heal();
    [b, o].iter().for_each(|node| c.hold_syncs(*node, true));
    c.start(a);
    until(&mut c, "its answers count", |c| c.node(a).is_some_and(|n| n.readiness().is_ok()));
    let read = c.send_within(b, 1_000, get("k", strict()));
    secs(&mut c, 2);
    let error = failed(c.answer(read));
    assert!(matches!(error, Error::QuorumNotMet { required: 2, received: 1 }), "{error}");
}

#[test]
fn a_read_repairs_what_it_found_stale() {
    let (mut c, [a, b, o], _) = five_without_sync(223);
    c.network.cut(a, o);
    c.network.cut(b, o);
    acked(c.ask(a, put_at("k", "v", "", strict())));
    c.kill(a);
    c.network.heal();
    assert!(local(&mut c, o, "k").is_empty());
    assert_eq!(got(c.ask(o, get("k", quorum()))).0, ["v"]);
    millis(&mut c, 5);
    assert_eq!(local(&mut c, o, "k"), ["v"]);
    assert_eq!(metric(&mut c, o, "read_repairs"), 1);
}

#[test]
fn a_stand_in_from_an_old_copy_does_not_count_before_it_is_known_to_be_one() {
    let (mut c, [a, b, o], [d, e]) = five(224);
    cut_off(&mut c, &[a, b]);
    for node in [o, d, e] {
        notices(&mut c, node, &[a, b]);
    }
    let v1 = acked(c.ask(o, put("k", "v1", "")));
    millis(&mut c, 50);
    assert_eq!([local(&mut c, o, "k"), local(&mut c, d, "k")], [["v1"], ["v1"]]);
    let copy = c.disk(d).copy();
    // The next one lies on the two stand-ins alone; one of them dies, the other is put back.
    c.network.partition(&[o], &[d, e]);
    notices(&mut c, d, &[o]);
    acked(c.ask(d, put("k", "v2", &v1)));
    c.kill(e);
    c.restore(d, copy);
    c.network.heal();
    cut_off(&mut c, &[a, b]);
    c.start(d);
    until(&mut c, "they see each other", |c| sees_alive(c, o, d) && sees_alive(c, d, o));
    let read = c.ask(o, get("k", quorum()));
    assert!(matches!(read, Some(Reply::Failed(_))), "two old copies agree: {read:?}");
}

#[test]
fn where_no_stand_in_is_left_the_coordinator_keeps_the_hint() {
    let mut c = cluster(3, 225);
    c.kill(3);
    for noticed in [false, true] {
        acked(c.ask(1, put(if noticed { "l" } else { "k" }, "v", "")));
        secs(&mut c, 1);
        assert_eq!([hints(&mut c, 1), hints(&mut c, 2)], [1 + u64::from(noticed), 0]);
        notices(&mut c, 1, &[3]);
    }
    c.start(3);
    formed(&mut c, 3);
    until(&mut c, "it is replayed", |c| hints(c, 1) == 0);
    converges(&mut c, "k", &["v"]);
    converges(&mut c, "l", &["v"]);
}
