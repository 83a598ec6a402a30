//! One comparison of a partition with another owner, page by page.

use super::exchange;
use super::pending;
use super::rehearsal::Fate;
use super::request::{Goes, Request, Work};
use super::stored::Stored;
use super::{Shard, Turn};
use crate::coordinator::Holding;
use crate::id::{NodeId, PartitionId};
use crate::merkle::{self, Leaves};
use crate::message::Class;
use crate::message::peer::{Collected, Data};
use crate::node::outbox::{About, Release};
use crate::store::{StoreError, key};
use crate::version::OperationId;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Todo {
    /// The other one holds another record of it: of this digest, where that may be of use.
    Fetch(Bytes, Option<u128>),
    Push(Bytes),
}

/// After how many refusals nothing more is given in one comparison.
const REFUSALS: usize = 4;

/// What a comparison is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Two owners: each gets what it lacks.
    Both,
    /// A stand-in is asked for what it keeps: this node, an owner, gets what it lacks.
    Pull,
    /// This node owns nothing here any more, the other one does: it gets what it lacks.
    Offer,
    /// A fallback only says for how many items it stands in.
    Hints,
    /// An owner is asked only for what it has collected, by this node, which fills its slot.
    Collected,
}

/// One comparison under way.
#[derive(Debug)]
pub(super) struct CompareWork {
    partition: PartitionId,
    with: NodeId,
    how: How,
    /// Which leaves of the tree are compared; `None`: that is to be asked.
    leaves: Option<Leaves>,
    /// Where the next page of digests begins; `None`: there is none.
    from: Option<Bytes>,
    /// Where the page that was asked for begins.
    page_from: Bytes,
    todo: VecDeque<Todo>,
    fetching: Option<Bytes>,
    /// It was asked only whether it still holds what has this digest: the bytes lie in a restored backup.
    restored: Option<u128>,
    /// Items in doubt that the other one has given, and whether that is all it ever had of them.
    merged: Vec<(Bytes, bool)>,
    source_rebuilding: bool,
    waiting_for_disk: bool,
    pub failed: bool,
    hints: Option<u64>,
    /// Where the next page of what it has collected begins; `None`: there is none.
    collected: Option<(u64, OperationId)>,
    /// Something on the pages differed.
    differed: bool,
    /// Something went to the other one.
    pushed: bool,
    /// What it was asked last is to take something.
    pushing: bool,
    /// How much it did not take.
    refused: usize,
    /// Something went to it, and nobody hears whether it was taken.
    unsure: bool,
}

impl CompareWork {
    /// A comparison that is about to begin.
    pub fn new(partition: PartitionId, with: NodeId, how: How) -> CompareWork {
        CompareWork {
            partition,
            with,
            how,
            leaves: None,
            from: (!matches!(how, How::Hints | How::Collected))
                .then(|| key::partition_range(partition).0),
            page_from: Bytes::new(),
            todo: VecDeque::new(),
            fetching: None,
            restored: None,
            merged: Vec::new(),
            source_rebuilding: false,
            waiting_for_disk: false,
            failed: false,
            hints: None,
            collected: matches!(how, How::Both | How::Collected).then(Default::default),
            differed: false,
            pushed: false,
            pushing: false,
            refused: 0,
            unsure: false,
        }
    }

    /// The other one takes no more for now: another comparison brings it that, and this one goes on. False: that is not
    /// what it was asked, or what this one is for.
    pub fn passes_over(&mut self) -> bool {
        let passes = self.pushing && self.how == How::Both;
        self.refused += usize::from(passes);
        if self.refused == REFUSALS {
            self.todo.retain(|todo| !matches!(todo, Todo::Push(_)));
        }
        passes
    }

    /// The other node keeps so many hints for this one.
    pub fn counted(&mut self, hints: u64) {
        self.hints = Some(hints);
    }
}

