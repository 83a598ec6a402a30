//! All that is measured, for many sizes: a list of independent pieces of work, the longest first, over all cores.

use super::detector::Ours;
use super::ring::{Balance, grow};
use super::story::{Calm, Changes, calm, changes};
use crate::ring::Partitions;
use crate::time::Duration;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Of a thousand datagrams so many are lost.
const LOSSES: [u32; 3] = [0, 50, 200];
/// The largest cluster in which a fifth of all datagrams is lost: with that many members suspected at every time,
/// a larger one is all rumors, and takes hours.
const LOSSY_MEMBERS: usize = 200;
/// The least and the most seconds of calm. Multiples of the first are multiples of most of the intervals at which
/// states are exchanged: 30, 60 and 180 s.
const CALM_SECONDS: (u64, u64) = (180, 7_200);
/// Q, as clusters are founded, and as one of a thousand members would be.
const PARTITIONS: [u32; 2] = [1_024, 16_384];
/// What a join in the ring costs, in the coin of [`Plan::cost`]: node-seconds of simulation.
const JOIN_COST: u64 = 300;
/// A slot of a death, in seconds.
const SLOT_SECONDS: u64 = 40;
/// Node-seconds of deaths for each size: as many of them as this allows.
const DEATH_NODE_SECONDS: u64 = 320_000;
/// The most deaths in one cluster.
const DEATHS_EACH: usize = 4;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Sizes of clusters, each at least 2.
    pub sizes: Vec<usize>,
    /// How many deaths for each size; fewer for very large ones.
    pub deaths: usize,
    /// Members × seconds of calm for each loss: shorter for large clusters, but not below three minutes.
    pub calm_node_seconds: u64,
    /// Everything random comes from it.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { sizes: vec![5, 50, 200, 1_000], deaths: 40, calm_node_seconds: 180_000, seed: 1 }
    }
}

/// What is typical, and the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half were faster.
    pub median: Duration,
    /// The slowest.
    pub most: Duration,
}

impl Spread {
    /// Of these; zero if there are none.
    pub fn of(times: &[Duration]) -> Spread {
        let mut times = times.to_vec();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Spread { median, most: times.last().copied().unwrap_or_default() }
    }
}

/// What was measured at one size.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// How many members.
    pub members: usize,
    /// Deaths and joins, without loss.
    pub changes: Changes,
    /// Nobody comes or goes, at each loss.
    pub calm: Vec<Calm>,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// By size.
    pub figures: Vec<Figures>,
    /// By partitions, then size.
    pub rings: Vec<Balance>,
}

#[derive(Clone, Copy)]
enum Work {
    Changes { size: usize, seed: u64, times: usize },
    Calm { size: usize, loss_permille: u32, seconds: u64 },
    Ring { partitions: u32 },
}

enum Done {
    Changes(usize, Changes),
    Calm(usize, Calm),
    Ring(Vec<Balance>),
}

impl Plan {
    /// How many deaths each of several clusters sees. None loses more than a tenth of its first members.
    fn clusters(&self, size: usize) -> impl Iterator<Item = usize> + use<> {
        let affordable = DEATH_NODE_SECONDS / (size as u64 * SLOT_SECONDS);
        let deaths = self.deaths.min(affordable.max(1) as usize);
        let each = (size / 10).clamp(1, DEATHS_EACH);
        (0..deaths.div_ceil(each)).map(move |cluster| each.min(deaths - cluster * each))
    }

    fn work(&self) -> Vec<Work> {
        let mut work = Vec::new();
        for &size in &self.sizes {
            for (seed, times) in (self.seed..).zip(self.clusters(size)) {
                work.push(Work::Changes { size, seed, times });
            }
            for loss_permille in LOSSES {
                if loss_permille < LOSSES[2] || size <= LOSSY_MEMBERS {
                    let (least, most) = CALM_SECONDS;
                    let seconds = (self.calm_node_seconds / size as u64).clamp(least, most);
                    let seconds = seconds.next_multiple_of(least);
                    work.push(Work::Calm { size, loss_permille, seconds });
                }
            }
        }
        work.extend(PARTITIONS.map(|partitions| Work::Ring { partitions }));
        work.sort_by_key(|work| std::cmp::Reverse(self.cost_of(*work)));
        work
    }

    fn cost_of(&self, work: Work) -> u64 {
        match work {
            Work::Changes { size, times, .. } => size as u64 * SLOT_SECONDS * times as u64,
            Work::Calm { size, seconds, .. } => size as u64 * seconds,
            Work::Ring { .. } => self.joins() * JOIN_COST,
        }
    }

    fn joins(&self) -> u64 {
        self.sizes.iter().copied().max().unwrap_or(1) as u64 - 1
    }

    /// How much there is to do: the sum of all that `tick` is called with.
    pub fn cost(&self) -> u64 {
        self.work().into_iter().map(|work| self.cost_of(work)).sum()
    }

    /// Does it on so many threads; `tick` says how far it has come.
    pub fn run(&self, threads: usize, tick: impl Fn(u64) + Sync) -> Study {
        let work = self.work();
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Done)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..threads.clamp(1, work.len()) {
                scope.spawn(|| {
                    while let Some((at, piece)) = {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        work.get(at).map(|piece| (at, *piece))
                    } {
                        let result = self.piece(piece, &tick);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(at, _)| *at);
        self.collect(done.into_iter().map(|(_, done)| done))
    }

    fn piece(&self, piece: Work, tick: &impl Fn(u64)) -> Done {
        match piece {
            Work::Changes { size, seed, times } => {
                let each = self.cost_of(Work::Changes { size, seed, times: 1 });
                Done::Changes(size, changes::<Ours>(seed, size, 0, times, || tick(each)))
            }
            Work::Calm { size, loss_permille, seconds } => {
                let second = || tick(size as u64);
                let calm = calm::<Ours>(self.seed, size, loss_permille, seconds, second);
                Done::Calm(size, calm)
            }
            Work::Ring { partitions } => {
                let partitions = Partitions::new(partitions).expect("a power of two");
                Done::Ring(grow(partitions, &self.sizes, || tick(JOIN_COST)))
            }
        }
    }

    fn collect(&self, done: impl Iterator<Item = Done>) -> Study {
        let begin = |&members: &usize| Figures { members, ..Figures::default() };
        let mut study =
            Study { figures: self.sizes.iter().map(begin).collect(), rings: Vec::new() };
        for done in done {
            let at = |size: usize| self.sizes.iter().position(|s| *s == size).unwrap_or_default();
            match done {
                Done::Changes(size, changes) => study.figures[at(size)].changes.absorb(&changes),
                Done::Calm(size, calm) => study.figures[at(size)].calm.push(calm),
                Done::Ring(mut rings) => study.rings.append(&mut rings),
            }
        }
        for figures in &mut study.figures {
            figures.calm.sort_by_key(|calm| calm.loss_permille);
        }
        study.rings.sort_by_key(|ring| (ring.partitions, ring.members));
        study
    }
}
