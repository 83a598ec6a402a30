//! Reads everything once more, from the log itself, beside the node: what has rotted is found before somebody
//! needs it.
//!
//! ```text
//!   Log     1.log ▐▐▐▒▐▐  2.log ▐▐▐▐  …      every batch up to the end of the log as it began: ▒ damaged
//!   Keys    index: a ─► 1.log@56 ─► a's record: is it whole, a's own, with the head that the index has?
//!             ├─ all three                     fine; out of ▒ it is copied to the end of the log
//!             ├─ another head                  the log is the truth: the index is mended
//!             ├─ not whole, and the log is ▒   rot: told, unless it has no body: then the index has all of it
//!             └─ not whole, the log is whole   the index points astray: the newest record is looked for in the log
//! ```
//!
//! - It runs on a thread of its own, a page at a time, and begins no page unasked: the node sets the pace.
//! - It writes nothing. The index is mended by the applier, records are copied by the keeper; each only if the
//!   index still has the entry that was seen.
//! - What cannot be opened now says nothing: the page ends without a word and is read again. A segment that is gone
//!   although the index points into it was set aside, and all that it held is lost here: that is told.
//! - An entry that changed while it was looked at was read by nobody in vain: it is skipped.

use super::disk::DiskFile;
use super::index::{Index, IndexDamaged, Located};
use super::log::{segment_file, segment_numbers};
use super::record::{Place, decode_put, encode_change};
use super::search::{Search, Verdict};
use super::shared::{Mend, Move, Shared, lock};
use super::walk::{Regions, Walk, is_within};
use super::writer::Step;
use super::{Change, ScrubAt, Scrubbed};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most entries on a page.
const ENTRIES: usize = 4096;
/// With more entries astray on one page the index is beyond use.
const ASTRAY: usize = 1024;

/// What the node's thread asks for.
#[derive(Clone, Debug)]
pub(crate) struct ScrubPage {
    pub(crate) from: ScrubAt,
    /// About so many bytes are read.
    pub(crate) bytes: u64,
}

/// Asked, and answered.
#[derive(Default)]
pub(crate) struct Desk {
    /// A page was asked for, and its answer not taken yet.
    pub(crate) is_busy: bool,
    pub(crate) asked: Option<ScrubPage>,
    pub(crate) done: Option<Scrubbed>,
}

/// The thread.
pub(crate) struct Scrubber {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    /// Segments with damage, as far as this pass has seen them.
    damaged: BTreeMap<u32, Regions>,
    /// Where the log ended when its reading began: else a busy node is never done. Nothing: this life has not read
    /// of it.
    until: Option<LogEnd>,
}

/// How far the log was.
#[derive(Clone, Copy)]
struct LogEnd {
    place: Place,
    /// The last batch before that. The index is read when it has this, too.
    sequence: u64,
}

/// What an entry of the index turned out to be.
enum Entry {
    Fine,
    /// Its record is whole, and lies where a rebuild would not find it.
    Stranded(Bytes),
    /// The log has another head for it.
    Untrue(Bytes),
    /// Its record is not what it should be.
    Unreadable,
}

/// Why a page has no findings.
enum Unread {
    /// The index is beyond use.
    Index(IndexDamaged),
    /// Something could not be opened, or the store is being closed.
    NotNow,
}

impl From<IndexDamaged> for Unread {
    fn from(error: IndexDamaged) -> Unread {
        Unread::Index(error)
    }
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Unread {
        Unread::NotNow
    }
}

impl Scrubber {
    pub(crate) fn new(shared: Arc<Shared>, index: Arc<dyn Index>) -> Scrubber {
        Scrubber { shared, index, damaged: BTreeMap::new(), until: None }
    }

    /// The thread: answers until the store is over.
    pub(crate) fn run(mut self) {
        loop {
            while self.step() == Step::Worked {}
            let desk = lock(&self.shared.scrub);
            if self.shared.is_over() {
                return;
            }
            if desk.asked.is_none() {
                drop(self.shared.scrub_wakes.wait(desk));
            }
        }
    }

