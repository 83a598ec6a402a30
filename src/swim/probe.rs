//! The failure detector: one member in each protocol period, itself first, then through others.
//!
//! ```text
//!   me ── ping ──► n3                       0 ms
//!   me ── ping-req ──► n1, n2, n4           500 ms, no ack yet
//!                      n1 ── ping ──► n3
//!   me ◄── nack ── n1                       900 ms: n1 lives, hears me, and n3 does not answer it
//!   no ack at 1 s: n3 is suspect
//! ```
//!
//! Members are probed in a shuffled round, so each is probed once in a round (Das et al., §4.3). Nacks
//! are Lifeguard's: a nack that does not come says something about us. When *nobody* answers and yet
//! others are heard, our voice does not carry: then we accuse nobody.

use super::Config;
use super::machine::Swim;
use super::member::{Member, State};
use super::suspicion::Accusers;
use super::wire::{Header, Message};
use crate::id::NodeId;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How many pings in the place of others may be under way at once.
const MAX_RELAYS: usize = 256;
/// Who is heard so many periods after we began to get no answers is not dead: we are mute. Nobody that
/// died is heard so late.
const MUTE_AFTER: u32 = 2;
/// We take ourselves for mute for so many looks at the dead since we heard anybody: those who gave us up
/// knock at least as often.
const MUTE_FOR: u32 = 3;

/// The probe of this period.
#[derive(Clone, Debug)]
struct Probe {
    target: NodeId,
    sequence: u32,
    sent: Instant,
    /// When others are asked; none once they were.
    ask_at: Option<Instant>,
    /// How many were asked and will nack.
    asked: u32,
    nacks: u32,
}

/// A ping in the place of another.
#[derive(Clone, Debug)]
struct Relay {
    asker: SocketAddr,
    sequence: u32,
    target: NodeId,
    /// When the asker is told that there is no ack; none once it was.
    nack_at: Option<Instant>,
    ends: Instant,
}

/// What the failure detector remembers.
#[derive(Debug)]
pub(super) struct Prober {
    /// The round: everybody live, shuffled, and who is next.
    round: Vec<NodeId>,
    next: usize,
    sequence: u32,
    probe: Option<Probe>,
    relays: BTreeMap<u32, Relay>,
    /// When a member last spoke to us.
    pub(super) heard_at: Instant,
    /// When we sent the first probe after which nobody answered us anything.
    unanswered_since: Option<Instant>,
}

impl Prober {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Prober {
        Prober {
            round: Vec::new(),
            next: 0,
            sequence: rng.u32(..),
            probe: None,
            relays: BTreeMap::new(),
            heard_at: Instant::default(),
            unanswered_since: None,
        }
    }

    /// Puts a member at a random place of what is left of the round.
    pub(super) fn enlist(&mut self, node: NodeId, rng: &mut fastrand::Rng) {
        if !self.round[self.next..].contains(&node) {
            let place = rng.usize(self.next..=self.round.len());
            self.round.insert(place, node);
        }
    }

    /// Forgets what is under way, without a verdict.
    pub(super) fn rest(&mut self) {
        self.probe = None;
        self.relays.clear();
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let asks = self.probe.iter().filter_map(|probe| probe.ask_at);
        asks.chain(self.relays.values().map(|relay| relay.nack_at.unwrap_or(relay.ends)))
    }

    /// Whether our voice does not seem to carry.
    pub(super) fn is_mute(&self, now: Instant, config: &Config) -> bool {
        self.unanswered_since.is_some_and(|since| {
            self.heard_at > since + config.probe_interval * MUTE_AFTER
                && now < self.heard_at + config.reconnect_interval * MUTE_FOR
        })
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Somebody answered something that we sent in this period.
    fn answered(&mut self) {
        self.unanswered_since = None;
    }
}

impl Swim {
    /// Ends a period, and begins the next. Returns how long that one takes.
    pub(super) fn next_period(&mut self, now: Instant) -> Duration {
        if let Some(probe) = self.prober.probe.take() {
            self.probe_failed(now, &probe);
        }
        if self.myself().state != State::Left
            && let Some(target) = self.next_target()
        {
            let sequence = self.prober.next_sequence();
            self.prober.probe = Some(Probe {
                target,
                sequence,
                sent: now,
                ask_at: Some(now + self.health.stretch(self.config.probe_timeout)),
                asked: 0,
                nacks: 0,
            });
            self.counters.probes += 1;
            self.send_to_member(target, Message::Ping { sequence, target });
        }
        self.health.stretch(self.config.probe_interval)
    }

