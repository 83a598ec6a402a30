//! Who is in the cluster, who is alive, and who this node is: one machine beside the shard.
//!
//! ```text
//!              ┌ identity   what the directory says: name, id, lineage
//!              ├ join       getting in; letting in
//!  Topology ───┼ chain      the agreed values: acceptor, proposer, intents (register/)
//!              ├ conduct    what the next step of a change of owners is, and when
//!              ├ overdue    who has been dead for so long that others take its places
//!              ├ survivors  a majority is gone for ever: an operator founds the cluster anew
//!              ├ install    chosen → durable → lived by ──────────────► View
//!              ├ witness    how far was everybody seen? am I behind?
//!              ├ claims     what this node says of how far it has come
//!              └ gossip     SWIM's datagrams and states (swim/), in their envelope
//! ```
//!
//! - The layout is agreed, never gossiped: value i+1 is chosen by a majority of the members of value i, each
//!   counted as (id, lineage). SWIM's opinion changes nothing but whom to ask first.
//! - What must not be seen before it is durable waits in the outbox.
//! - A directory that is behind, or of an earlier life, is set aside; this machine then falls silent.

mod acceptor;
mod chain;
mod claims;
mod conduct;
mod control;
mod envelope;
mod gossip;
mod identity;
mod install;
mod intent;
mod join;
mod open;
mod overdue;
mod status;
mod survivors;
#[cfg(test)]
mod tests;
mod witness;

pub use gossip::{Standing, flags};
pub use identity::OpenError;
pub(super) use identity::own_record;
pub use status::MemberStatus;

use crate::error::Error;
use crate::id::{Lineage, NodeId};
use crate::message::Header;
use crate::node::{Config, Outbox, Peer, Stamp, View};
use crate::register::Ballot;
use crate::ring::Agreement;
use crate::store::{CommitNumber, Store};
use crate::swim::Swim;
use crate::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// How often it is looked whether somebody gossips of a newer agreement than ours, and whether a member has not
/// been met.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a dead node that is no member any more is still told of: so that everybody hears of its end.
const STRANGERS_KEPT: Duration = Duration::from_secs(300);

/// A request to change what is agreed, until its outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What waits for the store under a ticket of [`Release::Installed`](crate::node::Release::Installed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    /// A value of the chain.
    Install,
    /// What this node says of itself.
    Claim(claims::Claim),
    /// Our own acceptor's promise to our own proposal.
    Promised(Ballot),
    /// Our own acceptor's acceptance of it.
    Accepted(Ballot),
}

/// See the module's picture.
pub struct Topology {
    config: Config,
    rng: fastrand::Rng,
    identity: identity::Identity,
    claims: claims::Claims,
    installed: Option<Arc<Agreement>>,
    /// The other members that it names and that have a say.
    others: BTreeSet<NodeId>,
    learned: Option<install::Learned>,
    fetch: install::Fetch,
    chain: chain::Chain,
    join: join::Join,
    witness: witness::Witness,
    swim: Option<Swim>,
    look_at: Instant,
    standing: Standing,
    /// In which epoch each member last said that nothing lies on it where it has no place.
    settled: BTreeMap<NodeId, u64>,
    conduct: conduct::Conduct,
    /// Where members listen, as far as anybody told.
    book: BTreeMap<NodeId, SocketAddr>,
    book_changed: bool,
    /// Why this directory is being set aside.
    aside: Option<String>,
    /// Who waits for this node to go on with the other survivors.
    surviving: Vec<Ticket>,
    /// Others have gone on as another cluster, without this node.
    overruled: bool,
    view_changed: bool,
    tickets: u64,
    pending: BTreeMap<u64, Pending>,
    outcomes: VecDeque<(Ticket, Result<(), Error>)>,
    rejected: BTreeMap<&'static str, u64>,
}

