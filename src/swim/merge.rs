//! Claims become beliefs.
//!
//! ```text
//!   about me?      ─► contradict it with a higher incarnation (refute)
//!   older?         ─► nothing            too far ahead to be honest? ─► counted, dropped
//!   higher incarnation, or a later state of the same one ─► believed, and told on
//! ```
//!
//! The order (incarnation, alive < suspect < dead < left) makes beliefs a lattice: in whatever order and
//! however often claims arrive, everybody ends up believing the same.

use super::machine::{Output, Swim};
use super::member::{
    Facts, Identity, Incarnation, MAX_INCARNATION, MAX_INCARNATION_STEP, Member, State,
};
use super::rumor::Topic;
use super::scale;
use super::suspicion::{Accusers, Suspicion};
use super::wire::{self, Claim, Header, MAX_MEMBERS, Record};
use crate::id::{Lineage, NodeId};
use crate::time::Instant;

impl Swim {
    /// Somebody spoke to us directly.
    pub(super) fn meet(&mut self, now: Instant, header: &Header) {
        let Some(member) = self.members.get(&header.from) else { return };
        self.prober.heard_at = now;
        // A member that itself is far below what we were told of it: we were told a lie, which it would
        // refuse to climb over. Better to know nothing, and to learn it again.
        if member.incarnation.0 > header.incarnation.0.saturating_add(MAX_INCARNATION_STEP) {
            self.counters.implausible += 1;
            self.drop_member(header.from);
        }
    }

    /// Takes one claim. With `hearsay`, it is part of a whole state told by that member: a death in it is
    /// only an accusation, for the accused may never have had a chance to hear of it (two halves of a
    /// healed partition each hold the other for dead).
    pub(super) fn hear(&mut self, now: Instant, claim: Claim, hearsay: Option<NodeId>) {
        let (about, incarnation) = (claim.about(), claim.incarnation());
        if about == self.me {
            return self.hear_of_myself(now, &claim);
        }
        let known = self.members.get(&about);
        let admitted = match known.filter(|member| member.met) {
            Some(member) => member.incarnation.admits(incarnation),
            None => incarnation <= MAX_INCARNATION,
        };
        if !admitted {
            self.counters.implausible += 1;
            return;
        }
        if known.is_some_and(|member| !member.met) && matches!(claim, Claim::Record(_)) {
            // What it says of itself replaces what others expected of it.
            self.drop_member(about);
        }
        let known = self.members.get(&about);
        let before = known.map(|member| (member.incarnation, member.state));
        match (claim, before) {
            (Claim::Record(record), None) => self.welcome(now, record),
            // Who it is must be known before anything else can be believed about it.
            (Claim::Verdict { .. } | Claim::Facts { .. }, None) | (Claim::Stranger { .. }, _) => {}
            (Claim::Facts { lineage, version, facts, .. }, Some((life, _))) => {
                if incarnation == life {
                    self.hear_facts(about, lineage, version, facts);
                }
            }
            (Claim::Record(record), Some((life, state))) => {
                let (said, accusers) = soften(state, record.state, record.accusers, hearsay);
                if incarnation > life {
                    self.adopt(record);
                    self.suspicions.remove(&about);
                    self.conclude(now, about, said, accusers, true);
                } else if incarnation == life {
                    let lineage = record.identity.lineage;
                    self.hear_facts(about, lineage, record.version, record.facts);
                    if said >= state {
                        self.conclude(now, about, said, accusers, false);
                    }
                }
            }
            // A verdict on a life that we have not met says nothing of who lives it: its record comes.
            (Claim::Verdict { state: said, accusers, .. }, Some((life, state))) => {
                let (said, accusers) = soften(state, said, accusers, hearsay);
                if incarnation == life && said >= state {
                    self.conclude(now, about, said, accusers, false);
                }
            }
        }
    }

