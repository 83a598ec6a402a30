//! What a cluster must do: find each other, see a death, forgive a pause, part and meet again.

use super::super::wire::{self, Claim, Message};
use super::super::*;
use super::network::{Network, id, identity};
use super::peers;
use crate::id::Lineage;
use crate::time::Duration;

#[test]
fn five_and_fifty_nodes_find_each_other() {
    for (nodes, seconds) in [(2, 3), (5, 5), (50, 10)] {
        let took = Network::new(7, nodes).until("all know all", seconds, Network::all_alive);
        assert!(took <= Duration::from_secs(seconds), "{nodes}: {took:?}");
    }
}

#[test]
fn a_killed_node_is_seen_dead_by_all_survivors_in_eight_seconds_as_a_rule_and_fifteen_at_most() {
    for nodes in [3, 5] {
        let mut times: Vec<Duration> = (0..100)
            .map(|seed| {
                let mut network = Network::settled(seed, nodes);
                let victim = network.rng().usize(..nodes);
                network.kill(victim);
                let took =
                    network.until("all survivors see it", 15, |n| n.all_see(victim, State::Dead));
                assert!(network.deaths().iter().all(|seen| seen.member == id(victim)));
                took
            })
            .collect();
        times.sort();
        assert!(times[50] <= Duration::from_secs(8), "{nodes}: median {:?}", times[50]);
        assert!(
            times[0] >= Duration::from_secs(4),
            "{nodes}: suspicion was skipped {:?}",
            times[0]
        );
        println!("{nodes} nodes: {:?} {:?} {:?}", times[0], times[50], times[99]);
    }
}

#[test]
fn a_node_paused_for_three_seconds_is_held_for_dead_by_nobody_and_holds_nobody_for_dead() {
    for seed in 0..100 {
        let mut network = Network::settled(seed, 5);
        let paused = network.rng().usize(..5);
        network.pause(paused);
        network.run(3_000);
        network.resume(paused);
        network.run(20_000);
        assert_eq!(network.deaths(), [], "seed {seed}");
        assert!(network.all_alive(), "seed {seed}");
    }
}

#[test]
fn a_node_that_wakes_after_a_minute_accuses_nobody_and_is_alive_again_soon() {
    for seed in 0..40 {
        let mut network = Network::settled(seed, 5);
        let paused = network.rng().usize(..5);
        network.pause(paused);
        network.run(60_000);
        assert!(network.all_see(paused, State::Dead));
        network.seen.clear();
        network.resume(paused);
        network.until("alive again", 15, Network::all_alive);
        network.run(30_000);
        assert!(network.seen.iter().all(|seen| seen.by != paused || seen.to == State::Alive));
        assert_eq!(network.deaths(), [], "seed {seed}");
    }
}

/// The accusation under way when the pause began must not ripen in it.
#[test]
fn a_suspicion_does_not_run_out_while_the_judge_sleeps() {
    for seed in 0..40 {
        let mut network = Network::settled(seed, 5);
        // n2 is cut off from n1 alone just long enough to be suspected there, then n1 sleeps.
        for other in 1..5 {
            network.cut(0, other);
            network.cut(other, 0);
        }
        network.run(3_500);
        network.heal();
        network.pause(0);
        network.run(30_000);
        network.seen.clear();
        network.resume(0);
        network.run(15_000);
        assert!(network.deaths().is_empty(), "seed {seed}: {:?}", network.deaths());
        assert!(network.all_alive(), "seed {seed}");
    }
}

#[test]
fn two_halves_that_meet_again_see_everybody_alive_and_never_their_own_half_dead() {
    for (nodes, seed) in [(5, 1), (5, 2), (10, 3), (10, 4), (50, 5)] {
        let mut network = Network::settled(seed, nodes);
        let left = nodes / 2;
        for a in 0..left {
            for b in left..nodes {
                network.cut(a, b);
                network.cut(b, a);
            }
        }
        network.until("each half holds the other for dead", 180, |n| {
            (0..left).all(|a| (left..nodes).all(|b| n.state(a, b) == Some(State::Dead)))
                && (0..left).all(|a| (left..nodes).all(|b| n.state(b, a) == Some(State::Dead)))
        });
        network.run(120_000);
        network.heal();
        network.until("all alive", 40, Network::all_alive);
        network.run(20_000);
        assert!(network.all_alive());
        for seen in network.deaths() {
            let own_half = (seen.by < left) == (seen.member < id(left));
            assert!(!own_half, "{nodes} nodes: {seen:?}");
        }
    }
}

