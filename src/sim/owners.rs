//! Owners change in the midst of it all: nodes join, leave, are gone for good, and somebody takes it back.

use super::cluster::Cluster;
use super::faults::Faults;
use super::report::Counts;
use crate::error::Error;
use crate::message::client::{Reply, Request, RingChange};
use crate::node::Node;
use std::collections::{BTreeMap, BTreeSet};

/// The most nodes that join beside the first ones.
const GROW: usize = 3;
/// The fewest that stay, so that one more may be down.
const STAY: usize = 4;
/// How long whoever asks for a change waits.
const DEADLINE_MS: u32 = 2_000;

/// What was asked for.
#[derive(Default)]
pub(super) struct Owners {
    grown: usize,
    /// Who was asked to leave, and perhaps has.
    leaving: BTreeSet<usize>,
    /// Who is gone for good, and is to be removed.
    removing: BTreeSet<usize>,
    /// Who is gone for good, and who stands by to take its places.
    replacing: BTreeMap<usize, usize>,
    /// Whether owners may be others than they were after everything had healed.
    pub moved: bool,
    /// How often what was asked for.
    pub asked: Counts,
}

impl Owners {
    /// One change, where it is possible now; told in words.
    pub fn change(
        &mut self,
        c: &mut Cluster,
        faults: &mut Faults,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        let there = faults.there(c);
        let stay = there.iter().filter(|node| !self.leaving.contains(node)).count();
        let node = rng.choice(there.iter().copied())?;
        let others = there.into_iter().filter(|n| faults.answers(*n) && *n != node);
        let through = rng.choice(others.collect::<Vec<_>>())?;
        let (what, line) = match rng.u32(0..10) {
            0..3 if self.grown < GROW => {
                self.grown += 1;
                ("join", format!("n{} joins", c.grow()))
            }
            3 | 4 if stay > STAY => {
                self.leaving.insert(node);
                self.ask(c, through, RingChange::Leave(name(node)));
                ("leave", format!("n{node} is asked to leave, through n{through}"))
            }
            5 if stay > STAY && faults.may_lose_disk() && !self.leaving.contains(&node) => {
                faults.lose_disk();
                faults.bury(node, c);
                self.removing.insert(node);
                ("remove", format!("n{node} is gone for good"))
            }
            6 => {
                self.ask(c, through, RingChange::Abort);
                ("abort", format!("what moves is taken back, through n{through}"))
            }
            7 => {
                let weight = rng.u16(1..=3);
                let place =
                    RingChange::Place { name: name(node), zone: None, weight: Some(weight) };
                self.ask(c, through, place);
                ("weight", format!("n{node} weighs {weight}, through n{through}"))
            }
            8 => {
                self.ask(c, through, RingChange::Commit);
                ("commit", format!("nobody is held any more, through n{through}"))
            }
            9 if self.grown < GROW && faults.may_lose_disk() && !self.leaving.contains(&node) => {
                self.grown += 1;
                faults.lose_disk();
                faults.bury(node, c);
                let spare = c.grow_spare();
                self.replacing.insert(node, spare);
                ("replace", format!("n{spare} stands by, for n{node} is gone for good"))
            }
            _ => return None,
        };
        self.moved = true;
        *self.asked.entry(what).or_default() += 1;
        Some(line)
    }

    fn ask(&self, c: &mut Cluster, through: usize, change: RingChange) {
        // Whatever comes of it: what is agreed on is looked at when everything has healed.
        let _ = c.send_within(through, DEADLINE_MS, Request::ChangeRing(change));
    }

    /// Sees to what is left, given who is a member by now; `Err`: that has not come to its end.
    pub fn see_to(
        &mut self,
        c: &mut Cluster,
        faults: &mut Faults,
        members: &BTreeSet<usize>,
    ) -> Result<(), String> {
        if let Some(node) = self.removing.iter().copied().find(|node| members.contains(node)) {
            let through = members.iter().copied().find(|n| faults.answers(*n) && *n != node);
            let remove = Request::ChangeRing(RingChange::Remove(name(node)));
            let said = through.and_then(|through| c.ask(through, remove));
            if let (Some(through), Some(Reply::Failed(Error::Invalid(_)))) = (through, &said) {
                // Too few with places would be left; a change that was taken back has left others without.
                let _ = c.ask(through, Request::ChangeRing(RingChange::Commit));
            }
            return Err(format!("n{node} is not removed yet: {said:?}"));
        }
        let replaced = |(old, _): &(&usize, &usize)| members.contains(*old);
        if let Some((old, new)) = self.replacing.iter().find(replaced) {
            if !members.contains(new) {
                // It may have been asked to leave.
                if !faults.there(c).contains(new) || c.node(*new).is_some_and(Node::is_dismissed) {
                    self.removing.insert(*old);
                }
                return Err(format!("n{new} is not in"));
            }
            let change = RingChange::Replace { old: name(*old), new: name(*new) };
            let said = c.ask(*new, Request::ChangeRing(change));
            let why = format!("n{old} is not replaced by n{new} yet: {said:?}");
            // It was released, and has a share of its own by now.
            if let Some(Reply::Failed(Error::Invalid(_))) = said {
                self.removing.insert(*old);
            }
            return Err(why);
        }
        for node in faults.there(c) {
            if members.contains(&node) {
                continue;
            }
            // Who was asked to leave before it was in comes in all the same.
            let is_out = c.node(node).is_some_and(Node::is_dismissed);
            if !self.leaving.contains(&node) || !is_out {
                return Err(format!("n{node} is not in"));
            }
            faults.bury(node, c);
        }
        Ok(())
    }
}

fn name(node: usize) -> String {
    format!("n{node}")
}
