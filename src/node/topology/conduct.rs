//! Who brings a change of owners to its end: any member, from facts that everybody gossips.
//!
//! ```text
//!   stable     a member without places is ready ──────────────────────► Rebalance
//!              who leaves has given everything away ──────────────────► Drop
//!              somebody has been dead for long ───────────────────────► Out        (`overdue.rs`)
//!              who is out is back ────────────────────────────────────► Return
//!   (a)        everybody who gains places has copied them ────────────► Advance to (b)
//!              who was to be out, or gone, is alive, for a while ──────► Abort
//!   (b)        enough old owners live by (b): no quorum still reads old ► Advance, stable
//!              who was to be gone is alive, for a while ───────────────► Abort, by a step (b) of its own
//!   (a), (b)   nothing gets on for a minute with an owner dead, for ten without ► Abort
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

/// How long nothing may get on, while an owner of what moves is dead, before the change is taken back.
const STALLED_BY_DEATH: Duration = Duration::from_secs(60);
/// How long nothing may get on before it is in any case.
const STALLED: Duration = Duration::from_secs(600);

/// How long each member has to do what is due before the next one does; and those who proposed a value to bring it.
const TURN: Duration = Duration::from_secs(3);
/// How long whoever was to be gone is alive before the change is taken back. A majority has seen it dead, and the others
/// hear of that a little later.
const BACK_FOR: Duration = Duration::from_secs(5);
/// How soon a rebalance that changed nothing is wished for again.
const REBALANCE_AGAIN: Duration = Duration::from_secs(10);

/// What this node has seen of the change under way.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    progress: Progress,
    /// What is due, and since when.
    due: Option<(Change, Instant)>,
    /// The index of the value that was accepted here and not learned, and since when.
    accepted: Option<(u64, Instant)>,
    /// In which epoch a rebalance was last wished for, and when: perhaps there is nothing to do.
    rebalanced: Option<(Epoch, Instant)>,
    /// Since when members have been dead, or since somebody was last asked to do something about it.
    pub down: Down,
}

/// How far a step has come.
#[derive(Debug, Default)]
struct Progress {
    step: Option<(Epoch, TransitionStep)>,
    /// The fewest slots that were still to be copied, or owners to hear of it; and when they became so few.
    left: u64,
    got_on: Instant,
}

impl Progress {
    /// For how long nothing has got on, so much of this step being left now.
    fn stalled(&mut self, step: (Epoch, TransitionStep), left: u64, now: Instant) -> Duration {
        if self.step != Some(step) || left < self.left {
            *self = Progress { step: Some(step), left, got_on: now };
        }
        now.since(self.got_on)
    }
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
        let first = if matches!(change, Change::Abort { .. }) { since + BACK_FOR } else { since };
        // Who is before this node may be there and unable to propose.
        let turn = first + TURN * self.live_before(&agreement);
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
    pub(super) fn facts(&self, node: NodeId) -> Option<Facts> {
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
        let lacks =
            |id: &NodeId| self.facts(*id).is_some_and(|facts| facts.flags & flags::REBUILDING != 0);
        let incomplete = members.clone().filter(lacks).collect();
        Situation::new(agreement, &members.filter(there).collect(), &incomplete)
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
        let Transition { since, step, goal, .. } = *transition;
        let is_over = match step {
            TransitionStep::Copying => {
                self.lacking(agreement, since).is_empty() || !guard::holds(Guard::CopiedBeforeRead)
            }
            TransitionStep::Settling => {
                self.is_settled(agreement) || !guard::holds(Guard::OldOwnersKnow)
            }
        };
        // Who is out may come back in (b) as well as later: it takes its share again then.
        let absent = if step == TransitionStep::Copying { goal.absent() } else { goal.gone() };
        let is_back = absent.is_some_and(|id| self.is_live(id));
        if is_over && !is_back {
            return Some(Change::Advance { since, from: step });
        }
        let hopeless = goal != Goal::Back && self.is_hopeless(now, agreement, transition);
        (is_back || hopeless).then_some(Change::Abort { since })
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
    ) -> bool {
        let layout = &agreement.layout;
        let left = match transition.step {
            TransitionStep::Copying => self.slots_left(agreement, transition.since),
            TransitionStep::Settling => self.unheard(agreement),
        };
        let absent = |id: &NodeId| layout.is_gone(*id) || layout.out.contains(id);
        let owners = layout.owners_moving();
        let some_dead = owners.iter().filter(|id| !absent(id)).any(|id| !self.is_live(*id));
        let step = (transition.since, transition.step);
        self.conduct.progress.stalled(step, left, now)
            >= if some_dead { STALLED_BY_DEATH } else { STALLED }
    }

    /// How many slots are still to be copied. All that could be, of those who have not said so in this change.
    fn slots_left(&self, agreement: &Agreement, since: Epoch) -> u64 {
        let all = agreement.layout.partitions.count() as u64;
        let of = |facts: Facts| match facts.agreement >= agreement.index {
            true => u64::from(facts.moving),
            false => all,
        };
        self.lacking(agreement, since).iter().map(|id| self.facts(*id).map_or(all, of)).sum()
    }

    /// How many owners of what moves have not said that they live by this value.
    fn unheard(&self, agreement: &Agreement) -> u64 {
        let owners = agreement.layout.owners_moving();
        owners.iter().filter(|id| !self.has_installed(**id, agreement)).count() as u64
    }

    fn has_installed(&self, id: NodeId, agreement: &Agreement) -> bool {
        self.facts(id).is_some_and(|facts| facts.agreement >= agreement.index)
    }

    /// Whether step (b) is over.
    fn is_settled(&self, agreement: &Agreement) -> bool {
        let members = agreement.layout.members.iter().map(|member| member.id);
        agreement.is_settled(&members.filter(|id| self.has_installed(*id, agreement)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_on_is_not_stalled() {
        let at = |secs: u64| Instant(1_000_000 * secs);
        let copying = (Epoch(7), TransitionStep::Copying);
        let mut progress = Progress::default();
        // Nobody has said how much there is for it: all that could be.
        assert_eq!(progress.stalled(copying, 1_024, at(10)), Duration::ZERO);
        assert_eq!(progress.stalled(copying, 90, at(12)), Duration::ZERO);
        assert_eq!(progress.stalled(copying, 90, at(500)), Duration::from_secs(488));
        assert_eq!(progress.stalled(copying, 89, at(599)), Duration::ZERO);
        // Who begins again gets on when it is further than it was.
        assert_eq!(progress.stalled(copying, 95, at(700)), Duration::from_secs(101));
        assert_eq!(progress.stalled(copying, 89, at(800)), Duration::from_secs(201));
        let settling = (Epoch(7), TransitionStep::Settling);
        assert_eq!(progress.stalled(settling, 200, at(801)), Duration::ZERO);
    }
}
