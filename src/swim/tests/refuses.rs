//! What must be refused: junk, lies, packets for somebody else.

use super::super::wire::{self, Claim, Header, Message, Record};
use super::super::*;
use super::network::{Network, identity};
use super::peers::{START, header, machine, packet, record, say, sent, verdict};
use crate::id::{Lineage, NodeId};
use std::collections::BTreeSet;

/// Packets of all kinds, as a real cluster sends them.
fn real_packets() -> Vec<Vec<u8>> {
    let mut network = Network::settled(8, 5);
    network.keep_datagrams = true;
    network.kill(4);
    network.act(1, |swim, now| {
        swim.set_facts(now, Facts { agreement: 1, durable: 2, flags: 3, ..Facts::default() })
    });
    network.run(10_000);
    network.act(2, |swim, now| swim.leave(now));
    network.run(2_000);
    let packets: BTreeSet<Vec<u8>> =
        network.datagrams.into_iter().map(|(.., bytes)| bytes).collect();
    packets.into_iter().collect()
}

#[test]
fn junk_and_flipped_bits_are_counted_and_never_answered() {
    let mut swim = machine();
    while swim.poll_output().is_some() {}
    let from = identity(1).address;
    let packets = real_packets();
    let mut rng = fastrand::Rng::with_seed(2);
    let mut handed = 0;
    let mut hand = |swim: &mut Swim, bytes: &[u8]| {
        swim.handle_datagram(START, from, bytes);
        assert_eq!(swim.handle_push_pull(START, bytes), None);
        assert_eq!(swim.poll_output(), None, "{bytes:?}");
        handed += 2;
        assert_eq!(swim.counters().junk, handed);
    };
    for _ in 0..5_000 {
        let mut bytes = packets[rng.usize(..packets.len())].clone();
        let bit = rng.usize(..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        hand(&mut swim, &bytes);
        let bytes: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
        hand(&mut swim, &bytes);
    }
    for bytes in packets.iter().take(50) {
        (0..bytes.len()).for_each(|end| hand(&mut swim, &bytes[..end]));
    }
    assert_eq!(swim.members().count(), 1);
}

#[test]
fn what_is_well_sealed_and_nonsense_inside_never_harms() {
    let packets = real_packets();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut swim = machine();
    for round in 0..20_000 {
        let mut bytes = packets[rng.usize(..packets.len())].clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(5..bytes.len());
            bytes[at] = rng.u8(..);
        }
        let bytes = wire::seal(bytes);
        let now = crate::time::Instant(START.0 + round * 1_000);
        swim.handle_datagram(now, identity(1).address, &bytes);
        swim.handle_push_pull(now, &bytes);
        swim.handle_timeout(now);
        while swim.poll_output().is_some() {}
    }
    assert!(swim.counters().received > 100 && swim.counters().junk > 100);
}

#[test]
fn a_packet_is_understood_whole_or_not_at_all() {
    let good = packet(&header(1), Message::Gossip, &[record(2, 0, State::Alive)]);
    assert!(wire::decode(&good).is_some());
    // A byte too many.
    let mut trailing = good.clone();
    trailing.push(0xc0);
    assert_eq!(wire::decode(&wire::seal(trailing)), None);
    // Half a claim.
    assert_eq!(wire::decode(&wire::seal(good[..good.len() - 3].to_vec())), None);
    // Another version.
    let mut foreign = good.clone();
    foreign[0] = 2;
    assert_eq!(wire::decode(&foreign), None);
    // A string and an array that announce four gigabytes, and depth without end.
    for claim in [&[0xdb, 255, 255, 255, 255][..], &[0xdd, 255, 255, 255, 255], &[0x91; 900]] {
        let mut bytes = wire::open(&header(1), Message::Gossip);
        bytes.extend_from_slice(claim);
        assert_eq!(wire::decode(&wire::seal(bytes)), None);
    }
    // Fields that nobody knows, which would be skipped: but not to any depth.
    let nested = |depth| {
        let mut bytes = wire::open(&header(1), Message::Gossip);
        bytes.extend(b"\x81\xa1w\x82\xa5about\x01\xa1x");
        bytes.extend(std::iter::repeat_n(0x91, depth));
        bytes.push(0xc0);
        wire::decode(&wire::seal(bytes))
    };
    assert!(nested(10).is_some());
    assert_eq!(nested(100), None);
    // More than anybody may send: too long, or too many.
    let Claim::Record(mut record) = record(2, 0, State::Alive) else { unreachable!() };
    record.identity.name = "n".repeat(MAX_LABEL);
    record.identity.zone = "z".repeat(MAX_LABEL);
    record.identity.address = "[fe80::ffff:ffff:ffff:ffff]:7610".parse().expect("an address");
    record.identity.http = Some(record.identity.address);
    record.identity.id = NodeId(u64::MAX);
    record.identity.lineage = Lineage(u64::MAX);
    (record.incarnation, record.version) = (MAX_INCARNATION, u64::MAX);
    let claim = wire::encode(&Claim::Record(record));
    let many = |count: usize| {
        let mut bytes = wire::open(&header(1), Message::Pull);
        (0..count).for_each(|_| bytes.extend_from_slice(&claim));
        wire::decode(&wire::seal(bytes))
    };
    let enough = MAX_PUSH_PULL / claim.len() - 1;
    assert!(enough < 8_192 && many(enough).is_some());
    assert_eq!(many(enough + 2), None);
    let claims = vec![Claim::Stranger { about: NodeId(1) }; 8_193];
    assert_eq!(wire::decode(&packet(&header(1), Message::Pull, &claims)), None);
}

