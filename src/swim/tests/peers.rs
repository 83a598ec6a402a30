//! One machine and a peer made of paper: the words that they exchange, one by one.

use super::super::suspicion::Accusers;
use super::super::wire::{self, Claim, Header, Message, Packet, Record};
use super::super::*;
use super::network::identity;
use crate::id::NodeId;
use crate::time::{Duration, Instant};
use std::net::SocketAddr;

pub(super) const START: Instant = Instant(1_000_000);

/// The machine of node 0.
pub(super) fn machine() -> Swim {
    let rng = fastrand::Rng::with_seed(1);
    Swim::new(Config::default(), identity(0), Incarnation(0), rng, START)
}

pub(super) fn header(node: usize) -> Header {
    let Identity { id, address, .. } = identity(node);
    Header { from: id, incarnation: Incarnation(0), version: 0, address }
}

pub(super) fn record(node: usize, incarnation: u64, state: State) -> Claim {
    Claim::Record(Record {
        identity: identity(node),
        incarnation: Incarnation(incarnation),
        state,
        accusers: Default::default(),
        facts: Facts::default(),
        version: 0,
    })
}

pub(super) fn verdict(node: usize, incarnation: u64, state: State) -> Claim {
    let (about, incarnation) = (identity(node).id, Incarnation(incarnation));
    Claim::Verdict { about, incarnation, state, accusers: Default::default() }
}

pub(super) fn packet(header: &Header, message: Message, claims: &[Claim]) -> Vec<u8> {
    let mut packet = wire::open(header, message);
    claims.iter().for_each(|claim| packet.extend(wire::encode(claim)));
    wire::seal(packet)
}

/// What the machine hears from node `from`, and what it sends then.
pub(super) fn say(
    swim: &mut Swim,
    now: Instant,
    from: usize,
    message: Message,
    claims: &[Claim],
) -> Vec<(SocketAddr, Packet)> {
    swim.handle_datagram(now, identity(from).address, &packet(&header(from), message, claims));
    sent(swim)
}

pub(super) fn sent(swim: &mut Swim) -> Vec<(SocketAddr, Packet)> {
    std::iter::from_fn(|| swim.poll_output())
        .filter_map(|output| match output {
            Output::Datagram { to, bytes } => {
                Some((to, wire::decode(&bytes).expect("we send what we understand")))
            }
            _ => None,
        })
        .collect()
}

/// Runs the machine's own timers up to a moment, never late.
pub(super) fn pass(swim: &mut Swim, until: Instant) -> Vec<(Instant, SocketAddr, Packet)> {
    let mut all = Vec::new();
    while let Some(due) = swim.poll_timeout().filter(|due| *due <= until) {
        swim.handle_timeout(due);
        all.extend(sent(swim).into_iter().map(|(to, packet)| (due, to, packet)));
    }
    all
}

fn knows(swim: &mut Swim, nodes: std::ops::Range<usize>) {
    let claims: Vec<Claim> = nodes.map(|node| record(node, 0, State::Alive)).collect();
    say(swim, START, 1, Message::Gossip, &claims);
}

