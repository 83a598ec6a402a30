//! What is done to the nodes.

use super::book::Book;
use super::{KEYS, NODES, Run};
use crate::schedules::kit::*;
use quorate::store::MemoryStore;
use quorate::time::Duration;

impl Run {
    /// The disks of some owners stand still, so what they are told is in their memory alone; and then most of
    /// these processes are killed, and start with what they had.
    pub(super) fn stumble(&mut self) {
        let key = self.key();
        let mut nodes = self.owners[key].clone();
        nodes.retain(|node| self.is_up(*node));
        self.rng.shuffle(&mut nodes);
        nodes.truncate(self.rng.usize(1..=3));
        let Some(first) = nodes.first().copied() else { return };
        self.note(format!("the disks of {nodes:?} stand still"));
        nodes.iter().for_each(|node| self.c.hold_syncs(*node, true));
        for _ in 0..self.rng.usize(2..=5) {
            let through = *self.rng.choice(&nodes).expect("not empty");
            self.request(through, key);
            let wait = self.rng.u64(0..1_500);
            self.c.run_for(Duration::from_micros(wait));
            self.listen();
        }
        for node in nodes {
            if self.rng.u32(0..5) == 0 {
                self.c.hold_syncs(node, false);
                continue;
            }
            self.note(format!("kill and start n{node}"));
            self.c.kill(node);
            self.c.start(node);
        }
        let wait = self.rng.u64(1_000..30_000);
        self.c.run_for(Duration::from_micros(wait));
        self.listen();
        self.request(first, key);
    }

    /// An orderly stop, of which somebody keeps a copy.
    pub(super) fn rest(&mut self) {
        if let Some(node) = self.up() {
            self.note(format!("stop n{node}, copy its disk and start it"));
            assert!(self.c.stop(node), "{}n{node} does not stop", self.story());
            self.copies.insert(node, self.c.disk(node).copy());
            self.c.start(node);
        }
    }

    pub(super) fn kill(&mut self) {
        if self.down.len() < 3
            && let Some(node) = self.up()
        {
            self.note(format!("kill n{node}"));
            self.c.kill(node);
            self.down.insert(node);
        }
    }

    pub(super) fn start(&mut self) {
        if let Some(node) = self.down.pop_first() {
            self.note(format!("start n{node}"));
            self.c.start(node);
        }
    }

    pub(super) fn partition(&mut self) {
        let mut nodes: Vec<usize> = (1..=NODES).collect();
        self.rng.shuffle(&mut nodes);
        let (one, other) = nodes.split_at(self.rng.usize(1..=2));
        self.log.push(format!("partition {one:?} | {other:?}"));
        match self.rng.bool() {
            true => self.c.network.partition(one, other),
            false => self.c.network.cut(one[0], other[0]),
        }
    }

    pub(super) fn pause(&mut self) {
        if self.paused.is_empty()
            && let Some(node) = self.up()
        {
            self.note(format!("pause n{node}"));
            self.c.pause(node);
            self.paused.insert(node);
        }
    }

    pub(super) fn resume(&mut self) {
        if let Some(node) = self.paused.pop_first() {
            self.note(format!("resume n{node}"));
            self.c.resume(node);
        }
    }

    /// One disk is lost; the next only after everything has healed.
    pub(super) fn wipe(&mut self) {
        let copied = self.copies.keys().find(|node| self.is_up(**node)).copied();
        let node = if self.rng.bool() { copied } else { self.up() };
        let Some(node) = node.filter(|_| !self.wiped) else { return };
        self.wiped = true;
        self.disks_lost += 1;
        self.books.iter_mut().for_each(Book::disk_lost);
        match self.copies.remove(&node) {
            None => {
                self.note(format!("wipe n{node}"));
                self.c.wipe(node);
                self.c.start(node);
            }
            Some(copy) => self.restore(node, copy),
        }
    }

    /// The old copy is put in the place of a disk, and its node is asked before others can tell it that it is
    /// behind.
    fn restore(&mut self, node: usize, copy: MemoryStore) {
        self.note(format!("an old copy becomes n{node}"));
        self.c.restore(node, copy);
        for other in all_but(NODES, &[node]) {
            self.c.network.slow_stream(other, node, Duration::from_secs(2));
        }
        self.c.start(node);
        for key in (0..KEYS).filter(|key| self.owners[*key].contains(&node)).collect::<Vec<_>>() {
            let wait = self.rng.u64(1_000..800_000);
            self.c.run_for(Duration::from_micros(wait));
            self.request(node, key);
        }
        self.c.run_for(Duration::from_secs(2));
        self.listen();
        for other in all_but(NODES, &[node]) {
            self.c.network.slow_stream(other, node, Duration::ZERO);
        }
    }
}
