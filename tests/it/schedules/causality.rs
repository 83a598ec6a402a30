//! Stories 1 to 12: who may claim to have seen what.

use super::kit::*;
use quorate::Error;
use quorate::id::{BucketId, ClusterId};
use quorate::message::client::{Inspect, Reply, Request};
use quorate::quorum::Consistency;
use quorate::version::{Actor, ContextScope, Dot, Seen};

#[test]
fn story_01_two_stale_writes_through_one_node_stay_siblings_in_either_order() {
    for swap in [false, true] {
        let (mut c, [a, b, d], _) = five(101);
        let (one, other) = if swap { (d, b) } else { (b, d) };
        let v0 = acked(c.ask(a, put("k", "v0", "")));
        converges(&mut c, "k", &["v0"]);
        c.network.cut(a, other);
        acked(c.ask(a, put("k", "v1", &v0)));
        c.network.heal();
        c.network.cut(a, one);
        acked(c.ask(a, put("k", "v2", &v0)));
        assert_eq!(local(&mut c, one, "k"), ["v1"]);
        c.network.heal();
        converges(&mut c, "k", &["v1", "v2"]);
        let (values, both) = got(c.ask(other, get("k", quorum())));
        assert_eq!(values, ["v1", "v2"]);
        acked(c.ask(b, put("k", "v3", &both)));
        converges(&mut c, "k", &["v3"]);
    }
}

#[test]
fn story_03_a_node_that_lost_unflushed_dots_does_not_mint_them_again() {
    for heard_of_the_first in [false, true] {
        let (mut c, [a, b, o], _) = five(103);
        let v0 = acked(c.ask(a, put("k", "v0", "")));
        converges(&mut c, "k", &["v0"]);
        c.hold_syncs(a, true);
        c.network.cut(a, o);
        c.send(a, put("k", "v12", &v0));
        millis(&mut c, 2);
        c.network.heal();
        c.network.cut(a, b);
        c.send(a, put("k", "v13", &v0));
        millis(&mut c, 2);
        c.kill(a);
        c.network.heal();
        assert_eq!(local(&mut c, b, "k"), ["v12"]);
        assert!(local(&mut c, o, "k").contains(&"v13".to_owned()));
        cut_off(&mut c, &[o]);
        c.start(a);
        until(&mut c, "it is back", |c| {
            matches!(c.ask(a, get("k", quorum())), Some(Reply::Got { .. }))
        });
        if heard_of_the_first {
            let (values, context) = got(c.ask(a, get("k", quorum())));
            assert_eq!(values, ["v12"]);
            millis(&mut c, 10);
            acked(c.ask(a, put("k", "v14", &context)));
            c.network.heal();
            converges(&mut c, "k", &["v13", "v14"]);
        } else {
            acked(c.ask(a, put("k", "v14", "")));
            c.network.heal();
            converges(&mut c, "k", &["v12", "v13", "v14"]);
        }
    }
}

#[test]
fn story_04_a_wiped_node_does_not_mint_its_old_dots_again() {
    let (mut c, [a, b, o], _) = five(104);
    let mut context = String::new();
    for n in 1..=9 {
        context = acked(c.ask(a, put("k", &format!("v{n}"), &context)));
    }
    converges(&mut c, "k", &["v9"]);
    c.wipe(a);
    // The others let it in; those that have the key cannot tell it what it once did there.
    c.network.partition(&[a], &[b, o]);
    c.start(a);
    let blind = put("k", "new", "");
    until(&mut c, "it takes writes", |c| {
        let reply = c.ask(a, blind.clone());
        matches!(reply, Some(Reply::Written { info, .. }) if info.coordinator == format!("n{a}"))
    });
    assert_eq!(local(&mut c, a, "k"), ["new"]);
    c.network.heal();
    converges(&mut c, "k", &["new", "v9"]);
}

