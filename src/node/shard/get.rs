//! Coordinating a get: any node may; what the tally asks for is fetched, joined, repaired.

use super::explain::Notes;
use super::hedge::Hedge;
use super::request::{Goes, Request, Work};
use super::write_back::{Wanted, WritingBack};
use super::{Shard, Turn};
use crate::coordinator::{AskRead, Get, Holding, Step};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::Class;
use crate::message::client::{Info, Item, Reply, Version};
use crate::message::peer::{self, Data};
use crate::node::outbox::About;
use crate::quorum::Quorum;
use crate::ring::Bucket;
use crate::store::key;
use crate::time::Instant;
use crate::version::{OperationId, Record, Seen, Siblings};
use bytes::Bytes;
use std::sync::Arc;

/// A get under way.
#[derive(Debug)]
pub(super) struct GetWork {
    pub tally: Get,
    item: Item,
    bucket: Arc<Bucket>,
    quorum: Quorum,
    pub key: Bytes,
    pub partition: PartitionId,
    pub write_back: Option<WritingBack>,
    pub hedge: Hedge,
    /// What the item has to stand as, to be answered.
    pub expected: Option<Expected>,
    /// For a story of it.
    pub notes: Option<Notes>,
}

/// What a client has seen of an item, and the write that may have come of it already.
#[derive(Debug)]
pub(super) struct Expected {
    pub seen: Seen,
    pub own: Option<OperationId>,
}

impl GetWork {
    pub fn new(
        tally: Get,
        item: Item,
        bucket: Arc<Bucket>,
        quorum: Quorum,
        partition: PartitionId,
    ) -> Self {
        let key = key::item(partition, bucket.id, &item.key, &item.sort);
        let (write_back, hedge) = (None, Hedge::Unplanned);
        let (expected, notes) = (None, None);
        GetWork { tally, item, bucket, quorum, key, partition, write_back, hedge, expected, notes }
    }

    /// How many bytes of values it holds.
    pub fn bytes(&self) -> usize {
        let written = self.write_back.as_ref().map_or(0, |w| w.wanted().record.value_bytes());
        self.tally.bytes() + written
    }

    pub fn silent(&mut self, node: NodeId) {
        if self.write_back.is_none() {
            self.tally.silent(node);
        }
    }

    pub fn refused(&mut self, node: NodeId) {
        if self.write_back.is_none() {
            self.tally.refused(node);
        }
    }

    /// A replica confirmed what a strict read wrote back.
    pub fn written_back(&mut self, by: NodeId) {
        if let Some(WritingBack::Leads(tally, _)) = &mut self.write_back {
            tally.stored(by);
        }
    }

    /// Whether a write-back waits for this node's disk.
    pub fn waits_for(&self, me: NodeId) -> bool {
        matches!(&self.write_back, Some(WritingBack::Leads(tally, _)) if tally.is_open(me))
    }

    /// A replica says what it holds.
    pub fn holds(&mut self, from: NodeId, holding: Holding, now: Instant) {
        if self.write_back.is_none() {
            self.notes.iter_mut().for_each(|notes| notes.answered(from, now));
            self.tally.holds(from, holding);
        }
    }

    /// What `node` was last asked.
    pub fn question(&self, node: NodeId) -> Option<(PartitionId, Data)> {
        let message = match &self.write_back {
            Some(write_back) => {
                let (head, body) = write_back.wanted().record.encode();
                let record = peer::Record { head, body };
                Data::Replicate { key: self.key.clone(), record, hint_for: None }
            }
            None => {
                let whole = self.tally.asked(node)?.whole;
                Data::Read { key: self.key.clone(), whole }
            }
        };
        Some((self.partition, message))
    }
}

impl Shard {
    pub(super) fn restart_get(&mut self, request: &mut Request) {
        let Work::Get(get) = &mut request.work else { return };
        let replicas = self.replicas(get.partition, get.bucket.settings.n);
        get.tally = Get::begin(get.quorum, &replicas, self.view.me);
        get.write_back = None;
        if get.hedge != Hedge::Unplanned {
            get.hedge = Hedge::None;
        }
    }

    pub(super) fn step_get(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        loop {
            let Work::Get(get) = &mut request.work else { return Goes::Away };
            if get.write_back.is_some() {
                return self.step_write_back(request, turn);
            }
            let step = get.tally.step();
            if !matches!(step, Step::Ask(_)) {
                self.judge_hedge(get);
            }
            match step {
                Step::Ask(asks) => {
                    let mut heard = false;
                    for ask in asks {
                        heard |= self.ask_read(id, request, ask, turn);
                    }
                    if !heard {
                        self.plan_hedge(id, request, turn);
                        return Goes::On;
                    }
                }
                Step::Answer { record, stale, rebuilding, round } => {
                    self.repair(request, record.as_deref(), round, &stale, turn);
                    self.answer_get(request, record, stale.len(), rebuilding, turn);
                    return Goes::Away;
                }
                Step::WriteBack { record, stale, spares, need, round } => {
                    let wanted = Wanted { record, stale: stale.len(), need, round };
                    self.begin_write_back(id, request, wanted, &stale, &spares, turn);
                }
                Step::Missed => {
                    self.miss_get(request, turn);
                    return Goes::Away;
                }
            }
        }
    }

