//! The first owner of a list leads the rounds of its partition.
//!
//! ```text
//!   tick    marked partitions ─► a page of heads ─► tombstones ─► an attempt ─┐
//!           attempts under way ─► whom they wait for ─► one frame a node ◄────┘
//! ```
//!
//! Nothing is begun that could not end: with somebody of the list away, or a member of whom nobody knows that
//! nothing lies on it where it has no place, tombstones are kept.

use super::super::scan::after;
use super::super::{Shard, Turn};
use super::Collection;
use super::graves::last_of;
use crate::collection::{Attempt, Heard, Phase};
use crate::coordinator::Reach;
use crate::id::{NodeId, PartitionId};
use crate::message::peer::{Data, RoundAsk, RoundStep, RoundTold, Told};
use crate::message::{Class, Header, Kind};
use crate::node::outbox::About;
use crate::store::key;
use crate::time::{Duration, Instant, WallClock};
use crate::version::Head;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// How many heads are read in a tick.
const HEADS: usize = 1024;
/// How many tombstones one attempt is for.
const KEYS: usize = 512;
/// How many bytes their keys may have.
const BYTES: usize = 128 << 10;
/// How many attempts are under way at a time.
const ATTEMPTS: usize = 32;
/// How long one may take. Whoever stands in for somebody may need a while until nothing is left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often somebody is asked again who has not answered.
const AGAIN: Duration = Duration::from_secs(1);

/// An attempt, what it is about, and whom it has asked.
#[derive(Debug)]
struct Led {
    id: u64,
    tally: Attempt,
    items: Vec<(Bytes, u128)>,
    begun: Instant,
    asked: BTreeMap<NodeId, Instant>,
}

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Drive {
    led: BTreeMap<PartitionId, Led>,
    kept_because: Option<String>,
}

impl Drive {
    /// The partitions whose attempts are under way.
    pub fn led(&self) -> impl Iterator<Item = PartitionId> + '_ {
        self.led.keys().copied()
    }

    /// Why nothing is collected, where something is to be.
    pub fn kept_because(&self) -> Option<&str> {
        self.kept_because.as_deref()
    }
}

/// Tombstones of one page, of buckets with the same number of replicas.
struct Page {
    items: Vec<(Bytes, u128)>,
    n: u8,
    next: Option<Bytes>,
    read: usize,
    /// When the first of the others can go.
    expires: Option<WallClock>,
}

impl Shard {
    /// Begins what can begin, and asks whoever is to be asked. True: there is more to do.
    pub(super) fn drive(&mut self, turn: &mut Turn) -> bool {
        let now = turn.now.instant;
        self.collection.graves.pass(self.date(turn));
        self.collection.drive.kept_because = None;
        let late: Vec<PartitionId> = self
            .collection
            .drive
            .led
            .iter()
            .filter(|(_, led)| now.since(led.begun) >= PATIENCE)
            .map(|(partition, _)| *partition)
            .collect();
        for partition in late {
            self.end_attempt(partition, now);
        }
        let mut left = HEADS;
        let Collection { graves, drive, .. } = &self.collection;
        let is_free = |p: &PartitionId| !drive.led.contains_key(p) && self.leads(*p);
        let due: Vec<PartitionId> = graves.due(now).filter(is_free).collect();
        let waits = !due.is_empty();
        for partition in due {
            if left == 0 || self.collection.drive.led.len() >= ATTEMPTS {
                break;
            }
            self.collection.graves.passed(partition);
            if self.collection.graves.has_some(partition)
                && let Some(why) = self.keeps_because(partition)
            {
                self.collection.drive.kept_because = Some(why);
                continue;
            }
            let from = self.collection.graves.from(partition);
            let Ok(page) = self.page_of_graves(partition, &from, left, turn) else { continue };
            left = left.saturating_sub(page.read.max(8));
            if let Some(at) = page.expires {
                self.collection.graves.expires(partition, at);
            }
            if page.next.is_none() {
                self.look_at_pending(partition, turn);
            }
            if page.items.is_empty() {
                self.collection.graves.read(partition, page.next, now);
                continue;
            }
            self.collection.graves.found(partition);
            if let Some(why) = self.keeps_because(partition) {
                self.collection.drive.kept_because = Some(why);
                continue;
            }
            self.collection.graves.read(partition, page.next, now);
            self.begin_attempt(partition, page.items, page.n, turn);
        }
        if self.collection.drive.kept_because.is_none() {
            self.collection.drive.kept_because = self.slow_to_drain(now);
        }
        self.ask_positions(turn);
        waits || !self.collection.drive.led.is_empty()
    }