    /// Reads the page that was asked for.
    pub(crate) fn step(&mut self) -> Step {
        if self.shared.is_over() {
            return Step::Blocked;
        }
        let Some(page) = lock(&self.shared.scrub).asked.take() else { return Step::Idle };
        let done = match &page.from {
            ScrubAt::Log { segment, offset } => self.log_page(*segment, *offset, page.bytes),
            ScrubAt::Keys(from) => self.key_page(from, page.bytes),
        };
        let mut done = match done {
            Ok(done) => done,
            Err(Unread::NotNow) => Scrubbed { next: Some(page.from), ..Scrubbed::default() },
            Err(Unread::Index(error)) => {
                self.shared.fail_index(&error);
                return Step::Blocked;
            }
        };
        let total = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        done.total = total(&self.shared.log_bytes) + total(&self.shared.live_bytes);
        lock(&self.shared.scrub).done = Some(done);
        (self.shared.options.waker)();
        Step::Worked
    }

    /// Some batches of a segment. One that is gone has been reclaimed.
    fn log_page(&mut self, segment: u32, offset: u32, bytes: u64) -> Result<Scrubbed, Unread> {
        if (segment, offset) == (0, 0) {
            self.damaged.clear();
            self.until = None;
        }
        let LogEnd { place: until, .. } = *self.until.get_or_insert_with(|| LogEnd {
            sequence: self.shared.published_upto.load(Ordering::Acquire),
            place: Place::unpack(self.shared.end.load(Ordering::Acquire)),
        });
        let range = segment..=until.segment;
        let segments = segment_numbers(&*self.shared.disk)?;
        let Some(found) = segments.into_iter().find(|found| range.contains(found)) else {
            return Ok(Scrubbed { next: Some(ScrubAt::Keys(Bytes::new())), ..Scrubbed::default() });
        };
        // The segment where it was to go on may have been reclaimed.
        let at = if found == segment { offset } else { 0 };
        let (segment, mut read) = (found, 0);
        let after = ScrubAt::Log { segment: segment + 1, offset: 0 };
        let mut regions = Regions::new();
        let Some(mut walk) = Walk::open(&self.shared, segment, at)? else {
            return Ok(Scrubbed { next: Some(after), ..Scrubbed::default() });
        };
        if segment == until.segment {
            walk.len = walk.len.min(until.offset.into());
        }
        while read < bytes && !walk.is_over() {
            read += walk.read_on(&mut |_| (), &mut regions);
        }
        if self.shared.is_deleted(segment) {
            return Ok(Scrubbed { next: Some(after), bytes: read, ..Scrubbed::default() });
        }
        let found = regions.len() as u64;
        if found > 0 {
            self.damaged.entry(segment).or_default().append(&mut regions);
        }
        let next = match walk.is_over() {
            true => after,
            false => ScrubAt::Log { segment, offset: walk.at },
        };
        Ok(Scrubbed { next: Some(next), bytes: read, regions: found, ..Scrubbed::default() })
    }

