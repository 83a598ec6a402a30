//! Hinted handoff: what this node keeps for owners that could not be reached, until they have it.
//!
//! ```text
//!   put, B is down ─► D keeps the item and a hint "for B"          both durable before D acknowledges
//!   B is back      ─► D replicates the item to B ─► durable there  ─► the hint goes
//!                     and with the last hint the item, where D owns nothing of it
//! ```
//!
//! A hint names an item, not a version: the owner always gets the newest. It goes only if the item is still
//! what was handed over, else the newer version follows. Where the owner has left, see `retarget`; where there are too
//! many, `ranges`; how fast they go, `pace`. (DeCandia et al., "Dynamo", 2007, §4.6.)

use super::pace::Pace;
use super::pending;
use super::ranges::Ranges;
use super::request::{Goes, Origin, Request, Work};
use super::retarget::Review;
use super::timers::Timer;
use super::trees::Before;
use super::unflushed::Unflushed;
use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::message::Class;
use crate::message::peer::{self, Data};
use crate::store::{Change, CommitNumber, Store, StoreError, key};
use crate::time::{Duration, Instant};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How often the queues are looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// With so many requests of clients under way the replay makes room.
pub(super) const BUSY: usize = 256;
/// How long an owner may take to store one.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How many keys are read at a time while counting.
const PAGE: usize = 1024;

/// One item on its way to its owner.
#[derive(Debug)]
pub(super) struct HandoffWork {
    pub(super) owner: NodeId,
    pub(super) item: Bytes,
    digest: u128,
    bytes: usize,
    sent: Instant,
    /// It is sent because of a dirty range of this partition, not of a hint of its own.
    pub(super) range: Option<PartitionId>,
}

/// The hints of this node, counted by owner; the hints themselves are in the store.
#[derive(Debug, Default)]
pub(in crate::node) struct Handoff {
    pub(super) pending: BTreeMap<NodeId, u64>,
    pub(super) counts: BTreeMap<(NodeId, PartitionId), u64>,
    /// What stands for hints that were too many.
    pub(super) ranges: Ranges,
    /// Hints, and ranges, that were kept (true) or forgotten (false) in batches that are not durable yet.
    pub(super) unflushed: Unflushed<bool>,
    /// Hints that are erased together in batches that are not durable yet: from the first on, up to another.
    pub(super) erased: Unflushed<Bytes>,
    cursor: BTreeMap<NodeId, Bytes>,
    pub(super) review: Review,
    on_the_way: BTreeMap<NodeId, BTreeSet<Bytes>>,
    /// Hints whose item cannot be read here: nobody has to wait for them. Those of items that this node owns are
    /// kept, for they are merged again.
    pub(super) unreadable: BTreeSet<Bytes>,
    paces: BTreeMap<NodeId, Pace>,
}