    /// A member that we did not know.
    fn welcome(&mut self, now: Instant, record: Record) {
        let node = record.identity.id;
        if self.forgotten.get(&node).is_some_and(|last| record.incarnation <= *last) {
            return;
        }
        if self.members.len() >= MAX_MEMBERS {
            self.counters.overloaded += 1;
            return;
        }
        self.forgotten.remove(&node);
        // A newcomer under suspicion is first of all alive.
        let state = if record.state.is_live() { State::Alive } else { record.state };
        let member = Member {
            identity: record.identity,
            state,
            incarnation: record.incarnation,
            facts: record.facts,
            facts_version: record.version,
            since: now,
            round_trip: None,
            met: true,
        };
        self.members.insert(node, member);
        self.outputs.push_back(Output::Changed { member: node, from: None, to: state });
        if state.is_live() {
            self.prober.enlist(node, &mut self.rng);
        }
        self.tell_life_of(node, true);
        if record.state == State::Suspect {
            self.conclude(now, node, State::Suspect, record.accusers, true);
        }
    }

    /// A member speaks of itself as of a later life: its identity and facts are taken over.
    fn adopt(&mut self, record: Record) {
        let node = record.identity.id;
        let Some(member) = self.members.get_mut(&node) else { return };
        member.incarnation = record.incarnation;
        member.facts_version = record.version;
        let previous = std::mem::replace(&mut member.identity, record.identity);
        if previous != member.identity {
            member.round_trip = None;
            self.outputs.push_back(Output::IdentityChanged { member: node, previous });
        }
        if std::mem::replace(&mut member.facts, record.facts) != record.facts {
            self.outputs.push_back(Output::FactsChanged { member: node });
        }
    }

    /// Facts of the life that is known. Those of another one would make a node that began anew, at the count
    /// of its former life, look as if it had fallen behind itself.
    fn hear_facts(&mut self, node: NodeId, lineage: Lineage, version: u64, facts: Facts) {
        let Some(member) = self.members.get_mut(&node) else { return };
        if lineage != member.identity.lineage || version <= member.facts_version {
            return;
        }
        member.facts_version = version;
        if std::mem::replace(&mut member.facts, facts) != facts {
            self.outputs.push_back(Output::FactsChanged { member: node });
        }
        self.tell_facts_of(node);
    }

    /// Says something new about ourselves, if it is.
    pub(super) fn announce_facts(&mut self) {
        let me = self.me;
        let Some(facts) = self.next_facts.take() else { return };
        let Some(myself) = self.members.get_mut(&me).filter(|m| m.facts != facts) else { return };
        myself.facts = facts;
        myself.facts_version = myself.facts_version.saturating_add(1);
        self.tell_facts_of(me);
    }

    fn tell_facts_of(&mut self, node: NodeId) {
        let Some(claim) = self.facts(node) else { return };
        self.rumors.tell(node, Topic::Facts, wire::encode(&claim));
    }

    /// Reaches a state that is at least the present one, or that of a later life.
    fn conclude(&mut self, now: Instant, node: NodeId, to: State, accusers: Accusers, news: bool) {
        if to == State::Suspect {
            return self.suspect(now, node, accusers, news);
        }
        if news || self.members.get(&node).is_some_and(|m| m.state != to) {
            self.set_state(now, node, to, news);
        }
    }

    /// Begins a suspicion, or adds accusers to it.
    pub(super) fn suspect(&mut self, now: Instant, node: NodeId, accusers: Accusers, news: bool) {
        let begins = !self.suspicions.contains_key(&node);
        if begins {
            let suspicion = self.new_suspicion(now);
            self.suspicions.insert(node, suspicion);
        }
        let Some(suspicion) = self.suspicions.get_mut(&node) else { return };
        // All of them, not only until the first one that is news.
        let confirmed = accusers.iter().filter(|accuser| suspicion.confirm(*accuser)).count() > 0;
        if begins || confirmed || news {
            self.set_state(now, node, State::Suspect, news);
        }
    }

