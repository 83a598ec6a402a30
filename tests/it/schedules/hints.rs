//! Story 24, hints and deletion.

use super::kit::*;
use quorate::message::client::{Reply, Request};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::Cluster;

#[test]
fn story_24_an_old_copy_with_a_deleted_value_is_set_aside_and_pushes_nothing() {
    let (mut c, [a, ..], _) = five(124);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    secs(&mut c, 2);
    let copy = c.disk(a).copy();
    acked(c.ask(a, delete("k", &context)));
    converges(&mut c, "k", &["†"]);
    secs(&mut c, 2);
    c.restore(a, copy);
    c.start(a);
    until(&mut c, "it knows that it is behind", |c| was_set_aside(c, a));
    formed(&mut c, 5);
    converges(&mut c, "k", &["†"]);
    for through in 1..=5 {
        assert!(got(c.ask(through, get("k", quorum()))).0.is_empty());
    }
}

#[test]
fn a_delete_removes_what_it_saw_and_a_concurrent_put_survives() {
    let (mut c, [a, b, o], _) = five(301);
    let v1 = acked(c.ask(a, put("k", "v1", "")));
    converges(&mut c, "k", &["v1"]);
    acked(c.ask(b, put("k", "v2", &v1)));
    acked(c.ask(o, delete("k", &v1)));
    converges(&mut c, "k", &["v2", "†"]);
    let (values, both) = got(c.ask(a, get("k", quorum())));
    assert_eq!(values, ["v2"]);
    acked(c.ask(a, delete("k", &both)));
    converges(&mut c, "k", &["†"]);
    assert!(got(c.ask(b, get("k", quorum()))).0.is_empty());
    acked(c.ask(b, put("k", "v3", "")));
    assert_eq!(got(c.ask(o, get("k", quorum()))).0, ["v3"]);
}

#[test]
fn a_hint_outlives_the_stand_in_that_dies_right_after_the_answer() {
    let (mut c, [a, b, o], fallbacks) = five_without_sync(302);
    c.kill(o);
    notices(&mut c, a, &[o]);
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let written = c.ask(a, put_at("k", "v", "", three));
    assert_eq!(info(&written).hinted, names(&[o]));
    acked(written);
    fallbacks.iter().for_each(|node| c.kill(*node));
    c.kill(a);
    c.kill(b);
    let left: Vec<usize> =
        fallbacks.into_iter().filter(|node| c.disk(*node).unsynced() == 0).collect();
    left.iter().for_each(|node| c.start(*node));
    c.start(o);
    until(&mut c, "the hint is replayed", |c| {
        left.iter().all(|node| c.node(*node).is_some() && hints(c, *node) == 0)
            && local(c, o, "k") == ["v"]
    });
    assert!(left.iter().all(|node| local(&mut c, *node, "k").is_empty()), "the copies go");
}

#[test]
fn a_hint_written_while_the_last_ones_erasure_is_on_its_way_is_replayed_too() {
    let (mut c, [a, b, o], [d, e]) = five_without_sync(303);
    c.kill(e);
    c.kill(o);
    for node in [a, b] {
        notices(&mut c, node, &[o, e]);
    }
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let v1 = acked(c.ask(a, put_at("k", "v1", "", three)));
    assert_eq!(hints(&mut c, d), 1);
    c.start(o);
    // The owner has it; that the hint is gone is not durable yet.
    until(&mut c, "it is handed over", |c| {
        c.hold_syncs(d, true);
        hints(c, d) == 0
    });
    assert_eq!(local(&mut c, o, "k"), ["v1"]);
    c.kill(o);
    let pending = c.send(a, put_at("k", "v2", &v1, three));
    millis(&mut c, 500);
    assert_eq!(c.answer(pending), None);
    c.hold_syncs(d, false);
    millis(&mut c, 50);
    acked(c.answer(pending));
    c.kill(a);
    c.kill(b);
    c.start(o);
    until(&mut c, "the second one comes too", |c| local(c, o, "k") == ["v2"]);
}

