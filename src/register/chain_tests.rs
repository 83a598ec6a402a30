//! The chain of agreements, driven by the register between nodes that can be cut off, wiped and restarted.

use super::*;
use crate::id::{BucketId, ClusterId, Lineage, NodeId};
use crate::ring::{
    Agreement, BucketSettings, Change, Member, Partitions, Refusal, Secret, Successor,
};
use std::collections::{BTreeMap, BTreeSet};

struct Node {
    lineage: Lineage,
    known: Agreement,
    seat: Seat<Agreement>,
}

/// Nodes and who hears whom. A round is driven to its end before the next message, which is enough here:
/// `schedule_tests` has the interleavings.
struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    /// Everything that was ever chosen, by index: the judge.
    chosen: BTreeMap<u64, Agreement>,
    /// Pairs that do not hear each other.
    cut: BTreeSet<(NodeId, NodeId)>,
}

fn member(id: u64, lineage: u64) -> Member {
    let name = format!("n{id}");
    let (id, lineage) = (NodeId(id), Lineage(lineage));
    Member { id, lineage, name, zone: String::new(), weight: 1 }
}

impl Cluster {
    fn founded() -> Cluster {
        let partitions = Partitions::new(16).expect("a power of two");
        let founder = member(1, 101);
        let first = Agreement::found(ClusterId(1), Secret([1; 32]), 3, partitions, founder);
        let first = first.expect("valid");
        let node = Node { lineage: Lineage(101), known: first.clone(), seat: Seat::after(0) };
        Cluster {
            nodes: BTreeMap::from([(NodeId(1), node)]),
            chosen: BTreeMap::from([(0, first)]),
            cut: BTreeSet::new(),
        }
    }

    fn of(count: u64) -> Cluster {
        let mut cluster = Cluster::founded();
        for id in 2..=count {
            cluster.join(1, member(id, 100 + id)).expect("all are there");
        }
        cluster
    }

    fn hears(&self, a: NodeId, b: NodeId) -> bool {
        a == b || !(self.cut.contains(&(a, b)) || self.cut.contains(&(b, a)))
    }

    fn partition(&mut self, one: &[u64], other: &[u64]) {
        for &a in one {
            self.cut.extend(other.iter().map(|&b| (NodeId(a), NodeId(b))));
        }
    }

    fn knows(&self, id: u64) -> &Agreement {
        &self.nodes[&NodeId(id)].known
    }

    /// `to` learns what `from` knows, if it is newer.
    fn learn(&mut self, to: NodeId, agreement: &Agreement) {
        let Some(node) = self.nodes.get_mut(&to) else { return };
        let bytes = agreement.encode();
        let heard = Agreement::decode(&bytes).expect("what was chosen is valid");
        if node.known.is_superseded_by(&heard) == Ok(true) {
            node.seat.learn(heard.index);
            node.known = heard;
        }
    }

    fn join(&mut self, through: u64, joiner: Member) -> Result<(), Box<Outcome<Agreement>>> {
        let change = Change::Join(joiner.clone());
        self.carry_out(through, &change)?;
        // Let in, it fetches the newest value and takes its seat behind it.
        let known = self.knows(through).clone();
        let id = known.layout.member_named(&joiner.name).expect("it was let in").id;
        let node = Node { lineage: joiner.lineage, seat: Seat::after(known.index), known };
        self.nodes.insert(id, node);
        Ok(())
    }

