//! What the shard does when its disk says no, and when it says yes again.

use super::request::Work;
use super::stored::Stored;
use super::trees::Before;
use super::{Life, Shard, Turn};
use crate::error::Error;
use crate::guard::{self, Guard};
use crate::message::peer;
use crate::node::outbox::Release;
use crate::store::{Change, StoreError, key};
use bytes::Bytes;
use std::sync::Arc;

impl Shard {
    /// The batch of this turn was refused: none of it is stored here, though other replicas may have
    /// been told of its dots. So the incarnation ends.
    pub fn commit_failed(&mut self, error: StoreError, turn: &mut Turn) {
        self.pending.forget_staged();
        self.handoff.forget_staged();
        self.intake.forget_staged();
        self.trees.forget_staged();
        self.collection.forget_staged();
        self.refill.begin_again();
        self.dropped.begin_again();
        self.sync.forget_told();
        self.life = Life::Ended;
        self.disk = Some(error);
        self.fail_local(turn);
    }

    /// A full disk may have room again. A new incarnation begins once everything that was accepted before
    /// is durable: until then a key's newest version is not known here.
    pub(super) fn recover_disk(&mut self, turn: &mut Turn) {
        let full = matches!(self.disk, Some(StoreError::Full(_) | StoreError::Busy(_)));
        let durable = self.pending.is_empty() && self.handoff.is_settled();
        if !full || !durable || turn.store.failed().is_some() || self.stopping {
            return;
        }
        self.disk = None;
        self.go_on_erasing(turn);
        self.begin_life(turn);
        self.note_doubts(turn);
        for change in self.trees.erase_untrue() {
            turn.outbox.persist(change);
        }
        // What could not be read when the layout came.
        let view = self.view.clone();
        let slots = self.slots.reload(&view, turn.store);
        let slots = slots.and_then(|()| self.acquire.reload(&view, turn.store));
        if let Err(error) = slots.and_then(|()| self.recount_hints(turn)) {
            self.disk = Some(error);
        }
    }

    /// Begins an incarnation: it mints once its record is durable.
    pub(super) fn begin_life(&mut self, turn: &mut Turn) {
        self.life = Life::Beginning;
        self.incarnations.begin(self.rng.u64(1..));
        self.persist_incarnations(turn);
        let request = super::LIFE_TICKET;
        turn.outbox.when_durable(Release::Stored { request, epoch: Default::default() });
    }

    fn recount_hints(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        self.handoff = super::Handoff::open(turn.store)?;
        self.review_hints(turn);
        Ok(())
    }

