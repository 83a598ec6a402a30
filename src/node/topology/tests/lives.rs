//! Restarts, wipes, old copies: who may speak for a node?

use super::super::OpenError;
use super::disk::Disk;
use super::network::Network;
use crate::id::Lineage;
use crate::message::peer::Control;
use crate::store::{Store, StoreError};

#[test]
fn all_nodes_killed_at_once_get_through_together() {
    for seed in 20..24 {
        let mut net = Network::formed(seed, 5);
        net.secs(5);
        let lives: Vec<_> = (0..5).map(|node| net.life(node)).collect();
        (0..5).for_each(|node| net.kill(node));
        net.secs(1);
        (0..5).for_each(|node| net.start(node, false).unwrap());
        net.settle(5);
        assert_eq!(lives, (0..5).map(|node| net.life(node)).collect::<Vec<_>>());
        assert!(net.machines.iter().all(|m| m.asides.is_empty()));
    }
}

#[test]
fn a_node_that_restarts_promises_nothing_before_a_majority_has_answered() {
    let mut net = Network::formed(25, 3);
    net.secs(5);
    net.kill(1);
    net.kill(2);
    net.start(2, false).unwrap();
    // n1 and n3 are a majority, but n3 needs the word of two others.
    let before = net.votes(2);
    let ticket = net.create_bucket(0, "b");
    net.secs(4);
    assert!(net.topology(2).readiness().is_err());
    net.secs(16);
    // With n1 it is a majority, so its reads count by now; it still promises nothing.
    assert_eq!(net.topology(2).readiness(), Ok(()));
    assert_eq!(net.votes(2), before);
    assert!(net.votes[&(2, "not_ready")] > 0);
    assert!(net.outcome(0, ticket).is_some_and(|outcome| outcome.is_err()));
    net.start(1, false).unwrap();
    net.settle(3);
    let again = net.create_bucket(0, "b");
    net.secs(2);
    assert_eq!(net.outcome(0, again), Some(Ok(())));
}

#[test]
fn a_restored_old_directory_notices_that_it_is_behind() {
    let mut net = Network::formed(26, 3);
    net.secs(2);
    let copy = net.machines[1].disk.copy();
    net.busy(1, 50);
    net.secs(3);
    net.kill(1);
    net.machines[1].disk = copy;
    net.start(1, false).unwrap();
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
    assert!(net.machines[1].asides[0].contains("behind"), "{:?}", net.machines[1].asides);
    net.secs(20);
    assert_eq!(net.machines[1].asides.len(), 1, "once");
    assert!(net.topology(1).readiness().is_err());
    // Empty, it is let in again under its name.
    net.wipe(1, &[0]);
    net.settle(3);
}

#[test]
fn a_restored_directory_that_says_stopped_cleanly_notices_it_too() {
    let mut net = Network::formed(27, 5);
    net.secs(2);
    net.turn(1, |topology, now, _, outbox| topology.leave(now, outbox));
    net.secs(3);
    net.kill(1);
    let copy = net.machines[1].disk.copy();
    net.start(1, false).unwrap();
    net.settle(5);
    net.busy(1, 20);
    net.secs(3);
    net.turn(1, |topology, now, _, outbox| topology.leave(now, outbox));
    net.secs(3);
    net.kill(1);
    net.machines[1].disk = copy;
    net.start(1, false).unwrap();
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
}

#[test]
fn a_restored_directory_cannot_hide_by_being_busy() {
    let mut net = Network::formed(28, 3);
    net.secs(2);
    let copy = net.machines[1].disk.copy();
    net.busy(1, 20);
    net.secs(3);
    net.kill(1);
    net.machines[1].disk = copy;
    net.partition(&[1], &[0, 2]);
    net.start(1, false).unwrap();
    // It does more than its lost life had done before anybody can tell it.
    net.busy(1, 200);
    net.heal();
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
}

/// n2 and n3 are cut off, n2 starts, and does something. Nobody can tell whether it is an old copy. And a copy of what it
/// began with.
fn unconfirmed(seed: u64) -> (Network, Disk) {
    let mut net = Network::formed(seed, 5);
    net.secs(3);
    net.kill(1);
    let copy = net.machines[1].disk.copy();
    net.partition(&[1, 2], &[0, 3, 4]);
    net.start(1, false).unwrap();
    // What it stores now counts, and n3 has heard of it.
    net.busy(1, 20);
    net.secs(1);
    assert!(net.machines[1].view.as_ref().is_some_and(|view| !view.witnessed));
    (net, copy)
}

