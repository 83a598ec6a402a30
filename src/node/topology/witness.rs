//! How far has everybody been seen? A restored old directory looks healthy from inside; only the others
//! know better.
//!
//! ```text
//!   n2 at commit 60 ──ack──► n1 notes (n2, lineage, 60) ──about a second──► on n1's disk
//!   n2 is put back to 40
//!   n2 ── how far have you seen me? ──► n1 ── 60 ──► n2: 60 > 40, I am behind
//! ```
//!
//! - A number is believed only with the lineage that the agreement names: an old life's numbers say
//!   nothing about the new one.
//! - A node that has not passed speaks under a trial (`claims`), which is noted beside what was seen: what others
//!   hear of this run never covers up what they saw of an earlier one, and is seen all the same.
//! - **How many must answer:** ⌈n/2⌉ of the n−1 *others*. What an earlier run of this node did as an
//!   acceptor was part of a majority, so at least ⌊n/2⌋ others took part as well, or saw the outcome; of
//!   the n−1 others any ⌈n/2⌉ must hold one of them. That is a majority of all members, where the node's
//!   own word counts only when n is even. A cluster of one has nobody to ask.
//! - **To count towards R** less is enough, once everybody has had [`GRACE`] to answer: ⌊n/2⌋ of the others,
//!   with this node a majority. Else two of three nodes could not serve quorum reads, only because one of
//!   them was restarted while the third is away. Numbers spread by gossip, so those who answer know what
//!   the silent ones saw but for its last second; an old copy is older than that.
//! - A member that comes back empty has lost what it saw; that counts as its answer (see `join`).
//! - An answer counts only from a member whose agreement is no newer than ours: otherwise the newer one
//!   is fetched first.
//! - A lineage that was drawn in this very run passes at once: nobody can have seen more of it.

use super::identity::{OpenError, put};
use super::open::read;
use super::{Pending, Topology};
use crate::guard::{self, Guard};
use crate::id::{Lineage, NodeId};
use crate::message::Header;
use crate::message::peer::Control;
use crate::node::{Outbox, Release};
use crate::store::{Change, Store};
use crate::time::{Duration, Instant, Now};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How often the table is persisted, when it changed.
const PERSIST_INTERVAL: Duration = Duration::from_secs(1);
/// How often the others are asked before the check is passed.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// How often those are asked who did not answer before the check was passed.
const ASK_LATER_INTERVAL: Duration = Duration::from_secs(10);
/// How many trials are noted of a member. A trial goes on until it is passed, so there are more only where disks are
/// put back again and again.
const TRIALS: usize = 8;
/// How long a node that starts waits for more answers than a majority with itself makes.
const GRACE: Duration = Duration::from_secs(5);
/// How often one node is told that it was seen further ahead.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// How far one member was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// In which life.
    pub lineage: Lineage,
    /// Its highest durable commit.
    pub commit: u64,
    /// How far it came under trials, where that is further.
    #[serde(default)]
    pub trials: BTreeMap<u32, u64>,
}

impl Seen {
    fn of(lineage: Lineage) -> Seen {
        Seen { lineage, commit: 0, trials: BTreeMap::new() }
    }
}

/// The table of the others, and this node's own check.
pub(super) struct Witness {
    seen: BTreeMap<NodeId, Seen>,
    changed: bool,
    persist_at: Instant,
    /// Members whose newest frame claims less than an earlier one did.
    regressed: BTreeSet<NodeId>,
    told: BTreeMap<NodeId, Instant>,
    answered: BTreeSet<NodeId>,
    passed: bool,
    counts: bool,
    grace_ends: Instant,
    /// That is over.
    is_late: bool,
    ask_at: Instant,
}

impl Witness {
    /// The table as it was persisted. `fresh`: this run drew its own lineage.
    pub fn open(
        store: &dyn Store,
        fresh: bool,
        damaged: bool,
        now: Instant,
    ) -> Result<Witness, OpenError> {
        let record: Option<Vec<(NodeId, Seen)>> = read(store, "witnesses", damaged)?;
        Ok(Witness {
            seen: record.unwrap_or_default().into_iter().collect(),
            changed: false,
            persist_at: now,
            regressed: BTreeSet::new(),
            told: BTreeMap::new(),
            answered: BTreeSet::new(),
            passed: fresh,
            counts: fresh,
            grace_ends: now + GRACE,
            is_late: false,
            ask_at: now,
        })
    }

    /// Notes what a frame says of its sender, a member in the lineage that the agreement names. Cheap: it
    /// is called for every frame.
    pub fn observe(&mut self, node: NodeId, lineage: Lineage, commit: u64, trial: u32) {
        match trial {
            0 => self.raise(node, lineage, commit),
            trial => self.raise_trial(node, lineage, commit, trial),
        }
        if self.seen.get(&node).is_some_and(|seen| commit < seen.commit) {
            self.regressed.insert(node);
        }
    }

