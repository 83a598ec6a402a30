//! What is under way: one entry for each request that this node coordinates, forwards or makes itself.

use super::count::CountWork;
use super::forward::ForwardWork;
use super::get::GetWork;
use super::handoff::HandoffWork;
use super::locate::LocateWork;
use super::put::PutWork;
use super::scan::ScanWork;
use super::sync::CompareWork;
use super::timers::Timer;
use super::{Shard, Turn};
use crate::error::Error;
use crate::id::{Epoch, NodeId, PartitionId};
use crate::message::client::{Reply, Request as ClientRequest};
use crate::message::peer::Data;
use crate::message::{Class, client};
use crate::node::ConnectionId;
use crate::node::counters::RequestLabels;
use crate::quorum::QuorumRequest;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// How soon a peer that was behind is asked again.
const AGAIN: Duration = Duration::from_millis(20);

/// Who waits for the answer.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A client of this node.
    Client {
        /// Its connection.
        connection: ConnectionId,
        /// Its id for the request.
        id: u64,
    },
    /// Another node that forwarded a client's request.
    Peer {
        /// Which.
        node: NodeId,
        /// Its id for the request.
        request: u64,
        /// What it is about.
        partition: PartitionId,
    },
    /// This node itself.
    Own,
}

/// What the labels of a client's request are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    pub op: &'static str,
    pub consistency: &'static str,
}

impl Labels {
    /// The labels of a request with this quorum.
    pub fn new(op: &'static str, quorum: QuorumRequest) -> Labels {
        let consistency = match (quorum.count, quorum.consistency) {
            (Some(_), _) => "count",
            (None, Some(level)) => level.name(),
            (None, None) => "default",
        };
        Labels { op, consistency }
    }
}