#[test]
fn who_is_accused_contradicts_in_the_same_breath() {
    let mut swim = machine();
    knows(&mut swim, 1..3);
    let ping = Message::Ping { sequence: 5, target: NodeId(1) };
    let answers = say(&mut swim, START, 1, ping, &[verdict(0, 3, State::Suspect)]);
    let [(to, answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(*to, identity(1).address);
    assert_eq!(answer.message, Message::Ack { sequence: 5, target: NodeId(1) });
    assert!(answer.claims.contains(&record(0, 4, State::Alive)), "{answer:?}");
    assert_eq!(swim.counters().refutations, 1);
    assert_eq!(swim.local_health(), 1, "to be accused is a hint");
    // The same accusation again is old, and is answered with our record.
    let answers = say(&mut swim, START, 2, Message::Gossip, &[verdict(0, 3, State::Suspect)]);
    assert_eq!(answers[0].1.claims[0], record(0, 4, State::Alive));
    assert_eq!(swim.counters().refutations, 1);
}

#[test]
fn an_echo_of_our_own_words_is_no_claim_against_us() {
    let mut swim = machine();
    knows(&mut swim, 1..3);
    say(&mut swim, START, 1, Message::Gossip, &[record(0, 0, State::Alive)]);
    assert_eq!(swim.counters().refutations, 0);
}

#[test]
fn who_asks_for_a_ping_gets_the_ack_or_a_nack() {
    let mut swim = machine();
    knows(&mut swim, 1..4);
    let (asker, target) = (identity(1).address, NodeId(3));
    let sent = say(&mut swim, START, 1, Message::PingReq { sequence: 9, target }, &[]);
    let [(to, Packet { message: Message::Ping { sequence, .. }, .. })] = sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(to, identity(2).address);
    let ack = Message::Ack { sequence, target };
    let relayed = say(&mut swim, START, 2, ack, &[]);
    assert_eq!(relayed[0].0, asker);
    assert_eq!(relayed[0].1.message, Message::Ack { sequence: 9, target });

    say(&mut swim, START, 1, Message::PingReq { sequence: 10, target }, &[]);
    let later = pass(&mut swim, START + Duration::from_millis(450));
    let nack = later.iter().find(|(_, _, p)| matches!(p.message, Message::Nack { .. }));
    let (when, to, nack) = nack.expect("a nack");
    assert_eq!((*when, *to), (START + Duration::from_millis(400), asker));
    assert_eq!(nack.message, Message::Nack { sequence: 10, target });
}

/// Lets the machine probe node 1 once; when, and the sequence.
fn probed(swim: &mut Swim) -> (Instant, u32) {
    loop {
        let due = swim.poll_timeout().expect("always something");
        swim.handle_timeout(due);
        for (_, packet) in sent(swim) {
            if let Message::Ping { sequence, target: NodeId(2) } = packet.message {
                return (due, sequence);
            }
        }
    }
}

#[test]
fn an_ack_tells_the_round_trip_and_silence_makes_a_suspect_who_is_told_first() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    let (at, sequence) = probed(&mut swim);
    let ack = Message::Ack { sequence, target: NodeId(2) };
    say(&mut swim, at + Duration::from_millis(7), 1, ack, &[]);
    let member = swim.member(NodeId(2)).expect("known");
    assert_eq!(member.round_trip, Some(Duration::from_millis(7)));

    let (at, _) = probed(&mut swim);
    let sent = pass(&mut swim, at + Duration::from_millis(2_500));
    assert_eq!(swim.member(NodeId(2)).expect("known").state, State::Suspect);
    let ping = sent.iter().find(|(_, _, p)| matches!(p.message, Message::Ping { .. }));
    let (_, _, ping) = ping.expect("a suspect is still pinged");
    assert_eq!(ping.claims[0].about(), NodeId(2));
    // Two members: nobody else could confirm, so the least time it is.
    pass(&mut swim, at + Duration::from_secs(7));
    assert_eq!(swim.member(NodeId(2)).expect("known").state, State::Dead);
    let sent = pass(&mut swim, at + Duration::from_secs(60));
    let knocks = sent.iter().filter(|(_, _, p)| matches!(p.message, Message::Ping { .. })).count();
    assert!((4..=7).contains(&knocks), "the dead are still looked for: {knocks}");
    for (_, to, packet) in &sent {
        assert_eq!(*to, identity(1).address);
        assert_eq!(packet.claims[0], verdict(1, 0, State::Dead), "and each time told so first");
    }
    let gossip = sent.iter().filter(|(_, _, p)| p.message == Message::Gossip);
    let last = gossip.map(|(when, ..)| *when).max().expect("gossip to the dead");
    let since = swim.member(NodeId(2)).expect("known").since;
    assert!((29..31).contains(&last.since(since).as_secs()), "and gossip for half a minute");
}

#[test]
fn a_probe_that_ended_while_the_machine_stood_still_accuses_nobody() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    let (at, _) = probed(&mut swim);
    swim.handle_timeout(at + Duration::from_secs(3));
    assert_eq!(swim.member(NodeId(2)).expect("known").state, State::Alive);
    assert_eq!((swim.counters().late, swim.counters().accusations), (1, 0));
}

