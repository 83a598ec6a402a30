//! The guards of the protocol, by name: counted where they act, so that a simulation can say which of them it
//! never reached; and in test builds taken out one at a time, so that it can show that it would notice.
//!
//! ```text
//!   if ended_uncleanly && guard::holds(Guard::FreshActor) { mint anew }
//!                         └── counts; true, unless this build can mutate and this thread does
//! ```
//!
//! Counts and mutants belong to a thread: a simulated cluster runs on one, real nodes are never mutated.

use std::cell::Cell;

/// What would lose, invent or revive data if it were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Guard {
    /// What waits for a batch is let out only when the batch is durable.
    AckAfterFlush,
    /// A hint is in the store, not only in memory.
    DurableHint,
    /// Two writes of one actor are two dots, and the second does not replace the first unseen.
    DottedWrites,
    /// The actor of a life that ended uncleanly is not continued.
    FreshActor,
    /// Only what the client was shown is replaced, not all that the coordinator knows.
    ClientContext,
    /// An owner and its stand-in are one slot.
    DistinctSlots,
    /// Replicas join by versions, not by time.
    JoinByVersions,
    /// A digest tells everything that matters of a record.
    WholeDigest,
    /// A retry is recognised by its operation id.
    RetryIsKnown,
    /// What a delete removed is remembered as removed.
    TombstoneStays,
    /// A hint stays until its owner has the item durably.
    HintStays,
    /// A fallback's "nothing" does not count towards R.
    NothingIsNoAnswer,
    /// What is not durable is not shown.
    DurableReads,
    /// A put goes on from the pending record, not from the durable one.
    PutFromPending,
    /// A node that is behind what others saw of it sets its directory aside.
    Witness,
    /// A slot that is rebuilding does not count towards R.
    RebuildingIsNoAnswer,
    /// A strict read writes back before it answers.
    WriteBack,
    /// An operation that was overwritten does not come back under another dot.
    OverwrittenStays,
    /// Under `lww`, a retry has the stamp of its first attempt.
    FirstStamp,
    /// And what it beats by a later one is kept until that is known.
    BeatenStays,
    /// A comparison mends what a dead coordinator left without a hint.
    FullSync,
    /// A tree follows every write.
    TreeIsKept,
    /// A tombstone is collected only where every owner has it.
    VerifiedByAll,
    /// A round goes on only when nothing older is kept for anybody.
    HintsAreDrained,
    /// What was read before a round that is closed is refused.
    RoundIsClosed,
    /// The operations of what was collected are remembered for a while.
    CollectedIsKnown,
    /// Nothing is taken from a store of which nobody knows yet how old it is.
    OldStoreIsMute,
    /// An item in a dirty range stays until its owner has it durably.
    DirtyRangeStays,
    /// While owners change, a write needs a quorum of the old ones and one of the new ones.
    WriteBoth,
    /// New owners are read when they have copied what they are to own.
    CopiedBeforeRead,
    /// Who owns a partition no longer erases it when every owner has it.
    ComparedBeforeErased,
    /// Nobody loses its places as dead whom others see alive.
    AliveIsNotRemoved,
    /// A change ends when no quorum of the old owners is read any more.
    OldOwnersKnow,
}

/// How many there are.
const COUNT: usize = Guard::EVERY.len();