/// A question that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub to: NodeId,
    pub at: Instant,
    /// It was behind: ask again then.
    pub again: Option<Instant>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Request {
    pub origin: Origin,
    pub labels: Option<Labels>,
    pub begun: Instant,
    pub deadline: Instant,
    /// Only answers of this epoch count.
    pub epoch: Epoch,
    /// How long one question may stay open.
    pub attempt: Duration,
    pub class: Class,
    pub sent: Vec<Sent>,
    pub work: Work,
    /// How many bytes of values it held when it was last put away.
    bytes: usize,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Work {
    Put(Box<PutWork>),
    Get(Box<GetWork>),
    Scan(Box<ScanWork>),
    Forward(Box<ForwardWork>),
    Locate(Box<LocateWork>),
    Count(Box<CountWork>),
    Handoff(HandoffWork),
    Compare(Box<CompareWork>),
    /// It waits for its bucket to be created or heard of.
    Parked {
        request: Box<ClientRequest>,
        bucket: String,
        forwarded: bool,
    },
}

impl Work {
    /// How many bytes of values it holds on behalf of a client.
    fn bytes(&self) -> usize {
        match self {
            Work::Put(put) => put.record.body.len(),
            Work::Get(get) => get.bytes(),
            Work::Scan(scan) => scan.tally.bytes(),
            Work::Forward(forward) => forward.bytes(),
            Work::Parked { request, .. } => value_bytes(request),
            Work::Locate(_) | Work::Count(_) | Work::Handoff(_) | Work::Compare(_) => 0,
        }
    }
}

/// The bytes of a value that a client wants stored.
pub(super) fn value_bytes(request: &ClientRequest) -> usize {
    match request {
        ClientRequest::Put { value: Some(value), .. } => value.len(),
        _ => 0,
    }
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Away,
}

/// See the module's picture.
///
/// - A number is given out once, also across lives: the first one of a life is random, for an answer that
///   was meant for an earlier life may still be on its way.
#[derive(Debug)]
pub(super) struct Requests {
    entries: BTreeMap<u64, Request>,
    last: u64,
    clients: usize,
    parked: usize,
    bytes: usize,
}

impl Requests {
    /// None are under way; numbers go on from `first`, which is random.
    pub fn new(first: u64) -> Requests {
        // Half of all numbers are left: neither 0 nor the life's own ticket is ever reached.
        Requests { entries: BTreeMap::new(), last: first >> 1, clients: 0, parked: 0, bytes: 0 }
    }

    /// A number for a new request. 0 is never given out.
    pub fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn take(&mut self, id: u64) -> Option<Request> {
        let request = self.entries.remove(&id)?;
        self.bytes -= request.bytes;
        self.clients -= usize::from(request.labels.is_some());
        self.parked -= usize::from(matches!(request.work, Work::Parked { .. }));
        Some(request)
    }

    pub fn put(&mut self, id: u64, mut request: Request) {
        request.bytes = request.work.bytes();
        self.bytes += request.bytes;
        self.clients += usize::from(request.labels.is_some());
        self.parked += usize::from(matches!(request.work, Work::Parked { .. }));
        self.entries.insert(id, request);
    }

    /// Those that wait for their bucket, oldest first.
    pub fn parked(&self) -> impl Iterator<Item = (&ClientRequest, &str)> {
        // Most of the time there are none, and this is asked for every turn.
        let entries = (self.parked > 0).then_some(&self.entries);
        entries.into_iter().flat_map(BTreeMap::values).filter_map(|entry| match &entry.work {
            Work::Parked { request, bucket, .. } => Some((&**request, &**bucket)),
            _ => None,
        })
    }

    /// How many requests of clients are under way.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// How many bytes of values all requests under way hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.clients == 0
    }

    /// Their numbers, oldest first.
    pub fn numbers(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    pub fn get(&self, id: u64) -> Option<&Request> {
        self.entries.get(&id)
    }
}

impl Shard {
    /// A request of a client, or of this node, as it begins.
    pub(super) fn begin(
        &self,
        origin: Origin,
        labels: Option<Labels>,
        deadline: Duration,
        work: Work,
        turn: &Turn,
    ) -> Request {
        Request {
            origin,
            labels,
            begun: turn.now.instant,
            deadline: turn.now.instant + deadline,
            epoch: self.view.agreement.layout.epoch,
            attempt: self.timing.attempt,
            class: Class::Foreground,
            sent: Vec::with_capacity(3),
            work,
            bytes: 0,
        }
    }

    /// Puts a request back among those under way, and sees to its next timeout.
    pub(super) fn keep(&mut self, id: u64, request: Request) {
        let attempts = request.sent.iter().map(|sent| match sent.again {
            Some(again) => again,
            None => sent.at + request.attempt,
        });
        let due = attempts.min().map_or(request.deadline, |at| at.min(request.deadline));
        self.timers.set(due, Timer::Request(id));
        self.requests.put(id, request);
    }

    /// The request is over: nothing of it stays.
    pub(super) fn drop_request(&mut self, id: u64) {
        self.timers.clear(Timer::Request(id));
    }

    /// Asks one replica.
    pub(super) fn ask(
        &mut self,
        id: u64,
        request: &mut Request,
        to: NodeId,
        partition: PartitionId,
        message: &Data,
        turn: &mut Turn,
    ) {
        let now = turn.now.instant;
        request.sent.retain(|sent| sent.to != to);
        request.sent.push(Sent { to, at: now, again: None });
        let left = request.deadline.since(now).as_millis();
        let deadline_ms = u32::try_from(left).unwrap_or(u32::MAX).max(1);
        if let Some(address) = self.address(to) {
            turn.outbox.send_data(address, request.class, partition, id, deadline_ms, message);
        }
    }

    /// A request's timer came due: questions that stayed open too long, and the deadline.
    pub(super) fn request_due(&mut self, id: u64, turn: &mut Turn) {
        let Some(mut request) = self.requests.take(id) else { return };
        let now = turn.now.instant;
        if now >= request.deadline {
            self.expire(id, request, turn);
            return;
        }
        let again: Vec<NodeId> = request
            .sent
            .iter()
            .filter(|sent| sent.again.is_some_and(|at| at <= now))
            .map(|sent| sent.to)
            .collect();
        for node in again {
            self.ask_again(id, &mut request, node, turn);
        }
        let attempt = request.attempt;
        let silent: Vec<Sent> = request
            .sent
            .extract_if(.., |sent| sent.again.is_none() && sent.at + attempt <= now)
            .collect();
        for sent in silent {
            self.note_silence(sent.to, sent.at, now);
            self.fell_silent(id, &mut request, sent.to, turn);
        }
        self.go_on(id, request, turn);
    }

    /// What the request needs next; it stays or goes.
    pub(super) fn go_on(&mut self, id: u64, mut request: Request, turn: &mut Turn) {
        let goes = match &request.work {
            Work::Put(_) => self.step_put(id, &mut request, turn),
            Work::Get(_) => self.step_get(id, &mut request, turn),
            Work::Scan(_) => self.step_scan(id, &mut request, turn),
            Work::Forward(_) => self.step_forward(id, &mut request, turn),
            Work::Locate(_) => self.step_locate(id, &mut request, turn),
            Work::Count(_) => self.step_count(&mut request, turn),
            Work::Handoff(_) => match request.sent.is_empty() {
                true => self.handoff_failed(&request),
                false => Goes::On,
            },
            Work::Compare(_) => self.step_compare(id, &mut request, turn),
            Work::Parked { .. } => Goes::On,
        };
        match goes {
            Goes::On => self.keep(id, request),
            Goes::Away => self.drop_request(id),
        }
    }

    fn fell_silent(&mut self, id: u64, request: &mut Request, node: NodeId, turn: &mut Turn) {
        match &mut request.work {
            Work::Put(put) => {
                if let Some(ask) = put.tally.silent(node) {
                    self.ask_put(id, request, ask, turn);
                }
            }
            Work::Get(get) if get.write_back.is_some() => {
                self.write_back_failed(id, request, node, true, turn);
            }
            Work::Get(get) => get.silent(node),
            Work::Scan(scan) => scan.tally.silent(node),
            Work::Forward(_)
            | Work::Locate(_)
            | Work::Count(_)
            | Work::Handoff(_)
            | Work::Parked { .. } => {}
            Work::Compare(compare) => compare.failed = true,
        }
    }

    /// A replica says no.
    pub(super) fn was_refused(
        &mut self,
        id: u64,
        request: &mut Request,
        node: NodeId,
        turn: &mut Turn,
    ) {
        request.sent.retain(|sent| sent.to != node);
        match &mut request.work {
            Work::Put(put) => {
                if let Some(ask) = put.tally.refused(node) {
                    self.ask_put(id, request, ask, turn);
                }
            }
            Work::Get(get) if get.write_back.is_some() => {
                self.write_back_failed(id, request, node, false, turn);
            }
            Work::Get(get) => get.refused(node),
            Work::Scan(scan) => scan.tally.refused(node),
            Work::Forward(_)
            | Work::Locate(_)
            | Work::Count(_)
            | Work::Handoff(_)
            | Work::Parked { .. } => {}
            Work::Compare(compare) => compare.failed = true,
        }
    }

    /// A replica is behind, or we are: the same question goes out once more in a moment.
    pub(super) fn ask_later(request: &mut Request, node: NodeId, now: Instant) {
        for sent in request.sent.iter_mut().filter(|sent| sent.to == node) {
            sent.again = Some(now + AGAIN);
        }
    }

    fn ask_again(&mut self, id: u64, request: &mut Request, node: NodeId, turn: &mut Turn) {
        let first = request.sent.iter().find(|sent| sent.to == node).map(|sent| sent.at);
        match &mut request.work {
            Work::Put(put) => {
                if let Some(ask) = put.tally.asked(node) {
                    self.ask_put(id, request, ask, turn);
                }
            }
            Work::Get(get) => {
                if let Some((partition, question)) = get.question(node) {
                    self.ask(id, request, node, partition, &question, turn);
                }
            }
            Work::Scan(scan) => {
                let (partition, question) = scan.question();
                self.ask(id, request, node, partition, &question, turn);
            }
            Work::Compare(compare) => {
                // The question that was refused is not kept: the next pass asks everything again.
                compare.failed = true;
                request.sent.clear();
            }
            _ => request.sent.retain(|sent| sent.to != node),
        }
        // The attempt began when it was first asked, else one that stays behind is asked for ever.
        for sent in request.sent.iter_mut().filter(|sent| sent.to == node) {
            sent.at = first.unwrap_or(sent.at);
        }
    }

    fn expire(&mut self, id: u64, mut request: Request, turn: &mut Turn) {
        self.drop_request(id);
        match &mut request.work {
            Work::Put(_) => self.expire_put(&mut request, turn),
            Work::Get(_) => self.expire_get(&mut request, turn),
            Work::Scan(scan) => {
                let (required, received) = (scan.tally.required(), scan.tally.received());
                self.fail(&request, Error::Timeout { required, received }, turn);
            }
            Work::Forward(_) => self.expire_forward(&request, turn),
            Work::Locate(_) => self.expire_locate(&mut request, turn),
            Work::Count(_) => self.expire_count(&mut request, turn),
            Work::Handoff(_) => {
                self.handoff_failed(&request);
            }
            Work::Compare(_) => self.compare_failed(),
            Work::Parked { bucket, .. } => {
                let why = format!("bucket {bucket} could not be agreed on in time; try again");
                self.fail(&request, Error::Overloaded(why), turn);
            }
        }
    }

    /// Everything under way begins again under the epoch that was just installed.
    pub(super) fn restart_requests(&mut self, turn: &mut Turn) {
        self.write_backs.clear();
        for id in self.requests.numbers() {
            let Some(mut request) = self.requests.take(id) else { continue };
            request.epoch = self.view.agreement.layout.epoch;
            request.sent.clear();
            match &request.work {
                Work::Put(_) => {
                    self.store_again(&mut request, turn);
                    self.restart_put(id, &mut request, turn);
                }
                Work::Get(_) => self.restart_get(&mut request, turn.now.instant),
                Work::Scan(_) => self.restart_scan(&mut request, turn.now.instant),
                Work::Compare(_) => {
                    self.compare_failed();
                    self.drop_request(id);
                    continue;
                }
                Work::Forward(_)
                | Work::Locate(_)
                | Work::Count(_)
                | Work::Handoff(_)
                | Work::Parked { .. } => {}
            }
            self.go_on(id, request, turn);
        }
    }

    /// The answer goes to whoever waits for it.
    pub(super) fn finish(&mut self, request: &Request, reply: Reply, turn: &mut Turn) {
        if let Some(Labels { op, consistency }) = request.labels {
            let outcome = match &reply {
                Reply::Failed(error) => error.code(),
                _ => "ok",
            };
            let labels = RequestLabels { op, consistency, outcome };
            *self.counters.requests.entry(labels).or_default() += 1;
            let took = turn.now.instant.since(request.begun).as_micros();
            let durations = self.counters.durations.entry(op).or_default();
            durations.observe(u64::try_from(took).unwrap_or(u64::MAX));
        }
        match request.origin {
            Origin::Client { connection, id } => turn.outbox.reply(connection, id, reply),
            Origin::Peer { node, request, partition } => {
                if let Some(to) = self.address(node) {
                    let message = Data::Forwarded(reply);
                    let class = Class::Foreground;
                    turn.outbox.send_data(to, class, partition, request, 0, &message);
                }
            }
            Origin::Own => {}
        }
    }

    /// The request ends with an error.
    pub(super) fn fail(&mut self, request: &Request, error: Error, turn: &mut Turn) {
        self.finish(request, Reply::Failed(error), turn);
    }

    /// How the answer came about.
    pub(super) fn info(&self, replied: impl Iterator<Item = NodeId>) -> client::Info {
        client::Info {
            coordinator: self.view.name.clone(),
            replied: replied.map(|node| self.name_of(node)).collect(),
            ..client::Info::default()
        }
    }
}
