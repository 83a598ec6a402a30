//! Items that end by themselves: by whose clock, and what becomes of them.

use super::kit::*;
use bytes::Bytes;
use quorate::message::client::{BucketSpec, Expiry, Inspect, Item, Reply, Request};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::Cluster;
use quorate::store::{Source, key as store_key};

const HOUR_MS: i64 = 3_600_000;

fn put_for(key: &str, value: &str, seconds: u64) -> Request {
    let mut put = put_at(key, value, "", level(Consistency::All));
    if let Request::Put { expires_at, .. } = &mut put {
        *expires_at = Some(Expiry::After(seconds * 1_000));
    }
    put
}

fn read(c: &mut Cluster, through: usize) -> Vec<String> {
    got(c.ask(through, get("k", level(Consistency::All)))).0
}

fn stored(c: &Cluster, number: usize) -> usize {
    let (from, to) = store_key::data_range();
    c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

#[test]
fn an_item_is_gone_for_readers_when_its_time_is_over_and_then_from_every_disk() {
    let (mut c, [a, b, o], _) = five(2601);
    let context = acked(c.ask(a, put_for("k", "v", 30)));
    acked(c.ask(b, put_for("k2", "v", 3_000)));
    secs(&mut c, 28);
    assert_eq!(read(&mut c, b), ["v"]);
    secs(&mut c, 3);
    for through in [a, b, o] {
        assert!(read(&mut c, through).is_empty());
    }
    until(&mut c, "it is collected", |c| (1..=5).map(|n| stored(c, n)).sum::<usize>() == 3);
    // Whoever goes on from what was there before begins anew.
    acked(c.ask(o, put_at("k", "w", &context, quorum())));
    assert_eq!(read(&mut c, a), ["w"]);
}

/// n-th owner's clock is an hour ahead, and expires the item; another one reads and could repair.
#[test]
fn story_26_expiry_under_skew() {
    let (mut c, [a, b, o], _) = five(26);
    c.skew(a, HOUR_MS);
    secs(&mut c, 1);
    acked(c.ask(b, put_for("k", "v", 600)));
    converges(&mut c, "k", &["v"]);
    secs(&mut c, 10);
    let work = |c: &mut Cluster| -> u64 {
        let all = ["read_repairs", "sync_items", "tombstones_collected"];
        (1..=5).map(|n| all.map(|name| metric(c, n, name)).iter().sum::<u64>()).sum()
    };
    let before = work(&mut c);
    for _ in 0..20 {
        assert!(read(&mut c, a).is_empty(), "the coordinator decides, by its own clock");
        assert_eq!(read(&mut c, b), ["v"]);
        assert_eq!(read(&mut c, o), ["v"]);
        secs(&mut c, 6);
    }
    assert_eq!(work(&mut c), before, "nothing differs, so nothing is mended or collected");
    secs(&mut c, 500);
    assert!(read(&mut c, b).is_empty());
    until(&mut c, "it is collected", |c| (1..=5).all(|n| stored(c, n) == 0));
}

#[test]
fn what_has_expired_stays_so_when_a_clock_is_set_back_or_a_node_begins_again() {
    let (mut c, [a, b, o], _) = five(2603);
    // Somebody is away: nothing is collected meanwhile.
    c.kill(o);
    notices(&mut c, a, &[o]);
    acked(c.ask(a, {
        let mut put = put_for("k", "v", 20);
        if let Request::Put { quorum, .. } = &mut put {
            *quorum = level(Consistency::Quorum);
        }
        put
    }));
    secs(&mut c, 25);
    let shown = |c: &mut Cluster, through| got(c.ask(through, get("k", quorum()))).0;
    assert!(shown(&mut c, a).is_empty() && shown(&mut c, b).is_empty());
    secs(&mut c, 4);
    c.skew(a, -HOUR_MS);
    secs(&mut c, 2);
    assert!(shown(&mut c, a).is_empty(), "the machine's clock was set back");
    c.kill(a);
    c.start(a);
    secs(&mut c, 12);
    assert!(shown(&mut c, a).is_empty(), "and the node has begun another life");
}

#[test]
fn a_bucket_says_how_long_its_items_live_unless_a_write_does() {
    let (mut c, [a, ..], _) = five(2604);
    let spec = BucketSpec { name: "short".into(), ttl_ms: Some(5_000), ..BucketSpec::default() };
    assert_eq!(c.ask(a, Request::CreateBucket(spec.clone())), Some(Reply::Agreed));
    everybody_knows(&mut c, 5, 2);
    let listed = inspect(&mut c, a, Inspect::Buckets)["buckets"].clone();
    let listed =
        listed.as_array().and_then(|all| all.iter().find(|b| b["name"] == "short").cloned());
    assert_eq!(listed.expect("it is there")["ttl_ms"], 5_000);
    let put = |sort: usize, expiry: Option<Expiry>| Request::Put {
        item: Item { bucket: "short".into(), ..item_sorted("k", sort) },
        quorum: level(Consistency::All),
        value: Some(Bytes::from_static(b"v")),
        context: String::new(),
        operation: operation(),
        expires_at: expiry,
        tried_since: None,
    };
    acked(c.ask(a, put(1, None)));
    acked(c.ask(a, put(2, Some(Expiry::After(60_000)))));
    let scan = |c: &mut Cluster| {
        let (from, to) = (Bytes::new(), Bytes::new());
        let (bucket, key) = ("short".into(), Bytes::from_static(b"k"));
        let quorum = QuorumRequest::default();
        match c.ask(a, Request::Scan { bucket, key, from, to, limit: 10, quorum, reverse: false }) {
            Some(Reply::Page { items, .. }) => items.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(scan(&mut c), 2);
    secs(&mut c, 6);
    assert_eq!(scan(&mut c), 1, "a scan shows what a read would");
    let none = c.ask(a, put(3, Some(Expiry::After(0))));
    assert_eq!(failed(none).code(), "invalid");
}
