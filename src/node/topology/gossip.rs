//! The membership machine's words, carried: datagrams in their envelope, whole states in control frames.
//!
//! Its opinion is never a reason to change the layout: it says whom to ask first, where everybody listens,
//! and that somebody knows a newer agreement.

use super::envelope::{self, DATAGRAM_BYTES, ENVELOPE_BYTES};
use super::{Topology, identity};
use crate::id::{ClusterId, NodeId};
use crate::message::peer::Control;
use crate::node::Outbox;
use crate::swim::{self, Incarnation, Output, State, Swim};
use crate::time::{Instant, Now};
use bytes::Bytes;
use std::net::SocketAddr;

/// The bits of the facts that a node gossips about itself.
pub mod flags {
    /// It takes requests.
    pub const READY: u32 = 1;
    /// Some of its slots are not complete.
    pub const REBUILDING: u32 = 2;
}

/// How far this node's data are, as everybody may know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// See [`flags`].
    pub flags: u32,
    /// The epoch up to which it has all that it is to own; 0: it lacks something.
    pub complete: u64,
    /// The epoch up to which nothing lies here that others own; 0: something does.
    pub clean: u64,
    /// How many slots are still to be copied.
    pub moving: u32,
    /// The epoch in which it has found nothing here where this node has no place; 0: not yet.
    pub settled: u64,
}

