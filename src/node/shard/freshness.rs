//! How fresh reads are: what this node's own links and disk take, kept, and asked when somebody wants a prediction.
//!
//! ```text
//!   put       Replicate ──► B … durable ──► Replicated     W + A   of B
//!   get       Read      ──► B ──► Holding                  R + S   of B, of the question that is watched (`laggards`)
//!   sounding  CountHints ─► B ──► HintCount                R + S   of B, one after another while somebody asks
//!   put       here … durable                               W       of this node: its A, R and S are nothing
//! ```
//!
//! The model is [`crate::staleness`]; this is where its samples come from, and who stands where. This node measures its
//! own links only. What takes longer than an attempt is no sample: it was given up.
//!
//! Soundings, for where reads need no other node nobody knows how long the way is: so many small questions for
//! each prediction, each after the answer to the one before.

use super::laggards::{LATE_MAX_PART, LATE_MIN};
use super::request::{Request, Work};
use super::{Shard, Turn, handoff};
use crate::coordinator::Reach;
use crate::id::NodeId;
use crate::message::peer::Data;
use crate::node::outbox::About;
use crate::staleness::{
    ENOUGH, Needs, Owner, Places, Reader, Replica, Scene, Spread, Window, excess, halves,
};
use crate::time::{Duration, Instant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The request number of a sounding.
pub(super) const SOUNDING: u64 = u64::MAX - 1;
/// So many soundings of each peer follow one another.
const SOUNDINGS: u32 = 64;
/// One that is not answered for so long is lost.
const SOUNDING_LOST: Duration = Duration::from_secs(1);
/// So many preference lists stand for all of which this node owns a slot.
const LISTS: usize = 8;
/// A prediction is given again for so long: it takes milliseconds of the node's only thread.
const KEPT: Duration = Duration::from_secs(5);
/// Rolls of the dice for all (r, w) together, and the fewest for each.
const ROLLS: usize = 90_000;
const FEWEST_ROLLS: usize = 2_000;
/// After how many ms the chance is told.
const AFTER_MS: [f64; 9] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0];
/// The share of reads that are to be fresh.
const FRESH: f64 = 0.999;
/// A drain without a confirmation for so long is over; the next one is measured by itself.
const DRAIN_OVER: Duration = Duration::from_secs(10);
/// From fewer confirmations no rate is concluded.
const DRAIN_ENOUGH: u64 = 16;
/// So many reasons for not predicting are named.
const REASONS: usize = 4;

/// What was seen of one peer.
#[derive(Debug, Default)]
struct Seen {
    /// W + A.
    writes: Window,
    /// R + S.
    ways: Window,
    /// When the sounding was sent that is open, and how many are to follow it.
    sounding: Option<(Instant, u32)>,
    drain: Option<Drain>,
}

/// Hints that went to one peer: how many since when.
#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Instant,
    last: Instant,
    count: u64,
}

impl Drain {
    /// Hints a second.
    fn rate(&self) -> Option<f64> {
        let took = self.last.since(self.since).as_secs_f64();
        (self.count >= DRAIN_ENOUGH && took > 0.0).then(|| self.count as f64 / took)
    }
}

/// See the module's picture. One entry for each member that was ever asked.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    here: Window,
    peers: BTreeMap<NodeId, Seen>,
    answer: Option<(Instant, Value)>,
}

impl Freshness {
    /// A put was durable here after so long.
    pub fn stored_here(&mut self, took: Duration) {
        self.here.observe(took);
    }

    /// A peer answered a read after so long.
    pub fn answered(&mut self, node: NodeId, took: Duration) {
        self.peers.entry(node).or_default().ways.observe(took);
    }

    /// A peer confirmed a write after so long.
    fn stored(&mut self, node: NodeId, took: Duration) {
        self.peers.entry(node).or_default().writes.observe(took);
    }

    /// A hint's owner has it.
    pub fn handed_over(&mut self, owner: NodeId, now: Instant) {
        let drain = &mut self.peers.entry(owner).or_default().drain;
        match drain {
            Some(drain) if now.since(drain.last) < DRAIN_OVER => {
                (drain.last, drain.count) = (now, drain.count + 1);
            }
            _ => *drain = Some(Drain { since: now, last: now, count: 0 }),
        }
    }

    /// Forgets all but these.
    pub fn keep(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.peers.retain(|node, _| is_member(*node));
        self.answer = None;
    }

    fn is_known(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|seen| seen.writes.is_enough() && seen.ways.is_enough())
    }
}

/// Whom a prediction is about: typical preference lists, by id.
struct Cast {
    me: NodeId,
    lists: Vec<(Vec<NodeId>, Vec<NodeId>)>,
    n: usize,
}

