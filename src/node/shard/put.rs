//! Coordinating a put: context, dot, batch, replicas, verdict, hints.
//!
//! ```text
//!   latest record ─► discard what the context saw ─► mint ─► batch ─┬─ durable here ──► slot
//!                                                                   └─ Replicate ─► ack ─► slot
//!   W slots ─► reply …  the rest settles behind it; who stayed silent gets a hint
//! ```

use super::disk::disk_error;
use super::request::{Asker, Goes, Labels, Origin, Request, Sent, Work};
use super::stored::Stored;
use super::{Life, Shard, Turn};
use crate::coordinator::{Ask, Put, Replicas, Verdict};
use crate::error::Error;
use crate::guard::{self, Guard};
use crate::id::{Epoch, NodeId, PartitionId};
use crate::message::client::{Expiry, Item, Reply};
use crate::message::peer::{self, Data};
use crate::node::outbox::Release;
use crate::quorum::{Quorum, QuorumRequest};
use crate::ring::Bucket;
use crate::store::key;
use crate::time::{Duration, HybridTime, WallClock};
use crate::version::{
    Content, Context, ContextError, ContextScope, Kind, OperationId, Record, Room, SIBLINGS_CAP,
    Seen, Write, Written,
};
use bytes::Bytes;

/// A put under way.
#[derive(Debug)]
pub(super) struct PutWork {
    pub tally: Put,
    pub key: Bytes,
    pub partition: PartitionId,
    n: u8,
    quorum: Quorum,
    pub record: peer::Record,
    context: String,
    replied: bool,
    /// This node's disk has not refused the batch with the record in it.
    pub here: bool,
    /// Under which collection round the record was read; see `collection`.
    round: u32,
}

/// What a client wants written, as it came.
#[derive(Debug)]
pub(super) struct PutRequest {
    pub item: Item,
    pub quorum: QuorumRequest,
    pub value: Option<Bytes>,
    pub context: String,
    pub operation: OperationId,
    pub expires_at: Option<Expiry>,
    pub tried_since: Option<HybridTime>,
}

