//! The data path of a node: what clients ask, what other nodes ask, hints, and the full comparison of
//! partitions. It sees the cluster through a [`View`], the disk through a [`Store`], and keeps no lock.
//!
//! ```text
//!   put     serve ─► put ─► tally ─► pending + outbox … durable ─► verdict ─► reply
//!   replica Replicate ─► join ─► pending + outbox … durable ─► Replicated
//!   read    durable records only; a put sees the pending one
//! ```

mod acquire;
mod after_flush;
mod answer;
mod collection;
mod compare;
mod cursor;
mod dates;
mod disk;
mod doubts;
mod dropped;
mod exchange;
mod explain;
mod fence;
mod finish;
mod forward;
mod freshness;
mod get;
mod handoff;
mod hedge;
mod held;
mod inspect;
mod keys;
mod laggards;
mod latency;
#[cfg(test)]
mod lender;
mod locate;
mod pace;
mod parking;
mod peers;
mod pending;
mod put;
mod ranges;
#[allow(clippy::disallowed_types)] // nobody sees the order of its maps
mod recent;
mod refill;
mod rehearsal;
mod remnants;
mod replica;
mod request;
mod requests;
mod restored;
mod retarget;
mod scan;
mod scrub;
mod serve;
mod slots;
mod steps;
mod stored;
mod sync;
#[cfg(test)]
mod testing;
mod timers;
mod trees;
mod unflushed;
mod vitals;
mod write_back;

use super::config::{Limits, Timing};
use super::counters::Counters;
use super::outbox::{About, Outbox, Release};
use super::view::View;
use crate::coordinator::{List, Reach, Replicas};
use crate::id::{Epoch, NodeId, PartitionId};
use crate::merkle::{Shape, Terms};
use crate::message::peer::{Data, Refusal};
use crate::ring::{Bucket, PreferenceList};
use crate::store::key::{self, Space};
use crate::store::{Change, CommitNumber, Store, StoreError};
use crate::time::{HybridClock, Instant, Now};
use crate::version::{ContextScope, Incarnations};
use acquire::Acquire;
use collection::Collection;
use dates::Dates;
use doubts::Doubts;
use dropped::Dropped;
use freshness::Freshness;
use handoff::Handoff;
use hedge::Budget;
pub(super) use inspect::record_json;
use laggards::Laggards;
use pace::Intake;
pub(super) use parking::Want;
use peers::Peers;
use pending::Pending;
use refill::Refill;
use rehearsal::Stage;
use remnants::Remnants;
use requests::Requests;
pub(super) use restored::Restored;
pub use restored::RestoredIs;
pub(super) use scan::after;
use scrub::Scrub;
use slots::Slots;
use std::collections::BTreeMap;
use std::sync::Arc;
use sync::Sync;
use timers::{Timer, Timers};
use trees::Trees;
use vitals::Said;
use write_back::WriteBacks;

/// One turn's surroundings: the time, the disk, and where things leave.
pub(super) struct Turn<'a> {
    /// Both clocks.
    pub now: Now,
    /// What is durable.
    pub store: &'a dyn Store,
    /// Where everything leaves.
    pub outbox: &'a mut Outbox,
}

/// Whether this node may mint dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// The incarnation is not durable yet.
    Beginning,
    /// It is.
    Running,
    /// A commit failed, or the node is stopping: no more dots.
    Ended,
}

/// See the module's picture.
///
/// - Requests, timers and pending records of this node are here and nowhere else.
/// - Nothing in `pending` is shown to a reader.
pub(super) struct Shard {
    limits: Limits,
    timing: Timing,
    view: Arc<View>,
    buckets: BTreeMap<String, Arc<Bucket>>,
    buckets_by_id: BTreeMap<u64, Arc<Bucket>>,
    dropped: Dropped,
    incarnations: Incarnations,
    life: Life,
    clock: HybridClock,
    rng: fastrand::Rng,
    pending: Pending,
    requests: Requests,
    timers: Timers,
    peers: Peers,
    laggards: Laggards,
    hedges: Budget,
    freshness: Freshness,
    handoff: Handoff,
    intake: Intake,
    slots: Slots,
    restored: Restored,
    refill: Refill,
    acquire: Acquire,
    remnants: Remnants,
    doubts: Doubts,
    write_backs: WriteBacks,
    sync: Sync,
    trees: Trees,
    collection: Collection,
    dates: Dates,
    scrub: Scrub,
    stage: Stage,
    said: Said,
    disk: Option<StoreError>,
    stopping: bool,
    pub(super) counters: Counters,
}

