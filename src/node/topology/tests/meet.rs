//! Founding, joining, gossip, addresses.

use super::network::{Network, address};
use crate::id::{ClusterId, Lineage, NodeId};
use crate::message::peer::Control;
use crate::node::topology::{OpenError, envelope};
use crate::node::{Config, Outbox};
use crate::swim::State;
use crate::time::Duration;

#[test]
fn five_nodes_become_one_cluster_all_at_once() {
    for seed in 0..8 {
        let net = Network::formed(seed, 5);
        assert_eq!(net.names(3), ["n1", "n2", "n3", "n4", "n5"]);
    }
}

#[test]
fn nodes_join_one_after_another_through_any_member() {
    let mut net = Network::new(1);
    net.add(&[]);
    for node in 1..5 {
        net.add(&[node - 1]);
        net.settle(node + 1);
    }
    assert_eq!(net.index(0), 4, "one value for each change");
}

#[test]
fn a_node_that_nobody_answers_waits_and_never_founds() {
    let mut net = Network::new(2);
    net.add(&[7]);
    net.add(&[0]);
    net.secs(120);
    assert!(net.chain.is_empty());
    let why = net.topology(0).readiness().unwrap_err();
    assert!(why.contains("10.0.0.8:7610") || why.contains("not let in"), "{why}");
}

#[test]
fn story_29_the_wiped_founder_joins_and_does_not_found() {
    let mut net = Network::formed(3, 3);
    let (id, lineage) = net.life(0);
    let cluster = net.topology(0).cluster();
    net.wipe(0, &[1, 2]);
    net.settle(3);
    assert_eq!(net.topology(0).cluster(), cluster);
    assert_eq!(net.topology(0).id(), id, "it takes over the id of its name");
    assert_ne!(net.topology(0).lineage(), lineage, "in another life");
    assert!(net.chain.keys().all(|(c, _)| *c == cluster.0));
}

#[test]
fn story_29_also_when_it_has_to_wait_for_somebody_to_come_up() {
    let mut net = Network::formed(4, 3);
    net.kill(1);
    net.kill(2);
    net.wipe(0, &[1, 2]);
    net.secs(60);
    assert_eq!(net.agreement(0), None);
    net.start(1, false).unwrap();
    net.start(2, false).unwrap();
    net.settle(3);
    assert_eq!(net.chain.keys().map(|(c, _)| c).min(), net.chain.keys().map(|(c, _)| c).max());
}

#[test]
fn a_directory_that_asked_to_join_never_founds() {
    let mut net = Network::new(5);
    net.add(&[1]);
    net.secs(5);
    net.kill(0);
    net.machines[0].config.bootstrap = true;
    net.start(0, false).unwrap();
    net.secs(30);
    assert!(net.chain.is_empty());
    // One that never asked anybody may.
    let config = Config { join: Vec::new(), ..Config::new("n2", address(1)) };
    let node = net.add_configured(config);
    net.secs(5);
    net.kill(node);
    net.machines[node].config.bootstrap = true;
    net.start(node, false).unwrap();
    net.settle_one(node);
}

#[test]
fn bootstrap_means_nothing_to_a_member_that_restarts_and_nothing_to_a_damaged_directory() {
    let mut net = Network::formed(6, 3);
    net.restart(0);
    net.settle(3);
    net.kill(0);
    net.machines[0].disk = super::disk::Disk::default();
    net.start(0, true).unwrap();
    net.secs(5);
    assert!(net.chain.keys().all(|(c, _)| *c == net.topology(1).cluster().0));
}

#[test]
fn a_directory_of_another_name_is_refused() {
    let mut net = Network::formed(7, 1);
    net.kill(0);
    net.machines[0].config.name = "other".into();
    let found = net.start(0, false);
    assert!(matches!(found, Err(OpenError::Name { found, .. }) if found == "n1"));
}

