//! A backup that was restored: no data of this node, but bytes that need not cross the wire.
//!
//! ```text
//!            an owner says   the backup has
//!   k        digest 7        digest 7         taken from the backup
//!   k        digest 8        digest 7         fetched
//!   k        nothing         digest 7         left where it is: it was deleted since, and collected
//!   k, n=1   (no owner)      digest 7         taken: there is nobody to contradict
//! ```
//!
//! - The node begins like one whose disk was lost. Nothing that it shows, compares, pushes or collects comes from the
//!   backup before somebody who holds the same vouches for it.
//! - A comparison asks the owner once more before it takes something: for the digest in place of the record. So what is
//!   taken is what the owner held under the round that its answer says, and may be as old as any record that is fetched.
//!   The page of digests says no round, and may be older than one that is closed.
//! - What only the backup can have is here, durably, before its slot is complete (`refill.rs`). No round of a partition
//!   ends while an owner's slot is not, so nothing can have been deleted and collected before the backup's version of it
//!   came in.
//! - A crash loses nothing: slots that are not complete are compared, and refilled, once more.
//! - That it cannot be read for now says nothing of what is in it: comparisons go on without it, and what it alone has is
//!   waited for. Only a driver that finds it damaged takes it away for good.

use super::Shard;
use crate::store::Source;
use crate::version::{Head, Record};

/// What a driver is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredIs {
    /// It is, or will be, looked into.
    Wanted,
    /// This node is whole: nothing more is taken from it.
    Done,
    /// It cannot be read any more, as it was opened: it is to be opened again.
    Unusable,
}

/// See the module's picture.
#[derive(Default)]
pub enum Restored {
    /// There is none, or no more.
    #[default]
    None,
    /// It is being read for the first time.
    Opening,
    /// It can be looked into.
    Open {
        /// What it is read through.
        source: Box<dyn Source + Send>,
        /// It is this node's own: what no other owner has is taken from it, too.
        is_own: bool,
    },
    /// It cannot be, for now. A driver closes what it was read through, which may take a while.
    Away(Option<Box<dyn Source + Send>>),
}

impl Restored {
    /// What it is read through.
    pub fn into_source(self) -> Option<Box<dyn Source + Send>> {
        match self {
            Restored::Open { source, .. } => Some(source),
            Restored::Away(source) => source,
            Restored::None | Restored::Opening => None,
        }
    }

    /// Whether it is, or is about to be, taken from.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Restored::Opening | Restored::Open { .. })
    }

    /// Whether it is still to come.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self, Restored::Opening)
    }
}

impl Shard {
    /// What is still wanted of the restored backup.
    pub fn restored(&self) -> RestoredIs {
        let layout = &self.view.agreement.layout;
        let is_settled = self.view.admitted && self.view.counts && layout.transition.is_none();
        let has_slots = self.slots.owned().next().is_some();
        let is_whole = is_settled && has_slots && self.is_complete();
        match &self.restored {
            Restored::Away(Some(_)) => RestoredIs::Unusable,
            Restored::Open { .. } | Restored::Away(None) if is_whole => RestoredIs::Done,
            _ => RestoredIs::Wanted,
        }
    }

    /// For a driver that brings it or takes it away.
    pub fn restored_mut(&mut self) -> &mut Restored {
        &mut self.restored
    }

    /// Whether what has this digest lies in the restored backup.
    pub(super) fn is_restored(&self, key: &[u8], digest: u128) -> bool {
        let Restored::Open { source, .. } = &self.restored else { return false };
        let Ok(Some(head)) = source.head(key) else { return false };
        Head::decode(&head).is_ok_and(|head| head.digest() == digest)
    }

    /// What lies there of an item of which another owner holds `theirs`: nothing, unless that is the same.
    pub(super) fn restored_record(
        &self,
        key: &[u8],
        digest: u128,
        theirs: Option<u128>,
    ) -> Option<Record> {
        let Restored::Open { source, .. } = &self.restored else { return None };
        let entry = source.get(key).ok()??;
        let record = Record::decode(&entry.head, entry.body).ok()?;
        let is_same = theirs == Some(digest) && record.siblings.digest() == digest;
        is_same.then_some(Record { local: None, ..record })
    }
}

#[cfg(test)]
#[path = "restored_tests.rs"]
mod tests;
