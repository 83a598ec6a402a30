//! Getting in: what a node does that the agreement does not name, and what a member does with it.
//!
//! ```text
//!   n4 ── Join(id, lineage, name) ──► n1 ── proposal: value i+1 names n4 ──► majority of i
//!   n4 ◄───────────────── Agreement(i+1) ──┘            (n4 asks again and again until it sees itself)
//! ```
//!
//! - A node that nobody answers waits. It never founds a cluster of its own.
//! - A name that is not known joins. A member's name with another lineage takes over that member's id: its
//!   disk was wiped, or its data are set aside. But not while the member's present life is alive elsewhere.
//! - Who is in already, and has not heard of it, is told by any member: nothing has to be agreed on for that.
//! - That it asked is on disk before anybody hears it: a directory that may be part of a cluster by now
//!   never founds another.

use super::Topology;
use super::intent::Intent;
use super::status::ELSEWHERE;
use crate::id::{Lineage, NodeId};
use crate::message::Header;
use crate::message::peer::{Control, Joiner};
use crate::node::{Outbox, Release};
use crate::swim::MAX_LABEL;
use crate::time::{Duration, Instant, Now};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How long after the first attempt to get in the second one follows; doubled each time.
const RETRY: Duration = Duration::from_millis(200);
/// The longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// How many nodes that asked are remembered; more are told to ask again.
const WAITING_LIMIT: usize = 64;

/// The joiner's side, and the joiners at this member.
#[derive(Default)]
pub(super) struct Join {
    /// When to ask next.
    at: Instant,
    attempts: u32,
    /// What the last member said that refused, in answer to this attempt or the one before.
    refused: Option<String>,
    /// In answer to this one.
    is_answered: bool,
    /// Who asked here, by name: to be told when it is in.
    waiting: BTreeMap<String, Joiner>,
}

impl Topology {
    /// Whether this node still has to be let in, with the lineage it has.
    pub(super) fn wants_in(&self) -> bool {
        self.aside.is_none() && !self.identity.admitted
    }

