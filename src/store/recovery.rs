//! What a start makes of the log that it finds.
//!
//! ```text
//!   sequence  1 2 3 4 5 6 7 ▒ 9 …          ▒ ≤ durable_upto of something later: damage, skipped, told
//!             1 2 3 4 5 6 7 8 ▒ 10         ▒ above every durable_upto: torn; the log ends at 8
//!                         └────┘
//!                         the tail: whole, but no later batch proves that it was ever synced
//! ```
//!
//! The tail may be pages that a failed fdatasync left in the page cache and nowhere else, so it is
//! written again into a new segment, synced, and only then cut off the old one. A start that dies in
//! between leaves the same batches twice; the next one takes each once, by its sequence number.

use super::CommitNumber;
use super::disk::{Disk, DiskFile, read_all};
use super::index::{Applied, Index, IndexDamaged};
use super::log::{Log, segment_name, segment_number};
use super::order::Order;
use super::rebuild::Replay;
use super::record::{BATCH_HEADER, Found, Kind, Place, batches};
use super::state::{self, State};
use crate::id::Lineage;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// How far a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the log that were read.
    pub done: u64,
    /// Bytes that will be.
    pub total: u64,
    /// Whether the whole log is read to rebuild the index.
    pub rebuilding: bool,
}

/// A log that is ready for the writer, and an index that is level with it.
pub(crate) struct Recovered {
    pub(crate) log: Log,
    pub(crate) applied: Applied,
    pub(crate) lineage: Option<Lineage>,
    /// New and remembered.
    pub(crate) damaged: Vec<String>,
    pub(crate) set_aside: Vec<String>,
    pub(crate) log_bytes: u64,
    pub(crate) replayed: u64,
    /// Whether there was no log at all.
    pub(crate) is_new: bool,
}

/// Why a start did not succeed.
#[derive(Debug)]
pub(crate) enum RecoverError {
    Disk(io::Error),
    /// Rebuild it.
    Index(IndexDamaged),
}

impl From<io::Error> for RecoverError {
    fn from(error: io::Error) -> RecoverError {
        RecoverError::Disk(error)
    }
}

impl From<IndexDamaged> for RecoverError {
    fn from(error: IndexDamaged) -> RecoverError {
        RecoverError::Index(error)
    }
}

/// Reads the log from `trusted` on, or all of it into an empty index, and begins a new segment.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    index: &dyn Index,
    trusted: Option<Applied>,
    previous: Option<&State>,
    now: &mut State,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered, RecoverError> {
    let mut segments = segments(&**disk)?;
    let is_new = segments.is_empty();
    let next_segment = segments.last_key_value().map_or(1, |(segment, _)| segment + 1);
    let mut walk = Walk::begin(&**disk, &segments, trusted, previous)?;
    let mut replay = Replay::new(index, trusted);
    let from = trusted.map_or(0, |applied| applied.end.segment);
    let total = segments.range(from..).map(|(_, len)| len).sum();
    let mut done = 0;
    for (&segment, &len) in segments.range(from..) {
        progress(Progress { done, total, rebuilding: trusted.is_none() });
        let bytes = Bytes::from(read_whatever(&*disk.open(&segment_name(segment))?)?);
        for found in batches(segment, &bytes) {
            if walk.is_torn {
                break;
            }
            if walk.take(&found) {
                replay.add(&found)?;
            }
        }
        done += len;
    }
    progress(Progress { done, total, rebuilding: trusted.is_none() });
    if trusted.is_some() && !walk.met_applied {
        return Err(IndexDamaged("it is not level with this log".into()).into());
    }
    let set_aside = match walk.saw_anything {
        false => set_aside(&**disk, &mut segments)?,
        true => Vec::new(),
    };
    if !set_aside.is_empty() {
        walk.damaged.push((u64::MAX, "no batch in the whole log could be read".into()));
    }
    let damaged = walk.finish(&**disk)?;
    let log = rewrite_tail(disk, next_segment, &walk, &mut replay)?;
    now.oldest = walk.oldest_kept(&segments).unwrap_or(next_segment);
    now.write(&**disk)?;
    cut(&**disk, &mut segments, &walk)?;
    replay.flush()?;
    let applied =
        Applied { end: log.end, sequence: log.sequence, commit: log.commit, live: replay.live };
    index.set_applied(applied)?;
    segments.insert(next_segment, log.end.offset.into());
    Ok(Recovered {
        applied,
        lineage: walk.order.lineage,
        damaged,
        set_aside,
        log_bytes: segments.values().sum(),
        replayed: replay.batches,
        is_new,
        log,
    })
}