impl Shard {
    pub(super) fn step_compare(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Compare(compare) = &mut request.work else { return Goes::Away };
        if compare.failed {
            self.compare_over();
            return Goes::Away;
        }
        if !request.sent.is_empty() || compare.waiting_for_disk {
            return Goes::On;
        }
        let (partition, with) = (compare.partition, compare.with);
        compare.pushing = false;
        // First of all: what is taken from now on is no late retry, and what was taken before is compared. Nothing
        // more is collected of a slot that is being filled.
        let asks = self.is_filling(partition) && !self.sync.has_told(partition, with);
        if let Some(from) = compare.collected.take().filter(|_| asks) {
            self.ask(id, request, with, partition, &Data::Collected { from }, turn);
            return Goes::On;
        }
        while let Some(todo) = compare.todo.pop_front() {
            let message = match todo {
                Todo::Fetch(key, digest) => {
                    let keeps = compare.how != How::Offer;
                    let digest = digest.filter(|digest| keeps && self.is_restored(&key, *digest));
                    compare.restored = digest;
                    compare.fetching = Some(key.clone());
                    Data::Read { key, whole: digest.is_none() }
                }
                Todo::Push(key) => match pending::durable(&key, turn.store) {
                    Err(StoreError::Damaged(_)) => {
                        self.cannot_read(&key, turn);
                        continue;
                    }
                    Ok(Some(record)) => {
                        self.drop_collected(&key, turn);
                        let (head, body) = self.without_collected(&key, &record).encode();
                        let record = crate::message::peer::Record { head, body };
                        self.counters.sync_items += 1;
                        (compare.pushed, compare.pushing) = (true, true);
                        request.round = self.round_of(&key);
                        Data::Replicate { key, record, hint_for: None }
                    }
                    Ok(None) => continue,
                    // What was to be given is there, and cannot be read now.
                    Err(_) => {
                        self.compare_over();
                        return Goes::Away;
                    }
                },
            };
            self.ask(id, request, with, partition, &message, turn);
            return Goes::On;
        }
        if compare.how == How::Both && compare.leaves.is_none() && compare.from.is_some() {
            match self.branches_to_compare(partition, with) {
                None => compare.leaves = Some(Leaves::All),
                Some(sums) => {
                    self.ask(id, request, with, partition, &Data::Branches { sums }, turn);
                    return Goes::On;
                }
            }
        }
        if let Some(from) = compare.from.take() {
            compare.page_from = from.clone();
            let limit = super::replica::DIGESTS_PER_PAGE;
            let leaves = compare.leaves.as_ref().map_or_else(Vec::new, Leaves::to_bits).into();
            self.ask(id, request, with, partition, &Data::Digests { from, limit, leaves }, turn);
            return Goes::On;
        }
        if compare.how == How::Hints && compare.hints.is_none() {
            self.ask(id, request, with, partition, &Data::CountHints, turn);
            return Goes::On;
        }
        // What was fetched is in a batch under way; the slot is no better before that is durable.
        compare.waiting_for_disk = true;
        turn.outbox.when_durable(Release::Stored { request: id, epoch: request.epoch });
        Goes::On
    }

    /// Everything that a comparison brought is durable: it is over.
    pub(super) fn compare_stored(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Compare(compare) = &request.work else { return };
        self.doubts_merged(&compare.merged, compare.with, turn);
        let (partition, with) = (compare.partition, compare.with);
        match compare.how {
            How::Hints if compare.hints == Some(0) => self.slots.hint_free(with),
            How::Hints => {}
            How::Pull => self.acquire.pulled(partition, with),
            How::Offer => self.remnants.offered(partition, with, compare.pushed),
            // The next pass asks for roots.
            How::Collected => {}
            How::Both => {
                self.counters.sync_rounds += 1;
                if compare.refused == 0 && !compare.unsure {
                    self.sync.compared(compare.partition, compare.with, turn.now.instant);
                }
                let vain = matches!(compare.leaves, Some(Leaves::Some(_))) && !compare.differed;
                if self.sync.was_vain(compare.partition, vain)
                    && let Some(change) = self.trees.doubt(compare.partition)
                {
                    turn.outbox.persist(change);
                }
                if !compare.source_rebuilding {
                    self.merged(partition, with);
                }
            }
        }
        // Who keeps no hints does so for all of them: the next pass finds what that completes.
        self.go_on_comparing(partition, turn);
    }

    /// The branches to ask about; `None`: everything is to be compared, for nothing is here that could be the
    /// same, or the tree does not tell what is asked.
    fn branches_to_compare(&self, partition: PartitionId, with: NodeId) -> Option<Bytes> {
        if self.trees.items(partition) == Some(0) || self.doubts.wants(partition, with) {
            return None;
        }
        let sums = self.sums_with(partition, with)?;
        Some(exchange::pack(&merkle::branches(self.trees.shape(), &sums)))
    }

    /// The other owner's leaves, as far as they differ.
    pub(super) fn compare_leaves(
        &mut self,
        request: &mut Request,
        branches: &[u16],
        sums: Option<&Bytes>,
    ) {
        let Work::Compare(compare) = &mut request.work else { return };
        let (partition, with) = (compare.partition, compare.with);
        match self.differing_leaves(partition, with, branches, sums) {
            None => compare.failed = true,
            Some(leaves) if leaves.is_empty() => {
                // Nobody has said whether the other one is complete: the next pass asks for roots, which does.
                compare.source_rebuilding = true;
                compare.from = None;
            }
            Some(leaves) => compare.leaves = Some(leaves),
        }
    }

