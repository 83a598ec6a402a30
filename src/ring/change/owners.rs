//! Who gets places and who loses them: at once while there are no data, else by a transition.

use super::{Refusal, Successor, forget, proposed, with_layout};
use crate::id::{Epoch, NodeId};
use crate::ring::relocation::{Takers, anew, relocate, substitute};
use crate::ring::{Agreement, Goal, Layout, Situation, Table, Transition, TransitionStep};

pub(super) fn rebalance(old: &Agreement, situation: &Situation) -> Result<Successor, Refusal> {
    if let Some(transition) = &old.layout.transition {
        return under_way(transition, Goal::Rebalance);
    }
    let next = old.layout.clone();
    enough_seats(old, &next)?;
    let table = relocate(&next, &old.layout, Takers::Needy, situation);
    if !owners_differ(&old.layout, &table) {
        return Ok(Successor::AlreadySo);
    }
    begin(old, next, table, Goal::Rebalance)
}

pub(super) fn leave(
    old: &Agreement,
    id: NodeId,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    if old.layout.leaving.contains(&id) {
        return Ok(Successor::AlreadySo);
    }
    go(old, id, Goal::Leave(id), situation)
}

pub(super) fn remove(
    old: &Agreement,
    id: NodeId,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    go(old, id, Goal::Remove(id), situation)
}

/// Rows that are frozen keep it; asked again later, it gives those up as well.
pub(super) fn out(
    old: &Agreement,
    id: NodeId,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    let layout = &old.layout;
    if layout.member(id).is_none() {
        return Ok(Successor::AlreadySo);
    }
    if layout.leaving.contains(&id) {
        return Err(Refusal::Leaving(id));
    }
    if let Some(transition) = &layout.transition {
        return under_way(transition, Goal::Out(id));
    }
    let mut next = layout.clone();
    if next.out.insert(id) {
        enough_seats(old, &next)?;
    }
    let table = relocate(&next, layout, Takers::Nobody, situation);
    if owners_differ(layout, &table) {
        return begin(old, next, table, Goal::Out(id));
    }
    // It owns nothing, or nothing of it can be copied now.
    Ok(Successor::AlreadySo)
}

/// It takes what it can of its share; if nothing, the next rebalance sees to it.
pub(super) fn bring_back(
    old: &Agreement,
    id: NodeId,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    let layout = &old.layout;
    if !layout.out.contains(&id) {
        return Ok(Successor::AlreadySo);
    }
    if layout.transition.is_some() {
        return Err(Refusal::ChangeInProgress);
    }
    let mut next = layout.clone();
    next.out.remove(&id);
    let table = relocate(&next, layout, Takers::One(id), situation);
    if !owners_differ(layout, &table) {
        return at_once(old, next, Goal::Rebalance);
    }
    begin(old, next, table, Goal::Rebalance)
}

/// A member gives up its places, whether it can still hand anything over or not.
fn go(
    old: &Agreement,
    id: NodeId,
    goal: Goal,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    if old.layout.member(id).is_none() {
        return Ok(Successor::AlreadySo);
    }
    if let Some(transition) = &old.layout.transition {
        return under_way(transition, goal);
    }
    if old.layout.members.len() == 1 {
        return Err(Refusal::LastMember);
    }
    let mut next = old.layout.clone();
    let newly = next.leaving.insert(id);
    next.out.remove(&id);
    if newly {
        enough_seats(old, &next)?;
    }
    if !old.layout.stands_in(id, &old.layout.table) {
        return at_once(old, next, goal);
    }
    let table = if has_data(old) {
        relocate(&next, &old.layout, Takers::Nobody, situation)
    } else {
        anew(&next, &old.layout)
    };
    begin(old, next, table, goal)
}