/// The request number under which the incarnation becomes durable.
const LIFE_TICKET: u64 = u64::MAX;

impl Shard {
    /// Begins a life: its incarnation is in the batch of this turn.
    ///
    /// # Errors
    /// What the store says of what the node remembers.
    pub fn open(
        limits: Limits,
        timing: Timing,
        view: View,
        new_lineage: bool,
        mut rng: fastrand::Rng,
        turn: &mut Turn,
    ) -> Result<Shard, StoreError> {
        let mut incarnations = load_incarnations(turn.store)?;
        if new_lineage {
            // However cleanly the directory says that older lives ended.
            incarnations = Incarnations::new();
        }
        let agreement = &view.agreement;
        let shape = Shape::of(agreement.layout.partitions.count() as u32);
        let mut trees = Trees::open(shape, Terms::new(&agreement.secret.0), turn.store)?;
        if new_lineage {
            turn.outbox.persist(trees.distrust());
        }
        let mut shard = Shard {
            limits,
            timing,
            slots: Slots::default(),
            restored: Restored::default(),
            refill: Refill::open(turn.store)?,
            acquire: Acquire::default(),
            remnants: Remnants::default(),
            doubts: Doubts::open(turn.store)?,
            write_backs: WriteBacks::new(),
            view: Arc::new(view),
            buckets: BTreeMap::new(),
            buckets_by_id: BTreeMap::new(),
            dropped: Dropped::default(),
            incarnations,
            life: Life::Beginning,
            clock: HybridClock::default(),
            requests: Requests::new(rng.u64(..)),
            rng,
            pending: Pending::new(limits.record_cache_bytes),
            timers: Timers::default(),
            peers: Peers::default(),
            laggards: Laggards::default(),
            hedges: Budget::default(),
            freshness: Freshness::default(),
            handoff: Handoff::open(turn.store)?,
            intake: Intake::default(),
            sync: Sync::default(),
            trees,
            collection: Collection::open(turn.store)?,
            dates: Dates::open(turn.store, turn.now.wall)?,
            scrub: Scrub::open(turn.store, turn.now.wall)?,
            stage: Stage::default(),
            said: Said::default(),
            disk: None,
            stopping: false,
            counters: Counters::default(),
        };
        shard.begin_life(turn);
        shard.timers.set(turn.now.instant + handoff::TICK, Timer::Handoff);
        shard.timers.set(turn.now.instant + sync::TICK, Timer::Sync);
        shard.timers.set(turn.now.instant + trees::TICK, Timer::Trees);
        shard.timers.set(turn.now.instant + scrub::FIRST, Timer::Scrub);
        let view = shard.view.clone();
        shard.adopt(&view);
        shard.note_dropped(turn);
        shard.slots.reload(&view, turn.store)?;
        shard.acquire.reload(&view, turn.store)?;
        shard.keep_trees(turn);
        shard.remnants.begin(view.agreement.layout.partitions.count());
        shard.review_hints(turn);
        shard.begin_rounds(turn)?;
        Ok(shard)
    }

    fn persist_incarnations(&self, turn: &mut Turn) {
        let mut head = Vec::new();
        crate::message::encode_into(&mut head, &self.incarnations);
        turn.outbox.persist(Change::Put {
            key: key::meta("incarnations"),
            head: head.into(),
            body: Default::default(),
        });
    }

