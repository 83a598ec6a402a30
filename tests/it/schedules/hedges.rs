//! One replica is slow: reads do not wait for it, and it is read from again when it is as fast as the others.

use super::kit::*;
use quorate::message::client::Reply;
use quorate::sim::Cluster;
use quorate::time::Duration;

const SLOW: Duration = Duration::from_millis(100);

fn keys() -> impl Iterator<Item = String> + Clone {
    (0..20).map(|number| format!("k{number}"))
}

/// How long each of so many reads took, shortest first, and how many of them `other` had answered.
fn read(c: &mut Cluster, by: usize, other: usize, times: usize) -> (Vec<Duration>, usize) {
    let (mut took, mut answered) = (Vec::new(), 0);
    for key in keys().cycle().take(times) {
        let begun = c.now();
        let sent = c.send(by, get(&key, quorum()));
        assert!(c.run_until(Duration::from_secs(5), |c| c.answered(sent)), "{key}");
        took.push(c.now().since(begun));
        let reply = c.answer(sent);
        assert!(matches!(reply, Some(Reply::Got { .. })), "{reply:?}");
        answered += usize::from(info(&reply).replied.contains(&format!("n{other}")));
        millis(c, 2);
    }
    took.sort_unstable();
    (took, answered)
}

fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

/// `of`: how many nodes. With three every node owns everything, with five some reads begin where nothing lies.
fn one_is_slowed(of: usize, seed: u64) {
    let mut c = cluster(of, seed);
    for key in keys() {
        acked(c.ask(1, put(&key, "v", "")));
    }
    let (by, slow) = (1, 2);
    let (calm, answered) = read(&mut c, by, slow, 400);
    assert!(answered > 0, "n{slow} owns something");
    let hedged_before = metric(&mut c, by, "hedged_reads");

    c.network.slow(slow, SLOW);
    let (slowed, _) = read(&mut c, by, slow, 1_000);
    let (calm, slowed) = (p99(&calm), p99(&slowed));
    assert!(slowed < (calm * 2).max(Duration::from_millis(3)), "{calm:?} calm, {slowed:?} slowed");
    let hedged = metric(&mut c, by, "hedged_reads") - hedged_before;
    let won = metric(&mut c, by, "hedges_won");
    assert!((3..=116).contains(&hedged) && won >= 3, "{hedged} hedged, {won} won");
    let (_, answered) = read(&mut c, by, slow, 200);
    assert_eq!(answered, 0, "it is not waited for, and asked last");

    c.network.heal();
    until(&mut c, "it is read from again", |c| read(c, by, slow, 200).1 > 0);
}

#[test]
fn a_replica_that_takes_100_ms_longer_is_overtaken_then_asked_last_and_later_used_again() {
    one_is_slowed(3, 601);
}

#[test]
fn a_coordinator_that_owns_nothing_of_it_does_not_wait_for_a_slow_replica_either() {
    one_is_slowed(5, 602);
}

#[test]
fn a_write_is_not_forwarded_to_a_slow_owner_where_there_is_another() {
    let mut c = cluster(5, 603);
    let (owners, fallbacks) = places(&mut c, "k");
    let (by, slow) = (fallbacks[1], owners[0]);
    acked(c.ask(by, put("k", "v0", "")));
    c.network.slow(slow, SLOW);
    // Reads find out.
    for _ in 0..200 {
        got(c.ask(by, get("k", quorum())));
    }
    let begun = c.now();
    let sent = c.send(by, put("k", "v1", ""));
    assert!(c.run_until(Duration::from_secs(5), |c| c.answered(sent)));
    let reply = c.answer(sent);
    assert_ne!(info(&reply).coordinator, format!("n{slow}"));
    let took = c.now().since(begun);
    assert!(took < SLOW, "{took:?}");
    acked(reply);
}