    /// What the disk does not show yet may be what there is to see: it is read again, now or when its time is over.
    fn look_at_pending(&mut self, partition: PartitionId, turn: &Turn) {
        let date = self.date(turn);
        let (from, to) = key::partition_range(partition);
        for record in self.pending.records_between(&from, &to) {
            match record.siblings.is_deleted(date) {
                true => self.collection.graves.mark(partition),
                false => self.collection.graves.note_expiry(partition, record),
            }
        }
    }

    /// Whether this node is to lead rounds of this partition.
    fn leads(&self, partition: PartitionId) -> bool {
        let layout = &self.view.agreement.layout;
        let first = layout.preference_list(partition, layout.replicas).owners().next();
        first == Some(self.view.me) && layout.transition.is_none() && self.is_whole(partition)
    }

    /// Why no round of this partition can come to its end now.
    fn keeps_because(&self, partition: PartitionId) -> Option<String> {
        let layout = &self.view.agreement.layout;
        let list = layout.preference_list(partition, layout.replicas);
        let others = layout.members.iter().map(|member| member.id);
        for node in others.filter(|node| *node != self.view.me) {
            let has_place = list.owners().chain(list.fallbacks()).any(|other| other == node);
            if has_place && self.peers.reach(node, &self.view) != Reach::Up {
                return Some(format!("{} is away", self.name_of(node)));
            }
            let settled = self.view.peers.get(&node).is_some_and(|peer| peer.settled);
            if !has_place && !settled {
                return Some(format!("{} may have something to give away", self.name_of(node)));
            }
        }
        None
    }

    /// Who keeps something for others, and keeps it.
    fn slow_to_drain(&self, now: Instant) -> Option<String> {
        let is_slow = |led: &&Led| {
            led.tally.phase() == Phase::Draining && now.since(led.begun) >= PATIENCE / 2
        };
        let node = self.collection.drive.led.values().find(is_slow)?.tally.waits_for().next()?;
        Some(format!("{} still keeps something for others", self.name_of(node)))
    }

    /// What of a partition can go, from a store key on.
    fn page_of_graves(
        &mut self,
        partition: PartitionId,
        from: &[u8],
        limit: usize,
        turn: &Turn,
    ) -> Result<Page, crate::store::StoreError> {
        let (_, end) = key::partition_range(partition);
        let date = self.date(turn);
        let heads = turn.store.scan(from, &end, limit)?;
        let read = heads.len();
        let last = heads.last().filter(|_| read == limit).map(|(key, _)| after(key));
        let mut page = Page { items: Vec::new(), n: 0, next: None, read, expires: None };
        self.counters.collection_heads += read as u64;
        let mut bytes = 0;
        for (key, head) in heads {
            let Some(n) = self.replicas_of(&key) else { continue };
            let Ok(head) = Head::decode(&head) else { continue };
            let live = head.siblings.iter().filter(|sibling| sibling.is_live(date));
            let mut live = live.map(|sibling| sibling.expires_at).peekable();
            if live.peek().is_some() {
                page.expires = page.expires.into_iter().chain(last_of(live)).min();
                page.next = Some(after(&key));
                continue;
            }
            let fits = page.items.is_empty() || page.n == n;
            if !fits || page.items.len() == KEYS || bytes > BYTES {
                return Ok(page);
            }
            page.n = n;
            bytes += key.len();
            page.next = Some(after(&key));
            page.items.push((key, head.digest()));
        }
        page.next = last;
        Ok(page)
    }

    fn begin_attempt(
        &mut self,
        partition: PartitionId,
        items: Vec<(Bytes, u128)>,
        n: u8,
        turn: &Turn,
    ) {
        let layout = &self.view.agreement.layout;
        let owners = layout.preference_list(partition, n).owners().collect();
        let list = layout.preference_list(partition, layout.replicas);
        let positions: BTreeSet<NodeId> = list.owners().chain(list.fallbacks()).collect();
        let tally = Attempt::begin(owners, positions, items.len());
        let (id, asked) = (self.rng.u64(1..), BTreeMap::new());
        let led = Led { id, tally, items, begun: turn.now.instant, asked };
        self.collection.drive.led.insert(partition, led);
    }

