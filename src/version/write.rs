//! A client's write, applied by its coordinator: discard what the client saw, mint the next dot.
//!
//! ```text
//!   siblings (A,11)u (B,3)w   context {A:11}   put v through A
//!   ─► (A,11) goes, it was seen; (B,3) stays; v stands as (A,12)
//! ```

use super::seen::Seen;
use super::sibling::{
    Cause, Content, Covered, OperationId, SIBLINGS_CAP, SIBLINGS_WARNING, Sibling, window_ms,
};
use super::siblings::Siblings;
use super::vector::{Actor, Dot};
use crate::guard::{self, Guard};
use crate::id::Conflict;
use crate::time::{HybridTime, WallClock};

/// What a client wants written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The client's name for this write, the same in every retry.
    pub operation: OperationId,
    /// From the coordinator's hybrid clock: above the record's clock and above [`Seen::time`].
    pub stamp: HybridTime,
    /// From when on it counts as a tombstone.
    pub expires_at: Option<WallClock>,
    /// A value, or a tombstone for a delete.
    pub content: Content,
    /// Since when it may have been tried: no try is stamped before. `None`: this is the first.
    pub tried_since: Option<HybridTime>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It stands under this new dot: store and replicate.
    New(Dot),
    /// An earlier try of the same operation stands under this dot. Nothing changed; replicate what is
    /// here, so that the retry can be acknowledged.
    Repeated(Dot),
    /// An earlier try was stored, and replaced since. What it had seen is gone now here, too: who replaced it may have
    /// known nothing of that. Replicate what is here.
    Replaced(Dot),
}

/// Whether a coordinator may accept one more sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Enough,
    /// Yes, but there will be this many, which somebody should resolve.
    Warning(usize),
    /// No: there are this many already, none of which the context has seen.
    Full(usize),
}

impl Siblings {
    /// Whether a put with this context may be accepted. Asked by coordinators only; a merge always is.
    pub fn room(&self, seen: &Seen, operation: OperationId, conflict: Conflict) -> Room {
        if conflict == Conflict::Lww || self.find(operation).is_some() {
            return Room::Enough;
        }
        let unseen = self.iter().filter(|s| !was_seen(s, seen)).count();
        match unseen + 1 {
            count if count > SIBLINGS_CAP => Room::Full(unseen),
            count if count >= SIBLINGS_WARNING => Room::Warning(count),
            _ => Room::Enough,
        }
    }

    /// What a client has seen, and with it all that has shown nothing to any reader at `date` and was written longer
    /// ago than a retry may take: tombstones, and values whose time is over. For a put at `stamp` for which there is
    /// no room otherwise.
    ///
    /// It does what a client would that had read the key here: what goes is remembered, as with its context. What a
    /// tombstone had replaced the vector covers, with and without it. Something younger may have seen the first try
    /// of this very put, and then each would have replaced the other.
    #[must_use]
    pub fn with_dead_seen(&self, seen: &Seen, date: WallClock, stamp: HybridTime) -> Seen {
        let mut wide = seen.clone();
        let is_old = |s: &Sibling| s.stamp.wall().0.saturating_add(window_ms()) <= stamp.wall().0;
        let dead = self.iter().filter(|s| s.value_at(date).is_none() && is_old(s));
        // Not for any client, so that these may be more than a context names.
        wide.shown.extend(dead.map(|sibling| (sibling.operation, sibling.dot)));
        wide
    }

    /// What became of an earlier try of the operation, if one is known here.
    pub fn repeated(&self, operation: OperationId, stamp: HybridTime) -> Option<Written> {
        let repeated = match self.find(operation) {
            Some(standing) => Some(Written::Repeated(standing.dot)),
            None => self.retried(operation, stamp).map(Written::Replaced),
        };
        repeated.filter(|_| guard::holds(Guard::RetryIsKnown))
    }