pub(super) fn replace(
    old: &Agreement,
    (from, gone): (NodeId, bool),
    to: NodeId,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    let layout = &old.layout;
    layout.member(to).ok_or(Refusal::NoSuchMember(to))?;
    let owners = layout.owners_in(&layout.table);
    if layout.member(from).is_none() {
        // Let go, perhaps at the end of this very wish.
        let through = owners.contains(&to);
        return if through { Ok(Successor::AlreadySo) } else { Err(Refusal::NoSuchMember(from)) };
    }
    if let Some(transition) = &layout.transition {
        // Whether it had died by then or not: an earlier try of the same.
        let same =
            matches!(transition.goal, Goal::Replace { old, new, .. } if (old, new) == (from, to));
        return if same { Ok(Successor::AlreadySo) } else { Err(Refusal::ChangeInProgress) };
    }
    if layout.goes(to) {
        return Err(Refusal::Leaving(to));
    }
    if owners.contains(&to) {
        // Perhaps by an earlier try of this very wish, which is through.
        let through = from != to && layout.leaving.contains(&from);
        return match (through, gone) {
            (false, _) => Err(Refusal::HasPlaces(to)),
            (true, false) => Ok(Successor::AlreadySo),
            // It died before it had given everything away: nobody waits for that any more.
            (true, true) => remove(old, from, situation),
        };
    }
    if !owners.contains(&from) {
        return Err(Refusal::HasNoPlaces(from));
    }
    let mut next = layout.clone();
    next.leaving.insert(from);
    next.out.remove(&from);
    // Whoever names it wants it in.
    next.held.remove(&to);
    enough_seats(old, &next)?;
    let table = substitute(&next, layout, from, to);
    begin(old, next, table, Goal::Replace { old: from, new: to, gone })
}

pub(super) fn place(
    old: &Agreement,
    id: NodeId,
    zone: &str,
    weight: u16,
    situation: &Situation,
) -> Result<Successor, Refusal> {
    let at = old.layout.position(id).ok_or(Refusal::NoSuchMember(id))?;
    let mut next = old.layout.clone();
    let member = &mut next.members[at];
    if member.zone == zone && member.weight == weight {
        return Ok(Successor::AlreadySo);
    }
    member.zone = zone.to_owned();
    member.weight = weight;
    member.validate()?;
    if old.layout.transition.is_some() {
        return Err(Refusal::ChangeInProgress);
    }
    enough_seats(old, &next)?;
    if !has_data(old) {
        next.table = anew(&next, &old.layout);
        return proposed(with_layout(old, next)?);
    }
    // Who has no places yet gets them by a rebalance, with the others who have none.
    let takes = old.layout.owners_in(&old.layout.table).contains(&id);
    let takers = if takes { Takers::Everybody } else { Takers::Nobody };
    let table = relocate(&next, &old.layout, takers, situation);
    if !owners_differ(&old.layout, &table) {
        return at_once(old, next, Goal::Rebalance);
    }
    begin(old, next, table, Goal::Rebalance)
}

/// A wish while a change is under way: it may be that very change.
fn under_way(transition: &Transition, goal: Goal) -> Result<Successor, Refusal> {
    if transition.goal == goal { Ok(Successor::AlreadySo) } else { Err(Refusal::ChangeInProgress) }
}

fn has_data(old: &Agreement) -> bool {
    !old.buckets.buckets.is_empty()
}

/// Never fewer with places than data may have copies.
fn enough_seats(old: &Agreement, next: &Layout) -> Result<(), Refusal> {
    let needed = if has_data(old) { old.largest_n() } else { 1 };
    let have = next.seats();
    if have < usize::from(needed) {
        return Err(Refusal::TooFewLeft { needed, have });
    }
    Ok(())
}

/// Whether any bucket, of whatever `n`, would have other owners. Both tables are of one list of members.
fn owners_differ(layout: &Layout, table: &Table) -> bool {
    let n = layout.replicas;
    layout.partitions.iter().any(|p| layout.table.first(p, n) != table.first(p, n))
}

/// `next` is the present layout but for who leaves and what members are like: `table` becomes its new one.
fn begin(
    old: &Agreement,
    mut next: Layout,
    table: Table,
    goal: Goal,
) -> Result<Successor, Refusal> {
    if !has_data(old) {
        next.table = table;
        return at_once(old, next, goal);
    }
    let since = Epoch(old.layout.epoch.0 + 1);
    next.transition = Some(Transition { step: TransitionStep::Copying, since, other: table, goal });
    proposed(with_layout(old, next)?)
}

/// Nothing has to move: the goal is reached.
fn at_once(old: &Agreement, next: Layout, goal: Goal) -> Result<Successor, Refusal> {
    let mut next = with_layout(old, next)?;
    if let Some(id) = goal.gone() {
        forget(&mut next, id);
    }
    proposed(next)
}
