//! Learning a chosen value: checked, made durable, and only then lived by.
//!
//! ```text
//!   chosen / received ──► learned: in this turn's batch ──durable──► installed: View, facts, next proposal
//! ```
//!
//! - The index only grows. Nothing is told to anybody before it is durable here.
//! - What this node saw of the others goes into the same batch: whoever answered in the round that chose
//!   the value can be held to it after a restart.

use super::identity::{self, Identity};
use super::{Pending, Topology};
use crate::id::NodeId;
use crate::message::Header;
use crate::message::peer::Control;
use crate::node::{Outbox, Release};
use crate::ring::Agreement;
use crate::time::{Duration, Instant, Now};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// How long after it was handed to the store a value is handed over again: the batch may have failed for
/// want of room.
const PERSIST_AGAIN: Duration = Duration::from_secs(5);
/// How often one member is asked for a newer agreement.
const FETCH_INTERVAL: Duration = Duration::from_millis(200);

/// A value on its way to the disk.
pub(super) struct Learned {
    pub agreement: Arc<Agreement>,
    /// Who this node is under it.
    identity: Identity,
    ticket: u64,
    since: Instant,
}

/// Members that know a newer agreement.
#[derive(Default)]
pub(super) struct Fetch {
    wanted: BTreeMap<NodeId, Option<Instant>>,
}

impl Fetch {
    /// This member knows a newer one.
    pub fn want(&mut self, node: NodeId) {
        self.wanted.entry(node).or_default();
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let due =
            |asked: &Option<Instant>| asked.map_or(Instant::default(), |at| at + FETCH_INTERVAL);
        self.wanted.values().map(due).min()
    }
}

impl Topology {
    /// The index of what is installed; 0: there is none, or it is the first.
    pub(super) fn index(&self) -> u64 {
        self.installed.as_ref().map_or(0, |agreement| agreement.index)
    }

    /// What is installed, or will be when the disk has it.
    fn newest(&self) -> Option<&Arc<Agreement>> {
        self.learned.as_ref().map(|learned| &learned.agreement).or(self.installed.as_ref())
    }

    /// Its index; 0: there is none, or it is the first.
    pub(super) fn newest_index(&self) -> u64 {
        self.newest().map_or(0, |agreement| agreement.index)
    }

    /// Takes in an encoded value that somebody says was chosen.
    pub(super) fn receive(&mut self, now: Now, bytes: &[u8], outbox: &mut Outbox) {
        let Ok(agreement) = Agreement::decode(bytes) else { return self.reject("agreement") };
        if self.aside.is_some() {
            return;
        }
        match &self.installed {
            // Two values of one index would be a fork: the one thing that the chain excludes.
            Some(installed) if installed.index == agreement.index && **installed != agreement => {
                return self.reject("forked");
            }
            Some(installed) if installed.is_superseded_by(&agreement).is_err() => {
                self.judge_successor(&agreement);
                return self.reject("cluster");
            }
            // Whoever is in no cluster believes one that names this very life of it, and no other.
            None if !self.names_me(&agreement) => return self.reject("uninvited"),
            _ => {}
        }
        self.learn(now, Arc::new(agreement), outbox);
    }

    fn names_me(&self, agreement: &Agreement) -> bool {
        agreement
            .layout
            .member_named(&self.identity.name)
            .is_some_and(|member| member.lineage == self.identity.lineage)
    }

    /// Hands a chosen value to the store, if it is newer than what is known.
    pub(super) fn learn(&mut self, now: Now, agreement: Arc<Agreement>, outbox: &mut Outbox) {
        if self.newest().is_some_and(|newest| agreement.index <= newest.index) {
            return;
        }
        let mut identity = self.identity.clone();
        if let Some(member) = agreement.layout.member_named(&identity.name)
            && member.lineage == identity.lineage
        {
            // A newcomer under a member's name takes over that member's id.
            identity.id = member.id;
            identity.admitted = true;
        }
        self.persist_learned(now, agreement, identity, outbox);
    }

    fn persist_learned(
        &mut self,
        now: Now,
        agreement: Arc<Agreement>,
        identity: Identity,
        outbox: &mut Outbox,
    ) {
        outbox.persist(identity.put());
        outbox.persist(identity::put("agreement", &Bytes::from(agreement.encode())));
        let witnesses = self.witness.persist(now.instant);
        outbox.persist(witnesses);
        self.chain.seat.learn(agreement.index);
        outbox.persist(self.chain.seat.put());
        let ticket = self.ticket(Pending::Install);
        outbox.when_durable(Release::Installed { ticket });
        self.learned = Some(Learned { agreement, identity, ticket, since: now.instant });
    }