#[test]
fn who_is_ill_waits_longer_before_it_accuses() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    // Two accusations of us: our score is two.
    say(&mut swim, START, 1, Message::Gossip, &[verdict(0, 0, State::Suspect)]);
    say(&mut swim, START, 1, Message::Gossip, &[verdict(0, 1, State::Suspect)]);
    let (at, _) = probed(&mut swim);
    pass(&mut swim, at + Duration::from_millis(2_900));
    assert_eq!(swim.member(NodeId(2)).expect("known").state, State::Alive);
    pass(&mut swim, at + Duration::from_millis(3_100));
    assert_eq!(swim.member(NodeId(2)).expect("known").state, State::Suspect);
}

#[test]
fn one_accuser_alone_waits_long_and_three_do_not() {
    for (others, least, most) in [(0, 23, 25), (1, 10, 12), (2, 3, 5)] {
        let mut swim = machine();
        knows(&mut swim, 1..6);
        let Claim::Verdict { about, incarnation, state, .. } = verdict(1, 0, State::Suspect) else {
            unreachable!()
        };
        for accuser in 0..=others {
            let accusers = Accusers::one(NodeId(3 + accuser));
            let claim = Claim::Verdict { about, incarnation, state, accusers };
            say(&mut swim, START, 3, Message::Gossip, &[claim]);
        }
        let suspicion = &swim.suspicions[&NodeId(2)];
        let wait = suspicion.deadline().since(START).as_secs();
        assert!((least..=most).contains(&wait), "{others}: {wait} s");
    }
}

#[test]
fn our_own_words_from_another_life_are_contradicted() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    let words = |version, durable| {
        let Claim::Record(record) = record(0, 0, State::Alive) else { unreachable!() };
        Claim::Record(Record { version, facts: Facts { durable, ..record.facts }, ..record })
    };
    say(&mut swim, START, 1, Message::Gossip, &[words(0, 0)]);
    assert_eq!(swim.counters().refutations, 0);
    say(&mut swim, START, 1, Message::Gossip, &[words(1, 0)]);
    assert_eq!(swim.counters().refutations, 1);
    let mut swim = machine();
    say(&mut swim, START, 1, Message::Gossip, &[words(0, 9)]);
    assert_eq!(swim.counters().refutations, 1);
}

#[test]
fn a_twin_is_not_answered() {
    let mut swim = machine();
    let ping = Message::Ping { sequence: 1, target: NodeId(1) };
    assert_eq!(say(&mut swim, START, 0, ping, &[]), []);
    assert_eq!(swim.counters().contested, 1);
}

#[test]
fn who_has_left_pings_and_accuses_nobody() {
    let mut swim = machine();
    knows(&mut swim, 1..3);
    swim.leave(START);
    let sent = pass(&mut swim, START + Duration::from_secs(30));
    assert!(!sent.is_empty() && swim.has_left());
    assert!(sent.iter().all(|(.., packet)| packet.message == Message::Gossip));
    assert!(swim.members().skip(1).all(|member| member.state == State::Alive));
}

/// When the machine asks for whole states, in whole seconds.
fn exchanges(swim: &mut Swim, until: Instant) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(due) = swim.poll_timeout().filter(|due| *due <= until) {
        swim.handle_timeout(due);
        while let Some(output) = swim.poll_output() {
            if matches!(output, Output::PushPull { .. }) {
                times.push(due.since(START).as_secs());
            }
        }
    }
    times
}

#[test]
fn seeds_are_asked_until_one_answers_and_again_when_they_are_lost() {
    let mut swim = machine();
    swim.join(START, &[identity(0).address, identity(1).address, identity(1).address]);
    let first: Vec<_> = std::iter::from_fn(|| swim.poll_output()).collect();
    assert!(matches!(first[..], [Output::PushPull { to, .. }] if to == identity(1).address));
    assert_eq!(exchanges(&mut swim, START + Duration::from_secs(4))[..4], [1, 2, 3, 4]);
    // Another answers: the seed is tried as rarely as the dead are.
    knows(&mut swim, 2..3);
    let mut tried = 0;
    while let Some(due) = swim.poll_timeout().filter(|due| *due <= START + Duration::from_secs(25))
    {
        swim.handle_timeout(due);
        let seed =
            |o: &Output| matches!(o, Output::PushPull { to, .. } if *to == identity(1).address);
        tried += std::iter::from_fn(|| swim.poll_output()).filter(seed).count();
    }
    assert!((1..=3).contains(&tried), "{tried}");
}