#[test]
fn a_newer_version_hinted_during_a_handoff_follows_it() {
    let (mut c, [a, b, o], [d, e]) = five_without_sync(304);
    c.kill(e);
    c.kill(o);
    for node in [a, b] {
        notices(&mut c, node, &[o, e]);
    }
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let v1 = acked(c.ask(a, put_at("k", "v1", "", three)));
    c.network.slow(o, quorate::time::Duration::from_millis(700));
    c.start(o);
    until(&mut c, "v1 is on its way", |c| {
        millis(c, 1);
        local(c, o, "k") == ["v1"]
    });
    c.network.cut(a, o);
    c.network.cut(b, o);
    // The stand-in hears that v1 has arrived, and cannot send what came since.
    c.network.cut(d, o);
    acked(c.ask(a, put_at("k", "v2", &v1, three)));
    c.kill(a);
    c.kill(b);
    secs(&mut c, 2);
    assert_eq!(local(&mut c, o, "k"), ["v1"]);
    c.network.heal();
    until(&mut c, "the newer one follows", |c| local(c, o, "k") == ["v2"] && hints(c, d) == 0);
}

/// Writes or deletes one item of the partition key `k`.
fn at(sort: usize, value: Option<&str>, context: &str, quorum: QuorumRequest) -> Request {
    let Request::Put { item, quorum, value, context, operation, expires_at, tried_since } =
        put_as("k", value, context, operation(), quorum)
    else {
        unreachable!("a put")
    };
    let sort = format!("{sort:03}").into_bytes().into();
    let item = quorate::message::client::Item { sort, ..item };
    Request::Put { item, quorum, value, context, operation, expires_at, tried_since }
}

/// Scans the partition key `k` through a node: the sort keys, and how many pages it took.
fn scanned(c: &mut Cluster, through: usize, limit: u32) -> (Vec<String>, usize) {
    let (mut found, mut from, mut pages) = (Vec::new(), bytes::Bytes::new(), 0);
    loop {
        let (key, to) = ("k".into(), bytes::Bytes::new());
        let bucket = "b".into();
        let reply = c.ask(
            through,
            Request::Scan { bucket, key, from, to, limit, quorum: quorum(), reverse: false },
        );
        let Some(Reply::Page { items, next }) = reply else { panic!("{reply:?}") };
        found.extend(items.iter().map(|i| String::from_utf8_lossy(&i.sort).into_owned()));
        pages += 1;
        match next {
            Some(next) => from = next,
            None => return (found, pages),
        }
    }
}

#[test]
fn the_pages_of_a_scan_end_where_the_shortest_of_them_ends() {
    let (mut c, [a, b, o], [d, e]) = five_without_sync(305);
    c.kill(d);
    c.kill(e);
    c.network.partition(&[a], &[b, o]);
    c.network.partition(&[b], &[a, o]);
    // One owner has the first half alone, the other the second.
    for sort in 0..20 {
        let through = if sort < 10 { a } else { b };
        acked(c.ask(through, at(sort, Some("v"), "", level(Consistency::One))));
    }
    c.network.heal();
    c.kill(o);
    let expected: Vec<String> = (0..20).map(|sort| format!("{sort:03}")).collect();
    for limit in [3, 4, 7] {
        assert_eq!(scanned(&mut c, a, limit).0, expected, "{limit} at a time");
    }
}

#[test]
fn a_page_of_a_scan_bounds_what_is_examined_and_tombstones_are() {
    let (mut c, [a, ..], _) = five(306);
    for sort in 0..40 {
        let context = acked(c.ask(a, at(sort, Some("v"), "", quorum())));
        if sort % 10 != 9 {
            acked(c.ask(a, at(sort, None, &context, quorum())));
        }
    }
    for through in 1..=5 {
        let (found, pages) = scanned(&mut c, through, 5);
        assert_eq!(found, ["009", "019", "029", "039"]);
        assert!((8..=9).contains(&pages), "{pages}");
    }
}
