//! Nodes with disks, messages between them, and clients, around one key: the code under test, and beside
//! every piece of it what the oracle says that it knows.

use super::node::{Disk, Node, Replica};
use super::oracle::{Event, Events, Oracle};
use crate::time::{HybridTime, WallClock};
use crate::version::{
    Actor, Conflict, Content, Dot, Incarnations, OperationId, Record, SHOWN_CAP, Seen, Siblings,
    Write, Written,
};
use bytes::Bytes;
use std::collections::BTreeMap;

pub const NODES: usize = 5;
pub const CLIENTS: usize = 3;

/// Which of a client's contexts goes with a write.
#[derive(Clone, Copy, Debug)]
pub enum With {
    Latest,
    Stale(u8),
    Nothing,
}

/// One thing that happens. Numbers that name no such thing do nothing, so any list of steps is a history
/// and every part of a failing one may be left out.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Read {
        client: u8,
        node: u8,
        unflushed: bool,
    },
    Put {
        client: u8,
        node: u8,
        with: With,
    },
    Delete {
        client: u8,
        node: u8,
        with: With,
    },
    Retry {
        write: u8,
        node: u8,
    },
    Flush {
        node: u8,
    },
    Send {
        from: u8,
        to: u8,
        unflushed: bool,
    },
    Deliver {
        message: u8,
        again: bool,
    },
    LoseMessage {
        message: u8,
    },
    /// A stand-in gives what it has to `to`, and deletes it here.
    HandOver {
        from: u8,
        to: u8,
    },
    Kill {
        node: u8,
    },
    Stop {
        node: u8,
        copy: bool,
    },
    CopyDisk {
        node: u8,
    },
    Restore {
        node: u8,
        copy: u8,
    },
    Wipe {
        node: u8,
    },
    /// The other members tell the node how far they saw it.
    AskWitnesses {
        node: u8,
    },
    /// Where everybody agrees that the key is deleted, its tombstones go.
    Collect,
}

#[derive(Clone, Default)]
struct Knowledge {
    seen: Seen,
    known: Events,
    /// What the client was shown itself, and its own writes since.
    shown: Events,
}

#[derive(Clone)]
struct Sent {
    event: Event,
    operation: OperationId,
    before: Knowledge,
    content: Content,
}

pub struct World {
    conflict: Conflict,
    oracle: Oracle,
    nodes: Vec<Node>,
    copies: Vec<(usize, Disk)>,
    messages: Vec<(usize, Replica)>,
    clients: Vec<Vec<Knowledge>>,
    sent: Vec<Sent>,
    minted: BTreeMap<(Actor, u64), Event>,
    /// For each write the highest (stamp, dot) of its tries.
    ranks: BTreeMap<Event, (HybridTime, Actor, u64)>,
    /// Writes with more than one dot.
    twice: Events,
    /// Whether some replica has forgotten what it may have been alone to know.
    forgetful: bool,
    incarnations: u64,
    step: u64,
}

type Checked = Result<(), String>;

impl World {
    pub fn new(conflict: Conflict) -> World {
        let mut world = World {
            conflict,
            oracle: Oracle::default(),
            nodes: Vec::new(),
            copies: Vec::new(),
            messages: Vec::new(),
            clients: vec![vec![Knowledge::default()]; CLIENTS],
            sent: Vec::new(),
            minted: BTreeMap::new(),
            ranks: BTreeMap::new(),
            twice: Events::default(),
            forgetful: false,
            incarnations: 0,
            step: 0,
        };
        for node in 0..NODES {
            world.nodes.push(Node::new(Replica::new(conflict.into()), [0, 3, 1, 9, 4][node]));
            world.start(node, world.nodes[node].disk.clone());
            world.nodes[node].witnessed = true;
        }
        world
    }

