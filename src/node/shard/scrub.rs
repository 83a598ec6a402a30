//! The scrub: everything that lies here is read once more, so that what has rotted is mended while the others still
//! have it.
//!
//! ```text
//!   due, or asked for ─► the store reads a page … found ▒ ─► in doubt: quarantined, fetched from the other owners
//!                          pause: bytes / rate ◄─┘              (`doubts.rs`)
//!                      ─► each tree is built once more beside the kept one; another ─► scanned again
//!                      ─► done; the next one after `scrub.every`
//! ```
//!
//! The store reads beside this thread; here a page is asked for and its findings are taken. How far it is is written
//! down every ten seconds: a node that is started every day must come to an end of it, too.

use super::timers::Timer;
use super::trees::Checked;
use super::{Life, Shard, Turn, is_item};
use crate::id::PartitionId;
use crate::store::{Change, ScrubAt, Scrubbed, Store, StoreError, key};
use crate::time::{Duration, Instant, WallClock};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};

/// Under which of the node's own keys it stands how far it is.
const NOTE: &str = "scrub";
/// How often there is a look while one is under way.
const TICK: Duration = Duration::from_millis(20);
/// When a life looks first whether one is due, or under way.
pub(super) const FIRST: Duration = Duration::from_secs(1);
/// How often, when none is.
const IDLE_TICK: Duration = Duration::from_secs(10);
/// How often it is written down how far it is.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// How much the store reads at a time.
const PAGE_BYTES: u64 = 256 << 10;
/// How many findings are looked at in a turn; each is one read.
const FINDINGS: usize = 64;
/// How many heads are read in a turn while trees are checked.
const HEADS: usize = 512;
/// With so many records in doubt it waits until some are mended.
const DOUBTS_ENOUGH: usize = 512;
/// How many findings of one scrub are remembered by name.
const REMEMBERED: usize = 1 << 16;

/// What one scrub has read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    bytes: u64,
    total: u64,
    records: u64,
    /// Records that cannot be read.
    damaged: u64,
    /// Of them, those that no other owner has.
    alone: u64,
    regions: u64,
    copied: u64,
    index: u64,
    trees: u64,
    trees_differed: u64,
}

/// Where one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// The store reads.
    Reading(ScrubAt),
    /// Trees are checked, from this partition on.
    Trees(u16),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pass {
    /// When it began, by the wall clock.
    began: u64,
    stage: Stage,
    tally: Tally,
    /// How many bytes a second are read at most.
    rate: u64,
    /// Somebody asked for it.
    asked_for: bool,
}

/// What is written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Note {
    /// When the last one ended, or this node first lived, by the wall clock.
    last: u64,
    pass: Option<Pass>,
}

/// See the module's picture.
#[derive(Debug)]
pub(super) struct Scrub {
    note: Note,
    noted: Instant,
    /// Whether anything was ever written down.
    is_known: bool,
    /// The store reads a page.
    is_asked: bool,
    /// … which belongs to a scrub that was begun anew since.
    is_stale: bool,
    /// Not before this the next page is read.
    next: Instant,
    todo: VecDeque<Bytes>,
    /// What this scrub, or the last one, has found.
    found: BTreeSet<Bytes>,
    /// What the last one came to, in this life.
    done: Option<Tally>,
    /// How many have ended in this life.
    ended: u64,
}

impl Scrub {
    /// Goes on where an earlier life has stopped.
    ///
    /// # Errors
    /// The store's.
    pub fn open(store: &dyn Store, now: WallClock) -> Result<Scrub, StoreError> {
        let note = store.head(&key::meta(NOTE))?;
        let note = note.and_then(|head| crate::message::decode::<Note>(&head).ok());
        let is_known = note.is_some();
        Ok(Scrub {
            note: note.unwrap_or(Note { last: now.0, pass: None }),
            noted: Instant::default(),
            is_known,
            is_asked: false,
            is_stale: false,
            next: Instant::default(),
            todo: VecDeque::new(),
            found: BTreeSet::new(),
            done: None,
            ended: 0,
        })
    }

    fn begin(&mut self, rate: u64, asked_for: bool, now: WallClock) {
        let (stage, tally) = (Stage::Reading(ScrubAt::default()), Tally::default());
        self.note.pass = Some(Pass { began: now.0, stage, tally, rate, asked_for });
        self.found.clear();
        self.todo.clear();
        self.is_stale = self.is_asked;
    }