    /// The newest record of a key, durable or not, to be written over; and what its tree has for it. One that
    /// cannot be read is in doubt from now on, and as if it were not there.
    ///
    /// # Errors
    /// The store's; then it must not be written over.
    pub(super) fn latest(
        &mut self,
        key: &Bytes,
        turn: &mut Turn,
    ) -> Result<(Option<Arc<Stored>>, Before), StoreError> {
        match self.pending.latest(key, turn.store) {
            Ok(None) => Ok((None, Before::Nothing)),
            Ok(Some(stored)) => {
                let digest = stored.digest;
                Ok((Some(stored), Before::Digest(digest)))
            }
            Err(StoreError::Damaged(_)) if self.cannot_read(key, turn) => {
                Ok((None, Before::Unknown))
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a record, or its erasure, into the batch of this turn, in place of what was there before.
    pub(super) fn stage(
        &mut self,
        key: Bytes,
        before: Before,
        stored: Option<Stored>,
        turn: &mut Turn,
    ) {
        let stands = |s: &Stored| s.record.siblings.standing_values().next().is_some();
        let stored = stored.filter(|stored| stands(stored) || guard::holds(Guard::TombstoneStays));
        turn.outbox.persist(match &stored {
            Some(Stored { encoded: peer::Record { head, body }, .. }) => {
                Change::Put { key: key.clone(), head: head.clone(), body: body.clone() }
            }
            None => Change::Erase { key: key.clone() },
        });
        if let Some(stored) = &stored {
            self.collection.note(&key, &stored.record);
        }
        let after = stored.as_ref().map(|stored| stored.digest);
        if let Some(n) = self.replicas_of(&key)
            && let Some(partition) = key::partition_of_item(&key)
            && let Some(erase) =
                self.trees.stage(partition, n, &key, before, after, turn.now.instant)
        {
            turn.outbox.persist(erase);
        }
        self.pending.stage(key, stored.map(Arc::new));
    }

    /// The disk has refused a batch: no put of this node can count on its own copy any more.
    pub(super) fn fail_local(&mut self, turn: &mut Turn) {
        let me = self.view.me;
        for id in self.requests.numbers() {
            let Some(mut request) = self.requests.take(id) else { continue };
            match &mut request.work {
                Work::Put(put) => {
                    put.here = false;
                    self.was_refused(id, &mut request, me, turn);
                }
                Work::Get(get) if get.waits_for(me) => {
                    self.was_refused(id, &mut request, me, turn);
                }
                // What it waits for was in that batch, or comes after it.
                Work::Compare(compare) => compare.failed = true,
                _ => {}
            }
            self.go_on(id, request, turn);
        }
    }
}

/// What a caller hears of the store.
pub(super) fn disk_error(error: StoreError) -> Error {
    match error {
        StoreError::Full(why) => Error::DiskFull(why),
        StoreError::Busy(why) => Error::Overloaded(why),
        StoreError::Failed(why) | StoreError::Damaged(why) => Error::Internal(why),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lone, agreement, next_epoch, view};
    use super::*;
    use crate::id::NodeId;
    use crate::message::client::{Item, Reply, Request};
    use crate::message::peer::{Data, Refusal};
    use crate::node::ConnectionId;
    use crate::quorum::{Consistency, QuorumRequest};
    use crate::ring::BucketSettings;
    use crate::store::Source;
    use crate::version::OperationId;

    /// What was collected in the old epoch would come back with it.
    #[test]
    fn what_the_disk_has_refused_is_stored_nowhere_under_another_epoch() {
        let agreed = agreement(&[1, 2, 3], 3, BucketSettings::new(3));
        let mut lone = Lone::open(view(agreed.clone()));
        let item = Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
        let (_, _, key) = lone.shard.place(&item).expect("it exists");
        lone.run_for(100);
        lone.disk.set_full(true);
        let consistency = Some(Consistency::Quorum);
        let put = Request::Put {
            item,
            quorum: QuorumRequest { consistency, count: None, strict: false },
            value: Some(Bytes::from_static(b"v")),
            context: String::new(),
            operation: OperationId { session: 3, sequence: 1 },
            expires_at: None,
            tried_since: None,
        };
        lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), 1, 0, put, turn));
        assert!(lone.shard.disk_error().is_some());
        lone.disk.set_full(false);
        for _ in 0..200 {
            if lone.shard.disk_error().is_none() {
                break;
            }
            lone.run_for(10);
        }
        assert!(lone.shard.disk_error().is_none() && lone.replies.is_empty());
        lone.sent.clear();
        lone.install(view(next_epoch(agreed)));
        lone.settle();
        assert_eq!(lone.disk.head(&key), Ok(None));
        let is_put = |message: &Data| matches!(message, Data::Replicate { .. });
        let asked: Vec<(NodeId, u64, u32)> = lone
            .sent
            .iter()
            .filter(|(.., message)| is_put(message))
            .map(|(to, header, _)| (*to, header.request, header.round))
            .collect();
        assert_eq!(asked.len(), 2);
        for (to, request, round) in asked {
            assert_eq!(round, 0, "nobody takes it");
            lone.hear(to.0, request, Data::Refused(Refusal::StaleRound));
        }
        let unknown = |reply: &Reply| matches!(reply, Reply::Failed(Error::OutcomeUnknown { .. }));
        assert!(lone.replies.len() == 1 && unknown(&lone.replies[0]), "{:?}", lone.replies);
    }
}
