//! The machine: what it holds, and the verbs by which a driver moves it.
//!
//! ```text
//!    handle_datagram · handle_push_pull · handle_timeout · join · leave · set_facts · forget
//!                                   │
//!                                   ▼
//!    poll_output until None, then sleep until poll_timeout
//! ```

use super::member::{Facts, Identity, Incarnation, Member, State};
use super::{Config, Counters};
use crate::id::NodeId;
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

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
pub struct Swim {
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) counters: Counters,
    pub(super) outputs: VecDeque<Output>,
    pub(super) rng: fastrand::Rng,
}

impl Swim {
    /// A machine that knows itself alone. `incarnation` may be anything below
    /// [`MAX_INCARNATION`](super::MAX_INCARNATION), zero for one who lost count: it contradicts its old
    /// death once it hears of it.
    ///
    /// # Panics
    /// When `myself` is unsound (see [`Identity::is_sound`]): the caller checks its own configuration.
    pub fn new(
        config: Config,
        myself: Identity,
        incarnation: Incarnation,
        rng: fastrand::Rng,
        now: Instant,
    ) -> Swim {
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
        };
        Swim {
            config,
            me,
            members: BTreeMap::from([(me, member)]),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            rng,
        }
    }

    /// Takes a datagram that the envelope let through. Junk is counted and dropped without an answer.
    /// `from` is where it came from; answers go to the address that the sender advertises.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let _ = (now, from, packet);
    }

    /// Takes a push-pull state that came over TCP, merges it, and returns the answer to send back if it
    /// was a request. None for an answer and for junk.
    pub fn handle_push_pull(&mut self, now: Instant, state: &[u8]) -> Option<Vec<u8>> {
        let _ = (now, state);
        None
    }

    /// Exchanges states with these addresses, again and again until somebody is alive beside us, and now
    /// and then later while one of them belongs to nobody who is.
    pub fn join(&mut self, now: Instant, seeds: &[SocketAddr]) {
        let _ = (now, seeds);
    }

    /// Announces what we say about ourselves, at most once in `facts_interval`.
    pub fn set_facts(&mut self, now: Instant, facts: Facts) {
        let _ = (now, facts);
    }

    /// Says goodbye: not a death. The machine accuses nobody any more; drive it on until
    /// [`has_left`](Swim::has_left), or for a second or two, then drop it. There is no way back but a new
    /// machine.
    pub fn leave(&mut self, now: Instant) {
        let _ = now;
    }

    /// Whether the goodbye has been told as often as any rumor is.
    pub fn has_left(&self) -> bool {
        false
    }

    /// Drops a member that the layout no longer names. Echoes about it are not believed; it comes back
    /// only by its own word, with a higher incarnation. Nothing happens for ourselves or a stranger.
    pub fn forget(&mut self, node: NodeId) {
        let _ = node;
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// When to call [`handle_timeout`](Swim::handle_timeout) at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
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
        0
    }
}
