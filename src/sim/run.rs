//! One seed: clients and faults for a while, then everything is mended, and the books are compared. Twice.
//!
//! ```text
//!   form ─► [ requests + faults, judged all the while ─► mend ─► calm ─► compare ] × 2 ─► report
//! ```

mod calm;

use super::cluster::{Cluster, Pending};
use super::fault::Fault;
use super::faults::{Faults, Focus, Struck, Target};
use super::options::Options;
use super::oracle::{Debt, Oracle, Value};
use super::owners::Owners;
use super::report::Report;
use super::workload::{self, HOT, KEYS, Read, Step, Workload, Write};
use crate::error::Error;
use crate::guard;
use crate::message::client::{Inspect, Reply, Request};
use crate::node::{Limits, Timing};
use crate::time::{Duration, Instant};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// How often faults are followed by healing.
const ROUNDS: u64 = 2;
/// How long a cluster may take to form, and to come to rest once everything works.
const PATIENCE: Duration = Duration::from_secs(400);
/// After how long the dead lose their places, where they do.
const DOWN_OUT_AFTER: Duration = Duration::from_secs(3);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(500);
/// How long a client waits for an answer.
const DEADLINE_MS: u32 = 3_000;

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything random comes from here.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many requests, in all rounds together.
    pub operations: u64,
    /// Whether to tell what happened, line by line.
    pub story: bool,
}

impl Setup {
    /// Five nodes and six hundred requests.
    pub fn new(seed: u64) -> Setup {
        Setup { seed, nodes: 5, operations: 600, story: false }
    }

    /// Whether owners change meanwhile: in every other seed.
    fn changes_owners(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    /// Whether whoever is dead for long loses its places: in half of those.
    fn moves_the_dead(&self) -> bool {
        self.seed.is_multiple_of(4)
    }
}

/// What a client waits for.
enum Asked {
    Read(Read, Debt),
    Write(Write),
}

struct Run {
    setup: Setup,
    c: Cluster,
    rng: fastrand::Rng,
    oracle: Oracle,
    workload: Workload,
    faults: Faults,
    changes: Owners,
    open: Vec<(Pending, Asked)>,
    asides: usize,
    /// Who was told where the others are.
    redirected: BTreeSet<usize>,
    focus: Option<Focus>,
    owners: BTreeMap<usize, Vec<usize>>,
    report: Report,
}

/// Runs one seed to its end.
///
/// # Panics
/// Where a node does: that is a finding too, see `judge`.
pub fn simulate(setup: &Setup) -> Report {
    // What an earlier run on this thread left behind, should it have panicked.
    let _ = guard::take_counts();
    let (sync, scrub) = (Duration::from_secs(3), Duration::from_secs(10));
    let mut timing = Timing { sync, scrub, ..Timing::default() };
    if setup.moves_the_dead() {
        timing.down_out_after = DOWN_OUT_AFTER;
    }
    // So few that hints collapse; in every fourth run they never do.
    let hint_entries = match setup.seed % 4 {
        0 => Limits::default().hint_entries,
        few => few * 2,
    };
    // None, so little that it is forgotten all the time, and all.
    let record_cache_bytes = [0, 32 << 10, 32 << 20][(setup.seed % 3) as usize];
    let limits = Limits { hint_entries, record_cache_bytes, ..Limits::default() };
    let (nodes, seed) = (setup.nodes, setup.seed);
    let options = Options { nodes, seed, timing, limits, ..Options::default() };
    let mut run = Run {
        setup: setup.clone(),
        c: Cluster::new(options),
        rng: fastrand::Rng::with_seed(setup.seed ^ 0x5eed),
        oracle: Oracle::new((0..KEYS).map(|key| (key, workload::bucket(key).1))),
        workload: Workload::new(),
        faults: Faults::default(),
        changes: Owners::default(),
        open: Vec::new(),
        asides: 0,
        redirected: BTreeSet::new(),
        focus: None,
        owners: BTreeMap::new(),
        report: Report { seed: setup.seed, ..Report::default() },
    };
    if run.form() {
        for _ in 0..ROUNDS {
            run.break_things();
            if !run.heal() {
                break;
            }
            run.compare();
        }
    }
    run.finish()
}

impl Run {
    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.setup.story {
            let at = self.c.now().0 / 1_000;
            self.report.story.push(format!("{:>3}.{:03} s  {}", at / 1_000, at % 1_000, what()));
        }
    }

    /// All are in, and know the buckets.
    fn form(&mut self) -> bool {
        if !self.wait_for("the cluster forms", Run::is_whole) {
            return false;
        }
        for request in workload::create_buckets() {
            let made = self.c.ask(1, request);
            if made != Some(Reply::Agreed) {
                self.oracle.object(format!("a bucket cannot be created: {made:?}"));
                return false;
            }
        }
        self.note_owners();
        true
    }

    /// Who owns what, now that nothing moves.
    fn note_owners(&mut self) {
        self.changes.moved = false;
        self.oracle.moves(false);
        let Some(node) = self.faults.there(&self.c).first().copied() else { return };
        for key in 0..KEYS {
            let place = self.look(node, workload::locate(key));
            let names = place["owners"].as_array().into_iter().flatten();
            let owners = names.filter_map(|name| number(name.as_str()?)).collect();
            self.owners.insert(key, owners);
        }
    }

