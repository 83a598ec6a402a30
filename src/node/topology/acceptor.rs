//! The acceptor's seat for the next value of the chain: what it promised is on disk before anybody knows.
//!
//! ```text
//!   Prepare(i+1, b) ─► installed is exactly i? named, with this lineage? witnessed? ─► promise ─► disk ─► answer
//! ```
//!
//! - One seat, for one index: when a value is installed, the next one begins with a clean slate, for the
//!   installed value itself answers every question about the earlier ones.
//! - Who is to lose its places because it is gone must not be alive as a majority sees it: an acceptor that sees
//!   it alive does not promise.
//! - The seat belongs to (node, lineage): a new life of the data knows nothing of the old one's promises,
//!   and promises nothing until it is admitted.

use super::Topology;
use super::identity::put;
use crate::guard::{self, Guard};
use crate::id::{Lineage, NodeId};
use crate::message::Header;
use crate::message::peer::Control;
use crate::node::{Outbox, Release};
use crate::register::{self, Acceptance, Answer, Ballot, Seated};
use crate::ring::Agreement;
use crate::store::Change;
use crate::time::Now;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is on disk, always together with the value that it follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    lineage: Lineage,
    seat: register::Seat<Bytes>,
}

/// An answer, or the higher ballot that was promised.
type Answered<T> = Result<T, Ballot>;

impl Seat {
    /// The seat that the directory remembers, or an empty one after the value at `index`.
    pub fn open(record: Option<Seat>, lineage: Lineage, index: Option<u64>) -> Seat {
        let next = index.map_or(0, |index| index + 1);
        record
            .filter(|seat| seat.lineage == lineage && seat.seat.instance() == next)
            .unwrap_or_else(|| Seat { lineage, seat: register::Seat::after(index.unwrap_or(0)) })
    }

    /// Begins a round of this node's own, above what was promised and what was heard of. See [`register::Seat::stand`].
    /// `None`: it is for another index, or the counters are used up.
    pub fn stand(
        &mut self,
        index: u64,
        node: NodeId,
        seen: Ballot,
    ) -> Option<(Ballot, Option<(Ballot, Bytes)>)> {
        (self.seat.instance() == index).then(|| self.seat.stand(node, seen)).flatten()
    }

    /// Promises, and tells what was accepted before. `None`: the question is for another index.
    pub fn prepare(
        &mut self,
        index: u64,
        ballot: Ballot,
    ) -> Option<Answered<Option<(Ballot, Bytes)>>> {
        match self.seat.prepare(index, ballot) {
            Seated::Here(Answer::Promise { accepted }) => Some(Ok(accepted)),
            Seated::Here(Answer::Refused { promised }) => Some(Err(promised)),
            Seated::Past | Seated::Ahead => None,
        }
    }

    /// Accepts. `None`: the question is for another index.
    pub fn accept(&mut self, index: u64, ballot: Ballot, value: Bytes) -> Option<Answered<()>> {
        match self.seat.accept(index, ballot, value) {
            Seated::Here(Acceptance::Accepted) => Some(Ok(())),
            Seated::Here(Acceptance::Refused { promised }) => Some(Err(promised)),
            Seated::Past | Seated::Ahead => None,
        }
    }

    /// The value at `index` is chosen.
    pub fn learn(&mut self, index: u64) {
        self.seat.learn(index);
    }

    /// The value that was accepted for this index, if any was.
    pub fn accepted(&self, index: u64) -> Option<Bytes> {
        let accepted = self.seat.acceptor().accepted()?;
        (self.seat.instance() == index).then(|| accepted.1.clone())
    }

    /// Whether a vote for this ballot is kept here.
    #[cfg(test)]
    pub fn remembers(&self, index: u64, counter: u64, accepted: bool) -> bool {
        let acceptor = self.seat.acceptor();
        let of = acceptor.accepted().map_or(0, |(ballot, _)| ballot.counter);
        let kept = if accepted { of } else { acceptor.promised().counter };
        let at = self.seat.instance();
        at > index || (at == index && kept >= counter)
    }

