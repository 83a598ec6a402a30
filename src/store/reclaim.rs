//! Takes space back, oldest segment first, and flushes the index now and then.
//!
//! ```text
//!   oldest                                                  current
//!   [·k1·k2··erase k0·]  […]  […]                           […──► k2 copied here]
//!      │   └ the index still points here: live, copied
//!      └ overwritten since: goes, and so does the erase: all it could erase was older
//! ```
//!
//! Oldest first, for an erase may go only after everything that it erased: else a rebuild from the log
//! would bring the record back. A segment is deleted when all four hold:
//! - its live records are copied, each only if nobody wrote its key up to the append;
//! - everything that the index had applied by then, and the copies, is synced;
//! - a checkpoint of the index is at or past that;
//! - the directory is synced, after every deletion: so segments also disappear oldest first.
//!
//! A backup that copies the log holds the deletion, and so everything after it: see `hold`.

use super::index::Index;
use super::log::{segment_name, segment_number};
use super::pace::Pace;
use super::record::{Found, Place, decode_put};
use super::removal::Removals;
use super::shared::{Move, Request, Shared, lock};
use super::state::{self, State};
use super::walk::{Regions, Walk};
use super::writer::Step;
use super::{Change, StoreError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// About how many bytes of records are copied at once.
const COPY_BYTES: usize = 1 << 20;
/// How many entries of the index are looked at in one scan.
const ENTRIES: usize = 4096;
/// By how many segments the log may be longer than it should be before the reclaimer hurries.
const LATE_SEGMENTS: u64 = 2;
/// How often a waiting reclaimer looks again by itself.
const TICK: Duration = Duration::from_millis(100);

/// Keeps the log short and the index flushed.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    state: State,
    stage: Stage,
    removals: Removals,
    pace: Pace,
    /// The sequence number that survives the death of the process in the index.
    checkpointed: u64,
    last_checkpoint: Instant,
}

enum Stage {
    Idle,
    /// The index shall have everything before `from`: else it does not know all of the segment yet, and
    /// what it does not know would seem dead.
    Levelling {
        from: u64,
    },
    /// The writer was asked to watch the keys of `moves`.
    Watching {
        pass: Pass,
        moves: Vec<Move>,
        request: u64,
    },
    /// It watches; everything before `from` shall be applied before the places are looked at again.
    Settling {
        pass: Pass,
        moves: Vec<Move>,
        from: u64,
    },
    /// It was asked to append what is still live.
    Copying {
        pass: Pass,
        request: u64,
    },
    /// Everything is copied; what is needed is not durable everywhere.
    Draining {
        pass: Pass,
        needed: u64,
    },
}

/// One segment on its way out.
struct Pass {
    /// Nothing: records are copied out of damaged places, and no segment goes.
    segment: Option<u32>,
    len: u64,
    /// What the index pointed to when the segment was read.
    live: VecDeque<Move>,
    /// The index points to something in there that cannot be read.
    damaged: bool,
}