    fn incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        // Random numbers are not ascending; neither are these.
        self.incarnations.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    pub fn step(&mut self, step: Step) -> Checked {
        self.step += 1;
        match step {
            Step::Read { client, node, unflushed } => self.read(client, node, unflushed),
            Step::Put { client, node, with } => {
                let value = vec![u8::try_from(self.sent.len()).unwrap(); 1 + self.sent.len() % 3];
                return self.new_write(client, node, with, Content::Value(Bytes::from(value)));
            }
            Step::Delete { client, node, with } => {
                return self.new_write(client, node, with, Content::Tombstone);
            }
            Step::Retry { write, node } => {
                if let Some(sent) = pick(&self.sent, write).cloned() {
                    return self
                        .write(&sent, node as usize % NODES, Some(HybridTime::default()))
                        .map(|_| ());
                }
            }
            Step::Flush { node } => self.flush(node as usize % NODES),
            Step::Send { from, to, unflushed } => {
                let (from, to) = (from as usize % NODES, to as usize % NODES);
                let mut replica = self.shown(from, unflushed).clone();
                replica.record = through_the_wire(&replica.record)?;
                self.messages.push((to, replica));
            }
            Step::Deliver { message, again } => {
                if !self.messages.is_empty() {
                    let at = message as usize % self.messages.len();
                    let (to, replica) = self.messages[at].clone();
                    if !again {
                        self.messages.remove(at);
                    }
                    self.nodes[to].unflushed.join(&replica);
                    return self.check(to);
                }
            }
            Step::LoseMessage { message } => {
                if !self.messages.is_empty() {
                    let at = message as usize % self.messages.len();
                    self.messages.remove(at);
                    self.forgetful = true;
                }
            }
            Step::HandOver { from, to } => return self.hand_over(from, to),
            Step::Kill { node } => self.kill(node as usize % NODES),
            Step::Stop { node, copy } => self.stop(node as usize % NODES, copy),
            Step::CopyDisk { node } => {
                let node = node as usize % NODES;
                self.copies.push((node, self.nodes[node].disk.clone()));
            }
            Step::Restore { node, copy } => self.restore(node as usize % NODES, copy),
            Step::Wipe { node } => self.wipe(node as usize % NODES),
            Step::AskWitnesses { node } => self.ask_witnesses(node as usize % NODES),
            Step::Collect => self.collect(),
        }
        Ok(())
    }

    fn shown(&self, node: usize, unflushed: bool) -> &Replica {
        match unflushed {
            true => &self.nodes[node].unflushed,
            false => &self.nodes[node].disk.replica,
        }
    }

    fn read(&mut self, client: u8, node: u8, unflushed: bool) {
        let replica = self.shown(node as usize % NODES, unflushed);
        let shown = standing_on(replica);
        let knowledge = Knowledge { seen: replica.record.context(), known: replica.known, shown };
        self.clients[client as usize % CLIENTS].push(knowledge);
    }

    fn new_write(&mut self, client: u8, node: u8, with: With, content: Content) -> Checked {
        if self.oracle.is_full() {
            return Ok(());
        }
        let client = client as usize % CLIENTS;
        let contexts = &self.clients[client];
        let before = match with {
            With::Latest => contexts.last().unwrap().clone(),
            With::Stale(which) => contexts[which as usize % contexts.len()].clone(),
            With::Nothing => Knowledge::default(),
        };
        let event = self.oracle.new_event(before.known);
        let operation = OperationId { session: client as u64, sequence: u64::from(event.0) };
        let sent = Sent { event, operation, before, content };
        self.sent.push(sent.clone());
        let after = self.write(&sent, node as usize % NODES, None)?;
        self.clients[client].push(after);
        Ok(())
    }

    fn write(
        &mut self,
        sent: &Sent,
        node: usize,
        tried_since: Option<HybridTime>,
    ) -> Result<Knowledge, String> {
        let event = sent.event;
        let Node { unflushed, running, witnessed, clock, skew, .. } = &mut self.nodes[node];
        let wall = WallClock(1_000 + self.step + *skew);
        let write = Write {
            operation: sent.operation,
            stamp: clock.tick(wall, unflushed.record.stamp_after(&sent.before.seen)),
            expires_at: None,
            content: sent.content.clone(),
            tried_since,
        };
        let written = unflushed
            .record
            .write(&sent.before.seen, write, running, *witnessed)
            .map_err(|error| error.to_string())?;
        let Knowledge { mut known, mut shown, .. } = sent.before;
        match written {
            Written::New(dot) => {
                if unflushed.met.contains(event) {
                    return Err(format!("n{node} minted {dot:?} for {event:?}, which it had met"));
                }
                let stamp = unflushed.record.siblings.find(sent.operation).unwrap().stamp;
                (known, shown) = (known.with(event), shown.with(event));
                unflushed.known = unflushed.known.union(known);
                unflushed.met = unflushed.met.with(event);
                self.minted(dot, event, stamp)?;
            }
            Written::Repeated(_) | Written::Replaced(_) if !unflushed.known.contains(event) => {
                return Err(format!("n{node} took {event:?} for a retry and has never known it"));
            }
            Written::Repeated(_) => (known, shown) = (known.with(event), shown.with(event)),
            Written::Replaced(_) => {}
        }
        let seen =
            self.nodes[node].unflushed.record.context_after(&sent.before.seen, sent.operation);
        self.check(node)?;
        Ok(Knowledge { seen, known, shown })
    }

