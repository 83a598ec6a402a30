//! The full comparison of a slot with the other owners: page by page of digests, then the items that
//! differ, by ordinary reads and replication. It ends the rebuilding of a slot, and mends what a dead
//! coordinator left without a hint.
//!
//! ```text
//!   mine     a:1   b:2         d:4          theirs   a:1   b:9   c:3
//!            same  └── read, join, push ──┘ push d      c is read
//! ```
//!
//! It costs a pass over the keys. A Merkle exchange will cost the difference instead, and move items by
//! the same path.

use super::compare::CompareWork;
use super::request::{Origin, Work};
use super::timers::Timer;
use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::guard::{self, Guard};
use crate::id::{NodeId, PartitionId};
use crate::message::Class;
use crate::ring::Role;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// How often the queue is looked at.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How many comparisons run at a time.
const RUNNING: usize = 4;
/// How many run at a time while a slot is rebuilding.
const RUNNING_REBUILD: usize = 16;
/// How soon a pass follows one that could not finish rebuilding.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);
/// How long one partition and source may take.
const COMPARE_DEADLINE: Duration = Duration::from_secs(3600);

/// What is to be compared, and when next.
#[derive(Debug, Default)]
pub(super) struct Sync {
    queue: VecDeque<(PartitionId, NodeId)>,
    running: usize,
    next_pass: Instant,
    /// When complete slots are compared again, too.
    next_full: Instant,
}

impl Sync {
    /// Something has changed: the next pass begins in a moment.
    pub fn hurry(&mut self, now: Instant) {
        self.next_full = self.next_full.min(now + REBUILD_PAUSE);
        self.look(now);
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
        if !self.view.admitted || self.life != super::Life::Running {
            return;
        }
        if self.sync.queue.is_empty() && self.sync.running == 0 && now >= self.sync.next_pass {
            self.begin_pass(turn);
        }
        self.run_comparisons(turn);
    }

    fn begin_pass(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        let rebuilding = self.slots.rebuilding() > 0;
        let full = !rebuilding && now >= self.sync.next_full && guard::holds(Guard::FullSync);
        if full {
            self.sync.next_full = now + self.timing.sync;
        }
        let urgent = rebuilding || !self.doubts.is_empty();
        self.sync.next_pass = if urgent { now + REBUILD_PAUSE } else { self.sync.next_full };
        let (me, view) = (self.view.me, self.view.clone());
        let layout = &view.agreement.layout;
        let mut hint_keepers: BTreeMap<NodeId, PartitionId> = BTreeMap::new();
        for (partition, slot_rebuilding) in self.slots.owned().collect::<Vec<_>>() {
            let list = layout.preference_list(partition, layout.replicas);
            for other in list.owners().filter(|other| *other != me) {
                let needed = match slot_rebuilding {
                    true => !self.slots.has_merged(partition, other),
                    // One of two complete owners is enough to compare them both ways.
                    false => full && me < other || self.doubts.wants(partition, other),
                };
                if needed {
                    self.sync.queue.push_back((partition, other));
                }
            }
            if slot_rebuilding {
                // One question a fallback is enough for all partitions.
                hint_keepers.extend(list.fallbacks().map(|fallback| (fallback, partition)));
            }
        }
        self.sync.queue.extend(hint_keepers.into_iter().map(|(node, p)| (p, node)));
        self.finish_slots(turn);
    }

    fn run_comparisons(&mut self, turn: &mut Turn) {
        let most = if self.slots.rebuilding() > 0 { RUNNING_REBUILD } else { RUNNING };
        while self.sync.running < most {
            let Some((partition, with)) = self.sync.queue.pop_front() else { return };
            if self.peers.reach(with, &self.view) != Reach::Up {
                continue;
            }
            self.sync.running += 1;
            let layout = &self.view.agreement.layout;
            let owner = layout.role(with, partition, layout.replicas) == Role::Primary;
            let work = CompareWork::new(partition, with, owner);
            let work = Work::Compare(Box::new(work));
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

    /// What a comparison brought is durable: slots may be complete by that, and others may be compared.
    pub(super) fn go_on_comparing(&mut self, turn: &mut Turn) {
        self.compare_over();
        self.finish_slots(turn);
        self.run_comparisons(turn);
    }

    fn finish_slots(&mut self, turn: &mut Turn) {
        if !self.view.counts {
            return;
        }
        for change in self.slots.complete(&self.view) {
            turn.outbox.persist(change);
        }
    }
}
