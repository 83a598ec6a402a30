//! What the shard does when its disk says no, and when it says yes again.

use super::{Life, Shard, Turn};
use crate::node::outbox::Release;
use crate::store::StoreError;

impl Shard {
    /// The batch of this turn was refused: none of it is stored here, though other replicas may have
    /// been told of its dots. So the incarnation ends.
    pub fn commit_failed(&mut self, error: StoreError, turn: &mut Turn) {
        self.pending.forget_staged();
        self.handoff.forget_staged();
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
        self.begin_life(turn);
        if let Err(error) = self.recount_hints(turn) {
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
}
