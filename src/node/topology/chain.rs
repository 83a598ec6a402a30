//! The proposer: carries wishes into the chain, one value at a time.
//!
//! ```text
//!   wish ─► own promise durable ─► Prepare ─► majority promised ─► Accept ─► majority accepted: chosen
//!             ▲                                  │                    │
//!             └── pause, higher ballot ◄── conflict, or silence ──────┘        then installed, and spread
//! ```
//!
//! - A ballot is never used twice: our own acceptor promises it, durably, before anybody else hears of it,
//!   and a restart goes on above what our acceptor promised.
//! - A value that may have been chosen already (a promise tells of it) is carried on in place of our own:
//!   a proposer that dies stops nothing.
//! - Only members count, each with the lineage that the installed value names.
//! - A wish that lost is put to the newer value again until its time is up.

use super::acceptor::{Seat, wire};
use super::intent::{Intent, Standing};
use super::{Pending, Ticket, Topology};
use crate::error::Error;
use crate::id::{BucketId, NodeId};
use crate::message::client::{BucketChange, BucketSpec, RingChange};
use crate::message::peer::Control;
use crate::node::{Outbox, Release};
use crate::register::{AcceptorId, Ballot, Outcome, Proposer, Step, backoff};
use crate::ring::{Agreement, Change, Situation};
use crate::time::{Duration, Instant, Now};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How long one ballot may take before a higher one is tried.
const ROUND: Duration = Duration::from_millis(1_000);
/// How long a node that asked to join is worked for; it asks again by itself.
const ADMIT_TIME: Duration = Duration::from_secs(5);
/// How many wishes wait here; more are `overloaded`.
const WISHES_LIMIT: usize = 256;

/// The chain as one node takes part in it.
pub(super) struct Chain {
    pub seat: Seat,
    proposal: Option<Proposal>,
    wishes: VecDeque<Wish>,
    /// The highest ballot that was heard of for the next value.
    highest: Ballot,
    /// The index of the value that our own round got chosen, until the others are told.
    chose: Option<u64>,
    /// How many rounds were lost in a row.
    lost: u32,
    /// No round before this.
    retry_at: Instant,
}

struct Wish {
    intent: Intent,
    ticket: Option<Ticket>,
    deadline: Instant,
    /// A value with it was sent to be accepted: it may yet be chosen, whatever happens here.
    risked: bool,
}

/// One round under way for value `index`.
struct Proposal {
    index: u64,
    round: Proposer<Bytes>,
    until: Instant,
    /// Whose wish the round's own value fulfils.
    intent: Intent,
    own: Bytes,
    /// What our own acceptor had accepted before it promised.
    accepted: Option<(Ballot, Bytes)>,
    /// Who sees alive whom the value would leave without places.
    objectors: BTreeSet<NodeId>,
}

impl Chain {
    pub fn new(seat: Seat, now: Instant) -> Chain {
        Chain {
            seat,
            proposal: None,
            wishes: VecDeque::new(),
            highest: Ballot::default(),
            chose: None,
            lost: 0,
            retry_at: now,
        }
    }

    /// Another value is installed: what was heard of ballots was about an earlier one.
    pub fn forget_ballots(&mut self) {
        self.highest = Ballot::default();
    }
}

