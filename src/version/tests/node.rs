//! A node around one key: its disk, what it has not flushed yet, its lives, and what others saw of them.

use super::oracle::Events;
use crate::time::HybridClock;
use crate::version::{Incarnations, Kind, Record};
use std::collections::BTreeMap;

/// What a replica has of the key, and what the oracle says of it.
#[derive(Clone, Default)]
pub struct Replica {
    pub record: Record,
    /// All writes that it knows, or that a context told it were replaced.
    pub known: Events,
    /// Those whose siblings it has really met.
    pub met: Events,
}

impl Replica {
    pub fn new(kind: Kind) -> Replica {
        Replica { record: Record::new(kind), ..Replica::default() }
    }

    /// As a node does it: what changes nothing is not stored.
    pub fn join(&mut self, other: &Replica) {
        let mut joined = self.record.clone();
        if joined.join(&other.record).changed() {
            self.record = joined;
        }
        self.known = self.known.union(other.known);
        self.met = self.met.union(other.met);
    }
}

#[derive(Clone)]
pub struct Disk {
    pub replica: Replica,
    pub incarnations: Incarnations,
    /// The lives of this lineage that the disk knows of, each with its last commit.
    pub lives: Vec<(u64, u64)>,
}

pub struct Node {
    pub disk: Disk,
    pub unflushed: Replica,
    pub running: Incarnations,
    pub witnessed: bool,
    /// The lives of this lineage that the others know of, each with the last commit that they saw.
    pub witnesses: BTreeMap<u64, u64>,
    pub clock: HybridClock,
    pub skew: u64,
}

impl Node {
    /// It does not run yet.
    pub fn new(replica: Replica, skew: u64) -> Node {
        let incarnations = Incarnations::new();
        Node {
            unflushed: replica.clone(),
            running: incarnations.clone(),
            disk: Disk { replica, incarnations, lives: Vec::new() },
            witnessed: true,
            witnesses: BTreeMap::new(),
            clock: HybridClock::default(),
            skew,
        }
    }

    pub fn start(&mut self, disk: Disk, incarnation: u64) {
        self.disk = disk;
        self.disk.incarnations.begin(incarnation);
        // The others hear of a life with its first dot, so it must be theirs to miss from the beginning.
        self.disk.lives.push((incarnation, 0));
        self.commit();
        self.running = self.disk.incarnations.clone();
        self.unflushed = self.disk.replica.clone();
        self.witnessed = false;
    }

    pub fn flush(&mut self) {
        self.disk.replica = self.unflushed.clone();
        self.commit();
    }

    /// Something became durable; the others hear of it.
    fn commit(&mut self) {
        let (life, last) = self.disk.lives.last_mut().expect("a node runs in some life");
        *last += 1;
        self.witnesses.insert(*life, *last);
    }

    /// The others tell which lives they know, and how far. Whatever the disk does not know of makes it an
    /// old copy. (One number for all lives would not do: an old copy that goes on counts it up again.)
    pub fn hear_witnesses(&mut self, incarnation: u64) {
        let behind = self.witnesses.iter().any(|(life, seen)| {
            !self.disk.lives.iter().any(|(known, last)| known == life && last >= seen)
        });
        if behind {
            self.disk.incarnations.begin_lineage(incarnation);
            self.running = self.disk.incarnations.clone();
            self.disk.lives = vec![(incarnation, 0)];
            self.witnesses.clear();
            self.commit();
        }
        self.witnessed = true;
    }
}
