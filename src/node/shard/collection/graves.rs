//! Where tombstones are to be looked for, so that a node without any reads nothing.
//!
//! ```text
//!   a start, or a tombstone is written  ─► the partition is marked ─► read page by page ─► nothing left: unmarked
//!   an item with an expiry is written   ─► its date is noted ─ reached ─► marked
//! ```
//!
//! Who is not the first owner of a partition notes marks all the same: it may become it.

use crate::id::PartitionId;
use crate::store::key;
use crate::time::{Duration, Instant, WallClock};
use crate::version::Record;
use bytes::Bytes;
use std::collections::BTreeMap;

/// How soon a partition is read again in which something was left.
const AGAIN: Duration = Duration::from_secs(5);

/// One partition.
#[derive(Debug)]
struct Plot {
    /// Something may be there that is to go.
    marked: bool,
    /// Where the reading goes on.
    from: Option<Bytes>,
    /// It was marked since the reading began, or something had to be left.
    again: bool,
    /// Not before.
    at: Instant,
    /// There are some, as far as it was read.
    found: bool,
    /// When the next item expires of those that have been seen.
    expires: Option<WallClock>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Graves {
    plots: BTreeMap<PartitionId, Plot>,
    /// How many are marked.
    marked: usize,
    /// Where the next pass begins, so that everybody's turn comes.
    next: PartitionId,
}

impl Graves {
    /// What this node owns. Of what it did not own before nothing is known.
    pub fn keep(&mut self, partitions: impl Iterator<Item = PartitionId>) {
        let mut old = std::mem::take(&mut self.plots);
        let fresh = || Plot {
            marked: true,
            from: None,
            again: false,
            at: Instant(0),
            found: false,
            expires: None,
        };
        let known = |p: PartitionId| (p, old.remove(&p).unwrap_or_else(fresh));
        self.plots = partitions.map(known).collect();
        self.marked = self.plots.values().filter(|plot| plot.marked).count();
    }

    /// This record is written. Somebody will look, if there is anything to see in it.
    pub fn note(&mut self, key: &[u8], record: &Record) {
        let Some(partition) = key::partition_of_item(key) else { return };
        match record.siblings.standing_values().next() {
            Some(_) => self.note_expiry(partition, record),
            None => self.mark(partition),
        }
    }

    /// This record is to be looked at when the last of its values has expired.
    pub fn note_expiry(&mut self, partition: PartitionId, record: &Record) {
        if let Some(last) = last_of(record.siblings.standing_values().map(|(s, _)| s.expires_at)) {
            self.expires(partition, last);
        }
    }

    /// Something of a partition can go at this date.
    pub fn expires(&mut self, partition: PartitionId, at: WallClock) {
        if let Some(plot) = self.plots.get_mut(&partition) {
            plot.expires = Some(plot.expires.map_or(at, |before| before.min(at)));
        }
    }

    /// Something of a partition can go, or is to be looked at once more.
    pub fn mark(&mut self, partition: PartitionId) {
        if let Some(plot) = self.plots.get_mut(&partition) {
            plot.again |= plot.marked;
            self.marked += usize::from(!plot.marked);
            plot.marked = true;
        }
    }

    /// Nobody knows what is left where.
    pub fn mark_all(&mut self) {
        let all: Vec<PartitionId> = self.plots.keys().copied().collect();
        all.into_iter().for_each(|partition| self.mark(partition));
    }

    /// Marks what has expired by this date.
    pub fn pass(&mut self, date: WallClock) {
        let is_due = |plot: &Plot| plot.expires.is_some_and(|at| at <= date);
        let due: Vec<PartitionId> =
            self.plots.iter().filter(|(_, plot)| is_due(plot)).map(|(p, _)| *p).collect();
        for partition in due {
            if let Some(plot) = self.plots.get_mut(&partition) {
                plot.expires = None;
            }
            self.mark(partition);
        }
    }

    /// The marked partitions that may be read now, beginning where the last pass has ended.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = PartitionId> + '_ {
        let is_due = move |plot: &Plot| plot.marked && plot.at <= now;
        let all = self.plots.range(self.next..).chain(self.plots.range(..self.next));
        let plots = (self.marked > 0).then_some(all).into_iter().flatten();
        plots.filter(move |(_, plot)| is_due(plot)).map(|(partition, _)| *partition)
    }

    /// From which store key on a partition is read.
    pub fn from(&self, partition: PartitionId) -> Bytes {
        let from = self.plots.get(&partition).and_then(|plot| plot.from.clone());
        from.unwrap_or_else(|| key::partition_range(partition).0)
    }

    /// The next pass begins with the partition after this one.
    pub fn passed(&mut self, partition: PartitionId) {
        self.next = PartitionId(partition.0.wrapping_add(1));
    }

    /// A partition was read up to here; `None`: to its end.
    pub fn read(&mut self, partition: PartitionId, next: Option<Bytes>, now: Instant) {
        let Some(plot) = self.plots.get_mut(&partition) else { return };
        plot.from = next;
        plot.found = false;
        if plot.from.is_some() {
            return;
        }
        plot.marked = std::mem::take(&mut plot.again);
        if plot.marked {
            plot.at = now + AGAIN;
        } else {
            self.marked = self.marked.saturating_sub(1);
        }
    }

    /// There is something in a partition that could go.
    pub fn found(&mut self, partition: PartitionId) {
        if let Some(plot) = self.plots.get_mut(&partition) {
            plot.found = true;
        }
    }

    /// Whether there was, when it was last read.
    pub fn has_some(&self, partition: PartitionId) -> bool {
        self.plots.get(&partition).is_some_and(|plot| plot.found)
    }

    /// Something was found that could not go: it is read again, in a while.
    pub fn left(&mut self, partition: PartitionId, now: Instant) {
        self.mark(partition);
        if let Some(plot) = self.plots.get_mut(&partition) {
            plot.again |= plot.from.is_some();
            plot.at = now + AGAIN;
        }
    }
}

/// When an item with these values can go: with the last of them, unless one never expires.
pub(super) fn last_of(expiries: impl Iterator<Item = Option<WallClock>>) -> Option<WallClock> {
    expiries.max_by_key(|at| at.map_or(u64::MAX, |at| at.0)).flatten()
}