    /// What the cluster looks like from now on. Requests under way begin again when the epoch changed.
    pub fn install(&mut self, view: View, turn: &mut Turn) {
        let view = Arc::new(view);
        let old = std::mem::replace(&mut self.view, view.clone());
        self.adopt(&view);
        self.note_dropped(turn);
        let epoch_changed = old.agreement.layout.epoch != view.agreement.layout.epoch
            || old.lineage != view.lineage;
        if epoch_changed {
            let members = &view.agreement.layout;
            self.laggards.keep(|node| members.member(node).is_some());
            self.freshness.keep(|node| members.member(node).is_some());
            self.refill.begin_again();
            self.sync.begin_again();
            let slots = self.slots.reload(&view, turn.store);
            if let Err(error) = slots.and_then(|()| self.acquire.reload(&view, turn.store)) {
                self.disk = Some(error);
            }
            if let Err(error) = self.begin_rounds(turn) {
                self.disk = Some(error);
            }
            self.forget_foreign_doubts(turn);
            self.keep_trees(turn);
            self.forget_verified();
            self.remnants.begin(view.agreement.layout.partitions.count());
        }
        let came_back = view.peers.iter().any(|(node, peer)| {
            peer.alive && old.peers.get(node).is_none_or(|before| !before.alive)
        });
        if came_back || epoch_changed || old.counts != view.counts {
            self.sync.hurry(turn.now.instant);
        }
        if epoch_changed {
            self.review_hints(turn);
            self.restart_requests(turn);
        }
    }

    fn adopt(&mut self, view: &View) {
        let buckets = &view.agreement.buckets.buckets;
        let shared = buckets.iter().map(|(name, bucket)| (name.clone(), Arc::new(bucket.clone())));
        self.buckets = shared.collect();
        let by_id = self.buckets.values().map(|bucket| (bucket.id.0, bucket.clone()));
        self.buckets_by_id = by_id.collect();
    }

    /// What was waiting for the disk.
    pub fn released(&mut self, release: Release, turn: &mut Turn) {
        match release {
            Release::Stored { request: LIFE_TICKET, .. } => {
                // It may have ended meanwhile: the node is stopping, or a later batch was refused.
                if self.life == Life::Beginning {
                    self.life = Life::Running;
                }
            }
            Release::Stored { request, epoch } => self.stored_here(request, epoch, turn),
            Release::Replicated { to, request, partition, epoch } => {
                let now = self.view.agreement.layout.epoch;
                let message = match epoch == now && self.view.admitted {
                    true => Data::Replicated,
                    false => Data::Refused(Refusal::StaleEpoch),
                };
                let about = About { partition, request, ..About::default() };
                turn.outbox.send_data(to, about, &message);
            }
            Release::Round { ticket } => self.round_is_durable(ticket, turn),
            Release::Refilled { partition, upto } => self.refilled(partition, upto),
            Release::Control { .. } | Release::Installed { .. } => {
                unreachable!("the topology's releases never come here")
            }
        }
    }

    /// The batch of this turn has this number.
    pub fn committed(&mut self, number: CommitNumber) {
        self.pending.committed(number);
        self.handoff.committed(number);
        self.intake.committed(number);
        self.trees.committed(number);
    }

    /// Everything up to here is durable: readers see it in the store.
    pub fn durable(&mut self, number: CommitNumber) {
        self.pending.durable(number);
        self.handoff.durable(number);
        self.intake.durable(number);
        self.trees.durable(number);
    }