    /// Notes what somebody gossips about a member: old news, so a lower number means nothing.
    pub fn raise(&mut self, node: NodeId, lineage: Lineage, commit: u64) {
        let seen = self.seen_in(node, lineage);
        if commit > seen.commit {
            seen.commit = commit;
            seen.trials.retain(|_, came_to| *came_to > commit);
            self.changed = true;
        }
    }

    fn raise_trial(&mut self, node: NodeId, lineage: Lineage, commit: u64, trial: u32) {
        let seen = self.seen_in(node, lineage);
        if commit <= seen.commit
            || seen.trials.get(&trial).is_some_and(|came_to| commit <= *came_to)
        {
            return;
        }
        seen.trials.insert(trial, commit);
        if seen.trials.len() > TRIALS {
            let least = seen.trials.iter().min_by_key(|(_, came_to)| **came_to);
            if let Some(trial) = least.map(|(trial, _)| *trial) {
                seen.trials.remove(&trial);
            }
        }
        self.changed = true;
    }

    fn seen_in(&mut self, node: NodeId, lineage: Lineage) -> &mut Seen {
        let seen = self.seen.entry(node).or_insert_with(|| Seen::of(lineage));
        if seen.lineage != lineage {
            *seen = Seen::of(lineage);
        }
        seen
    }

    /// How far a member was seen.
    pub fn seen(&self, node: NodeId) -> Option<&Seen> {
        self.seen.get(&node)
    }

    /// Whether the check is passed.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// Whether enough have answered for this node's reads to count.
    pub fn counts(&self) -> bool {
        self.counts || self.passed
    }

    /// Judges whether this node's reads count by now. True when that has just changed.
    fn judge_counting(&mut self, now: Instant, others: &BTreeSet<NodeId>) -> bool {
        let answers = self.answered.intersection(others).count();
        self.is_late |= now >= self.grace_ends;
        let counts = self.is_late && answers >= others.len().div_ceil(2);
        let changed = counts && !self.counts();
        self.counts |= counts;
        changed
    }

    /// A member answered, and knows of nothing that we lack. `members` counts this node too. Returns
    /// whether the check is passed by this.
    pub fn answer(&mut self, from: NodeId, others: &BTreeSet<NodeId>) -> bool {
        self.answered.insert(from);
        self.judge(others)
    }

    /// Whether everybody has had time to answer.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// Whether this member has said how far it has seen this node.
    pub fn has_answered(&self, node: NodeId) -> bool {
        self.answered.contains(&node)
    }

    /// Judges again, for the members may have changed. Returns whether the check is passed by this.
    pub fn judge(&mut self, others: &BTreeSet<NodeId>) -> bool {
        let before = self.passed;
        let answers = self.answered.intersection(others).count();
        self.passed |= answers >= needed(others.len() + 1);
        self.passed && !before
    }

    /// Whom to ask now, if anybody.
    pub fn poll_ask(&mut self, now: Instant, others: &BTreeSet<NodeId>) -> Vec<NodeId> {
        if now < self.ask_at {
            return Vec::new();
        }
        self.ask_at = now + if self.passed { ASK_LATER_INTERVAL } else { ASK_INTERVAL };
        if self.passed {
            return others.difference(&self.answered).copied().collect();
        }
        // Also those who have answered: they hear by it how far this trial has come.
        others.iter().copied().collect()
    }

    /// Whom to tell now that it was seen further ahead. Frames may overtake one another on their way, so
    /// this is a question to the node, which judges itself, and no verdict.
    pub fn poll_tell(&mut self, now: Instant) -> Vec<(NodeId, Seen)> {
        let mut tell = Vec::new();
        for node in std::mem::take(&mut self.regressed) {
            if self.told.get(&node).is_none_or(|told| now.since(*told) >= TELL_INTERVAL) {
                self.told.insert(node, now);
                tell.extend(self.seen.get(&node).map(|seen| (node, seen.clone())));
            }
        }
        tell
    }

    /// The batch entry that keeps the table, if it is time.
    pub fn poll_persist(&mut self, now: Instant) -> Option<Change> {
        if !self.changed || now < self.persist_at {
            return None;
        }
        Some(self.persist(now))
    }

    /// The batch entry that keeps the table.
    pub fn persist(&mut self, now: Instant) -> Change {
        self.changed = false;
        self.persist_at = now + PERSIST_INTERVAL;
        put("witnesses", &self.seen.iter().collect::<Vec<_>>())
    }

    /// A batch was refused, perhaps with the table.
    pub fn refused(&mut self) {
        self.changed = true;
    }

