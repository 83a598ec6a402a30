//! What this node holds of an item, for a reader: here, or at another node.

use super::stored::Stored;
use super::{Shard, Turn};
use crate::coordinator::Holding;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::ring::Role;
use crate::store::{StoreError, key};
use bytes::Bytes;
use std::sync::Arc;

/// See [`Holding`].
pub(super) struct Held {
    pub digest: Option<u128>,
    /// Where it was asked for whole.
    pub stored: Option<Arc<Stored>>,
    pub rebuilding: bool,
    pub stands_in_for: Vec<NodeId>,
    pub round: u32,
}

impl From<Held> for Holding {
    fn from(held: Held) -> Holding {
        let Held { digest, stored, rebuilding, stands_in_for, round } = held;
        let record = stored.map(|stored| stored.record.clone());
        Holding { digest, record, rebuilding, stands_in_for, round }
    }
}

impl Shard {
    /// What this node holds durably of an item.
    ///
    /// # Errors
    /// The store's; a record that cannot be read is in doubt from now on, if it was to be read whole.
    pub(super) fn held(
        &mut self,
        key: &Bytes,
        partition: PartitionId,
        n: u8,
        whole: bool,
        turn: &mut Turn,
    ) -> Result<Held, StoreError> {
        let stored = match whole {
            _ if self.pending.contains(key) && !guard::holds(Guard::DurableReads) => {
                self.pending.latest(key, turn.store)?
            }
            true => self.pending.shown(key, turn.store).inspect_err(|error| {
                if matches!(error, StoreError::Damaged(_)) {
                    self.cannot_read(key, turn);
                }
            })?,
            false => None,
        };
        let digest = match &stored {
            Some(stored) => Some(stored.digest),
            None if whole => None,
            None => self.pending.digest(key, turn.store)?,
        };
        let list = self.view.agreement.layout.preference_list(partition, n);
        let mut stands_in_for = Vec::new();
        if digest.is_some() && list.role(self.view.me) != Role::Primary {
            for owner in list.owners() {
                let in_range = self.handoff.is_in_durable_range(owner, partition, turn.store)?;
                if in_range || turn.store.head(&key::hint(owner, key))?.is_some() {
                    stands_in_for.push(owner);
                }
            }
        }
        let complete = self.view.counts && !self.slots.is_rebuilding(partition);
        let rebuilding = !complete || self.doubts.contains(key);
        let round = self.round_of(key);
        Ok(Held { digest, stored, rebuilding, stands_in_for, round })
    }
}