    /// A member carries out a change: rounds until it is so, or until too few answer.
    fn carry_out(&mut self, at: u64, change: &Change) -> Result<(), Box<Outcome<Agreement>>> {
        let at = NodeId(at);
        let mut seen = Ballot::default();
        for _ in 0..50 {
            let known = self.nodes[&at].known.clone();
            let next = match known.apply(change).expect("no change of these tests is refused") {
                Successor::AlreadySo => return Ok(()),
                Successor::Next(next) => *next,
            };
            let node = self.nodes.get_mut(&at).expect("it exists");
            if !known.layout.admits(at, node.lineage) {
                return Err(Box::new(Outcome::Unreachable { answered: 0, required: 1 }));
            }
            let (ballot, accepted) = node.seat.stand(at, seen).expect("counters last");
            match self.round(at, ballot, accepted, &known, next) {
                None => {}
                Some(Outcome::Contended { above }) => seen = above,
                Some(Outcome::Chosen(value) | Outcome::ChosenOther(value)) => {
                    let before = self.chosen.insert(value.index, value.clone());
                    assert!(before.is_none_or(|before| before == value), "the chain forked");
                    for id in self.nodes.keys().copied().collect::<Vec<_>>() {
                        if self.hears(at, id) {
                            self.learn(id, &value);
                        }
                    }
                    seen = Ballot::default();
                }
                Some(unreachable) => return Err(Box::new(unreachable)),
            }
        }
        panic!("a proposer alone gets there");
    }

    /// One round. `None` if somebody knew better and told us.
    fn round(
        &mut self,
        at: NodeId,
        ballot: Ballot,
        accepted: Option<(Ballot, Agreement)>,
        known: &Agreement,
        next: Agreement,
    ) -> Option<Outcome<Agreement>> {
        let instance = next.index;
        let mut proposer = Proposer::new(ballot, known.acceptors(), next);
        let mut proposal = match proposer.promise((at, self.nodes[&at].lineage), ballot, accepted) {
            Step::Accept(value) => Some(value),
            _ => None,
        };
        let everybody: Vec<NodeId> = self.nodes.keys().copied().collect();
        let heard: Vec<NodeId> = everybody.into_iter().filter(|&id| self.hears(at, id)).collect();
        for &id in heard.iter().filter(|&&id| id != at) {
            // Who is behind is told the newest value with the question.
            self.learn(id, known);
            let node = self.nodes.get_mut(&id).expect("it exists");
            let from = (id, node.lineage);
            let step = match node.seat.prepare(instance, ballot) {
                Seated::Here(Answer::Promise { accepted }) => {
                    proposer.promise(from, ballot, accepted)
                }
                Seated::Here(Answer::Refused { promised }) => {
                    proposer.refused(from, ballot, promised)
                }
                Seated::Past => {
                    let newer = node.known.clone();
                    self.learn(at, &newer);
                    return None;
                }
                Seated::Ahead => panic!("it has just learnt the value before"),
            };
            match step {
                Step::Accept(value) => proposal = Some(value),
                Step::Done(outcome) => return Some(outcome),
                Step::Wait => {}
            }
        }
        let Some(value) = proposal else { return Some(proposer.give_up()) };
        for id in heard {
            let node = self.nodes.get_mut(&id).expect("it exists");
            let from = (id, node.lineage);
            if node.known.index + 1 == instance && node.known.check_successor(&value).is_err() {
                continue;
            }
            let step = match node.seat.accept(instance, ballot, value.clone()) {
                Seated::Here(Acceptance::Accepted) => proposer.accepted(from, ballot),
                Seated::Here(Acceptance::Refused { promised }) => {
                    proposer.refused(from, ballot, promised)
                }
                Seated::Past | Seated::Ahead => proposer.declined(from, ballot),
            };
            if let Step::Done(outcome) = step {
                return Some(outcome);
            }
        }
        Some(proposer.give_up())
    }

    /// Everybody who hears another hears its newest value.
    fn gossip(&mut self) {
        let everybody: Vec<NodeId> = self.nodes.keys().copied().collect();
        for &from in &everybody {
            for &to in &everybody {
                if self.hears(from, to) {
                    let known = self.nodes[&from].known.clone();
                    self.learn(to, &known);
                }
            }
        }
    }
}