impl Shard {
    /// A replica has stored what a put brought it.
    pub(super) fn note_stored(&mut self, request: &Request, by: NodeId, turn: &Turn) {
        let asked = request.sent.iter().find(|sent| sent.to == by && sent.again.is_none());
        if let (Work::Put(_), Some(sent)) = (&request.work, asked) {
            self.freshness.stored(by, turn.now.instant.since(sent.at));
        }
    }

    /// A sounding came back.
    pub(super) fn sounded(&mut self, from: NodeId, turn: &mut Turn) {
        let now = turn.now.instant;
        let Some(seen) = self.freshness.peers.get_mut(&from) else { return };
        let Some((sent, left)) = seen.sounding.take() else { return };
        seen.ways.observe(now.since(sent));
        if let Some(left) = left.checked_sub(1) {
            self.sound(from, left, turn);
        }
    }

    /// Asks a peer next to nothing, and then so many times more.
    fn sound(&mut self, node: NodeId, left: u32, turn: &mut Turn) {
        let Some(to) = self.address(node) else { return };
        let now = turn.now.instant;
        self.freshness.peers.entry(node).or_default().sounding = Some((now, left));
        let about = About { request: SOUNDING, ..About::default() };
        turn.outbox.send_data(to, about, &Data::CountHints);
    }

    /// The prediction. The same is given again for some seconds; else it is made anew, and the ways are sounded for
    /// the next one.
    pub fn staleness_json(&mut self, turn: &mut Turn) -> Value {
        let now = turn.now.instant;
        if let Some((at, answer)) = &self.freshness.answer
            && now.since(*at) < KEPT
        {
            return answer.clone();
        }
        let cast = self.cast();
        self.sound_all(&cast, turn);
        let answer = self.predicted(&cast, now);
        self.freshness.answer =
            answer["enough"].as_bool().unwrap_or(false).then(|| (now, answer.clone()));
        answer
    }

    fn cast(&self) -> Cast {
        let (me, layout) = (self.view.me, &self.view.agreement.layout);
        let own: Vec<_> = layout.partitions_owned(me, layout.replicas).collect();
        let some = own.iter().step_by(own.len().div_ceil(LISTS).max(1));
        let lists = some.map(|partition| {
            let list = layout.preference_list(*partition, layout.replicas);
            (list.owners().collect(), list.fallbacks().collect())
        });
        let n = usize::from(layout.replicas).min(layout.members.len());
        Cast { me, lists: lists.collect(), n }
    }

    fn is_there(&self, node: NodeId) -> bool {
        self.peers.reach(node, &self.view) != Reach::Down
    }

    fn sound_all(&mut self, cast: &Cast, turn: &mut Turn) {
        let now = turn.now.instant;
        for node in cast.peers() {
            let open = self.freshness.peers.get(&node).and_then(|seen| seen.sounding);
            let waits = open.is_some_and(|(sent, _)| now.since(sent) < SOUNDING_LOST);
            if self.is_there(node) && !waits {
                self.sound(node, SOUNDINGS - 1, turn);
            }
        }
    }

    fn predicted(&self, cast: &Cast, now: Instant) -> Value {
        let peers = cast.peers();
        let away: BTreeSet<NodeId> =
            peers.iter().copied().filter(|node| !self.is_there(*node)).collect();
        let owed = |node: &NodeId| self.handoff.pending_for(*node) > 0;
        let behind: BTreeSet<NodeId> =
            peers.iter().copied().filter(|node| away.contains(node) || owed(node)).collect();
        let mut replicas = BTreeMap::new();
        let scene = self.scene(cast, &away, false, &mut replicas);
        let mut predictions = Vec::new();
        if let Some(scene) = &scene {
            let back = (!behind.is_empty()).then(|| self.scene(cast, &behind, true, &mut replicas));
            predictions = pairs(scene, back.flatten().as_ref(), now);
        }
        let (missing, written) = self.missing(cast, &away);
        json!({
            "node": self.view.name,
            "n": cast.n,
            "enough": scene.is_some(),
            "verdict": verdict(cast, &predictions, &missing),
            "missing": missing,
            // What is missing will be seen without anybody's help.
            "sounding": written && !missing.is_empty() && scene.is_none(),
            "wanted": ENOUGH,
            "lists": scene.as_ref().map_or(0, |scene| scene.lists.len()),
            "lists_wanted": cast.lists.len(),
            "replicas": self.replicas_json(cast, &replicas),
            "after_ms": AFTER_MS,
            "predictions": predictions,
        })
    }