    fn wait_for(&mut self, what: &str, done: impl Fn(&mut Run) -> Result<(), String>) -> bool {
        let end = self.c.now() + PATIENCE;
        loop {
            match done(self) {
                Ok(()) => return true,
                Err(why) if self.c.now() >= end => {
                    self.oracle.object(format!("never: {what}: {why}"));
                    return false;
                }
                Err(_) => {}
            }
            self.c.run_for(LOOK);
            self.listen();
        }
    }

    fn look(&mut self, node: usize, what: Inspect) -> Json {
        match self.c.ask(node, Request::Inspect(what)) {
            Some(Reply::Json(json)) => serde_json::from_str(&json).unwrap_or(Json::Null),
            _ => Json::Null,
        }
    }

    fn break_things(&mut self) {
        if self.setup.moves_the_dead() {
            self.changes.moved = true;
            self.oracle.moves(true);
        }
        let share = self.setup.operations / ROUNDS;
        let mut next_fault = self.c.now() + self.gap();
        for _ in 0..share {
            let at = self.c.now() + self.workload.pause(&mut self.rng);
            loop {
                let mend = self.faults.next_mend();
                let due = mend.map_or(next_fault, |mend| mend.min(next_fault));
                if due > at {
                    break;
                }
                self.run_until(due);
                if let Some(done) = self.faults.mend(&mut self.c) {
                    self.take_in(done);
                } else {
                    self.strike();
                    next_fault = self.c.now() + self.gap();
                }
            }
            self.run_until(at);
            self.request();
        }
        // What is still open ends while things are broken.
        let rest = Duration::from_millis(self.rng.u64(0..5_000));
        self.run_until(self.c.now() + rest);
    }