    fn minted(&mut self, dot: Dot, event: Event, stamp: HybridTime) -> Checked {
        if let Some(earlier) = self.minted.insert((dot.actor, dot.counter), event) {
            return Err(format!("{dot:?} was minted for {earlier:?} and again for {event:?}"));
        }
        let rank = (stamp, dot.actor, dot.counter);
        if let Some(earlier) = self.ranks.get(&event) {
            self.twice = self.twice.with(event);
            self.ranks.insert(event, rank.min(*earlier));
        } else {
            self.ranks.insert(event, rank);
        }
        Ok(())
    }

    fn flush(&mut self, node: usize) {
        self.nodes[node].flush();
    }

    fn hand_over(&mut self, from: u8, to: u8) -> Checked {
        let (from, to) = (from as usize % NODES, to as usize % NODES);
        if from == to {
            return Ok(());
        }
        let given = self.nodes[from].unflushed.clone();
        self.nodes[to].unflushed.join(&given);
        self.flush(to);
        self.nodes[from].unflushed = Replica::new(self.conflict.into());
        self.flush(from);
        self.check(to)
    }

    fn start(&mut self, node: usize, disk: Disk) {
        let incarnation = self.incarnation();
        self.nodes[node].start(disk, incarnation);
    }

    fn kill(&mut self, node: usize) {
        let lost = self.nodes[node].unflushed.known.without(self.nodes[node].disk.replica.known);
        self.forgetful |= !lost.is_empty();
        self.start(node, self.nodes[node].disk.clone());
    }

    fn stop(&mut self, node: usize, copy: bool) {
        self.flush(node);
        let mut disk = self.nodes[node].disk.clone();
        disk.incarnations = self.nodes[node].running.clone();
        disk.incarnations.end_cleanly();
        if copy {
            self.copies.push((node, disk.clone()));
        }
        self.start(node, disk);
    }

    fn restore(&mut self, node: usize, copy: u8) {
        let own: Vec<_> = self.copies.iter().filter(|(of, _)| *of == node).collect();
        if let Some((_, disk)) = pick(&own, copy) {
            let disk = disk.clone();
            self.forgetful = true;
            self.start(node, disk);
        }
    }

    fn wipe(&mut self, node: usize) {
        let replica = Replica::new(self.conflict.into());
        self.forgetful = true;
        self.nodes[node].witnesses.clear();
        self.start(node, Disk { replica, incarnations: Incarnations::new(), lives: Vec::new() });
        // Copies of the old lineage are fenced.
        self.copies.retain(|(of, _)| *of != node);
    }

    fn ask_witnesses(&mut self, node: usize) {
        let incarnation = self.incarnation();
        self.nodes[node].hear_witnesses(incarnation);
    }

    fn collect(&mut self) {
        let mut all = Replica::new(self.conflict.into());
        self.nodes.iter().for_each(|node| all.join(&node.unflushed));
        self.messages.iter().for_each(|(_, replica)| all.join(replica));
        if all.known.is_empty() || all.record.siblings.values().next().is_some() {
            return;
        }
        // Its rounds wait for hints, messages and absent members, so none of them brings the key back.
        self.messages.clear();
        self.copies.clear();
        for node in 0..NODES {
            self.nodes[node].unflushed = Replica::new(self.conflict.into());
            self.flush(node);
        }
        // A retry of a collected write is a new write: nobody remembers it.
        self.forgetful = true;
    }

