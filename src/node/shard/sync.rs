//! The comparison of slots with their other owners: page by page of digests, then the items that
//! differ, by ordinary reads and replication. It ends the rebuilding of a slot, and mends what a dead
//! coordinator left without a hint.
//!
//! ```text
//!   mine     a:1   b:2         d:4          theirs   a:1   b:9   c:3
//!            same  └── read, join, push ──┘ push d      c is read
//! ```
//!
//! Trees say beforehand which partitions differ and in which leaves (`exchange.rs`), so that it costs the
//! difference. What a tree cannot tell is compared as a whole: a slot that starts empty, a record in doubt.

use super::acquire::Acquire;
use super::compare::{CompareWork, How};
use super::exchange::{self, RootsWork};
use super::request::{Origin, Work};
use super::slots::{self, quorums};
use super::timers::Timer;
use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::message::Class;
use crate::node::counters::Verified;
use crate::time::{Duration, Instant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

/// How often the queue is looked at.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How many comparisons run at a time.
const RUNNING: usize = 4;
/// How many run at a time while a slot is rebuilding.
const RUNNING_REBUILD: usize = 16;
/// How soon a pass follows one that could not finish rebuilding.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);
/// After how many comparisons in vain a tree is built again.
const VAIN: u32 = 5;
/// How long one partition and source may take.
const COMPARE_DEADLINE: Duration = Duration::from_secs(3600);

/// What is to be compared, and when next.
#[derive(Debug, Default)]
pub(super) struct Sync {
    queue: VecDeque<Task>,
    running: usize,
    next_pass: Instant,
    /// When complete slots are compared again, too.
    next_full: Instant,
    /// When this node last knew that it holds of a partition what the other owner holds.
    verified: BTreeMap<(PartitionId, NodeId), Instant>,
    /// How often in a row leaves of a partition differed, and none of their items did.
    vain: BTreeMap<PartitionId, u32>,
    /// What was compared with another owner since it was last asked for roots.
    compared: BTreeMap<NodeId, BTreeSet<PartitionId>>,
    /// Who has told, in this epoch, what it has collected of a slot that this node fills.
    told: BTreeSet<(PartitionId, NodeId)>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Task {
    /// Which of these partitions differ?
    Roots { with: NodeId, partitions: Vec<PartitionId> },
    /// This one does.
    Compare { partition: PartitionId, with: NodeId, how: How },
}

impl Task {
    fn with(&self) -> NodeId {
        match self {
            Task::Roots { with, .. } | Task::Compare { with, .. } => *with,
        }
    }
}

impl Sync {
    /// Something has changed: the next pass begins in a moment.
    pub fn hurry(&mut self, now: Instant) {
        self.next_full = self.next_full.min(now + REBUILD_PAUSE);
        self.look(now);
    }

    /// One more thing to do.
    pub fn push(&mut self, task: Task) {
        self.queue.push_back(task);
    }

    /// This node holds of a partition what the other owner holds.
    pub fn verified(&mut self, partition: PartitionId, with: NodeId, now: Instant) {
        self.verified.insert((partition, with), now);
    }

    /// As [`verified`](Sync::verified), by a comparison that the other owner has not seen the end of.
    pub fn compared(&mut self, partition: PartitionId, with: NodeId, now: Instant) {
        self.verified(partition, with, now);
        self.compared.entry(with).or_default().insert(partition);
    }

    /// A comparison of this partition is over. True: so often in a row it found nothing where trees had said that
    /// something differs, that the tree had better be built again. Once or twice means nothing: what was on its way
    /// has arrived meanwhile.
    pub fn was_vain(&mut self, partition: PartitionId, vain: bool) -> bool {
        if !vain {
            self.vain.remove(&partition);
            return false;
        }
        let times = self.vain.entry(partition).or_default();
        *times += 1;
        let too_often = *times >= VAIN;
        if too_often {
            self.vain.remove(&partition);
        }
        too_often
    }

    /// What the other owner is to be told of that.
    pub fn take_compared(&mut self, with: NodeId) -> Vec<PartitionId> {
        self.compared.remove(&with).into_iter().flatten().collect()
    }

    /// This owner has told what it has collected of a slot that this node fills.
    pub fn told(&mut self, partition: PartitionId, by: NodeId) {
        self.told.insert((partition, by));
    }

    /// Whether it has.
    pub fn has_told(&self, partition: PartitionId, node: NodeId) -> bool {
        self.told.contains(&(partition, node))
    }

    /// What was told may not be on the disk: it was refused.
    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// Owners have changed: what was to be compared, or was told, says nothing any more.
    pub fn begin_again(&mut self) {
        self.queue.clear();
        self.told.clear();
    }

    /// Something cannot be read: it is fetched in a moment.
    pub fn look(&mut self, now: Instant) {
        self.next_pass = self.next_pass.min(now + REBUILD_PAUSE);
    }
}

impl Shard {
    /// Starts what may run now, and the next pass when it is due.
    pub(super) fn sync_due(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        self.timers.set(now + TICK, Timer::Sync);
        self.recover_disk(turn);
        self.erase_remnants(turn);
        // What is said before anybody has vouched for this store would be refused.
        if !self.view.admitted || !self.view.counts || self.life != super::Life::Running {
            return;
        }
        if self.restored.is_opening() {
            // It is read in a while, and all of it would have crossed the wire by then.
            return;
        }
        self.refill(turn);
        if self.sync.queue.is_empty() && self.sync.running == 0 && now >= self.sync.next_pass {
            self.begin_pass(turn);
        }
        self.run_comparisons(turn);
    }

    /// Everything that this node is to compare, with whom, and when it last was. One of two owners asks.
    fn shared(&self) -> impl Iterator<Item = (NodeId, Option<Instant>)> + '_ {
        let layout = &self.view.agreement.layout;
        let me = self.view.me;
        self.slots.owned().flat_map(move |(partition, _)| {
            let mut others = self.owners(partition, layout.replicas);
            others.retain(|other| *other != me);
            let when = move |other| self.sync.verified.get(&(partition, other)).copied();
            others.into_iter().map(move |other| (other, when(other)))
        })
    }

    /// What is not shared any more was not verified either.
    pub(super) fn forget_verified(&mut self) {
        let layout = &self.view.agreement.layout;
        let owns = |node, p| layout.owns(node, p, layout.replicas);
        let me = self.view.me;
        self.sync.verified.retain(|(p, other), _| owns(me, *p) && owns(*other, *p));
        self.sync.compared.clear();
    }

    /// Begins a comparison of everything now, or says how far the one that began at `since` is. Between two
    /// owners it is done by the one with the lower id, so ask all nodes.
    pub fn repair_json(&mut self, since: Option<u64>, now: Instant) -> Value {
        if since.is_none() {
            self.sync.next_full = now;
            self.sync.next_pass = now;
        }
        let since = since.map_or(now, Instant);
        let mine = self.shared().filter(|(other, _)| self.view.me < *other);
        let (mut total, mut left, mut unreachable) = (0u64, 0u64, 0u64);
        for (other, when) in mine {
            total += 1;
            if when.is_none_or(|when| when < since) {
                left += 1;
                unreachable += u64::from(self.peers.reach(other, &self.view) != Reach::Up);
            }
        }
        // Somebody waits, and some could not be told, or took not everything.
        if left > unreachable && self.sync.queue.is_empty() && self.sync.running == 0 {
            self.sync.hurry(now);
        }
        json!({
            "since": since.0,
            "total": total,
            "left": left,
            "unreachable": unreachable,
            "rebuilding": self.slots.rebuilding(),
            "items": self.counters.sync_items,
        })
    }

    /// When the slots of this node were last known to hold what the other owners hold.
    pub fn verified(&self) -> Verified {
        let mut verified = Verified::default();
        for (_, when) in self.shared() {
            verified.ranges += 1;
            match when {
                None => verified.never += 1,
                Some(when) => {
                    verified.oldest = Some(verified.oldest.map_or(when, |oldest| oldest.min(when)));
                }
            }
        }
        verified
    }

    /// The same for people.
    pub fn verified_json(&self, now: Instant) -> Value {
        let Verified { ranges: total, never, oldest } = self.verified();
        let seconds = oldest.map(|oldest| now.since(oldest).as_secs());
        let words = match (never, seconds) {
            _ if total == 0 => "there is no other owner to compare with".to_owned(),
            (0, Some(seconds)) => {
                format!("every range was compared with every other owner in the last {seconds} s")
            }
            (never, _) => {
                let done = total - never;
                format!("{done} of {total} ranges were compared since this node started")
            }
        };
        json!({ "ranges": total, "never": never, "oldest_seconds": seconds, "words": words })
    }

    fn begin_pass(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        let rebuilding = self.slots.rebuilding() + self.acquire.len() > 0;
        let full = now >= self.sync.next_full
            && !self.trees.is_incomplete()
            && guard::holds(Guard::FullSync);
        if full {
            self.sync.next_full = now + self.timing.sync;
        }
        self.look_for_remnants(full, turn);
        self.end_doubts(turn);
        let urgent = rebuilding
            || !self.doubts.is_empty()
            || !self.remnants.are_gone()
            || now >= self.sync.next_full;
        self.sync.next_pass = if urgent { now + REBUILD_PAUSE } else { self.sync.next_full };
        let (me, view) = (self.view.me, self.view.clone());
        let quorums = quorums(&view);
        let layout = &view.agreement.layout;
        let mut hint_keepers: BTreeMap<NodeId, PartitionId> = BTreeMap::new();
        let mut roots: BTreeMap<NodeId, Vec<PartitionId>> = BTreeMap::new();
        for (partition, slot_rebuilding) in self.slots.owned().collect::<Vec<_>>() {
            let list = layout.preference_list(partition, layout.replicas);
            let acquiring = self.acquire.contains(partition);
            let owners = self.owners(partition, layout.replicas);
            for other in owners.iter().copied().filter(|other| *other != me) {
                if self.doubts.wants(partition, other) {
                    self.sync.push(Task::Compare { partition, with: other, how: How::Both });
                    continue;
                }
                let present = list.slot_of(other).is_some();
                let wanted = acquiring && present && !self.acquire.has_merged(partition, other);
                let lacks = slot_rebuilding && present && !self.slots.has_merged(partition, other);
                // One of two complete owners is enough to compare them both ways.
                let calm = full && !slot_rebuilding && !acquiring && me < other;
                let needed = wanted || lacks || calm;
                if needed {
                    roots.entry(other).or_default().push(partition);
                }
            }
            if acquiring {
                let stand_ins = Acquire::stand_ins(&view, partition, &quorums).into_iter();
                for with in stand_ins.filter(|n| !self.acquire.has_pulled(partition, *n)) {
                    self.sync.push(Task::Compare { partition, with, how: How::Pull });
                }
            }
            if slot_rebuilding {
                // One question a fallback is enough for all partitions.
                hint_keepers.extend(list.fallbacks().map(|fallback| (fallback, partition)));
            }
        }
        for (with, partitions) in roots {
            for page in partitions.chunks(exchange::ROOTS_PER_PAGE) {
                self.sync.push(Task::Roots { with, partitions: page.to_vec() });
            }
        }
        for (with, partition) in hint_keepers {
            self.sync.push(Task::Compare { partition, with, how: How::Hints });
        }
        if layout.transition.is_none() {
            for (partition, with) in self.remnants.open(layout, me) {
                self.sync.push(Task::Compare { partition, with, how: How::Offer });
            }
        }
        self.finish_slots(slots::EVERY, turn);
    }

    fn run_comparisons(&mut self, turn: &mut Turn) {
        let urgent = self.slots.rebuilding() + self.acquire.len() + self.remnants.len() > 0;
        let most = if urgent { RUNNING_REBUILD } else { RUNNING };
        while self.sync.running < most {
            let Some(task) = self.sync.queue.pop_front() else { return };
            if self.peers.reach(task.with(), &self.view) != Reach::Up {
                continue;
            }
            self.sync.running += 1;
            let work = match task {
                Task::Roots { with, partitions } => Work::Roots(RootsWork::new(with, partitions)),
                Task::Compare { partition, with, how } => {
                    Work::Compare(Box::new(CompareWork::new(partition, with, how)))
                }
            };
            let mut request = self.begin(Origin::Own, None, COMPARE_DEADLINE, work, turn);
            request.class = Class::Background;
            request.attempt = self.timing.attempt * 4;
            let id = self.requests.number();
            self.go_on(id, request, turn);
        }
    }

    /// A comparison is over, whatever came of it.
    pub(super) fn compare_over(&mut self) {
        self.sync.running = self.sync.running.saturating_sub(1);
    }

    /// What a comparison brought is durable: its slot may be complete by that, and others may be compared.
    pub(super) fn go_on_comparing(&mut self, partition: PartitionId, turn: &mut Turn) {
        self.compare_over();
        self.finish_slots(partition..=partition, turn);
        self.run_comparisons(turn);
    }

    /// Looks whether these slots are complete by now.
    pub(super) fn finish_slots(&mut self, of: RangeInclusive<PartitionId>, turn: &mut Turn) {
        if !self.view.counts {
            return;
        }
        let quorums = quorums(&self.view);
        let copied = self.acquire.complete(&self.view, &quorums, of.clone());
        let sizes = self.sizes();
        let (refill, restored, view) = (&self.refill, &self.restored, &*self.view);
        let is_refilled = |partition| refill.is_done(restored, view, partition, &sizes);
        let complete = self.slots.complete(view, &quorums, of, &is_refilled);
        for change in complete.into_iter().chain(copied) {
            turn.outbox.persist(change);
        }
    }

    /// Whether a slot of this node is not complete yet: it is being rebuilt, or copied.
    pub(super) fn is_filling(&self, partition: PartitionId) -> bool {
        self.slots.is_rebuilding(partition) || self.acquire.contains(partition)
    }

    /// Whether a slot is not complete, and this owner has not been merged into it yet.
    pub(super) fn still_asks(&self, partition: PartitionId, whom: NodeId) -> bool {
        let lacks = self.slots.is_rebuilding(partition) && !self.slots.has_merged(partition, whom);
        lacks || self.acquire.contains(partition) && !self.acquire.has_merged(partition, whom)
    }

    /// Everything that a complete owner holds of a partition is durable here.
    pub(super) fn merged(&mut self, partition: PartitionId, from: NodeId) {
        self.slots.merged(partition, from);
        self.acquire.merged(partition, from);
    }
}