#[test]
fn a_node_that_comes_back_elsewhere_having_lost_count_is_found_and_believed() {
    for seed in 0..30 {
        // Soon, while it is held for alive or suspect; and late, when it is held for dead.
        for wait in [200, 2_500, 30_000] {
            let mut network = Network::settled(seed, 5);
            // An earlier pause made it contradict, so its count is above zero.
            network.pause(4);
            network.run(30_000);
            network.resume(4);
            network.until("back", 15, Network::all_alive);
            assert!(network.swim(4).myself().incarnation > Incarnation(0));
            network.kill(4);
            network.run(wait);
            network.move_away(4);
            network.nodes[4].identity.lineage = Lineage(999);
            network.start(4, 0);
            network.until("found and believed", 5, Network::all_alive);
            network.seen.clear();
            network.run(20_000);
            assert_eq!(network.deaths(), [], "seed {seed}");
        }
    }
}

#[test]
fn a_node_that_comes_back_at_the_same_count_with_other_data_is_believed() {
    for seed in 0..20 {
        let mut network = Network::settled(seed, 5);
        network.kill(2);
        network.run(100);
        network.nodes[2].identity.lineage = Lineage(77);
        network.start(2, 0);
        network.until("believed", 5, Network::all_alive);
        assert!(network.swim(2).counters().contested > 0);
    }
}

#[test]
fn a_graceful_leave_is_not_a_death_and_stale_gossip_does_not_undo_it() {
    for seed in 0..20 {
        let mut network = Network::settled(seed, 5);
        network.keep_datagrams = true;
        network.run(2_000);
        network.act(3, |swim, now| swim.leave(now));
        network.until("the goodbye is told", 3, |n| n.swim(3).has_left());
        network.until("all know", 2, |n| n.all_see(3, State::Left));
        network.kill(3);
        let stale = std::mem::take(&mut network.datagrams);
        for (from, to, bytes) in stale {
            let node = (0..5).find(|n| network.nodes[*n].identity.address == to);
            if let Some(node) = node {
                network.act(node, |swim, now| swim.handle_datagram(now, from, &bytes));
            }
        }
        network.run(60_000);
        assert_eq!(network.deaths(), [], "seed {seed}");
        assert!(network.all_see(3, State::Left));
        // And it may come back.
        network.start(3, 0);
        network.until("back", 5, Network::all_alive);
    }
}

#[test]
fn facts_reach_everybody_and_those_of_an_earlier_life_do_not_outlast_it() {
    let mut network = Network::settled(3, 5);
    for round in 1..=40 {
        network.act(1, |swim, now| {
            swim.set_facts(
                now,
                Facts { agreement: round, durable: round * 10, flags: 1, ..Facts::default() },
            );
        });
        network.run(100);
    }
    let told = |agreement| {
        move |n: &Network| {
            n.running()
                .iter()
                .all(|by| n.swim(*by).member(id(1)).is_some_and(|m| m.facts.agreement == agreement))
        }
    };
    network.until("the last facts are everywhere", 3, told(40));
    assert!(
        network.swim(1).myself().facts_version <= 6,
        "40 changes in 4 s are announced in a few"
    );
    network.kill(1);
    network.start(1, 0);
    network.act(1, |swim, now| {
        swim.set_facts(now, Facts { agreement: 7, durable: 0, flags: 2, ..Facts::default() });
    });
    network.until("the new life's facts are everywhere", 5, told(7));
    network.until("nobody doubts", 5, Network::all_alive);
}