#[test]
fn whole_states_are_exchanged_every_thirty_seconds() {
    let mut swim = machine();
    let mut times = Vec::new();
    for second in 0..120 {
        // Alive all the while.
        let now = START + Duration::from_secs(second);
        times.extend(exchanges(&mut swim, now));
        swim.handle_datagram(
            now,
            identity(1).address,
            &packet(&header(1), Message::Gossip, &[record(1, second, State::Alive)]),
        );
    }
    assert_eq!(times.len(), 4, "{times:?}");
}

#[test]
fn nobody_can_point_us_at_strangers_or_at_too_many_at_once() {
    let mut swim = machine();
    knows(&mut swim, 1..3);
    let asks = |sequence, target| Message::PingReq { sequence, target };
    assert_eq!(say(&mut swim, START, 1, asks(1, NodeId(77)), &[]), []);
    let pings: usize =
        (0..300).map(|i| say(&mut swim, START, 1, asks(i, NodeId(3)), &[]).len()).sum();
    assert_eq!((pings, swim.counters().overloaded), (256, 44));
}

#[test]
fn the_table_of_members_has_an_end() {
    let mut swim = machine();
    let claims: Vec<Claim> = (1..5_001)
        .map(|node| {
            let Claim::Record(mut record) = record(1, 0, State::Alive) else { unreachable!() };
            record.identity.id = NodeId(node + 1);
            Claim::Record(record)
        })
        .collect();
    assert_eq!(swim.handle_push_pull(START, &packet(&header(1), Message::Push, &claims)), None);
    assert_eq!((swim.members().count(), swim.counters().overloaded), (4_096, 905));
    let state = swim.handle_push_pull(START, &packet(&header(1), Message::Pull, &[]));
    assert!(wire::decode(&state.expect("an answer")).is_some(), "and a full one can be told");
}

#[test]
fn a_ping_for_who_had_our_address_before_is_not_answered() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    let ping = Message::Ping { sequence: 1, target: NodeId(77) };
    assert_eq!(say(&mut swim, START, 1, ping, &[]), []);
    assert_eq!(swim.counters().misdirected, 1);
}

#[test]
fn answers_go_where_a_known_member_is_and_for_all_others_back_to_the_source() {
    let mut swim = machine();
    knows(&mut swim, 1..2);
    let source = identity(40).address;
    let ping = Message::Ping { sequence: 1, target: NodeId(1) };
    for (from, address, expected) in [
        (1, identity(1).address, identity(1).address),
        (1, identity(9).address, source),
        (7, identity(7).address, source),
    ] {
        let header = Header { address, ..header(from) };
        swim.handle_datagram(START, source, &packet(&header, ping, &[]));
        assert_eq!(sent(&mut swim)[0].0, expected);
    }
}

#[test]
fn whom_we_do_not_know_is_told_so_and_introduces_itself() {
    let mut swim = machine();
    let ping = Message::Ping { sequence: 1, target: NodeId(1) };
    let answers = say(&mut swim, START, 1, ping, &[]);
    assert_eq!(answers[0].1.claims[0], Claim::Stranger { about: NodeId(2) });
    let answers =
        say(&mut swim, START, 1, Message::Gossip, &[Claim::Stranger { about: NodeId(1) }]);
    assert_eq!(answers[0].1.claims[0], record(0, 0, State::Alive));
}

#[test]
fn beliefs_do_not_depend_on_the_order_of_claims() {
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..500 {
        let states = [State::Alive, State::Suspect, State::Dead, State::Left];
        let mut claims: Vec<Claim> = (0..6)
            .map(|_| {
                let (incarnation, state) = (rng.u64(1..4), states[rng.usize(..4)]);
                record(2, incarnation, state)
            })
            .collect();
        let believed = |claims: &[Claim]| {
            let mut swim = machine();
            knows(&mut swim, 1..3);
            for claim in claims {
                say(&mut swim, START, 1, Message::Gossip, std::slice::from_ref(claim));
            }
            let member = swim.member(NodeId(3)).expect("known");
            (member.incarnation, member.state)
        };
        let before = believed(&claims);
        let highest = claims.iter().map(|claim| match claim {
            Claim::Record(r) => (r.incarnation, r.state),
            other => panic!("{other:?}"),
        });
        assert_eq!(Some(before), highest.max());
        rng.shuffle(&mut claims);
        assert_eq!(believed(&claims), before);
    }
}