fn names(agreement: &Agreement) -> Vec<&str> {
    let mut names: Vec<&str> = agreement.layout.members.iter().map(|m| m.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn two_joins_across_a_partition_give_one_layout() {
    let mut cluster = Cluster::of(3);
    cluster.partition(&[1, 2, 4], &[3, 5]);
    // n4 asks n1, n5 asks n3, at one time. n3 reaches no majority of {1, 2, 3}.
    cluster.join(1, member(4, 104)).expect("n1 and n2 are a majority");
    let alone = cluster.join(3, member(5, 105));
    assert_eq!(alone, Err(Box::new(Outcome::Unreachable { answered: 1, required: 2 })));
    cluster.cut.clear();
    // n3 tries again: it learns what was chosen without it, and applies its wish to that.
    cluster.join(3, member(5, 105)).expect("healed");
    cluster.gossip();
    for id in 1..=5 {
        assert_eq!(names(cluster.knows(id)), ["n1", "n2", "n3", "n4", "n5"]);
        assert_eq!(cluster.knows(id), cluster.knows(1));
    }
    assert_eq!(cluster.knows(1).index, 4);
}

#[test]
fn a_join_that_was_accepted_by_one_and_then_met_by_another_proposer_is_completed() {
    let mut cluster = Cluster::of(3);
    let known = cluster.knows(1).clone();
    let wish = |id| Change::Join(member(id, 100 + id));
    let Ok(Successor::Next(four)) = known.apply(&wish(4)) else { panic!("n4 may join") };
    // n1's accept reached n2 alone, and n1 died.
    let node = cluster.nodes.get_mut(&NodeId(2)).expect("it exists");
    let ballot = Ballot { counter: 1, node: NodeId(1) };
    assert!(matches!(node.seat.prepare(3, ballot), Seated::Here(Answer::Promise { .. })));
    assert_eq!(node.seat.accept(3, ballot, (*four).clone()), Seated::Here(Acceptance::Accepted));
    cluster.partition(&[1], &[2, 3]);
    let joined = cluster.join(3, member(5, 105));
    assert_eq!(cluster.chosen[&3], *four, "index 3 is what n2 had accepted");
    let unreachable = Box::new(Outcome::Unreachable { answered: 2, required: 3 });
    assert_eq!(joined, Err(unreachable), "of four, now");
    cluster.cut.clear();
    cluster.join(3, member(5, 105)).expect("n1 is back");
    assert_eq!(names(&cluster.chosen[&4]), ["n1", "n2", "n3", "n4", "n5"]);
}

/// SCHEDULES 28: A and B agree on the next layout while C is cut off; B is wiped and comes back; B and C
/// would agree on another. Impossible: the new B is no acceptor before a value chosen without it names it.
#[test]
fn story_28_a_wiped_member_cannot_fork_the_layout() {
    let mut cluster = Cluster::of(3);
    cluster.partition(&[1, 2, 4], &[3]);
    cluster.join(1, member(4, 104)).expect("A and B are a majority");
    // B is wiped. It comes back empty, with a new lineage, and hears C, who knows only the old layout.
    let old = cluster.knows(3).clone();
    assert_eq!(old.index, 2);
    let wiped = Node { lineage: Lineage(202), known: old.clone(), seat: Seat::after(old.index) };
    cluster.nodes.insert(NodeId(2), wiped);
    cluster.cut.clear();
    cluster.partition(&[1, 4], &[2, 3]);
    let unreachable = Box::new(Outcome::Unreachable { answered: 1, required: 2 });
    let other = cluster.carry_out(3, &Change::Join(member(5, 105)));
    assert_eq!(other, Err(unreachable.clone()), "B's promise counts for nothing");
    let admission = Change::Join(member(2, 202));
    let itself = cluster.carry_out(3, &admission);
    assert_eq!(itself, Err(unreachable), "not even to let itself in");
    // A hears them again. Of {A, B, C, D} three choose, and B's new life is not among them.
    cluster.cut.clear();
    cluster.carry_out(3, &admission).expect("A, C and D are a majority");
    cluster.gossip();
    let newest = cluster.knows(2).clone();
    assert!(newest.layout.admits(NodeId(2), Lineage(202)));
    assert!(!newest.layout.admits(NodeId(2), Lineage(102)));
    assert_eq!(names(&newest), ["n1", "n2", "n3", "n4"]);
    // From now on it has a say.
    cluster.partition(&[1], &[2, 3, 4]);
    cluster.join(2, member(5, 105)).expect("B, C and D are a majority");
}

/// The same story with the guard taken out: the wiped B answers under its old lineage. The judge sees it.
#[test]
#[should_panic(expected = "the chain forked")]
fn story_28_without_lineages_the_layout_forks() {
    let mut cluster = Cluster::of(3);
    cluster.partition(&[1, 2], &[3]);
    cluster.join(1, member(4, 104)).expect("A and B are a majority");
    let old = cluster.knows(3).clone();
    let forgetful = Node { lineage: Lineage(102), seat: Seat::after(old.index), known: old };
    cluster.nodes.insert(NodeId(2), forgetful);
    cluster.cut.clear();
    cluster.partition(&[1, 4], &[2, 3]);
    let _ = cluster.carry_out(3, &Change::Join(member(5, 105)));
}

#[test]
fn a_member_that_missed_several_values_learns_the_newest_and_takes_part() {
    let mut cluster = Cluster::of(3);
    cluster.partition(&[1, 2], &[3]);
    for id in 1..=4 {
        let settings = BucketSettings::new(3);
        let change = Change::CreateBucket { id: BucketId(id), name: format!("b{id}"), settings };
        cluster.carry_out(1, &change).expect("a majority");
    }
    assert_eq!((cluster.knows(1).index, cluster.knows(3).index), (6, 2));
    cluster.cut.clear();
    cluster.partition(&[2], &[1, 3]);
    let settings = BucketSettings::new(2);
    let change = Change::CreateBucket { id: BucketId(9), name: "late".into(), settings };
    cluster.carry_out(3, &change).expect("n1 tells n3, and they are a majority");
    assert_eq!(cluster.knows(3).buckets.version, 5);
    assert_eq!(cluster.knows(3).layout.epoch.0, 2);
}

#[test]
fn rough_weather_never_forks_the_chain() {
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut cluster = Cluster::of(3);
        let mut fresh = 4;
        for _ in 0..25 {
            let ids: Vec<u64> = cluster.nodes.keys().map(|id| id.0).collect();
            let at = ids[rng.usize(..ids.len())];
            match rng.u32(0..10) {
                0..2 => {
                    cluster.cut.clear();
                    let (one, other): (Vec<u64>, Vec<u64>) = ids.iter().partition(|_| rng.bool());
                    cluster.partition(&one, &other);
                }
                2 => cluster.cut.clear(),
                3..6 if fresh < 9 => {
                    let _ = cluster.join(at, member(fresh, 100 + fresh));
                    fresh += 1;
                }
                // A node is wiped: it begins a new life with what any node tells it.
                6 => {
                    let known = cluster.knows(ids[rng.usize(..ids.len())]).clone();
                    let seat = Seat::after(known.index);
                    let node = Node { lineage: Lineage(rng.u64(1_000..)), known, seat };
                    cluster.nodes.insert(NodeId(at), node);
                }
                // A member lets a new life in.
                7 => {
                    let back = ids[rng.usize(..ids.len())];
                    let lineage = cluster.nodes[&NodeId(back)].lineage;
                    let known = cluster.knows(at);
                    let change = Change::Join(member(back, lineage.0));
                    // A node that nobody let in, or whose life was replaced meanwhile, stays outside.
                    if known.layout.member(NodeId(back)).is_some()
                        && known.apply(&change) != Err(Refusal::RetiredLineage)
                        && known.layout.admits(NodeId(at), cluster.nodes[&NodeId(at)].lineage)
                    {
                        let _ = cluster.carry_out(at, &change);
                    }
                }
                _ => cluster.gossip(),
            }
        }
        // `carry_out` asserts that no index was ever chosen twice. All that is known was chosen.
        for node in cluster.nodes.values() {
            assert_eq!(cluster.chosen.get(&node.known.index), Some(&node.known), "seed {seed}");
        }
    }
}
