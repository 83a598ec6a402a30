//! The node: topology and shard, one outbox, one store.

use super::config::Config;
use super::counters::Counters;
use super::event::{ConnectionId, Effect, Event};
use super::health::Health;
use super::outbox::{Outbox, Release};
use super::placement::placement;
use super::shard::{Restored, RestoredIs, Shard, Turn, Want};
use super::stall::Stall;
use super::topology::{OpenError, Standing, Ticket, Topology, flags};
use crate::error::Error;
use crate::id::{BucketId, ClusterId, Epoch, Lineage, NodeId};
use crate::message::client::{BucketSpec, Reply, Request};
use crate::message::peer::{Control, Data};
use crate::message::{Frame, Header, Kind, decode};
use crate::store::{CommitNumber, Source, Store, StoreError};
use crate::time::{Duration, Instant, Now};
use std::collections::{BTreeMap, VecDeque};

/// A whole node. See the module's picture.
///
/// - It does no I/O but through `S`, and asks nobody for the time or for randomness.
/// - Everything that a driver was told to do is in the effects; it holds no request state.
pub struct Node<S: Store> {
    pub(super) config: Config,
    pub(super) store: S,
    pub(super) topology: Topology,
    pub(super) shard: Option<Shard>,
    pub(super) outbox: Outbox,
    rng: fastrand::Rng,
    damaged: bool,
    /// Until the shard has it.
    restored: Restored,
    /// What is to be said of it.
    restored_words: Option<String>,
    own: Counters,
    ready: VecDeque<Effect>,
    wants: BTreeMap<Want, Wanted>,
    creating: BTreeMap<Ticket, (ConnectionId, u64)>,
    pub(super) stopping: bool,
    /// Clients are to ask others.
    pub(super) drained: bool,
    busy: bool,
    /// When the next frames in the background leave.
    backlog: Option<Instant>,
    stall: Stall,
}

/// How soon frames in the background leave that had no room in a turn.
const BACKLOG_TICK: Duration = Duration::from_millis(1);

/// How far the topology is with what the shard wants.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Ticket(Ticket),
    Until(Instant),
}

