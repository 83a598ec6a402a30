//! What can go wrong, and what undoes it. Which of it happens when is drawn from the seed.
//!
//! - One disk is lost at a time: the next one only after everything has healed. More is not survived by N=3, W=2.
//! - At most two nodes are away at once, but for a power cut, which takes all of them.

use super::cluster::Cluster;
use super::fault::Fault;
use super::report::Counts;
use crate::store::memory::Survivors;
use crate::store::{MemoryStore, Source, key};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// The most nodes that are down, stopped or wiped at once.
const AWAY: usize = 2;
/// How far a clock steps at most, in milliseconds: retries are recognised within ten minutes of clocks.
const CLOCK_STEP_MS: i64 = 120_000;

/// How long everybody wants one key after a fault that is not about one.
const FOCUS: Duration = Duration::from_secs(2);

/// The key that a fault is about, and who owns it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub key: usize,
    pub owners: Vec<usize>,
}

/// Why a node does not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Down,
    Paused,
    /// Its disk has failed: it is up, and refuses writes until it is started again.
    Failed,
}

/// What is done at a moment: mostly to mend something.
#[derive(Clone, Copy, Debug)]
enum Mend {
    Want(usize, usize),
    Hold(usize),
    Isolate(usize),
    Die(usize),
    Lose(usize),
    Relapse(usize),
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
    /// Nodes that never come back: they have left, or were removed.
    gone: BTreeSet<usize>,
    mends: BTreeMap<(Instant, u64), Mend>,
    mended: u64,
    /// Copies of disks; and of such as say that they ended cleanly, so that their actors would go on.
    backups: BTreeMap<usize, MemoryStore>,
    rested: BTreeMap<usize, MemoryStore>,
    /// Until then what others have seen of a node whose disk is an old copy may be in their memories only.
    remembered: Instant,
    disk_lost: bool,
    moves: u16,
    /// How often each kind struck.
    pub struck: Counts,
}

/// Where it hurts: the key that everybody should want for a while, and perhaps the node to ask for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Focus {
    pub key: usize,
    pub node: Option<usize>,
    pub until: Instant,
}

/// What a fault, or the end of one, did: for the story, and whether a disk was lost by it.
pub(super) struct Struck {
    pub line: String,
    pub disk_lost: bool,
    pub focus: Option<Focus>,
}

/// Spoils every value of a key on a disk; how many there were.
fn rot(disk: &MemoryStore, key: usize) -> Option<usize> {
    let (from, to) = key::data_range();
    let named = format!("k{key}");
    let items = disk.scan(&from, &to, usize::MAX).ok()?;
    let is_named =
        |full: &[u8]| key::parse_item(full).is_some_and(|item| item.key == named.as_bytes());
    let found: Vec<_> = items.into_iter().filter(|(full, _)| is_named(full)).collect();
    found.iter().for_each(|(full, _)| disk.rot(full));
    (!found.is_empty()).then_some(found.len())
}

impl Faults {
    /// The nodes that are there or will be again.
    pub fn there(&self, c: &Cluster) -> Vec<usize> {
        (1..=c.size()).filter(|node| !self.gone.contains(node)).collect()
    }

    /// The node is gone for good.
    pub fn bury(&mut self, node: usize, c: &mut Cluster) {
        if c.node(node).is_some() {
            c.kill(node);
        }
        self.away.remove(&node);
        self.gone.insert(node);
        let about = |mend: &Mend| match mend {
            Mend::Want(_, n)
            | Mend::Hold(n)
            | Mend::Isolate(n)
            | Mend::Die(n)
            | Mend::Lose(n)
            | Mend::Relapse(n)
            | Mend::Start(n)
            | Mend::Resume(n)
            | Mend::Room(n)
            | Mend::LetSync(n) => *n == node,
            Mend::Links | Mend::Sky => false,
        };
        self.mends.retain(|_, mend| !about(mend));
    }

    /// Whether a disk may be lost now.
    pub fn may_lose_disk(&self) -> bool {
        !self.disk_lost
    }

    /// A disk was lost by something else.
    pub fn lose_disk(&mut self) {
        self.disk_lost = true;
    }