    /// Applies a write through `actor`, which [`Incarnations`](super::Incarnations) chose for this key.
    pub fn write(
        &mut self,
        seen: &Seen,
        actor: Actor,
        write: Write,
        conflict: Conflict,
    ) -> Written {
        if let Some(repeated) = self.repeated(write.operation, write.stamp) {
            self.repeat(repeated, seen, write.stamp, conflict);
            return repeated;
        }
        let (gone, unseen) =
            std::mem::take(&mut self.siblings).into_iter().partition::<Vec<_>, _>(|sibling| {
                let same_actor = sibling.dot.actor == actor;
                was_seen(sibling, seen) || same_actor && !guard::holds(Guard::DottedWrites)
            });
        // Above what is stored, also should the caller's clock have missed it.
        let newest = gone.iter().chain(&unseen).map(|s| s.stamp).max();
        let stamp = match conflict {
            Conflict::Siblings => write.stamp,
            Conflict::Lww => newest.map_or(write.stamp, |newest| write.stamp.max(newest.next())),
        };
        self.siblings = unseen;
        self.remember_seen(gone, seen, stamp);
        let counter = self.vector.get(actor).checked_add(1);
        let dot =
            Dot::new(actor, counter.expect("an actor that counts one by one never overflows"));
        self.vector.learn(dot);
        self.siblings.push(Sibling {
            dot,
            twins: Vec::new(),
            operation: write.operation,
            stamp,
            expires_at: write.expires_at,
            content: write.content,
            retry: write
                .tried_since
                .filter(|_| conflict == Conflict::Lww)
                .map(|since| since.max(seen.time).min(stamp)),
            beaten: false,
        });
        match conflict {
            Conflict::Siblings => self.sort(),
            Conflict::Lww => {
                let all = std::mem::take(&mut self.siblings);
                self.keep_latest(all.iter());
            }
        }
        self.limit_covered();
        Written::New(dot)
    }

    /// A try came again, with a context. Of a write that was replaced this replica may know no more than that: what it
    /// had seen goes.
    pub(super) fn repeat(
        &mut self,
        repeated: Written,
        seen: &Seen,
        stamp: HybridTime,
        conflict: Conflict,
    ) {
        if !matches!(repeated, Written::Replaced(_)) {
            return;
        }
        let all = std::mem::take(&mut self.siblings);
        let (gone, unseen) = all.into_iter().partition::<Vec<_>, _>(|s| was_seen(s, seen));
        self.siblings = unseen;
        self.remember_seen(gone, seen, stamp);
        if conflict == Conflict::Lww {
            let all = std::mem::take(&mut self.siblings);
            self.keep_latest(all.iter());
        }
        self.limit_covered();
    }

    /// These are replaced by a write with this stamp, and all else that it had seen.
    fn remember_seen(&mut self, gone: Vec<Sibling>, seen: &Seen, stamp: HybridTime) {
        let gone = gone.iter().map(|s| (s.operation, s.dot));
        // Writes of which this replica has not heard, and such as the vector cannot claim without claiming
        // others: they are remembered by their operations.
        let beyond = seen.beyond.iter().filter(|(_, dot)| !self.vector.covers(dot));
        // Who goes on naming what was replaced long ago does not make it new again.
        let shown = seen.shown.iter().filter(|(operation, _)| !self.has_overwritten(*operation));
        let unheard: Vec<_> = beyond.chain(shown).copied().collect();
        for (operation, dot) in gone.chain(unheard) {
            self.remember(Covered { operation, dot, stamp, cause: Cause::Overwritten });
        }
        self.vector.join(&seen.vector);
    }
}

impl Siblings {
    /// Whether everything that stands was seen, and all that was seen is known here: nobody has written or deleted since.
    /// What the operation `own` made counts as seen, for it may be an earlier try of whoever asks.
    pub fn stands_as_seen(&self, seen: &Seen, own: Option<OperationId>) -> bool {
        let standing = self.siblings.iter().filter(|sibling| !sibling.beaten);
        let mut unseen = standing.filter(|s| !was_seen(s, seen) && Some(s.operation) != own);
        unseen.next().is_none() && self.vector.descends(&seen.vector)
    }
}

/// Whether the client's context removes this sibling.
fn was_seen(sibling: &Sibling, seen: &Seen) -> bool {
    sibling.is_seen_by(&seen.vector) || seen.names(sibling.operation)
}
