//! Tombstones go when every owner has them and nobody has anything older; and what they stood for stays away.

use super::kit::*;
use quorate::message::client::Request;
use quorate::message::client::{Inspect, RingChange};
use quorate::message::peer::{Data, Told};
use quorate::message::{Kind, decode};
use quorate::node::Timing;
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::{Cluster, Heard, Options};
use quorate::store::{Source, key as store_key};
use quorate::time::Duration;

/// How many items lie on a node's disk, tombstones among them.
fn stored(c: &Cluster, number: usize) -> usize {
    let (from, to) = store_key::data_range();
    c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

fn nothing_is_left(c: &mut Cluster, nodes: usize) {
    until(c, "every tombstone is collected", |c| (1..=nodes).all(|number| stored(c, number) == 0));
}

fn kept_because(c: &mut Cluster, number: usize) -> String {
    let status = inspect(c, number, Inspect::Status);
    status["tombstones_kept_because"].as_str().unwrap_or_default().to_owned()
}

fn says(heard: &Heard) -> Option<Data> {
    (heard.frame.header.kind == Kind::Data).then(|| decode(&heard.frame.body).expect("ours"))
}

/// The frames with records in them that have come since this was last asked.
fn records(c: &mut Cluster) -> Vec<Heard> {
    let heard = c.heard().into_iter();
    heard.filter(|heard| matches!(says(heard), Some(Data::Replicate { .. }))).collect()
}

/// All of these come once more, and nothing comes of it.
fn come_again(c: &mut Cluster, late: &[Heard], nodes: usize) {
    assert!(!late.is_empty(), "nothing was on its way");
    for heard in late {
        c.deliver_again(heard);
        millis(c, 20);
        assert!((1..=nodes).all(|number| stored(c, number) == 0), "{:?}", says(heard));
    }
    secs(c, 12);
    assert!((1..=nodes).all(|number| stored(c, number) == 0));
}

#[test]
fn a_deleted_key_is_gone_from_every_disk_and_its_partition_is_read_once() {
    let (mut c, [a, ..], _) = five(2201);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    acked(c.ask(a, delete("k", &context)));
    nothing_is_left(&mut c, 5);
    assert!(got(c.ask(a, get("k", strict()))).0.is_empty());
    assert_eq!(metric(&mut c, a, "tombstones_collected"), 1);
    secs(&mut c, 10);
    let read = |c: &mut Cluster| (1..=5).map(|n| metric(c, n, "collection_heads")).sum::<u64>();
    let before = read(&mut c);
    secs(&mut c, 30);
    assert_eq!(read(&mut c), before, "an idle cluster without tombstones looks for none");
    // And the key can be used again.
    acked(c.ask(a, put("k", "w", "")));
    converges(&mut c, "k", &["w"]);
}

#[test]
fn story_22_a_hint_outlives_the_grave() {
    let (mut c, [a, _, o], [d, e]) = five(22);
    c.kill(o);
    notices(&mut c, a, &[o]);
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let context = acked(c.ask(a, put_at("k", "v1", "", three)));
    let keeper = [d, e].into_iter().find(|n| stored(&c, *n) == 1).expect("somebody stands in");
    c.kill(keeper);
    c.start(o);
    converges(&mut c, "k", &["v1"]);
    acked(c.ask(a, put_as("k", None, &context, operation(), level(Consistency::All))));
    secs(&mut c, 40);
    assert_eq!(stored(&c, a), 1, "the stand-in may have something older");
    assert_eq!(kept_because(&mut c, a), format!("n{keeper} is away"));
    c.start(keeper);
    formed(&mut c, 5);
    nothing_is_left(&mut c, 5);
    for through in 1..=5 {
        assert!(got(c.ask(through, get("k", quorum()))).0.is_empty());
    }
}

#[test]
fn story_23_the_missing_replica_keeps_all_tombstones_waiting() {
    let (mut c, [a, _, o], _) = five(23);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.kill(o);
    notices(&mut c, a, &[o]);
    acked(c.ask(a, delete("k", &context)));
    secs(&mut c, 60);
    assert_eq!(local(&mut c, a, "k"), ["†"]);
    let words = inspect(&mut c, a, Inspect::Status)["verdict"].to_string();
    assert!(words.contains(&format!("tombstones are kept: n{o} is away")), "{words}");
    c.start(o);
    formed(&mut c, 5);
    nothing_is_left(&mut c, 5);
    assert!(got(c.ask(o, get("k", strict()))).0.is_empty());
    assert_eq!(kept_because(&mut c, a), "");
}

/// A member that is gone for good keeps nothing waiting once it is removed.
#[test]
fn a_removed_member_blocks_nothing() {
    let (mut c, [a, _, o], _) = five(2302);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.kill(o);
    notices(&mut c, a, &[o]);
    acked(c.ask(a, delete("k", &context)));
    secs(&mut c, 10);
    assert_eq!(stored(&c, a), 1);
    let removed = c.ask(a, Request::ChangeRing(RingChange::Remove(format!("n{o}"))));
    assert_eq!(removed, Some(quorate::message::client::Reply::Agreed));
    let rest = all_but(5, &[o]);
    until(&mut c, "it is collected", |c| rest.iter().all(|number| stored(c, *number) == 0));
}

/// What was on its way when the tombstone went: from the put, from the stand-in, from a read that repaired.
#[test]
fn what_comes_late_after_a_collection_is_refused() {
    let (mut c, [a, _, o], [d, e]) = five(2203);
    c.tap(true);
    for (by, node) in [(a, o), (a, d), (a, e)] {
        c.network.cut(by, node);
    }
    let context = acked(c.ask(a, put("k", "v", "")));
    secs(&mut c, 1);
    c.network.heal();
    assert_eq!(got(c.ask(o, get("k", level(Consistency::All)))).0, ["v"]);
    converges(&mut c, "k", &["v"]);
    until(&mut c, "no hints are left", |c| (1..=5).all(|number| hints(c, number) == 0));
    let mut late = records(&mut c);
    acked(c.ask(a, delete("k", &context)));
    nothing_is_left(&mut c, 5);
    // The record of the delete itself harms nobody; it would be collected again.
    c.heard();
    let to_o = late.iter().filter(|heard| heard.to == o).count();
    assert!(to_o >= 1, "a repair, or a hint");
    late.retain(|heard| heard.arrived);
    come_again(&mut c, &late, 5);
}

#[test]
fn a_hand_over_that_comes_late_after_a_collection_is_refused() {
    let (mut c, [a, _, o], [d, e]) = five_without_sync(2204);
    c.kill(o);
    notices(&mut c, a, &[o]);
    let three = QuorumRequest { count: Some(3), ..QuorumRequest::default() };
    let context = acked(c.ask(a, put_at("k", "v", "", three)));
    c.tap(true);
    c.start(o);
    converges(&mut c, "k", &["v"]);
    let keepers = [d, e];
    let mut late = records(&mut c);
    late.retain(|heard| keepers.contains(&heard.from) && heard.to == o);
    acked(c.ask(a, delete("k", &context)));
    nothing_is_left(&mut c, 5);
    come_again(&mut c, &late, 5);
}

#[test]
fn a_late_retry_of_a_put_does_not_bring_back_what_was_deleted_and_collected() {
    let (mut c, [a, b, o], [d, _]) = five(2205);
    let first = operation();
    let write = || put_as("k", Some("v"), "", first, quorum());
    let context = acked(c.ask(a, write()));
    converges(&mut c, "k", &["v"]);
    acked(c.ask(b, delete("k", &context)));
    nothing_is_left(&mut c, 5);
    for through in [a, b, o, d] {
        acked(c.ask(through, write()));
        assert!(got(c.ask(o, get("k", strict()))).0.is_empty());
    }
    // A life later, too; and past all owners, from a stand-in that knows of nothing.
    [a, b, o].iter().for_each(|node| c.kill(*node));
    [a, b, o].iter().for_each(|node| c.start(*node));
    formed(&mut c, 5);
    acked(c.ask(a, write()));
    for owner in [a, b, o] {
        c.network.cut(d, owner);
    }
    secs(&mut c, 1);
    whatever(c.ask(d, put_as("k", Some("v"), "", first, level(Consistency::Any))));
    c.network.heal();
    secs(&mut c, 20);
    assert!(got(c.ask(o, get("k", strict()))).0.is_empty());
    nothing_is_left(&mut c, 5);
    // Not for ever.
    let noted = |c: &Cluster| {
        let gone = store_key::meta("gone/");
        let all = c.disk(a).scan(&gone, &store_key::after_prefix(&gone), usize::MAX);
        all.expect("a healthy disk").len()
    };
    assert!(noted(&c) > 0);
    secs(&mut c, 700);
    assert_eq!(noted(&c), 0);
}

/// What its driver has heard last when it dies, step by step.
#[test]
fn a_driver_that_dies_between_any_two_steps_loses_its_round_and_nothing_else() {
    let steps: [fn(&Told) -> bool; 4] = [
        |told| matches!(told, Told::Held { .. }),
        |told| matches!(told, Told::Opened(_)),
        |told| matches!(told, Told::Drained(_)),
        |told| matches!(told, Told::Closed(_)),
    ];
    for (at, step) in steps.into_iter().enumerate() {
        let (mut c, [a, b, _], _) = five(2210 + at as u64);
        let context = acked(c.ask(b, put("k", "v", "")));
        converges(&mut c, "k", &["v"]);
        c.tap(true);
        acked(c.ask(b, delete("k", &context)));
        let mut deaths = 0;
        until(&mut c, "it dies at this step", |c| {
            let told = c.heard().into_iter().filter(|heard| heard.to == a);
            let reached = told.filter_map(|heard| says(&heard)).any(
                |data| matches!(data, Data::RoundsTold(told) if told.iter().any(|t| step(&t.told))),
            );
            if reached {
                c.kill(a);
                deaths += 1;
            }
            reached
        });
        assert_eq!(deaths, 1);
        c.tap(false);
        secs(&mut c, 3);
        assert!(got(c.ask(b, get("k", strict()))).0.is_empty(), "step {at}");
        c.start(a);
        formed(&mut c, 5);
        nothing_is_left(&mut c, 5);
        assert!(got(c.ask(a, get("k", strict()))).0.is_empty(), "step {at}");
    }
}

/// `QUORATE_DELETES=50000` for the full size.
#[test]
fn many_deletes_behind_the_back_of_a_node_that_was_away_for_an_hour_all_hold_and_all_go() {
    let count = std::env::var("QUORATE_DELETES").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let timing = Timing { sync: Duration::from_secs(5), ..Timing::default() };
    let mut c = Cluster::new(Options { nodes: 5, seed: 2220, timing, ..Options::default() });
    formed(&mut c, 5);
    let mut contexts = Vec::new();
    for n in 0..count {
        let write = put_at(&format!("k{n}"), "v", "", level(Consistency::All));
        contexts.push(acked(c.ask(1 + n % 5, write)));
    }
    c.kill(3);
    notices(&mut c, 1, &[3]);
    for (n, context) in contexts.iter().enumerate() {
        let through = [1, 2, 4, 5][n % 4];
        acked(c.ask(through, delete(&format!("k{n}"), context)));
    }
    secs(&mut c, 3600);
    c.start(3);
    let mut shown = 0;
    until(&mut c, "all are gone", |c| {
        for n in (0..count).step_by(count.div_ceil(20)) {
            if c.node(3).is_some_and(|node| node.readiness().is_ok()) {
                shown += got(c.ask(3, get(&format!("k{n}"), strict()))).0.len();
            }
        }
        (1..=5).all(|number| stored(c, number) == 0)
    });
    assert_eq!(shown, 0, "what was deleted was read");
}