    /// The records of some keys.
    fn key_page(&mut self, from: &Bytes, bytes: u64) -> Result<Scrubbed, Unread> {
        let Some(until) = self.until else {
            // An earlier life has read the log, and knew where it is damaged: what is whole in there a rebuild does
            // not find.
            return Ok(Scrubbed { next: Some(ScrubAt::default()), ..Scrubbed::default() });
        };
        if !self.shared.has_applied(until.sequence) {
            return Err(Unread::NotNow);
        }
        let mut page = Vec::new();
        let mut sum = 0;
        self.index.scan(from, &[0xff], &mut |key, located| {
            sum += u64::from(located.length);
            page.push((Bytes::copy_from_slice(key), located));
            match sum < bytes && page.len() < ENTRIES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        let is_last = sum < bytes && page.len() < ENTRIES;
        let after = |key: &Bytes| ScrubAt::Keys([&key[..], &[0]].concat().into());
        let mut done = Scrubbed {
            next: page.last().filter(|_| !is_last).map(|(key, _)| after(key)),
            ..Scrubbed::default()
        };
        let mut files = BTreeMap::new();
        let mut astray = Vec::new();
        for (key, located) in page {
            done.records += 1;
            done.bytes += u64::from(located.length);
            match self.look(&key, &located, &mut files)? {
                Entry::Fine => {}
                _ if self.index.get(&key)?.as_ref() != Some(&located) => {}
                Entry::Stranded(record) => {
                    done.copied += 1;
                    self.rescue(key, &located, record);
                }
                Entry::Untrue(head) => {
                    done.mended += 1;
                    let put = Some(Located { head, ..located.clone() });
                    self.mend(Mend { key, seen: located, put });
                }
                Entry::Unreadable if self.is_rotten(located.place)? => {
                    match without_body(&key, &located) {
                        Some(record) => {
                            done.copied += 1;
                            self.rescue(key, &located, record);
                        }
                        None => done.damaged.push(key),
                    }
                }
                Entry::Unreadable => astray.push((key, located)),
            }
        }
        if !astray.is_empty() {
            self.find(astray, &mut done)?;
        }
        Ok(done)
    }

    fn look(
        &self,
        key: &Bytes,
        located: &Located,
        files: &mut BTreeMap<u32, Option<Arc<dyn DiskFile>>>,
    ) -> io::Result<Entry> {
        let Place { segment, offset } = located.place;
        let file = match files.entry(segment) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(slot) => slot.insert(segment_file(&*self.shared.disk, segment)?),
        };
        let Some(file) = file else { return Ok(Entry::Unreadable) };
        // An entry that is wrong may claim any length.
        if u64::from(offset) + u64::from(located.length) > file.len()? {
            return Ok(Entry::Unreadable);
        }
        let mut record = vec![0; located.length as usize];
        if file.read_at(&mut record, offset.into()).is_err() {
            return Ok(Entry::Unreadable);
        }
        let record = Bytes::from(record);
        Ok(match decode_put(&record) {
            Some((found, head, _)) if found == *key => match head == located.head {
                false => Entry::Untrue(head),
                true if self.is_known_damaged(located.place) => Entry::Stranded(record),
                true => Entry::Fine,
            },
            _ => Entry::Unreadable,
        })
    }

    fn is_known_damaged(&self, place: Place) -> bool {
        let regions = self.damaged.get(&place.segment);
        regions.is_some_and(|regions| is_within(regions, place.offset))
    }

    /// Whether the log is damaged where a record should be: its segment is read again, for it may have rotted since.
    /// Or there was such a segment, and it is gone.
    fn is_rotten(&mut self, place: Place) -> io::Result<bool> {
        if self.is_known_damaged(place) {
            return Ok(true);
        }
        let mut regions = Regions::new();
        let Some(mut walk) = Walk::open(&self.shared, place.segment, 0)? else {
            let end = Place::unpack(self.shared.end.load(Ordering::Acquire));
            return Ok((1..=end.segment).contains(&place.segment));
        };
        while !walk.is_over() && walk.at <= place.offset {
            walk.read_on(&mut |_| (), &mut regions);
        }
        let is_rotten = is_within(&regions, place.offset);
        if is_rotten {
            self.damaged.insert(place.segment, regions);
        }
        Ok(is_rotten)
    }

    /// Finds the newest record of keys whose entries point astray, in the whole log.
    fn find(&self, astray: Vec<(Bytes, Located)>, done: &mut Scrubbed) -> Result<(), Unread> {
        if astray.len() > ASTRAY {
            // To look for each of them would take as long as building it anew.
            let many = format!("{} entries of a page point astray", astray.len());
            return Err(IndexDamaged(many).into());
        }
        let mut search = Search::of(&self.shared, astray.iter().map(|(key, _)| key).collect())?;
        done.bytes += search.bytes;
        for (key, seen) in astray {
            let put = match search.verdict(&key, &seen) {
                Verdict::At(found) => Some(found),
                Verdict::Nowhere => None,
                Verdict::Unknown => {
                    done.damaged.push(key);
                    continue;
                }
            };
            done.mended += 1;
            self.mend(Mend { key, seen, put });
        }
        Ok(())
    }

    fn mend(&self, mend: Mend) {
        lock(&self.shared.mends).push(mend);
        // Under the lock, so that an applier that is about to wait does not miss it.
        drop(lock(&self.shared.backlog));
        self.shared.applier_wakes.notify_one();
    }

    fn rescue(&self, key: Bytes, located: &Located, record: Bytes) {
        let rescued = Move { key, head: located.head.clone(), record, from: located.place };
        lock(&self.shared.rescues).push(rescued);
        self.shared.keeper_wakes.notify_one();
    }
}

/// The record that the index alone tells, if it has no body.
fn without_body(key: &Bytes, located: &Located) -> Option<Bytes> {
    let change = Change::Put { key: key.clone(), head: located.head.clone(), body: Bytes::new() };
    let mut record = Vec::new();
    encode_change(&mut record, &change);
    (record.len() == located.length as usize).then(|| record.into())
}