    fn gap(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(200..4_000))
    }

    fn run_until(&mut self, at: Instant) {
        self.c.run_for(at.since(self.c.now()));
        self.listen();
    }

    fn strike(&mut self) {
        if self.setup.changes_owners() && self.rng.u32(0..5) == 0 {
            let told = self.changes.change(&mut self.c, &mut self.faults, &mut self.rng);
            if let Some(line) = told {
                self.oracle.moves(true);
                if line.ends_with("for good") {
                    self.oracle.lose_disk();
                }
                self.note(|| line);
            }
            return;
        }
        if self.rng.u32(0..4) == 0 {
            let there = self.faults.there(&self.c);
            let Some(node) = self.rng.choice(there) else { return };
            self.faults.back_up(node, &self.c);
        }
        let Some(fault) = self.rng.choice(Fault::EVERY) else { return };
        let key = self.rng.usize(..HOT);
        let Some(mut owners) = self.owners.get(&key).cloned() else { return };
        let there = self.faults.there(&self.c);
        owners.retain(|owner| there.contains(owner));
        if owners.is_empty() {
            return;
        }
        let target = Target { key, owners };
        if let Some(struck) = self.faults.strike(fault, &mut self.c, &target, &mut self.rng) {
            // An old copy may believe in the owners of then, and one slot of theirs be enough for what it is asked.
            self.changes.moved |= fault == Fault::RestoreOld && !self.changes.asked.is_empty();
            self.take_in(struck);
        }
    }

    fn take_in(&mut self, struck: Struck) {
        if struck.disk_lost {
            self.oracle.lose_disk();
        }
        if let Some(focus) = struck.focus {
            self.workload.focus(focus.key, self.c.now());
            self.focus = Some(focus);
        }
        self.note(|| struck.line);
    }

    fn request(&mut self) {
        let now = self.c.now();
        self.focus = self.focus.filter(|focus| now < focus.until);
        self.focus = self.focus.filter(|focus| self.workload.focused() == Some(focus.key));
        let up: Vec<usize> =
            (1..=self.c.size()).filter(|node| self.faults.answers(*node)).collect();
        let asked = self.focus.and_then(|focus| focus.node).filter(|node| up.contains(node));
        let anybody = asked.is_none() || self.rng.u32(0..3) == 0;
        let Some(node) = asked.filter(|_| !anybody).or_else(|| self.rng.choice(up)) else { return };
        let step = self.workload.next(node, self.oracle.losses(), &mut self.rng);
        let (key, request, asked) = match step {
            Step::Read(read) => {
                self.note(|| format!("n{node}: {}", read.describe()));
                let debt = self.oracle.begins_read(read.key, read.strict());
                (read.key, read.request(), Asked::Read(read, debt))
            }
            Step::Write(write) => {
                self.note(|| format!("n{node}: {}", write.describe()));
                self.oracle.sends(write.key, &write.sent);
                (write.key, write.request(), Asked::Write(write))
            }
        };
        let same = |asked: &Asked| match asked {
            Asked::Read(read, _) => read.key == key,
            Asked::Write(write) => write.key == key,
        };
        self.report.overlapped += u64::from(self.open.iter().any(|(_, asked)| same(asked)));
        let pending = self.c.send_within(node, DEADLINE_MS, request);
        self.open.push((pending, asked));
    }

    /// What a node wrote between its start from an old copy and the moment when it noticed goes with the copy.
    fn watch_directories(&mut self) {
        let asides = self.c.asides()[self.asides..].to_vec();
        for (node, why) in asides {
            self.asides += 1;
            self.oracle.lose_disk();
            self.note(|| format!("n{node} sets its directory aside: {why}"));
            let struck = |fault: Fault| self.faults.struck.get(fault.name()).copied().unwrap_or(0);
            let old = struck(Fault::RestoreOld) + struck(Fault::Relapse);
            if self.asides as u64 > old {
                self.oracle.object(format!("n{node} set aside what was no old copy: {why}"));
            }
        }
    }

    fn listen(&mut self) {
        self.watch_directories();
        let (answered, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(pending, _)| self.c.answered(*pending));
        self.open = open;
        for (pending, asked) in answered {
            let Some(reply) = self.c.answer(pending) else { continue };
            let outcome = match &reply {
                Reply::Failed(error) => error.code(),
                _ => "ok",
            };
            *self.report.outcomes.entry(outcome).or_default() += 1;
            match asked {
                Asked::Read(read, debt) => self.heard_read(&read, &debt, reply),
                Asked::Write(write) => self.heard_write(write, reply),
            }
        }
    }

    fn heard_read(&mut self, read: &Read, debt: &Debt, reply: Reply) {
        let Reply::Got { values, context, info } = reply else { return };
        let owners = self.owners_among(read.key, &info.replied);
        let is_known = !self.changes.moved;
        let absent = values.is_empty() && !self.oracle.was_deleted(read.key) && !info.rebuilding;
        let absent = absent && is_known;
        if absent && owners < read.required() {
            let who = info.replied.join(" ");
            self.oracle.object(format!("k{} is called absent by {owners} owners: {who}", read.key));
        }
        let values = self.values(read.key, values.iter().map(|version| &version.value[..]));
        self.note(|| format!("k{} is {values:?}", read.key));
        self.report.sibling_reads += u64::from(values.len() > 1);
        self.oracle.ends_read(read.key, debt, &values, read.strict());
        self.workload.read(read, &values, context);
    }

    fn heard_write(&mut self, write: Write, reply: Reply) {
        match reply {
            Reply::Written { context, info } => {
                let slots = self.owners_among(write.key, &info.replied) + info.hinted.len();
                if slots < write.required() && !self.changes.moved {
                    let what = write.describe();
                    self.oracle.object(format!("acknowledged on {slots} slots: {what}, {info:?}"));
                }
                self.note(|| format!("acknowledged: {}", write.describe()));
                self.oracle.acks(write.key, &write.sent, write.promise());
                self.workload.written(write, context);
            }
            Reply::Failed(error) => {
                self.note(|| format!("{}: {error}", write.describe()));
                if changed_nothing(&error) {
                    self.oracle.refuses(write.key, &write.sent);
                }
                self.workload.unknown(write);
            }
            other => self.oracle.object(format!("a write is answered with {other:?}")),
        }
    }

    /// How many of these are owners of the key.
    fn owners_among(&self, key: usize, names: &[String]) -> usize {
        let owners = self.owners.get(&key).map(Vec::as_slice).unwrap_or_default();
        names.iter().filter(|name| number(name).is_some_and(|n| owners.contains(&n))).count()
    }

    /// The values in these bytes. What is none of ours is a finding.
    fn values<'a>(&mut self, key: usize, bytes: impl Iterator<Item = &'a [u8]>) -> Vec<Value> {
        let mut values = Vec::new();
        for bytes in bytes {
            match workload::value(bytes) {
                Some(value) => values.push(value),
                None => self.oracle.object(format!("k{key} holds {bytes:?}, which nobody wrote")),
            }
        }
        values.sort_unstable();
        values
    }

    fn finish(mut self) -> Report {
        self.report.trace = self.c.trace();
        self.report.simulated = self.c.now().since(Instant::default());
        self.report.met = self.workload.met();
        self.report.faults = std::mem::take(&mut self.faults.struck);
        self.report.faults.extend(std::mem::take(&mut self.changes.asked));
        self.report.guards =
            guard::take_counts().map(|(guard, count)| (guard.name(), count)).collect();
        let mut seen = BTreeSet::new();
        let once = self.oracle.violations().iter().filter(|line| seen.insert(line.as_str()));
        self.report.violations = once.cloned().collect();
        self.report
    }
}

/// The number of the node with this name.
fn number(name: &str) -> Option<usize> {
    name.strip_prefix('n')?.parse().ok()
}

/// Errors that say that nothing was stored.
fn changed_nothing(error: &Error) -> bool {
    matches!(
        error,
        Error::Invalid(_)
            | Error::NotFound(_)
            | Error::TooManySiblings { .. }
            | Error::TooLarge { .. }
            | Error::Unavailable { .. }
            | Error::Overloaded(_)
            | Error::DiskFull(_)
            | Error::Forbidden(_)
    )
}
