//! Carries durable groups into the index, in order, each followed by "applied = n".

use super::Change;
use super::index::{Applied, Index, IndexResult, Located};
use super::record::places;
use super::shared::{Group, Mend, Payload, Shared, Written, lock};
use super::writer::Step;
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many keys of an erased range are taken from the index at a time.
const ERASE_CHUNK: usize = 256;

/// The one thread that writes to the index.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    live: u64,
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, index: Arc<dyn Index>, from: Applied) -> Applier {
        shared.applied.store(from.sequence, Ordering::Release);
        shared.live_bytes.store(from.live, Ordering::Relaxed);
        Applier { shared, index, live: from.live }
    }

    /// The thread: steps until the store is over.
    pub(crate) fn run(mut self) {
        loop {
            while self.step() == Step::Worked {}
            let backlog = lock(&self.shared.backlog);
            if self.shared.is_over() {
                return;
            }
            if backlog.is_empty() && lock(&self.shared.mends).is_empty() {
                drop(self.shared.applier_wakes.wait(backlog));
            }
        }
    }

    /// Applies the oldest waiting group.
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
        let Some(group) = lock(&self.shared.backlog).pop_front() else {
            return if mends.is_empty() { Step::Idle } else { Step::Worked };
        };
        if let Err(error) = self.apply(&group) {
            self.shared.fail_index(&error);
            return Step::Blocked;
        }
        self.shared.live_bytes.store(self.live, Ordering::Relaxed);
        self.shared.applied.store(group.sequence, Ordering::Release);
        self.shared.unapplied_bytes.fetch_sub(group.bytes, Ordering::AcqRel);
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

    fn apply(&mut self, group: &Group) -> IndexResult<()> {
        for written in &group.batches {
            apply_written(&*self.index, written, &mut self.live)?;
        }
        self.index.set_applied(Applied {
            end: group.end,
            sequence: group.sequence,
            commit: group.commit,
            live: self.live,
        })
    }
}

fn apply_written(index: &dyn Index, written: &Written, live: &mut u64) -> IndexResult<()> {
    match &written.payload {
        Payload::Changes(changes) => {
            for (change, (place, length)) in changes.iter().zip(places(written.place, changes)) {
                match change {
                    Change::Put { key, head, .. } => {
                        put(index, key, &Located { place, length, head: head.clone() }, live)?;
                    }
                    Change::Erase { key } => erase(index, key, live)?,
                    Change::EraseRange { from, to } => erase_range(index, from, to, live)?,
                }
            }
        }
        Payload::Copies(copies) => {
            let mut place = written.place;
            place.offset += super::record::BATCH_HEADER as u32;
            for copy in copies {
                let length = copy.record.len() as u32;
                put(index, &copy.key, &Located { place, length, head: copy.head.clone() }, live)?;
                place.offset += length;
            }
        }
    }
    Ok(())
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