    fn end_attempt(&mut self, partition: PartitionId, now: Instant) {
        if self.collection.drive.led.remove(&partition).is_some() {
            self.collection.graves.left(partition, now);
        }
    }

    /// Everything that is to be asked now, in one frame a node.
    fn ask_positions(&mut self, turn: &mut Turn) {
        let now = turn.now.instant;
        let mut frames: BTreeMap<NodeId, Vec<RoundStep>> = BTreeMap::new();
        for (partition, led) in &mut self.collection.drive.led {
            let waits: Vec<NodeId> = led.tally.waits_for().collect();
            for node in waits {
                if led.asked.get(&node).is_some_and(|at| now.since(*at) < AGAIN) {
                    continue;
                }
                led.asked.insert(node, now);
                let round = led.tally.round();
                let ask = match led.tally.phase() {
                    Phase::Verifying => RoundAsk::Verify { items: led.items.clone() },
                    Phase::Opening => RoundAsk::Open(round),
                    Phase::Draining => RoundAsk::Drain(round),
                    Phase::Closing => RoundAsk::Close(round),
                    Phase::Closed | Phase::Failed => continue,
                };
                let step = RoundStep { partition: *partition, attempt: led.id, ask };
                frames.entry(node).or_default().push(step);
            }
        }
        for (node, steps) in frames {
            self.send_steps(node, steps, turn);
        }
    }

    pub(super) fn send_steps(&mut self, node: NodeId, steps: Vec<RoundStep>, turn: &mut Turn) {
        if node == self.view.me {
            let header = Header { sender: node, ..Header::new(Kind::Data) };
            return self.rounds_here(&header, steps, turn);
        }
        if let Some(to) = self.address(node) {
            let about = About { class: Class::Background, ..About::default() };
            turn.outbox.send_data(to, about, &Data::Rounds(steps));
        }
    }

    /// What came of the steps that a node was asked for.
    pub(in super::super) fn rounds_told(
        &mut self,
        from: NodeId,
        told: Vec<RoundTold>,
        turn: &mut Turn,
    ) {
        let mut closed = Vec::new();
        for RoundTold { partition, attempt, told } in told {
            let Some(led) = self.collection.drive.led.get_mut(&partition) else { continue };
            if led.id != attempt {
                continue;
            }
            let heard = match told {
                Told::Held { lacking, round } => {
                    let lacking = lacking.into_iter().map(usize::from).collect();
                    Heard::Held { lacking, round }
                }
                Told::Opened(round) => Heard::Opened(round),
                Told::Drained(round) => Heard::Drained(round),
                Told::Closed(round) => Heard::Closed(round),
                // It is asked again in a while.
                Told::NotYet(_) => continue,
                Told::No => Heard::Refused,
            };
            if !led.tally.hear(from, heard) {
                continue;
            }
            led.asked.clear();
            match led.tally.phase() {
                Phase::Closed => closed.push(partition),
                Phase::Failed => self.end_attempt(partition, turn.now.instant),
                _ => {}
            }
        }
        self.collect_everywhere(closed, turn);
    }

    /// These rounds are closed by everybody: what everybody held goes.
    fn collect_everywhere(&mut self, closed: Vec<PartitionId>, turn: &mut Turn) {
        let mut frames: BTreeMap<NodeId, Vec<RoundStep>> = BTreeMap::new();
        let layout = self.view.agreement.clone();
        for partition in closed {
            let Some(led) = self.collection.drive.led.remove(&partition) else { continue };
            let verified: Vec<(Bytes, u128)> =
                led.tally.verified().filter_map(|at| led.items.get(at).cloned()).collect();
            if verified.len() < led.items.len() {
                self.collection.graves.left(partition, turn.now.instant);
            }
            let n = verified.first().and_then(|(key, _)| self.replicas_of(key));
            let Some(n) = n else { continue };
            let round = led.tally.round();
            for node in layout.layout.preference_list(partition, n).owners() {
                let ask = RoundAsk::Collect { round, items: verified.clone() };
                let step = RoundStep { partition, attempt: led.id, ask };
                frames.entry(node).or_default().push(step);
            }
        }
        for (node, steps) in frames {
            self.send_steps(node, steps, turn);
        }
    }
}
