//! The numbers of each partition: what this node stamps with, and what is too old for it.
//!
//! ```text
//!   opened 7   what is read from here on is stamped with 7
//!   drained 6  what is kept for others came under 6 or later, and is stamped with 6
//!   closed 5   what was read before 5 is not taken in
//! ```
//!
//! `closed ≤ drained ≤ opened`, here and, for the rounds of one epoch, across all positions of the list.

use super::super::Shard;
use crate::guard::{self, Guard};
use crate::id::{Epoch, NodeId, PartitionId};
use crate::store::{Change, Store, StoreError, key};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Under which of the node's own keys they are.
const PREFIX: &str = "round/";

/// The numbers of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// What this node stamps with: durable.
    pub opened: u32,
    /// What it will stamp with, once that is durable.
    pub opening: u32,
    /// See the module's picture.
    pub drained: u32,
    /// See the module's picture.
    pub closed: u32,
    /// Whose attempt the last opening was: a question that comes twice is no other attempt.
    pub opener: Option<(NodeId, u64)>,
}

/// What every partition begins an epoch with.
const FIRST: Round = Round { opened: 1, opening: 1, drained: 1, closed: 1, opener: None };

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    epoch: Epoch,
    of: BTreeMap<PartitionId, Round>,
}

impl Rounds {
    /// What this node has noted in this epoch.
    pub fn load(epoch: Epoch, store: &dyn Store) -> Result<Rounds, StoreError> {
        let from = key::meta(PREFIX);
        let all = store.scan(&from, &key::after_prefix(&from), usize::from(u16::MAX) + 1)?;
        let of = all.iter().filter_map(|(key, head)| {
            let partition = PartitionId(u16::from_be_bytes(*key.last_chunk()?));
            let (noted, rest) = head.split_first_chunk::<8>()?;
            let numbers: Vec<u32> = rest
                .chunks_exact(4)
                .filter_map(|number| Some(u32::from_le_bytes(*number.first_chunk()?)))
                .collect();
            let [opened, drained, closed] = numbers[..] else { return None };
            let round = Round { opened, opening: opened, drained, closed, opener: None };
            (u64::from_le_bytes(*noted) == epoch.0).then_some((partition, round))
        });
        Ok(Rounds { epoch, of: of.collect() })
    }

    /// The numbers of a partition.
    pub fn get(&self, partition: PartitionId) -> Round {
        self.of.get(&partition).copied().unwrap_or(FIRST)
    }

    /// They are these from now on; the change makes it durable.
    pub fn set(&mut self, partition: PartitionId, round: Round) -> Change {
        self.of.insert(partition, round);
        let Round { opening, drained, closed, .. } = round;
        let mut head = self.epoch.0.to_le_bytes().to_vec();
        for number in [opening, drained, closed] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        let key = [&key::meta(PREFIX)[..], &partition.0.to_be_bytes()].concat().into();
        Change::Put { key, head: head.into(), body: Bytes::new() }
    }

    /// This opening is durable.
    pub fn opened(&mut self, partition: PartitionId, number: u32) {
        if let Some(round) = self.of.get_mut(&partition) {
            round.opened = round.opened.max(number.min(round.opening));
        }
    }
}

impl Shard {
    /// Under which round this node reads what it holds of an item; 0: nobody vouches for its store yet.
    pub(in super::super) fn round_of(&self, key: &[u8]) -> u32 {
        let Some(partition) = key::partition_of_item(key) else { return 0 };
        if !self.vouched_for(partition) && guard::holds(Guard::OldStoreIsMute) {
            return 0;
        }
        let round = self.collection.rounds.get(partition);
        if self.owns(key, partition) { round.opened } else { round.drained }
    }

    /// Under which round something is written that was read nowhere.
    pub(in super::super) fn round_of_new(&self, partition: PartitionId) -> u32 {
        self.collection.rounds.get(partition).opened
    }

    /// Whether a record that was read under this round is too old to be taken in here.
    pub(in super::super) fn is_stale(&self, key: &[u8], round: u32) -> bool {
        let Some(partition) = key::partition_of_item(key) else { return true };
        if round == 0 {
            return guard::holds(Guard::OldStoreIsMute);
        }
        let numbers = self.collection.rounds.get(partition);
        let floor = if self.owns(key, partition) { numbers.closed } else { numbers.drained };
        round < floor && guard::holds(Guard::RoundIsClosed)
    }

    /// Whether what lies here of a partition is surely no old copy.
    pub(in super::super) fn vouched_for(&self, _partition: PartitionId) -> bool {
        self.view.counts
    }

    fn owns(&self, key: &[u8], partition: PartitionId) -> bool {
        self.replicas_of(key).is_some_and(|n| self.is_owner(partition, n))
    }

    /// Whether an owner's answers about a partition are whole: it lacks nothing of what it owns.
    pub(super) fn is_whole(&self, partition: PartitionId) -> bool {
        self.view.counts && !self.is_filling(partition) && self.disk.is_none()
    }
}