#[test]
fn a_forgotten_member_stays_forgotten_until_it_speaks_for_itself() {
    let mut network = Network::settled(5, 5);
    network.kill(4);
    network.until("dead", 20, |n| n.all_see(4, State::Dead));
    for node in 0..4 {
        network.act(node, |swim, _| swim.forget(id(4)));
        // The others still tell of it meanwhile, whole states too.
        network.run(100_000);
    }
    network.run(120_000);
    for node in 0..4 {
        assert!(network.swim(node).member(id(4)).is_none(), "{node}");
    }
    network.start(4, 0);
    network.until("it is a member again", 10, Network::all_alive);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let story = |seed| {
        let mut network = Network::new(seed, 7);
        network.loss_percent = 10;
        network.duplicate_percent = 5;
        network.run(10_000);
        network.kill(3);
        network.pause(2);
        network.run(20_000);
        network.resume(2);
        network.start(3, 0);
        network.cut(1, 4);
        network.run(20_000);
        network.trace_hash()
    };
    assert_eq!(story(11), story(11));
    assert_ne!(story(11), story(12));
}

#[test]
fn one_who_dies_before_it_was_met_is_given_up_and_believed_when_it_comes() {
    for seed in 0..40 {
        let mut network = Network::new(seed, 4);
        network.expect_node(4, "n5");
        network.until("all know all", 5, Network::all_alive);
        for node in 0..4 {
            network.act(node, |swim, now| swim.introduce(now, identity(4)));
        }
        assert!(network.all_see(4, State::Alive) && !network.swim(0).member(id(4)).unwrap().met);
        network.until("given up", 15, |n| n.all_see(4, State::Dead));
        assert!(network.deaths().iter().all(|seen| seen.member == id(4)), "seed {seed}");
        network.start(4, 1);
        network.until("believed", 15, Network::all_alive);
        assert!((0..4).all(|by| network.swim(by).member(id(4)).unwrap().met), "seed {seed}");
    }
}

/// A node that starts first, after all were down, must not take the others' absence for its own illness: it would
/// notice deaths late for a long time after.
#[test]
fn who_was_never_met_does_not_make_the_prober_ill_and_does_not_stop_the_search() {
    let mut network = Network::new(3, 1);
    for node in 1..5 {
        network.expect_node(node, &format!("n{}", node + 1));
    }
    network.act(0, |swim, now| {
        for node in 1..5 {
            swim.introduce(now, identity(node));
        }
    });
    network.run(60_000);
    assert_eq!(network.swim(0).local_health(), 0);
    for node in 1..5 {
        network.start(node, 1);
    }
    network.until("all know all", 5, Network::all_alive);
}

/// Found by the simulator: facts of the life before the wipe, still on their way, made the new life look as if it
/// had fallen behind itself, and it set its directory aside.
#[test]
fn late_facts_of_a_life_before_a_wipe_are_not_taken_for_those_of_the_next_one() {
    let mut swim = peers::machine();
    let old = identity(1);
    let new = Identity { lineage: Lineage(old.lineage.0 + 1), ..identity(1) };
    let said = |identity: &Identity, version, durable| {
        let facts = Facts { agreement: 1, durable, flags: 0, ..Facts::default() };
        let (about, lineage, incarnation) = (identity.id, identity.lineage, Incarnation(3));
        Claim::Facts { about, lineage, incarnation, version, facts }
    };
    let record = Claim::Record(wire::Record {
        identity: new.clone(),
        incarnation: Incarnation(3),
        state: State::Alive,
        accusers: Default::default(),
        facts: Facts::default(),
        version: 0,
    });
    peers::say(&mut swim, peers::START, 1, Message::Gossip, &[record, said(&old, 9, 249)]);
    let durable = |swim: &Swim| swim.member(new.id).map(|member| member.facts.durable);
    assert_eq!(durable(&swim), Some(0));
    peers::say(&mut swim, peers::START, 1, Message::Gossip, &[said(&new, 1, 34)]);
    assert_eq!(durable(&swim), Some(34));
}