    /// Due timers.
    pub fn handle_timeout(&mut self, turn: &mut Turn) {
        while let Some(timer) = self.timers.pop_due(turn.now.instant) {
            match timer {
                Timer::Request(id) => self.request_due(id, turn),
                Timer::Breaker(node) => self.probe(node, turn),
                Timer::Handoff => self.replay_hints(turn),
                Timer::Sync => self.sync_due(turn),
                Timer::Trees => self.tend_trees(turn),
                Timer::Collect => self.collect_due(turn),
                Timer::Scrub => self.tend_scrub(turn),
                Timer::Dropped => self.tend_dropped(turn),
            }
        }
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the node may be asked: all its slots are complete.
    pub fn rebuilding(&self) -> usize {
        self.slots.rebuilding()
    }

    /// The epoch that the data path lives by.
    pub fn epoch(&self) -> Epoch {
        self.view.agreement.layout.epoch
    }

    /// Whether everything that is written here is complete, and everything that is to be read here copied.
    pub fn is_complete(&self) -> bool {
        // After an error nobody here knows what is still to be copied.
        self.slots.rebuilding() == 0 && self.acquire.len() == 0 && self.disk.is_none()
    }

    /// Whether nothing lies here that only others own.
    pub fn has_given_away(&self) -> bool {
        self.remnants.are_gone()
    }

    /// Whether besides nothing is kept for anybody.
    pub fn is_clean(&self) -> bool {
        self.has_given_away() && self.handoff.total() == 0
    }

    /// Whether nothing lies here where this node has no place.
    pub fn is_settled(&self) -> bool {
        self.collection.is_settled()
    }

    /// Why tombstones are kept that are to go, if so.
    pub fn tombstones_kept(&self) -> Option<&str> {
        self.collection.kept_because()
    }

    /// How many slots are still to be copied here; and of how many partitions the owners are still to be given what
    /// lies here.
    pub fn moving(&self) -> (usize, usize) {
        (self.acquire.len(), self.remnants.len())
    }

    /// How many records here cannot be read, or were written over unread and not merged yet.
    pub fn unreadable(&self) -> usize {
        self.doubts.len()
    }

    /// How many hints this node keeps.
    pub fn hints(&self) -> &Handoff {
        &self.handoff
    }

    /// Why the disk takes no more writes, if so.
    pub fn disk_error(&self) -> Option<&StoreError> {
        self.disk.as_ref()
    }

    /// No more dots are minted after this; the end is in the batch of this turn.
    pub fn end_cleanly(&mut self, turn: &mut Turn) {
        self.stopping = true;
        if self.life == Life::Running {
            self.incarnations.end_cleanly();
            self.persist_incarnations(turn);
        }
        // What is under way now is not in them: those partitions are scanned at the next start.
        for change in self.trees.checkpoint(turn.now.instant, true) {
            turn.outbox.persist(change);
        }
        self.life = Life::Ended;
    }

    /// How many requests of clients are under way.
    pub fn under_way(&self) -> usize {
        self.requests.clients()
    }

    /// Whether nothing of any client is under way.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Who may be asked about a partition, as things look now: owners that answer late come after the others.
    fn replicas(&self, partition: PartitionId, n: u8) -> Replicas {
        let layout = &self.view.agreement.layout;
        let reach = |node: NodeId| (node, self.peers.reach(node, &self.view));
        let list = |list: PreferenceList<'_>| {
            let mut owners: Vec<(NodeId, Reach)> = list.owners().map(reach).collect();
            owners.sort_by_key(|(node, _)| self.laggards.lags(*node));
            List { owners, fallbacks: list.fallbacks().map(reach).collect() }
        };
        Replicas {
            read: list(layout.preference_list(partition, n)),
            other: layout.other_list(partition, n).map(list),
        }
    }

    /// How many replicas the bucket of a store key has.
    fn replicas_of(&self, key: &[u8]) -> Option<u8> {
        let bucket = key::bucket_of_item(key)?;
        let known = self.buckets_by_id.get(&bucket.0).map(|bucket| bucket.settings.n);
        known.or_else(|| self.dropped.replicas(bucket))
    }

    /// Whether what is written to the partition is written here, for itself.
    fn is_owner(&self, partition: PartitionId, n: u8) -> bool {
        self.view.agreement.layout.owns(self.view.me, partition, n)
    }

    /// Everybody to whom the partition is written: the owners of both lists while owners change.
    fn owners(&self, partition: PartitionId, n: u8) -> Vec<NodeId> {
        let layout = &self.view.agreement.layout;
        let mut owners: Vec<NodeId> = layout.preference_list(partition, n).owners().collect();
        let others = layout.other_list(partition, n);
        for other in others.into_iter().flat_map(|list| list.owners()) {
            if !owners.contains(&other) {
                owners.push(other);
            }
        }
        owners
    }

    fn scope(&self, bucket: &Bucket, key: &[u8], sort: &[u8]) -> ContextScope {
        let agreement = &self.view.agreement;
        ContextScope::new(agreement.layout.cluster, bucket.id, key, sort, &agreement.secret.0)
    }

    fn name_of(&self, node: NodeId) -> String {
        if node == self.view.me {
            return self.view.name.clone();
        }
        self.view.peers.get(&node).map_or_else(|| node.to_string(), |peer| peer.name.clone())
    }
}

fn load_incarnations(store: &dyn Store) -> Result<Incarnations, StoreError> {
    match store.head(&key::meta("incarnations"))? {
        None => Ok(Incarnations::new()),
        Some(head) => crate::message::decode(&head)
            .map_err(|e| StoreError::Damaged(format!("the node's incarnations: {e}"))),
    }
}

/// Whether a store key lies in the space of items.
fn is_item(bytes: &[u8]) -> bool {
    bytes.first() == Some(&(Space::Data as u8))
}
