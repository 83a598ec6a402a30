//! One seed: clients and faults for a while, then everything is mended, and the books are compared. Twice.
//!
//! ```text
//!   form ─► [ requests + faults, judged all the while ─► mend ─► calm ─► compare ] × 2 ─► report
//! ```

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
/// How long nodes are left alone to find each other after that.
const LOOKED_FOR: Duration = Duration::from_secs(200);
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

    /// Who is a member by now, if nothing is on the move and nobody on the way.
    fn members(&mut self) -> Result<BTreeSet<usize>, String> {
        let there = self.faults.there(&self.c);
        // Whoever is no member any more knows an old ring, or none.
        let rings = there.into_iter().map(|node| self.look(node, Inspect::Ring));
        let newest =
            rings.collect::<Vec<_>>().into_iter().max_by_key(|ring| ring["index"].as_u64());
        let ring = newest.unwrap_or_default();
        let names = |what: &str| -> BTreeSet<usize> {
            let all = ring[what].as_array().into_iter().flatten();
            let name = |m: &Json| number(m["name"].as_str().or(m.as_str())?);
            all.filter_map(name).collect()
        };
        let members = names("members");
        let held = names("held");
        let all = ring["members"].as_array().into_iter().flatten();
        let idle = all.filter(|m| m["owned"] == 0).filter_map(|m| number(m["name"].as_str()?));
        let leaving = names("leaving");
        let out = names("out");
        let there = self.faults.there(&self.c);
        // Who is gone for good waits for nothing; it is still to be removed.
        let waits = |node: &usize| {
            there.contains(node)
                && !held.contains(node)
                && !leaving.contains(node)
                && !out.contains(node)
        };
        let idle: Vec<usize> = idle.filter(waits).collect();
        let seen_to = self.changes.see_to(&mut self.c, &mut self.faults, &members);
        if let (true, Some(node)) = (ring["change"].is_null(), idle.first()) {
            return Err(format!("n{node} has no places yet"));
        }
        match ring["change"].is_null() && leaving.is_empty() && out.is_empty() {
            true => seen_to.map(|()| members),
            false => {
                let mut told = format!("{}, leaving {}", ring["change"]["words"], ring["leaving"]);
                told += &format!(", out {}", ring["out"]);
                for node in self.faults.there(&self.c) {
                    let status = self.look(node, Inspect::Status);
                    let hints = &status["hints_pending"];
                    let (epoch, partitions) = (&status["epoch"], &status["partitions"]);
                    let doubts = &status["records_unreadable"];
                    told += &format!("; n{node} at {epoch}: {partitions}, {hints} hints");
                    told += &format!(", {doubts} unreadable, sees {}", status["nodes"]);
                }
                Err(told)
            }
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

    /// Every node is ready and sees all the others alive.
    fn is_whole(&mut self) -> Result<(), String> {
        let members = self.members()?;
        for node in members.iter().copied() {
            let ready = self.c.node(node).map(|node| node.readiness());
            match ready {
                Some(Ok(())) => {}
                Some(Err(why)) => return Err(format!("n{node}: {why}")),
                None => return Err(format!("n{node} is down")),
            }
            let status = self.look(node, Inspect::Status);
            if status["nodes"]["alive"] != members.len() {
                return Err(format!("n{node} sees {}", status["nodes"]));
            }
            if status["hints_pending"] != 0 {
                return Err(format!("n{node} keeps {}", self.look(node, Inspect::Hints)));
            }
            if status["records_unreadable"] != 0 {
                return Err(format!("n{node} cannot read {}", status["records_unreadable"]));
            }
            let moving =
                status["partitions"]["to_copy"] != 0 || status["partitions"]["to_give"] != 0;
            if status["partitions"]["rebuilding"] != 0 || status["ready"] != true || moving {
                return Err(format!("n{node}: {status}"));
            }
        }
        Ok(())
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

    fn heal(&mut self) -> bool {
        if self.faults.mend_all(&mut self.c) {
            self.oracle.lose_disk();
        }
        self.focus = None;
        self.note(|| "everything is mended".into());
        let began = self.c.now();
        let calm = self.wait_for("calm after everything was mended", |run| {
            if run.c.now().since(began) > LOOKED_FOR {
                run.read_what_nodes_wait_for();
            }
            run.is_whole()?;
            run.no_tombstones_are_left()
        });
        self.redirected.clear();
        self.faults.healed();
        self.note_owners();
        let took = self.c.now().since(began);
        self.note(|| format!("calm after {took:?}"));
        // Nobody answers these any more.
        for (_, asked) in std::mem::take(&mut self.open) {
            *self.report.outcomes.entry("unanswered").or_default() += 1;
            if let Asked::Write(write) = asked {
                self.workload.unknown(write);
            }
        }
        calm
    }

    /// Somebody looks why a node is not ready, and does what it says, where somebody has moved whom it does not know.
    fn read_what_nodes_wait_for(&mut self) {
        let there = self.faults.there(&self.c);
        for node in there.iter().copied() {
            let words = self.c.node(node).and_then(|node| node.readiness().err());
            let asks = |words: &String| words.contains("start this node with --join");
            if !words.as_ref().is_some_and(asks) || self.redirected.contains(&node) {
                continue;
            }
            let members = self.look(node, Inspect::Members);
            let known = members["members"].as_array().into_iter().flatten();
            let known: Vec<_> = known.filter_map(|member| member["address"].as_str()).collect();
            let knows = |other: &usize| {
                let address = self.c.address(*other);
                known.contains(&&*address.to_string()) || self.c.is_told(node, address)
            };
            if !there.iter().all(|other| *other == node || knows(other)) {
                self.redirected.insert(node);
                *self.faults.struck.entry("redirect").or_default() += 1;
                self.note(|| format!("n{node} begins again, with --join"));
                self.c.kill(node);
                self.c.name_others(node);
                self.c.start(node);
            }
        }
    }

    /// What all hold, by key: each item on three nodes, the same on each.
    fn replicas_agree(&mut self) -> Result<BTreeMap<String, Json>, String> {
        let mut held: BTreeMap<String, Vec<(usize, Json)>> = BTreeMap::new();
        for node in self.faults.there(&self.c) {
            let what = Inspect::Dump { bucket: None, after: Default::default(), limit: 1_000 };
            let dump = self.look(node, what);
            let Some(items) = dump["items"].as_array() else {
                return Err(format!("n{node} shows no dump"));
            };
            for item in items {
                let name = item["key"].as_str().unwrap_or_default().to_owned();
                held.entry(name).or_default().push((node, item.clone()));
            }
        }
        let mut items = BTreeMap::new();
        for (name, copies) in held {
            let nodes: Vec<usize> = copies.iter().map(|(node, _)| *node).collect();
            if copies.len() != 3 || copies.iter().any(|(_, item)| *item != copies[0].1) {
                return Err(format!("{name} on {nodes:?} differs: {copies:?}"));
            }
            items.extend(copies.into_iter().next().map(|(_, item)| (name, item)));
        }
        Ok(items)
    }

    /// Everybody is there and nothing is on the move: what was deleted goes for good.
    fn no_tombstones_are_left(&mut self) -> Result<(), String> {
        let items = self.replicas_agree()?;
        let has_value = |item: &Json| {
            let siblings = item["siblings"].as_array().into_iter().flatten();
            siblings.into_iter().any(|sibling| sibling["value"].is_string())
        };
        match items.iter().find(|(_, item)| !has_value(item)) {
            None => Ok(()),
            Some((name, _)) => {
                let kept = self.faults.there(&self.c).into_iter().map(|node| {
                    let status = self.look(node, Inspect::Status);
                    format!("n{node}: {}", status["tombstones_kept_because"])
                });
                let kept: Vec<String> = kept.collect();
                Err(format!("{name} is deleted, and still there: {}", kept.join(", ")))
            }
        }
    }

    fn compare(&mut self) {
        for key in 0..KEYS {
            let there = self.faults.there(&self.c);
            let node = there[key % there.len()];
            let read = workload::read_all(key);
            let reply = self.c.ask(node, read);
            let Some(Reply::Got { values, .. }) = reply else {
                self.oracle.object(format!("k{key} cannot be read when all is well: {reply:?}"));
                continue;
            };
            let values = self.values(key, values.iter().map(|version| &version.value[..]));
            self.note(|| format!("finally k{key} is {values:?}"));
            self.oracle.settles(key, &values);
        }
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