impl Keeper {
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: Arc<dyn Index>,
        state: State,
    ) -> io::Result<Keeper> {
        shared.oldest_segment.store(state.oldest.into(), Ordering::Release);
        let keeper = Keeper {
            removals: Removals::new(shared.disk.clone(), shared.options.segment_bytes)?,
            shared,
            index,
            state,
            stage: Stage::Idle,
            pace: Pace::default(),
            checkpointed: 0,
            last_checkpoint: Instant::now(),
        };
        keeper.measure();
        Ok(keeper)
    }

    /// The thread: steps until the store is over. Returns what an orderly close goes on with.
    pub(crate) fn run(mut self) -> State {
        self.pace = Pace::begin();
        while !self.shared.is_over() {
            self.pace.work();
            let step = self.step();
            if self.last_checkpoint.elapsed() >= self.shared.options.checkpoint_every {
                self.checkpoint();
            }
            if self.removals.due_in().is_some_and(|left| left.is_zero()) {
                self.give_back();
            }
            if step != Step::Worked {
                let guard = lock(&self.shared.keeper);
                if !self.shared.is_over() {
                    let wait = self.removals.due_in().map_or(TICK, |due| due.min(TICK));
                    drop(self.shared.keeper_wakes.wait_timeout(guard, wait));
                }
            }
        }
        self.state
    }

    /// Flushes the index.
    pub(crate) fn checkpoint(&mut self) {
        let applied = self.shared.applied.load(Ordering::Acquire);
        self.last_checkpoint = Instant::now();
        if applied > self.checkpointed {
            match self.index.checkpoint() {
                Ok(()) => {
                    self.checkpointed = applied;
                    self.measure();
                }
                Err(error) => drop(self.shared.fail_index(&error)),
            }
        }
    }

    /// Gives some space of deleted segments back.
    pub(crate) fn give_back(&mut self) {
        self.removals.step(self.shared.full.load(Ordering::Acquire));
    }

    /// Notes how large the index is; a number for people only, so an error means an old number.
    fn measure(&self) {
        if let Ok(bytes) = self.index.size_on_disk() {
            self.shared.index_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    /// Does the next thing that can be done without waiting.
    pub(crate) fn step(&mut self) -> Step {
        if self.shared.failed().is_some() {
            return Step::Blocked;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        match self.advance(stage) {
            Ok((stage, step)) => {
                self.stage = stage;
                step
            }
            // Nothing has begun yet; there may be a file descriptor at the next look.
            Err(StoreError::Busy(_)) => Step::Idle,
            Err(error) => {
                self.shared.fail(format!("reclaiming space: {error}"));
                Step::Blocked
            }
        }
    }

    fn advance(&mut self, stage: Stage) -> Result<(Stage, Step), StoreError> {
        Ok(match stage {
            Stage::Idle if !lock(&self.shared.rescues).is_empty() => {
                let live = std::mem::take(&mut *lock(&self.shared.rescues)).into();
                (self.next(Pass { segment: None, len: 0, live, damaged: false }), Step::Worked)
            }
            Stage::Idle if !self.is_due() => (Stage::Idle, Step::Idle),
            Stage::Idle => {
                let from = self.shared.appended.load(Ordering::Acquire);
                (Stage::Levelling { from }, Step::Worked)
            }
            Stage::Levelling { from } => {
                if !self.shared.has_applied(from) {
                    return Ok((Stage::Levelling { from }, Step::Idle));
                }
                if !self.is_due() {
                    // It only looked so: what lives is counted when it is applied.
                    return Ok((Stage::Idle, Step::Worked));
                }
                let pass = self.read_oldest()?;
                (self.next(pass), Step::Worked)
            }
            Stage::Watching { pass, moves, request } => {
                if self.served() < request {
                    return Ok((Stage::Watching { pass, moves, request }, Step::Idle));
                }
                let from = self.shared.appended.load(Ordering::Acquire);
                (Stage::Settling { pass, moves, from }, Step::Worked)
            }
            Stage::Settling { pass, moves, from } => {
                if !self.shared.has_applied(from) {
                    return Ok((Stage::Settling { pass, moves, from }, Step::Idle));
                }
                let mut live = Vec::new();
                for moved in moves {
                    if self.is_live(&moved.key, moved.from)? {
                        live.push(moved);
                    }
                }
                self.shared.copies.fetch_add(live.len() as u64, Ordering::Relaxed);
                let request = self.ask(Request::Copy(live));
                (Stage::Copying { pass, request }, Step::Worked)
            }
            Stage::Copying { pass, request } => {
                if self.served() < request {
                    return Ok((Stage::Copying { pass, request }, Step::Idle));
                }
                (self.next(pass), Step::Worked)
            }
            Stage::Draining { pass, needed } => self.drain(pass, needed)?,
        })
    }

    /// Whether the log is longer than twice what lives in it, less a margin for what is under way.
    fn is_due(&self) -> bool {
        let log = self.shared.log_bytes.load(Ordering::Relaxed);
        let live = self.shared.live_bytes.load(Ordering::Relaxed);
        let oldest = self.shared.oldest_segment.load(Ordering::Acquire);
        let is_closed = oldest < self.shared.current_segment.load(Ordering::Acquire);
        is_closed && log > live + live / 4 * 3 + self.shared.options.segment_bytes
    }

    fn served(&self) -> u64 {
        self.shared.requests_served.load(Ordering::Acquire)
    }

    fn ask(&self, request: Request) -> u64 {
        let number = self.served() + 1;
        lock(&self.shared.queue).request = Some(request);
        self.shared.writer_wakes.notify_one();
        number
    }

    fn is_live(&self, key: &[u8], place: Place) -> Result<bool, StoreError> {
        let located = self.index.get(key).map_err(|error| self.shared.fail_index(&error))?;
        Ok(located.is_some_and(|located| located.place == place))
    }

    fn read_oldest(&mut self) -> Result<Pass, StoreError> {
        let segment = self.shared.oldest_segment.load(Ordering::Acquire) as u32;
        let mut pass =
            Pass { segment: Some(segment), len: 0, live: VecDeque::new(), damaged: false };
        let walk = Walk::open(&self.shared, segment, 0).map_err(not_now)?;
        let Some(mut walk) = walk else {
            pass.damaged = true;
            return Ok(pass);
        };
        pass.len = walk.len;
        let mut regions = Regions::new();
        // What was written again in the same segment is dead, and need not be looked up.
        let mut last = BTreeMap::new();
        let mut take = |found: Found| {
            for (change, from, length) in found.changes() {
                if let Change::Put { key, .. } = change {
                    // A slice would keep all of its window in memory.
                    last.insert(Bytes::copy_from_slice(&key), (from, length));
                }
            }
        };
        while !walk.is_over() {
            self.rest()?;
            walk.read_on(&mut take, &mut regions);
        }
        pass.damaged = !regions.is_empty();
        for (key, (from, length)) in last {
            self.rest()?;
            if self.is_live(&key, from)? {
                match walk.put_at(from.offset, length, &key) {
                    Some((record, head)) => pass.live.push_back(Move { key, head, record, from }),
                    None => pass.damaged = true,
                }
            }
        }
        pass.damaged = pass.damaged && self.is_missed(segment, &pass.live)?;
        Ok(pass)
    }

    /// Leaves the processors to others for a while, unless space is wanted.
    fn rest(&mut self) -> Result<(), StoreError> {
        if self.shared.is_over() {
            return Err(StoreError::Busy("the store is being closed".into()));
        }
        let log = self.shared.log_bytes.load(Ordering::Relaxed);
        let live = self.shared.live_bytes.load(Ordering::Relaxed);
        let is_late = log > 2 * live + LATE_SEGMENTS * self.shared.options.segment_bytes;
        self.pace.rest(is_late || self.shared.full.load(Ordering::Acquire));
        Ok(())
    }

    /// Whether the index points to anything in a segment but to what is carried out of it. What has rotted and was
    /// written again since, or was dead, nobody misses.
    fn is_missed(&self, segment: u32, live: &VecDeque<Move>) -> Result<bool, StoreError> {
        let carried: BTreeSet<Place> = live.iter().map(|moved| moved.from).collect();
        let mut from = Bytes::new();
        loop {
            let (mut count, mut is_missed, mut last) = (0, false, Vec::new());
            let page = self.index.scan(&from, &[0xff], &mut |key, located| {
                count += 1;
                is_missed = located.place.segment == segment && !carried.contains(&located.place);
                if is_missed || count == ENTRIES {
                    last = [key, &[0]].concat();
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            page.map_err(|error| self.shared.fail_index(&error))?;
            if is_missed || count < ENTRIES || self.shared.is_over() {
                return Ok(is_missed || self.shared.is_over());
            }
            from = last.into();
        }
    }

    /// Goes on with the next records to copy, or with waiting for the end.
    fn next(&self, mut pass: Pass) -> Stage {
        let (mut moves, mut bytes) = (Vec::new(), 0);
        while bytes < COPY_BYTES {
            let Some(moved) = pass.live.pop_front() else { break };
            bytes += moved.record.len();
            moves.push(moved);
        }
        if moves.is_empty() && pass.segment.is_none() {
            return Stage::Idle;
        }
        if moves.is_empty() {
            // What made the rest dead is applied by now, and so is needed too; so are the copies.
            let needed = self.shared.appended.load(Ordering::Acquire);
            return Stage::Draining { pass, needed };
        }
        let keys = moves.iter().map(|moved| moved.key.clone()).collect::<BTreeSet<_>>();
        let request = self.ask(Request::Watch(keys));
        Stage::Watching { pass, moves, request }
    }

    fn drain(&mut self, pass: Pass, needed: u64) -> Result<(Stage, Step), StoreError> {
        let synced = self.shared.synced.load(Ordering::Acquire);
        if !self.shared.has_applied(needed) || synced < needed {
            return Ok((Stage::Draining { pass, needed }, Step::Idle));
        }
        if self.checkpointed < needed {
            self.checkpoint();
            return Ok((Stage::Draining { pass, needed }, Step::Worked));
        }
        let Some(_deletion) = self.shared.holds.begin_deletion() else {
            return Ok((Stage::Draining { pass, needed }, Step::Idle));
        };
        self.delete(&pass, needed).map_err(failed)?;
        Ok((Stage::Idle, Step::Worked))
    }

    fn delete(&mut self, pass: &Pass, needed: u64) -> io::Result<()> {
        let segment = pass.segment.expect("only a pass over a segment is drained");
        // Numbers are skipped where a restart left nothing behind.
        let disk = &*self.shared.disk;
        let names = disk.list()?;
        let segments = names.iter().filter_map(|name| segment_number(name));
        let next = segments.filter(|other| *other > segment).min();
        let next = next.expect("the writer's segment is a later one");
        self.state.oldest = next;
        self.state.floor = needed;
        self.state.write(disk)?;
        let name = segment_name(segment);
        if pass.damaged {
            let _alone = lock(&self.shared.damage);
            let mut told = state::read_damage(disk)?;
            told.push(format!("segment {segment} of the log is damaged; it was set aside"));
            state::write_damage(disk, &told)?;
            if pass.len > 0 {
                disk.rename(&name, &format!("{name}.aside"))?;
            }
            disk.sync_dir()?;
        } else {
            self.removals.remove(&name)?;
        }
        self.shared.log_bytes.fetch_sub(pass.len, Ordering::Relaxed);
        // Before anything is cut off: who reads it still sees by this why the rest is missing.
        self.shared.oldest_segment.store(next.into(), Ordering::Release);
        self.shared.segments.fetch_sub(1, Ordering::Relaxed);
        self.shared.reclaimed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn not_now(error: io::Error) -> StoreError {
    StoreError::Busy(error.to_string())
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// Whether a record is what was written, for a reader that has only its bytes.
pub(crate) fn checked_put(record: &Bytes, key: &[u8]) -> Option<(Bytes, Bytes)> {
    decode_put(record).filter(|(found, ..)| *found == key).map(|(_, head, body)| (head, body))
}