impl Topology {
    /// Asks the members to agree on a bucket. The outcome comes with [`poll_outcome`](Topology::poll_outcome):
    /// also fine when the bucket is there with these settings.
    pub fn create_bucket(&mut self, now: Now, spec: &BucketSpec, outbox: &mut Outbox) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let id = BucketId(self.rng.u64(1..));
        self.wish(now, Intent::Bucket { spec: spec.clone(), id }, Some(ticket), outbox);
        ticket
    }

    /// Asks the members to agree on other settings of a bucket. The outcome comes with
    /// [`poll_outcome`](Topology::poll_outcome).
    pub fn set_bucket(&mut self, now: Now, change: &BucketChange, outbox: &mut Outbox) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.wish(now, Intent::Settings(change.clone()), Some(ticket), outbox);
        ticket
    }

    /// Asks the members to agree that a bucket is to be no more. The outcome comes with
    /// [`poll_outcome`](Topology::poll_outcome).
    pub fn drop_bucket(
        &mut self,
        now: Now,
        name: &str,
        id: BucketId,
        outbox: &mut Outbox,
    ) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.wish(now, Intent::Drop { name: name.to_owned(), id }, Some(ticket), outbox);
        ticket
    }

    /// Asks the members to agree on a change of owners, or on its end. The outcome comes with
    /// [`poll_outcome`](Topology::poll_outcome): that it has begun, not that it is through.
    pub fn change_ring(&mut self, now: Now, wish: &RingChange, outbox: &mut Outbox) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        if let RingChange::ForceSurvivors { names, cluster, index } = wish {
            self.survive(now, ticket, (names, cluster, *index), outbox);
            return ticket;
        }
        match self.ring_change(wish) {
            Ok(change) => self.wish(now, Intent::Ring(change), Some(ticket), outbox),
            Err(error) => self.outcomes.push_back((ticket, Err(error))),
        }
        ticket
    }

    /// The change that a user means.
    pub fn ring_change(&self, wish: &RingChange) -> Result<Change, Error> {
        let Some(agreement) = &self.installed else {
            return Err(Error::Unavailable { required: 1, alive: 0 });
        };
        let layout = &agreement.layout;
        let id = |name: &str| {
            let member = layout.member_named(name).map(|member| member.id);
            member.ok_or_else(|| Error::NotFound(format!("no member is named {name}")))
        };
        Ok(match wish {
            RingChange::Rebalance => Change::Rebalance,
            RingChange::Leave(name) => Change::Leave(id(name)?),
            RingChange::Remove(name) => Change::Remove(id(name)?),
            RingChange::Replace { old, new } => {
                let (old, new) = (id(old)?, id(new)?);
                // Nobody waits for what a dead one could still give away.
                Change::Replace { old, new, gone: !self.is_live(old) }
            }
            RingChange::Place { name, zone, weight } => {
                let id = id(name)?;
                let now = layout.member(id).map(|m| (m.zone.clone(), m.weight)).unwrap_or_default();
                let (zone, weight) = (zone.clone().unwrap_or(now.0), weight.unwrap_or(now.1));
                Change::Place { id, zone, weight }
            }
            RingChange::ForceSurvivors { .. } => {
                return Err(Error::Invalid("nothing moves when survivors go on".into()));
            }
            RingChange::Commit => Change::Release,
            RingChange::Abort => match &layout.transition {
                Some(transition) => Change::Abort { since: transition.since },
                None => return Err(Error::Invalid("no change of owners is under way".into())),
            },
        })
    }

    /// Takes up a wish.
    pub(super) fn wish(
        &mut self,
        now: Now,
        intent: Intent,
        ticket: Option<Ticket>,
        outbox: &mut Outbox,
    ) {
        if ticket.is_none() && self.chain.wishes.iter().any(|wish| wish.intent == intent) {
            return;
        }
        let time = if ticket.is_some() { self.config.timing.request } else { ADMIT_TIME };
        let wish = Wish { intent, ticket, deadline: now.instant + time, risked: false };
        if self.chain.wishes.len() >= WISHES_LIMIT {
            let why = Error::Overloaded("too many changes of the cluster wait".into());
            return self.end_wish(&wish, Err(why), outbox);
        }
        if !self.may_vote() {
            let why = Error::Unavailable { required: self.majority(), alive: 0 };
            return self.end_wish(&wish, Err(why), outbox);
        }
        self.chain.wishes.push_back(wish);
        self.advance_chain(now, outbox);
    }

    /// Something changed: what is fulfilled ends, what is open is proposed.
    pub(super) fn advance_chain(&mut self, now: Now, outbox: &mut Outbox) {
        let index = self.index();
        if self.chain.chose.take_if(|chose| *chose <= index).is_some() {
            self.spread(outbox);
        }
        if self.chain.proposal.as_ref().is_some_and(|proposal| proposal.index <= index) {
            self.chain.proposal = None;
            self.chain.lost = 0;
            self.chain.retry_at = now.instant;
        }
        self.settle(now, outbox);
        let idle = self.chain.proposal.is_none() && self.learned.is_none();
        let open = !self.chain.wishes.is_empty() && now.instant >= self.chain.retry_at;
        if idle && open && self.may_vote() {
            self.propose(now, outbox);
        }
    }

    /// Ends the wishes that the installed value fulfils or makes impossible, and those whose time is up.
    fn settle(&mut self, now: Now, outbox: &mut Outbox) {
        let Some(agreement) = self.installed.clone() else { return };
        let mut open = VecDeque::new();
        for wish in std::mem::take(&mut self.chain.wishes) {
            match wish.intent.standing(&agreement, &self.situation_for(&wish.intent)) {
                Standing::Done => self.end_wish(&wish, Ok(()), outbox),
                Standing::Void(why) => self.end_wish(&wish, Err(why), outbox),
                Standing::Open(_) if now.instant >= wish.deadline => {
                    let why = self.out_of_time(wish.risked);
                    self.end_wish(&wish, Err(why), outbox);
                }
                Standing::Open(_) => match self.objection(&wish.intent) {
                    Some(why) => self.end_wish(&wish, Err(why), outbox),
                    None => open.push_back(wish),
                },
            }
        }
        self.chain.wishes = open;
    }

    fn objection(&self, intent: &Intent) -> Option<Error> {
        match intent {
            Intent::Admit { joiner, .. } => self.objection_to(joiner).map(Error::Forbidden),
            // A node that is there can leave in good order.
            Intent::Ring(_) => {
                let node = intent.without().filter(|node| self.is_live(*node))?;
                Some(self.is_alive(node, &BTreeSet::from([self.identity.id])))
            }
            Intent::Bucket { .. }
            | Intent::Settings(_)
            | Intent::Drop { .. }
            | Intent::Finish(_) => None,
        }
    }

    /// A node is not gone, as these see it.
    fn is_alive(&self, node: NodeId, witnesses: &BTreeSet<NodeId>) -> Error {
        let layout = self.installed.as_ref().map(|agreement| &agreement.layout);
        let name = |id: &NodeId| {
            let member = layout.and_then(|layout| layout.member(*id));
            member.map_or_else(|| id.to_string(), |member| member.name.clone())
        };
        let by: Vec<String> = witnesses.iter().map(name).collect();
        Error::Invalid(format!(
            "{} is alive for {}: let it leave, or stop it first",
            name(&node),
            by.join(", ")
        ))
    }

    /// What matters to a wish of the moment: who is there.
    fn situation_for(&self, intent: &Intent) -> Situation {
        match intent {
            Intent::Ring(_) => self.situation(),
            Intent::Admit { .. }
            | Intent::Bucket { .. }
            | Intent::Settings(_)
            | Intent::Drop { .. }
            | Intent::Finish(_) => Situation::default(),
        }
    }

    fn out_of_time(&self, risked: bool) -> Error {
        let required = self.majority();
        let live = |id: &NodeId| {
            self.swim.as_ref().and_then(|s| s.member(*id)).is_some_and(|m| m.state.is_live())
        };
        let alive = 1 + self.others.iter().filter(|id| live(id)).count();
        if risked {
            Error::OutcomeUnknown { required, received: 1 }
        } else {
            Error::Unavailable { required, alive }
        }
    }

    fn end_wish(&mut self, wish: &Wish, outcome: Result<(), Error>, outbox: &mut Outbox) {
        if let (Intent::Admit { joiner, .. }, Err(why)) = (&wish.intent, &outcome) {
            self.turn_away(joiner, why.to_string(), outbox);
        }
        if let Some(ticket) = wish.ticket {
            self.outcomes.push_back((ticket, outcome));
        }
    }

    fn majority(&self) -> usize {
        self.installed.as_ref().map_or(1, |agreement| agreement.majority())
    }

    /// Begins a round for the first wish: our own acceptor promises first.
    fn propose(&mut self, now: Now, outbox: &mut Outbox) {
        let (Some(agreement), Some(wish)) = (self.installed.clone(), self.chain.wishes.front())
        else {
            return;
        };
        let intent = wish.intent.clone();
        let situation = self.situation_for(&intent);
        let Standing::Open(next) = intent.standing(&agreement, &situation) else { return };
        let index = next.index;
        let own = Bytes::from(next.encode());
        let seen = self.chain.highest;
        let stand = self.chain.seat.stand(index, self.identity.id, seen);
        let Some((ballot, accepted)) = stand else { return };
        outbox.persist(self.chain.seat.put());
        let ticket = self.ticket(Pending::Promised(ballot));
        outbox.when_durable(Release::Installed { ticket });
        let round = Proposer::new(ballot, agreement.acceptors(), own.clone());
        let until = now.instant + ROUND;
        let objectors = BTreeSet::new();
        self.chain.proposal =
            Some(Proposal { index, round, until, intent, own, accepted, objectors });
    }

    /// Our own promise is durable: now the others may hear of the ballot.
    pub(super) fn self_promised(&mut self, now: Now, ballot: Ballot, outbox: &mut Outbox) {
        let me = (self.identity.id, self.identity.lineage);
        let Some(proposal) = self.current(ballot) else { return };
        let index = proposal.index;
        let earlier = proposal.accepted.take();
        let without = proposal.intent.without();
        let message = Control::Prepare { index, ballot: (ballot.counter, ballot.node), without };
        self.tell_others(&message, outbox);
        if let Some(proposal) = self.current(ballot) {
            let step = proposal.round.promise(me, ballot, earlier);
            self.take_step(now, step, outbox);
        }
    }

    /// Our own acceptance is durable.
    pub(super) fn self_accepted(&mut self, now: Now, ballot: Ballot, outbox: &mut Outbox) {
        let me = (self.identity.id, self.identity.lineage);
        if let Some(proposal) = self.current(ballot) {
            let step = proposal.round.accepted(me, ballot);
            self.take_step(now, step, outbox);
        }
    }

    /// The round under way, if it is this one and its value is not chosen yet.
    fn current(&mut self, ballot: Ballot) -> Option<&mut Proposal> {
        let next = self.newest_index() + 1;
        let proposal = self.chain.proposal.as_mut()?;
        (proposal.round.ballot() == ballot && proposal.index == next).then_some(proposal)
    }

    /// A member's answer to our round. It is known to speak for a life that the value names.
    pub(super) fn handle_vote(
        &mut self,
        now: Now,
        from: AcceptorId,
        index: u64,
        message: Control,
        outbox: &mut Outbox,
    ) {
        let Some(ballot) = self.chain.proposal.as_ref().map(|p| p.round.ballot()) else { return };
        let Some(proposal) = self.current(ballot).filter(|p| p.index == index) else { return };
        let round = &mut proposal.round;
        let step = match message {
            Control::Promise { ballot, accepted, .. } => {
                let accepted = accepted.map(|(b, value)| (wire(b), value));
                round.promise(from, wire(ballot), accepted)
            }
            Control::Accepted { ballot, .. } => round.accepted(from, wire(ballot)),
            Control::Conflict { ballot, promised, .. } => {
                round.refused(from, wire(ballot), wire(promised))
            }
            Control::NotReady { .. } => round.declined(from, ballot),
            Control::Objection { ballot, .. } => {
                proposal.objectors.insert(from.0);
                round.declined(from, wire(ballot))
            }
            _ => return,
        };
        self.take_step(now, step, outbox);
    }

    fn take_step(&mut self, now: Now, step: Step<Bytes>, outbox: &mut Outbox) {
        match step {
            Step::Wait => {}
            Step::Accept(value) => self.ask_to_accept(now, value, outbox),
            Step::Done(Outcome::Chosen(value) | Outcome::ChosenOther(value)) => {
                self.chain.chose = self.chain.proposal.as_ref().map(|proposal| proposal.index);
                match Agreement::decode(&value) {
                    Ok(agreement) => self.learn(now, Arc::new(agreement), outbox),
                    // The acceptors check what they accept, so this is a newer version's value.
                    Err(_) => self.reject("agreement"),
                }
            }
            Step::Done(Outcome::Contended { above }) => self.lose(now, above, outbox),
            Step::Done(Outcome::Unreachable { .. }) => self.lose(now, Ballot::default(), outbox),
        }
    }

    fn ask_to_accept(&mut self, now: Now, value: Bytes, outbox: &mut Outbox) {
        let me = (self.identity.id, self.identity.lineage);
        let Some(proposal) = &mut self.chain.proposal else { return };
        let (index, ballot) = (proposal.index, proposal.round.ballot());
        proposal.until = now.instant + ROUND;
        if value == proposal.own {
            let intent = &proposal.intent;
            let wish = self.chain.wishes.iter_mut().find(|wish| wish.intent == *intent);
            wish.into_iter().for_each(|wish| wish.risked = true);
        }
        let message =
            Control::Accept { index, ballot: (ballot.counter, ballot.node), value: value.clone() };
        self.tell_others(&message, outbox);
        match self.chain.seat.accept(index, ballot, value) {
            Some(Ok(())) => {
                outbox.persist(self.chain.seat.put());
                let ticket = self.ticket(Pending::Accepted(ballot));
                outbox.when_durable(Release::Installed { ticket });
            }
            // Somebody's higher ballot came in between. The others' votes may still suffice.
            Some(Err(promised)) => {
                if let Some(proposal) = self.current(ballot) {
                    let step = proposal.round.refused(me, ballot, promised);
                    self.take_step(now, step, outbox);
                }
            }
            None => {}
        }
    }

    /// The round is over without a value: pause, so that one of several proposers gets through.
    fn lose(&mut self, now: Now, above: Ballot, outbox: &mut Outbox) {
        if let Some(lost) = self.chain.proposal.take()
            && let Some(node) = lost.intent.without().filter(|_| !lost.objectors.is_empty())
        {
            let why = self.is_alive(node, &lost.objectors);
            let all = std::mem::take(&mut self.chain.wishes);
            let (ends, stay): (VecDeque<Wish>, VecDeque<Wish>) =
                all.into_iter().partition(|wish| wish.intent == lost.intent);
            self.chain.wishes = stay;
            ends.iter().for_each(|wish| self.end_wish(wish, Err(why.clone()), outbox));
        }
        self.chain.highest = self.chain.highest.max(above);
        self.chain.retry_at = now.instant + backoff(&mut self.rng, self.chain.lost);
        self.chain.lost += 1;
    }

    pub(super) fn chain_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        let late = |proposal: &Proposal| now.instant >= proposal.until;
        if self.learned.is_none() && self.chain.proposal.as_ref().is_some_and(late) {
            let above = match self.chain.proposal.as_mut().map(|p| p.round.give_up()) {
                Some(Outcome::Contended { above }) => above,
                _ => Ballot::default(),
            };
            self.lose(now, above, outbox);
        }
        let due = self.chain.wishes.iter().any(|wish| now.instant >= wish.deadline);
        if due || (self.chain.proposal.is_none() && now.instant >= self.chain.retry_at) {
            self.advance_chain(now, outbox);
        }
    }

    pub(super) fn poll_chain_timeout(&self) -> Option<Instant> {
        let chain = &self.chain;
        let round = chain.proposal.as_ref().map(|proposal| proposal.until);
        let round = round.filter(|_| self.learned.is_none());
        let deadline = chain.wishes.iter().map(|wish| wish.deadline).min();
        let idle = chain.proposal.is_none() && self.learned.is_none() && self.may_vote();
        let retry = (idle && !chain.wishes.is_empty()).then_some(chain.retry_at);
        [round, deadline, retry].into_iter().flatten().min()
    }

    fn tell_others(&self, message: &Control, outbox: &mut Outbox) {
        for node in &self.others {
            if let Some(to) = self.address(*node) {
                outbox.send_control(to, 0, message);
            }
        }
    }
}