impl Shard {
    /// Coordinates a put here; the caller has seen that this node may.
    #[expect(
        clippy::too_many_arguments,
        reason = "each of them is known to the caller, and none goes with another"
    )]
    pub(super) fn coordinate_put(
        &mut self,
        origin: Origin,
        deadline: Duration,
        put: PutRequest,
        bucket: &Bucket,
        partition: PartitionId,
        quorum: Quorum,
        replicas: &Replicas,
        turn: &mut Turn,
    ) {
        let op = if put.value.is_some() { "put" } else { "delete" };
        let labels = matches!(origin, Origin::Client { .. }).then(|| Labels::new(op, put.quorum));
        let key = key::item(partition, bucket.id, &put.item.key, &put.item.sort);
        if self.was_collected(&key, put.operation, turn) {
            // Every owner has had it, and what replaced it.
            let info = self.info(replicas.read.owners.iter().map(|(owner, _)| *owner));
            let reply = Reply::Written { context: put.context, info };
            let asker = Asker { origin, labels, begun: turn.now.instant };
            return self.answer(&asker, reply, turn);
        }
        let id = self.requests.number();
        let (tally, asks) = Put::begin(quorum, replicas, self.view.me);
        let work = match self.write_here(&put, bucket, partition, quorum, tally, turn) {
            Ok(work) => work,
            Err(error) => return self.turn_away(origin, labels, error, turn),
        };
        let work = Work::Put(Box::new(work));
        let mut request = self.begin(origin, labels, deadline, work, turn);
        self.ask_all(id, &mut request, replicas, asks, turn);
        self.go_on(id, request, turn);
    }

    /// Mints the dot and stages the record. Nothing has left the node yet when this fails.
    fn write_here(
        &mut self,
        put: &PutRequest,
        bucket: &Bucket,
        partition: PartitionId,
        quorum: Quorum,
        tally: Put,
        turn: &mut Turn,
    ) -> Result<PutWork, Error> {
        if let Some(error) = &self.disk {
            return Err(disk_error(error.clone()));
        }
        if self.life != Life::Running {
            return Err(Error::Overloaded("the node is starting or stopping".into()));
        }
        let Item { key: partition_key, sort, .. } = &put.item;
        let scope = self.scope(bucket, partition_key, sort);
        let seen = self.open_context(&scope, &put.context)?;
        let key = key::item(partition, bucket.id, partition_key, sort);
        let conflict = bucket.settings.conflict;
        // What cannot be read is as if it were not there: a fresh actor, for nobody knows what the old one did.
        let (latest, before) = self.latest(&key, turn).map_err(disk_error)?;
        if latest.is_none() && self.keeps_enough() && !self.is_owner(partition, bucket.settings.n) {
            self.counters.hints_declined += 1;
            return Err(Error::Overloaded("this node keeps enough for nodes that are away".into()));
        }
        // What is read from a store counts from the round that it was read in; what is not, from now on.
        let round = match &latest {
            Some(_) => self.round_of(&key),
            None => self.round_of_new(partition),
        };
        let new = || Record::new(Kind::from(conflict));
        let mut record = latest.as_ref().map_or_else(new, |latest| Record::clone(&latest.record));
        let seen = if guard::holds(Guard::ClientContext) { seen } else { record.context() };
        let room = |seen: &Seen| record.siblings.room(seen, put.operation, conflict);
        // Room is made of what nobody is shown any more; but not where others get the put alone.
        let wide = (round > 0 && matches!(room(&seen), Room::Full(_))).then(|| {
            let stamp = self.clock.last().max(HybridTime::from_wall(turn.now.wall));
            record.siblings.with_dead_seen(&seen, self.date_shown(turn), stamp)
        });
        let replaced = wide.as_ref().unwrap_or(&seen);
        if let Room::Full(count) = room(replaced) {
            assert!(count >= SIBLINGS_CAP, "only a key at its cap is full");
            return Err(Error::TooManySiblings { count });
        }
        // No try is stamped before it was sent, as far as clocks may differ.
        put.tried_since.into_iter().for_each(|since| self.clock.observe(turn.now.wall, since));
        let write = Write {
            operation: put.operation,
            stamp: self.clock.tick(turn.now.wall, record.stamp_after(&seen)),
            expires_at: self.expiry(put, bucket, turn),
            content: put.value.clone().map_or(Content::Tombstone, Content::Value),
            tried_since: put.tried_since,
        };
        let witnessed = self.view.witnessed;
        let written = record
            .write(replaced, write, &mut self.incarnations, witnessed)
            .map_err(|e| Error::Internal(e.to_string()))?;
        let context = scope.seal(&record.context_after(&seen, put.operation)).as_str().to_owned();
        let mut stamped = round;
        let alone = match written {
            Written::New(dot) if round == 0 => Some(record.alone(dot, &seen)),
            _ => None,
        };
        // A try that came again need not have changed anything.
        let whole = match latest.filter(|latest| *latest.record == record) {
            Some(latest) => latest.encoded.clone(),
            None => {
                let stored = Stored::new(record);
                let encoded = stored.encoded.clone();
                self.stage(key.clone(), before, Some(stored), turn);
                encoded
            }
        };
        // Nobody vouches for what lies here, but the client does for what it writes.
        let message = alone.map_or(whole, |alone| {
            stamped = self.round_of_new(partition);
            Stored::new(alone).encoded
        });
        Ok(PutWork {
            tally,
            key,
            partition,
            n: bucket.settings.n,
            quorum,
            record: message,
            context,
            replied: false,
            here: true,
            round: stamped,
        })
    }

    /// When what is written here now is to expire. A tombstone does not.
    fn expiry(&self, put: &PutRequest, bucket: &Bucket, turn: &Turn) -> Option<WallClock> {
        put.value.as_ref()?;
        let ttl = bucket.settings.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let at = match put.expires_at.or(ttl.map(Expiry::After))? {
            Expiry::At(at) => at,
            Expiry::After(ms) => self.date_shown(turn).0.saturating_add(ms),
        };
        Some(WallClock(at))
    }

    /// Reads the record again that a put is bringing to others, under the present round. False: it is not here.
    fn read_again(&mut self, put: &mut PutWork, turn: &mut Turn) -> bool {
        // Before anybody vouches for this store, and after it has lost what was to be written, it is no help.
        if !put.here || self.round_of(&put.key) == 0 {
            return true;
        }
        let Ok((latest, _)) = self.latest(&put.key, turn) else { return true };
        let Some(latest) = latest else { return false };
        put.record = latest.encoded.clone();
        put.round = self.round_of(&put.key);
        true
    }

    /// A replica has closed a round since the record was read: it gets it as it is now.
    pub(super) fn put_is_stale(
        &mut self,
        id: u64,
        request: &mut Request,
        from: NodeId,
        turn: &mut Turn,
    ) {
        let Work::Put(put) = &mut request.work else { return };
        let before = put.round;
        let found = self.read_again(put, turn);
        let owned = self.is_owner(put.partition, put.n);
        match (found, put.tally.asked(from)) {
            (true, Some(ask)) if put.round > before => self.ask_put(id, request, ask, turn),
            // All that was known of the key is gone: so every owner had it, and what replaced it.
            (false, _) if owned => self.put_stored(request, from),
            _ => self.was_refused(id, request, from, turn),
        }
    }

    /// Sets the tally up, under the epoch of now, and asks everybody.
    pub(super) fn restart_put(&mut self, id: u64, request: &mut Request, turn: &mut Turn) {
        let Work::Put(put) = &mut request.work else { return };
        // What was read in another epoch may be older than what was collected in it. What the disk has refused
        // cannot be read again, and nobody takes it under no round: the outcome stays unknown.
        put.round = 0;
        self.read_again(put, turn);
        let Work::Put(put) = &mut request.work else { return };
        let replicas = self.replicas(put.partition, put.n);
        let (tally, asks) = Put::begin(put.quorum, &replicas, self.view.me);
        put.tally = tally;
        self.ask_all(id, request, &replicas, asks, turn);
    }

    /// Asks everybody that a new tally names, and keeps hints for the owners that it does not.
    fn ask_all(
        &mut self,
        id: u64,
        request: &mut Request,
        replicas: &Replicas,
        asks: Vec<Ask>,
        turn: &mut Turn,
    ) {
        let Work::Put(put) = &request.work else { return };
        let me = self.view.me;
        let (key, owner) = (put.key.clone(), replicas.read.owners.first().map(|(owner, _)| *owner));
        if let (false, Some(owner)) = (asks.iter().any(|ask| ask.to == me), owner) {
            // No slot is this node's, and yet it has minted a dot and must remember it until an owner has.
            self.keep_hint(owner, &key, turn);
        }
        let unasked: Vec<NodeId> = replicas
            .owners()
            .map(|(owner, _)| owner)
            .filter(|owner| !asks.iter().any(|a| a.to == *owner || a.hint_for == Some(*owner)))
            .collect();
        for owner in unasked {
            self.keep_hint(owner, &key, turn);
        }
        for ask in asks {
            self.ask_put(id, request, ask, turn);
        }
    }

    /// Sends the record to one replica, or waits for this node's own disk.
    pub(super) fn ask_put(&mut self, id: u64, request: &mut Request, ask: Ask, turn: &mut Turn) {
        let Work::Put(put) = &mut request.work else { return };
        let (key, partition) = (put.key.clone(), put.partition);
        if ask.to == self.view.me && !put.here {
            if let Some(ask) = put.tally.refused(ask.to) {
                self.ask_put(id, request, ask, turn);
            }
            return;
        }
        if ask.to == self.view.me {
            if let Some(owner) = ask.hint_for {
                self.keep_hint(owner, &key, turn);
            }
            turn.outbox.when_durable(Release::Stored { request: id, epoch: request.epoch });
            return;
        }
        let record = put.record.clone();
        request.round = put.round;
        let message = Data::Replicate { key, record, hint_for: ask.hint_for };
        self.ask(id, request, ask.to, partition, &message, turn);
    }

    /// This node's own copy is durable.
    pub(super) fn stored_here(&mut self, id: u64, epoch: Epoch, turn: &mut Turn) {
        let me = self.view.me;
        let Some(mut request) = self.requests.take(id) else { return };
        if request.epoch != epoch {
            // It has begun again since, and waits for another release.
            self.requests.put(id, request);
            return;
        }
        request.sent.retain(|sent| sent.to != me);
        match &mut request.work {
            Work::Put(put) => {
                put.here = true;
                put.tally.stored(me);
                self.freshness.stored_here(turn.now.instant.since(request.asker.begun));
            }
            Work::Get(get) => get.written_back(me),
            Work::Compare(_) => {
                self.drop_request(id);
                return self.compare_stored(&request, turn);
            }
            _ => {}
        }
        self.go_on(id, request, turn);
    }

    /// Another replica's copy is durable.
    pub(super) fn put_stored(&mut self, request: &mut Request, by: NodeId) {
        request.sent.retain(|sent| sent.to != by);
        match &mut request.work {
            Work::Put(put) => put.tally.stored(by),
            Work::Get(get) => get.written_back(by),
            _ => {}
        }
    }

    pub(super) fn step_put(&mut self, _id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Put(put) = &mut request.work else { return Goes::Away };
        let verdict = put.tally.verdict();
        if !put.replied {
            let reply = match verdict {
                Verdict::Waiting => {
                    self.hurry_disk(request, turn);
                    return Goes::On;
                }
                Verdict::Met => {
                    let mut info = self.info(put.tally.confirmed_by());
                    info.hinted = put.tally.hinted().map(|owner| self.name_of(owner)).collect();
                    Reply::Written { context: put.context.clone(), info }
                }
                Verdict::Missed { stored } => Reply::Failed(Error::OutcomeUnknown {
                    required: put.tally.required(),
                    received: stored,
                }),
            };
            put.replied = true;
            self.finish(request, reply, turn);
        }
        let Work::Put(put) = &request.work else { return Goes::Away };
        if !put.tally.is_settled() {
            return Goes::On;
        }
        self.hint_unconfirmed(request, turn);
        Goes::Away
    }

    /// Of a put that misses its quorum anyway, this node's own disk gets one more attempt to say that it has
    /// stored it: a replica's attempt ends by itself, and the disk's with the deadline only.
    fn hurry_disk(&self, request: &mut Request, turn: &Turn) {
        let (me, Work::Put(put)) = (self.view.me, &request.work) else { return };
        let waits = put.tally.is_hopeless() && put.tally.open().any(|ask| ask.to == me);
        if waits && request.sent.iter().all(|sent| sent.to != me) {
            request.sent.push(Sent { to: me, at: turn.now.instant, again: None });
        }
    }

    pub(super) fn expire_put(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Put(put) = &request.work else { return };
        if !put.replied {
            let (required, received) = (put.tally.required(), put.tally.received());
            self.fail(request, Error::OutcomeUnknown { required, received }, turn);
        }
        self.hint_unconfirmed(request, turn);
    }

    /// The owners of which nobody has said that their slot is safe get a hint here. It never counts.
    fn hint_unconfirmed(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Put(put) = &request.work else { return };
        let me = self.view.me;
        let owners: Vec<NodeId> = put.tally.unconfirmed().filter(|owner| *owner != me).collect();
        for owner in owners {
            self.keep_hint(owner, &put.key, turn);
        }
    }
}

impl Shard {
    /// What the sender of this token has seen; an empty one is nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it is no context, or another item's.
    pub(super) fn open_context(&self, scope: &ContextScope, token: &str) -> Result<Seen, Error> {
        if token.is_empty() {
            return Ok(Seen::default());
        }
        let former = &self.view.agreement.layout.former;
        scope.open(&Context::new(token.to_owned()), former).map_err(refused_context)
    }
}

fn refused_context(error: ContextError) -> Error {
    Error::Invalid(format!("context: {error}; read the key again and use the context of that read"))
}
