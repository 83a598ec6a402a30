//! Stories 28 to 36 as far as owners and lives exist: who is a member, and in which life.

use super::kit::*;
use quorate::Error;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::quorum::Consistency;
use quorate::sim::Cluster;
use quorate::time::Duration;

fn index(c: &mut Cluster, number: usize) -> u64 {
    inspect(c, number, Inspect::Status)["index"].as_u64().expect("a number")
}

#[test]
fn story_28_a_wiped_member_cannot_help_to_fork_the_layout() {
    let mut c = cluster(3, 128);
    secs(&mut c, 2);
    let before = index(&mut c, 3);
    // n1 and n2 agree on the next layout, in which n4 is a member, while n3 is cut off.
    c.network.partition(&[3], &[1, 2, 4]);
    let fourth = c.grow();
    until(&mut c, "n4 is in", |c| index(c, 1) > before && index(c, 2) > before);
    assert_eq!(index(&mut c, 3), before);
    // n2 is wiped and can only reach n3, which wants a bucket agreed on.
    c.network.heal();
    c.wipe(2);
    c.network.partition(&[2, 3], &[1, fourth]);
    c.start(2);
    let fork = c.send_within(3, 10_000, put("k", "v", ""));
    let bucket = c.send(3, Request::CreateBucket(spec("fork")));
    secs(&mut c, 30);
    assert_eq!(index(&mut c, 3), before, "one member of three agrees on nothing");
    assert!(!matches!(c.answer(bucket), Some(Reply::Agreed)));
    whatever(c.answer(fork));
    c.network.heal();
    formed(&mut c, 4);
    secs(&mut c, 5);
    let indexes: Vec<u64> = (1..=4).map(|number| index(&mut c, number)).collect();
    assert!(indexes.iter().all(|at| *at == indexes[0]), "{indexes:?}");
    let ring = |c: &mut Cluster, number| inspect(c, number, Inspect::Ring).to_string();
    let first = ring(&mut c, 1);
    (2..=4).for_each(|number| assert_eq!(ring(&mut c, number), first));
}