    /// The other owner's page of digests.
    pub(super) fn compare_page(
        &mut self,
        request: &mut Request,
        theirs: Vec<(Bytes, u128)>,
        next: Option<Bytes>,
        rebuilding: bool,
        turn: &mut Turn,
    ) {
        let Work::Compare(compare) = &mut request.work else { return };
        compare.source_rebuilding |= rebuilding;
        if next.as_ref().is_some_and(|next| *next <= compare.page_from) {
            // It would never end.
            compare.failed = true;
            return;
        }
        let (partition, with) = (compare.partition, compare.with);
        let end = next.clone().unwrap_or_else(|| key::partition_range(partition).1);
        let leaves = compare.leaves.clone().unwrap_or(Leaves::All);
        let mine = self.digests_between(partition, &compare.page_from, &end, &leaves, turn);
        let Ok(mine) = mine else {
            compare.failed = true;
            return;
        };
        let theirs: BTreeMap<Bytes, u128> = theirs.into_iter().collect();
        // That something is not on the page says something only where all was asked for.
        let is_whole = leaves == Leaves::All && compare.how == How::Both;
        let doubts = is_whole.then(|| self.doubts.between(&compare.page_from, &end));
        for key in doubts.into_iter().flatten() {
            match theirs.get(key) {
                // It has never had it, or has lost that with all else.
                None => compare.merged.push((key.clone(), !rebuilding)),
                Some(0) => compare.merged.push((key.clone(), false)),
                Some(_) => {}
            }
        }
        let how = compare.how;
        let concerns = |key: &Bytes| match how {
            How::Both | How::Hints | How::Collected => self.is_shared(key, partition, with),
            How::Pull => self.is_owned(key, partition, self.view.me),
            How::Offer => {
                self.is_owned(key, partition, with)
                    && self.is_remnant(key)
                    && mine.contains_key(key)
            }
        };
        let mut lost = Vec::new();
        for (key, digest) in theirs.iter().filter(|(key, _)| concerns(key)) {
            if *digest == 0 && how == How::Both {
                lost.push(key.clone());
                compare.todo.push_back(Todo::Push(key.clone()));
            } else if mine.get(key) != Some(digest) {
                compare.todo.push_back(Todo::Fetch(key.clone(), Some(*digest)));
            }
        }
        let pushes = how != How::Pull && compare.refused < REFUSALS;
        for key in mine.keys().filter(|key| pushes && !theirs.contains_key(*key)) {
            // What this node keeps for an owner that is away goes there as a hint.
            if concerns(key) && (how != How::Offer || !self.stands_in(key, turn)) {
                compare.todo.push_back(Todo::Push(key.clone()));
            }
        }
        compare.from = next;
        compare.differed |= !compare.todo.is_empty();
        if self.is_filling(partition) {
            // All else of the slot may be complete before these are.
            for key in lost.iter().filter(|key| !self.doubts.contains(key)).collect::<Vec<_>>() {
                self.doubt(key, turn);
            }
        }
    }

    /// A page of what the other owner has collected.
    pub(super) fn compare_collected(
        &mut self,
        request: &mut Request,
        items: &[Collected],
        next: Option<(u64, OperationId)>,
        rebuilding: bool,
        turn: &mut Turn,
    ) {
        let Work::Compare(compare) = &mut request.work else { return };
        compare.source_rebuilding |= rebuilding;
        let last = items.last().map(|last| (last.hash, last.operation));
        // It would never end.
        compare.failed |= next.is_some() && next <= last;
        compare.collected = next;
        let (partition, with, is_all) = (compare.partition, compare.with, next.is_none());
        self.learn_collected(partition, items, turn);
        if is_all && !rebuilding {
            self.sync.told(partition, with);
            // No comparison sees what is on its way to the disk.
            let (from, to) = key::partition_range(partition);
            for key in self.pending.between(&from, &to).cloned().collect::<Vec<_>>() {
                self.drop_collected(&key, turn);
            }
        }
    }

    /// The other owner cannot read the item that it was asked for: it goes on with the rest.
    pub(super) fn cannot_fetch(&mut self, request: &mut Request, from: NodeId, turn: &mut Turn) {
        request.sent.retain(|sent| sent.to != from);
        let Work::Compare(compare) = &mut request.work else { return };
        let Some(key) = compare.fetching.take() else {
            compare.failed = true;
            return;
        };
        if compare.how == How::Offer {
            // Nobody knows what it has of it: it gets what lies here.
            compare.todo.push_front(Todo::Push(key));
            return;
        }
        compare.merged.push((key.clone(), false));
        if self.is_filling(compare.partition) && !self.doubts.contains(&key) {
            self.doubt(&key, turn);
        }
    }