    /// When something is due.
    pub fn poll_timeout(&self, others: &BTreeSet<NodeId>) -> Option<Instant> {
        let ask = (!others.is_subset(&self.answered)).then_some(self.ask_at);
        let persist = self.changed.then_some(self.persist_at);
        let tell = (!self.regressed.is_empty()).then_some(Instant::default());
        let grace =
            (!self.counts() && !others.is_empty()).then_some(self.grace_ends.max(self.ask_at));
        [ask, persist, tell, grace].into_iter().flatten().min()
    }
}

/// Of how many others a node of a cluster of `members` needs the answer.
fn needed(members: usize) -> usize {
    if members <= 1 { 0 } else { members.div_ceil(2) }
}

fn told(seen: Option<Seen>, index: u64) -> Control {
    let trials = seen.iter().flat_map(|seen| &seen.trials);
    let trials = trials.map(|(trial, commit)| (*trial, *commit)).collect();
    Control::Witness { seen: seen.map(|seen| (seen.lineage, seen.commit)), index, trials }
}

impl Topology {
    /// Somebody asks how far it was seen. We answer from the table, also while our own check is open: else
    /// a cluster whose nodes all died at once would wait for itself.
    pub(super) fn handle_ask_witness(&mut self, from: NodeId, outbox: &mut Outbox) {
        if let Some(to) = self.address(from) {
            let seen = self.witness.seen(from).cloned();
            outbox.send_control(to, 0, &told(seen, self.index()));
        }
    }

    /// Somebody says how far it saw this node.
    pub(super) fn handle_witness(
        &mut self,
        now: Now,
        header: &Header,
        seen: Option<Seen>,
        index: u64,
        outbox: &mut Outbox,
    ) {
        if self.lineage_of(header.sender) != Some(header.lineage) {
            return self.reject("fenced");
        }
        let held = outbox.stamp().commit;
        if let Some(seen) = seen
            && seen.lineage == self.identity.lineage
            && let Some(commit) = self.claims.is_behind(&seen, held)
            && guard::holds(Guard::Witness)
        {
            let why = format!(
                "this directory is behind: another member has seen commit {commit} of it, it held {}",
                self.claims.sure(held)
            );
            return self.set_aside(why, outbox);
        }
        if index > self.index() {
            // What it knows may say that we are an old life. It is asked again when we know it too.
            if index > self.newest_index() {
                self.fetch.want(header.sender);
                self.flush_fetch(now, outbox);
            }
            return;
        }
        if self.is_admitted() && self.witness.answer(header.sender, &self.others) {
            self.passed_witness(now, outbox);
        }
    }

    /// The shard says why this directory is behind.
    pub fn is_old_copy(&mut self, why: String, outbox: &mut Outbox) {
        if self.aside.is_none() && guard::holds(Guard::Witness) {
            self.set_aside(why, outbox);
        }
    }

    /// The members may have changed: do the answers suffice?
    pub(super) fn judge_witness(&mut self, now: Now, outbox: &mut Outbox) {
        if self.is_admitted() && self.witness.judge(&self.others) {
            self.passed_witness(now, outbox);
        }
    }

    pub(super) fn passed_witness(&mut self, now: Now, outbox: &mut Outbox) {
        self.view_changed = true;
        self.claims.passed();
        self.stage_claim(outbox);
        self.advance_chain(now, outbox);
    }

    /// What is said of this node from now on is to be durable first.
    pub(super) fn stage_claim(&mut self, outbox: &mut Outbox) {
        let Some((claim, change)) = self.claims.stage() else { return };
        outbox.persist(change);
        let ticket = self.ticket(Pending::Claim(claim));
        outbox.when_durable(Release::Installed { ticket });
    }

    pub(super) fn witness_timeout(&mut self, now: Now, outbox: &mut Outbox) {
        if self.is_admitted() {
            for node in self.witness.poll_ask(now.instant, &self.others) {
                if let Some(to) = self.address(node) {
                    outbox.send_control(to, 0, &Control::AskWitness);
                }
            }
        }
        if self.is_admitted() && self.witness.judge_counting(now.instant, &self.others) {
            self.view_changed = true;
        }
        for (node, seen) in self.witness.poll_tell(now.instant) {
            if let Some(to) = self.address(node) {
                outbox.send_control(to, 0, &told(Some(seen), self.index()));
            }
        }
        if let Some(change) = self.witness.poll_persist(now.instant) {
            outbox.persist(change);
        }
    }

    pub(super) fn poll_witness_timeout(&self) -> Option<Instant> {
        match self.is_admitted() {
            true => self.witness.poll_timeout(&self.others),
            false => self.witness.poll_timeout(&BTreeSet::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_answers_that_suffice_meet_any_majority_less_this_node() {
        for members in 1..12 {
            let others = members - 1;
            let majority_without_me = members / 2;
            assert!(needed(members) <= others);
            assert!(members == 1 || needed(members) + majority_without_me > others, "{members}");
        }
    }
}