    /// What was learned is durable.
    pub(super) fn install(&mut self, now: Now, ticket: u64, outbox: &mut Outbox) {
        let Some(learned) = self.learned.take_if(|learned| learned.ticket == ticket) else {
            return;
        };
        self.identity.id = learned.identity.id;
        self.identity.admitted = learned.identity.admitted;
        self.installed = Some(learned.agreement);
        self.chain.forget_ballots();
        self.note_others();
        self.view_changed = true;
        self.fetch.wanted.clear();
        if self.is_old_life() {
            let why =
                "the cluster has admitted another life of this node: this directory is an old one";
            return self.set_aside(why.into(), outbox);
        }
        if self.is_dismissed() {
            self.leave(now, outbox);
            return;
        }
        let survived = std::mem::take(&mut self.surviving).into_iter();
        self.outcomes.extend(survived.map(|ticket| (ticket, Ok(()))));
        self.judge_witness(now, outbox);
        self.welcome(outbox);
        if self.swim.is_none() && self.is_admitted() {
            self.start_swim(now.instant, outbox);
        }
        self.advance_chain(now, outbox);
        self.pump(now, outbox);
    }

    pub(super) fn install_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        let late = |learned: &mut Learned| now.instant.since(learned.since) >= PERSIST_AGAIN;
        if let Some(Learned { agreement, identity, .. }) = self.learned.take_if(late) {
            self.persist_learned(now, agreement, identity, outbox);
        }
    }

    pub(super) fn poll_install_timeout(&self) -> Option<Instant> {
        self.learned.as_ref().map(|learned| learned.since + PERSIST_AGAIN)
    }

    /// Tells every other member what was chosen.
    pub(super) fn spread(&mut self, outbox: &mut Outbox) {
        for node in self.others.clone() {
            self.send_agreement(node, outbox);
        }
    }

    /// Tells one node what was chosen, and where the members listen: one that hears only this, and from
    /// nobody ever again, still finds the others.
    pub(super) fn tell_agreement(&self, to: SocketAddr, request: u64, outbox: &mut Outbox) {
        let Some(agreement) = &self.installed else { return };
        let mut book: Vec<(NodeId, SocketAddr)> =
            self.others.iter().filter_map(|node| Some((*node, self.address(*node)?))).collect();
        book.push((self.identity.id, self.config.address));
        outbox.send_control(to, request, &Control::Agreement(agreement.encode().into()));
        outbox.send_control(to, request, &Control::Addresses(book));
    }

    /// Where members listen. What is known already, by gossip, is fresher.
    pub(super) fn receive_addresses(&mut self, header: &Header, book: Vec<(NodeId, SocketAddr)>) {
        let Some(newest) = self.newest().cloned() else { return };
        if newest.layout.cluster != header.cluster {
            return self.reject("cluster");
        }
        for (node, address) in book {
            let is_new = node != self.identity.id && !self.book.contains_key(&node);
            if is_new && address != self.config.address && newest.layout.member(node).is_some() {
                self.note_address(node, address);
            }
        }
    }

    /// Somebody asks for what is newer than `have`.
    pub(super) fn handle_fetch(&mut self, from: NodeId, have: u64, outbox: &mut Outbox) {
        if self.index() > have {
            self.send_agreement(from, outbox);
        }
    }

    pub(super) fn send_agreement(&mut self, to: NodeId, outbox: &mut Outbox) {
        if let Some(to) = self.address(to) {
            self.tell_agreement(to, 0, outbox);
        }
    }

    /// Asks those who know more.
    pub(super) fn flush_fetch(&mut self, now: Now, outbox: &mut Outbox) {
        let have = self.newest_index();
        let mut wanted = std::mem::take(&mut self.fetch.wanted);
        wanted.retain(|node, asked| {
            if asked.is_some_and(|at| now.instant.since(at) < FETCH_INTERVAL) {
                return true;
            }
            // Asked once more at most: whatever is still missing then shows in the next frame or fact.
            let again = asked.is_none();
            *asked = Some(now.instant);
            if let Some(to) = self.address(*node) {
                outbox.send_control(to, 0, &Control::FetchAgreement { have });
            }
            again
        });
        self.fetch.wanted = wanted;
    }
}