/// All segments with their lengths.
fn segments(disk: &dyn Disk) -> io::Result<BTreeMap<u32, u64>> {
    let names = disk.list()?;
    let numbers = names.iter().filter_map(|name| segment_number(name));
    numbers.map(|segment| Ok((segment, disk.open(&segment_name(segment))?.len()?))).collect()
}

/// Reads a file over unreadable blocks, which become zeros: the checksums tell what was in them.
pub(crate) fn read_whatever(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    const BLOCK: usize = 64 << 10;
    if let Ok(bytes) = read_all(file) {
        return Ok(bytes);
    }
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    for (i, block) in bytes.chunks_mut(BLOCK).enumerate() {
        if file.read_at(block, (i * BLOCK) as u64).is_err() {
            block.fill(0);
        }
    }
    Ok(bytes)
}

/// Where the old end of the log is cut.
#[derive(Clone, Copy, Debug)]
struct CutAt(Place);

impl CutAt {
    /// How many bytes of a segment stay.
    fn kept(self, segment: u32, len: u64) -> u64 {
        match segment.cmp(&self.0.segment) {
            Ordering::Less => len,
            Ordering::Equal => len.min(self.0.offset.into()),
            Ordering::Greater => 0,
        }
    }

    /// Whether a segment stays; one that holds an opening only does not.
    fn keeps(self, segment: u32) -> bool {
        self.kept(segment, u64::MAX) > BATCH_HEADER as u64
    }
}

/// The walk over the batches in the order of the log.
struct Walk {
    trusted: Option<Applied>,
    /// Synced for certain: something later in the log says so, or the clean stop did.
    proven: u64,
    /// Called durable once; more than proven where the index has it and the page cache survived.
    known: u64,
    order: Order,
    commit: CommitNumber,
    /// The commit number before the tail.
    proven_commit: CommitNumber,
    tail: BTreeMap<u64, Found>,
    /// Where the tail, or what cannot be read after the last good batch, begins.
    cut_at: Option<CutAt>,
    good_end: Option<Place>,
    is_torn: bool,
    saw_anything: bool,
    met_applied: bool,
    /// The sequence number and what to say.
    damaged: Vec<(u64, String)>,
}

impl Walk {
    fn begin(
        disk: &dyn Disk,
        segments: &BTreeMap<u32, u64>,
        trusted: Option<Applied>,
        state: Option<&State>,
    ) -> io::Result<Walk> {
        let mut proven = state.filter(|state| state.clean).map_or(0, |state| state.sequence);
        for &segment in segments.keys().rev() {
            let bytes = Bytes::from(read_whatever(&*disk.open(&segment_name(segment))?)?);
            if let Some(upto) =
                batches(segment, &bytes).map(|found| found.header.durable_upto).max()
            {
                proven = proven.max(upto);
                break;
            }
        }
        let floor = state.map_or(0, |state| state.floor);
        let applied = trusted.map_or(0, |applied| applied.sequence);
        let mut damaged = Vec::new();
        let oldest = state.map_or(0, |state| state.oldest);
        if segments.keys().next().map_or(oldest > 0, |first| *first > oldest) && state.is_some() {
            damaged.push((0, format!("the log's segments from {oldest} on are missing")));
        }
        let commit =
            state.filter(|state| state.clean).map_or(CommitNumber(0), |state| state.commit);
        Ok(Walk {
            trusted,
            proven,
            known: proven.max(floor).max(applied),
            order: Order::default(),
            commit: commit.max(trusted.map_or(commit, |applied| applied.commit)),
            proven_commit: CommitNumber(0),
            tail: BTreeMap::new(),
            cut_at: None,
            good_end: None,
            is_torn: false,
            saw_anything: false,
            met_applied: false,
            damaged,
        })
    }

    /// Takes the next whole batch. Whether it is to be replayed now.
    fn take(&mut self, found: &Found) -> bool {
        let header = &found.header;
        self.saw_anything = true;
        if let Some((from, to)) = self.order.missing_before(header)
            && !self.miss(from, to)
        {
            self.is_torn = true;
            return false;
        }
        let is_new = self.order.take(header);
        self.commit = self.commit.max(header.commit);
        self.met_applied |=
            self.trusted.is_some_and(|at| found.end() == at.end && header.sequence == at.sequence);
        if header.sequence > self.proven {
            self.cut_at.get_or_insert(CutAt(found.place));
            if header.kind != Kind::Opening {
                self.tail.insert(header.sequence, found.clone());
            }
            return false;
        }
        self.proven_commit = self.commit;
        if self.cut_at.is_none() {
            self.good_end = Some(found.end());
        }
        let is_due = self.trusted.is_none_or(|applied| found.place >= applied.end);
        is_new && is_due
    }

