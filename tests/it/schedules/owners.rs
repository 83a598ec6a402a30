//! Owners change while clients go on: nothing acknowledged is lost, and only what must moves.

use super::kit::*;
use quorate::message::client::{BucketSpec, Inspect, Reply, Request, RingChange};
use quorate::node::Timing;
use quorate::quorum::Consistency;
use quorate::sim::{Cluster, Options};
use quorate::store::{Source, key as store_key};
use quorate::time::Duration;
use serde_json::Value;

pub(super) const ITEMS: usize = 120;

fn with_items(nodes: usize, seed: u64) -> Cluster {
    with_items_in(nodes, seed, &[], Timing::default().down_out_after)
}

pub(super) fn with_items_in(
    nodes: usize,
    seed: u64,
    zones: &[&str],
    down_out_after: Duration,
) -> Cluster {
    let timing = Timing { sync: Duration::from_secs(5), down_out_after, ..Timing::default() };
    let zones = zones.iter().map(|zone| zone.to_string()).collect();
    let partitions = 64;
    let options = Options { nodes, seed, timing, partitions, zones, ..Options::default() };
    let mut c = Cluster::new(options);
    formed(&mut c, nodes);
    for n in 0..ITEMS {
        acked(c.ask(1 + n % nodes, put_at(&format!("k{n}"), "v", "", level(Consistency::All))));
    }
    c
}

pub(super) fn ring(c: &mut Cluster, number: usize) -> Value {
    inspect(c, number, Inspect::Ring)
}

fn up(c: &Cluster) -> Vec<usize> {
    (1..=c.size()).filter(|number| c.node(*number).is_some()).collect()
}

/// Runs until no change is under way, nobody is leaving, and nothing lies where others own it.
pub(super) fn settled(c: &mut Cluster) {
    until(c, "owners have changed", |c| {
        up(c).into_iter().all(|number| {
            let ring = ring(c, number);
            let status = inspect(c, number, Inspect::Status);
            ring["change"].is_null()
                && ring["leaving"].as_array().is_some_and(Vec::is_empty)
                && !status["verdict"].as_str().is_some_and(|v| v.contains("others own"))
        })
    });
}

pub(super) fn owned(c: &mut Cluster, by: usize, of: usize) -> u64 {
    let ring = ring(c, by);
    let name = format!("n{of}");
    let members = ring["members"].as_array().expect("a list").iter();
    members
        .filter(|m| m["name"] == name.as_str())
        .map(|m| m["owned"].as_u64().expect("a number"))
        .sum()
}

