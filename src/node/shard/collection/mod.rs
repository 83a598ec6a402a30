//! Tombstones, and how they go: in numbered rounds, one partition at a time, never by a clock.
//!
//! ```text
//!   graves.rs    which partitions have tombstones?  ─► a page of them
//!   drive.rs     the first owner of the list leads an attempt (`crate::collection`): all that one node is to do
//!                for all partitions goes in one frame
//!   steps.rs     what each position does when it is asked
//!   rounds.rs    the numbers of each partition, and what is too old by them
//!   settled.rs   does anything lie here where this node has no place? Then no round begins anywhere
//!   gone.rs      operations of what was collected, against late retries
//! ```
//!
//! **The invariant.** A frame with a record in it says under which round that was read from a store. *What was
//! read under r is, for each key that round r or an earlier one collects, the tombstone or something that knows it,
//! or it was written after the collection.* It holds because
//!
//! - a key is *verified* on every owner before its round is *opened*, and an owner's store only learns;
//! - a node stamps with r only what it reads from its own partition after it has opened r. What it keeps for others
//!   it stamps with the last round that it has *drained*: then it kept nothing, and takes nothing older since;
//! - what was joined out of several replies has the smallest of their rounds, and a round is never opened twice:
//!   each position refuses a number that is not above all that it has used;
//! - once every owner has *closed* r, nothing older is taken in. Only then anything is erased.
//!
//! **Numbers live in one epoch** of the layout, and begin at 1 in each. Frames of other epochs are refused anyway,
//! requests that outlive an epoch read again, and a round takes place only while owners do not change, between
//! members that all have said, in this epoch, that nothing lies on them where they have no place (`settled.rs`). So
//! when something was collected in an epoch, no store and no wire has anything older to bring into the next one,
//! and nobody has to learn a number from anybody. A member that is away has said so before, or has not: then
//! tombstones are kept until it is back, or removed.
//!
//! **Who has forgotten a number** is an old copy of itself. A round is drained and closed only after every position
//! has opened it, durably. So whoever is asked to do either under a number that it has not opened has lost what it
//! did since, though nobody had noted how far it was (`topology::witness`): its directory is set aside. Else nobody
//! would take anything from it for the rest of the epoch.
//!
//! **Round 0** is what nobody vouches for: a store that may be an old copy of itself. It is never taken.

mod drive;
mod gone;
mod graves;
mod rounds;
mod settled;
mod steps;
#[cfg(test)]
mod tests;

use super::timers::Timer;
use super::{Life, Shard, Turn};
use crate::id::PartitionId;
use crate::store::{Store, StoreError};
use crate::time::Duration;
use crate::version::Record;
use drive::Drive;
use gone::Gone;
use graves::Graves;
use rounds::Rounds;
use settled::Settled;
use steps::Waiting;

/// How often there is time for it while there is something to do.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How often it is looked whether there is.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Collection {
    rounds: Rounds,
    waiting: Waiting,
    graves: Graves,
    drive: Drive,
    settled: Settled,
    gone: Gone,
    /// A number that everybody has opened, and that this node knows nothing of; and the one that it knows.
    forgotten: Option<(PartitionId, u32, u32)>,
}

impl Collection {
    /// What an earlier life has left.
    ///
    /// # Errors
    /// The store's.
    pub fn open(store: &dyn Store) -> Result<Collection, StoreError> {
        Ok(Collection { gone: Gone::open(store)?, ..Collection::default() })
    }

    /// The batch of this turn was refused, and what it was to erase is here still.
    pub fn forget_staged(&mut self) {
        self.graves.mark_all();
        self.waiting.clear();
        self.settled.forget_staged();
    }

    /// This record is written.
    pub fn note(&mut self, key: &[u8], record: &Record) {
        self.graves.note(key, record);
    }

    /// Whether nothing lies here where this node has no place, under the layout of now.
    pub fn is_settled(&self) -> bool {
        self.settled.is_done()
    }

    /// Why tombstones are kept, where some are to go.
    pub fn kept_because(&self) -> Option<&str> {
        self.drive.kept_because()
    }
}

impl Shard {
    /// A new epoch: numbers begin anew, and attempts are over.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn begin_rounds(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let epoch = self.view.agreement.layout.epoch;
        self.collection.rounds = Rounds::load(epoch, turn.store)?;
        self.collection.waiting.clear();
        // What they were for is still to be collected.
        let led: Vec<_> = self.collection.drive.led().collect();
        for partition in led {
            self.collection.graves.left(partition, turn.now.instant);
        }
        self.collection.drive = Drive::default();
        self.collection.settled = Settled::default();
        let owned: Vec<_> = self.slots.owned().map(|(partition, _)| partition).collect();
        self.collection.graves.keep(owned.into_iter());
        self.timers.set(turn.now.instant + TICK, Timer::Collect);
        Ok(())
    }

    /// Why this directory is an old copy of itself, if it is.
    pub fn is_old_copy(&self) -> Option<String> {
        let (partition, theirs, mine) = self.collection.forgotten?;
        Some(format!(
            "this directory is behind: of partition {} it has opened round {theirs}, and it holds {mine}",
            partition.0
        ))
    }

    /// A while has passed.
    pub(super) fn collect_due(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        self.persist_clock(turn);
        let ready = self.view.admitted && self.life == Life::Running && self.disk.is_none();
        if !ready {
            self.timers.set(now + IDLE_TICK, Timer::Collect);
            return;
        }
        self.settle(turn);
        self.forget_gone(turn);
        let busy = self.drive(turn);
        let busy = busy || !self.collection.is_settled();
        self.timers.set(now + if busy { TICK } else { IDLE_TICK }, Timer::Collect);
    }
}
