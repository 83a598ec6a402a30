//! What can go wrong, and what undoes it. Which of it happens when is drawn from the seed.
//!
//! - One disk is lost at a time: the next one only after everything has healed. More is not survived by N=3, W=2.
//! - At most two nodes are away at once, but for a power cut, which takes all of them.

use super::cluster::Cluster;
use super::report::Counts;
use crate::store::MemoryStore;
use crate::store::memory::Survivors;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// The most nodes that are down, stopped or wiped at once.
const AWAY: usize = 2;
/// How far a clock steps at most, in milliseconds: retries are recognised within ten minutes of clocks.
const CLOCK_STEP_MS: i64 = 120_000;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies; what it had not synced is gone.
    Kill,
    /// The machine dies: some unsynced batches happen to be on the disk, the next is torn.
    Torn,
    /// All machines die at once.
    PowerCut,
    /// An orderly stop.
    Stop,
    /// The process stands still, and its sockets fill.
    Pause,
    /// Some cannot reach the others, either way.
    Partition,
    /// One cannot reach another; the way back works.
    OneWay,
    /// One hears everybody, and nobody hears it.
    Mute,
    /// Everything to and from one node takes long.
    Slow,
    /// Streams of one link hang; gossip goes on.
    Hang,
    /// Datagrams get lost, come twice and overtake each other.
    Weather,
    /// A disk reports an error at a sync: what it had is not there.
    DiskError,
    /// A disk has no room.
    DiskFull,
    /// A disk takes long to sync.
    DiskSlow,
    /// A clock steps forward or back.
    ClockStep,
    /// A node comes back at another address.
    Move,
    /// A disk is lost.
    Wipe,
    /// An old copy of a disk is put back.
    RestoreOld,
}

impl Fault {
    /// All of them.
    pub const EVERY: [Fault; 18] = [
        Fault::Kill,
        Fault::Torn,
        Fault::PowerCut,
        Fault::Stop,
        Fault::Pause,
        Fault::Partition,
        Fault::OneWay,
        Fault::Mute,
        Fault::Slow,
        Fault::Hang,
        Fault::Weather,
        Fault::DiskError,
        Fault::DiskFull,
        Fault::DiskSlow,
        Fault::ClockStep,
        Fault::Move,
        Fault::Wipe,
        Fault::RestoreOld,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Torn => "torn",
            Fault::PowerCut => "power-cut",
            Fault::Stop => "stop",
            Fault::Pause => "pause",
            Fault::Partition => "partition",
            Fault::OneWay => "one-way",
            Fault::Mute => "mute",
            Fault::Slow => "slow",
            Fault::Hang => "hang",
            Fault::Weather => "weather",
            Fault::DiskError => "disk-error",
            Fault::DiskFull => "disk-full",
            Fault::DiskSlow => "disk-slow",
            Fault::ClockStep => "clock-step",
            Fault::Move => "move",
            Fault::Wipe => "wipe",
            Fault::RestoreOld => "restore-old",
        }
    }
}

/// Why a node does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Down,
    Paused,
    /// Its disk has failed: it is up, and refuses writes until it is started again.
    Failed,
}

/// What is undone at a moment.
#[derive(Clone, Copy, Debug)]
enum Mend {
    Start(usize),
    Resume(usize),
    Room(usize),
    LetSync(usize),
    Links,
    Sky,
}

/// What is broken now, and what will be mended when.
#[derive(Default)]
pub(super) struct Faults {
    away: BTreeMap<usize, Away>,
    mends: BTreeMap<(Instant, u64), Mend>,
    mended: u64,
    backups: BTreeMap<usize, MemoryStore>,
    disk_lost: bool,
    moves: u16,
    /// How often each kind struck.
    pub struck: Counts,
}

/// What a fault did, for the story; and whether a disk was lost by it.
pub(super) struct Struck {
    pub line: String,
    pub disk_lost: bool,
}

impl Faults {
    /// Whether requests can be sent to this node.
    pub fn answers(&self, node: usize) -> bool {
        !matches!(self.away.get(&node), Some(Away::Down | Away::Paused))
    }

