//! A scheduler that does its worst: messages are lost, repeated and reordered, acceptors and proposers die
//! and come back. Whatever it does, at most one value is ever chosen; and when it stops, one is.
//!
//! The judge keeps its own book, independent of the proposers: a value is chosen once a majority has
//! *ever* durably accepted it under one ballot.

use super::*;
use crate::id::{Lineage, NodeId};
use std::collections::{BTreeMap, BTreeSet};

type Value = u64;

#[derive(Clone, Debug)]
enum Message {
    Prepare { acceptor: usize, ballot: Ballot },
    Promise { acceptor: usize, ballot: Ballot, accepted: Option<(Ballot, Value)> },
    Accept { acceptor: usize, ballot: Ballot, value: Value },
    Accepted { acceptor: usize, ballot: Ballot },
    Refused { acceptor: usize, ballot: Ballot, promised: Ballot },
}

/// What is taken away from the protocol, to see that the test notices.
#[derive(Clone, Copy, PartialEq)]
enum Guard {
    AllIntact,
    /// Acceptors come back with an empty memory.
    Forgetful,
    /// Acceptors come back empty, as another life that nobody asks.
    ForgetfulWithNewLineage,
    /// Proposers come back and use their old ballots again.
    ForgetfulProposers,
}

struct World {
    rng: fastrand::Rng,
    guard: Guard,
    acceptors: Vec<Acceptor<Value>>,
    lineages: Vec<Lineage>,
    members: BTreeSet<AcceptorId>,
    proposers: Vec<Option<Proposer<Value>>>,
    seen: Vec<Ballot>,
    wire: Vec<Message>,
    book: BTreeMap<(Ballot, Value), BTreeSet<usize>>,
    outcomes: BTreeSet<Value>,
}

impl World {
    fn new(seed: u64, acceptors: usize, proposers: usize, guard: Guard) -> World {
        let id = |at: usize| (NodeId(at as u64), Lineage(at as u64));
        World {
            rng: fastrand::Rng::with_seed(seed),
            guard,
            acceptors: vec![Acceptor::new(); acceptors],
            lineages: (0..acceptors).map(|at| id(at).1).collect(),
            members: (0..acceptors).map(id).collect(),
            proposers: vec![None; proposers],
            seen: vec![Ballot::default(); proposers],
            wire: Vec::new(),
            book: BTreeMap::new(),
            outcomes: BTreeSet::new(),
        }
    }

    fn id(&self, acceptor: usize) -> AcceptorId {
        (NodeId(acceptor as u64), self.lineages[acceptor])
    }

    fn begin(&mut self, at: usize) {
        let ballot = self.seen[at].above(NodeId(at as u64)).expect("counters last");
        self.seen[at] = ballot;
        // Each round wants something else: a ballot used twice would show.
        let own = at as u64 * 1_000_000 + self.rng.u64(..1_000_000);
        self.proposers[at] = Some(Proposer::new(ballot, self.members.clone(), own));
        for acceptor in 0..self.acceptors.len() {
            self.wire.push(Message::Prepare { acceptor, ballot });
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Prepare { acceptor, ballot } => {
                let answer = match self.acceptors[acceptor].prepare(ballot) {
                    Answer::Promise { accepted } => Message::Promise { acceptor, ballot, accepted },
                    Answer::Refused { promised } => Message::Refused { acceptor, ballot, promised },
                };
                self.wire.push(answer);
            }
            Message::Accept { acceptor, ballot, value } => {
                let answer = match self.acceptors[acceptor].accept(ballot, value) {
                    Acceptance::Accepted => {
                        if self.members.contains(&self.id(acceptor)) {
                            self.book.entry((ballot, value)).or_default().insert(acceptor);
                        }
                        Message::Accepted { acceptor, ballot }
                    }
                    Acceptance::Refused { promised } => {
                        Message::Refused { acceptor, ballot, promised }
                    }
                };
                self.wire.push(answer);
            }
            Message::Promise { acceptor, ballot, accepted } => {
                let from = self.id(acceptor);
                self.tell(ballot, |proposer| proposer.promise(from, ballot, accepted));
            }
            Message::Accepted { acceptor, ballot } => {
                let from = self.id(acceptor);
                self.tell(ballot, |proposer| proposer.accepted(from, ballot));
            }
            Message::Refused { acceptor, ballot, promised } => {
                let from = self.id(acceptor);
                self.tell(ballot, |proposer| proposer.refused(from, ballot, promised));
            }
        }
    }