    /// For the batch of this turn.
    fn noted(&mut self, now: Instant) -> Change {
        self.noted = now;
        self.is_known = true;
        let mut head = Vec::new();
        crate::message::encode_into(&mut head, &self.note);
        Change::Put { key: key::meta(NOTE), head: head.into(), body: Bytes::new() }
    }

    fn take(&mut self, page: Scrubbed, now: Instant) {
        let Some(pass) = &mut self.note.pass else { return };
        let tally = &mut pass.tally;
        tally.bytes += page.bytes;
        tally.total = page.total.max(tally.bytes);
        tally.records += page.records;
        tally.regions += page.regions;
        tally.copied += page.copied;
        tally.index += page.mended;
        self.todo.extend(page.damaged);
        // A slow start is better than a division by nothing.
        self.next = now + Duration::from_millis(page.bytes * 1000 / pass.rate.max(1));
        pass.stage = page.next.map_or(Stage::Trees(0), Stage::Reading);
    }
}

impl Shard {
    /// Begins a scrub now, in place of one that began by itself; or says how far it is. One that somebody asked for
    /// goes on, at the new rate.
    pub fn scrub_json(&mut self, begin: bool, rate: Option<u64>, turn: &mut Turn) -> Value {
        if begin {
            let rate = rate.unwrap_or(self.limits.scrub_bytes_per_second).max(1);
            match &mut self.scrub.note.pass {
                Some(pass) if pass.asked_for => pass.rate = rate,
                _ => self.begin_scrub(rate, true, turn),
            }
            self.timers.set(turn.now.instant + TICK, Timer::Scrub);
        }
        let nothing = Tally::default();
        let pass = self.scrub.note.pass.as_ref();
        let tally = pass.map(|pass| &pass.tally).or(self.scrub.done.as_ref()).unwrap_or(&nothing);
        let left = self.scrub.found.iter().filter(|item| self.doubts.contains(item)).count() as u64;
        json!({
            "state": if pass.is_some() { "running" } else { "idle" },
            "ended": self.scrub.ended,
            "last": self.scrub.note.last,
            "bytes": tally.bytes,
            "total": tally.total,
            "records": tally.records,
            "damaged": tally.damaged,
            "mended": tally.damaged.saturating_sub(left + tally.alone),
            "left": left,
            "alone": tally.alone,
            "places": tally.regions,
            "copied": tally.copied,
            "index": tally.index,
            "trees": tally.trees,
            "trees_differed": tally.trees_differed,
        })
    }

    fn begin_scrub(&mut self, rate: u64, asked_for: bool, turn: &mut Turn) {
        self.scrub.begin(rate, asked_for, turn.now.wall);
        let note = self.scrub.noted(turn.now.instant);
        self.note_scrub(note, turn);
    }

    fn note_scrub(&self, note: Change, turn: &mut Turn) {
        // What could not be written down is only done once more.
        if self.disk.is_none() {
            turn.outbox.persist(note);
        }
    }

    /// A look at what is due.
    pub(super) fn tend_scrub(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        if self.disk.is_some() || self.life != Life::Running || !self.view.admitted {
            self.timers.set(now + IDLE_TICK, Timer::Scrub);
            return;
        }
        let every = self.timing.scrub;
        let since = turn.now.wall.0.saturating_sub(self.scrub.note.last);
        if self.scrub.note.pass.is_none() && !every.is_zero() && since >= every.as_millis() as u64 {
            self.begin_scrub(self.limits.scrub_bytes_per_second, false, turn);
        }
        if !self.scrub.is_known {
            // From when on the next one is counted.
            let note = self.scrub.noted(now);
            self.note_scrub(note, turn);
        }
        if self.scrub.note.pass.is_none() {
            self.timers.set(now + IDLE_TICK, Timer::Scrub);
            return;
        }
        self.timers.set(now + TICK, Timer::Scrub);
        self.look_at_findings(turn);
        if self.scrub.is_asked
            && let Some(page) = turn.store.scrubbed()
        {
            self.scrub.is_asked = false;
            self.counters.scrub_bytes += page.bytes;
            self.counters.scrub_records += page.records;
            self.counters.scrub_places += page.regions;
            self.counters.scrub_index += page.mended;
            if !std::mem::take(&mut self.scrub.is_stale) {
                self.scrub.take(page, now);
            }
        }
        if self.scrub.is_asked || !self.scrub.todo.is_empty() || now < self.scrub.next {
            return;
        }
        let stage = self.scrub.note.pass.as_ref().map(|pass| pass.stage.clone());
        match stage {
            Some(Stage::Reading(at)) => {
                self.scrub.is_asked = turn.store.scrub(&at, PAGE_BYTES);
            }
            Some(Stage::Trees(_)) => self.check_trees(turn),
            None => {}
        }
        if now.since(self.scrub.noted) >= NOTE_EVERY && self.scrub.note.pass.is_some() {
            let note = self.scrub.noted(now);
            self.note_scrub(note, turn);
        }
    }

