//! Hints for a node that is away for long: too many for a hint each, and not a storm when it is back.

use super::kit::*;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::node::{Limits, Timing};
use quorate::quorum::QuorumRequest;
use quorate::sim::{Cluster, Options};
use quorate::time::Duration;
use std::collections::BTreeMap;

/// Buckets of three on five nodes that keep few hints; comparisons would hide what hints do not mend.
fn few_hints(seed: u64, entries: u64, items: u64) -> Cluster {
    let timing = Timing { sync: Duration::from_secs(36_000), ..Timing::default() };
    let limits = Limits { hint_entries: entries, hint_items: items, ..Limits::default() };
    let mut c = Cluster::new(Options { nodes: 5, seed, timing, limits, ..Options::default() });
    formed(&mut c, 5);
    assert_eq!(c.ask(1, Request::CreateBucket(spec("b"))), Some(Reply::Agreed));
    everybody_knows(&mut c, 5, 1);
    c
}

fn put_key(key: usize, value: &str) -> Request {
    put(&format!("k{key}"), value, "")
}

fn ranges(c: &mut Cluster) -> u64 {
    (1..=4).map(|node| metric(c, node, "hint_ranges")).sum()
}

fn kept(c: &mut Cluster) -> u64 {
    (1..=4).map(|node| hints(c, node)).sum()
}

#[test]
fn ten_minutes_away_under_load_and_everything_arrives_although_the_hints_were_far_too_many() {
    let mut c = few_hints(801, 20, 100_000);
    c.kill(5);
    notices(&mut c, 1, &[5]);
    let mut acknowledged: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for write in 0..3_000 {
        let (key, value) = (write * 7 % 500, format!("v{write}"));
        acked(c.ask(1 + write % 4, put_key(key, &value)));
        acknowledged.entry(key).or_default().push(value);
        millis(&mut c, 200);
        // Stand-ins die and come back meanwhile: ranges are durable.
        if write % 500 == 250 {
            let node = 1 + write / 500 % 4;
            c.kill(node);
            c.start(node);
            for other in 1..=4 {
                until(&mut c, "it is back", |c| sees_alive(c, other, node));
            }
        }
    }
    let (before, many) = (kept(&mut c), ranges(&mut c));
    assert!(before > 100 && many > 4, "{before} items, {many} ranges");
    c.start(5);
    // It is asked for nothing before it has heard the others, and load goes on.
    for write in 3_000..3_300 {
        let (key, value) = (write * 7 % 500, format!("v{write}"));
        acked(c.ask(1 + write % 4, put_key(key, &value)));
        acknowledged.entry(key).or_default().push(value);
        millis(&mut c, 20);
    }
    until(&mut c, "nothing is kept any more", |c| kept(c) == 0 && ranges(c) == 0);
    secs(&mut c, 2);
    for (key, values) in acknowledged {
        let name = format!("k{key}");
        let (owners, fallbacks) = places(&mut c, &name);
        let mut expected = values;
        expected.sort();
        for owner in owners {
            let mut held = local(&mut c, owner, &name);
            held.sort();
            assert_eq!(held, expected, "{name} on n{owner}");
        }
        for fallback in fallbacks {
            assert!(local(&mut c, fallback, &name).is_empty(), "{name} stays on n{fallback}");
        }
    }
}

#[test]
fn who_keeps_enough_declines_and_another_stands_in_or_the_client_hears_of_it() {
    let mut c = few_hints(802, 5, 40);
    c.kill(5);
    notices(&mut c, 1, &[5]);
    let all = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let mut refused = 0;
    for key in 0..600 {
        let request = put_at(&format!("k{key}"), "v", "", all);
        let reply = c.ask(1 + key % 4, request);
        refused += u64::from(matches!(reply, Some(Reply::Failed(_))));
    }
    let declined: u64 = (1..=4).map(|node| metric(&mut c, node, "hints_declined")).sum();
    assert!(declined > 50 && refused > 50, "{declined} declined, {refused} refused");
    for node in 1..=4 {
        assert!(hints(&mut c, node) < 80, "n{node} keeps {}", hints(&mut c, node));
    }
    let told = inspect(&mut c, 1, Inspect::Hints);
    assert_eq!(told["full"], true, "{told}");
    // A quorum of the owners that are there needs no stand-in.
    for key in 0..600 {
        acked(c.ask(1 + key % 4, put(&format!("k{key}"), "w", "")));
    }
    c.start(5);
    until(&mut c, "nothing is kept any more", |c| kept(c) == 0);
    acked(c.ask(1, put_at("later", "v", "", all)));
}