impl Handoff {
    /// Counts what an earlier life left.
    pub fn open(store: &dyn Store) -> Result<Handoff, StoreError> {
        let mut handoff = Handoff { ranges: Ranges::open(store)?, ..Handoff::default() };
        let (mut from, to) = key::hint_range(None);
        loop {
            let page = store.scan(&from, &to, PAGE)?;
            for (hint, _) in &page {
                if let Some((owner, item)) = key::parse_hint(hint) {
                    handoff.count(owner, &item);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = super::scan::after(last),
                _ => return Ok(handoff),
            }
        }
    }

    fn count(&mut self, owner: NodeId, item: &[u8]) {
        *self.pending.entry(owner).or_default() += 1;
        if let Some(partition) = key::partition_of_item(item) {
            *self.counts.entry((owner, partition)).or_default() += 1;
        }
    }

    fn uncount(&mut self, owner: NodeId, item: &[u8]) {
        // What a range stands for by now was taken off when that was made.
        if let Some(partition) = key::partition_of_item(item)
            && let Some(count) = self.counts.get_mut(&(owner, partition))
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&(owner, partition));
            }
            if let Some(pending) = self.pending.get_mut(&owner) {
                *pending = pending.saturating_sub(1);
            }
        }
    }

    /// How many items wait for `owner`, and can be given to it; of ranges about how many, and never none.
    pub fn pending_for(&self, owner: NodeId) -> u64 {
        let (from, to) = key::hint_range(Some(owner));
        let unreadable = self.unreadable.range(from..to).count() as u64;
        let hints = self.pending.get(&owner).copied().unwrap_or(0).saturating_sub(unreadable);
        hints + self.ranges.about(owner)
    }

    /// How many items wait, by owner; owners for whom nothing waits are left out.
    pub fn pending(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        let hinted = self.pending.iter().filter(|(_, count)| **count > 0).map(|(owner, _)| *owner);
        let owners: BTreeSet<NodeId> = hinted.chain(self.ranges.owners()).collect();
        let count = |owner| self.pending.get(&owner).copied().unwrap_or(0);
        owners.into_iter().map(move |owner| (owner, count(owner) + self.ranges.about(owner)))
    }

    /// How many items wait at all.
    pub fn total(&self) -> u64 {
        self.entries() + self.ranges.total()
    }

    /// How many of them have a hint of their own.
    pub fn entries(&self) -> u64 {
        self.pending.values().sum()
    }

    /// How many ranges stand for others.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the store still shows a hint that goes with others.
    fn is_erased(&self, hint: &Bytes) -> bool {
        self.erased.iter().any(|(from, to)| (from..to).contains(&hint))
    }

    /// How fast things go to this owner.
    pub(super) fn pace(&mut self, owner: NodeId) -> &mut Pace {
        self.paces.entry(owner).or_default()
    }

    /// The hints that are kept and that the store does not show yet.
    pub(super) fn unflushed_hints(&self) -> Vec<Bytes> {
        let kept = self.unflushed.iter().filter(|(_, kept)| **kept);
        kept.map(|(hint, _)| hint.clone()).collect()
    }

    /// Whether the store shows everything that was kept and forgotten.
    pub(super) fn is_settled(&self) -> bool {
        self.unflushed.is_empty() && self.erased.is_empty()
    }

    /// See [`Unflushed::committed`].
    pub(super) fn committed(&mut self, number: CommitNumber) {
        self.unflushed.committed(number);
        self.erased.committed(number);
    }

    /// See [`Unflushed::durable`].
    pub(super) fn durable(&mut self, number: CommitNumber) {
        self.unflushed.durable(number, |_, _| ());
        self.erased.durable(number, |_, _| ());
    }

    /// See [`Unflushed::forget_staged`]. The counts are wrong until the hints are counted again.
    pub(super) fn forget_staged(&mut self) {
        self.unflushed.forget_staged();
        self.erased.forget_staged();
    }
}

impl Shard {
    /// Puts a hint into the batch of this turn, unless there is one already.
    pub(super) fn keep_hint(&mut self, owner: NodeId, item: &Bytes, turn: &mut Turn) {
        if owner == self.view.me {
            return;
        }
        if let Some(on_the_way) = self.handoff.on_the_way.get_mut(&owner) {
            on_the_way.remove(item);
        }
        if self.keep_in_range(owner, item, turn) {
            return;
        }
        let hint = key::hint(owner, item);
        if !self.has_hint(owner, item, turn) {
            if self.keeps_enough() && self.is_owned_here(item) {
                // It would never count, and the owners compare their trees.
                self.counters.hints_declined += 1;
                return;
            }
            self.handoff.count(owner, item);
            self.counters.hints_stored += 1;
        }
        self.handoff.unflushed.stage(hint.clone(), true);
        // Written again also when it is there: a handoff that is ending right now would erase it.
        if guard::holds(Guard::DurableHint) {
            turn.outbox.persist(Change::Put { key: hint, head: Bytes::new(), body: Bytes::new() });
        }
    }

    fn is_owned_here(&self, item: &[u8]) -> bool {
        let partition = key::partition_of_item(item);
        partition.zip(self.replicas_of(item)).is_some_and(|(p, n)| self.is_owner(p, n))
    }

    /// Whether an item is kept for an owner, by a hint or in a range, once everything that is on its way to the disk
    /// has arrived there.
    pub(super) fn is_hinted(&self, owner: NodeId, item: &Bytes, turn: &Turn) -> bool {
        key::partition_of_item(item).is_some_and(|p| self.handoff.ranges.contains(owner, p))
            || self.has_hint(owner, item, turn)
    }

