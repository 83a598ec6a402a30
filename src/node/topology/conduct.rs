//! Who brings a change of owners to its end: any member, from facts that everybody gossips.
//!
//! ```text
//!   stable     a member without places is ready ──────────────────────► Rebalance
//!              who leaves has given everything away ──────────────────► Drop
//!              somebody has been dead for long ───────────────────────► Out        (`overdue.rs`)
//!              who is out is back ────────────────────────────────────► Return
//!   (a)        everybody who gains places has copied them ────────────► Advance to (b)
//!              nothing gets on, and somebody is dead ──────────────────► Abort
//!              who was to be out is back ─────────────────────────────► Abort
//!   (b)        enough old owners live by (b): no quorum still reads old ► Advance, stable
//! ```
//!
//! The living member with the lowest id proposes, and if nothing comes of it the next one; should two do so at once,
//! the chain lets one through and the other finds its wish fulfilled. So no dead proposer stops anything. Facts only say *when*; whether a
//! value may follow another is judged by every acceptor (`ring/follows.rs`).

use super::Topology;
use super::gossip::flags;
use super::intent::Intent;
use super::overdue::Down;
use crate::guard::{self, Guard};
use crate::id::{Epoch, NodeId};
use crate::node::Outbox;
use crate::ring::{Agreement, Change, Goal, Situation, Transition, TransitionStep};
use crate::swim::Facts;
use crate::time::{Duration, Instant, Now};
use std::collections::BTreeSet;

/// How long nothing may get on, while somebody who copies or is copied from is dead, before the change is taken back.
const STALLED_BY_DEATH: Duration = Duration::from_secs(60);
/// How long nothing may get on before it is in any case.
const STALLED: Duration = Duration::from_secs(600);

/// How long each member has to do what is due before the next one does; and those who proposed a value to bring it.
const TURN: Duration = Duration::from_secs(3);
/// How soon a rebalance that changed nothing is wished for again.
const REBALANCE_AGAIN: Duration = Duration::from_secs(10);

/// What this node has seen of the change under way.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    since: Epoch,
    /// How many slots were still to be copied when that last became fewer, and when that was.
    left: u64,
    got_on: Instant,
    /// What is due, and since when.
    due: Option<(Change, Instant)>,
    /// The index of the value that was accepted here and not learned, and since when.
    accepted: Option<(u64, Instant)>,
    /// In which epoch a rebalance was last wished for, and when: perhaps there is nothing to do.
    rebalanced: Option<(Epoch, Instant)>,
    /// Since when members have been dead, or since somebody was last asked to do something about it.
    pub down: Down,
}

impl Topology {
    /// Looks whether the next step of a change is due, and proposes it.
    pub(super) fn conduct(&mut self, now: Now, outbox: &mut Outbox) {
        self.note_down(now.instant);
        let Some(agreement) = self.installed.clone().filter(|_| self.may_vote()) else { return };
        let change = match agreement.layout.transition.clone() {
            None => self.next_change(now.instant, &agreement),
            Some(transition) => self.next_step(now.instant, &agreement, &transition),
        };
        self.finish_what_was_accepted(now, &agreement, outbox);
        if self.conduct.due.as_ref().map(|(due, _)| due) != change.as_ref() {
            self.conduct.due = change.clone().map(|change| (change, now.instant));
        }
        let Some((change, since)) = self.conduct.due.clone() else { return };
        // Who is before this node may be there and unable to propose.
        let turn = since + TURN * self.live_before(&agreement);
        if now.instant >= turn {
            match change {
                Change::Rebalance => {
                    self.conduct.rebalanced = Some((agreement.layout.epoch, now.instant));
                }
                // Whatever comes of it: not again in a moment.
                Change::Out(id) => self.conduct.down.begin_anew(id, now.instant),
                _ => {}
            }
            self.wish(now, Intent::Ring(change), None, outbox);
        }
    }

    /// How many members are to go first: those alive with a lower id; everybody, where it is this node that leaves.
    fn live_before(&self, agreement: &Agreement) -> u32 {
        let layout = &agreement.layout;
        let leaves = layout.leaving.contains(&self.identity.id);
        let first = |id: &NodeId| *id != self.identity.id && (leaves || *id < self.identity.id);
        let members = layout.members.iter().map(|member| member.id).filter(first);
        u32::try_from(members.filter(|id| self.is_live(*id)).count()).unwrap_or(u32::MAX)
    }

