//! A wish to change what is agreed: what it would make of the newest value, whatever that is by then.
//!
//! A proposal that lost its race is not repeated but *rebased*: the wish is put to the new value, which may
//! already fulfil it, or may have made it impossible.

use crate::error::Error;
use crate::id::{BucketId, Conflict, Lineage, NodeId};
use crate::message::client::{BucketChange, BucketSpec};
use crate::message::peer::Joiner;
use crate::ring::{Agreement, BucketSettings, Change, Member, Situation, Successor};
use crate::time::Duration;

/// See the module's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Let this node in: as a new member, or under a member's name with a new lineage.
    Admit {
        /// Who.
        joiner: Joiner,
        /// The lineage whose place it takes. If another took it meanwhile, the wish is void: it may be
        /// older than that one.
        replaces: Option<Lineage>,
    },
    /// Let there be this bucket.
    Bucket {
        /// As asked for.
        spec: BucketSpec,
        /// Drawn by the node that proposes it.
        id: BucketId,
    },
    /// Let this bucket be like this.
    Settings(BucketChange),
    /// Let this bucket be no more.
    Drop {
        /// Its name.
        name: String,
        /// Which of that name.
        id: BucketId,
    },
    /// Let owners change, or go on with that, in the situation of the moment.
    Ring(Change),
    /// Let this value be chosen, or whatever else comes at its index: it was accepted, and may have been.
    Finish(Box<Agreement>),
}

/// How a wish stands towards a value of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is fulfilled by this next value, to be proposed.
    Open(Box<Agreement>),
    /// The value fulfils it.
    Done,
    /// The value makes it impossible.
    Void(Error),
}

impl Intent {
    /// Who is gone, if it is true that this is to be.
    pub fn without(&self) -> Option<NodeId> {
        match self {
            Intent::Ring(
                Change::Out(id) | Change::Remove(id) | Change::Replace { old: id, gone: true, .. },
            ) => Some(*id),
            _ => None,
        }
    }

    /// What the wish and the value make of one another in this situation.
    pub fn standing(&self, agreement: &Agreement, situation: &Situation) -> Standing {
        if let Intent::Admit { joiner, replaces } = self {
            let present = agreement.layout.member_named(&joiner.name).map(|m| m.lineage);
            if present != *replaces && present != Some(joiner.lineage) {
                let why = format!("another node was let in as {} meanwhile", joiner.name);
                return Standing::Void(Error::Forbidden(why));
            }
        }
        let change = match self {
            Intent::Settings(wanted) => set(wanted, agreement),
            Intent::Drop { name, id } => Change::DropBucket { name: name.clone(), id: *id },
            Intent::Finish(value) if value.index != agreement.index + 1 => return Standing::Done,
            Intent::Finish(value) => return Standing::Open(value.clone()),
            Intent::Ring(change) => change.clone(),
            Intent::Admit { joiner, .. } if joiner.spare => Change::Spare(member(joiner)),
            Intent::Admit { joiner, .. } => Change::Join(member(joiner)),
            Intent::Bucket { spec, id } => Change::CreateBucket {
                id: *id,
                name: spec.name.clone(),
                settings: settings(spec, agreement),
            },
        };
        match agreement.apply_in(&change, situation) {
            Ok(Successor::Next(next)) => Standing::Open(next),
            Ok(Successor::AlreadySo) => Standing::Done,
            Err(refusal) => Standing::Void(refusal.into()),
        }
    }
}

/// As the layout will name it.
pub(super) fn member(joiner: &Joiner) -> Member {
    Member {
        id: joiner.id,
        lineage: joiner.lineage,
        name: joiner.name.clone(),
        zone: joiner.zone.clone(),
        weight: joiner.weight,
    }
}

/// What a user left open stays as it is agreed by then.
fn set(wanted: &BucketChange, agreement: &Agreement) -> Change {
    let is = agreement.buckets.get(&wanted.name).map(|bucket| &bucket.settings);
    let ttl_ms =
        is.and_then(|is| is.ttl).map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    Change::SetBucket {
        name: wanted.name.clone(),
        r: wanted.r.after(is.and_then(|is| is.r)),
        w: wanted.w.after(is.and_then(|is| is.w)),
        ttl: wanted.ttl_ms.after(ttl_ms).map(Duration::from_millis),
    }
}

/// What a user left open, the cluster decides: as many replicas as it can place now, up to its own limit.
fn settings(spec: &BucketSpec, agreement: &Agreement) -> BucketSettings {
    let existing = agreement.buckets.get(&spec.name).map(|bucket| &bucket.settings);
    let n = spec.n.or(existing.map(|settings| settings.n)).unwrap_or(agreement.largest_n());
    BucketSettings {
        r: spec.r,
        w: spec.w,
        conflict: if spec.lww { Conflict::Lww } else { Conflict::Siblings },
        ttl: spec.ttl_ms.map(Duration::from_millis),
        kind: spec.kind.clone(),
        ..BucketSettings::new(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ClusterId, NodeId};
    use crate::ring::{Partitions, Secret};

    fn joiner(name: &str, lineage: u64) -> Joiner {
        Joiner {
            id: NodeId(lineage),
            lineage: Lineage(lineage),
            name: name.into(),
            zone: String::new(),
            weight: 1,
            address: ([127, 0, 0, 1], 1).into(),
            spare: false,
        }
    }

    #[test]
    fn a_late_wish_to_admit_an_older_life_is_void() {
        let partitions = Partitions::try_from(16).expect("a power of two");
        let founder = member(&joiner("n1", 1));
        let secret = Secret([0; 32]);
        let first = Agreement::found(ClusterId(1), secret, 3, partitions, founder).expect("sound");
        let wish = |lineage, replaces: Option<u64>| Intent::Admit {
            joiner: joiner("n1", lineage),
            replaces: replaces.map(Lineage),
        };
        let Standing::Open(second) = wish(2, Some(1)).standing(&first, &Situation::default())
        else {
            panic!("the first life's successor may come in")
        };
        assert_eq!(wish(2, Some(1)).standing(&second, &Situation::default()), Standing::Done);
        // Drawn while the first life was the agreed one, and overtaken by the second.
        assert!(matches!(
            wish(3, Some(1)).standing(&second, &Situation::default()),
            Standing::Void(_)
        ));
        assert!(matches!(
            wish(3, Some(2)).standing(&second, &Situation::default()),
            Standing::Open(_)
        ));
        assert!(
            matches!(wish(1, Some(2)).standing(&second, &Situation::default()), Standing::Void(_)),
            "retired"
        );
    }
}
