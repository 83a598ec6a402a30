//! A transition's steps, its end, and what is left to do after it.

use super::{Refusal, Successor, forget, proposed, with_layout};
use crate::id::{Epoch, NodeId};
use crate::ring::{Agreement, Goal, Situation, Transition, TransitionStep};

pub(super) fn advance(
    old: &Agreement,
    since: Epoch,
    from: TransitionStep,
) -> Result<Successor, Refusal> {
    let Some(transition) = current(old, since).filter(|t| t.step <= from) else {
        return Ok(Successor::AlreadySo);
    };
    if transition.step != from {
        return Err(Refusal::NotYet);
    }
    let mut next = old.layout.clone();
    if from == TransitionStep::Copying {
        let Transition { other, .. } = transition.clone();
        let other = std::mem::replace(&mut next.table, other);
        next.transition = Some(Transition { step: TransitionStep::Settling, other, ..*transition });
        return proposed(with_layout(old, next)?);
    }
    next.transition = None;
    let mut next = with_layout(old, next)?;
    if let Some(id) = transition.goal.gone() {
        forget(&mut next, id);
    }
    proposed(next)
}

pub(super) fn abort(
    old: &Agreement,
    since: Epoch,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    let Some(transition) = current(old, since).filter(|t| t.goal != Goal::Back) else {
        return Ok(Successor::AlreadySo);
    };
    let layout = &old.layout;
    let (before, after) = layout.tables();
    let mut next = layout.clone();
    let newcomers = layout.owners_in(after);
    let newcomers: Vec<NodeId> = newcomers.difference(&layout.owners_in(before)).copied().collect();
    // One that is away is why; the next change is made without it.
    if newcomers.iter().all(|id| !situation.away.contains(id)) {
        next.held.extend(newcomers);
    }
    next.leaving.retain(|id| transition.goal.leaver() != Some(*id));
    next.out.retain(|id| transition.goal.leaver() != Some(*id));
    next.table = before.clone();
    next.transition = match transition.step {
        TransitionStep::Copying => None,
        // The new ones are read by whoever has not heard of this.
        TransitionStep::Settling => Some(Transition::back(layout.epoch, after.clone())),
    };
    proposed(with_layout(old, next)?)
}

pub(super) fn release(old: &Agreement) -> Result<Successor, Refusal> {
    if old.layout.held.is_empty() {
        return Ok(Successor::AlreadySo);
    }
    let mut next = old.layout.clone();
    next.held.clear();
    proposed(with_layout(old, next)?)
}

pub(super) fn drop_member(old: &Agreement, id: NodeId) -> Result<Successor, Refusal> {
    let layout = &old.layout;
    if layout.member(id).is_none() {
        return Ok(Successor::AlreadySo);
    }
    if layout.transition.is_some() {
        return Err(Refusal::ChangeInProgress);
    }
    if !layout.leaving.contains(&id) && !layout.ghosts.contains(&id) {
        return Err(Refusal::NotLeaving(id));
    }
    if layout.stands_in(id, &layout.table) {
        return Err(Refusal::HasPlaces(id));
    }
    let mut next = with_layout(old, layout.clone())?;
    forget(&mut next, id);
    proposed(next)
}

/// The change that began in this epoch, if it is under way.
fn current(old: &Agreement, since: Epoch) -> Option<&Transition> {
    old.layout.transition.as_ref().filter(|transition| transition.since == since)
}
