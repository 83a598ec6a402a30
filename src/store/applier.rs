//! Carries durable groups into the index, many at a time, each time followed by "applied = n".
//!
//! ```text
//!   log     a1 b1 │ a2 c1 │ a3 b2 │ …          groups, as they came
//!   index   a3 b2 c1, applied = 3              of each key the newest, in the order of keys
//! ```
//!
//! What waits is shown by the overlay meanwhile. So it may wait for a while: a key that is written over in that time
//! costs one change of the index, and neighbours are changed together.

use super::Change;
use super::index::{Applied, Index, IndexResult, Located};
use super::options::Options;
use super::pace::Pace;
use super::record::places;
use super::run::Run;
use super::shared::{Group, Mend, Payload, Shared, Written, lock};
use super::writer::Step;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The one thread that writes to the index.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    /// How far the index is, as it says itself.
    applied: Applied,
    pace: Pace,
}

/// Whether the node, which has just added to the backlog, should wake the applier.
pub(crate) fn is_worth_waking(was_empty: bool, shared: &Shared) -> bool {
    was_empty || is_enough(shared)
}

/// Whether so much waits that it waits no longer.
fn is_enough(shared: &Shared) -> bool {
    let Options { overlay_bytes, window_bytes, .. } = shared.options;
    shared.unapplied_bytes.load(Ordering::Acquire) >= window_bytes.min(overlay_bytes / 2)
}

/// Whether somebody waits for more than is applied.
fn is_urgent(shared: &Shared, applied: u64) -> bool {
    shared.is_over() || is_enough(shared) || shared.applied_wanted.load(Ordering::Acquire) > applied
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, index: Arc<dyn Index>, from: Applied) -> Applier {
        shared.applied.store(from.sequence, Ordering::Release);
        shared.live_bytes.store(from.live, Ordering::Relaxed);
        Applier { shared, index, applied: from, pace: Pace::default() }
    }

    /// The thread: steps until the store is over.
    pub(crate) fn run(mut self) {
        self.pace = Pace::begin();
        while self.wait() {
            self.pace.work();
            self.step();
        }
    }

    /// Waits until something is due. False: the store is over.
    fn wait(&self) -> bool {
        let shared = &*self.shared;
        let mut backlog = lock(&shared.backlog);
        let mut since = None;
        loop {
            if shared.is_over() {
                return false;
            }
            let mut is_due = !lock(&shared.mends).is_empty();
            let mut left = Duration::MAX;
            if !backlog.is_empty() {
                let since = *since.get_or_insert_with(Instant::now);
                left = shared.options.linger.saturating_sub(since.elapsed());
                is_due |= left.is_zero() || is_urgent(shared, self.applied.sequence);
            }
            if is_due {
                return true;
            }
            let woken = shared.applier_wakes.wait_timeout(backlog, left);
            (backlog, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Applies what waits longest, a window of it.
    pub(crate) fn step(&mut self) -> Step {
        if self.shared.failed().is_some() {
            return Step::Blocked;
        }
        let mends = std::mem::take(&mut *lock(&self.shared.mends));
        for mend in &mends {
            if let Err(error) = self.mend(mend) {
                self.shared.fail_index(&error);
                return Step::Blocked;
            }
        }
        let groups = take(&mut lock(&self.shared.backlog), self.shared.options.window_bytes);
        let Some(last) = groups.last() else {
            return if mends.is_empty() { Step::Idle } else { Step::Worked };
        };
        if let Err(error) = self.apply(&groups, last) {
            self.shared.fail_index(&error);
            return Step::Blocked;
        }
        self.shared.live_bytes.store(self.applied.live, Ordering::Relaxed);
        self.shared.applied.store(last.sequence, Ordering::Release);
        let bytes = groups.iter().map(|group| group.bytes).sum();
        self.shared.unapplied_bytes.fetch_sub(bytes, Ordering::AcqRel);
        // Under the lock, so that a writer that is about to wait for room does not miss it.
        drop(lock(&self.shared.queue));
        self.shared.writer_wakes.notify_one();
        self.shared.keeper_wakes.notify_one();
        Step::Worked
    }

    /// Only this thread writes to the index, so nothing comes between the look and the change.
    fn mend(&mut self, mend: &Mend) -> IndexResult<()> {
        let Mend { key, seen, put: to } = mend;
        if self.index.get(key)?.as_ref() != Some(seen) {
            return Ok(());
        }
        // What lives was counted when it was written. The length in a wrong entry says nothing.
        match to {
            Some(located) => self.index.put(key, located)?,
            None => self.index.remove(key)?,
        };
        Ok(())
    }

    fn apply(&mut self, groups: &[Arc<Group>], last: &Group) -> IndexResult<()> {
        let mut run = Run::default();
        groups.iter().flat_map(|group| &group.batches).for_each(|written| add(&mut run, written));
        let mut live = self.applied.live;
        let (shared, pace, applied) = (&*self.shared, &mut self.pace, self.applied.sequence);
        let mut rest = || pace.rest(is_urgent(shared, applied));
        run.write(&*self.index, &mut live, Some(self.applied), &mut rest)?;
        let (end, sequence, commit) = (last.end, last.sequence, last.commit);
        self.applied = Applied { end, sequence, commit, live };
        self.index.set_applied(self.applied)
    }
}

fn add(run: &mut Run, written: &Written) {
    match &written.payload {
        Payload::Changes(changes) => {
            for (change, (place, length)) in changes.iter().zip(places(written.place, changes)) {
                match change {
                    Change::Put { key, head, .. } => {
                        run.set(key.clone(), Some(Located { place, length, head: head.clone() }));
                    }
                    Change::Erase { key } => run.set(key.clone(), None),
                    Change::EraseRange { from, to } => run.erase_range(from.clone(), to.clone()),
                }
            }
        }
        Payload::Copies(copies) => {
            let mut place = written.place;
            place.offset += super::record::BATCH_HEADER as u32;
            for copy in copies {
                let (length, head) = (copy.record.len() as u32, copy.head.clone());
                run.set(copy.key.clone(), Some(Located { place, length, head }));
                place.offset += length;
            }
        }
    }
}

/// Takes groups out, one at least, oldest first.
fn take(backlog: &mut VecDeque<Arc<Group>>, most: u64) -> Vec<Arc<Group>> {
    let mut groups = Vec::new();
    let mut bytes = 0;
    while bytes < most
        && let Some(group) = backlog.pop_front()
    {
        bytes += group.bytes;
        groups.push(group);
    }
    groups
}
