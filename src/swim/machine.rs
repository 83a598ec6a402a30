//! The machine: what it holds, and the verbs by which a driver moves it.
//!
//! ```text
//!    handle_datagram · handle_push_pull · handle_timeout · join · leave · set_facts · forget
//!                                   │
//!                                   ▼
//!    poll_output until None, then sleep until poll_timeout
//! ```

use super::health::LocalHealth;
use super::member::{Facts, Identity, Incarnation, MAX_INCARNATION, Member, State};
use super::probe::Prober;
use super::rumor::{Rumors, Topic};
use super::suspicion::Suspicion;
use super::timer::Timers;
use super::wire::{self, Claim, Message};
use super::{Config, Counters};
use crate::id::NodeId;
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// How many seeds are remembered; more are not.
const MAX_SEEDS: usize = 64;
/// How many forgotten members are remembered as such, so that echoes do not bring them back.
const MAX_FORGOTTEN: usize = 1_024;

/// What the machine wants done, or told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Send this over UDP, in the cluster's envelope.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// At most `max_packet` bytes.
        bytes: Vec<u8>,
    },
    /// Send this over TCP to the node there, and hand what it answers to
    /// [`handle_push_pull`](Swim::handle_push_pull). A failure needs no report.
    PushPull {
        /// Where to.
        to: SocketAddr,
        /// The whole state, as a request.
        bytes: Vec<u8>,
    },
    /// The opinion about a member changed.
    Changed {
        /// About whom; also ourselves.
        member: NodeId,
        /// The opinion before; none for a newcomer.
        from: Option<State>,
        /// The opinion now.
        to: State,
    },
    /// A member has another address, name, zone or lineage than before.
    IdentityChanged {
        /// Who.
        member: NodeId,
        /// What it was.
        previous: Identity,
    },
    /// A member tells other facts than before.
    FactsChanged {
        /// Who.
        member: NodeId,
    },
    /// We contradicted a claim about ourselves. A caller that persists our incarnation does it now.
    Refuted {
        /// Our incarnation from now on.
        incarnation: Incarnation,
    },
}

/// The membership machine of one node.
///
/// - `members` always holds ourselves.
/// - A suspicion exists exactly for the members in [`State::Suspect`].
pub struct Swim {
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) suspicions: BTreeMap<NodeId, Suspicion>,
    /// Whom the layout dropped, and up to which incarnation nothing is believed about them.
    pub(super) forgotten: BTreeMap<NodeId, Incarnation>,
    pub(super) rumors: Rumors,
    /// Whether the packet at hand says something about us that we have contradicted already.
    pub(super) behind: bool,
    pub(super) health: LocalHealth,
    pub(super) prober: Prober,
    pub(super) timers: Timers,
    pub(super) seeds: Vec<SocketAddr>,
    /// What we will say about ourselves as soon as we may.
    pub(super) next_facts: Option<Facts>,
    pub(super) counters: Counters,
    pub(super) outputs: VecDeque<Output>,
    pub(super) rng: fastrand::Rng,
}

impl Swim {
    /// A machine that knows itself alone. `incarnation` is best above that of the life before, and may be
    /// zero for one who lost count: it contradicts its old death once it hears of it. At or above
    /// [`MAX_INCARNATION`] it counts as lost.
    ///
    /// # Panics
    /// When `myself` is unsound (see [`Identity::is_sound`]): the caller checks its own configuration.
    pub fn new(
        config: Config,
        myself: Identity,
        incarnation: Incarnation,
        mut rng: fastrand::Rng,
        now: Instant,
    ) -> Swim {
        // A count that nobody would believe is as good as none.
        let incarnation =
            if incarnation < MAX_INCARNATION { incarnation } else { Incarnation::default() };
        assert!(myself.is_sound(), "our own identity breaks the rules that peers hold us to");
        let me = myself.id;
        let member = Member {
            identity: myself,
            state: State::Alive,
            incarnation,
            facts: Facts::default(),
            facts_version: 0,
            since: now,
            round_trip: None,
            met: true,
        };
        let timers = Timers::new(&config, &mut rng, now);
        let prober = Prober::new(&mut rng);
        let mut swim = Swim {
            config,
            me,
            members: BTreeMap::from([(me, member)]),
            suspicions: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            rumors: Rumors::default(),
            behind: false,
            health: LocalHealth::default(),
            prober,
            timers,
            seeds: Vec::new(),
            next_facts: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
            rng,
        };
        swim.tell_life_of(me, true);
        swim
    }