    /// When something is mended next.
    pub fn next_mend(&self) -> Option<Instant> {
        self.mends.first_key_value().map(|((at, _), _)| *at)
    }

    fn later(&mut self, at: Instant, mend: Mend) {
        self.mended += 1;
        self.mends.insert((at, self.mended), mend);
    }

    /// One fault of the kind, where it is possible now.
    pub fn strike(
        &mut self,
        fault: Fault,
        c: &mut Cluster,
        rng: &mut fastrand::Rng,
    ) -> Option<Struck> {
        let nodes = c.size();
        let up: Vec<usize> = (1..=nodes).filter(|n| !self.away.contains_key(n)).collect();
        let node = rng.choice(up.iter().copied())?;
        let takes_away = matches!(
            fault,
            Fault::Kill
                | Fault::Torn
                | Fault::Stop
                | Fault::Pause
                | Fault::DiskError
                | Fault::Move
                | Fault::Wipe
                | Fault::RestoreOld
        );
        if takes_away && self.away.len() >= AWAY {
            return None;
        }
        let loses_disk = matches!(fault, Fault::Wipe | Fault::RestoreOld);
        if loses_disk && self.disk_lost {
            return None;
        }
        let until = c.now() + Duration::from_millis(rng.u64(300..8_000));
        let line = match fault {
            Fault::Kill => {
                c.kill(node);
                self.goes(node, Away::Down, until, Mend::Start(node));
                format!("kill n{node}")
            }
            Fault::Torn => {
                let batches = rng.usize(0..3);
                c.crash(node, Survivors::Whole(batches));
                self.goes(node, Away::Down, until, Mend::Start(node));
                format!("power off n{node}, {batches} unsynced batches survive")
            }
            Fault::PowerCut => {
                for node in 1..=nodes {
                    let survivors = match rng.bool() {
                        true => Survivors::None,
                        false => Survivors::Whole(rng.usize(0..3)),
                    };
                    c.crash(node, survivors);
                    self.mends.retain(|_, m| !matches!(m, Mend::Resume(n) if *n == node));
                    let starts =
                        self.mends.values().any(|m| matches!(m, Mend::Start(n) if *n == node));
                    if !starts {
                        let at = c.now() + Duration::from_millis(rng.u64(100..2_000));
                        self.later(at, Mend::Start(node));
                    }
                    self.away.insert(node, Away::Down);
                }
                "power off for all".into()
            }
            Fault::Stop => {
                if !c.stop(node) {
                    c.kill(node);
                }
                self.goes(node, Away::Down, until.max(c.now()), Mend::Start(node));
                format!("stop n{node}")
            }
            Fault::Pause => {
                c.pause(node);
                self.goes(node, Away::Paused, until, Mend::Resume(node));
                format!("pause n{node}")
            }
            Fault::Partition => {
                let mut all: Vec<usize> = (1..=nodes).collect();
                rng.shuffle(&mut all);
                let (one, other) = all.split_at(rng.usize(1..=nodes / 2));
                c.network.partition(one, other);
                self.later(until, Mend::Links);
                format!("partition {one:?} | {other:?}")
            }
            Fault::OneWay => {
                let to = other(node, nodes, rng);
                c.network.cut(node, to);
                self.later(until, Mend::Links);
                format!("n{node} cannot reach n{to}")
            }
            Fault::Mute => {
                (1..=nodes).filter(|n| *n != node).for_each(|to| c.network.cut(node, to));
                self.later(until, Mend::Links);
                format!("nobody hears n{node}")
            }
            Fault::Slow => {
                let by = Duration::from_millis(rng.u64(20..400));
                c.network.slow(node, by);
                self.later(until, Mend::Links);
                format!("n{node} is {by:?} away")
            }
            Fault::Hang => {
                let to = other(node, nodes, rng);
                let by = Duration::from_millis(rng.u64(300..4_000));
                c.network.slow_stream(node, to, by);
                self.later(until, Mend::Links);
                format!("streams from n{node} to n{to} take {by:?}")
            }
            Fault::Weather => {
                c.network.loss_permille = rng.u32(50..400);
                c.network.duplicate_permille = rng.u32(50..400);
                c.network.jitter = Duration::from_millis(rng.u64(1..80));
                self.later(until, Mend::Sky);
                "datagrams are lost, doubled and late".into()
            }
            Fault::DiskError => {
                c.disk(node).fail_sync();
                self.goes(node, Away::Failed, until, Mend::Start(node));
                format!("the disk of n{node} fails at its next sync")
            }
            Fault::DiskFull => {
                c.disk(node).set_full(true);
                self.later(until, Mend::Room(node));
                format!("the disk of n{node} is full")
            }
            Fault::DiskSlow => {
                c.hold_syncs(node, true);
                self.later(until, Mend::LetSync(node));
                format!("n{node} syncs nothing")
            }
            Fault::ClockStep => {
                let by = rng.i64(-CLOCK_STEP_MS..CLOCK_STEP_MS);
                c.skew(node, by);
                format!("the clock of n{node} is {by} ms off")
            }
            Fault::Move => {
                c.kill(node);
                self.moves += 1;
                c.move_to(node, 20_000 + self.moves);
                self.goes(node, Away::Down, until, Mend::Start(node));
                format!("kill n{node}, which comes back at port {}", 20_000 + self.moves)
            }
            Fault::Wipe => {
                c.wipe(node);
                self.goes(node, Away::Down, until, Mend::Start(node));
                format!("n{node} loses its disk")
            }
            Fault::RestoreOld => {
                let (node, copy) = self.backups.pop_first()?;
                if self.away.contains_key(&node) {
                    return None;
                }
                c.restore(node, copy);
                self.goes(node, Away::Down, until, Mend::Start(node));
                format!("an old copy of its disk is put back for n{node}")
            }
        };
        *self.struck.entry(fault.name()).or_default() += 1;
        self.disk_lost |= loses_disk;
        Some(Struck { line, disk_lost: loses_disk })
    }