    fn next_target(&mut self) -> Option<NodeId> {
        loop {
            if let Some(node) = self.prober.round.get(self.prober.next).copied() {
                self.prober.next += 1;
                if self.members.get(&node).is_some_and(|m| m.state.is_live()) {
                    return Some(node);
                }
                continue;
            }
            let live = self.others().filter(|m| m.state.is_live()).map(|m| m.identity.id);
            let mut round: Vec<NodeId> = live.collect();
            if round.is_empty() {
                return None;
            }
            self.rng.shuffle(&mut round);
            self.prober.round = round;
            self.prober.next = 0;
        }
    }

    /// Probes and relays whose time has come within a period.
    pub(super) fn run_probes(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.prober.probe.as_ref().is_some_and(|probe| due(probe.ask_at)) {
            self.ask_others();
        }
        let late: Vec<u32> =
            self.prober.relays.iter().filter(|(_, r)| due(r.nack_at)).map(|(s, _)| *s).collect();
        for own in late {
            let Some(relay) = self.prober.relays.get_mut(&own) else { continue };
            relay.nack_at = None;
            let (asker, sequence, target) = (relay.asker, relay.sequence, relay.target);
            self.send(asker, Message::Nack { sequence, target }, None);
        }
        self.prober.relays.retain(|_, relay| relay.ends > now);
    }

    fn ask_others(&mut self) {
        let Some(probe) = self.prober.probe.as_mut() else { return };
        probe.ask_at = None;
        let (target, sequence) = (probe.target, probe.sequence);
        let asked = self.pick(self.config.indirect_probes, |m| {
            m.state == State::Alive && m.met && m.identity.id != target
        });
        if let Some(probe) = self.prober.probe.as_mut() {
            probe.asked = asked.len() as u32;
        }
        for node in asked {
            self.send_to_member(node, Message::PingReq { sequence, target });
        }
    }

    /// Up to `count` others that fit, at random.
    pub(super) fn pick(&mut self, count: usize, fits: impl Fn(&Member) -> bool) -> Vec<NodeId> {
        let fitting = self.others().filter(|m| fits(m)).map(|m| m.identity.id);
        let mut fitting: Vec<NodeId> = fitting.collect();
        self.rng.shuffle(&mut fitting);
        fitting.truncate(count);
        fitting
    }

    fn probe_failed(&mut self, now: Instant, probe: &Probe) {
        self.counters.probes_failed += 1;
        let met = self.members.get(&probe.target).is_some_and(|member| member.met);
        if !met {
            // Who has never been there says nothing about us.
            return self.accuse(now, probe.target);
        }
        // Without anybody to ask, the silence may as well be our fault.
        let blame = if probe.asked == 0 { 1 } else { probe.asked.saturating_sub(probe.nacks) };
        self.health.worsen(blame);
        if probe.nacks == 0 {
            self.prober.unanswered_since.get_or_insert(probe.sent);
            let heard = self.prober.heard_at >= probe.sent;
            if heard || self.prober.is_mute(now, &self.config) {
                self.counters.mute += 1;
                return;
            }
        }
        self.accuse(now, probe.target);
    }

    fn accuse(&mut self, now: Instant, target: NodeId) {
        if self.members.get(&target).is_some_and(|member| member.state.is_live()) {
            self.counters.accusations += 1;
            self.suspect(now, target, Accusers::one(self.me), false);
        }
    }