/// A node whose directory was copied at its fifth write and put back after its ninth writes at once.
fn an_old_copy(seed: u64, clean: bool) {
    let (mut c, [a, b, o], _) = five(seed);
    let mut context = String::new();
    for n in 1..=5 {
        context = acked(c.ask(a, put("k", &format!("v{n}"), &context)));
    }
    secs(&mut c, 2);
    if clean {
        assert!(c.stop(a));
    }
    let copy = c.disk(a).copy();
    if clean {
        c.start(a);
        formed(&mut c, 5);
    }
    for n in 6..=9 {
        context = acked(c.ask(a, put("k", &format!("v{n}"), &context)));
    }
    converges(&mut c, "k", &["v9"]);
    assert_eq!(actors(&mut c, a, "k"), 1, "its actor goes on as long as it may");
    c.restore(a, copy);
    c.start(a);
    // Nobody can tell it in time that it is behind.
    for other in all_but(5, &[a]) {
        c.network.slow_stream(other, a, quorate::time::Duration::from_secs(60));
    }
    until(&mut c, "it hears of the others", |c| [b, o].iter().all(|n| sees_alive(c, a, *n)));
    c.send(a, put("k", "new", ""));
    millis(&mut c, 2);
    for other in [b, o] {
        assert_eq!(local(&mut c, other, "k"), ["new", "v9"]);
    }
    c.network.heal();
    until(&mut c, "it knows that it is behind", |c| was_set_aside(c, a));
    formed(&mut c, 5);
    converges(&mut c, "k", &["new", "v9"]);
}

#[test]
fn story_05_an_old_copy_covers_nothing_it_forgot_and_is_set_aside() {
    an_old_copy(105, false);
}

#[test]
fn story_06_an_old_copy_of_a_clean_stop_covers_nothing_it_forgot_and_is_set_aside() {
    an_old_copy(106, true);
}

#[test]
fn story_07_a_dot_that_rot_took_is_never_minted_again() {
    for clean in [false, true] {
        let (mut c, [a, ..], _) = five(107);
        let v6 = acked(c.ask(a, put("k", "v6", "")));
        millis(&mut c, 10);
        if clean {
            assert!(c.stop(a));
        }
        let copy = c.disk(a).copy();
        if clean {
            c.start(a);
            formed(&mut c, 5);
        }
        acked(c.ask(a, put("k", "v7", &v6)));
        converges(&mut c, "k", &["v7"]);
        c.restore(a, copy);
        c.damage(a);
        c.start(a);
        let blind = put("k", "new", "");
        until(&mut c, "it takes writes", |c| {
            let reply = c.ask(a, blind.clone());
            matches!(reply, Some(Reply::Written { info, .. }) if info.coordinator == format!("n{a}"))
        });
        converges(&mut c, "k", &["new", "v7"]);
    }
}

#[test]
fn story_08_a_retry_through_another_node_is_one_sibling() {
    for reached_both in [true, false] {
        let (mut c, [a, b, o], _) = five(108);
        let write = put("k", "v", "");
        if !reached_both {
            c.network.cut(a, b);
        }
        c.hold_syncs(a, true);
        c.send(a, write.clone());
        millis(&mut c, 3);
        c.kill(a);
        c.network.heal();
        assert_eq!(local(&mut c, b, "k").is_empty(), !reached_both);
        assert_eq!(local(&mut c, o, "k"), ["v"]);
        acked(c.ask(b, write.clone()));
        c.start(a);
        formed(&mut c, 5);
        acked(c.ask(a, write));
        converges(&mut c, "k", &["v"]);
        let (_, context) = got(c.ask(o, get("k", quorum())));
        acked(c.ask(o, put("k", "w", &context)));
        converges(&mut c, "k", &["w"]);
    }
}

#[test]
fn story_09_a_late_retry_brings_nothing_overwritten_back() {
    for unheard in [false, true] {
        let (mut c, [a, b, _], [d, e]) = five(109);
        if unheard {
            cut_off(&mut c, &[b, d, e]);
        }
        let first = put("k", "v1", "");
        let v1 = acked(c.ask(a, first.clone()));
        acked(c.ask(a, put("k", "v2", &v1)));
        acked(c.ask(b, first));
        c.network.heal();
        formed(&mut c, 5);
        converges(&mut c, "k", &["v2"]);
        secs(&mut c, 20);
        converges(&mut c, "k", &["v2"]);
        assert_eq!(got(c.ask(e, get("k", quorum()))).0, ["v2"]);
    }
}