impl<S: Store> Node<S> {
    /// Opens a node on its store. Call [`end_turn`](Node::end_turn) next.
    ///
    /// `damaged`: the store lost something that it had called durable. `seed` is real randomness: ids,
    /// lineages and incarnations come from it.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn open(
        config: Config,
        store: S,
        damaged: bool,
        seed: u64,
        now: Now,
    ) -> Result<Node<S>, OpenError> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut outbox = Outbox::default();
        let topology = Topology::open(&config, &store, damaged, rng.fork(), now, &mut outbox)?;
        Ok(Node {
            config,
            store,
            topology,
            shard: None,
            outbox,
            rng,
            damaged,
            restored: Restored::default(),
            restored_words: None,
            own: Counters::default(),
            ready: VecDeque::new(),
            wants: BTreeMap::new(),
            creating: BTreeMap::new(),
            stopping: false,
            drained: false,
            busy: true,
            backlog: None,
            stall: Stall::default(),
        })
    }

    /// Something arrived. Any number of these make a turn.
    pub fn handle(&mut self, now: Now, event: Event) {
        self.own.events += 1;
        self.busy = true;
        self.notice_stall(now);
        match event {
            Event::Frame(frame) => self.handle_frame(now, frame),
            Event::Datagram { from, bytes } => {
                self.topology.handle_datagram(now, from, &bytes, &mut self.outbox);
            }
            Event::Request { connection, id, deadline_ms, request } => {
                self.handle_request(now, connection, id, deadline_ms, request);
            }
        }
    }

    /// Who has stood still may have been removed meanwhile.
    fn notice_stall(&mut self, now: Now) {
        if self.stall.moves(now.instant) {
            self.topology.stood_still();
        }
    }

    fn handle_frame(&mut self, now: Now, frame: Frame) {
        let Frame { header, body } = frame;
        let cluster = self.topology.cluster();
        let stranger = ClusterId(0);
        if header.cluster != cluster && header.cluster != stranger && cluster != stranger {
            self.hear_other_cluster(&header, &body);
            return self.own.reject("peer", "other_cluster");
        }
        if header.sender == NodeId(0) || header.sender == self.topology.id() {
            return self.own.reject("peer", "no_sender");
        }
        self.topology.observe(&header);
        match header.kind {
            Kind::Control => match decode(&body) {
                Ok(message) => self.topology.handle_control(
                    now,
                    &header,
                    message,
                    &self.store,
                    &mut self.outbox,
                ),
                Err(_) => self.own.reject("peer", "malformed"),
            },
            Kind::Data if header.cluster == cluster && cluster != stranger => {
                match (decode(&body), &mut self.shard) {
                    (Ok(Data::AskVitals), Some(shard)) => {
                        let turn = &mut Turn { now, store: &self.store, outbox: &mut self.outbox };
                        shard.tell_vitals(&header, self.topology.local_health(), turn);
                    }
                    (Ok(message), Some(shard)) => {
                        let outbox = &mut self.outbox;
                        shard.handle_data(
                            &header,
                            message,
                            &mut Turn { now, store: &self.store, outbox },
                        );
                    }
                    (Ok(_), None) => {}
                    (Err(_), _) => self.own.reject("peer", "malformed"),
                }
            }
            Kind::Data => self.own.reject("peer", "other_cluster"),
            Kind::Hello | Kind::Request | Kind::Reply => self.own.reject("peer", "kind"),
        }
    }

    /// Frames of another cluster do nothing here; but one may be what the other has become. Only control frames are
    /// answered, which are few.
    fn hear_other_cluster(&mut self, header: &Header, body: &[u8]) {
        if header.kind != Kind::Control {
            return;
        }
        match decode(body) {
            Ok(Control::Agreement(bytes)) => self.topology.hear_of_successor(&bytes),
            _ => self.topology.tell_former(header.cluster, header.sender, &mut self.outbox),
        }
    }

    fn handle_request(
        &mut self,
        now: Now,
        connection: ConnectionId,
        id: u64,
        deadline_ms: u32,
        request: Request,
    ) {
        match request {
            Request::Inspect(what) => self.inspect(now, connection, id, what),
            Request::Placement => {
                let placement = self.topology.agreement().map(|agreement| placement(agreement));
                let unknown = Reply::Failed(Error::Unavailable { required: 1, alive: 0 });
                let reply = placement.map_or(unknown, |told| Reply::Placement(Box::new(told)));
                self.outbox.reply(connection, id, reply);
            }
            _ if self.stopping => {
                let error = Error::Overloaded("the node is stopping; ask another".into());
                self.outbox.reply(connection, id, Reply::Failed(error));
            }
            _ if self.stall.listens() => {
                let why = "the node stood still, and finds out what it has missed; ask another";
                self.outbox.reply(connection, id, Reply::Failed(Error::Overloaded(why.into())));
            }
            Request::ChangeRing(change) => {
                let ticket = self.topology.change_ring(now, &change, &mut self.outbox);
                self.creating.insert(ticket, (connection, id));
            }
            Request::CreateBucket(spec) => {
                let ticket = self.topology.create_bucket(now, &spec, &mut self.outbox);
                self.creating.insert(ticket, (connection, id));
            }
            Request::DropBucket { name, id: bucket } => {
                let ticket =
                    self.topology.drop_bucket(now, &name, BucketId(bucket), &mut self.outbox);
                self.creating.insert(ticket, (connection, id));
            }
            Request::SetBucket(change) => {
                let ticket = self.topology.set_bucket(now, &change, &mut self.outbox);
                self.creating.insert(ticket, (connection, id));
            }
            _ if self.drained => {
                let error = Error::Overloaded("the node is drained; ask another".into());
                self.outbox.reply(connection, id, Reply::Failed(error));
            }
            request => match &mut self.shard {
                Some(shard) => {
                    let outbox = &mut self.outbox;
                    let turn = &mut Turn { now, store: &self.store, outbox };
                    shard.serve_client(connection, id, deadline_ms, request, turn);
                }
                None => {
                    let error = Error::Unavailable { required: 1, alive: 0 };
                    self.outbox.reply(connection, id, Reply::Failed(error));
                }
            },
        }
    }

    /// Ends a turn: what is durable is released, what is due is done, one batch goes to the store. Call it
    /// after a batch of events, when [`poll_timeout`](Node::poll_timeout) is due, and when the store has
    /// made something durable.
    pub fn end_turn(&mut self, now: Now) {
        self.own.turns += u64::from(std::mem::take(&mut self.busy));
        self.notice_stall(now);
        self.release(now);
        self.topology.handle_timeout(now, &self.store, &mut self.outbox);
        if let Some(shard) = &mut self.shard {
            let outbox = &mut self.outbox;
            shard.handle_timeout(&mut Turn { now, store: &self.store, outbox });
            if let Some(why) = shard.is_old_copy() {
                self.topology.is_old_copy(why, &mut self.outbox);
            }
        }
        self.adopt_view(now);
        self.see_to_wants(now);
        self.tell_flags();
        self.commit(now);
        // A store that is durable at once must not make anybody wait for the next turn.
        if self.outbox.is_waiting() && self.release(now) {
            self.adopt_view(now);
            self.commit(now);
        }
        // What is in the background leaves a little at a time, behind all else.
        self.backlog = self.outbox.close_turn().then(|| now.instant + BACKLOG_TICK);
        while let Some(effect) = self.outbox.poll_effect() {
            if let Effect::Send { bytes, .. } = &effect {
                self.own.peer_writes += 1;
                self.own.peer_bytes += bytes.len() as u64;
            }
            self.ready.push_back(effect);
        }
    }

    /// Lets go what waited for the store; true if there was anything.
    fn release(&mut self, now: Now) -> bool {
        let durable = self.store.durable();
        self.outbox.set_stamp(self.topology.stamp(durable));
        if let Some(shard) = &mut self.shard {
            shard.durable(durable);
        }
        let released = self.outbox.release(durable);
        let any = !released.is_empty();
        for release in released {
            match release {
                Release::Control { to, request, message } => {
                    self.outbox.send_control(to, request, &message);
                }
                Release::Installed { ticket } => {
                    self.topology.released(now, ticket, &mut self.outbox);
                }
                release => {
                    if let Some(shard) = &mut self.shard {
                        let outbox = &mut self.outbox;
                        shard.released(release, &mut Turn { now, store: &self.store, outbox });
                    }
                }
            }
        }
        any
    }

    fn commit(&mut self, now: Now) {
        self.topology.joins_batch(&mut self.outbox);
        match self.outbox.commit(&mut self.store) {
            Ok(None) => {}
            Ok(Some(number)) => self.committed(number),
            Err(error) => self.commit_failed(now, error),
        }
    }

    fn committed(&mut self, number: CommitNumber) {
        self.own.batches += 1;
        if let Some(shard) = &mut self.shard {
            shard.committed(number);
        }
    }

    fn commit_failed(&mut self, now: Now, error: StoreError) {
        self.own.reject("store", "commit");
        self.topology.commit_failed();
        if let Some(shard) = &mut self.shard {
            let outbox = &mut self.outbox;
            shard.commit_failed(error, &mut Turn { now, store: &self.store, outbox });
        }
    }

    fn adopt_view(&mut self, now: Now) {
        let Some(view) = self.topology.take_view() else { return };
        self.outbox.set_stamp(self.topology.stamp(self.store.durable()));
        let outbox = &mut self.outbox;
        let turn = &mut Turn { now, store: &self.store, outbox };
        match &mut self.shard {
            Some(shard) => shard.install(view, turn),
            None => {
                let (limits, timing) = (self.config.limits, self.config.timing);
                let rng = self.rng.fork();
                match Shard::open(limits, timing, view, self.damaged, rng, turn) {
                    Ok(mut shard) => {
                        *shard.restored_mut() = std::mem::take(&mut self.restored);
                        self.shard = Some(shard);
                    }
                    Err(error) => self.own.note_store_error(&error),
                }
            }
        }
        self.unpark_ready(now);
    }

    /// Requests that wait for a bucket that the newest agreement names go on.
    fn unpark_ready(&mut self, now: Now) {
        let Some(agreement) = self.topology.agreement().cloned() else { return };
        let wants: Vec<Want> = self.wants.keys().cloned().collect();
        for want in wants {
            if agreement.buckets.get(want.bucket()).is_some() {
                self.wants.remove(&want);
                self.unpark(now, &want, &Ok(()));
            }
        }
    }

    fn unpark(&mut self, now: Now, want: &Want, outcome: &Result<(), Error>) {
        if let Some(shard) = &mut self.shard {
            let outbox = &mut self.outbox;
            shard.unpark(want, outcome, &mut Turn { now, store: &self.store, outbox });
        }
    }

    fn see_to_wants(&mut self, now: Now) {
        let parked = self.shard.as_ref().map_or_else(Vec::new, Shard::wants);
        for want in parked {
            if self.wants.contains_key(&want) {
                continue;
            }
            let wanted = match &want {
                Want::Create(name) => {
                    let spec = BucketSpec { name: name.clone(), ..BucketSpec::default() };
                    Wanted::Ticket(self.topology.create_bucket(now, &spec, &mut self.outbox))
                }
                Want::HearOf(_) => {
                    self.topology.ask_for_newer();
                    Wanted::Until(now.instant + self.config.timing.attempt)
                }
            };
            self.wants.insert(want, wanted);
        }
        while let Some((ticket, outcome)) = self.topology.poll_outcome() {
            self.settle(now, ticket, outcome);
        }
        let over: Vec<Want> = self
            .wants
            .iter()
            .filter(|(_, wanted)| matches!(wanted, Wanted::Until(at) if *at <= now.instant))
            .map(|(want, _)| want.clone())
            .collect();
        for want in over {
            self.wants.remove(&want);
            self.unpark(now, &want, &Ok(()));
        }
    }

    fn settle(&mut self, now: Now, ticket: Ticket, outcome: Result<(), Error>) {
        if let Some((connection, id)) = self.creating.remove(&ticket) {
            let reply = match &outcome {
                Ok(()) => Reply::Agreed,
                Err(error) => Reply::Failed(error.clone()),
            };
            self.outbox.reply(connection, id, reply);
        }
        let wanted =
            self.wants.iter().find(|(_, w)| matches!(w, Wanted::Ticket(t) if *t == ticket));
        if let Some((want, _)) = wanted {
            let want = want.clone();
            self.wants.remove(&want);
            self.unpark(now, &want, &outcome);
        }
    }

    fn tell_flags(&mut self) {
        let ready = self.readiness().is_ok();
        let rebuilding = self.shard.as_ref().is_some_and(|shard| shard.rebuilding() > 0);
        let flags =
            if ready { flags::READY } else { 0 } | if rebuilding { flags::REBUILDING } else { 0 };
        let mut standing = Standing { flags, ..Standing::default() };
        if let Some(shard) = &self.shard {
            let epoch = shard.epoch().0;
            standing.complete = if shard.is_complete() { epoch } else { 0 };
            standing.clean = if shard.is_clean() { epoch } else { 0 };
            standing.moving = u32::try_from(shard.moving().0).unwrap_or(u32::MAX);
            standing.settled = if shard.is_settled() { epoch } else { 0 };
        }
        self.topology.set_standing(standing);
    }

    /// Takes out one effect. Drain it after every turn.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.ready.pop_front()
    }

    /// When [`end_turn`](Node::end_turn) is to be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wants = self.wants.values().filter_map(|wanted| match wanted {
            Wanted::Until(at) => Some(*at),
            Wanted::Ticket(_) => None,
        });
        let shard = self.shard.as_ref().and_then(Shard::poll_timeout);
        wants.chain(self.topology.poll_timeout()).chain(shard).chain(self.backlog).min()
    }

    /// Whether this node has left the cluster, or was removed, and knows it.
    pub fn is_dismissed(&self) -> bool {
        self.topology.is_dismissed()
    }

    /// Whether the node may be asked: it is a member, not behind, complete, and its disk takes writes.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn readiness(&self) -> Result<(), String> {
        if self.stopping {
            return Err("stopping".into());
        }
        if self.drained {
            return Err("drained: it takes no requests until `quorate drain --off`".into());
        }
        if self.stall.listens() {
            return Err("it stood still, and finds out what it has missed".into());
        }
        self.topology.readiness()?;
        let Some(shard) = &self.shard else { return Err("starting".into()) };
        if let Some(error) = self.store.failed().as_ref().or(shard.disk_error()) {
            return Err(format!("the disk takes no writes: {error}"));
        }
        match shard.rebuilding() {
            0 => Ok(()),
            slots => Err(format!("rebuilding: {slots} slots are not complete yet")),
        }
    }

    /// The epoch of the newest layout known here; 0: none.
    pub fn epoch(&self) -> Epoch {
        self.topology.agreement().map_or(Epoch(0), |agreement| agreement.layout.epoch)
    }

    /// A snapshot of what was counted.
    pub fn counters(&self) -> Counters {
        let mut counters =
            self.shard.as_ref().map_or_else(Counters::default, |s| s.counters.clone());
        counters.turns = self.own.turns;
        counters.events = self.own.events;
        counters.batches = self.own.batches;
        counters.peer_writes = self.own.peer_writes;
        counters.peer_bytes = self.own.peer_bytes;
        for (at, count) in &self.own.rejected {
            *counters.rejected.entry(*at).or_default() += count;
        }
        for (reason, count) in self.topology.rejected() {
            *counters.rejected.entry(("gossip", reason)).or_default() += count;
        }
        let members = self.topology.members();
        if let Some(agreement) = self.topology.agreement() {
            counters.health = Health::of(&agreement.layout, &members);
        }
        for member in members {
            let state = member.state.map_or("unknown", |state| state.as_str());
            *counters.members.entry(state).or_default() += 1;
        }
        if let Some(shard) = &self.shard {
            counters.hints_pending = shard.hints().total();
            counters.hint_ranges = shard.hints().ranges() as u64;
            counters.partitions_rebuilding = shard.rebuilding() as u64;
            counters.records_unreadable = shard.unreadable() as u64;
            counters.verified = shard.verified();
        }
        counters
    }

    /// A restored backup lies beside the store, and will be brought when it has been read: nothing is copied from
    /// others before that. To be said before the first turn.
    pub fn expect_restored(&mut self) {
        *self.restored_mut() = Restored::Opening;
    }

    /// It can be looked into from now on. What no other owner has is taken from it only if it is this node's own.
    pub fn bring_restored(&mut self, source: Box<dyn Source + Send>, is_own: bool) {
        *self.restored_mut() = Restored::Open { source, is_own };
    }

    /// What is still wanted of it.
    pub fn restored(&self) -> RestoredIs {
        self.shard.as_ref().map_or(RestoredIs::Wanted, Shard::restored)
    }

    /// It cannot be read for now, and will be brought again: comparisons go on without it, and what it alone has is
    /// waited for. Gives back what it was read through, to be closed.
    pub fn miss_restored(&mut self) -> Option<Box<dyn Source + Send>> {
        std::mem::replace(self.restored_mut(), Restored::Away(None)).into_source()
    }

    /// Gives it back, to be closed. There is none from now on.
    pub fn take_restored(&mut self) -> Option<Box<dyn Source + Send>> {
        std::mem::take(self.restored_mut()).into_source()
    }

    /// What `status` says of it, in words.
    pub fn tell_of_restored(&mut self, words: String) {
        self.restored_words = Some(words);
    }

    /// That, and what could not be taken of it.
    pub fn restored_words(&self) -> Option<String> {
        let troubles = self.shard.as_ref().and_then(Shard::restored_troubles);
        let all: Vec<String> = self.restored_words.iter().cloned().chain(troubles).collect();
        (!all.is_empty()).then(|| all.join(". "))
    }

    fn restored_mut(&mut self) -> &mut Restored {
        match &mut self.shard {
            Some(shard) => shard.restored_mut(),
            None => &mut self.restored,
        }
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.topology.id()
    }

    /// The store, for a driver that wants to look at it.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store, for a driver that keeps its books.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// The cluster that it belongs to; 0 before it belongs to one.
    pub fn cluster(&self) -> ClusterId {
        self.topology.cluster()
    }

    /// The life of this node's data.
    pub fn lineage(&self) -> Lineage {
        self.topology.lineage()
    }

    /// Ends the node and gives back its store, for a driver that closes it.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Begins an orderly stop: no new requests, the incarnation ends cleanly, the others are told.
    pub fn begin_stop(&mut self, now: Now) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        if let Some(shard) = &mut self.shard {
            let outbox = &mut self.outbox;
            shard.end_cleanly(&mut Turn { now, store: &self.store, outbox });
        }
        self.topology.leave(now, &mut self.outbox);
    }

    /// Whether everything that was begun is durable and the others have been told.
    pub fn is_stopped(&self) -> bool {
        let idle = self.shard.as_ref().is_none_or(Shard::is_idle);
        self.stopping && idle && !self.outbox.is_waiting() && self.topology.has_left()
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