impl Topology {
    /// What every frame of this node says of its sender, given what is durable now: see `claims`.
    pub fn stamp(&self, durable: CommitNumber) -> Stamp {
        let (commit, trial) = self.claims.told(durable.0);
        Stamp {
            cluster: self.installed.as_ref().map(|a| a.layout.cluster).unwrap_or_default(),
            epoch: self.installed.as_ref().map(|a| a.layout.epoch).unwrap_or_default(),
            sender: self.identity.id,
            lineage: self.identity.lineage,
            commit,
            trial,
        }
    }

    /// Takes note of what a frame from another node says of its sender. Cheap: call it for every frame
    /// that carries a sender, before anything else is done with it.
    pub fn observe(&mut self, header: &Header) {
        let Some(agreement) = &self.installed else { return };
        if header.cluster != agreement.layout.cluster || header.sender == self.identity.id {
            return;
        }
        if header.epoch > agreement.layout.epoch {
            self.fetch.want(header.sender);
        }
        if self.lineage_of(header.sender) == Some(header.lineage) {
            self.witness.observe(header.sender, header.lineage, header.commit, header.trial);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, _store: &dyn Store, outbox: &mut Outbox) {
        if self.aside.is_some() {
            return;
        }
        self.join_timeout(now, outbox);
        self.install_timeout(now, outbox);
        self.chain_timeout(now, outbox);
        self.witness_timeout(now, outbox);
        self.swim_timeout(now, outbox);
        if now.instant >= self.look_at {
            self.look_at = now.instant + LOOK_INTERVAL;
            self.look_for_newer();
            self.look_for_unmet(now.instant);
            self.forget_strangers(now.instant);
            self.conduct(now, outbox);
        }
        self.persist_book(outbox);
        self.flush_fetch(now, outbox);
    }

    /// When [`handle_timeout`](Topology::handle_timeout) is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.aside.is_some() {
            return None;
        }
        let timers = [
            self.poll_join_timeout(),
            self.poll_install_timeout(),
            self.poll_chain_timeout(),
            self.poll_witness_timeout(),
            self.swim.as_ref().and_then(Swim::poll_timeout),
            self.fetch.poll_timeout(),
            self.swim.is_some().then_some(self.look_at),
            self.book_changed.then_some(Instant::default()),
        ];
        timers.into_iter().flatten().min()
    }

    /// A [`Release::Installed`](crate::node::Release::Installed) came due: what it stands for is durable.
    pub fn released(&mut self, now: Now, ticket: u64, outbox: &mut Outbox) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        if self.aside.is_some() {
            return;
        }
        match pending {
            Pending::Install => self.install(now, ticket, outbox),
            Pending::Claim(claim) => self.claims.kept(claim),
            Pending::Promised(ballot) => self.self_promised(now, ballot, outbox),
            Pending::Accepted(ballot) => self.self_accepted(now, ballot, outbox),
        }
    }

    /// There is a batch: what this node says of itself goes first, if an earlier one with it was refused.
    pub fn joins_batch(&mut self, outbox: &mut Outbox) {
        if outbox.changes() > 0 && self.aside.is_none() {
            self.stage_claim(outbox);
        }
    }

    /// The batch of this turn was refused.
    pub fn commit_failed(&mut self) {
        self.pending.retain(|_, pending| !matches!(pending, Pending::Claim(_)));
        self.claims.refused();
        self.witness.refused();
    }

    /// How a ticket ended.
    pub fn poll_outcome(&mut self) -> Option<(Ticket, Result<(), Error>)> {
        self.outcomes.pop_front()
    }

    /// What the data path should know, when it changed since it was last taken. None before this node has
    /// installed a first agreement.
    ///
    /// A suspect counts as alive: it is still asked, for most suspicions are wrong, and the data path has
    /// timeouts and breakers of its own. So does a member that nobody has heard of yet in this run: a node
    /// that has just started asks rather than gives up.
    pub fn take_view(&mut self) -> Option<View> {
        let agreement = self.installed.clone()?;
        if !std::mem::take(&mut self.view_changed) {
            return None;
        }
        let peers = agreement
            .layout
            .members
            .iter()
            .filter(|member| member.id != self.identity.id)
            .map(|member| {
                let life = self.swim.as_ref().and_then(|swim| swim.member(member.id));
                let peer = Peer {
                    name: member.name.clone(),
                    address: self.address(member.id),
                    alive: life.is_none_or(|life| life.state.is_live())
                        && !agreement.layout.ghosts.contains(&member.id),
                    settled: self.settled.get(&member.id) == Some(&agreement.layout.epoch.0),
                };
                (member.id, peer)
            })
            .collect();
        Some(View {
            me: self.identity.id,
            lineage: self.identity.lineage,
            name: self.identity.name.clone(),
            peers,
            witnessed: self.witness.passed(),
            counts: self.witness.counts(),
            admitted: self.is_admitted(),
            agreement,
        })
    }

    /// Whether the agreement names this node with the lineage it has.
    fn is_admitted(&self) -> bool {
        self.aside.is_none()
            && !self.overruled
            && self.lineage_of(self.identity.id) == Some(self.identity.lineage)
    }

    /// This lineage was once a member's, and another life of the node is now.
    fn is_old_life(&self) -> bool {
        self.identity.admitted
            && self.installed.is_some()
            && self.lineage_of(self.identity.id) != Some(self.identity.lineage)
            && !self.is_dismissed()
    }

    /// This node was a member once, and nobody is in its place: it has left, or was removed. It takes no part, and
    /// comes in again only when somebody starts it afresh.
    pub fn is_dismissed(&self) -> bool {
        let Some(agreement) = &self.installed else { return false };
        let layout = &agreement.layout;
        self.identity.admitted
            && layout.member(self.identity.id).is_none()
            && layout.member_named(&self.identity.name).is_none()
    }

    /// Whether this node may promise and propose.
    fn may_vote(&self) -> bool {
        self.is_admitted() && self.witness.passed()
    }

    /// The lineage under which the agreement names a node.
    fn lineage_of(&self, node: NodeId) -> Option<Lineage> {
        self.installed.as_ref()?.layout.member(node).map(|member| member.lineage)
    }

    /// Takes note of the other members that have a say, whenever an agreement is installed.
    fn note_others(&mut self) {
        let voters = self.installed.iter().flat_map(|agreement| agreement.voters());
        self.others = voters.filter(|id| *id != self.identity.id).collect();
    }

    fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.book.get(&node).copied()
    }

    /// Stops taking part, once and for all in this run.
    fn set_aside(&mut self, why: String, outbox: &mut Outbox) {
        if self.aside.is_some() {
            return;
        }
        outbox.set_aside(why.clone(), self.known_addresses());
        self.aside = Some(why);
        self.view_changed = true;
    }

    fn ticket(&mut self, pending: Pending) -> u64 {
        self.tickets += 1;
        self.pending.insert(self.tickets, pending);
        self.tickets
    }

    fn reject(&mut self, reason: &'static str) {
        *self.rejected.entry(reason).or_default() += 1;
    }

    /// Who is no member, and has been dead or gone for long, is heard of no more.
    fn forget_strangers(&mut self, now: Instant) {
        let (Some(swim), Some(agreement)) = (&mut self.swim, &self.installed) else { return };
        let layout = &agreement.layout;
        let is_over = |member: &&crate::swim::Member| {
            !member.state.is_live()
                && now.since(member.since) >= STRANGERS_KEPT
                && layout.member(member.identity.id).is_none()
        };
        let over: Vec<NodeId> = swim.members().filter(is_over).map(|m| m.identity.id).collect();
        over.into_iter().for_each(|node| swim.forget(node));
        self.settled.retain(|node, _| layout.member(*node).is_some());
    }

    fn look_for_newer(&mut self) {
        let newest = self.newest_index();
        let members = self.swim.iter().flat_map(Swim::members);
        for member in members.filter(|member| member.facts.agreement > newest) {
            self.fetch.want(member.identity.id);
        }
    }
}
