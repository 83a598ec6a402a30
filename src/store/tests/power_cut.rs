//! Pull the plug thousands of times, and see that nothing announced is gone.
//!
//! Each round is a few lives of one disk. In a life batches are committed, written, synced, applied,
//! reclaimed, in an order drawn from the seed, until the plug is pulled in the middle of any disk
//! operation, also one of a start; or only the process dies; or a sync fails. The next life must show
//! exactly the first `n` batches for some `n` that is not below what was announced.

use super::super::conformance::{Model, assert_shows, model_apply, random_batch};
use super::super::options::{Durability, Options};
use super::super::record::batch_len;
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{Started, start};
use super::super::{Batch, CommitNumber, Source, Store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// One disk through several lives.
struct World {
    rng: fastrand::Rng,
    disk: SimulatedDisk,
    index: ForgetfulIndex,
    boot: u32,
    /// Every batch that was committed and not lost, by number.
    history: Vec<Batch>,
    /// The promise.
    announced: usize,
    /// What the next life must show.
    owed: usize,
    /// What the last life called durable.
    shown: usize,
    interval: bool,
    reclaimed: u64,
    replayed: u64,
}

enum End {
    PowerCut,
    Killed,
}

impl World {
    fn new(seed: u64, disk: SimulatedDisk, interval: bool) -> World {
        World {
            rng: fastrand::Rng::with_seed(seed),
            disk,
            index: ForgetfulIndex::default(),
            boot: 1,
            history: Vec::new(),
            announced: 0,
            shown: 0,
            owed: 0,
            interval,
            reclaimed: 0,
            replayed: 0,
        }
    }

    fn options(&self) -> Options {
        let never = Durability::Interval(Duration::from_secs(3_600));
        Options {
            segment_bytes: 600,
            reserve_bytes: 0,
            durability: if self.interval { never } else { Durability::Sync },
            // So that a step applies some of what waits, or all.
            window_bytes: [200, 32 << 20][self.boot as usize % 2],
            ..Options::default()
        }
    }

    fn start(&mut self) -> Option<Started> {
        let (disk, options, boot) = (Arc::new(self.disk.clone()), self.options(), self.boot);
        let index = &mut self.index;
        let mut make = |fresh: bool| {
            if fresh {
                *index = ForgetfulIndex::default();
            }
            Ok(Arc::new(index.clone()) as Arc<dyn super::super::index::Index>)
        };
        let started = start(disk, &mut make, boot.to_string(), options, &mut |_| ());
        match started {
            Ok(started) => Some(started),
            Err(error) => {
                assert!(self.disk.is_dead(), "a start failed: {error:?}");
                None
            }
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::PowerCut => {
                self.owed = self.announced;
                self.shown = self.announced;
                self.disk.machine_starts(&mut self.rng);
                self.index = ForgetfulIndex::default();
                self.boot += 1;
            }
            End::Killed => {
                // What was written is in the page cache, synced or not.
                self.owed = self.shown;
                self.disk.process_starts();
                self.index = self.index.after_a_kill(&mut self.rng);
            }
        }
    }

    fn model(&self, upto: usize) -> Model {
        let mut model = Model::new();
        self.history[..upto].iter().for_each(|batch| model_apply(&mut model, batch));
        model
    }

    /// One life: from a start to its end.
    fn live(&mut self) {
        if self.rng.u8(..3) > 0 {
            self.disk.light_fuse(self.rng.u64(..160));
        }
        let Some(mut s) = self.start() else { return self.end(End::PowerCut) };
        assert_eq!(s.opened.damaged, Vec::<String>::new(), "no bit was flipped");
        let durable = s.opened.durable.0 as usize;
        assert!(durable >= self.owed, "{durable} of {} announced batches", self.owed);
        assert!(durable <= self.history.len(), "more batches than were committed");
        self.history.truncate(durable);
        // A start syncs what it found.
        (self.announced, self.shown) = (durable, durable);
        self.replayed += s.opened.replayed;
        assert_shows(&Quiet(&s, self), &self.model(durable), "after a start");
        let steps = self.rng.usize(..120);
        for _ in 0..steps {
            if self.disk.is_dead() {
                break;
            }
            self.step(&mut s);
        }
        self.reclaimed += s.front.shared.stats().reclaimed_segments;
        let end = if self.disk.is_dead() || self.rng.bool() { End::PowerCut } else { End::Killed };
        self.end(end);
    }

    fn step(&mut self, s: &mut Started) {
        match self.rng.u8(..20) {
            0..=6 => {
                let batch = random_batch(&mut self.rng, 12, 90);
                assert!(batch_len(&batch) > 0);
                if let Ok(number) = s.front.commit(batch.clone()) {
                    self.history.push(batch);
                    assert_eq!(number, CommitNumber(self.history.len() as u64));
                }
            }
            7..=10 => drop(s.writer.step()),
            11..=13 => drop(s.applier.step()),
            14..=16 => {
                s.keeper.step();
                s.keeper.give_back();
            }
            17 => {
                if self.rng.u8(..30) == 0 {
                    self.disk.fail_syncs(true);
                }
                if self.interval && s.writer.sync_now().is_ok() {
                    self.announced = self.announced.max(s.front.durable().0 as usize);
                }
            }
            _ => {
                let durable = s.front.durable().0 as usize;
                self.shown = durable;
                if !self.interval {
                    self.announced = durable;
                }
                if s.front.failed().is_none() && !self.disk.is_dead() {
                    assert_shows(&Quiet(s, self), &self.model(durable), "while it runs");
                }
            }
        }
    }
}

/// Reads that the fuse does not count, so that a cut falls on a write or on a start.
struct Quiet<'a>(&'a Started, &'a World);

impl Source for Quiet<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<super::super::Entry>, super::super::StoreError> {
        self.1.disk.quietly(|| self.0.front.get(key))
    }
    fn head(&self, key: &[u8]) -> Result<Option<bytes::Bytes>, super::super::StoreError> {
        self.0.front.head(key)
    }
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, super::super::StoreError> {
        self.0.front.scan(from, to, limit)
    }
}