    /// As [`is_hinted`](Shard::is_hinted), by a hint of its own.
    pub(super) fn has_hint(&self, owner: NodeId, item: &Bytes, turn: &Turn) -> bool {
        let hint = key::hint(owner, item);
        match self.handoff.unflushed.get(&hint) {
            Some(kept) => *kept,
            None if self.handoff.is_erased(&hint) => false,
            None => !matches!(turn.store.head(&hint), Ok(None)),
        }
    }

    /// Sends the next hinted items to every owner that can be reached.
    pub(super) fn replay_hints(&mut self, turn: &mut Turn) {
        self.timers.set(turn.now.instant + TICK, Timer::Handoff);
        // What is sent before anybody has vouched for this store would be refused.
        if self.disk.is_some() || !self.view.counts {
            return;
        }
        self.go_on_reviewing(turn);
        self.collapse_hints(turn);
        self.intake.tick(self.pending.is_empty());
        let owners: Vec<NodeId> = self.handoff.pending().map(|(owner, _)| owner).collect();
        self.handoff.paces.retain(|owner, _| owners.contains(owner));
        let yields = turn.store.congested() || self.requests.clients() > BUSY;
        for owner in owners {
            let pace = self.handoff.pace(owner);
            pace.tick();
            if yields {
                pace.yield_now(turn.now.instant);
            }
            if self.peers.reach(owner, &self.view) == Reach::Up && !turn.store.congested() {
                self.replay_to(owner, turn);
            }
        }
    }

    fn replay_to(&mut self, owner: NodeId, turn: &mut Turn) {
        let room = self.handoff.pace(owner).room(turn.now.instant);
        if room == 0 {
            return;
        }
        let (first, to) = key::hint_range(Some(owner));
        let from = self.handoff.cursor.get(&owner).cloned().unwrap_or(first);
        let Ok(page) = turn.store.scan(&from, &to, room) else { return };
        match page.last() {
            Some((last, _)) => self.handoff.cursor.insert(owner, super::scan::after(last)),
            // Once around; what failed is found again from the start.
            None => self.handoff.cursor.remove(&owner),
        };
        for (hint, _) in page {
            if self.handoff.pace(owner).room(turn.now.instant) == 0 {
                self.handoff.cursor.insert(owner, hint);
                break;
            }
            if let Some((owner, item)) = key::parse_hint(&hint)
                && self.has_hint(owner, &item, turn)
            {
                self.hand_over(owner, item, None, turn);
            }
        }
        self.walk_ranges(owner, turn);
    }

    /// Sends an item to its owner, because of a hint or in the walk of a range.
    pub(super) fn hand_over(
        &mut self,
        owner: NodeId,
        item: Bytes,
        range: Option<PartitionId>,
        turn: &mut Turn,
    ) {
        if self.handoff.on_the_way.get(&owner).is_some_and(|items| items.contains(&item)) {
            if let Some(range) = range {
                self.walk_lacks(owner, range);
            }
            return;
        }
        let Some(partition) = key::partition_of_item(&item) else { return };
        let record = match pending::durable(&item, turn.store) {
            Ok(Some(record)) => {
                self.handoff.unreadable.remove(&key::hint(owner, &item));
                record
            }
            // Nothing to hand over: the hint has outlived its item.
            Ok(None) if !self.pending.contains(&item) => {
                return self.forget_hint(owner, &item, turn);
            }
            Err(StoreError::Damaged(_)) => {
                self.cannot_read(&item, turn);
                if self.is_remnant(&item) && !self.pending.contains(&item) {
                    return self.give_up(owner, &item, turn);
                }
                if range.is_some() {
                    // The range must not wait for it.
                    self.keep_hint(owner, &item, turn);
                }
                self.handoff.unreadable.insert(key::hint(owner, &item));
                return;
            }
            Ok(None) | Err(_) => {
                if let Some(range) = range {
                    self.walk_lacks(owner, range);
                }
                return;
            }
        };
        self.handoff.on_the_way.entry(owner).or_default().insert(item.clone());
        let digest = record.siblings.digest();
        let (head, body) = record.encode();
        let bytes = item.len() + head.len() + body.len();
        self.handoff.pace(owner).sent(bytes);
        let sent = turn.now.instant;
        let work = HandoffWork { owner, item: item.clone(), digest, bytes, sent, range };
        self.walks(&work, turn);
        let work = Work::Handoff(work);
        let id = self.requests.number();
        let mut request = self.begin(Origin::Own, None, ATTEMPT, work, turn);
        request.attempt = ATTEMPT;
        request.class = Class::Background;
        request.round = self.round_of(&item);
        let record = peer::Record { head, body };
        let message = Data::Replicate { key: item.clone(), record, hint_for: None };
        self.ask(id, &mut request, owner, partition, &message, turn);
        self.keep(id, request);
        if !guard::holds(Guard::HintStays) {
            self.forget_hint(owner, &item, turn);
        }
    }