    /// The batch entry that keeps it.
    pub fn put(&self) -> Change {
        put("acceptor", self)
    }
}

impl Topology {
    /// One of the messages of the protocol.
    pub(super) fn handle_paxos(
        &mut self,
        now: Now,
        header: &Header,
        message: Control,
        outbox: &mut Outbox,
    ) {
        let from = header.sender;
        let index = match &message {
            Control::Prepare { index, .. }
            | Control::Promise { index, .. }
            | Control::Accept { index, .. }
            | Control::Accepted { index, .. }
            | Control::Conflict { index, .. }
            | Control::NotReady { index }
            | Control::Objection { index, .. } => *index,
            _ => return,
        };
        let is_question = matches!(message, Control::Prepare { .. } | Control::Accept { .. });
        if index <= self.index() {
            if is_question {
                self.send_agreement(from, outbox);
            }
            return;
        }
        if index > self.newest_index() + 1 {
            return self.fetch.want(from);
        }
        if index != self.index() + 1 || self.learned.is_some() {
            // Its value is chosen, and on its way to our disk: the answer will be that.
            return;
        }
        if self.lineage_of(from) != Some(header.lineage) || from == self.identity.id {
            return self.reject("fenced");
        }
        match message {
            Control::Prepare { ballot, .. } | Control::Accept { ballot, .. }
                if ballot.1 != from || ballot.0 == 0 =>
            {
                self.reject("junk");
            }
            Control::Prepare { .. } | Control::Accept { .. } if !self.may_vote() => {
                if let Some(to) = self.address(from) {
                    outbox.send_control(to, header.request, &Control::NotReady { index });
                }
            }
            // Here and not when it is to be accepted: what somebody has accepted must be carried on.
            Control::Prepare { ballot, without: Some(node), .. }
                if guard::holds(Guard::AliveIsNotRemoved) && self.is_live(node) =>
            {
                if let Some(to) = self.address(from) {
                    outbox.send_control(to, 0, &Control::Objection { index, ballot });
                }
            }
            Control::Prepare { ballot, .. } => {
                let Some(answer) = self.chain.seat.prepare(index, wire(ballot)) else { return };
                let answer = answer.map(|accepted| {
                    let accepted = accepted.map(|(b, value)| ((b.counter, b.node), value));
                    Control::Promise { index, ballot, accepted }
                });
                self.vote(from, index, ballot, answer, outbox);
            }
            Control::Accept { ballot, value, .. } => {
                if !self.is_successor(&value) {
                    return self.reject("agreement");
                }
                let Some(answer) = self.chain.seat.accept(index, wire(ballot), value) else {
                    return;
                };
                let answer = answer.map(|()| Control::Accepted { index, ballot });
                self.vote(from, index, ballot, answer, outbox);
            }
            answer => self.handle_vote(now, (from, header.lineage), index, answer, outbox),
        }
    }

    /// A vote leaves when it is on disk; a refusal gives nothing away, and leaves at once.
    fn vote(
        &mut self,
        to: NodeId,
        index: u64,
        ballot: (u64, NodeId),
        answer: Result<Control, Ballot>,
        outbox: &mut Outbox,
    ) {
        let address = self.address(to);
        match answer {
            Ok(message) => {
                outbox.persist(self.chain.seat.put());
                if let Some(to) = address {
                    outbox.when_durable(Release::Control { to, request: 0, message });
                }
            }
            Err(promised) => {
                let promised = (promised.counter, promised.node);
                if let Some(to) = address {
                    outbox.send_control(to, 0, &Control::Conflict { index, ballot, promised });
                }
            }
        }
    }

    /// Whether these bytes could be the next value of this cluster's chain.
    fn is_successor(&self, value: &[u8]) -> bool {
        let Some(installed) = &self.installed else { return false };
        Agreement::decode(value).is_ok_and(|next| installed.check_successor(&next).is_ok())
    }
}

pub(super) fn wire(ballot: (u64, NodeId)) -> Ballot {
    Ballot { counter: ballot.0, node: ballot.1 }
}