    /// What the store could not read is in doubt, if it is still so.
    fn look_at_findings(&mut self, turn: &mut Turn) {
        for _ in 0..FINDINGS {
            if self.doubts.len() >= DOUBTS_ENOUGH {
                return;
            }
            let Some(found) = self.scrub.todo.pop_front() else { return };
            // It may have been written over or erased meanwhile.
            if !matches!(turn.store.get(&found), Err(StoreError::Damaged(_))) {
                continue;
            }
            let known = self.doubts.contains(&found);
            let others = is_item(&found) && (known || self.has_other_owners(&found));
            if let Some(pass) = &mut self.scrub.note.pass {
                pass.tally.damaged += 1;
                pass.tally.alone += u64::from(!others);
            }
            self.counters.scrub_damaged += 1;
            if is_item(&found) {
                if self.scrub.found.len() < REMEMBERED {
                    self.scrub.found.insert(found.clone());
                }
                if !known {
                    self.cannot_read(&found, turn);
                }
            } else if let Some(change) = self.trees.doubt_checkpoint(&found) {
                // It would only have saved a scan.
                turn.outbox.persist(change);
            }
        }
    }

    /// Builds some trees beside the kept ones, or ends the scrub.
    fn check_trees(&mut self, turn: &mut Turn) {
        let mut left = HEADS;
        while left > 0
            && let Some(Pass { stage: Stage::Trees(from), .. }) = &self.scrub.note.pass
        {
            let from = *from;
            let partition = self.slots.owned().map(|(p, _)| p).find(|p| p.0 >= from);
            let Some(partition) = partition else { return self.end_scrub(turn) };
            let (buckets, dropped) = (&self.buckets_by_id, &self.dropped);
            let n_of = |key: &[u8]| {
                let bucket = key::bucket_of_item(key)?;
                let known = buckets.get(&bucket.0).map(|bucket| bucket.settings.n);
                known.or_else(|| dropped.replicas(bucket))
            };
            let Ok((checked, read)) = self.trees.check(partition, left, n_of, turn.store) else {
                return self.counters.reject("store", "scan");
            };
            // An empty one costs something, too.
            left = left.saturating_sub(read.max(8));
            self.checked(partition, checked, turn);
        }
    }

    fn checked(&mut self, partition: PartitionId, checked: Checked, turn: &mut Turn) {
        let Some(pass) = &mut self.scrub.note.pass else { return };
        pass.tally.trees += u64::from(matches!(checked, Checked::Same | Checked::Differs));
        if checked == Checked::Differs {
            pass.tally.trees_differed += 1;
            self.counters.scrub_trees_differed += 1;
            if let Some(change) = self.trees.doubt(partition) {
                turn.outbox.persist(change);
            }
            self.timers.set(turn.now.instant + super::trees::TICK, Timer::Trees);
        }
        if checked == Checked::GoesOn {
            return;
        }
        match partition.0.checked_add(1) {
            Some(next) => pass.stage = Stage::Trees(next),
            None => self.end_scrub(turn),
        }
    }

    fn end_scrub(&mut self, turn: &mut Turn) {
        let Some(pass) = self.scrub.note.pass.take() else { return };
        self.scrub.done = Some(pass.tally);
        self.scrub.ended += 1;
        self.scrub.note.last = turn.now.wall.0;
        self.counters.scrubs += 1;
        let note = self.scrub.noted(turn.now.instant);
        self.note_scrub(note, turn);
    }
}
