//! The chain: contention, dead proposers, partitions.

use super::network::Network;
use crate::error::Error;
use crate::message::peer::Control;
use crate::time::Duration;

#[test]
fn two_joins_across_a_partition_give_one_layout() {
    for seed in 40..48 {
        let mut net = Network::formed(seed, 3);
        // n1 n2 with the joiner n4, n3 with the joiner n5.
        net.partition(&[0, 1, 3], &[2, 4]);
        net.add(&[0]);
        net.add(&[2]);
        net.until("the majority lets its joiner in", |net| net.names(0).len() == 4);
        net.secs(10);
        assert_eq!(net.names(2).len(), 3, "the minority agrees on nothing");
        assert_eq!(net.agreement(4), None);
        net.heal();
        net.settle(5);
    }
}

#[test]
fn story_28_a_wiped_member_promises_nothing_and_the_layout_does_not_fork() {
    for seed in 50..54 {
        let mut net = Network::formed(seed, 3);
        // n3 is cut off; n1 and n2 agree to let n4 in.
        net.partition(&[2], &[0, 1, 3]);
        net.add(&[0]);
        net.settle_some(&[0, 1, 3], 4);
        let agreed = net.index(0);
        // n2 is wiped, and can reach n3 alone, which knows nothing of that.
        net.heal();
        net.partition(&[0, 3], &[1, 2]);
        let before = net.votes(1);
        net.wipe(1, &[2]);
        net.secs(60);
        assert_eq!(net.index(2), agreed - 1, "n3 agreed on something with nobody");
        assert_eq!(net.agreement(1), None);
        assert_eq!(net.votes(1), before, "a new life voted before it was admitted");
        net.heal();
        net.settle(4);
    }
}

#[test]
fn story_28_also_when_the_wiped_member_still_has_the_layout() {
    let mut net = Network::formed(55, 3);
    net.partition(&[2], &[0, 1, 3]);
    let copy = net.machines[1].disk.copy();
    net.add(&[0]);
    net.settle_some(&[0, 1, 3], 4);
    net.heal();
    net.partition(&[0, 3], &[1, 2]);
    // An old copy whose damage was noticed: it has the layout, and a new lineage.
    net.kill(1);
    net.machines[1].disk = copy;
    let before = net.votes(1);
    net.start(1, true).unwrap();
    net.create_bucket(2, "b");
    net.secs(60);
    assert_eq!(net.votes(1), before);
    assert_eq!(net.index(2), 2);
    net.heal();
    net.settle(4);
}

#[test]
fn a_dead_proposer_stops_nothing_and_what_it_got_chosen_stays() {
    for seed in 60..70 {
        let mut net = Network::formed(seed, 3);
        net.secs(3);
        let ticket = net.create_bucket(0, "first");
        // It dies somewhere in the middle of its round.
        net.run(Duration::from_micros(400 * (seed - 60)));
        net.kill(0);
        let other = net.create_bucket(1, "second");
        net.until("the others go on", |net| net.outcome(1, other) == Some(Ok(())));
        let known = net.outcome(0, ticket) == Some(Ok(()));
        let has = net.agreement(1).is_some_and(|a| a.buckets.get("first").is_some());
        assert!(!known || has, "an acknowledged bucket is gone");
        net.start(0, false).unwrap();
        net.settle(3);
    }
}

#[test]
fn an_accepted_value_is_completed_by_the_next_proposer() {
    let mut net = Network::formed(70, 3);
    net.secs(3);
    // Everything but the answers to Accept gets through: the value is chosen, and nobody knows.
    net.swallow = Some(|_, message| matches!(message, Control::Accepted { .. }));
    net.create_bucket(0, "first");
    net.run(Duration::from_millis(50));
    net.kill(0);
    net.swallow = None;
    assert!(net.agreement(1).is_some_and(|a| a.buckets.get("first").is_none()));
    let ticket = net.create_bucket(1, "second");
    net.until("the second", |net| net.outcome(1, ticket) == Some(Ok(())));
    assert!(net.agreement(1).is_some_and(|a| a.buckets.get("first").is_some()));
}