    /// Asks one replica; true when it was this node itself, which has answered at once.
    pub(super) fn ask_read(
        &mut self,
        id: u64,
        request: &mut Request,
        ask: AskRead,
        turn: &mut Turn,
    ) -> bool {
        let me = self.view.me;
        let Work::Get(get) = &mut request.work else { return false };
        let (key, partition) = (get.key.clone(), get.partition);
        get.notes.iter_mut().for_each(|notes| notes.asked(ask.to, turn.now.instant));
        if ask.to != me {
            let message = Data::Read { key, whole: ask.whole };
            self.laggards.asked(ask.to, id, turn.now.instant, request.attempt);
            self.ask(id, request, ask.to, partition, &message, turn);
            return false;
        }
        let held = self.held(&key, partition, get.bucket.settings.n, ask.whole, turn);
        match held {
            Ok(held) => get.holds(me, held.into(), turn.now.instant),
            Err(_) => get.tally.refused(me),
        }
        true
    }

    /// Brings stale owners up to date behind the answer.
    fn repair(
        &mut self,
        request: &Request,
        record: Option<&Record>,
        round: u32,
        stale: &[NodeId],
        turn: &mut Turn,
    ) {
        let (Work::Get(get), Some(record)) = (&request.work, record) else { return };
        if stale.is_empty() {
            return;
        }
        self.counters.read_repairs += stale.len() as u64;
        let (key, partition) = (get.key.clone(), get.partition);
        let (head, body) = record.encode();
        for node in stale {
            if *node == self.view.me {
                if !self.is_stale(&key, round) {
                    self.join_here(&key, record, turn);
                }
                continue;
            }
            if let Some(to) = self.address(*node) {
                let sent = peer::Record { head: head.clone(), body: body.clone() };
                let message = Data::Replicate { key: key.clone(), record: sent, hint_for: None };
                let class = Class::Background;
                let about = About { class, partition, round, ..About::default() };
                turn.outbox.send_data(to, about, &message);
            }
        }
    }

    fn miss_get(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let (required, received) = (get.tally.required(), get.tally.received());
        self.fail(request, Error::QuorumNotMet { required, received }, turn);
    }

    pub(super) fn expire_get(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        match &get.write_back {
            Some(_) => self.expire_write_back(request, turn),
            None => self.miss_get(request, turn),
        }
    }

    pub(super) fn answer_get(
        &mut self,
        request: &Request,
        record: Option<Arc<Record>>,
        repaired: usize,
        rebuilding: bool,
        turn: &mut Turn,
    ) {
        let Work::Get(get) = &request.work else { return };
        if let Some(Expected { seen, own }) = &get.expected {
            let unwritten = Siblings::new();
            let siblings = record.as_ref().map_or(&unwritten, |record| &record.siblings);
            if !siblings.stands_as_seen(seen, *own) {
                return self.fail(request, Error::ContextMismatch, turn);
            }
        }
        let info = Info {
            repaired: u32::try_from(repaired).unwrap_or(u32::MAX),
            rebuilding,
            explained: get.notes.as_ref().map(|notes| {
                let (record, begun) = (record.as_deref(), request.asker.begun);
                Box::new(self.explained(&get.tally, notes, &get.bucket, record, begun, turn))
            }),
            ..self.info(get.tally.replied())
        };
        let (values, context) = match record {
            None => (Vec::new(), String::new()),
            Some(record) => {
                let scope = self.scope(&get.bucket, &get.item.key, &get.item.sort);
                let values = self.values(&record, turn);
                (values, scope.seal(&record.context()).as_str().to_owned())
            }
        };
        self.finish(request, Reply::Got { values, context, info }, turn);
    }
}

impl Shard {
    /// The values that a reader is shown.
    pub(super) fn values(&self, record: &Record, turn: &Turn) -> Vec<Version> {
        let expires = record.siblings.iter().any(|sibling| sibling.expires_at.is_some());
        let date = if expires { self.date_shown(turn) } else { turn.now.wall };
        let shown = record.siblings.values_at(date);
        shown.map(|(s, value)| Version { value: value.clone(), dot: dot_name(&s.dot) }).collect()
    }
}

/// A dot for people.
pub(super) fn dot_name(dot: &crate::version::Dot) -> String {
    let actor = dot.actor;
    format!("{:016x}.{}:{}", actor.incarnation, actor.mint, dot.counter)
}