    /// Who stands where; `None`: of no list enough is known. `replicas`: what is known of each already.
    fn scene(
        &self,
        cast: &Cast,
        away: &BTreeSet<NodeId>,
        returning: bool,
        replicas: &mut BTreeMap<NodeId, Replica>,
    ) -> Option<Scene> {
        let mut nodes = vec![cast.me];
        let mut place = |node: NodeId| {
            nodes.iter().position(|other| *other == node).unwrap_or_else(|| {
                nodes.push(node);
                nodes.len() - 1
            })
        };
        let mut lists = Vec::new();
        for (owners, fallbacks) in &cast.lists {
            if !self.missing_of(cast, owners, fallbacks, away).is_empty() {
                continue;
            }
            let owner = |node: &NodeId| Owner {
                replica: place(*node),
                away: away.contains(node),
                backlog: self.backlog(*node),
            };
            let owners: Vec<Owner> = owners.iter().map(owner).collect();
            let spares = self.spares(&owners, fallbacks, away);
            let fallbacks = spares.into_iter().map(&mut place).collect();
            lists.push(Places { owners, fallbacks });
        }
        if lists.is_empty() {
            return None;
        }
        for node in &nodes {
            replicas.entry(*node).or_insert_with(|| self.replica(*node));
        }
        let mut replicas: Vec<Replica> = nodes.iter().map(|node| replicas[node].clone()).collect();
        // Others ask this node as soon as they ask the quickest of the others.
        replicas[0].late = replicas.iter().map(|r| r.late).fold(f64::INFINITY, f64::min);
        Some(Scene { replicas, lists, n: cast.n, returning })
    }

    /// Who stands in, where owners are away: as many fallbacks as there are such owners.
    fn spares(
        &self,
        owners: &[Owner],
        fallbacks: &[NodeId],
        away: &BTreeSet<NodeId>,
    ) -> Vec<NodeId> {
        let wanted = owners.iter().filter(|owner| owner.away).count();
        let there = fallbacks.iter().copied().filter(|node| !away.contains(node));
        there.filter(|node| self.is_there(*node)).take(wanted).collect()
    }

    /// What is known of one node, in microseconds.
    fn replica(&self, node: NodeId) -> Replica {
        if node == self.view.me {
            let disk = Spread::of(&self.freshness.here.sorted());
            return Replica { disk, ..Replica::unknown() };
        }
        let Some(seen) = self.freshness.peers.get(&node).filter(|_| self.freshness.is_known(node))
        else {
            return Replica::unknown();
        };
        let trips = seen.ways.sorted();
        let (way, disk) = (halves(&trips), excess(&seen.writes.sorted(), &trips));
        let most = micros(self.timing.attempt / LATE_MAX_PART);
        let late = Spread::of(&trips).quantile(0.95).max(micros(LATE_MIN)).min(most);
        Replica { way, disk, late }
    }

    /// After how many microseconds all that is kept here for a node would be handed over, were it back now. Infinite:
    /// it was never seen how fast that is.
    fn backlog(&self, node: NodeId) -> f64 {
        let hints = self.handoff.pending_for(node);
        let rate = self.freshness.peers.get(&node).and_then(|seen| seen.drain?.rate());
        let tick = micros(handoff::TICK);
        rate.map_or(f64::INFINITY, |rate| tick + hints as f64 / rate * 1e6)
    }

    /// What is still to be seen before this list can be used.
    fn missing_of(
        &self,
        cast: &Cast,
        owners: &[NodeId],
        fallbacks: &[NodeId],
        away: &BTreeSet<NodeId>,
    ) -> Vec<NodeId> {
        let gone = owners.iter().filter(|node| away.contains(node)).count();
        let there = |node: &&NodeId| !away.contains(node) && self.is_there(**node);
        let spares = fallbacks.iter().filter(there).take(gone);
        let needed = owners.iter().filter(|node| !away.contains(node)).chain(spares);
        let known = |node: NodeId| match node == cast.me {
            true => self.freshness.here.is_enough(),
            false => self.freshness.is_known(node),
        };
        needed.copied().filter(|node| !known(*node)).collect()
    }

    /// What is still to be seen, in words; and whether that is nothing but ways, which are sounded.
    fn missing(&self, cast: &Cast, away: &BTreeSet<NodeId>) -> (Vec<String>, bool) {
        let lists = cast.lists.iter();
        let nodes: BTreeSet<NodeId> = lists
            .flat_map(|(owners, fallbacks)| self.missing_of(cast, owners, fallbacks, away))
            .collect();
        let (mut words, mut written) = (Vec::new(), true);
        for node in nodes {
            if node == cast.me {
                let here = self.freshness.here.len();
                words.push(format!("{here} of {ENOUGH} writes through this node"));
                written = false;
                continue;
            }
            let seen = self.freshness.peers.get(&node);
            let (writes, ways) = seen.map_or((0, 0), |s| (s.writes.len(), s.ways.len()));
            let name = self.name_of(node);
            if writes < ENOUGH {
                words.push(format!("{writes} of {ENOUGH} writes from here to {name}"));
                written = false;
            }
            if ways < ENOUGH {
                words.push(format!("{ways} of {ENOUGH} small round trips to {name}"));
            }
        }
        (words, written)
    }