    fn digests_between(
        &mut self,
        partition: PartitionId,
        from: &Bytes,
        end: &Bytes,
        leaves: &Leaves,
        turn: &Turn,
    ) -> Result<BTreeMap<Bytes, u128>, StoreError> {
        let mut mine = BTreeMap::new();
        let mut from = Some(from.clone());
        while let Some(at) = from.take().filter(|at| at < end) {
            let (page, next) =
                self.digests(partition, &at, super::replica::DIGESTS_PER_PAGE, leaves, turn)?;
            from = next;
            for (key, digest) in page {
                if key >= *end {
                    return Ok(mine);
                }
                mine.insert(key, digest);
            }
        }
        Ok(mine)
    }

    /// Whether both nodes own this item: the bucket may have fewer replicas than the slot has owners.
    pub(super) fn is_shared(&self, key: &[u8], partition: PartitionId, with: NodeId) -> bool {
        [with, self.view.me].into_iter().all(|node| self.is_owned(key, partition, node))
    }

    fn is_owned(&self, key: &[u8], partition: PartitionId, by: NodeId) -> bool {
        // What was dropped is erased by each for itself: nobody takes or gives it.
        key::partition_of_item(key) == Some(partition)
            && !self.is_dropped(key)
            && self
                .replicas_of(key)
                .is_some_and(|n| self.view.agreement.layout.owns(by, partition, n))
    }

    /// An item that differs: joined here, and pushed back where the other one lacks something.
    pub(super) fn fetched(&mut self, request: &mut Request, mut holding: Holding, turn: &mut Turn) {
        let Work::Compare(compare) = &mut request.work else { return };
        let Some(key) = compare.fetching.take() else { return };
        let restored = compare.restored.take().filter(|_| holding.digest.is_some());
        if let Some(digest) = restored {
            // As if it had come with the answer: it is what the other one held under the round that it says.
            holding.record = self.restored_record(&key, digest, holding.digest).map(Arc::new);
            if holding.record.is_none() {
                compare.todo.push_front(Todo::Fetch(key, None));
                return;
            }
        }
        if self.is_dropped(&key) {
            return;
        }
        if self.doubts.contains(&key) {
            compare.merged.push((key.clone(), !holding.rebuilding));
        }
        let Some(theirs) = holding.record else {
            if compare.how == How::Offer {
                compare.todo.push_front(Todo::Push(key));
            }
            return;
        };
        if self.disk.is_some() {
            compare.failed = true;
            return;
        }
        if self.stage.fate(&key, turn.now.instant) != Fate::Stored {
            compare.failed = true;
            return;
        }
        self.drop_collected(&key, turn);
        // What the other one holds is written over what cannot be read.
        let Ok((mine, before)) = self.latest(&key, turn) else {
            compare.failed = true;
            return;
        };
        if compare.how != How::Offer && self.is_stale(&key, holding.round) {
            // It was read before a round that is closed here: the next pass reads it again.
            compare.failed = true;
            return;
        }
        let round = holding.round.min(self.round_of(&key));
        let digest = theirs.siblings.digest();
        if compare.how == How::Offer {
            // Nothing is kept here any more: does the owner lack something? Not whether it remembers the same
            // operations: of a key that is written all the time each knows the last ones it heard of.
            if let Some(mine) = mine {
                let mut joined = theirs;
                Arc::make_mut(&mut joined).join(&mine.record);
                if joined.siblings.digest() != digest {
                    compare.todo.push_front(Todo::Push(key));
                }
            }
            return;
        }
        let theirs = self.without_collected(&key, &theirs);
        let Some(joined) = Stored::joined(mine.as_deref(), &theirs) else {
            if mine.is_some_and(|mine| mine.digest != digest) && compare.how == How::Both {
                compare.todo.push_front(Todo::Push(key));
            }
            return;
        };
        self.counters.sync_items += 1;
        self.counters.restored_items += u64::from(restored.is_some());
        let differs = joined.digest != digest;
        let with = compare.with;
        let partition = compare.partition;
        let is_owner = compare.how == How::Both;
        if differs
            && is_owner
            && let Some(to) = self.address(with)
        {
            let record = joined.encoded.clone();
            let message = Data::Replicate { key: key.clone(), record, hint_for: None };
            let class = Class::Background;
            let about = About { class, partition, round, ..About::default() };
            let bytes = turn.outbox.send_data(to, about, &message);
            self.counters.sync_bytes += bytes as u64;
            compare.unsure = true;
        }
        self.stage(key, before, Some(joined), turn);
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