    /// Whether requests can be sent to this node.
    pub fn answers(&self, node: usize) -> bool {
        !self.gone.contains(&node)
            && !matches!(self.away.get(&node), Some(Away::Down | Away::Paused))
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
        target: &Target,
        rng: &mut fastrand::Rng,
    ) -> Option<Struck> {
        let there = self.there(c);
        let nodes = there.len();
        let up: Vec<usize> = there.iter().copied().filter(|n| !self.away.contains_key(n)).collect();
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
                | Fault::Relapse
        );
        if takes_away && self.away.len() >= AWAY {
            return None;
        }
        let loses_disk = matches!(
            fault,
            Fault::Wipe | Fault::RestoreOld | Fault::Relapse | Fault::Bereave | Fault::Rot
        );
        if loses_disk && self.disk_lost {
            return None;
        }
        // Who dies takes with it what only it has seen: all, or whoever was with the node alone.
        let forgets = match fault {
            Fault::PowerCut => true,
            Fault::Kill | Fault::Torn | Fault::Move | Fault::DiskError => c.network.is_split(),
            _ => false,
        };
        if forgets && c.now() < self.remembered {
            return None;
        }
        let until = c.now() + Duration::from_millis(rng.u64(300..8_000));
        let mut focus = None;
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
                for node in there {
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
                } else if rng.bool() {
                    self.back_up(node, c);
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
                let mut all = there;
                rng.shuffle(&mut all);
                let (one, other) = all.split_at(rng.usize(1..=nodes / 2));
                c.network.partition(one, other);
                self.later(until, Mend::Links);
                format!("partition {one:?} | {other:?}")
            }
            Fault::OneWay => {
                let others: Vec<usize> = there.into_iter().filter(|n| *n != node).collect();
                let to = rng.choice(others)?;
                c.network.cut(node, to);
                self.later(until, Mend::Links);
                format!("n{node} cannot reach n{to}")
            }
            Fault::Mute => {
                there.into_iter().filter(|n| *n != node).for_each(|to| c.network.cut(node, to));
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
                let to = target.owners[rng.usize(..target.owners.len())];
                if to == node {
                    return None;
                }
                let by = Duration::from_millis(rng.u64(300..4_000));
                focus = Some(Focus { key: target.key, node: Some(node), until });
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
                if self.away.contains_key(&node) || self.gone.contains(&node) {
                    return None;
                }
                c.restore(node, copy);
                let back = c.now() + Duration::from_millis(rng.u64(50..3_000));
                self.goes(node, Away::Down, back, Mend::Start(node));
                let until = back + FOCUS;
                focus = Some(Focus { key: target.key, node: Some(node), until });
                format!("an old copy of its disk is put back for n{node}")
            }
            Fault::Relapse => {
                let node = target.owners[rng.usize(..target.owners.len())];
                if self.away.contains_key(&node) {
                    return None;
                }
                if !c.stop(node) {
                    c.kill(node);
                }
                self.rested.insert(node, c.disk(node).copy());
                // No more than two seconds pass before the copy is back, and two more before all have noted it.
                self.remembered = c.now() + Duration::from_secs(4);
                c.start(node);
                let mut at = c.now() + Duration::from_millis(rng.u64(2..100));
                self.later(at, Mend::Want(target.key, node));
                at = at + Duration::from_millis(rng.u64(200..1_000));
                self.later(at, Mend::Relapse(node));
                at = at + Duration::from_millis(rng.u64(10..200));
                self.later(at, Mend::Start(node));
                at = at + Duration::from_millis(rng.u64(2..50));
                self.later(at, Mend::Want(target.key, node));
                format!("stop n{node}, copy its disk, and start it: the copy comes back soon")
            }
            Fault::Stumble => {
                let all = rng.bool() && c.now() >= self.remembered;
                let dies = target.owners[rng.usize(..target.owners.len())];
                if !all && self.away.len() >= AWAY {
                    return None;
                }
                let held = Duration::from_millis(rng.u64(5..400));
                let at = c.now() + held;
                for node in there {
                    c.hold_syncs(node, true);
                    let dies = all || node == dies;
                    let act = if dies { Mend::Die(node) } else { Mend::LetSync(node) };
                    self.later(at, act);
                    if dies {
                        let back = at + Duration::from_millis(rng.u64(50..1_000));
                        self.later(back, Mend::Start(node));
                        let soon = back + Duration::from_millis(rng.u64(2..200));
                        self.later(soon, Mend::Want(target.key, node));
                    }
                }
                let node = (!all || rng.bool()).then_some(dies);
                let until = at + Duration::from_secs(2);
                focus = Some(Focus { key: target.key, node, until });
                let whom = if all { "all nodes".into() } else { format!("n{dies}") };
                format!("nobody syncs for {held:?}, then {whom} die")
            }
            Fault::Carousel => {
                let mut at = c.now();
                for _ in 0..rng.usize(4..16) {
                    self.later(at, Mend::Isolate(target.owners[rng.usize(..target.owners.len())]));
                    at = at + Duration::from_millis(rng.u64(20..400));
                    self.later(at, Mend::Links);
                }
                focus = Some(Focus { key: target.key, node: None, until: at });
                format!("the owners of k{} are cut off one after another", target.key)
            }
            Fault::Strand => {
                let mut owners = target.owners.clone();
                rng.shuffle(&mut owners);
                let [alone, ref others @ ..] = owners[..] else { return None };
                if !self.away.is_empty() {
                    return None;
                }
                let mut at = c.now();
                others.iter().for_each(|node| self.later(at, Mend::Hold(*node)));
                self.later(at, Mend::Want(target.key, alone));
                at = at + Duration::from_millis(rng.u64(100..1_500));
                self.later(at, Mend::Isolate(alone));
                others.iter().for_each(|node| self.later(at, Mend::Die(*node)));
                at = at + Duration::from_millis(rng.u64(50..500));
                others.iter().for_each(|node| self.later(at, Mend::Start(*node)));
                at = at + Duration::from_millis(rng.u64(10..500));
                self.later(at, Mend::Want(target.key, others[0]));
                at = at + Duration::from_millis(rng.u64(500..3_000));
                self.later(at, Mend::Links);
                format!("only n{alone} syncs writes to k{}", target.key)
            }
            Fault::Bereave => {
                let mut owners = target.owners.clone();
                rng.shuffle(&mut owners);
                let [absent, lost, apart] = owners[..] else { return None };
                if owners.iter().any(|node| self.away.contains_key(node)) {
                    return None;
                }
                let mut at = c.now();
                self.later(at, Mend::Isolate(absent));
                at = at + Duration::from_millis(rng.u64(50..600));
                self.later(at, Mend::Lose(lost));
                self.away.insert(lost, Away::Down);
                self.later(at, Mend::Links);
                self.later(at, Mend::Isolate(apart));
                at = at + Duration::from_millis(rng.u64(1..400));
                self.later(at, Mend::Start(lost));
                at = at + Duration::from_millis(rng.u64(200..6_000));
                self.later(at, Mend::Links);
                focus = Some(Focus { key: target.key, node: None, until: at });
                format!("n{absent} misses writes to k{}, n{lost} loses its disk", target.key)
            }
            Fault::Rot => {
                let node = target.owners[rng.usize(..target.owners.len())];
                let rotten = rot(c.disk(node), target.key)?;
                format!("{rotten} values rot on the disk of n{node}")
            }
        };
        *self.struck.entry(fault.name()).or_default() += 1;
        self.disk_lost |= loses_disk;
        if focus.is_none() && rng.u32(0..3) == 0 {
            focus = Some(Focus { key: target.key, node: None, until: until.min(c.now() + FOCUS) });
        }
        // Where the disk goes later, so does the promise.
        let disk_lost = loses_disk && !matches!(fault, Fault::Bereave | Fault::Relapse);
        Some(Struck { line, disk_lost, focus })
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
    pub fn mend(&mut self, c: &mut Cluster) -> Option<Struck> {
        let due = self.next_mend().is_some_and(|at| at <= c.now());
        let (_, mend) = if due { self.mends.pop_first()? } else { return None };
        let disk_lost = matches!(mend, Mend::Lose(_) | Mend::Relapse(_));
        let focus = match mend {
            Mend::Want(key, node) => Some(Focus { key, node: Some(node), until: c.now() + FOCUS }),
            _ => None,
        };
        Some(Struck { line: self.undo(mend, c), disk_lost, focus })
    }

    fn undo(&mut self, mend: Mend, c: &mut Cluster) -> String {
        match mend {
            Mend::Want(key, node) => format!("everybody wants k{key} of n{node}"),
            Mend::Hold(node) => {
                c.hold_syncs(node, true);
                format!("n{node} syncs nothing")
            }
            Mend::Isolate(node) => {
                let others: Vec<usize> = (1..=c.size()).filter(|other| *other != node).collect();
                c.network.partition(&[node], &others);
                format!("n{node} is cut off")
            }
            Mend::Die(node) => {
                c.kill(node);
                self.away.insert(node, Away::Down);
                format!("kill n{node}")
            }
            Mend::Relapse(node) => {
                if let Some(copy) = self.rested.remove(&node) {
                    c.restore(node, copy);
                    self.away.insert(node, Away::Down);
                }
                format!("the copy is put back for n{node}")
            }
            Mend::Lose(node) => {
                c.wipe(node);
                self.away.insert(node, Away::Down);
                format!("n{node} loses its disk")
            }
            Mend::Start(node) => {
                // Two faults may both want it back.
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

    /// Mends everything; whether a disk was lost yet.
    pub fn mend_all(&mut self, c: &mut Cluster) -> bool {
        let mut disk_lost = false;
        while let Some((_, mend)) = self.mends.pop_first() {
            disk_lost |= matches!(mend, Mend::Lose(_) | Mend::Relapse(_));
            self.undo(mend, c);
        }
        c.network.heal();
        c.network.clear_sky();
        (1..=c.size()).for_each(|node| c.skew(node, 0));
        disk_lost
    }

    /// Everything has healed: the next disk may be lost. Copies from before are too old to be believed back.
    pub fn healed(&mut self) {
        self.disk_lost = false;
    }
}
