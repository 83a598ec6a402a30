//! Ordered keys, atomic batches, and one promise: what is called durable survives a power cut.
//!
//! ```text
//!   commit(batch) ──► 41        durable() == 40     reads show 40: nothing unflushed is ever shown
//!        … one sync …
//!                               durable() == 41     reads show 41
//! ```
//!
//! A record has two parts: a *head* (vector, dots, stamps, expiry), which stays beside the key in the
//! index, and a *body* (the values), which only the log holds. Digests and scans touch heads only.

#[allow(clippy::disallowed_methods)] // it has a thread and a clock of its own
mod applier;
mod archive;
#[allow(clippy::disallowed_methods)] // it has a thread and a clock of its own
mod backup;
#[cfg(test)]
pub(crate) mod conformance;
mod disk;
mod front;
mod hold;
mod index;
pub mod key;
mod log;
pub mod memory;
mod options;
mod order;
mod overlay;
#[allow(clippy::disallowed_methods)] // it has a clock of its own
mod pace;
mod rebuild;
#[allow(clippy::disallowed_methods)] // it has a thread and a clock of its own
mod reclaim;
mod record;
mod recovery;
#[allow(clippy::disallowed_methods)] // it has a clock of its own
mod removal;
mod restore;
mod run;
mod scrub;
mod search;
mod segments;
mod shared;
#[cfg(test)]
mod simulated_disk;
mod sled_store;
mod state;
#[cfg(test)]
mod tests;
mod walk;
#[allow(clippy::disallowed_methods)] // it has a thread and a clock of its own
mod writer;

pub use archive::{Archive, ArchiveError};
pub use backup::{Backup, BackupError, Copied, CopiedFile, MANIFEST, Moved};
pub use memory::MemoryStore;
pub use options::{Durability, Options, Stats};
pub use recovery::Progress;
pub use restore::{RestoreError, restore, verify};
pub use sled_store::{OpenError, Opened, SledStore};

use bytes::Bytes;

/// The number of a batch in the order of this node's commits. It only grows within a lineage.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct CommitNumber(pub u64);

/// One change in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores a record under a key, in place of what was there.
    Put {
        /// The whole store key.
        key: Bytes,
        /// What stays beside the key in the index.
        head: Bytes,
        /// What only the log holds.
        body: Bytes,
    },
    /// Removes one key.
    Erase {
        /// The whole store key.
        key: Bytes,
    },
    /// Removes every key in `from..to`.
    EraseRange {
        /// The first key that goes.
        from: Bytes,
        /// The first key that stays.
        to: Bytes,
    },
}

/// Changes that happen together or not at all. A later change of one key wins over an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In order.
    pub changes: Vec<Change>,
}

/// A whole record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// See [`Change::Put`].
    pub head: Bytes,
    /// See [`Change::Put`].
    pub body: Bytes,
}

/// Why the store could not do it. After [`Failed`](StoreError::Failed) it never takes a batch again in
/// this process: what the kernel did with the pages is unknown, so a retry would prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing of this batch was kept; reads go on.
    #[error("the disk is full: {0}")]
    Full(String),
    /// A write or a sync failed. Nothing after the durable number can be trusted to exist.
    #[error("the disk failed: {0}")]
    Failed(String),
    /// Not now: too much waits for the disk already, and nothing of this batch was kept; or a file of it cannot be
    /// opened at the moment, and what is in it is not known. Wait and try again.
    #[error("the disk is busy: {0}")]
    Busy(String),
    /// A record does not match its checksum. It is never returned.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Where a scrub goes on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ScrubAt {
    /// At a batch of the log.
    Log {
        /// In which segment.
        segment: u32,
        /// At which byte.
        offset: u32,
    },
    /// At the first of these keys that there is.
    Keys(Bytes),
}

impl Default for ScrubAt {
    fn default() -> ScrubAt {
        ScrubAt::Log { segment: 0, offset: 0 }
    }
}

/// See [`Store::room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of log and index.
    pub used: u64,
    /// Bytes that are free on their disk.
    pub free: u64,
}

/// What a page of a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Where it goes on; nothing: that was all.
    pub next: Option<ScrubAt>,
    /// Bytes that were read.
    pub bytes: u64,
    /// About how many bytes a whole scrub reads.
    pub total: u64,
    /// Records that were read.
    pub records: u64,
    /// Keys of records that cannot be read and that this store cannot mend.
    pub damaged: Vec<Bytes>,
    /// Places in the log where batches should be and are not whole.
    pub regions: u64,
    /// Records that are being copied out of such places.
    pub copied: u64,
    /// Entries of the index that did not agree with the log and are being set right.
    pub mended: u64,
}

/// Records that can be looked up. What is only that, and no [`Store`], a node does not hold, but may take from.
pub trait Source {
    /// The whole record at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError>;

    /// The head of the record at `key`, without touching its body.
    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Up to `limit` keys of `from..to` in order, with their heads.
    fn scan(&self, from: &[u8], to: &[u8], limit: usize)
    -> Result<Vec<(Bytes, Bytes)>, StoreError>;
}

/// An ordered store with group commit. One writer per node; `commit` never waits for a disk.
///
/// - Reads show exactly the batches up to [`durable`](Store::durable), and never part of one.
/// - `durable` grows, in order, and only after the batch would survive a power cut.
pub trait Store: Source {
    /// Hands over a batch. It is not durable, and not visible, until `durable` reaches its number.
    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError>;

    /// The newest batch that would survive a power cut now.
    fn durable(&self) -> CommitNumber;

    /// Why the store takes no more batches, if so.
    fn failed(&self) -> Option<StoreError>;

    /// How much room it takes, and how much there is; `None` where that is no question.
    fn room(&self) -> Option<Room> {
        None
    }

    /// Whether so much waits for the disk that new work should be turned away at the door: well before
    /// `commit` would answer [`Busy`](StoreError::Busy).
    fn congested(&self) -> bool {
        false
    }

    /// Up to `limit` keys of `from..to`, the last one first, with their heads. A store that can begin at the end does.
    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut items = self.scan(from, to, usize::MAX)?;
        items.reverse();
        items.truncate(limit);
        Ok(items)
    }

    /// Reads what is stored once more from the disk, about so many bytes of it, beside everything else. Whether
    /// it was begun: one page at a time, and a store that has no disk to read does not begin.
    fn scrub(&self, _from: &ScrubAt, _bytes: u64) -> bool {
        false
    }

    /// What the page that was asked for has found, once, when it is read.
    fn scrubbed(&self) -> Option<Scrubbed> {
        None
    }
}