#[test]
fn the_name_of_a_live_node_is_not_taken_over() {
    let mut net = Network::formed(8, 3);
    net.secs(5);
    let life = net.life(2);
    let config = Config { join: vec![address(0)], ..Config::new("n3", address(3)) };
    let node = net.add_configured(config);
    net.secs(20);
    assert_eq!(net.agreement(node), None);
    let why = net.topology(node).readiness().unwrap_err();
    assert!(why.contains("in use by a live node at 10.0.0.3:7610"), "{why}");
    // When that one is dead it may.
    net.kill(2);
    net.settle(3);
    assert_eq!(net.life(node).0, life.0);
    // And its old life, when it comes back, is set aside.
    net.start(2, false).unwrap();
    net.until("the old life notices", |net| net.machines[2].asides.len() == 1);
    net.secs(30);
    assert_eq!(net.machines[2].asides.len(), 1, "once");
}

#[test]
fn a_node_of_another_cluster_is_turned_away() {
    let mut net = Network::formed(9, 2);
    let stranger = net.add(&[]);
    net.settle_one(stranger);
    net.kill(stranger);
    net.machines[stranger].config.join = vec![address(0)];
    net.start(stranger, false).unwrap();
    net.secs(20);
    assert_eq!(net.names(0), ["n1", "n2"]);
    assert_eq!(net.names(stranger), ["n3"]);
    assert!(net.topology(0).rejected().get("cluster").is_some_and(|n| *n > 0));
}

#[test]
fn datagrams_of_strangers_are_counted_and_dropped_without_an_answer() {
    let mut net = Network::formed(10, 1);
    let cluster = net.topology(0).cluster();
    let from = address(9);
    let foreign = envelope::seal(ClusterId(cluster.0 ^ 1), b"hello");
    let mut newer = envelope::seal(cluster, b"hello");
    newer[2] = 9;
    for (bytes, reason) in [(foreign, "cluster"), (newer, "version"), (b"hi".to_vec(), "junk")] {
        let answers = net.turn(0, |topology, now, _, outbox: &mut Outbox| {
            topology.handle_datagram(now, from, &bytes, outbox);
            std::iter::from_fn(|| outbox.poll_effect()).count()
        });
        assert_eq!(answers, Some(0));
        assert_eq!(net.topology(0).rejected().get(reason), Some(&1), "{reason}");
    }
}

#[test]
fn a_node_that_moved_is_found_again() {
    let mut net = Network::formed(11, 3);
    net.secs(5);
    net.kill(2);
    net.machines[2].config.address = address(7);
    net.machines[2].config.join.clear();
    net.start(2, false).unwrap();
    net.until("the others know where it is", |net| {
        let at = |node: usize| {
            let all = net.topology(node).members();
            all.into_iter().find(|m| m.name == "n3").and_then(|m| m.address)
        };
        at(0) == Some(address(7)) && at(1) == Some(address(7))
    });
    net.settle(3);
    // Also by one that was away when it moved, from what the third remembers.
    net.kill(0);
    net.start(0, false).unwrap();
    net.settle(3);
}

/// Found by the simulator, seed 1211522.
#[test]
fn when_all_have_moved_at_once_each_says_whom_it_misses_and_what_to_do() {
    let mut net = Network::formed(30, 3);
    net.secs(5);
    (0..3).for_each(|node| net.kill(node));
    for node in 0..3 {
        net.machines[node].config.address = address(7 + node);
        net.machines[node].config.join.clear();
        net.start(node, false).unwrap();
    }
    net.secs(60);
    let why = net.topology(0).readiness().unwrap_err();
    assert!(why.contains("not heard from: n2, n3; "), "{why}");
    assert!(why.contains("start this node with --join"), "{why}");
    for node in [1, 2] {
        net.kill(node);
        net.machines[node].config.join = vec![address(7)];
        net.start(node, false).unwrap();
    }
    net.settle(3);
}

