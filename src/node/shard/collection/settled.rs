//! Whether anything lies here where this node has no place: what it was to give away, or kept for others, when it
//! had one. Once it has found, under a layout, that there is nothing, nothing can come any more: whoever sends it
//! something is refused. So it is looked once an epoch, and said in gossip.

use super::super::{Shard, Turn};
use crate::id::PartitionId;
use crate::node::outbox::Release;
use crate::ring::Role;
use crate::store::key;
use bytes::Bytes;

/// How many partitions, or hints, are looked at in a tick.
const LOOKED_AT: usize = 512;

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// What was on its way to the disk when the layout came is durable; and the release that says so.
    flushed: bool,
    release: Option<u64>,
    partition: usize,
    hints: Option<Bytes>,
    done: bool,
}

impl Settled {
    /// Whether there is nothing.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The batch with the release may have been refused: there will be another one.
    pub fn forget_staged(&mut self) {
        self.release = None;
    }

    /// Whether it was waiting for this release.
    pub fn released(&mut self, ticket: u64) -> bool {
        let mine = self.release == Some(ticket);
        self.flushed |= mine;
        mine
    }
}

impl Shard {
    /// Looks a little further.
    pub(super) fn settle(&mut self, turn: &mut Turn) {
        let view = self.view.clone();
        let layout = &view.agreement.layout;
        if self.collection.settled.done || layout.transition.is_some() {
            return;
        }
        if !self.collection.settled.flushed {
            if self.collection.settled.release.is_none() {
                let ticket = self.collection.waiting.ticket();
                self.collection.settled.release = Some(ticket);
                turn.outbox.when_durable(Release::Round { ticket });
            }
            return;
        }
        let settled = &mut self.collection.settled;
        let has_place = |partition: PartitionId| {
            layout.preference_list(partition, layout.replicas).role(view.me) != Role::Stranger
        };
        let count = layout.partitions.count();
        for _ in 0..LOOKED_AT {
            if settled.partition == count {
                break;
            }
            let partition = PartitionId(u16::try_from(settled.partition).unwrap_or_default());
            let (from, to) = key::partition_range(partition);
            if !has_place(partition)
                && !matches!(turn.store.scan(&from, &to, 1), Ok(page) if page.is_empty())
            {
                // Until it has been given away.
                return;
            }
            settled.partition += 1;
        }
        if settled.partition < count {
            return;
        }
        let (first, to) = key::hint_range(None);
        let from = settled.hints.clone().unwrap_or(first);
        let Ok(page) = turn.store.scan(&from, &to, LOOKED_AT) else { return };
        let is_foreign = |hint: &Bytes| {
            let item = key::parse_hint(hint).map(|(_, item)| item);
            let partition = item.and_then(|item| key::partition_of_item(&item));
            partition.is_none_or(|partition| !has_place(partition))
        };
        let foreign = page.iter().find(|(hint, _)| is_foreign(hint));
        let last = foreign.or_else(|| page.last().filter(|_| page.len() == LOOKED_AT));
        match last {
            Some((hint, _)) => settled.hints = Some(hint.clone()),
            None => settled.done = true,
        }
    }
}