/// This copy takes the place of n2's disk, and n2 finds that it is an old one.
fn notices(mut net: Network, copy: Disk) {
    net.kill(1);
    net.machines[1].disk = copy;
    net.heal();
    net.start(1, false).unwrap();
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
    assert!(net.machines[1].asides[0].contains("behind"), "{:?}", net.machines[1].asides);
}

#[test]
fn what_a_run_began_with_is_an_old_copy_though_nobody_had_confirmed_that_run() {
    let (net, copy) = unconfirmed(36);
    notices(net, copy);
}

#[test]
fn a_copy_from_the_midst_of_a_run_that_nobody_had_confirmed_is_an_old_one_too() {
    let (mut net, _) = unconfirmed(37);
    let copy = net.machines[1].disk.copy();
    net.busy(1, 20);
    net.secs(1);
    notices(net, copy);
}

/// However often it starts, and wherever it is cut off while it is being confirmed.
#[test]
fn who_has_lost_nothing_is_not_behind_itself() {
    let (mut net, _) = unconfirmed(38);
    for _ in 0..3 {
        net.restart(1);
        net.busy(1, 20);
        net.secs(1);
    }
    net.heal();
    for micros in (0..40).map(|step| step * 250) {
        net.restart(1);
        net.run(crate::time::Duration::from_micros(micros));
        net.busy(1, 1);
    }
    net.settle(5);
    net.busy(1, 20);
    net.secs(3);
    net.restart(1);
    net.settle(5);
    assert!(net.machines.iter().all(|machine| machine.asides.is_empty()));
}

#[test]
fn everybody_restarts_and_one_of_them_from_an_old_copy() {
    let mut net = Network::formed(29, 5);
    net.secs(2);
    let copy = net.machines[3].disk.copy();
    net.busy(3, 50);
    net.secs(3);
    (0..5).for_each(|node| net.kill(node));
    net.machines[3].disk = copy;
    (0..5).for_each(|node| net.start(node, false).unwrap());
    net.until("it notices", |net| net.machines[3].asides.len() == 1);
    net.secs(5);
    assert!([0, 1, 2, 4].iter().all(|node| net.topology(*node).readiness().is_ok()));
}

#[test]
fn a_machine_reverted_while_it_runs_is_told() {
    let mut net = Network::formed(30, 3);
    net.busy(1, 50);
    net.secs(3);
    let ahead = net.machines[1].disk.durable().0;
    // A frame of it claims less than an earlier one did.
    let (id, lineage) = net.life(1);
    let header = crate::message::Header {
        cluster: net.topology(0).cluster(),
        sender: id,
        lineage,
        commit: ahead - 30,
        ..crate::message::Header::new(crate::message::Kind::Data)
    };
    net.turn(0, |topology, _, _, _| topology.observe(&header));
    net.secs(2);
    // It alone judges: frames overtake one another, and it knows that it is not behind.
    assert!(net.machines[1].asides.is_empty());
    let mut older = net.machines[1].disk.copy();
    older.rewind(30);
    net.machines[1].disk = older;
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
}

/// With n4 gone for good, each of n1, n2 and n3 needs the answers of three others: the newcomer's, too.
#[test]
fn who_is_in_and_has_not_heard_of_it_hears_so_from_members_that_wait_for_its_answer() {
    let mut net = Network::formed(39, 4);
    net.secs(3);
    net.kill(3);
    let (index, votes) = (net.index(0), net.votes(1));
    // So slow that there is a moment between the vote and its outcome.
    net.sync_us = 50_000;
    net.add(&[0, 1, 2]);
    net.until("it is voted on", |net| net.votes(1) > votes);
    net.partition(&[4], &[0, 1, 2]);
    net.until("it is in", |net| (0..3).all(|node| net.index(node) == index + 1));
    let there = [0, 1, 2, 4];
    there.into_iter().for_each(|node| net.kill(node));
    net.heal();
    there.into_iter().for_each(|node| net.start(node, false).unwrap());
    assert_eq!(net.agreement(4), None);
    net.until("all may vote", |net| {
        let views = there.iter().map(|node| net.machines[*node].view.as_ref());
        views.flatten().filter(|view| view.admitted && view.witnessed).count() == there.len()
    });
    assert_eq!(net.index(0), index + 1, "nothing was agreed on anew");
}