    fn tell(&mut self, ballot: Ballot, answer: impl FnOnce(&mut Proposer<Value>) -> Step<Value>) {
        let at = ballot.node.0 as usize;
        let Some(proposer) = &mut self.proposers[at] else { return };
        let current = proposer.ballot();
        match answer(proposer) {
            Step::Wait => {}
            Step::Accept(value) => {
                for acceptor in 0..self.acceptors.len() {
                    self.wire.push(Message::Accept { acceptor, ballot: current, value });
                }
            }
            Step::Done(outcome) => {
                self.proposers[at] = None;
                match outcome {
                    Outcome::Chosen(value) | Outcome::ChosenOther(value) => {
                        self.outcomes.insert(value);
                    }
                    Outcome::Contended { above } => self.seen[at] = self.seen[at].max(above),
                    Outcome::Unreachable { .. } => {}
                }
            }
        }
    }

    fn turn(&mut self) {
        match self.rng.u32(0..100) {
            0..6 => {
                let at = self.rng.usize(..self.proposers.len());
                self.begin(at);
            }
            // A proposer dies. Its ballots are durable.
            6..9 => {
                let at = self.rng.usize(..self.proposers.len());
                self.proposers[at] = None;
                if self.guard == Guard::ForgetfulProposers {
                    self.seen[at] = Ballot::default();
                    self.begin(at);
                }
            }
            9..12 => self.crash_acceptor(),
            _ if self.wire.is_empty() => {}
            fate => {
                let at = self.rng.usize(..self.wire.len());
                let message = match fate {
                    12..22 => self.wire[at].clone(),
                    _ => self.wire.swap_remove(at),
                };
                if !(22..34).contains(&fate) {
                    self.deliver(message);
                }
            }
        }
    }

    fn crash_acceptor(&mut self) {
        let at = self.rng.usize(..self.acceptors.len());
        if matches!(self.guard, Guard::AllIntact | Guard::ForgetfulProposers) {
            // What is durable comes back as it was written.
            let disk = rmp_serde::to_vec(&self.acceptors[at]).expect("a state");
            self.acceptors[at] = rmp_serde::from_slice(&disk).expect("the same state");
            return;
        }
        self.acceptors[at] = Acceptor::new();
        if self.guard == Guard::ForgetfulWithNewLineage {
            self.lineages[at] = Lineage(self.rng.u64(1_000..));
        }
    }

    /// Values that a majority durably accepted under one ballot, and whatever a proposer called chosen.
    fn chosen(&self) -> BTreeSet<Value> {
        let majority = self.acceptors.len() / 2 + 1;
        let by_book = self.book.iter().filter(|(_, who)| who.len() >= majority);
        by_book.map(|((_, value), _)| *value).chain(self.outcomes.iter().copied()).collect()
    }

    fn run(seed: u64, guard: Guard) -> World {
        let mut world = World::new(seed, if seed.is_multiple_of(2) { 3 } else { 5 }, 3, guard);
        for _ in 0..150 {
            world.turn();
        }
        world
    }
}

fn forks(guard: Guard, seeds: u64) -> bool {
    (0..seeds).any(|seed| World::run(seed, guard).chosen().len() > 1)
}

#[test]
fn at_most_one_value_is_ever_chosen() {
    let mut decided = 0;
    for seed in 0..12_000 {
        let world = World::run(seed, Guard::AllIntact);
        let chosen = world.chosen();
        assert!(chosen.len() <= 1, "seed {seed}: {chosen:?}");
        decided += chosen.len();
    }
    assert!(decided > 4_000, "the schedules are too rough to prove anything: {decided}");
}

#[test]
fn an_acceptor_that_forgets_breaks_everything() {
    assert!(forks(Guard::Forgetful, 4_000));
}

#[test]
fn an_acceptor_that_forgets_and_comes_back_as_another_life_breaks_nothing() {
    assert!(!forks(Guard::ForgetfulWithNewLineage, 4_000));
}

#[test]
fn a_proposer_that_uses_a_ballot_twice_breaks_everything() {
    assert!(forks(Guard::ForgetfulProposers, 20_000));
}

#[test]
fn when_the_storm_is_over_one_round_after_another_chooses_the_value() {
    for seed in 0..500 {
        let mut world = World::run(seed, Guard::AllIntact);
        world.proposers.fill(None);
        world.wire.clear();
        for _ in 0..60 {
            if !world.outcomes.is_empty() {
                break;
            }
            // A round that met higher ballots knows them from the refusals, and goes above.
            world.begin(0);
            while let Some(message) = world.wire.pop() {
                world.deliver(message);
            }
            if let Some(mut proposer) = world.proposers[0].take()
                && let Outcome::Contended { above } = proposer.give_up()
            {
                world.seen[0] = above;
            }
        }
        assert_eq!(world.outcomes.len(), 1, "seed {seed}");
        assert_eq!(world.chosen(), world.outcomes, "seed {seed}");
    }
}
