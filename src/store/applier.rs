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
use super::record::places;
use super::shared::{Group, Mend, Payload, Shared, Written, lock};
use super::writer::Step;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How many keys of an erased range are taken from the index at a time.
const ERASE_CHUNK: usize = 256;
/// After so many changes it is noted how much of what the index points to is alive: what a crash leaves of a window may
/// be all of it but the end.
pub(crate) const NOTE_EVERY: usize = 32;

/// The one thread that writes to the index.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    /// How far the index is, as it says itself.
    applied: Applied,
}

/// Of each key what came last, since a range was erased.
#[derive(Default)]
struct Newest<'a>(BTreeMap<&'a [u8], Option<Located>>);

/// Whether the node, which has just added to the backlog, should wake the applier.
pub(crate) fn is_worth_waking(was_empty: bool, shared: &Shared) -> bool {
    was_empty || is_enough(shared)
}

/// Whether so much waits that it waits no longer.
fn is_enough(shared: &Shared) -> bool {
    let Options { overlay_bytes, window_bytes, .. } = shared.options;
    shared.unapplied_bytes.load(Ordering::Acquire) >= (overlay_bytes / 2).min(4 * window_bytes)
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, index: Arc<dyn Index>, from: Applied) -> Applier {
        shared.applied.store(from.sequence, Ordering::Release);
        shared.live_bytes.store(from.live, Ordering::Relaxed);
        Applier { shared, index, applied: from }
    }

    /// The thread: steps until the store is over.
    pub(crate) fn run(mut self) {
        while let Some(due) = self.wait() {
            // All that waits now, though not all at once: room comes back with each step.
            while self.step() == Step::Worked && self.applied.sequence < due {}
        }
    }

    /// Waits until something is due, and tells up to where. Nothing: the store is over.
    fn wait(&self) -> Option<u64> {
        let shared = &*self.shared;
        let mut backlog = lock(&shared.backlog);
        let mut since = None;
        loop {
            if shared.is_over() {
                return None;
            }
            let hurried = shared.applied_wanted.load(Ordering::Acquire)
                > shared.applied.load(Ordering::Acquire);
            let since: Option<Instant> = match backlog.is_empty() {
                true => None,
                false => Some(*since.get_or_insert_with(Instant::now)),
            };
            let left = since.map(|since| shared.options.linger.saturating_sub(since.elapsed()));
            let is_due = left.is_some_and(|left| hurried || left.is_zero() || is_enough(shared));
            if is_due || !lock(&shared.mends).is_empty() {
                return Some(backlog.back().map_or(0, |group| group.sequence));
            }
            let left = left.unwrap_or(Duration::MAX);
            (backlog, _) = shared
                .applier_wakes
                .wait_timeout(backlog, left)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let mut newest = Newest::default();
        for written in groups.iter().flat_map(|group| &group.batches) {
            self.take_in(written, &mut newest)?;
        }
        self.write(newest)?;
        let (end, sequence, commit) = (last.end, last.sequence, last.commit);
        self.applied = Applied { end, sequence, commit, ..self.applied };
        self.index.set_applied(self.applied)
    }

    fn take_in<'a>(&mut self, written: &'a Written, newest: &mut Newest<'a>) -> IndexResult<()> {
        match &written.payload {
            Payload::Changes(changes) => {
                for (change, (place, length)) in changes.iter().zip(places(written.place, changes))
                {
                    match change {
                        Change::Put { key, head, .. } => {
                            let head = head.clone();
                            newest.0.insert(key, Some(Located { place, length, head }));
                        }
                        Change::Erase { key } => drop(newest.0.insert(key, None)),
                        Change::EraseRange { from, to } => {
                            self.write(std::mem::take(newest))?;
                            erase_range(&*self.index, from, to, &mut self.applied.live)?;
                            self.index.set_applied(self.applied)?;
                        }
                    }
                }
            }
            Payload::Copies(copies) => {
                let mut place = written.place;
                place.offset += super::record::BATCH_HEADER as u32;
                for copy in copies {
                    let (length, head) = (copy.record.len() as u32, copy.head.clone());
                    newest.0.insert(&copy.key, Some(Located { place, length, head }));
                    place.offset += length;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, newest: Newest<'_>) -> IndexResult<()> {
        for (written, (key, located)) in newest.0.into_iter().enumerate() {
            match located {
                Some(located) => put(&*self.index, key, &located, &mut self.applied.live)?,
                None => erase(&*self.index, key, &mut self.applied.live)?,
            }
            if written % NOTE_EVERY == 0 {
                // No further than before, but with what is there now.
                self.index.set_applied(self.applied)?;
            }
        }
        Ok(())
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

/// Points a key to a record.
pub(crate) fn put(
    index: &dyn Index,
    key: &[u8],
    located: &Located,
    live: &mut u64,
) -> IndexResult<()> {
    let previous = index.put(key, located)?;
    *live = (*live + u64::from(located.length)).saturating_sub(previous.unwrap_or(0).into());
    Ok(())
}

/// Forgets a key.
pub(crate) fn erase(index: &dyn Index, key: &[u8], live: &mut u64) -> IndexResult<()> {
    *live = live.saturating_sub(index.remove(key)?.unwrap_or(0).into());
    Ok(())
}

/// Forgets a range of keys, a few at a time so that no scan is open while the index changes.
pub(crate) fn erase_range(
    index: &dyn Index,
    from: &[u8],
    to: &[u8],
    live: &mut u64,
) -> IndexResult<()> {
    if from >= to {
        return Ok(());
    }
    loop {
        let mut keys = Vec::new();
        index.scan(from, to, &mut |key, _| {
            keys.push(Bytes::copy_from_slice(key));
            if keys.len() < ERASE_CHUNK {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        for key in &keys {
            erase(index, key, live)?;
        }
        if keys.len() < ERASE_CHUNK {
            return Ok(());
        }
    }
}