    fn replicas_json(&self, cast: &Cast, known: &BTreeMap<NodeId, Replica>) -> Vec<Value> {
        let ms = |spread: &Spread| json!({ "p50": round(spread.quantile(0.5) / 1e3), "p99": round(spread.quantile(0.99) / 1e3) });
        let replica = |node: NodeId| {
            let (me, seen) = (node == cast.me, self.freshness.peers.get(&node));
            let model = known.get(&node);
            let model = model.filter(|_| me || self.freshness.is_known(node));
            let here = self.freshness.here.len();
            let rate = seen.and_then(|seen| seen.drain?.rate());
            let backlog = Some(self.backlog(node)).filter(|us| us.is_finite() && !me);
            json!({
                "name": self.name_of(node),
                "state": if me { "here" } else if self.is_there(node) { "there" } else { "away" },
                "writes": if me { here } else { seen.map_or(0, |seen| seen.writes.len()) },
                "round_trips": seen.map(|seen| seen.ways.len()),
                "disk_ms": model.map(|replica| ms(&replica.disk)),
                "way_ms": model.filter(|_| !me).map(|replica| ms(&replica.way)),
                "hints": if me { 0 } else { self.handoff.pending_for(node) },
                "hints_per_second": rate.map(round),
                "handed_over_ms": backlog.map(|us| round(us / 1e3)),
            })
        };
        std::iter::once(cast.me).chain(cast.peers()).map(replica).collect()
    }
}

impl Cast {
    /// The other nodes in it.
    fn peers(&self) -> BTreeSet<NodeId> {
        let all = self.lists.iter().flat_map(|(owners, fallbacks)| owners.iter().chain(fallbacks));
        all.copied().filter(|node| *node != self.me).collect()
    }
}

/// A prediction for each (r, w).
fn pairs(scene: &Scene, back: Option<&Scene>, now: Instant) -> Vec<Value> {
    let n = scene.n;
    let rolls = (ROLLS / (n * n)).max(FEWEST_ROLLS);
    let dice = |scene: &Scene, reader| {
        // The time is as good as any seed: two answers differ as much as two runs would.
        scene.predict(reader, rolls, &mut fastrand::Rng::with_seed(now.0))
    };
    let elsewhere = dice(scene, Reader::Another);
    let here = dice(scene, Reader::Writer);
    let back = back.and_then(|scene| dice(scene, Reader::Another));
    let pair = |r: usize, w: usize| {
        let told = |needs: &Option<Needs>| needs.as_ref().map(|needs| chances(needs, r, w));
        json!({
            "r": r,
            "w": w,
            "elsewhere": told(&elsewhere),
            "here": told(&here),
            "returning": told(&back),
        })
    };
    (1..=n).flat_map(|r| (1..=n).map(move |w| pair(r, w))).collect()
}

fn chances(needs: &Needs, r: usize, w: usize) -> Value {
    let stale = AFTER_MS.map(|ms| needs.stale(r, w, ms * 1e3).map(round));
    let fresh = needs.fresh_after(r, w, FRESH).map(|us| round(us / 1e3));
    json!({ "stale": stale, "fresh_999_ms": fresh })
}

fn verdict(cast: &Cast, predictions: &[Value], missing: &[String]) -> String {
    if cast.lists.is_empty() {
        return "this node owns nothing: ask one that does".into();
    }
    let Some(weakest) = predictions.first() else {
        let more = missing.len().saturating_sub(REASONS);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let named = &missing[..missing.len().min(REASONS)];
        return format!("not enough samples yet: {}{more}", named.join(", "));
    };
    let Some(at_once) = weakest["elsewhere"]["stale"][0].as_f64() else {
        return "no other owner is there that could be read".into();
    };
    let fresh = match weakest["elsewhere"]["fresh_999_ms"].as_f64() {
        Some(ms) => format!("99.9 % are fresh after {ms} ms"),
        None => "nobody knows when 99.9 % are fresh".into(),
    };
    format!(
        "of reads at r=1 through another owner, right after a write at w=1 through this one, {:.1} % miss it; {fresh}",
        at_once * 100.0
    )
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// To four digits behind the point: more is not known.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