impl Store for Quiet<'_> {
    fn commit(&mut self, _: Batch) -> Result<CommitNumber, super::super::StoreError> {
        unreachable!("only read")
    }
    fn durable(&self) -> CommitNumber {
        self.0.front.durable()
    }
    fn failed(&self) -> Option<super::super::StoreError> {
        None
    }
}

fn round(seed: u64, disk: SimulatedDisk, interval: bool) -> World {
    let mut world = World::new(seed, disk, interval);
    for _ in 0..6 {
        world.live();
    }
    world
}

fn survive(rounds: std::ops::Range<u64>, interval: bool) {
    let (mut reclaimed, mut replayed) = (0, 0);
    for seed in rounds.clone() {
        let result =
            catch_unwind(AssertUnwindSafe(|| round(seed, SimulatedDisk::default(), interval)));
        match result {
            Ok(world) => {
                (reclaimed, replayed) = (reclaimed + world.reclaimed, replayed + world.replayed)
            }
            Err(_) => panic!("the round of seed {seed} failed"),
        }
    }
    let enough = rounds.end - rounds.start;
    assert!(reclaimed > enough, "{reclaimed} segments reclaimed: the rounds are too tame");
    assert!(replayed > enough, "{replayed} batches replayed: the rounds are too tame");
}

/// How many of the rounds fail on disks prepared so. Their panics are expected, and shown.
fn failures(rounds: u64, prepare: impl Fn(&SimulatedDisk)) -> u64 {
    let fails = |seed: &u64| {
        let disk = SimulatedDisk::default();
        prepare(&disk);
        catch_unwind(AssertUnwindSafe(|| round(*seed, disk, false))).is_err()
    };
    (0..rounds).filter(fails).count() as u64
}

#[test]
fn a_thousand_power_cuts_lose_nothing_that_was_announced() {
    // More of them where there is more time.
    let rounds = std::env::var("QUORATE_POWER_CUTS").ok().and_then(|text| text.parse().ok());
    survive(0..rounds.unwrap_or(1_000), false);
}

#[test]
fn with_an_interval_what_was_synced_survives_a_power_cut() {
    survive(10_000..10_300, true);
}

#[test]
fn the_rounds_fail_when_the_sync_is_taken_out() {
    assert!(failures(20, SimulatedDisk::ignore_file_syncs) > 10);
}

#[test]
fn the_rounds_fail_when_the_directory_sync_is_taken_out() {
    assert!(failures(20, SimulatedDisk::ignore_dir_syncs) > 10);
}
