//! Bad networks: loss, one-way cuts, and what they must not lead to.

use super::super::*;
use super::network::{Network, id};
use crate::id::NodeId;
use std::collections::BTreeMap;

#[test]
fn a_fifth_of_all_packets_lost_buries_nobody_for_long() {
    let mut network = Network::settled(9, 50);
    network.loss_percent = 20;
    network.duplicate_percent = 5;
    // A false death may happen; it must be contradicted soon.
    let mut dead_since: BTreeMap<(usize, NodeId), u64> = BTreeMap::new();
    for second in 0..300 {
        network.run(1_000);
        for by in 0..50 {
            for member in network.swim(by).members() {
                let key = (by, member.identity.id);
                if member.state == State::Dead {
                    let since = *dead_since.entry(key).or_insert(second);
                    assert!(second - since < 20, "{key:?} since {since}");
                } else {
                    dead_since.remove(&key);
                }
            }
        }
    }
    assert!(network.deaths().len() < 50, "{} false deaths", network.deaths().len());
    println!("false deaths: {}", network.deaths().len());
    network.loss_percent = 0;
    network.until("all alive", 20, Network::all_alive);
}

/// One way: n1 hears everyone, nobody hears n1.
#[test]
fn a_mute_node_is_held_for_dead_once_and_holds_nobody_for_dead() {
    for nodes in [2, 3, 5] {
        for seed in 0..20 {
            let mut network = Network::settled(seed, nodes);
            for other in 1..nodes {
                network.cut(0, other);
            }
            network.run(300_000);
            for seen in &network.seen {
                assert!(seen.to != State::Dead || seen.member == id(0), "{nodes}/{seed} {seen:?}");
            }
            // It may suspect one in the first period, in which it has not heard anybody by chance.
            let suspects = network.seen.iter().filter(|s| s.by == 0 && s.member != id(0)).count();
            assert!(suspects <= 1, "{nodes}/{seed}: {:?}", network.seen);
            for by in 1..nodes {
                let opinions = network.seen.iter().filter(|s| s.by == by && s.member == id(0));
                let opinions: Vec<State> = opinions.map(|s| s.to).collect();
                assert_eq!(opinions, [State::Suspect, State::Dead], "flapping {nodes}/{seed}");
            }
            network.heal();
            network.until("all alive", 25, Network::all_alive);
        }
    }
}

/// The other way: everyone hears n1, n1 hears nobody, and accuses everybody aloud.
#[test]
fn a_deaf_node_is_held_for_dead_and_its_accusations_bury_nobody() {
    for seed in 0..15 {
        let mut network = Network::settled(seed, 5);
        for other in 1..5 {
            network.cut(other, 0);
        }
        network.until("n1 is dead to the others", 60, |n| n.all_see(0, State::Dead));
        network.run(300_000);
        assert!(network.all_see(0, State::Dead), "flapping");
        for seen in &network.seen {
            assert!(seen.by == 0 || seen.to != State::Dead || seen.member == id(0), "{seen:?}");
        }
        network.heal();
        network.until("all alive", 25, Network::all_alive);
    }
}

/// n1 and n2 cannot talk to each other, but both to all others.
#[test]
fn a_broken_link_between_two_is_not_a_death_of_either() {
    for seed in 0..10 {
        let mut network = Network::settled(seed, 5);
        network.cut(0, 1);
        network.cut(1, 0);
        network.run(120_000);
        assert_eq!(network.deaths(), [], "seed {seed}");
    }
}

#[test]
fn a_survivor_of_five_sees_the_four_others_dead() {
    let mut network = Network::settled(2, 5);
    for victim in 1..5 {
        network.kill(victim);
    }
    network.until("all dead", 180, |n| (1..5).all(|of| n.all_see(of, State::Dead)));
}

#[test]
fn a_rumor_is_told_a_bounded_number_of_times() {
    let mut network = Network::settled(4, 5);
    let before: u64 = (0..5).map(|n| network.swim(n).counters().rumors).sum();
    network.run(20_000);
    let quiet: u64 = (0..5).map(|n| network.swim(n).counters().rumors).sum();
    assert_eq!(quiet, before, "a quiet cluster tells nothing");
    network.act(0, |swim, now| {
        swim.set_facts(now, Facts { agreement: 1, durable: 2, flags: 3, ..Facts::default() })
    });
    network.run(20_000);
    let told: u64 = (0..5).map(|n| network.swim(n).counters().rumors).sum();
    // Each of five tells it λ·1 times.
    assert_eq!(told - quiet, 5 * 4);
}

#[test]
fn packets_stay_within_their_bound_with_the_longest_names() {
    let mut network = Network::new(6, 0);
    network.config.max_packet = 400;
    for node in 0..30 {
        network.add(node, &"ä".repeat(32));
    }
    network.loss_percent = 5;
    // The network asserts the size of each datagram.
    network.until("all know all", 60, Network::all_alive);
    network.kill(9);
    network.until("dead", 60, |n| n.all_see(9, State::Dead));
}