#[test]
fn unsound_identities_spoil_their_packet() {
    let with = |change: fn(&mut Identity)| {
        let Claim::Record(mut record) = record(2, 0, State::Alive) else { unreachable!() };
        change(&mut record.identity);
        wire::decode(&packet(&header(1), Message::Gossip, &[Claim::Record(record)]))
    };
    assert!(with(|i| i.name = "x".repeat(MAX_LABEL)).is_some());
    assert_eq!(with(|i| i.name = "x".repeat(MAX_LABEL + 1)), None);
    assert_eq!(with(|i| i.zone = "x".repeat(MAX_LABEL + 1)), None);
    assert_eq!(with(|i| i.name = "\u{1b}[2J".into()), None);
    assert_eq!(with(|i| i.id = NodeId(0)), None);
    assert_eq!(with(|i| i.address = "0.0.0.0:7610".parse().expect("an address")), None);
    assert_eq!(with(|i| i.http = Some("10.0.0.1:0".parse().expect("an address"))), None);
    let nobody = Header { from: NodeId(0), ..header(1) };
    assert_eq!(wire::decode(&packet(&nobody, Message::Gossip, &[])), None);
}

#[test]
fn a_state_in_a_datagram_and_a_ping_over_tcp_are_junk() {
    let mut swim = machine();
    assert_eq!(say(&mut swim, START, 1, Message::Pull, &[]), []);
    let ping = Message::Ping { sequence: 1, target: NodeId(1) };
    assert_eq!(swim.handle_push_pull(START, &packet(&header(1), ping, &[])), None);
    assert_eq!((swim.counters().junk, sent(&mut swim)), (2, vec![]));
}

#[test]
fn no_message_drives_an_incarnation_to_its_end() {
    let mut swim = machine();
    say(&mut swim, START, 1, Message::Gossip, &[record(1, 0, State::Alive)]);
    let far = [u64::MAX, u64::MAX - 1, MAX_INCARNATION.0 + 1, MAX_INCARNATION.0, 1 << 40];
    for (count, lie) in far.into_iter().enumerate() {
        // About us, and about another.
        let lies = [verdict(0, lie, State::Dead), record(1, lie, State::Dead)];
        say(&mut swim, START, 1, Message::Gossip, &lies);
        assert_eq!(swim.myself().incarnation, Incarnation(0));
        let other = swim.member(NodeId(2)).expect("known");
        assert_eq!((other.incarnation, other.state), (Incarnation(0), State::Alive));
        assert_eq!(swim.counters().implausible, 2 * (count as u64 + 1));
    }
    // Within the step it is contradicted, and moves no further than the step.
    say(&mut swim, START, 1, Message::Gossip, &[verdict(0, MAX_INCARNATION_STEP, State::Dead)]);
    assert_eq!(swim.myself().incarnation, Incarnation(MAX_INCARNATION_STEP + 1));
    // About a stranger nothing beyond the end of all incarnations.
    let lies = [record(5, MAX_INCARNATION.0 + 1, State::Alive)];
    say(&mut swim, START, 1, Message::Gossip, &lies);
    assert!(swim.member(NodeId(6)).is_none());
}

/// A newcomer cannot know that what it is told of a stranger is a lie, which that stranger would refuse
/// to climb over. Once the stranger speaks, it does.
#[test]
fn a_lie_told_to_a_newcomer_ends_when_the_other_speaks() {
    let mut network = Network::settled(5, 3);
    let lie = packet(&header(1), Message::Gossip, &[record(2, MAX_INCARNATION.0, State::Dead)]);
    network.kill(0);
    network.start(0, 1);
    network.act(0, |swim, now| swim.handle_datagram(now, identity(1).address, &lie));
    assert_eq!(network.state(0, 2), Some(State::Dead));
    network.until("the truth", 20, Network::all_alive);
}

#[test]
fn two_processes_of_one_id_are_seen() {
    let mut swim = machine();
    say(&mut swim, START, 1, Message::Gossip, &[record(1, 0, State::Alive)]);
    let twin = Claim::Record(Record {
        identity: Identity { lineage: Lineage(5), ..identity(0) },
        incarnation: Incarnation(2),
        state: State::Alive,
        accusers: Default::default(),
        facts: Facts::default(),
        version: 0,
    });
    say(&mut swim, START, 1, Message::Gossip, &[twin]);
    assert_eq!((swim.counters().contested, swim.myself().incarnation), (1, Incarnation(3)));
    // And others are told that a member's data is not what it was.
    let moved = Record {
        identity: Identity { lineage: Lineage(6), ..identity(1) },
        incarnation: Incarnation(1),
        state: State::Alive,
        accusers: Default::default(),
        facts: Facts::default(),
        version: 0,
    };
    let bytes = packet(&header(1), Message::Gossip, &[Claim::Record(moved)]);
    swim.handle_datagram(START, identity(1).address, &bytes);
    let told = std::iter::from_fn(|| swim.poll_output()).any(|output| {
        output == Output::IdentityChanged { member: NodeId(2), previous: identity(1) }
    });
    assert!(told);
}