    fn new_suspicion(&self, now: Instant) -> Suspicion {
        let live = self.live();
        let least = scale::least_suspicion(
            self.config.suspicion_multiplier,
            self.config.probe_interval,
            live,
        );
        let wanted = self.config.suspicion_multiplier.saturating_sub(2);
        // With too few others to confirm it, nobody is waited for (as in memberlist).
        let needed = if live.saturating_sub(2) < wanted as usize { 0 } else { wanted };
        Suspicion::new(now, least, least * self.config.suspicion_max_multiplier, needed)
    }

    /// Sets a state, says so, and tells everybody: the whole record if its identity is news.
    pub(super) fn set_state(&mut self, now: Instant, node: NodeId, to: State, news: bool) {
        let Some(member) = self.members.get_mut(&node) else { return };
        let from = std::mem::replace(&mut member.state, to);
        if from != to {
            member.since = now;
            self.outputs.push_back(Output::Changed { member: node, from: Some(from), to });
        }
        if to != State::Suspect {
            self.suspicions.remove(&node);
        }
        if node != self.me && to.is_live() && !from.is_live() {
            self.prober.enlist(node, &mut self.rng);
        }
        self.tell_life_of(node, news || to == State::Alive);
    }

    /// A claim about ourselves: an echo of what we said, or something to contradict.
    fn hear_of_myself(&mut self, now: Instant, claim: &Claim) {
        let myself = self.myself();
        let (said, mine) = (claim.incarnation(), myself.incarnation);
        if said < mine || matches!(claim, Claim::Stranger { .. }) {
            self.behind = true;
            return;
        }
        if !mine.admits(said) {
            self.counters.implausible += 1;
            return;
        }
        let same_words = |version: u64, facts: &Facts| {
            version < myself.facts_version
                || (version == myself.facts_version && *facts == myself.facts)
        };
        let (echo, accused) = match claim {
            Claim::Record(r) => (
                r.state <= myself.state
                    && r.state != State::Suspect
                    && r.identity == myself.identity
                    && same_words(r.version, &r.facts),
                matches!(r.state, State::Suspect | State::Dead),
            ),
            Claim::Verdict { state, .. } => {
                (*state <= myself.state, matches!(state, State::Suspect | State::Dead))
            }
            Claim::Facts { lineage, version, facts, .. } => {
                let mine = *lineage == myself.identity.lineage;
                (mine && same_words(*version, facts), false)
            }
            Claim::Stranger { .. } => (true, false),
        };
        if said == mine && echo {
            let version = match claim {
                Claim::Facts { version, .. } => *version,
                _ => myself.facts_version,
            };
            self.behind |= version < myself.facts_version;
            return;
        }
        if matches!(claim, Claim::Record(r) if differs(&r.identity, &myself.identity)) {
            self.counters.contested += 1;
        }
        if accused {
            // To be accused is a hint that we are slow (Lifeguard).
            self.health.worsen(1);
        }
        self.refute(now, said);
    }

    /// Contradicts everything said up to an incarnation.
    fn refute(&mut self, now: Instant, said: Incarnation) {
        let me = self.me;
        let incarnation = Incarnation(said.0.saturating_add(1));
        let Some(myself) = self.members.get_mut(&me) else { return };
        myself.incarnation = incarnation;
        let state = myself.state;
        self.counters.refutations += 1;
        self.outputs.push_back(Output::Refuted { incarnation });
        self.set_state(now, me, state, true);
    }
}

/// A death told as hearsay about somebody we hold for living is an accusation by who tells it.
fn soften(
    held: State,
    said: State,
    accusers: Accusers,
    hearsay: Option<NodeId>,
) -> (State, Accusers) {
    match hearsay {
        Some(teller) if said == State::Dead && held.is_live() => {
            (State::Suspect, Accusers::one(teller))
        }
        _ => (said, accusers),
    }
}

/// Whether two who go by one id are not one process: by data or by address.
fn differs(a: &Identity, b: &Identity) -> bool {
    a.lineage != b.lineage || a.address != b.address
}