impl Guard {
    /// All of them, in their order.
    pub const EVERY: [Guard; 33] = [
        Guard::AckAfterFlush,
        Guard::DurableHint,
        Guard::DottedWrites,
        Guard::FreshActor,
        Guard::ClientContext,
        Guard::DistinctSlots,
        Guard::JoinByVersions,
        Guard::WholeDigest,
        Guard::RetryIsKnown,
        Guard::TombstoneStays,
        Guard::HintStays,
        Guard::NothingIsNoAnswer,
        Guard::DurableReads,
        Guard::PutFromPending,
        Guard::Witness,
        Guard::RebuildingIsNoAnswer,
        Guard::WriteBack,
        Guard::OverwrittenStays,
        Guard::FirstStamp,
        Guard::BeatenStays,
        Guard::FullSync,
        Guard::TreeIsKept,
        Guard::VerifiedByAll,
        Guard::HintsAreDrained,
        Guard::RoundIsClosed,
        Guard::CollectedIsKnown,
        Guard::OldStoreIsMute,
        Guard::DirtyRangeStays,
        Guard::WriteBoth,
        Guard::CopiedBeforeRead,
        Guard::ComparedBeforeErased,
        Guard::AliveIsNotRemoved,
        Guard::OldOwnersKnow,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Guard::AckAfterFlush => "ack-after-flush",
            Guard::DurableHint => "durable-hint",
            Guard::DottedWrites => "dotted-writes",
            Guard::FreshActor => "fresh-actor",
            Guard::ClientContext => "client-context",
            Guard::DistinctSlots => "distinct-slots",
            Guard::JoinByVersions => "join-by-versions",
            Guard::WholeDigest => "whole-digest",
            Guard::RetryIsKnown => "retry-is-known",
            Guard::TombstoneStays => "tombstone-stays",
            Guard::HintStays => "hint-stays",
            Guard::NothingIsNoAnswer => "nothing-is-no-answer",
            Guard::DurableReads => "durable-reads",
            Guard::PutFromPending => "put-from-pending",
            Guard::Witness => "witness",
            Guard::RebuildingIsNoAnswer => "rebuilding-is-no-answer",
            Guard::WriteBack => "write-back",
            Guard::OverwrittenStays => "overwritten-stays",
            Guard::FirstStamp => "first-stamp",
            Guard::BeatenStays => "beaten-stays",
            Guard::FullSync => "full-sync",
            Guard::TreeIsKept => "tree-is-kept",
            Guard::VerifiedByAll => "verified-by-all",
            Guard::HintsAreDrained => "hints-are-drained",
            Guard::RoundIsClosed => "round-is-closed",
            Guard::CollectedIsKnown => "collected-is-known",
            Guard::OldStoreIsMute => "old-store-is-mute",
            Guard::DirtyRangeStays => "dirty-range-stays",
            Guard::WriteBoth => "write-both",
            Guard::CopiedBeforeRead => "copied-before-read",
            Guard::ComparedBeforeErased => "compared-before-erased",
            Guard::AliveIsNotRemoved => "alive-is-not-removed",
            Guard::OldOwnersKnow => "old-owners-know",
        }
    }
}

thread_local! {
    static REACHED: [Cell<u64>; COUNT] = const { [const { Cell::new(0) }; COUNT] };
    #[cfg(any(test, feature = "mutants"))]
    static TAKEN_OUT: Cell<Option<Guard>> = const { Cell::new(None) };
}

/// Notes that a guard is about to act, and says whether it is there: always, but in builds that can mutate.
#[inline]
pub fn holds(guard: Guard) -> bool {
    REACHED.with(|reached| {
        let count = &reached[guard as usize];
        count.set(count.get() + 1);
    });
    #[cfg(any(test, feature = "mutants"))]
    return TAKEN_OUT.get() != Some(guard);
    #[cfg(not(any(test, feature = "mutants")))]
    true
}

/// How often each guard acted on this thread since this was last asked.
pub fn take_counts() -> impl Iterator<Item = (Guard, u64)> {
    let counts = REACHED.with(|reached| reached.each_ref().map(|count| count.take()));
    Guard::EVERY.into_iter().zip(counts)
}

/// Takes a guard out on this thread, or puts all of them back.
#[cfg(any(test, feature = "mutants"))]
pub fn take_out(guard: Option<Guard>) {
    TAKEN_OUT.set(guard);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_counted_and_taken_out_by_thread() {
        assert!(Guard::EVERY.iter().enumerate().all(|(at, guard)| *guard as usize == at));
        let _ = take_counts();
        take_out(Some(Guard::Witness));
        assert!(!holds(Guard::Witness) && holds(Guard::WriteBack));
        assert!(std::thread::spawn(|| holds(Guard::Witness)).join().unwrap());
        take_out(None);
        assert!(holds(Guard::Witness));
        let counts: Vec<_> = take_counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(Guard::Witness, 2), (Guard::WriteBack, 1)]);
    }
}