    /// What stands on a node, by the values (a tombstone by its operation) and by the oracle.
    fn check(&self, node: usize) -> Checked {
        let replica = &self.nodes[node].unflushed;
        let siblings = &replica.record.siblings;
        invariants(siblings)?;
        let found = standing_on(replica);
        for sibling in siblings.iter() {
            let sent = &self.sent[sibling.operation.sequence as usize];
            if sibling.content != sent.content {
                return Err(format!("n{node} mixed up the value of {:?}", sent.event));
            }
        }
        let complain = |what: &str| {
            let standing = self.oracle.standing(replica.known);
            Err(format!(
                "n{node} {what}: holds {found:?}, {standing:?} stand of {:?}",
                replica.known
            ))
        };
        if !found.is_subset(replica.known) {
            return complain("holds what it never knew");
        }
        match self.conflict {
            Conflict::Siblings => {
                let standing = self.oracle.standing(replica.known);
                if !standing.is_subset(found) {
                    return complain("lost a write");
                }
                // A write with two dots may stand longer, until its dots meet.
                if !found.without(standing).is_subset(self.twice) {
                    return complain("kept a replaced write");
                }
                // But not where somebody has written who had been shown it, under whichever dot.
                let shown = |event: Event| self.sent[event.0 as usize].before.shown;
                let named = replica.met.iter().map(shown).filter(|s| s.iter().count() <= SHOWN_CAP);
                let named = named.fold(Events::default(), Events::union);
                if found.without(named) != found {
                    return complain("kept a write that was shown to who replaced it");
                }
            }
            Conflict::Lww => {
                if found.iter().count() != usize::from(!replica.known.is_empty()) {
                    return complain("has not exactly one winner");
                }
                let latest = replica.known.iter().max_by_key(|event| self.ranks[event]);
                let twins = replica.known.without(replica.known.without(self.twice));
                if twins.is_empty() && found.iter().next() != latest {
                    return complain("has another than the latest write");
                }
            }
        }
        Ok(())
    }

    /// Everything is delivered, everybody meets everybody: all must agree.
    pub fn heal(&mut self) -> Checked {
        for (to, replica) in std::mem::take(&mut self.messages) {
            self.nodes[to].unflushed.join(&replica);
            self.check(to)?;
        }
        for _ in 0..2 {
            for a in 0..NODES {
                for b in 0..NODES {
                    let other = self.nodes[a].unflushed.clone();
                    self.nodes[b].unflushed.join(&other);
                    self.check(b)?;
                }
            }
        }
        let replica = &self.nodes[0].unflushed;
        let digest = replica.record.siblings.digest();
        for node in &self.nodes {
            if node.unflushed.record.siblings.digest() != digest {
                return Err("the replicas do not agree in the end".into());
            }
        }
        let found = standing_on(replica);
        let standing = self.oracle.standing(replica.known);
        if self.conflict == Conflict::Siblings && !self.forgetful && found != standing {
            return Err(format!("in the end {found:?} stand instead of {standing:?}"));
        }
        if !self.forgetful && !found.is_subset(standing) {
            return Err(format!("in the end {found:?} is shown, of which {standing:?} stand"));
        }
        Ok(())
    }

    /// What the generator reached: writes with two dots, and whether anything was forgotten.
    pub fn reached(&self) -> (bool, bool) {
        (!self.twice.is_empty(), self.forgetful)
    }
}

/// The writes whose values, or tombstones, are there.
fn standing_on(replica: &Replica) -> Events {
    let event = |sequence| Event(u8::try_from(sequence).unwrap());
    let standing = replica.record.siblings.iter().filter(|sibling| !sibling.beaten);
    standing.map(|sibling| event(sibling.operation.sequence)).collect()
}

fn pick<T>(items: &[T], which: u8) -> Option<&T> {
    if items.is_empty() { None } else { items.get(which as usize % items.len()) }
}

fn through_the_wire(record: &Record) -> Result<Record, String> {
    let (head, body) = record.encode();
    let back = Record::decode(&head, body).map_err(|error| error.to_string())?;
    if back != *record {
        return Err("a record came back changed".into());
    }
    Ok(Record { local: None, ..back })
}

fn invariants(siblings: &Siblings) -> Checked {
    for sibling in siblings.iter() {
        if !sibling.dots().all(|dot| siblings.vector().covers(dot)) {
            return Err(format!("the vector does not cover {sibling:?}"));
        }
    }
    if !siblings.covered().is_sorted_by(|a, b| a.operation < b.operation) {
        return Err("covered operations out of order".into());
    }
    Ok(())
}