#[test]
fn story_09_also_where_the_overwritten_value_came_after_what_had_overwritten_it() {
    let (mut c, [a, b, o], _) = five_without_sync(159);
    c.network.partition(&[a], &all_but(5, &[a]));
    let first = put_at("k", "v1", "", level(Consistency::One));
    let v1 = acked(c.ask(a, first.clone()));
    // The context says which dot it covers, not of which operation.
    acked(c.ask(b, put("k", "v2", &v1)));
    until(&mut c, "nobody has heard of v1", |c| hints(c, a) == 2);
    c.network.heal();
    until(&mut c, "the others have been told of v1", |c| hints(c, a) == 0);
    c.kill(a);
    for through in [b, o] {
        acked(c.ask(through, first.clone()));
        for node in [b, o] {
            assert_eq!(local(&mut c, node, "k"), ["v2"], "through n{through}");
        }
    }
}

#[test]
fn story_10_a_context_of_another_key_is_refused() {
    let (mut c, ..) = five(110);
    let x = acked(c.ask(1, put("x", "x1", "")));
    acked(c.ask(1, put("k", "k1", "")));
    for number in 1..=5 {
        let error = failed(c.ask(number, put("k", "k2", &x)));
        assert!(matches!(&error, Error::Invalid(why) if why.contains("another key")), "{error}");
    }
    converges(&mut c, "k", &["k1"]);
}

#[test]
fn story_11_a_forged_context_is_refused_and_swallows_nothing() {
    let (mut c, [a, b, _], _) = five(111);
    let fine = acked(c.ask(a, put("k", "v1", "")));
    let reply = c.ask(a, get("k", quorum()));
    let Some(Reply::Got { values, .. }) = &reply else { panic!("{reply:?}") };
    let (actor, _) = values[0].dot.rsplit_once(':').expect("a dot");
    let (incarnation, mint) = actor.split_once('.').expect("an actor");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let actor = Actor { incarnation: number(incarnation), mint: mint.parse().expect("a mint") };
    let text = |value: &serde_json::Value| number(value.as_str().expect("text"));
    let cluster = text(&inspect(&mut c, a, Inspect::Status)["cluster"]);
    let bucket = text(&inspect(&mut c, a, Inspect::Buckets)["buckets"][0]["id"]);
    let scope = ContextScope::new(ClusterId(cluster), BucketId(bucket), b"k", b"", &[0; 32]);
    let vector = [Dot::new(actor, 1 << 60)].into_iter().collect();
    let forged = scope.seal(&Seen { vector, ..Seen::default() }).as_str().to_owned();
    let mut bent = fine.clone().into_bytes();
    let last = bent.len() - 30;
    bent[last] = if bent[last] == b'A' { b'B' } else { b'A' };
    for token in [forged, String::from_utf8(bent).expect("text"), "junk".into()] {
        for number in [a, b] {
            assert!(matches!(failed(c.ask(number, put("k", "gone", &token))), Error::Invalid(_)));
        }
    }
    acked(c.ask(a, put("k", "v2", "")));
    converges(&mut c, "k", &["v1", "v2"]);
}

#[test]
fn story_12_a_stamp_from_the_year_2100_spoils_one_key_and_no_other() {
    let mut c =
        quorate::sim::Cluster::new(quorate::sim::Options { seed: 112, ..Default::default() });
    formed(&mut c, 3);
    let lww = quorate::message::client::BucketSpec { lww: true, ..spec("b") };
    assert_eq!(c.ask(1, Request::CreateBucket(lww)), Some(Reply::Agreed));
    everybody_knows(&mut c, 3, 1);
    c.skew(1, 74 * 365 * 86_400_000);
    acked(c.ask(1, put_at("x", "future", "", level(Consistency::All))));
    c.skew(1, 0);
    c.network.partition(&[2], &[1, 3]);
    for n in 0..20 {
        acked(c.ask(2, put_at("k", &format!("old{n}"), "", level(Consistency::One))));
    }
    secs(&mut c, 1);
    acked(c.ask(3, put_at("k", "new", "", level(Consistency::One))));
    c.network.heal();
    formed(&mut c, 3);
    converges(&mut c, "k", &["new"]);
    // The spoiled key itself can still be written: after what is there.
    acked(c.ask(2, put("x", "later", "")));
    converges(&mut c, "x", &["later"]);
}
