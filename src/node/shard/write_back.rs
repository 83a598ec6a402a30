//! Write-backs of strict reads: one for a key at a time.
//!
//! ```text
//!   read 1   differ ─► leads: B, C store v2 … enough ─► answers v2
//!   read 2      differ ─► waits ……………………………………………… ─► wanted v2 too: answers it
//!   read 3         differ (a v3 has come) ─► waits …… ─► reads again
//! ```
//!
//! Else a crowd of readers of one key that differs would each send it to every owner.

use super::request::{Goes, Request, Sent, Work};
use super::{Shard, Turn};
use crate::coordinator::{WriteBack, WroteBack};
use crate::error::Error;
use crate::id::NodeId;
use crate::message::peer::{self, Data};
use crate::node::outbox::Release;
use crate::version::Record;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a strict read waits for before it answers.
#[derive(Debug)]
pub(super) enum WritingBack {
    /// It does it itself.
    Leads(WriteBack, Wanted),
    /// Another read of the same key does it.
    Waits(Wanted),
}

/// What is to be held by enough slots.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub record: Arc<Record>,
    /// How many owners held less.
    pub stale: usize,
    /// How many of them have to store it.
    pub need: usize,
    /// How old it may be.
    pub round: u32,
}

impl WritingBack {
    /// What it is about.
    pub fn wanted(&self) -> &Wanted {
        let (WritingBack::Leads(_, wanted) | WritingBack::Waits(wanted)) = self;
        wanted
    }
}

/// Who waits for the write-back of a key.
pub(super) type WriteBacks = BTreeMap<Bytes, Vec<u64>>;

/// How a write-back ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// The record with this digest is held by enough.
    Stored(u128),
    /// The record with this digest cannot be held by enough right now.
    Missed(u128),
    /// Its own time was up: that says nothing to others.
    GivenUp,
}

impl Shard {
    /// A strict read found that too few hold what it is to show.
    pub(super) fn begin_write_back(
        &mut self,
        id: u64,
        request: &mut Request,
        wanted: Wanted,
        stale: &[NodeId],
        spares: &[NodeId],
        turn: &mut Turn,
    ) {
        let Work::Get(get) = &mut request.work else { return };
        if let Some(waiting) = self.write_backs.get_mut(&get.key) {
            waiting.push(id);
            get.write_back = Some(WritingBack::Waits(wanted));
            return;
        }
        self.write_backs.insert(get.key.clone(), Vec::new());
        self.counters.read_repairs += stale.len() as u64;
        let tally = WriteBack::begin(stale, spares, wanted.need);
        get.write_back = Some(WritingBack::Leads(tally, wanted));
        for node in stale {
            self.write_back_to(id, request, *node, turn);
        }
    }

    /// Sends what is to be held to one owner, or stores it here.
    fn write_back_to(&mut self, id: u64, request: &mut Request, node: NodeId, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let Some(WritingBack::Leads(_, wanted)) = &get.write_back else { return };
        let (key, partition) = (get.key.clone(), get.partition);
        if node != self.view.me {
            let (head, body) = wanted.record.encode();
            let record = peer::Record { head, body };
            let message = Data::Replicate { key, record, hint_for: None };
            request.round = wanted.round;
            return self.ask(id, request, node, partition, &message, turn);
        }
        let (record, round) = (wanted.record.clone(), wanted.round);
        if !self.is_stale(&key, round) && self.join_here(&key, &record, turn) {
            turn.outbox.when_durable(Release::Stored { request: id, epoch: request.epoch });
            request.sent.push(Sent { to: node, at: turn.now.instant, again: None });
        } else {
            self.write_back_failed(id, request, node, false, turn);
        }
    }

    /// `node` fell silent or said no: somebody else may be asked.
    pub(super) fn write_back_failed(
        &mut self,
        id: u64,
        request: &mut Request,
        node: NodeId,
        silent: bool,
        turn: &mut Turn,
    ) {
        let Work::Get(get) = &mut request.work else { return };
        let Some(WritingBack::Leads(tally, _)) = &mut get.write_back else { return };
        let next = if silent { tally.silent(node) } else { tally.refused(node) };
        if let Some(next) = next {
            self.write_back_to(id, request, next, turn);
        }
    }

    /// What was to be written back was read before a round that is closed by now: everybody reads again.
    pub(super) fn write_back_is_stale(&mut self, request: &mut Request, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let key = get.key.clone();
        request.sent.clear();
        self.restart_get(request);
        self.end_write_back(&key, Ended::GivenUp, turn);
    }

    pub(super) fn step_write_back(&mut self, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Get(get) = &request.work else { return Goes::Away };
        let Some(WritingBack::Leads(tally, wanted)) = &get.write_back else { return Goes::On };
        let (key, digest) = (get.key.clone(), wanted.record.siblings.digest());
        let ended = match tally.verdict() {
            WroteBack::Waiting => return Goes::On,
            WroteBack::Enough => {
                let Wanted { record, stale, .. } = wanted.clone();
                self.answer_get(request, Some(record), stale, false, turn);
                Ended::Stored(digest)
            }
            WroteBack::Missed { lacking } => {
                self.miss_write_back(request, lacking, turn);
                Ended::Missed(digest)
            }
        };
        self.end_write_back(&key, ended, turn);
        Goes::Away
    }

    /// The deadline of a read that leads or waits is over.
    pub(super) fn expire_write_back(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let Some(write_back) = &get.write_back else { return };
        self.miss_write_back(request, write_back.wanted().need, turn);
        if matches!(write_back, WritingBack::Leads(..)) {
            self.end_write_back(&get.key, Ended::GivenUp, turn);
        }
    }

    /// It has heard enough replicas, but too few hold what it would show.
    fn miss_write_back(&mut self, request: &Request, lacking: usize, turn: &mut Turn) {
        let Work::Get(get) = &request.work else { return };
        let required = get.tally.required();
        let received = required.saturating_sub(lacking);
        self.fail(request, Error::QuorumNotMet { required, received }, turn);
    }

    /// Those that waited share the outcome if it is theirs, else they read again: one of them may lead then.
    fn end_write_back(&mut self, key: &Bytes, ended: Ended, turn: &mut Turn) {
        for id in self.write_backs.remove(key).unwrap_or_default() {
            let Some(mut request) = self.requests.take(id) else { continue };
            let Work::Get(get) = &request.work else {
                self.requests.put(id, request);
                continue;
            };
            let Some(WritingBack::Waits(wanted)) = &get.write_back else {
                self.requests.put(id, request);
                continue;
            };
            let wants = wanted.record.siblings.digest();
            match ended {
                Ended::Stored(digest) if digest == wants => {
                    let Wanted { record, stale, .. } = wanted.clone();
                    self.drop_request(id);
                    self.answer_get(&request, Some(record), stale, false, turn);
                }
                Ended::Missed(digest) if digest == wants => {
                    let need = wanted.need;
                    self.drop_request(id);
                    self.miss_write_back(&request, need, turn);
                }
                _ => {
                    request.sent.clear();
                    self.restart_get(&mut request);
                    self.go_on(id, request, turn);
                }
            }
        }
    }
}