#[test]
fn one_bucket_created_by_everybody_at_once_is_one_bucket() {
    for seed in 71..79 {
        let mut net = Network::formed(seed, 5);
        net.secs(2);
        let tickets: Vec<_> = (0..5).map(|node| (node, net.create_bucket(node, "logs"))).collect();
        net.until("all have it", |net| {
            tickets.iter().all(|(node, t)| net.outcome(*node, *t) == Some(Ok(())))
        });
        net.settle(5);
        assert_eq!(net.index(0), 5, "four joins and one bucket");
    }
}

#[test]
fn buckets_of_many_nodes_all_come_to_be() {
    let mut net = Network::formed(80, 5);
    net.secs(2);
    let mut tickets = Vec::new();
    for node in 0..5 {
        for n in 0..4 {
            tickets.push((node, net.create_bucket(node, &format!("b{node}-{n}"))));
        }
    }
    net.until("all are there", |net| {
        tickets.iter().all(|(node, ticket)| net.outcome(*node, *ticket) == Some(Ok(())))
    });
    net.settle(5);
    assert_eq!(net.index(0), 24);
}

#[test]
fn without_a_majority_a_bucket_is_refused_in_words_that_fit() {
    let mut net = Network::formed(81, 3);
    net.secs(2);
    net.partition(&[0], &[1, 2]);
    let ticket = net.create_bucket(0, "b");
    net.until("it gives up", |net| net.outcome(0, ticket).is_some());
    let outcome = net.outcome(0, ticket);
    assert!(
        matches!(outcome, Some(Err(Error::Unavailable { required: 2, .. }))),
        "nothing was sent to be accepted: {outcome:?}"
    );
}

#[test]
fn a_member_that_missed_values_catches_up_from_gossip() {
    let mut net = Network::formed(82, 5);
    net.secs(2);
    net.partition(&[4], &[0, 1, 2, 3]);
    for n in 0..5 {
        let ticket = net.create_bucket(n % 4, &format!("b{n}"));
        net.until("agreed", |net| net.outcome(n % 4, ticket).is_some());
    }
    assert_eq!(net.index(4), 4);
    net.heal();
    net.settle(5);
    assert_eq!(net.index(4), 9);
}

/// Kills, restarts, partitions, wipes, joins and buckets in any order; the laws of the network hold all
/// along, and in the end there is one layout with everybody in it.
#[test]
fn whatever_happens_the_chain_does_not_fork_and_all_meet_again() {
    for seed in 100..160 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut net = Network::formed(seed, 3);
        net.loss_percent = 5;
        for round in 0..12 {
            let node = rng.usize(0..net.machines.len());
            match rng.u32(0..8) {
                0 => net.kill(node),
                1 => net.restart(node),
                2 => {
                    let cut: Vec<usize> = (0..6).filter(|_| rng.bool()).collect();
                    let rest: Vec<usize> = (0..6).filter(|n| !cut.contains(n)).collect();
                    net.partition(&cut, &rest);
                }
                3 => net.heal(),
                4 if net.machines.len() < 6 => {
                    net.add(&[node]);
                }
                // One wipe at a time: more than a minority of forgotten promises breaks any majority.
                5 if round == 5 => {
                    let others: Vec<usize> =
                        (0..net.machines.len()).filter(|n| *n != node).collect();
                    net.wipe(node, &others);
                }
                _ if net.machines[node].topology.is_some() => {
                    net.create_bucket(node, &format!("b{round}"));
                }
                _ => {}
            }
            net.run(Duration::from_millis(rng.u64(1..4_000)));
        }
        net.heal();
        for node in 0..net.machines.len() {
            if net.machines[node].topology.is_none() {
                net.start(node, false).unwrap();
            }
        }
        let all = net.machines.len();
        net.settle(all);
        assert!(net.machines.iter().all(|m| m.asides.is_empty()), "seed {seed}");
    }
}