    /// The oldest segment that [`cut`] will leave.
    fn oldest_kept(&self, segments: &BTreeMap<u32, u64>) -> Option<u32> {
        let first = *segments.first_key_value()?.0;
        self.cut_at.is_none_or(|at| at.keeps(first)).then_some(first)
    }

    /// Batches `from..=to` are not there. Whether the log goes on behind them.
    fn miss(&mut self, from: u64, to: u64) -> bool {
        if from <= self.known {
            let upto = to.min(self.known);
            self.damaged.push((from, format!("batches {from} to {upto} of the log are damaged")));
            self.order.last = Some(upto);
        }
        to <= self.known
    }

    /// Closes the walk; returns all damage that nobody has acted on, durably noted.
    fn finish(&mut self, disk: &dyn Disk) -> io::Result<Vec<String>> {
        let last = self.order.last.unwrap_or(0);
        if last < self.known {
            self.miss(last + 1, self.known);
        } else if self.cut_at.is_none() {
            self.cut_at = self.good_end.map(CutAt);
        }
        let mut told = state::read_damage(disk)?;
        let before = told.len();
        for (sequence, text) in &self.damaged {
            // Damage from before the present lineage is why there is a present lineage.
            let is_old = *sequence > 0 && *sequence < self.order.lineage_since;
            if !is_old && !told.contains(text) {
                told.push(text.clone());
            }
        }
        if told.len() > before {
            state::write_damage(disk, &told)?;
        }
        Ok(told)
    }
}

/// Begins the new segment with the tail.
fn rewrite_tail(
    disk: &Arc<dyn Disk>,
    segment: u32,
    walk: &Walk,
    replay: &mut Replay<'_>,
) -> Result<Log, RecoverError> {
    let last = walk.order.last.unwrap_or(0);
    let base = walk.tail.keys().next().map_or(last, |first| first - 1);
    let base_commit = if walk.tail.is_empty() { walk.commit } else { walk.proven_commit };
    let lineage = walk.order.lineage.unwrap_or_default();
    let mut log = Log::begin(disk.clone(), segment, lineage, base, base_commit)?;
    if walk.tail.is_empty() {
        return Ok(log);
    }
    let mut bytes = vec![0; BATCH_HEADER];
    for found in walk.tail.values() {
        found.encode_again(&mut bytes, Place { segment, offset: 0 }, base);
    }
    log.append(&bytes[BATCH_HEADER..])?;
    (log.sequence, log.commit) = (last, walk.commit);
    log.sync()?;
    for found in batches(segment, &Bytes::from(bytes)) {
        replay.add(&found)?;
    }
    Ok(log)
}

/// Takes the tail, torn bytes and empty segments off the old end: all that counts is elsewhere now.
fn cut(
    disk: &dyn Disk,
    segments: &mut BTreeMap<u32, u64>,
    walk: &Walk,
) -> Result<(), RecoverError> {
    let Some(cut_at) = walk.cut_at else { return Ok(()) };
    let mut removed = Vec::new();
    for (&segment, len) in segments.range_mut(cut_at.0.segment..) {
        let keep = cut_at.kept(segment, *len);
        if !cut_at.keeps(segment) {
            disk.remove(&segment_name(segment))?;
            removed.push(segment);
        } else if *len > keep {
            let file = disk.open(&segment_name(segment))?;
            file.truncate(keep)?;
            file.sync()?;
            *len = keep;
        }
    }
    segments.retain(|segment, _| !removed.contains(segment));
    Ok(disk.sync_dir()?)
}

/// Gives every segment of a log beyond repair another name, but for those that never held anything.
fn set_aside(disk: &dyn Disk, segments: &mut BTreeMap<u32, u64>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (&segment, &len) in segments.iter() {
        let name = segment_name(segment);
        if len > BATCH_HEADER as u64 {
            let aside = format!("{name}.aside");
            disk.rename(&name, &aside)?;
            names.push(aside);
        } else {
            disk.remove(&name)?;
        }
    }
    segments.clear();
    disk.sync_dir()?;
    Ok(names)
}
