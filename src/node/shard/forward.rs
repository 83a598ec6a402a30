//! Forwarding a put: a node that is neither owner nor first live fallback mints no dots for the key.
//!
//! A forward that stays unanswered goes to the next node with the same operation id, so a put that was
//! done twice is still one write.

use super::disk::disk_error;
use super::request::{Goes, Labels, Origin, Request, Work, value_bytes};
use super::{Shard, Turn};
use crate::coordinator::{Reach, Replicas};
use crate::error::Error;
use crate::id::{NodeId, PartitionId};
use crate::message::client::{Reply, Request as ClientRequest};
use crate::message::peer::{Data, Refusal};
use crate::quorum::Quorum;
use crate::time::{Duration, HybridTime};

/// A put on its way to somebody who may coordinate it.
#[derive(Debug)]
pub(super) struct ForwardWork {
    request: ClientRequest,
    partition: PartitionId,
    quorum: Quorum,
    /// Whom it may go to, in order.
    candidates: Vec<NodeId>,
    /// Who was asked and has not answered: each of them may have begun it.
    asked: Vec<NodeId>,
    /// What the last one said that could not begin it.
    said: Option<Error>,
}

impl ForwardWork {
    /// How many bytes the value has.
    pub fn bytes(&self) -> usize {
        value_bytes(&self.request)
    }

    /// Whether this node's answer is waited for.
    pub fn was_asked(&self, node: NodeId) -> bool {
        self.asked.contains(&node)
    }
}

impl Shard {
    /// Sends a put to whoever may coordinate it.
    #[expect(
        clippy::too_many_arguments,
        reason = "each of them is known to the caller, and none goes with another"
    )]
    pub(super) fn forward(
        &mut self,
        origin: Origin,
        labels: Option<Labels>,
        deadline: Duration,
        request: ClientRequest,
        partition: PartitionId,
        quorum: Quorum,
        replicas: &Replicas,
        turn: &mut Turn,
    ) {
        let me = self.view.me;
        let mut candidates: Vec<NodeId> =
            replicas.coordinator(me, quorum.strict).into_iter().collect();
        let fallbacks = if quorum.strict { &[][..] } else { &replicas.read.fallbacks[..] };
        for reach in [Reach::Up, Reach::Doubtful] {
            let more = replicas.read.owners.iter().chain(fallbacks).filter(|(_, r)| *r == reach);
            candidates.extend(more.map(|(node, _)| *node));
        }
        let mut seen = std::collections::BTreeSet::from([me]);
        candidates.retain(|node| seen.insert(*node));
        candidates.reverse();
        self.counters.forwards += 1;
        let id = self.requests.number();
        let asked = Vec::with_capacity(1);
        let work = ForwardWork { request, partition, quorum, candidates, asked, said: None };
        let mut request = self.begin(origin, labels, deadline, Work::Forward(Box::new(work)), turn);
        // The coordinator there may itself have to pass over a silent replica first.
        request.attempt = self.timing.attempt * 2;
        self.go_on(id, request, turn);
    }

    pub(super) fn step_forward(&mut self, id: u64, request: &mut Request, turn: &mut Turn) -> Goes {
        let Work::Forward(forward) = &mut request.work else { return Goes::Away };
        if !request.sent.is_empty() {
            return Goes::On;
        }
        let Some(next) = forward.candidates.pop() else {
            // Whoever was asked may still answer.
            if !forward.asked.is_empty() {
                return Goes::On;
            }
            let required = forward.quorum.required;
            let error = match (forward.said.take(), &self.disk) {
                (Some(said), _) => said,
                (None, Some(error)) => disk_error(error.clone()),
                (None, None) => Error::Unavailable { required, alive: 0 },
            };
            self.fail(request, error, turn);
            return Goes::Away;
        };
        forward.request.tried(self.clock.last().max(HybridTime::from_wall(turn.now.wall)));
        forward.asked.push(next);
        let (partition, message) = (forward.partition, Data::Forward(forward.request.clone()));
        self.ask(id, request, next, partition, &message, turn);
        Goes::On
    }

    /// The answer to a forwarded put. One that merely failed to begin over there may begin elsewhere; and
    /// while somebody else may have begun it, a failure is not the whole truth.
    pub(super) fn forwarded(
        &mut self,
        id: u64,
        mut request: Request,
        from: NodeId,
        reply: Reply,
        turn: &mut Turn,
    ) {
        let Work::Forward(forward) = &mut request.work else { return };
        forward.asked.retain(|asked| *asked != from);
        if let Reply::Failed(error) = &reply {
            let elsewhere = matches!(error, Error::Overloaded(_) | Error::DiskFull(_));
            let unknown = matches!(error, Error::OutcomeUnknown { .. });
            let next = elsewhere && !forward.candidates.is_empty();
            if next || (!unknown && !forward.asked.is_empty()) {
                forward.said = Some(error.clone());
                request.sent.retain(|sent| sent.to != from);
                return self.go_on(id, request, turn);
            }
        }
        self.drop_request(id);
        self.finish(&request, reply, turn);
    }

    /// Nobody over there took it on.
    pub(super) fn forward_refused(
        &mut self,
        id: u64,
        mut request: Request,
        from: NodeId,
        refusal: Refusal,
        turn: &mut Turn,
    ) {
        let Work::Forward(forward) = &mut request.work else { return };
        forward.asked.retain(|asked| *asked != from);
        if matches!(refusal, Refusal::Behind | Refusal::StaleEpoch) {
            // It was not taken on, and will be in a moment: not at once, or the two of them do nothing else.
            forward.candidates.insert(0, from);
            Shard::ask_later(&mut request, from, turn.now.instant);
        } else {
            request.sent.retain(|sent| sent.to != from);
        }
        self.go_on(id, request, turn);
    }

    pub(super) fn expire_forward(&mut self, request: &Request, turn: &mut Turn) {
        let Work::Forward(forward) = &request.work else { return };
        let required = forward.quorum.required;
        let error = match (forward.asked.is_empty(), &forward.said) {
            (false, _) => Error::OutcomeUnknown { required, received: 0 },
            (true, Some(said)) => said.clone(),
            (true, None) => Error::Unavailable { required, alive: 0 },
        };
        self.fail(request, error, turn);
    }
}