    /// What nobody can read here, and others own, is given to nobody. Were it kept, no round of its partition could
    /// ever end, and its owner would wait for nothing.
    fn give_up(&mut self, owner: NodeId, item: &Bytes, turn: &mut Turn) {
        self.counters.hints_unreadable += 1;
        self.stage(item.clone(), Before::Unknown, None, turn);
        // Those for other owners outlive their item, and are found.
        self.forget_hint(owner, item, turn);
    }

    /// The owner has the item durably.
    pub(super) fn handed_over(&mut self, request: Request, turn: &mut Turn) {
        let Work::Handoff(work) = &request.work else { return };
        let owner = work.owner;
        self.handoff.pace(owner).confirmed(work.bytes, work.sent, turn.now.instant);
        self.freshness.handed_over(owner, turn.now.instant);
        let is_latest = self.is_latest(work, turn);
        if work.range.is_some() {
            self.counters.hints_replayed += u64::from(is_latest);
            self.walked(work, is_latest, turn);
        } else if is_latest {
            self.counters.hints_replayed += 1;
            self.forget_hint(owner, &work.item, turn);
        }
        if is_latest && self.handoff.pace(owner).is_half_empty() {
            self.replay_to(owner, turn);
        }
    }

    /// Whether what the owner has now is all that there is here for it.
    fn is_latest(&mut self, work: &HandoffWork, turn: &Turn) -> bool {
        let on_the_way = self.handoff.on_the_way.entry(work.owner).or_default();
        // Hinted once more while it was on its way: that hint is about something newer. And after a refused batch
        // nobody here knows what is still on its way to the disk for an item.
        if !on_the_way.remove(&work.item) || self.disk.is_some() {
            return false;
        }
        let latest = self.pending.latest(&work.item, turn.store);
        latest.is_ok_and(|latest| latest.is_none_or(|stored| stored.digest == work.digest))
    }

    /// The hint goes; and with the last one the item, where this node owns nothing of it.
    pub(super) fn forget_hint(&mut self, owner: NodeId, item: &Bytes, turn: &mut Turn) {
        if !self.has_hint(owner, item, turn) {
            return;
        }
        let hint = key::hint(owner, item);
        self.handoff.unreadable.remove(&hint);
        self.handoff.unflushed.stage(hint.clone(), false);
        turn.outbox.persist(Change::Erase { key: hint });
        self.handoff.uncount(owner, item);
        let Some(parsed) = key::parse_item(item) else { return };
        let Some(bucket) = self.buckets_by_id.get(&parsed.bucket.0) else { return };
        let n = bucket.settings.n;
        if self.is_owner(parsed.partition, n) || self.pending.contains(item) {
            return;
        }
        let owners = self.owners(parsed.partition, n);
        if !owners.into_iter().any(|other| self.is_hinted(other, item, turn)) {
            let Ok((_, before)) = self.latest(item, turn) else { return };
            self.stage(item.clone(), before, None, turn);
        }
    }

    /// The owner did not confirm it in time: it is found again on the next round.
    pub(super) fn handoff_failed(&mut self, request: &Request, turn: &mut Turn) -> Goes {
        if let Work::Handoff(work) = &request.work {
            self.handoff.pace(work.owner).failed(work.bytes, work.sent, turn.now.instant);
            if let Some(on_the_way) = self.handoff.on_the_way.get_mut(&work.owner) {
                on_the_way.remove(&work.item);
            }
            self.walked(work, false, turn);
        }
        Goes::Away
    }
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
