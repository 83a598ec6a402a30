//! What anybody may want of the next agreement, and whether it may be.
//!
//! A change is a wish, not a value: it is applied to whatever was chosen last, so a proposer that lost an
//! index applies the same wish to the winner's value and proposes again. Two joins at one time so end in
//! one layout with both. All of it is deterministic: random ids are in the change.
//!
//! *While no bucket exists* owners change at once. Later, a joiner only extends lists that were short, and
//! whatever takes places from somebody goes the steps of a [`Transition`](super::Transition), one such change at a
//! time:
//!
//! ```text
//!   Rebalance  Leave  Remove  Replace  Out  Return  Place ──► (a) ──Advance──► (b) ──Advance──► stable  ( ──Drop──► gone )
//!                                                      └────Abort───────┴──► stable, as it was  ( ──Release )
//! ```
//!
//! A wish that an earlier try of the same has fulfilled is "already so", also while its change is under way.

mod bucket;
mod join;
mod owners;
mod refusal;
mod steps;

pub use refusal::Refusal;

use super::agreement::{RETIRED_LIMIT, decode_whole};
use super::{Agreement, BucketSettings, Layout, Member, Situation, TransitionStep};
use crate::id::{BucketId, Epoch, Lineage, NodeId};
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// A wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Let this node in. Under a member's *id* with another lineage, or under a member's *name*, it takes
    /// over that member's id, zone and weight with its own lineage: owners stay, the old life is fenced.
    /// Where buckets exist, a new member gets its share of places by [`Rebalance`](Change::Rebalance) only.
    ///
    /// Whether the name's present holder is alive is not known here: the proposer asks before, else two
    /// nodes started under one name by mistake would fence each other in turns.
    Join(Member),
    /// As [`Join`](Change::Join), but a new member stands by: it is held, without places, until it replaces
    /// somebody or everybody is released.
    Spare(Member),
    /// Everybody who is neither leaving nor held gets its share, moving only what must.
    Rebalance,
    /// The node leaves in good order: its places go to others, and it stays a member without any until
    /// [`Drop`](Change::Drop).
    Leave(NodeId),
    /// The node is gone for good: its places go to others, and when that is through it is no member any more.
    Remove(NodeId),
    /// `new`, a member that owns nothing, takes exactly the places of `old`, which leaves, or is gone for good.
    Replace {
        /// Who leaves.
        old: NodeId,
        /// Who comes.
        new: NodeId,
        /// Whether `old` is gone for good: when that is through it is no member any more.
        #[serde(default)]
        gone: bool,
    },
    /// The node has been dead for long: its places go to others. It stays a member, without any.
    Out(NodeId),
    /// A member that was out is back, and takes its share again.
    Return(NodeId),
    /// The node stands elsewhere, or takes another share.
    Place {
        /// Which member.
        id: NodeId,
        /// Its new zone.
        zone: String,
        /// Its new weight.
        weight: u16,
    },
    /// The change that began in epoch `since` has done what step `from` is for: on to the next, or the end.
    Advance {
        /// Which change.
        since: Epoch,
        /// Which step is over.
        from: TransitionStep,
    },
    /// The change that began in epoch `since` is taken back. Newcomers whom it would have given places are held;
    /// but nobody is, where one of them is away: the next change goes without that one.
    Abort {
        /// Which change.
        since: Epoch,
    },
    /// Nobody is held any more.
    Release,
    /// A leaving member without places is let go.
    Drop(NodeId),
    /// A new bucket.
    CreateBucket {
        /// Random; used if the bucket does not exist yet.
        id: BucketId,
        /// Its name.
        name: String,
        /// What it is to be like.
        settings: BucketSettings,
    },
    /// What may be changed of a bucket is to be like this.
    SetBucket {
        /// Its name.
        name: String,
        /// How many owners a read asks for; `None`: a majority.
        r: Option<u8>,
        /// How many owners a write asks for; `None`: a majority.
        w: Option<u8>,
        /// How long an item lives; `None`: for ever.
        ttl: Option<Duration>,
    },
    /// A bucket, and everything in it, is to be no more.
    DropBucket {
        /// Its name.
        name: String,
        /// Which of that name.
        id: BucketId,
    },
}

/// What a change makes of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// Nothing: the wish is fulfilled already, perhaps by an earlier try of the same.
    AlreadySo,
    /// The value to propose for the next index.
    Next(Box<Agreement>),
}

impl Change {
    /// As bytes, for a member that is to carry it out.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("writing to memory does not fail")
    }

    /// From bytes that came from a peer; `None` if they are no change. It may still be refused.
    pub fn decode(bytes: &[u8]) -> Option<Change> {
        decode_whole(bytes)
    }

    pub(super) fn apply_to(
        &self,
        old: &Agreement,
        situation: &Situation,
    ) -> Result<Successor, Refusal> {
        match self {
            Change::Join(member) => join::join(old, member, false),
            Change::Spare(member) => join::join(old, member, true),
            Change::Rebalance => owners::rebalance(old, situation),
            Change::Leave(id) => owners::leave(old, *id, situation),
            Change::Remove(id) => owners::remove(old, *id, situation),
            Change::Replace { old: from, new: to, gone } => {
                owners::replace(old, (*from, *gone), *to, situation)
            }
            Change::Out(id) => owners::out(old, *id, situation),
            Change::Return(id) => owners::bring_back(old, *id, situation),
            Change::Place { id, zone, weight } => owners::place(old, *id, zone, *weight, situation),
            Change::Advance { since, from } => steps::advance(old, *since, *from),
            Change::Abort { since } => steps::abort(old, *since, situation),
            Change::Release => steps::release(old),
            Change::Drop(id) => steps::drop_member(old, *id),
            Change::CreateBucket { id, name, settings } => {
                bucket::create_bucket(old, *id, name, settings)
            }
            Change::SetBucket { name, r, w, ttl } => bucket::set_bucket(old, name, (*r, *w, *ttl)),
            Change::DropBucket { name, id } => bucket::drop_bucket(old, name, *id),
        }
    }
}

/// The next value with this layout, in an epoch of its own.
fn with_layout(old: &Agreement, mut layout: Layout) -> Result<Agreement, Refusal> {
    layout.epoch = Epoch(old.layout.epoch.0 + 1);
    layout.validate()?;
    Ok(Agreement { layout, ..step(old) })
}

fn proposed(next: Agreement) -> Result<Successor, Refusal> {
    Ok(Successor::Next(Box::new(next)))
}

/// Takes a member without places out of the list.
fn forget(next: &mut Agreement, id: NodeId) {
    if let Some(gone) = next.layout.without(id) {
        next.late.remove(&id);
        retire(next, gone.lineage);
    }
}

fn step(old: &Agreement) -> Agreement {
    Agreement { index: old.index + 1, ..old.clone() }
}

fn retire(next: &mut Agreement, lineage: Lineage) {
    next.retired.push(lineage);
    let excess = next.retired.len().saturating_sub(RETIRED_LIMIT);
    next.retired.drain(..excess);
}
