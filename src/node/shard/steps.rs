//! What a request does next: it is asked, answered, passed over, asked again, and over.
//!
//! ```text
//!   begin ─► go_on ─┬─ ask ─► … an answer, or a timer ─► go_on
//!                   └─ finish, or fail
//! ```

use super::request::{Asker, Goes, Labels, Origin, Request, Sent, Work};
use super::timers::Timer;
use super::{Shard, Turn};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::Class;
use crate::message::peer::Data;
use crate::node::outbox::About;
use crate::time::{Duration, Instant};

/// How soon a peer that was behind is asked again.
const AGAIN: Duration = Duration::from_millis(20);

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
            asker: Asker { origin, labels, begun: turn.now.instant },
            deadline: turn.now.instant + deadline,
            epoch: self.view.agreement.layout.epoch,
            attempt: self.timing.attempt,
            class: Class::Foreground,
            sent: Vec::with_capacity(3),
            round: 0,
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
        let hedge = match &request.work {
            Work::Get(get) => get.hedge.at(),
            _ => None,
        };
        let due = attempts.chain(hedge).min();
        let due = due.map_or(request.deadline, |at| at.min(request.deadline));
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
            let (class, round) = (request.class, request.round);
            let about = About { class, partition, request: id, deadline_ms, round };
            let bytes = turn.outbox.send_data(address, about, message);
            if matches!(request.work, Work::Roots(_) | Work::Compare(_)) {
                self.counters.sync_bytes += bytes as u64;
            }
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
            self.did_not(id, &mut request, sent.to, true, turn);
        }
        self.hedge_due(id, &mut request, turn);
        self.go_on(id, request, turn);
    }

    /// What the request needs next; it stays or goes.
    pub(super) fn go_on(&mut self, id: u64, mut request: Request, turn: &mut Turn) {
        let goes = match &request.work {
            Work::Put(_) => self.step_put(id, &mut request, turn),
            Work::Get(_) => self.step_get(id, &mut request, turn),
            Work::Scan(_) => self.step_scan(id, &mut request, turn),
            Work::Keys(_) => self.step_keys(id, &mut request, turn),
            Work::Forward(_) => self.step_forward(id, &mut request, turn),
            Work::Locate(_) => self.step_locate(id, &mut request, turn),
            Work::Handoff(_) => match request.sent.is_empty() {
                true => self.handoff_failed(&request, turn),
                false => Goes::On,
            },
            Work::Roots(_) => self.step_roots(id, &mut request, turn),
            Work::Compare(_) => self.step_compare(id, &mut request, turn),
            Work::Parked { .. } => Goes::On,
        };
        match goes {
            Goes::On => self.keep(id, request),
            Goes::Away => self.drop_request(id),
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
        self.did_not(id, request, node, false, turn);
    }

    /// A replica did not do what it was asked: it let an attempt pass, or refused.
    fn did_not(
        &mut self,
        id: u64,
        request: &mut Request,
        node: NodeId,
        silent: bool,
        turn: &mut Turn,
    ) {
        match &mut request.work {
            Work::Put(put) => {
                let tally = &mut put.tally;
                let next = if silent { tally.silent(node) } else { tally.refused(node) };
                if let Some(ask) = next {
                    self.ask_put(id, request, ask, turn);
                }
            }
            Work::Get(get) if get.write_back.is_some() => {
                self.write_back_failed(id, request, node, silent, turn);
            }
            Work::Get(get) if silent => get.silent(node),
            Work::Get(get) => get.refused(node),
            Work::Scan(scan) if silent => scan.tally.silent(node),
            Work::Scan(scan) => scan.tally.refused(node),
            Work::Keys(keys) if silent => keys.tally.silent(node),
            Work::Keys(keys) => keys.tally.refused(node),
            Work::Forward(_)
            | Work::Locate(_)
            | Work::Handoff(_)
            | Work::Roots(_)
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
            Work::Keys(keys) => {
                let (partition, question) = keys.question();
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
            Work::Keys(keys) => {
                let (required, received) = (keys.tally.required(), keys.tally.received());
                self.end_keys(&mut request, Error::Timeout { required, received }, turn);
            }
            Work::Forward(_) => self.expire_forward(&request, turn),
            Work::Locate(_) => self.expire_locate(&mut request, turn),
            Work::Handoff(_) => {
                self.handoff_failed(&request, turn);
            }
            Work::Roots(_) | Work::Compare(_) => self.compare_over(),
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
                    self.restart_put(id, &mut request, turn);
                }
                Work::Get(_) => self.restart_get(&mut request),
                Work::Scan(_) => self.restart_scan(&mut request),
                Work::Keys(_) => self.restart_keys(&mut request),
                Work::Roots(_) | Work::Compare(_) => {
                    self.compare_over();
                    self.drop_request(id);
                    continue;
                }
                Work::Forward(_) | Work::Locate(_) | Work::Handoff(_) | Work::Parked { .. } => {}
            }
            self.go_on(id, request, turn);
        }
    }
}