    pub(super) fn join_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        if !self.wants_in() || now.instant < self.join.at {
            return;
        }
        let pause = RETRY.saturating_mul(1 << self.join.attempts.min(8)).min(RETRY_MAX);
        self.join.attempts += 1;
        self.join.at = now.instant + jittered(pause, &mut self.rng);
        if !std::mem::take(&mut self.join.is_answered) {
            self.join.refused = None;
        }
        let addresses = self.known_addresses();
        if addresses.is_empty() {
            return;
        }
        if !self.identity.asked {
            self.identity.asked = true;
            outbox.persist(self.identity.put());
        }
        let joiner = self.as_joiner();
        for to in addresses {
            let message = Control::Join(joiner.clone());
            outbox.when_durable(Release::Control { to, request: 0, message });
        }
    }

    /// This node, as it asks to be let in.
    pub(super) fn as_joiner(&self) -> Joiner {
        Joiner {
            id: self.identity.id,
            lineage: self.identity.lineage,
            name: self.identity.name.clone(),
            zone: self.config.zone.clone(),
            weight: self.config.weight,
            address: self.config.address,
            spare: self.config.spare,
        }
    }

    pub(super) fn poll_join_timeout(&self) -> Option<Instant> {
        (self.wants_in() && !self.known_addresses().is_empty()).then_some(self.join.at)
    }

    /// Why this node is not in yet, for people.
    pub(super) fn waiting_reason(&self) -> String {
        let addresses = self.known_addresses();
        match &self.join.refused {
            Some(why) => format!("not let in: {why}"),
            None if addresses.is_empty() => {
                "part of no cluster: found one with --bootstrap, or name members with --join".into()
            }
            None => format!("waiting to be let in by {}; {ELSEWHERE}", list(&addresses)),
        }
    }

    pub(super) fn handle_join_refused(&mut self, why: String) {
        if self.wants_in() {
            self.join.refused = Some(why.chars().take(200).collect());
            self.join.is_answered = true;
        }
    }

    /// A node asks to be let in.
    pub(super) fn handle_join(
        &mut self,
        now: Now,
        header: &Header,
        joiner: Joiner,
        outbox: &mut Outbox,
    ) {
        if !is_sound(&joiner) || header.lineage != joiner.lineage {
            return self.reject("junk");
        }
        self.hear_of_lost_memory(now, &joiner, outbox);
        let to = joiner.address;
        match self.admission(header, &joiner) {
            Admission::In => self.tell_agreement(to, header.request, outbox),
            Admission::Refused(why) => {
                outbox.send_control(to, header.request, &Control::JoinRefused(why));
            }
            Admission::Wanted(intent) => {
                let known = self.join.waiting.contains_key(&joiner.name);
                if !known && self.join.waiting.len() >= WAITING_LIMIT {
                    let why = "too many nodes are joining; this one will ask again".into();
                    outbox.send_control(to, header.request, &Control::JoinRefused(why));
                    return;
                }
                self.join.waiting.insert(joiner.name.clone(), joiner);
                self.wish(now, intent, None, outbox);
            }
        }
    }

    /// A member comes back empty: what its earlier life saw of us is gone for good, so waiting for it would
    /// be waiting for ever, and a cluster that was stopped with one disk lost would never start again.
    /// That it lost its memory is its answer. (That we are an old copy at the same time is a second loss,
    /// more than a majority of three can bear in any case.)
    fn hear_of_lost_memory(&mut self, now: Now, joiner: &Joiner, outbox: &mut Outbox) {
        let Some(member) =
            self.installed.as_ref().and_then(|a| a.layout.member_named(&joiner.name))
        else {
            return;
        };
        let (id, lineage) = (member.id, member.lineage);
        if lineage == joiner.lineage || self.lives_elsewhere(id, lineage, joiner).is_some() {
            return;
        }
        let known = self.is_admitted() && self.others.contains(&id);
        if known && self.witness.answer(id, &self.others) {
            self.passed_witness(now, outbox);
        }
    }

    /// Where the agreed life of a member is alive, if that is not where this joiner listens: a process that
    /// listens there is proof enough that the old one is gone.
    fn lives_elsewhere(&self, id: NodeId, lineage: Lineage, joiner: &Joiner) -> Option<SocketAddr> {
        let life = self.swim.as_ref()?.member(id)?;
        let address = life.identity.address;
        let alive = life.state.is_live() && life.identity.lineage == lineage;
        (alive && address != joiner.address).then_some(address)
    }

    /// May it come in?
    fn admission(&self, header: &Header, joiner: &Joiner) -> Admission {
        let Some(agreement) = self.installed.as_ref().filter(|_| self.is_admitted()) else {
            return self.cannot_admit();
        };
        if header.cluster.0 != 0 && header.cluster != agreement.layout.cluster {
            return Admission::Refused("its directory belongs to another cluster".into());
        }
        let member = agreement.layout.member_named(&joiner.name);
        // Before our own check is passed, too: it may be this one's answer that the check waits for.
        if member.is_some_and(|member| member.lineage == joiner.lineage) {
            return Admission::In;
        }
        if !self.may_vote() {
            return self.cannot_admit();
        }
        let Some(member) = member else {
            return Admission::Wanted(Intent::Admit { joiner: joiner.clone(), replaces: None });
        };
        match self.lives_elsewhere(member.id, member.lineage, joiner) {
            Some(address) => Admission::Refused(format!(
                "name {} is in use by a live node at {address}: stop that one or choose another name",
                joiner.name
            )),
            None => Admission::Wanted(Intent::Admit {
                joiner: joiner.clone(),
                replaces: Some(member.lineage),
            }),
        }
    }

    fn cannot_admit(&self) -> Admission {
        let why = match self.wants_in() {
            true => "it waits to be let in itself".into(),
            false => self.obstacle().unwrap_or_else(|| {
                "waiting for more members to say how far they have seen it".into()
            }),
        };
        Admission::Refused(format!("{} cannot let anybody in yet: {why}", self.identity.name))
    }

    /// Why somebody may not be let in after all: the present life of its name may have come alive.
    pub(super) fn objection_to(&self, joiner: &Joiner) -> Option<String> {
        let header = Header::new(crate::message::Kind::Control);
        match self.admission(&header, joiner) {
            Admission::Refused(why) => Some(why),
            Admission::In | Admission::Wanted(_) => None,
        }
    }

    /// Somebody who asked here is in: it hears so from here, and its address is known.
    pub(super) fn welcome(&mut self, outbox: &mut Outbox) {
        let Some(agreement) = self.installed.clone() else { return };
        let waiting = std::mem::take(&mut self.join.waiting);
        for (name, joiner) in waiting {
            match agreement.layout.member_named(&name) {
                Some(member) if member.lineage == joiner.lineage => {
                    let (id, lineage) = (member.id, member.lineage);
                    // It may have asked long ago and moved since: what it gossips of itself is newer.
                    let life = self.swim.as_ref().and_then(|swim| swim.member(id));
                    if life.is_none_or(|life| life.identity.lineage != lineage) {
                        self.note_address(id, joiner.address);
                    }
                    self.tell_agreement(joiner.address, 0, outbox);
                }
                _ => {
                    self.join.waiting.insert(name, joiner);
                }
            }
        }
    }

    /// A wish to let somebody in came to nothing: it hears why.
    pub(super) fn turn_away(&mut self, joiner: &Joiner, why: String, outbox: &mut Outbox) {
        self.join.waiting.remove(&joiner.name);
        outbox.send_control(joiner.address, 0, &Control::JoinRefused(why));
    }

    /// Everywhere that another node may listen: the configuration's addresses and those remembered.
    pub(super) fn known_addresses(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> =
            self.config.join.iter().chain(self.book.values()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|address| *address != self.config.address);
        all
    }
}

enum Admission {
    In,
    Refused(String),
    Wanted(Intent),
}

/// Whether this could be an honest node: everything that others will have to carry is bounded.
fn is_sound(joiner: &Joiner) -> bool {
    let label = |s: &str| s.len() <= MAX_LABEL && !s.chars().any(char::is_control);
    joiner.id.0 != 0
        && joiner.lineage.0 != 0
        && !joiner.name.is_empty()
        && label(&joiner.name)
        && label(&joiner.zone)
        && joiner.weight > 0
        && !joiner.address.ip().is_unspecified()
        && joiner.address.port() != 0
}

fn list(addresses: &[SocketAddr]) -> String {
    let words: Vec<String> = addresses.iter().take(5).map(ToString::to_string).collect();
    words.join(", ")
}

/// Somewhere between half and the whole of a pause, so that nodes which collided once do not again.
fn jittered(pause: Duration, rng: &mut fastrand::Rng) -> Duration {
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX).max(2);
    Duration::from_micros(rng.u64(micros / 2..=micros))
}
