//! Packets on their way out: a header, a message, what the receiver must hear first, then rumors.
//!
//! ```text
//!   [ping n3][n3 is suspect, says n1][rumor][rumor] … up to max_packet
//!             └ tell the suspect first: the one who can contradict is not left to chance
//! ```
//!
//! (Lifeguard's buddy system, Dadgar et al., §IV-C; here for the dead and for former lives too.)

use super::machine::{Output, Swim};
use super::member::State;
use super::scale;
use super::suspicion::Accusers;
use super::wire::{self, Claim, Header, Message};
use crate::id::NodeId;
use std::cmp::Ordering;
use std::net::SocketAddr;

impl Swim {
    fn header(&self) -> Header {
        let myself = self.myself();
        Header {
            from: self.me,
            incarnation: myself.incarnation,
            version: myself.facts_version,
            address: myself.identity.address,
        }
    }

    /// Sends a message with rumors. Pure gossip without anything to tell is not sent.
    pub(super) fn send(&mut self, to: SocketAddr, message: Message, first: Option<Claim>) {
        let mut packet = wire::open(&self.header(), message);
        let empty = packet.len();
        if let Some(claim) = first {
            let claim = wire::encode(&claim);
            if packet.len() + claim.len() <= self.config.max_packet {
                packet.extend(claim);
            }
        }
        if !self.rumors.is_empty() {
            let limit = scale::transmit_limit(self.config.retransmit_multiplier, self.live());
            self.counters.rumors += self.rumors.fill(&mut packet, self.config.max_packet, limit);
        }
        if message == Message::Gossip && packet.len() == empty {
            return;
        }
        self.counters.datagrams += 1;
        self.outputs.push_back(Output::Datagram { to, bytes: wire::seal(packet) });
    }

    /// Sends to a member where it is believed to be, and tells it first what is believed of it if that
    /// is not the best.
    pub(super) fn send_to_member(&mut self, node: NodeId, message: Message) {
        let Some(member) = self.members.get(&node) else { return };
        let to = member.identity.address;
        let first = if member.state == State::Alive { None } else { self.verdict(node) };
        self.send(to, message, first);
    }

    /// What the sender of this header should hear about itself, if it differs from how it sees itself.
    /// To what is behind it answers with its record (see [`Swim::handle_datagram`]), so a rumor that
    /// missed somebody is made up for at the next ping between the two.
    pub(super) fn correction(&self, header: &Header) -> Option<Claim> {
        let about = header.from;
        let Some(member) = self.members.get(&about) else {
            let last = self.forgotten.get(&about).filter(|last| **last >= header.incarnation);
            let Some(incarnation) = last.copied() else { return Some(Claim::Stranger { about }) };
            // Whom the layout dropped has to contradict before it is taken for a member again.
            let (state, accusers) = (State::Left, Accusers::default());
            return Some(Claim::Verdict { about, incarnation, state, accusers });
        };
        match member.incarnation.cmp(&header.incarnation) {
            _ if !member.met => Some(Claim::Stranger { about }),
            Ordering::Greater => self.record(about),
            Ordering::Equal if member.identity.address != header.address => self.record(about),
            Ordering::Equal if member.state != State::Alive => self.verdict(about),
            Ordering::Equal if member.facts_version == header.version => None,
            Ordering::Equal => self.facts(about),
            Ordering::Less => self.verdict(about),
        }
    }

    /// Where to answer. A member known where it says it is gets its answer there; anybody else at the
    /// source of the question, so nobody can have answers sent to a third party.
    pub(super) fn answer_address(&self, from: SocketAddr, header: &Header) -> SocketAddr {
        let known = self.members.get(&header.from).map(|m| m.identity.address);
        if known == Some(header.address) { header.address } else { from }
    }

    /// Everything that we know, for one exchange over TCP.
    pub(super) fn whole_state(&self, message: Message, first: Option<Claim>) -> Vec<u8> {
        let mut packet = wire::open(&self.header(), message);
        let met = self.members.values().filter(|member| member.met);
        let records = met.filter_map(|member| self.record(member.identity.id));
        for claim in first.into_iter().chain(records) {
            packet.extend(wire::encode(&claim));
        }
        wire::seal(packet)
    }

    /// Begins an exchange of states.
    pub(super) fn push_pull_with(&mut self, to: SocketAddr) {
        self.counters.push_pulls += 1;
        let bytes = self.whole_state(Message::Pull, None);
        self.outputs.push_back(Output::PushPull { to, bytes });
    }
}