#[test]
fn a_damaged_directory_keeps_its_id_and_is_admitted_in_a_new_life() {
    let mut net = Network::formed(31, 3);
    net.secs(3);
    let (id, lineage) = net.life(1);
    net.kill(1);
    net.start(1, true).unwrap();
    assert!(net.topology(1).readiness().is_err(), "fenced until it is admitted");
    let before = net.votes(1);
    net.run(crate::time::Duration::from_millis(1));
    assert_eq!(net.votes(1), before);
    net.settle(3);
    assert_eq!(net.life(1).0, id);
    assert_ne!(net.life(1).1, lineage);
    assert!(net.machines[1].asides.is_empty());
}

/// The damage may be just there.
#[test]
fn what_a_damaged_directory_cannot_read_of_its_own_it_does_without() {
    for name in ["identity", "agreement", "addresses", "witnesses", "acceptor"] {
        let mut net = Network::formed(31, 3);
        net.secs(3);
        let (id, lineage) = net.life(1);
        net.kill(1);
        net.machines[1].disk.rot(name);
        let sound = net.start(1, false);
        assert!(matches!(sound, Err(OpenError::Store(StoreError::Damaged(_)))), "{name}");
        net.start(1, true).unwrap();
        net.settle(3);
        assert_eq!(net.life(1).0, id, "{name}: a newcomer adopts its namesake's");
        assert_ne!(net.life(1).1, lineage, "{name}");
    }
}

#[test]
fn an_old_life_is_set_aside_and_its_votes_count_nothing() {
    let mut net = Network::formed(32, 3);
    net.secs(3);
    let copy = net.machines[1].disk.copy();
    net.wipe(1, &[0, 2]);
    net.settle(3);
    net.kill(1);
    net.machines[1].disk = copy;
    net.start(1, false).unwrap();
    let before = net.votes(1);
    net.until("it notices", |net| net.machines[1].asides.len() == 1);
    assert_eq!(net.votes(1), before);
}

#[test]
fn a_fenced_life_gets_no_vote() {
    let mut net = Network::formed(33, 3);
    let (id, lineage) = net.life(1);
    let (index, ballot) = (net.index(0) + 1, (1_000, id));
    let before = net.votes(0);
    net.forge(0, (id, Lineage(lineage.0 ^ 1)), Control::Prepare { index, ballot, without: None });
    net.secs(1);
    assert_eq!((net.votes(0) - before, net.rejected(0, "fenced")), (0, 1));
    net.forge(0, (id, lineage), Control::Prepare { index, ballot, without: None });
    net.secs(1);
    assert_eq!(net.votes(0) - before, 1);
}

#[test]
fn a_witness_that_knows_a_newer_agreement_is_heard_only_after_that_is_known() {
    let mut net = Network::formed(34, 3);
    let lives = [net.life(0), net.life(1)];
    net.kill(2);
    net.partition(&[2], &[0, 1]);
    net.start(2, false).unwrap();
    let index = net.index(2);
    for life in lives {
        net.forge(2, life, Control::Witness { seen: None, index: index + 1, trials: vec![] });
    }
    assert!(net.topology(2).readiness().is_err());
    for life in lives {
        net.forge(2, life, Control::Witness { seen: None, index, trials: vec![] });
    }
    assert_eq!(net.topology(2).readiness(), Ok(()));
}

#[test]
fn the_data_path_sees_where_everybody_is_and_who_may_speak() {
    let mut net = Network::formed(35, 3);
    let view = net.machines[0].view.clone().expect("it is a member");
    assert!(view.admitted && view.witnessed);
    assert_eq!(view.peers.len(), 2);
    assert!(view.peers.values().all(|peer| peer.alive && peer.address.is_some()));
    net.kill(2);
    net.until("one is seen dead", |net| {
        let view = net.machines[0].view.as_ref();
        view.is_some_and(|view| view.peers.values().filter(|peer| peer.alive).count() == 1)
    });
    net.partition(&[2], &[0, 1]);
    net.start(2, false).unwrap();
    assert!(net.machines[2].view.as_ref().is_some_and(|view| view.admitted && !view.witnessed));
}
