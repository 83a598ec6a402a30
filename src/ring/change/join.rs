//! Who is let in: a new member, or a new life of one.

use super::{Refusal, Successor, proposed, retire, with_layout};
use crate::id::{Lineage, NodeId};
use crate::ring::{Agreement, MAX_MEMBERS, Member, placement, relocation};

/// `spare`: who is new stands by without places.
pub(super) fn join(old: &Agreement, joiner: &Member, spare: bool) -> Result<Successor, Refusal> {
    joiner.validate()?;
    let layout = &old.layout;
    if old.retired.contains(&joiner.lineage) {
        return Err(Refusal::RetiredLineage);
    }
    let named = layout.member_named(&joiner.name);
    // The id beats the name: a node that remembers its id may not slip into another's place.
    if let Some(member) = layout.member(joiner.id) {
        if named.is_some_and(|other| other.id != member.id) {
            return Err(Refusal::NameTaken(joiner.name.clone()));
        }
        return admit(old, member.id, joiner.lineage);
    }
    if let Some(member) = named {
        return admit(old, member.id, joiner.lineage);
    }
    if layout.members.iter().any(|member| member.lineage == joiner.lineage) {
        return Err(Refusal::LineageTwice);
    }
    if layout.members.len() >= MAX_MEMBERS {
        return Err(Refusal::ClusterFull);
    }
    if layout.transition.is_some() {
        return Err(Refusal::ChangeInProgress);
    }
    let mut next = layout.clone();
    let at = next.members.partition_point(|member| member.id < joiner.id);
    next.members.insert(at, joiner.clone());
    if spare {
        next.held.insert(joiner.id);
    }
    next.table = if old.buckets.buckets.is_empty() {
        relocation::anew(&next, layout)
    } else {
        placement::extend(&next, layout).ok_or(Refusal::DataWouldMove)?
    };
    proposed(with_layout(old, next)?)
}

/// A new life of a member takes over: same id, same rows in both tables, and the old life is fenced for good.
/// That is possible at any time: it changes no owner.
fn admit(old: &Agreement, id: NodeId, lineage: Lineage) -> Result<Successor, Refusal> {
    let at = old.layout.position(id).ok_or(Refusal::NoSuchMember(id))?;
    if old.layout.ghosts.contains(&id) {
        return Err(Refusal::Ghost(old.layout.members[at].name.clone()));
    }
    let former = old.layout.members[at].lineage;
    if former == lineage {
        return Ok(Successor::AlreadySo);
    }
    if old.layout.members.iter().any(|member| member.lineage == lineage) {
        return Err(Refusal::LineageTwice);
    }
    let mut layout = old.layout.clone();
    layout.members[at].lineage = lineage;
    let mut next = with_layout(old, layout)?;
    if !next.buckets.buckets.is_empty() {
        next.late.insert(id);
    }
    retire(&mut next, former);
    proposed(next)
}