/// How many items lie on a node's disk.
pub(super) fn stored(c: &Cluster, number: usize) -> usize {
    let (from, to) = store_key::data_range();
    c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

pub(super) fn change(c: &mut Cluster, through: usize, change: RingChange) {
    let reply = c.ask(through, Request::ChangeRing(change));
    assert_eq!(reply, Some(Reply::Agreed));
}

/// Through every member.
pub(super) fn all_there(c: &mut Cluster, value: &str) {
    let members = ring(c, 1)["members"].clone();
    let is_member = |number: &usize| {
        let name = format!("n{number}");
        members.as_array().is_some_and(|all| all.iter().any(|m| m["name"] == name.as_str()))
    };
    for number in up(c).into_iter().filter(is_member) {
        for n in (0..ITEMS).step_by(7) {
            let read = got(c.ask(number, get(&format!("k{n}"), strict())));
            assert_eq!(read.0, [value], "k{n} through n{number}");
        }
    }
}

#[test]
fn a_fourth_node_takes_a_quarter_and_the_others_keep_nothing_of_it() {
    let mut c = with_items(3, 801);
    let joiner = c.grow();
    until(&mut c, "it owns something", |c| owned(c, 1, joiner) > 0);
    // Clients go on: what they overwrite meanwhile is seen by everybody after.
    for n in 0..ITEMS {
        let key = format!("k{n}");
        let (_, context) = got(c.ask(1 + n % 3, get(&key, strict())));
        acked(c.ask(1 + n % 3, put_at(&key, "w", &context, strict())));
    }
    settled(&mut c);
    formed(&mut c, 4);
    let slots = 64 * 3;
    let share = owned(&mut c, 1, joiner);
    assert!((slots / 4 * 8 / 10..=slots / 4 * 12 / 10).contains(&share), "{share} of {slots}");
    all_there(&mut c, "w");
    let copies: usize = (1..=4).map(|number| stored(&c, number)).sum();
    assert_eq!(copies, 3 * ITEMS, "each item lies where it is owned, and nowhere else");
}

#[test]
fn who_leaves_gives_everything_away_and_is_let_go() {
    let mut c = with_items(4, 802);
    // A value that only the leaver has: nobody else was asked to store it.
    let (owners, _) = places(&mut c, "lone");
    let leaver = owners[0];
    c.network.partition(&[leaver], &all_but(4, &[leaver]));
    acked(c.ask(leaver, put_at("lone", "v", "", level(Consistency::One))));
    let through = if leaver == 1 { 2 } else { 1 };
    c.network.heal();
    change(&mut c, through, RingChange::Leave(format!("n{leaver}")));
    until(&mut c, "it is no member any more", |c| {
        let ring = ring(c, through);
        ring["members"].as_array().is_some_and(|members| members.len() == 3)
    });
    assert_eq!(stored(&c, leaver), 0);
    secs(&mut c, 30);
    assert_eq!(ring(&mut c, through)["members"].as_array().map(Vec::len), Some(3), "for good");
    assert!(!was_set_aside(&c, leaver));
    c.kill(leaver);
    all_there(&mut c, "v");
    assert_eq!(got(c.ask(through, get("lone", strict()))).0, ["v"]);
}

/// What such a key's replicas remember of past operations is never the same; that must not look like something to give.
#[test]
fn keys_that_are_written_all_the_time_do_not_hold_up_who_leaves() {
    let timing = Timing { sync: Duration::from_secs(3), ..Timing::default() };
    let mut c = Cluster::new(Options { nodes: 4, seed: 813, timing, ..Options::default() });
    formed(&mut c, 4);
    let lww = BucketSpec { lww: true, ..spec("b") };
    assert_eq!(c.ask(1, Request::CreateBucket(lww)), Some(Reply::Agreed));
    let overwrite = |c: &mut Cluster, through: usize| {
        for key in ["a", "b", "c"] {
            acked(c.ask(through, put_at(key, "v", "", quorum())));
        }
    };
    let (owners, _) = places(&mut c, "a");
    let leaver = owners[0];
    let through = if leaver == 1 { 2 } else { 1 };
    for _ in 0..40 {
        overwrite(&mut c, through);
    }
    change(&mut c, through, RingChange::Leave(format!("n{leaver}")));
    let begun = c.now();
    while ring(&mut c, through)["members"].as_array().is_some_and(|all| all.len() == 4) {
        assert!(c.now().since(begun) < Duration::from_secs(40), "it is still a member");
        overwrite(&mut c, through);
        millis(&mut c, 10);
    }
    assert_eq!(stored(&c, leaver), 0);
}

#[test]
fn who_is_gone_for_good_is_removed_and_its_copies_are_made_again() {
    let mut c = with_items(5, 803);
    c.kill(5);
    notices(&mut c, 1, &[5]);
    change(&mut c, 1, RingChange::Remove("n5".into()));
    settled(&mut c);
    all_there(&mut c, "v");
    let copies: usize = (1..=4).map(|number| stored(&c, number)).sum();
    assert_eq!(copies, 3 * ITEMS);
    // It comes back with what it had, and harms nobody.
    c.start(5);
    secs(&mut c, 20);
    all_there(&mut c, "v");
    let status = inspect(&mut c, 5, Inspect::Status);
    let told = status["reason"].as_str().unwrap_or_default();
    assert!(told.contains("no member any more"), "{status}");
    assert_eq!(ring(&mut c, 1)["members"].as_array().map(Vec::len), Some(4));
    assert!(c.ask(5, get("k1", strict())).is_none_or(|reply| matches!(reply, Reply::Failed(_))));
}

#[test]
fn a_replacement_takes_exactly_the_places_of_the_one_that_goes() {
    let mut c = with_items(4, 804);
    let before: Vec<u64> = (1..=4).map(|of| owned(&mut c, 1, of)).collect();
    let new = c.grow();
    until(&mut c, "it is a member", |c| {
        ring(c, 1)["members"].as_array().is_some_and(|members| members.len() == 5)
    });
    // At once: it would get a share of everybody's by itself in a moment.
    let (old, new) = ("n2".to_owned(), format!("n{new}"));
    change(&mut c, 1, RingChange::Replace { old, new });
    until(&mut c, "n2 is let go", |c| {
        ring(c, 1)["members"].as_array().is_some_and(|members| members.len() == 4)
    });
    let after: Vec<u64> = [1, 5, 3, 4].map(|of| owned(&mut c, 1, of)).to_vec();
    assert_eq!(after, before);
    assert_eq!(stored(&c, 2), 0);
    c.kill(2);
    all_there(&mut c, "v");
}

#[test]
fn who_stands_by_takes_the_places_of_one_that_is_dead_and_that_one_is_let_go() {
    let mut c = with_items(4, 824);
    let before: Vec<u64> = (1..=4).map(|of| owned(&mut c, 1, of)).collect();
    let spare = c.grow_spare();
    until(&mut c, "it is a member", |c| {
        ring(c, 1)["members"].as_array().is_some_and(|members| members.len() == 5)
    });
    // A share would be moved to it in this time.
    secs(&mut c, 60);
    assert_eq!((owned(&mut c, 1, spare), ring(&mut c, 1)["change"].clone()), (0, Value::Null));
    c.kill(2);
    notices(&mut c, spare, &[2]);
    change(&mut c, spare, RingChange::Replace { old: "n2".into(), new: format!("n{spare}") });
    until(&mut c, "n2 is let go, though it can say nothing", |c| {
        ring(c, 1)["members"].as_array().is_some_and(|members| members.len() == 4)
    });
    settled(&mut c);
    assert_eq!([1, spare, 3, 4].map(|of| owned(&mut c, 1, of)).to_vec(), before);
    all_there(&mut c, "v");
    // It comes back with what it had, and harms nobody.
    c.start(2);
    secs(&mut c, 20);
    let status = inspect(&mut c, 2, Inspect::Status);
    assert!(status["reason"].as_str().is_some_and(|why| why.contains("no member any more")));
    all_there(&mut c, "v");
}

#[test]
fn who_dies_when_it_has_given_up_its_places_waits_for_a_word() {
    let mut c = with_items(5, 825);
    change(&mut c, 1, RingChange::Leave("n5".into()));
    let begun = |ring: &Value| !ring["leaving"].as_array().is_none_or(Vec::is_empty);
    until(&mut c, "others have its places", |c| {
        let ring = ring(c, 1);
        begun(&ring) && ring["change"].is_null()
    });
    c.kill(5);
    notices(&mut c, 1, &[5]);
    let verdict = inspect(&mut c, 1, Inspect::Status)["verdict"].clone();
    assert!(verdict.as_str().is_some_and(|v| v.contains("`quorate remove n5`")), "{verdict}");
    change(&mut c, 1, RingChange::Remove("n5".into()));
    settled(&mut c);
    let verdict = inspect(&mut c, 1, Inspect::Status)["verdict"].clone();
    assert!(verdict.as_str().is_some_and(|v| v.contains("healthy")), "{verdict}");
    all_there(&mut c, "v");
}

#[test]
fn a_change_that_is_taken_back_leaves_everything_as_it_was() {
    let mut c = with_items(4, 805);
    let before: Vec<Value> = vec![ring(&mut c, 1)["table"].clone()];
    // One of the sources is away: it cannot be completed.
    c.kill(2);
    c.kill(3);
    notices(&mut c, 1, &[2, 3]);
    c.start(2);
    formed_among(&mut c, &[1, 2, 4]);
    change(&mut c, 1, RingChange::Leave("n4".into()));
    secs(&mut c, 3);
    assert_eq!(ring(&mut c, 1)["change"]["step"], "copying");
    let busy = c.ask(2, Request::ChangeRing(RingChange::Leave("n1".into())));
    assert_eq!(failed(busy).code(), "change_in_progress");
    change(&mut c, 1, RingChange::Abort);
    assert!(ring(&mut c, 1)["change"].is_null());
    assert_eq!(ring(&mut c, 1)["table"], before[0]);
    c.start(3);
    formed(&mut c, 4);
    settled(&mut c);
    all_there(&mut c, "v");
}

/// Runs until these are ready.
fn formed_among(c: &mut Cluster, numbers: &[usize]) {
    let numbers = numbers.to_vec();
    until(c, "they are ready", |c| {
        numbers.iter().all(|number| inspect(c, *number, Inspect::Status)["ready"] == true)
    });
}