    /// Answers a message of a packet whose claims were heard already, so that a contradiction travels
    /// with the answer.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        header: &Header,
        message: Message,
    ) {
        let to = self.answer_address(from, header);
        match message {
            Message::Ping { sequence, target } if target == self.me => {
                let correction = self.correction(header);
                self.send(to, Message::Ack { sequence, target }, correction);
            }
            Message::Ping { .. } => self.counters.misdirected += 1,
            Message::PingReq { sequence, target } => self.relay(now, to, sequence, target),
            Message::Ack { sequence, target } => {
                self.heard_ack(now, header.from, sequence, target);
            }
            Message::Nack { sequence, target } => {
                if let Some(probe) = self.prober.probe.as_mut()
                    && (probe.sequence, probe.target) == (sequence, target)
                {
                    probe.nacks = (probe.nacks + 1).min(probe.asked);
                    self.prober.answered();
                }
            }
            Message::Gossip | Message::Pull | Message::Push => {}
        }
    }

    /// Pings in the place of another, only whom we know ourselves: nobody can point us at a stranger.
    fn relay(&mut self, now: Instant, asker: SocketAddr, sequence: u32, target: NodeId) {
        if target == self.me || !self.members.contains_key(&target) {
            return;
        }
        if self.prober.relays.len() >= MAX_RELAYS {
            self.counters.overloaded += 1;
            return;
        }
        let own = self.prober.next_sequence();
        // Early enough that the nack arrives within the asker's period.
        let nack_at = Some(now + self.config.probe_timeout * 4 / 5);
        let ends = now + self.config.probe_timeout * 2;
        self.prober.relays.insert(own, Relay { asker, sequence, target, nack_at, ends });
        self.send_to_member(target, Message::Ping { sequence: own, target });
    }

    fn heard_ack(&mut self, now: Instant, speaker: NodeId, sequence: u32, target: NodeId) {
        if let Some(probe) = self.prober.probe.as_ref()
            && (probe.sequence, probe.target) == (sequence, target)
        {
            let took = now.since(probe.sent);
            self.prober.probe = None;
            self.prober.answered();
            self.health.improve();
            if speaker == target
                && let Some(member) = self.members.get_mut(&target)
            {
                member.round_trip =
                    Some(member.round_trip.map_or(took, |old| (old * 7 + took) / 8));
            }
        } else if speaker == target
            && self.prober.relays.get(&sequence).is_some_and(|relay| relay.target == target)
            && let Some(relay) = self.prober.relays.remove(&sequence)
        {
            self.send(relay.asker, Message::Ack { sequence: relay.sequence, target }, None);
        }
    }

    /// Looks for somebody who was given up: a dead member, or a seed that belongs to nobody live. This is
    /// how the halves of a healed partition meet again.
    pub(super) fn reconnect(&mut self) {
        let dead = self.others().filter(|m| m.state == State::Dead);
        let mut lost: Vec<(Option<NodeId>, SocketAddr)> =
            dead.map(|m| (Some(m.identity.id), m.identity.address)).collect();
        let seeds = self.seeds.iter().filter(|seed| {
            self.members.values().all(|m| m.identity.address != **seed || m.state == State::Left)
        });
        lost.extend(seeds.map(|seed| (None, *seed)));
        if lost.is_empty() || self.myself().state == State::Left {
            return;
        }
        let (node, address) = lost[self.rng.usize(..lost.len())];
        if let Some(target) = node {
            let sequence = self.prober.next_sequence();
            self.send_to_member(target, Message::Ping { sequence, target });
        }
        self.push_pull_with(address);
    }

    /// Pushes rumors to a few, and to who died lately, so that it can contradict.
    pub(super) fn gossip(&mut self, now: Instant) {
        let (fanout, patience) = (self.config.gossip_fanout, self.config.gossip_to_the_dead);
        let chosen = self.pick(fanout, |m| {
            m.state.is_live() || (m.state == State::Dead && now.since(m.since) < patience)
        });
        for node in chosen {
            self.send_to_member(node, Message::Gossip);
        }
    }

    /// Asks every seed, while we know nobody.
    pub(super) fn ask_seeds(&mut self) -> bool {
        let alone = self.is_alone() && self.myself().state == State::Alive;
        if alone {
            for seed in self.seeds.clone() {
                self.push_pull_with(seed);
            }
        }
        alone
    }

    /// Exchanges states with one live member.
    pub(super) fn push_pull(&mut self) {
        let chosen = self.pick(1, |m| m.state == State::Alive);
        if let Some(member) = chosen.first().and_then(|node| self.members.get(node)) {
            self.push_pull_with(member.identity.address);
        }
    }
}
