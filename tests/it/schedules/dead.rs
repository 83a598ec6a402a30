//! Who is dead for long loses its places by itself, slowly and timidly; who is alive never does.

use super::kit::*;
use super::owners::{all_there, change, owned, ring, settled, stored, with_items_in};
use quorate::message::client::{Inspect, Reply, Request, RingChange};
use quorate::sim::Cluster;
use quorate::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn names_in(c: &mut Cluster, by: usize, what: &str) -> Vec<String> {
    let ring = ring(c, by);
    let names = ring[what].as_array().cloned().unwrap_or_default();
    names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn partitions(c: &mut Cluster, by: usize, what: &str) -> u64 {
    inspect(c, by, Inspect::Status)["partitions"][what].as_u64().expect("a number")
}

#[test]
fn who_is_dead_for_long_is_copied_from_the_others_and_takes_a_share_when_it_is_back() {
    let mut c = with_items_in(5, 811, &[], LONG);
    c.kill(5);
    notices(&mut c, 1, &[5]);
    let lacking = owned(&mut c, 1, 5);
    assert!(lacking > 0 && partitions(&mut c, 1, "under_replicated") == lacking);
    assert_eq!(partitions(&mut c, 1, "at_risk"), 0);
    secs(&mut c, 20);
    assert_eq!(owned(&mut c, 1, 5), lacking, "not yet");
    until(&mut c, "others have its places", |c| owned(c, 1, 5) == 0);
    until(&mut c, "there are three of everything", |c| partitions(c, 1, "under_replicated") == 0);
    settled(&mut c);
    let copies: usize = (1..=4).map(|number| stored(&c, number)).sum();
    assert_eq!(copies, 3 * super::owners::ITEMS);
    // What it missed must not be read from it, and what it has kept must not come back.
    for n in 0..super::owners::ITEMS {
        let key = format!("k{n}");
        let (_, context) = got(c.ask(1 + n % 4, get(&key, strict())));
        acked(c.ask(1 + n % 4, put_at(&key, "w", &context, strict())));
    }
    c.start(5);
    until(&mut c, "it has a share again", |c| owned(c, 1, 5) > lacking / 2);
    settled(&mut c);
    formed(&mut c, 5);
    assert_eq!(names_in(&mut c, 1, "out"), Vec::<String>::new());
    all_there(&mut c, "w");
    let copies: usize = (1..=5).map(|number| stored(&c, number)).sum();
    assert_eq!(copies, 3 * super::owners::ITEMS);
}

#[test]
fn what_it_alone_has_is_given_to_those_who_own_it_now() {
    let mut c = with_items_in(5, 812, &[], LONG);
    let (owners, _) = places(&mut c, "lone");
    let dead = owners[0];
    c.network.partition(&[dead], &all_but(5, &[dead]));
    acked(c.ask(dead, put_at("lone", "v", "", level(quorate::quorum::Consistency::One))));
    c.kill(dead);
    c.network.heal();
    let by = if dead == 1 { 2 } else { 1 };
    until(&mut c, "others have its places", |c| owned(c, by, dead) == 0);
    settled(&mut c);
    assert_eq!(got(c.ask(by, get("lone", strict()))).0, Vec::<String>::new());
    c.start(dead);
    until(&mut c, "it is back", |c| owned(c, by, dead) > 0);
    settled(&mut c);
    assert_eq!(got(c.ask(by, get("lone", strict()))).0, ["v"]);
}

#[test]
fn who_comes_back_while_others_copy_keeps_its_places() {
    let mut c = with_items_in(5, 813, &[], LONG);
    let before = ring(&mut c, 1)["table"].clone();
    c.kill(5);
    until(&mut c, "others copy", |c| {
        // Nobody can finish that: no copy becomes durable.
        let copies = ring(c, 1)["change"]["step"] == "copying";
        (1..=4).for_each(|number| c.hold_syncs(number, copies));
        copies
    });
    c.start(5);
    until(&mut c, "it is seen", |c| sees_alive(c, 1, 5));
    (1..=4).for_each(|number| c.hold_syncs(number, false));
    settled(&mut c);
    formed(&mut c, 5);
    assert_eq!(ring(&mut c, 1)["table"], before);
    all_there(&mut c, "v");
}

#[test]
fn an_outage_of_a_zone_moves_nothing() {
    let zones = ["a", "a", "b", "b", "c", "c"];
    let mut c = with_items_in(6, 814, &zones, LONG);
    let before = ring(&mut c, 1)["epoch"].clone();
    c.kill(5);
    c.kill(6);
    secs(&mut c, 100);
    assert_eq!(ring(&mut c, 1)["epoch"], before);
    assert_eq!(partitions(&mut c, 1, "at_risk"), 0);
    c.start(6);
    until(&mut c, "one is back, and the other is no outage", |c| owned(c, 1, 5) == 0);
    settled(&mut c);
    all_there(&mut c, "v");
}

#[test]
fn never_fewer_than_there_are_copies_and_never_where_it_is_switched_off() {
    for (nodes, seed, after) in [(3, 815, LONG), (5, 816, Duration::ZERO)] {
        let mut c = with_items_in(nodes, seed, &[], after);
        let before = ring(&mut c, 1)["epoch"].clone();
        c.kill(nodes);
        secs(&mut c, 100);
        assert_eq!(ring(&mut c, 1)["epoch"], before, "{nodes} nodes");
    }
}

#[test]
fn of_seven_two_go_one_after_the_other() {
    let mut c = with_items_in(7, 817, &[], LONG);
    c.kill(6);
    c.kill(7);
    notices(&mut c, 1, &[6, 7]);
    let lost = partitions(&mut c, 1, "at_risk");
    assert!(lost > 0);
    until(&mut c, "all that can be copied is", |c| {
        partitions(c, 1, "under_replicated") == lost && ring(c, 1)["change"].is_null()
    });
    assert_eq!(names_in(&mut c, 1, "out").len(), 2);
    c.start(6);
    until(&mut c, "nothing is at risk", |c| partitions(c, 1, "at_risk") == 0);
    until(&mut c, "everything is there", |c| partitions(c, 1, "under_replicated") == 0);
    settled(&mut c);
    all_there(&mut c, "v");
}

#[test]
fn who_is_alive_for_a_majority_is_not_removed_and_says_who_sees_it() {
    let mut c = with_items_in(5, 818, &[], Duration::ZERO);
    // n1 has been cut off, and believes that everybody is dead. It is not a moment back when it is asked.
    cut_off(&mut c, &[1]);
    notices(&mut c, 1, &[2, 3, 4, 5]);
    c.network.heal();
    let before = ring(&mut c, 1)["epoch"].clone();
    let why = failed(c.ask(1, Request::ChangeRing(RingChange::Remove("n5".into())))).to_string();
    assert!(why.contains("n5 is alive for") && why.contains("stop it first"), "{why}");
    assert!(!why.contains("n1"), "not itself: {why}");
    secs(&mut c, 60);
    assert_eq!(ring(&mut c, 1)["epoch"], before);
    let why = failed(c.ask(2, Request::ChangeRing(RingChange::Remove("n5".into())))).to_string();
    assert!(why.contains("n5 is alive for n2"), "{why}");
    all_there(&mut c, "v");
}

/// Else whoever hears of the death last, and may propose first, takes back what a majority has agreed on.
#[test]
fn a_removal_stays_though_somebody_has_not_heard_yet_that_the_node_is_dead() {
    let mut late = 0;
    for seed in 0..24 {
        let mut c = with_items_in(5, 8_400 + seed, &[], Duration::ZERO);
        c.kill(5);
        c.network.loss_permille = 500;
        let began = c.now();
        let remove = Request::ChangeRing(RingChange::Remove("n5".into()));
        while !matches!(c.ask(1 + seed as usize % 4, remove.clone()), Some(Reply::Agreed)) {
            assert!(c.now().since(began) < LONG * 4, "seed {seed}: not agreed");
            millis(&mut c, 20);
        }
        c.network.clear_sky();
        late += (1..=4).filter(|node| sees_alive(&mut c, *node, 5)).count();
        until(&mut c, "it is no member any more", |c| {
            (1..=4).all(|n| ring(c, n)["members"].as_array().is_some_and(|all| all.len() == 4))
        });
        all_there(&mut c, "v");
    }
    assert!(late > 0, "everybody had heard of it, each time");
}

#[test]
fn who_comes_back_while_others_copy_what_it_had_stays() {
    let mut c = with_items_in(5, 826, &[], Duration::ZERO);
    let before = ring(&mut c, 1)["table"].clone();
    c.kill(5);
    notices(&mut c, 1, &[5]);
    // One of those who are to copy cannot write it down.
    c.hold_syncs(4, true);
    change(&mut c, 1, RingChange::Remove("n5".into()));
    secs(&mut c, 2);
    assert_eq!(ring(&mut c, 1)["change"]["step"], "copying");
    c.start(5);
    until(&mut c, "it is taken back", |c| ring(c, 1)["change"].is_null());
    c.hold_syncs(4, false);
    settled(&mut c);
    assert_eq!(ring(&mut c, 5)["members"].as_array().map(Vec::len), Some(5));
    assert_eq!(ring(&mut c, 1)["table"], before);
    until(&mut c, "all is as it was", |c| inspect(c, 5, Inspect::Status)["ready"] == true);
    all_there(&mut c, "v");
}

#[test]
fn a_dead_joiner_keeps_nobody_waiting() {
    let mut c = with_items_in(4, 819, &[], LONG);
    let dead = c.grow();
    let is_member = |c: &mut Cluster, n: usize| {
        let name = format!("n{n}");
        let ring = ring(c, 1);
        ring["members"].as_array().is_some_and(|all| all.iter().any(|m| m["name"] == name.as_str()))
    };
    until(&mut c, "it is a member", |c| is_member(c, dead));
    c.kill(dead);
    notices(&mut c, 1, &[dead]);
    let live = c.grow();
    until(&mut c, "the other one gets its share", |c| owned(c, 1, live) > 0);
    settled(&mut c);
    assert_eq!(owned(&mut c, 1, dead), 0);
    c.start(dead);
    until(&mut c, "it gets its own", |c| owned(c, 1, dead) > 0);
    settled(&mut c);
    all_there(&mut c, "v");
}

#[test]
fn a_member_that_weighs_more_gets_more() {
    let mut c = with_items_in(4, 820, &[], LONG);
    let before = owned(&mut c, 1, 4);
    let heavy = RingChange::Place { name: "n4".into(), zone: None, weight: Some(3) };
    change(&mut c, 1, heavy);
    settled(&mut c);
    assert!(owned(&mut c, 1, 4) > before, "{} of {before}", owned(&mut c, 1, 4));
    all_there(&mut c, "v");
}

#[test]
fn who_stood_still_and_was_removed_acknowledges_nothing_when_it_wakes() {
    let mut c = with_items_in(5, 821, &[], Duration::ZERO);
    let one = level(quorate::quorum::Consistency::One);
    c.pause(5);
    notices(&mut c, 1, &[5]);
    change(&mut c, 1, RingChange::Remove("n5".into()));
    settled_among(&mut c, &[1, 2, 3, 4]);
    // What waits in its sockets is the first that it sees.
    let pending: Vec<_> = (0..super::owners::ITEMS)
        .map(|n| c.send(5, put_at(&format!("k{n}"), "zombie", "", one)))
        .collect();
    c.resume(5);
    secs(&mut c, 10);
    for pending in pending {
        let reply = c.answer(pending);
        assert!(matches!(reply, Some(quorate::message::client::Reply::Failed(_))), "{reply:?}");
    }
    let late = c.ask(5, get("k1", one));
    assert!(matches!(late, Some(quorate::message::client::Reply::Failed(_))), "{late:?}");
    let why = inspect(&mut c, 5, Inspect::Status)["reason"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("no member any more")), "{why}");
    c.kill(5);
    all_there(&mut c, "v");
}

fn settled_among(c: &mut Cluster, numbers: &[usize]) {
    let numbers = numbers.to_vec();
    until(c, "owners have changed", |c| {
        numbers.iter().all(|number| {
            let ring = ring(c, *number);
            ring["change"].is_null()
                && ring["members"].as_array().map(Vec::len) == Some(numbers.len())
        })
    });
}
