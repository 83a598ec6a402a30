//! Who brings a change of owners to its end: any member, from facts that everybody gossips.
//!
//! ```text
//!   stable     a member without places is ready ──────────────────────► Rebalance
//!              who leaves has given everything away ──────────────────► Drop
//!   (a)        everybody who gains places has copied them ────────────► Advance to (b)
//!              one of them is dead, or none gets on ──────────────────► Abort
//!   (b)        enough old owners live by (b): no quorum still reads old ► Advance, stable
//! ```
//!
//! The living member with the lowest id proposes; should two believe that they are, the chain lets one through
//! and the other finds its wish fulfilled. So no dead proposer stops anything. Facts only say *when*; whether a
//! value may follow another is judged by every acceptor (`ring/follows.rs`).

use super::Topology;
use super::gossip::flags;
use super::intent::Intent;
use crate::id::{Epoch, NodeId};
use crate::node::Outbox;
use crate::ring::{Agreement, Change, Goal, Transition, TransitionStep};
use crate::swim::Facts;
use crate::time::{Duration, Instant, Now};
use std::collections::BTreeSet;

/// How long one who is to copy may be dead before the change is taken back.
const DEAD: Duration = Duration::from_secs(60);
/// How long nothing may get on before it is.
const STALLED: Duration = Duration::from_secs(600);

/// What this node has seen of the change under way.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    since: Epoch,
    /// How many slots were still to be copied when that last became fewer, and when that was.
    left: u64,
    got_on: Instant,
    /// Since when somebody who is to copy has been dead.
    dead: Option<Instant>,
    /// The epoch in which a rebalance was last wished for: it is not wished for twice.
    rebalanced: Option<Epoch>,
}

impl Topology {
    /// Looks whether the next step of a change is due, and proposes it.
    pub(super) fn conduct(&mut self, now: Now, outbox: &mut Outbox) {
        let Some(agreement) = self.installed.clone().filter(|_| self.may_vote()) else { return };
        let change = match agreement.layout.transition.clone() {
            None => self.next_change(&agreement),
            Some(transition) => self.next_step(now.instant, &agreement, &transition),
        };
        if let Some(change) = change.filter(|_| self.is_first_alive(&agreement)) {
            if change == Change::Rebalance {
                self.conduct.rebalanced = Some(agreement.layout.epoch);
            }
            self.wish(now, Intent::Ring(change), None, outbox);
        }
    }

    fn is_first_alive(&self, agreement: &Agreement) -> bool {
        let members = agreement.layout.members.iter().map(|member| member.id);
        members.take_while(|id| *id < self.identity.id).all(|id| !self.is_live(id))
    }

    pub(super) fn is_live(&self, node: NodeId) -> bool {
        let member = self.swim.as_ref().and_then(|swim| swim.member(node));
        node == self.identity.id
            || member.is_some_and(|member| member.met && member.state.is_live())
    }

    /// What a member says of its present life.
    fn facts(&self, node: NodeId) -> Option<Facts> {
        if node == self.identity.id {
            return Some(self.own_facts(0));
        }
        let member = self.swim.as_ref()?.member(node)?;
        let current = Some(member.identity.lineage) == self.lineage_of(node);
        current.then_some(member.facts)
    }

    fn next_change(&self, agreement: &Agreement) -> Option<Change> {
        let layout = &agreement.layout;
        let is_clean = |id: &NodeId| self.facts(*id).is_some_and(|f| f.clean >= layout.epoch.0);
        if let Some(gone) = layout.leaving.iter().copied().find(is_clean) {
            return Some(Change::Drop(gone));
        }
        if agreement.buckets.buckets.is_empty() || self.conduct.rebalanced == Some(layout.epoch) {
            return None;
        }
        let is_new = |id: NodeId| {
            !layout.leaving.contains(&id)
                && !layout.held.contains(&id)
                && layout.partitions_owned(id, layout.replicas).next().is_none()
        };
        let is_ready = |id: NodeId| {
            self.is_live(id) && self.facts(id).is_some_and(|f| f.flags & flags::READY != 0)
        };
        let newcomers: Vec<NodeId> =
            layout.members.iter().map(|member| member.id).filter(|id| is_new(*id)).collect();
        let all_ready = newcomers.iter().all(|id| is_ready(*id));
        (all_ready && !newcomers.is_empty()).then_some(Change::Rebalance)
    }

    fn next_step(
        &mut self,
        now: Instant,
        agreement: &Agreement,
        transition: &Transition,
    ) -> Option<Change> {
        let since = transition.since;
        match transition.step {
            TransitionStep::Copying => {
                let lacking = self.lacking(agreement, since);
                if lacking.is_empty() {
                    return Some(Change::Advance { since, from: TransitionStep::Copying });
                }
                self.is_hopeless(now, since, &lacking).then_some(Change::Abort { since })
            }
            TransitionStep::Settling => self
                .is_settled(agreement, transition)
                .then_some(Change::Advance { since, from: TransitionStep::Settling }),
        }
    }

    /// Who gains places and has not copied them all.
    fn lacking(&self, agreement: &Agreement, since: Epoch) -> BTreeSet<NodeId> {
        let mut lacking = agreement.layout.gainers();
        let has = |id: &NodeId| self.facts(*id).is_some_and(|facts| facts.complete >= since.0);
        lacking.retain(|id| !has(id));
        lacking
    }

    fn is_hopeless(&mut self, now: Instant, since: Epoch, lacking: &BTreeSet<NodeId>) -> bool {
        let left =
            lacking.iter().filter_map(|id| self.facts(*id)).map(|f| u64::from(f.moving)).sum();
        let some_dead = lacking.iter().any(|id| !self.is_live(*id));
        let conduct = &mut self.conduct;
        if conduct.since != since {
            *conduct = Conduct { since, left, got_on: now, dead: None, ..*conduct };
        }
        if left < conduct.left {
            (conduct.left, conduct.got_on) = (left, now);
        }
        conduct.dead = some_dead.then(|| conduct.dead.unwrap_or(now));
        let dead = conduct.dead.is_some_and(|at| now.since(at) >= DEAD);
        dead || now.since(conduct.got_on) >= STALLED
    }

    /// Whether no quorum of old owners answers reads any more: n−r+1 of them live by step (b), for the n and the
    /// default r of every bucket, in every partition that moves.
    fn is_settled(&self, agreement: &Agreement, transition: &Transition) -> bool {
        let layout = &agreement.layout;
        let installed: BTreeSet<NodeId> = layout
            .members
            .iter()
            .map(|member| member.id)
            .filter(|id| self.facts(*id).is_some_and(|facts| facts.agreement >= agreement.index))
            .collect();
        let majority = |n: u8| n / 2 + 1;
        let buckets = agreement.buckets.buckets.values().map(|bucket| &bucket.settings);
        let mut quorums: BTreeSet<(u8, u8)> =
            buckets.map(|bucket| (bucket.n, bucket.r.unwrap_or(majority(bucket.n)))).collect();
        quorums.insert((layout.replicas, majority(layout.replicas)));
        // Who is gone for good is read by nobody.
        let gone = match transition.goal {
            Goal::Remove(id) => Some(id),
            _ => None,
        };
        layout.partitions_moving().all(|partition| {
            quorums.iter().all(|(n, r)| {
                let Some(old) = layout.other_list(partition, *n) else { return true };
                let there = old.owners().filter(|owner| Some(*owner) != gone).count();
                let needed = (old.owners().len() + 1).saturating_sub(usize::from(*r)).min(there);
                old.owners().filter(|owner| installed.contains(owner)).count() >= needed
            })
        })
    }
}