#[test]
fn a_dead_member_keeps_its_place() {
    let mut net = Network::formed(12, 3);
    net.kill(1);
    net.until("it is seen dead", |net| net.state(0, 1) == Some(State::Dead));
    assert_eq!(net.names(0), ["n1", "n2", "n3"], "failure is not departure");
    net.start(1, false).unwrap();
    net.until("it is back", |net| net.state(0, 1) == Some(State::Alive));
}

#[test]
fn a_goodbye_is_not_a_death_and_changes_no_layout() {
    let mut net = Network::formed(13, 3);
    net.secs(3);
    net.turn(2, |topology, now, _, outbox| topology.leave(now, outbox));
    net.until("it has told everybody", |net| net.topology(2).has_left());
    net.kill(2);
    net.secs(20);
    assert_eq!(net.state(0, 2), Some(State::Left));
    assert_eq!(net.names(0), ["n1", "n2", "n3"]);
    net.start(2, false).unwrap();
    net.until("it is back", |net| net.state(0, 2) == Some(State::Alive));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = |seed| {
        let mut net = Network::formed(seed, 4);
        net.loss_percent = 10;
        net.create_bucket(2, "logs");
        net.run(Duration::from_secs(20));
        net.trace_hash()
    };
    assert_eq!(run(14), run(14));
    assert_ne!(run(14), run(15));
}

#[test]
fn a_joiner_believes_no_cluster_that_does_not_name_it() {
    let mut net = Network::formed(16, 1);
    let foreign = net.agreement(0).map(|agreement| agreement.encode()).unwrap_or_default();
    let node = net.add(&[7]);
    net.forge(node, (NodeId(1), Lineage(1)), Control::Agreement(foreign.into()));
    net.forge(node, (NodeId(1), Lineage(1)), Control::Agreement(b"junk".as_slice().into()));
    net.secs(1);
    assert_eq!(net.agreement(node), None);
    assert_eq!((net.rejected(node, "uninvited"), net.rejected(node, "agreement")), (1, 1));
}

#[test]
fn what_makes_no_sense_as_a_joiner_is_dropped() {
    let mut net = Network::formed(17, 1);
    let node = net.add(&[7]);
    let sound = net.topology(node).as_joiner();
    let life = (sound.id, sound.lineage);
    let mut unsound = vec![sound.clone(); 4];
    unsound[0].name = "x".repeat(65);
    unsound[1].weight = 0;
    unsound[2].address.set_port(0);
    unsound[3].lineage = Lineage(7);
    for joiner in unsound {
        net.forge(0, life, Control::Join(joiner));
    }
    assert_eq!(net.rejected(0, "junk"), 4);
    net.forge(0, life, Control::Join(sound));
    net.secs(1);
    assert_eq!(net.names(0), ["n1", "n2"]);
}

#[test]
fn a_newcomer_learns_with_the_agreement_where_the_others_are() {
    let mut net = Network::new(18);
    net.loss_percent = 100;
    net.swallow =
        Some(|_, message| matches!(message, Control::PushPull(_) | Control::PushPullReply(_)));
    net.add(&[]);
    net.add(&[0]);
    net.add(&[0]);
    net.until("two know of each other what only the first could tell", |net| {
        let knows = |node: usize, other: &str| {
            let members = net.topology(node).members();
            members.iter().any(|member| member.name == other && member.address.is_some())
        };
        knows(1, "n3") && knows(2, "n2")
    });
}

#[test]
fn a_member_that_nobody_has_met_in_this_run_is_given_up_like_any_other() {
    let mut net = Network::formed(11, 5);
    (0..5).for_each(|node| net.kill(node));
    (0..4).for_each(|node| net.restart(node));
    net.until("the fifth is held for dead", |net| {
        (0..4).all(|node| net.state(node, 4) == Some(State::Dead))
    });
    net.restart(4);
    net.until("it is back", |net| (0..4).all(|node| net.state(node, 4) == Some(State::Alive)));
}