impl Topology {
    /// Takes a gossip datagram. What is not of this cluster, this version and this protocol is counted
    /// and dropped without an answer.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(agreement) = &self.installed else { return self.reject("no_cluster") };
        let packet = match envelope::unseal(agreement.layout.cluster, bytes) {
            Ok(packet) => packet,
            Err(reason) => return self.reject(reason),
        };
        if let Some(swim) = &mut self.swim {
            swim.handle_datagram(now.instant, from, packet);
        }
        self.pump(now, outbox);
    }

    /// Says goodbye: the others see `left`, not `dead`. The layout stays: this node keeps its slots, and
    /// is back when it starts again.
    pub fn leave(&mut self, now: Now, outbox: &mut Outbox) {
        if let Some(swim) = &mut self.swim {
            swim.leave(now.instant);
        }
        self.pump(now, outbox);
    }

    /// Whether the goodbye has been told as often as it ever is, or there is nobody to tell.
    pub fn has_left(&self) -> bool {
        let alone = self.swim.as_ref().is_none_or(|swim| swim.members().count() <= 1);
        alone || self.swim.as_ref().is_some_and(Swim::has_left)
    }

    /// What this node says of itself to everybody.
    pub fn set_standing(&mut self, standing: Standing) {
        self.standing = standing;
    }

    pub(super) fn own_facts(&self, durable: u64) -> swim::Facts {
        let Standing { flags, complete, clean, moving, settled } = self.standing;
        let agreement = self.index();
        swim::Facts { agreement, durable, flags, complete, clean, moving, settled }
    }

    /// Begins to gossip, once this node is a member.
    pub(super) fn start_swim(&mut self, now: Instant, outbox: &mut Outbox) {
        let config =
            swim::Config { max_packet: DATAGRAM_BYTES - ENVELOPE_BYTES, ..swim::Config::default() };
        // Above everything that an earlier run said of itself, so that a new address is believed.
        self.identity.incarnation += 1;
        outbox.persist(self.identity.put());
        let mut swim = Swim::new(
            config,
            self.swim_identity(),
            Incarnation(self.identity.incarnation),
            self.rng.fork(),
            now,
        );
        swim.join(now, &self.known_addresses());
        self.swim = Some(swim);
    }

    pub(super) fn swim_identity(&self) -> swim::Identity {
        swim::Identity {
            id: self.identity.id,
            lineage: self.identity.lineage,
            name: self.identity.name.clone(),
            zone: self.config.zone.clone(),
            address: self.config.address,
            http: self.config.http,
        }
    }

    pub(super) fn handle_push_pull(
        &mut self,
        now: Now,
        from: NodeId,
        state: &[u8],
        outbox: &mut Outbox,
    ) {
        let answer = self.swim.as_mut().and_then(|swim| swim.handle_push_pull(now.instant, state));
        // First what the state said, so that the sender's address is known.
        self.pump(now, outbox);
        if let Some((answer, to)) = answer.zip(self.address(from)) {
            outbox.send_control(to, 0, &Control::PushPullReply(answer.into()));
        }
    }

    pub(super) fn swim_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        let facts = self.own_facts(self.claims.sure(outbox.stamp().commit));
        if let Some(swim) = &mut self.swim {
            swim.set_facts(now.instant, facts);
            if swim.poll_timeout().is_some_and(|at| at <= now.instant) {
                swim.handle_timeout(now.instant);
            }
        }
        self.pump(now, outbox);
    }

    /// Carries out what the membership machine wants, and takes in what it learned.
    pub(super) fn pump(&mut self, now: Now, outbox: &mut Outbox) {
        let cluster = self.installed.as_ref().map_or(ClusterId(0), |a| a.layout.cluster);
        while let Some(output) = self.swim.as_mut().and_then(Swim::poll_output) {
            match output {
                Output::Datagram { to, bytes } => {
                    outbox.send_datagram(to, envelope::seal(cluster, &bytes));
                }
                Output::PushPull { to, bytes } => {
                    outbox.send_control(to, 0, &Control::PushPull(Bytes::from(bytes)));
                }
                Output::Changed { member, to, .. } => {
                    self.view_changed = true;
                    self.note_member(member);
                    if to == State::Alive {
                        self.note_facts(member);
                    }
                }
                Output::IdentityChanged { member, .. } => {
                    self.view_changed = true;
                    self.note_member(member);
                }
                Output::FactsChanged { member } => self.note_facts(member),
                Output::Refuted { incarnation } => {
                    self.identity.incarnation = incarnation.0;
                    outbox.persist(self.identity.put());
                }
            }
        }
        self.flush_fetch(now, outbox);
    }

    /// Makes SWIM look for members of the agreement that it has not met, where the book knows their address.
    pub(super) fn look_for_unmet(&mut self, now: Instant) {
        let (Some(agreement), Some(swim)) = (&self.installed, &mut self.swim) else { return };
        for member in &agreement.layout.members {
            if swim.member(member.id).is_none()
                && let Some(address) = self.book.get(&member.id)
            {
                let (id, lineage, address) = (member.id, member.lineage, *address);
                let (name, zone) = (member.name.clone(), member.zone.clone());
                swim.introduce(
                    now,
                    swim::Identity { id, lineage, name, zone, address, http: None },
                );
            }
        }
    }

    fn note_member(&mut self, node: NodeId) {
        let Some(member) = self.swim.as_ref().and_then(|swim| swim.member(node)) else { return };
        let address = member.identity.address;
        if node != self.identity.id {
            self.note_address(node, address);
        }
    }

    fn note_facts(&mut self, node: NodeId) {
        let Some(member) = self.swim.as_ref().and_then(|swim| swim.member(node)) else { return };
        let (lineage, facts) = (member.identity.lineage, member.facts);
        if node == self.identity.id {
            return;
        }
        if self.lineage_of(node) == Some(lineage) {
            self.witness.raise(node, lineage, facts.durable);
            let settled = self.settled.entry(node).or_default();
            // True for good in that epoch, whatever it says when it has just begun again.
            if facts.settled > *settled {
                *settled = facts.settled;
                self.view_changed = true;
            }
        }
        if facts.agreement > self.newest_index() {
            self.fetch.want(node);
        }
    }

    /// Remembers where a member listens, here and on disk.
    pub(super) fn note_address(&mut self, node: NodeId, address: SocketAddr) {
        if self.book.insert(node, address) != Some(address) {
            self.book_changed = true;
            self.view_changed = true;
        }
    }

    pub(super) fn persist_book(&mut self, outbox: &mut Outbox) {
        if std::mem::take(&mut self.book_changed) {
            outbox.persist(identity::put("addresses", &self.book.iter().collect::<Vec<_>>()));
        }
    }
}