    /// Takes a datagram that the envelope let through. Junk is counted and dropped without an answer.
    /// Answers go to `from` only while the sender is not known at the address that it advertises.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        self.notice_lateness(now);
        let Some(packet) = wire::decode(packet) else {
            self.counters.junk += 1;
            return;
        };
        if matches!(packet.message, Message::Pull | Message::Push) {
            self.counters.junk += 1;
            return;
        }
        if packet.header.from == self.me {
            self.counters.contested += 1;
            return;
        }
        self.counters.received += 1;
        self.meet(now, &packet.header);
        self.behind = false;
        for claim in packet.claims {
            self.hear(now, claim, None);
        }
        if self.behind {
            let to = self.answer_address(from, &packet.header);
            self.send(to, Message::Gossip, self.record(self.me));
        }
        self.answer(now, from, &packet.header, packet.message);
    }

    /// Takes a push-pull state that came over TCP, merges it, and returns the answer to send back if it
    /// was a request. None for an answer and for junk.
    pub fn handle_push_pull(&mut self, now: Instant, state: &[u8]) -> Option<Vec<u8>> {
        self.notice_lateness(now);
        let packet = wire::decode(state)
            .filter(|packet| matches!(packet.message, Message::Pull | Message::Push));
        let Some(packet) = packet else {
            self.counters.junk += 1;
            return None;
        };
        if packet.header.from == self.me {
            // A seed may well be ourselves.
            return None;
        }
        self.counters.received += 1;
        self.meet(now, &packet.header);
        for claim in packet.claims {
            self.hear(now, claim, Some(packet.header.from));
        }
        (packet.message == Message::Pull)
            .then(|| self.whole_state(Message::Push, self.correction(&packet.header)))
    }

    /// Exchanges states with these addresses, again and again until somebody is alive beside us, and now
    /// and then later while one of them belongs to nobody who is.
    pub fn join(&mut self, now: Instant, seeds: &[SocketAddr]) {
        let own = self.myself().identity.address;
        for seed in seeds {
            if *seed != own && !self.seeds.contains(seed) && self.seeds.len() < MAX_SEEDS {
                self.seeds.push(*seed);
            }
        }
        self.try_seeds(now);
    }

    /// Somebody takes part of whom we have only been told, by the layout: from now on it is probed, and
    /// suspected and given up like everybody when it does not answer. Else one that dies before it was met
    /// would stay unknown for ever. Nothing happens for ourselves and for whom we know.
    pub fn introduce(&mut self, now: Instant, identity: Identity) {
        self.take_in(now, identity, false);
    }

    /// As if this member had been alive beside us for long: it is known, and no news to tell to others. For
    /// machines that begin in the middle of a cluster's life. Nothing happens for ourselves and for whom we
    /// know.
    pub fn acquaint(&mut self, now: Instant, identity: Identity) {
        self.take_in(now, identity, true);
    }

    fn take_in(&mut self, now: Instant, identity: Identity, met: bool) {
        let node = identity.id;
        let full = self.members.len() >= wire::MAX_MEMBERS;
        if self.members.contains_key(&node) || full || !identity.is_sound() {
            return;
        }
        let member = Member {
            identity,
            state: State::Alive,
            incarnation: Incarnation::default(),
            facts: Facts::default(),
            facts_version: 0,
            since: now,
            round_trip: None,
            met,
        };
        self.members.insert(node, member);
        self.prober.enlist(node, &mut self.rng);
    }

    /// Announces what we say about ourselves, at most once in `facts_interval`; of several changes in
    /// one interval the last.
    pub fn set_facts(&mut self, now: Instant, facts: Facts) {
        self.next_facts = Some(facts);
        self.timers.announce_facts(now);
    }

    /// Says goodbye: not a death. The machine accuses nobody any more; drive it on until
    /// [`has_left`](Swim::has_left), or for a second or two, then drop it. There is no way back but a new
    /// machine.
    pub fn leave(&mut self, now: Instant) {
        if self.myself().state == State::Left {
            return;
        }
        self.set_state(now, self.me, State::Left, false);
        self.prober.rest();
        self.gossip(now);
    }

    /// Whether the goodbye has been told as often as any rumor is.
    pub fn has_left(&self) -> bool {
        self.myself().state == State::Left
            && (self.is_alone() || !self.rumors.tells_life_of(self.me))
    }

    /// Drops a member that the layout no longer names. Echoes about it are not believed; it comes back
    /// only by its own word, with a higher incarnation. Nothing happens for ourselves or a stranger.
    pub fn forget(&mut self, node: NodeId) {
        if node == self.me {
            return;
        }
        let Some(member) = self.drop_member(node) else { return };
        if self.forgotten.len() >= MAX_FORGOTTEN {
            self.forgotten.pop_first();
        }
        self.forgotten.insert(node, member.incarnation);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_lateness(now);
        self.run_timers(now);
    }

    /// When to call [`handle_timeout`](Swim::handle_timeout) at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let suspicions = self.suspicions.values().map(Suspicion::deadline);
        suspicions.chain(self.prober.deadlines()).chain(self.timers.deadlines()).min()
    }

    /// The next thing to do or to tell, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Everybody known, ourselves too, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// One member.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Ourselves.
    pub fn myself(&self) -> &Member {
        &self.members[&self.me]
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The local health multiplier: 0 is well, 8 is very slow. Timeouts stretch by one plus this.
    pub fn local_health(&self) -> u32 {
        self.health.score()
    }

    /// Everybody but us.
    pub(super) fn others(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|m| m.identity.id != self.me)
    }

    /// Whether nobody takes part but us, as far as we have met anybody.
    pub(super) fn is_alone(&self) -> bool {
        self.others().all(|member| !member.met || !member.state.is_live())
    }

    /// How many take part, ourselves too.
    pub(super) fn live(&self) -> usize {
        self.members.values().filter(|m| m.state.is_live()).count()
    }

    pub(super) fn drop_member(&mut self, node: NodeId) -> Option<Member> {
        self.suspicions.remove(&node);
        self.rumors.silence(node);
        self.members.remove(&node)
    }

    /// Tells everybody about a member: all of it when its identity is news, else the verdict.
    pub(super) fn tell_life_of(&mut self, node: NodeId, whole: bool) {
        let claim = if whole { self.record(node) } else { self.verdict(node) };
        if let Some(claim) = claim {
            self.rumors.tell(node, Topic::Life, wire::encode(&claim));
        }
    }

    /// Everything that we believe of a member, as a claim.
    pub(super) fn record(&self, node: NodeId) -> Option<Claim> {
        let member = self.members.get(&node)?;
        Some(Claim::Record(wire::Record {
            identity: member.identity.clone(),
            incarnation: member.incarnation,
            state: member.state,
            accusers: self.suspicions.get(&node).map(Suspicion::accusers).unwrap_or_default(),
            facts: member.facts,
            version: member.facts_version,
        }))
    }

    /// What a member says about itself, as a claim for those who know it.
    pub(super) fn facts(&self, node: NodeId) -> Option<Claim> {
        let member = self.members.get(&node)?;
        Some(Claim::Facts {
            about: node,
            lineage: member.identity.lineage,
            incarnation: member.incarnation,
            version: member.facts_version,
            facts: member.facts,
        })
    }

    /// Our opinion about a member, as a claim for those who know it.
    pub(super) fn verdict(&self, node: NodeId) -> Option<Claim> {
        let member = self.members.get(&node)?;
        Some(Claim::Verdict {
            about: node,
            incarnation: member.incarnation,
            state: member.state,
            accusers: self.suspicions.get(&node).map(Suspicion::accusers).unwrap_or_default(),
        })
    }
}
