//! Schedules that a reader of the data path found: what is late, refused or half known counts for nothing.

use super::kit::*;
use quorate::message::client::{Item, Reply, Request};

#[test]
fn an_acknowledgement_meant_for_an_earlier_life_counts_for_nothing() {
    let mut c = cluster(3, 301);
    // n2 takes in what n1 wrote and cannot sync it before n1 is dead and back.
    c.hold_syncs(2, true);
    c.network.cut(1, 3);
    for n in 0..400 {
        c.send(1, put_at(&format!("old{n}"), "v", "", strict()));
    }
    millis(&mut c, 5);
    c.kill(1);
    c.network.heal();
    c.start(1);
    until(&mut c, "n1 is back", |c| {
        sees_alive(c, 1, 2) && sees_alive(c, 1, 3) && c.node(1).unwrap().readiness().is_ok()
    });
    // Now nobody hears n1, and n2's late acknowledgements arrive.
    c.network.cut(1, 2);
    c.network.cut(1, 3);
    let pending: Vec<_> = (0..20)
        .map(|n| c.send_within(1, 2_000, put_at(&format!("new{n}"), "v", "", strict())))
        .collect();
    millis(&mut c, 1);
    c.hold_syncs(2, false);
    secs(&mut c, 3);
    for (n, one) in pending.into_iter().enumerate() {
        let reply = c.answer(one);
        assert!(matches!(reply, Some(Reply::Failed(_))), "new{n} lies on n1 alone: {reply:?}");
    }
}

#[test]
fn a_source_that_is_behind_has_not_been_compared_with() {
    let (mut c, owners, _) = five_without_sync(302);
    let wiped = owners[0];
    let through = if wiped == 1 { 2 } else { 1 };
    let others: Vec<usize> = owners[1..].to_vec();
    // It must not be the one through which the wiped node joins.
    let (has, lacks) = match others[0] == through {
        true => (others[1], others[0]),
        false => (others[0], others[1]),
    };
    c.network.cut(wiped, lacks);
    acked(c.ask(wiped, put_at("k", "v", "", strict())));
    assert_eq!(local(&mut c, lacks, "k"), [""; 0]);
    // The only source cannot install the epoch in which the wiped node is back.
    c.hold_syncs(has, true);
    c.wipe(wiped);
    c.network.heal();
    c.start(wiped);
    secs(&mut c, 20);
    let reply = c.ask(wiped, get("k", strict()));
    assert!(!matches!(reply, Some(Reply::Got { .. })), "one disk was lost, not two: {reply:?}");
    c.hold_syncs(has, false);
    formed(&mut c, 5);
    assert_eq!(got(c.ask(wiped, get("k", strict()))).0, ["v"]);
}

#[test]
fn what_the_disk_refused_is_not_there_after_a_change_of_epoch() {
    let (mut c, [a, b, o], fallbacks) = five_without_sync(303);
    c.disk(a).set_full(true);
    c.network.cut(a, o);
    let pending = c.send_within(a, 20_000, put_at("k", "v", "", strict()));
    millis(&mut c, 100);
    c.disk(a).set_full(false);
    assert_eq!(local(&mut c, b, "k"), ["v"]);
    assert_eq!(local(&mut c, a, "k"), [""; 0]);
    // Another life of somebody else is a new epoch: everything under way begins again.
    let other = if fallbacks[0] == 1 { fallbacks[1] } else { fallbacks[0] };
    c.wipe(other);
    c.start(other);
    for _ in 0..20_000 {
        millis(&mut c, 1);
        match c.answer(pending) {
            None => continue,
            Some(Reply::Written { .. }) => return assert_eq!(local(&mut c, a, "k"), ["v"]),
            Some(_) => return,
        }
    }
    panic!("no answer");
}

#[test]
fn a_node_that_is_cut_off_does_not_say_that_a_bucket_it_has_not_heard_of_is_empty() {
    let mut c = cluster(3, 304);
    c.network.partition(&[3], &[1, 2]);
    assert_eq!(c.ask(1, Request::CreateBucket(spec("late"))), Some(Reply::Agreed));
    let item = Item { bucket: "late".into(), ..item("k") };
    let Request::Put { quorum, value, context, operation, expires_at, tried_since, .. } =
        put("k", "v", "")
    else {
        unreachable!("a put is a put")
    };
    let item_of = item.clone();
    acked(
        c.ask(1, Request::Put { item, quorum, value, context, operation, expires_at, tried_since }),
    );
    let reply = c.ask(3, Request::Get { item: item_of.clone(), quorum });
    assert!(matches!(reply, Some(Reply::Failed(_))), "it was acknowledged: {reply:?}");
    c.network.heal();
    secs(&mut c, 5);
    assert_eq!(got(c.ask(3, Request::Get { item: item_of, quorum })).0, ["v"]);
}

#[test]
fn a_scan_goes_on_after_the_longest_sort_key() {
    let mut c = cluster(3, 305);
    let sorted = |sort: &[u8]| Item { sort: sort.to_vec().into(), ..item("k") };
    for sort in [&[b'a'; 1024][..], b"b"] {
        let Request::Put { quorum, value, context, operation, expires_at, tried_since, .. } =
            put("k", "v", "")
        else {
            unreachable!("a put is a put")
        };
        let item = sorted(sort);
        acked(c.ask(
            1,
            Request::Put { item, quorum, value, context, operation, expires_at, tried_since },
        ));
    }
    let mut from = Vec::new().into();
    let mut seen = 0;
    loop {
        let (bucket, key) = (item("k").bucket, item("k").key);
        let (to, limit, quorum) = (Vec::new().into(), 1, quorum());
        match c.ask(1, Request::Scan { bucket, key, from, to, limit, quorum, reverse: false }) {
            Some(Reply::Page { items, next: Some(next) }) => {
                seen += items.len();
                from = next;
            }
            Some(Reply::Page { items, next: None }) => {
                assert_eq!(seen + items.len(), 2);
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}