    /// A value that was accepted here may have been chosen, and whoever knew that may be dead. If nobody comes with
    /// it, its round is repeated, with whatever was accepted.
    fn finish_what_was_accepted(&mut self, now: Now, agreement: &Agreement, outbox: &mut Outbox) {
        let index = agreement.index + 1;
        let Some(value) = self.chain.seat.accepted(index) else {
            self.conduct.accepted = None;
            return;
        };
        let since = self.conduct.accepted.filter(|(at, _)| *at == index).map(|(_, since)| since);
        let since = since.unwrap_or(now.instant);
        self.conduct.accepted = Some((index, since));
        if now.instant.since(since) < TURN {
            return;
        }
        if let Ok(value) = Agreement::decode(&value) {
            self.wish(now, Intent::Finish(Box::new(value)), None, outbox);
        }
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

    /// Who could take places, and what could be copied.
    pub fn situation(&self) -> Situation {
        let Some(agreement) = &self.installed else { return Situation::default() };
        let layout = &agreement.layout;
        let owners = layout.owners();
        let members = layout.members.iter().map(|member| member.id);
        let there = |id: &NodeId| {
            if owners.contains(id) { self.is_live(*id) } else { self.is_ready(*id) }
        };
        Situation::new(agreement, &members.filter(there).collect())
    }

    /// Who has given up its places, and died before it had given away what lay on it alone: by name.
    pub fn stranded(&self) -> Vec<&str> {
        let Some(layout) = self.installed.as_ref().map(|agreement| &agreement.layout) else {
            return Vec::new();
        };
        let is_stranded = |id: &NodeId| layout.transition.is_none() && !self.is_live(*id);
        let stranded = layout.leaving.iter().filter(|id| is_stranded(id));
        stranded.filter_map(|id| Some(layout.member(*id)?.name.as_str())).collect()
    }

    /// Whether ghosts have places that others can take.
    fn may_replace_ghosts(&self, agreement: &Agreement) -> bool {
        let layout = &agreement.layout;
        let there = layout.members.iter().filter(|m| layout.has_seat(m.id) && self.is_ready(m.id));
        !layout.ghosts.is_empty() && there.count() >= usize::from(agreement.largest_n())
    }

    /// Whether this member is there and takes requests.
    fn is_ready(&self, node: NodeId) -> bool {
        let ready = self.facts(node).is_some_and(|facts| facts.flags & flags::READY != 0);
        ready && self.is_live(node)
    }

    fn next_change(&self, now: Instant, agreement: &Agreement) -> Option<Change> {
        let layout = &agreement.layout;
        let is_clean = |id: &NodeId| self.facts(*id).is_some_and(|f| f.clean >= layout.epoch.0);
        let owns_nothing = |id: &NodeId| !layout.stands(*id);
        let ghost = layout.ghosts.iter().copied().find(owns_nothing);
        if let Some(gone) = ghost.or_else(|| layout.leaving.iter().copied().find(is_clean)) {
            return Some(Change::Drop(gone));
        }
        if let Some(back) = layout.out.iter().copied().find(|id| self.is_ready(*id)) {
            return Some(Change::Return(back));
        }
        let lately = |(epoch, at): (Epoch, Instant)| {
            epoch == layout.epoch && now.since(at) < REBALANCE_AGAIN
        };
        if agreement.buckets.buckets.is_empty() {
            return None;
        }
        if let Some(dead) = self.overdue(now, agreement) {
            return Some(Change::Out(dead));
        }
        if self.conduct.rebalanced.is_some_and(lately) {
            return None;
        }
        let owners = layout.owners();
        let is_new = |id: &NodeId| layout.has_seat(*id) && !owners.contains(id);
        // Who is not ready is left out of the share, and gets its own when it is.
        let mut newcomers = layout.members.iter().map(|member| member.id).filter(is_new);
        let due = newcomers.any(|id| self.is_ready(id)) || self.may_replace_ghosts(agreement);
        due.then_some(Change::Rebalance)
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
                if let Goal::Out(id) = transition.goal
                    && self.is_live(id)
                {
                    return Some(Change::Abort { since });
                }
                let lacking = self.lacking(agreement, since);
                if lacking.is_empty() || !guard::holds(Guard::CopiedBeforeRead) {
                    return Some(Change::Advance { since, from: TransitionStep::Copying });
                }
                let hopeless = self.is_hopeless(now, agreement, transition, &lacking);
                hopeless.then_some(Change::Abort { since })
            }
            TransitionStep::Settling => self
                .is_settled(agreement)
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

    /// Whether the change waits for somebody who may not come back, or for nobody knows what.
    fn is_hopeless(
        &mut self,
        now: Instant,
        agreement: &Agreement,
        transition: &Transition,
        lacking: &BTreeSet<NodeId>,
    ) -> bool {
        let since = transition.since;
        let layout = &agreement.layout;
        let absent = |id: &NodeId| layout.is_gone(*id) || layout.out.contains(id);
        let left =
            lacking.iter().filter_map(|id| self.facts(*id)).map(|f| u64::from(f.moving)).sum();
        let members = layout.members.iter().map(|member| member.id);
        let some_dead = members.filter(|id| !absent(id)).any(|id| !self.is_live(id));
        let conduct = &mut self.conduct;
        if conduct.since != since {
            (conduct.since, conduct.left, conduct.got_on) = (since, left, now);
        }
        if left < conduct.left {
            (conduct.left, conduct.got_on) = (left, now);
        }
        let stalled = now.since(conduct.got_on);
        stalled >= if some_dead { STALLED_BY_DEATH } else { STALLED }
    }

    /// Whether no quorum of old owners answers reads any more: n−r+1 of them live by step (b), for the n and the
    /// default r of every bucket, in every partition that moves.
    fn is_settled(&self, agreement: &Agreement) -> bool {
        let layout = &agreement.layout;
        let installed: BTreeSet<NodeId> = layout
            .members
            .iter()
            .map(|member| member.id)
            .filter(|id| self.facts(*id).is_some_and(|facts| facts.agreement >= agreement.index))
            .collect();
        let quorums: BTreeSet<(u8, u8)> =
            agreement.quorums().into_iter().map(|(n, r, _)| (n, r)).collect();
        // Who is gone is read by nobody: others refuse what it asks under an older epoch.
        layout.partitions_moving().all(|partition| {
            quorums.iter().all(|(n, r)| {
                let Some(old) = layout.other_list(partition, *n) else { return true };
                let there = old.owners().filter(|owner| !layout.is_gone(*owner)).count();
                let needed = (old.owners().len() + 1).saturating_sub(usize::from(*r)).min(there);
                old.owners().filter(|owner| installed.contains(owner)).count() >= needed
            })
        })
    }
}