#[test]
fn story_29_the_founding_node_wiped_joins_and_does_not_found() {
    let (mut c, ..) = five(129);
    acked(c.ask(1, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    let cluster = inspect(&mut c, 2, Inspect::Status)["cluster"].clone();
    c.wipe(1);
    cut_off(&mut c, &[1]);
    c.start(1);
    secs(&mut c, 20);
    assert_eq!(inspect(&mut c, 1, Inspect::Status)["nodes"]["agreed"], 0, "it waits");
    c.network.heal();
    formed(&mut c, 5);
    for number in 1..=5 {
        let status = inspect(&mut c, number, Inspect::Status);
        assert_eq!((&status["cluster"], &status["nodes"]["agreed"]), (&cluster, &5.into()));
    }
    converges(&mut c, "k", &["v"]);
}

#[test]
fn story_30_requests_under_way_while_nodes_join_miss_nothing() {
    let mut c = cluster(3, 130);
    let mut contexts = vec![String::new(); 8];
    let mut written = 0;
    for round in 0..6 {
        if round == 1 || round == 3 {
            c.grow();
        }
        for (key, context) in contexts.iter_mut().enumerate() {
            let through = 1 + (round + key) % 3;
            let name = format!("k{key}");
            let pending = c.send(through, put(&name, &format!("v{round}"), context));
            millis(&mut c, 3 * key as u64);
            c.run_until(Duration::from_secs(5), |c| c.answered(pending));
            *context = acked(c.answer(pending));
            written += 1;
            assert_eq!(got(c.ask(1 + key % 3, get(&name, quorum()))).0, [format!("v{round}")]);
        }
        millis(&mut c, 50);
    }
    assert_eq!(written, 48);
    formed(&mut c, 5);
    for key in 0..8 {
        converges(&mut c, &format!("k{key}"), &["v5"]);
        for through in 1..=5 {
            assert_eq!(got(c.ask(through, get(&format!("k{key}"), quorum()))).0, ["v5"]);
        }
    }
}

/// The epoch that a node works under.
fn epoch(c: &mut Cluster, number: usize) -> u64 {
    inspect(c, number, Inspect::Status)["epoch"].as_u64().expect("a number")
}

#[test]
fn story_30_behind_nothing_of_an_older_epoch_is_taken_in() {
    let (mut c, [a, b, o], _) = five_without_sync(430);
    let before = epoch(&mut c, a);
    // The others move on to the next epoch; A hears of it ten seconds later.
    for other in 1..=6 {
        c.network.slow_stream(other, a, Duration::from_secs(10));
    }
    c.grow();
    until(&mut c, "a new epoch", |c| [b, o].iter().all(|n| epoch(c, *n) > before));
    assert_eq!(epoch(&mut c, a), before);
    let rejected = metric(&mut c, b, "rejected") + metric(&mut c, o, "rejected");
    let pending = c.send_within(a, 30_000, put_at("k", "v", "", strict()));
    secs(&mut c, 2);
    assert_eq!(c.answer(pending), None);
    for owner in [b, o] {
        assert!(local(&mut c, owner, "k").is_empty(), "n{owner} took it in");
    }
    assert!(metric(&mut c, b, "rejected") + metric(&mut c, o, "rejected") > rejected);
    // When it has learned why, it asks again, and nothing is missed.
    assert!(c.run_until(Duration::from_secs(30), |c| c.answered(pending)));
    acked(c.answer(pending));
    assert!(epoch(&mut c, a) > before);
    converges(&mut c, "k", &["v"]);
}

#[test]
fn story_30_late_an_answer_of_an_older_epoch_counts_for_nothing() {
    let (mut c, [a, b, o], _) = five_without_sync(431);
    let before = epoch(&mut c, a);
    c.hold_syncs(o, true);
    c.network.slow_stream(b, a, Duration::from_secs(10));
    let pending = c.send_within(a, 20_000, put_at("k", "v", "", strict()));
    millis(&mut c, 20);
    assert_eq!(local(&mut c, b, "k"), ["v"]);
    // B has it and says so, and is dead when that is heard: under the next epoch.
    c.kill(b);
    c.grow();
    until(&mut c, "a new epoch", |c| epoch(c, a) > before);
    assert!(c.run_until(Duration::from_secs(30), |c| c.answered(pending)));
    let unknown = Error::OutcomeUnknown { required: 2, received: 1 };
    assert_eq!(failed(c.answer(pending)), unknown, "what B said was about the epoch before");
    c.hold_syncs(o, false);
    c.start(b);
    formed(&mut c, 6);
    converges(&mut c, "k", &["v"]);
}

#[test]
fn story_35_a_life_that_was_replaced_is_refused_and_learns_why() {
    let (mut c, [a, b, o], _) = five(135);
    let context = acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    secs(&mut c, 2);
    let zombie = c.disk(a).copy();
    c.wipe(a);
    c.start(a);
    formed(&mut c, 5);
    acked(c.ask(b, delete("k", &context)));
    converges(&mut c, "k", &["†"]);
    // The old life comes back, does not hear anybody, and writes.
    c.restore(a, zombie);
    for other in all_but(5, &[a]) {
        c.network.slow_stream(other, a, Duration::from_secs(30));
    }
    c.start(a);
    until(&mut c, "it hears of the others", |c| [b, o].iter().all(|n| sees_alive(c, a, *n)));
    let rejected = metric(&mut c, b, "rejected") + metric(&mut c, o, "rejected");
    let pending = c.send(a, put_at("k", "zombie", "", strict()));
    secs(&mut c, 6);
    assert!(!matches!(c.answer(pending), Some(Reply::Written { .. })));
    assert!(metric(&mut c, b, "rejected") + metric(&mut c, o, "rejected") > rejected);
    for owner in [b, o] {
        assert_eq!(local(&mut c, owner, "k"), ["†"], "nothing of it got in");
    }
    assert!(!was_set_aside(&c, a));
    c.network.heal();
    until(&mut c, "it learns why", |c| was_set_aside(c, a));
    formed(&mut c, 5);
    converges(&mut c, "k", &["†"]);
}

#[test]
fn a_wiped_node_rejoins_under_its_name_and_rebuilds_what_it_owned() {
    let (mut c, [a, b, _], _) = five(401);
    let keys: Vec<String> = (0..60).map(|n| format!("k{n}")).collect();
    for key in &keys {
        acked(c.ask(b, put_at(key, "v", "", level(Consistency::All))));
    }
    let id = inspect(&mut c, a, Inspect::Info)["id"].clone();
    c.wipe(a);
    c.start(a);
    // It may be done within a few milliseconds of being let in.
    let rebuilds = (0..30_000).any(|_| {
        millis(&mut c, 1);
        inspect(&mut c, a, Inspect::Status)["partitions"]["rebuilding"] != 0
    });
    assert!(rebuilds, "it never says that it rebuilds");
    assert_eq!(inspect(&mut c, a, Inspect::Status)["ready"], false);
    formed(&mut c, 5);
    assert_eq!(inspect(&mut c, a, Inspect::Info)["id"], id);
    let mut mine = 0;
    for key in &keys {
        if places(&mut c, key).0.contains(&a) {
            assert_eq!(local(&mut c, a, key), ["v"]);
            mine += 1;
        }
    }
    assert!(mine > 10);
    // That it is complete outlives a restart.
    c.kill(a);
    c.start(a);
    until(&mut c, "it is back", |c| c.node(a).is_some_and(|node| node.readiness().is_ok()));
}

#[test]
fn a_rebuilding_node_takes_writes_and_its_answers_do_not_count() {
    let (mut c, [a, b, o], [d, e]) = five(402);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.wipe(a);
    // Its sources cannot be reached, so it stays as it is; a majority lets it in.
    cut_off(&mut c, &[b]);
    c.start(a);
    until(&mut c, "it is let in", |c| {
        inspect(c, a, Inspect::Partitions)["partitions"].as_array().is_some_and(|p| !p.is_empty())
    });
    secs(&mut c, 10);
    assert_ne!(inspect(&mut c, a, Inspect::Status)["partitions"]["rebuilding"], 0);
    let read = c.ask(a, get("k", level(Consistency::Quorum)));
    assert!(matches!(read, Some(Reply::Failed(_))), "{read:?}");
    let three = quorate::quorum::QuorumRequest { count: Some(3), ..Default::default() };
    let written = c.ask(a, put_at("k", "w", "", three));
    assert!(info(&written).replied.contains(&format!("n{a}")));
    // With everybody else gone it may be used for `one`, and says so.
    for node in [o, d, e] {
        c.kill(node);
    }
    notices(&mut c, a, &[b, o, d, e]);
    let one = c.ask(a, get("k", level(Consistency::One)));
    assert!(info(&one).rebuilding);
    for node in [o, d, e] {
        c.start(node);
    }
    c.network.heal();
    formed(&mut c, 5);
    converges(&mut c, "k", &["v", "w"]);
}

#[test]
fn a_node_that_restarts_does_not_count_before_others_have_vouched_for_it() {
    let (mut c, [a, b, o], _) = five(403);
    acked(c.ask(a, put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    (1..=5).for_each(|number| c.kill(number));
    c.start(a);
    c.start(b);
    secs(&mut c, 3);
    let read = c.ask(a, get("k", quorum()));
    assert!(matches!(read, Some(Reply::Failed(_))), "two old copies may agree: {read:?}");
    let one = c.ask(a, get("k", level(Consistency::One)));
    assert!(matches!(&one, Some(Reply::Failed(_))) || info(&one).rebuilding, "{one:?}");
    c.start(o);
    (1..=5).filter(|n| ![a, b, o].contains(n)).for_each(|number| c.start(number));
    formed(&mut c, 5);
    assert_eq!(got(c.ask(a, get("k", quorum()))).0, ["v"]);
}

#[test]
fn a_bucket_created_in_five_places_at_once_is_one_bucket() {
    let (mut c, ..) = five(404);
    let write = |number: usize| {
        let Request::Put { item, quorum, value, context, operation, expires_at, tried_since } =
            put("k", &format!("v{number}"), "")
        else {
            unreachable!("a put")
        };
        let item = quorate::message::client::Item { bucket: "new".into(), ..item };
        Request::Put { item, quorum, value, context, operation, expires_at, tried_since }
    };
    let pending: Vec<_> = (1..=5).map(|number| c.send(number, write(number))).collect();
    secs(&mut c, 4);
    for one in pending {
        acked(c.answer(one));
    }
    everybody_knows(&mut c, 5, 2);
    for number in 1..=5 {
        let item = quorate::message::client::Item { bucket: "new".into(), ..item("k") };
        let read = Request::Get { item, quorum: quorum() };
        assert_eq!(got(c.ask(number, read)).0, ["v1", "v2", "v3", "v4", "v5"]);
    }
    let buckets = inspect(&mut c, 1, Inspect::Buckets).to_string();
    (2..=5).for_each(|number| {
        assert_eq!(inspect(&mut c, number, Inspect::Buckets).to_string(), buckets);
    });
}