    fn goes(&mut self, node: usize, away: Away, until: Instant, back: Mend) {
        self.away.insert(node, away);
        self.later(until, back);
    }

    /// Keeps a copy of a disk as it is, for [`Fault::RestoreOld`].
    pub fn back_up(&mut self, node: usize, c: &Cluster) {
        let copy = c.disk(node).copy();
        copy.crash(Survivors::None);
        self.backups.insert(node, copy);
    }

    /// Mends what is due.
    pub fn mend(&mut self, c: &mut Cluster) -> Option<String> {
        let due = self.next_mend().is_some_and(|at| at <= c.now());
        let (_, mend) = if due { self.mends.pop_first()? } else { return None };
        Some(self.undo(mend, c))
    }

    fn undo(&mut self, mend: Mend, c: &mut Cluster) -> String {
        match mend {
            Mend::Start(node) => {
                if c.node(node).is_some() {
                    c.kill(node);
                }
                self.away.remove(&node);
                c.start(node);
                format!("start n{node}")
            }
            Mend::Resume(node) => {
                self.away.remove(&node);
                c.resume(node);
                format!("resume n{node}")
            }
            Mend::Room(node) => {
                c.disk(node).set_full(false);
                format!("n{node} has room again")
            }
            Mend::LetSync(node) => {
                c.hold_syncs(node, false);
                format!("n{node} syncs again")
            }
            Mend::Links => {
                c.network.heal();
                "all links work".into()
            }
            Mend::Sky => {
                c.network.clear_sky();
                "the sky clears".into()
            }
        }
    }

    /// Mends everything.
    pub fn mend_all(&mut self, c: &mut Cluster) {
        while let Some((_, mend)) = self.mends.pop_first() {
            self.undo(mend, c);
        }
        c.network.heal();
        c.network.clear_sky();
        (1..=c.size()).for_each(|node| c.skew(node, 0));
    }

    /// Everything has healed: the next disk may be lost. Copies from before are too old to be believed back.
    pub fn healed(&mut self) {
        self.disk_lost = false;
    }
}

/// Somebody else.
fn other(node: usize, nodes: usize, rng: &mut fastrand::Rng) -> usize {
    let at = rng.usize(1..nodes);
    if at < node { at } else { at + 1 }
}
