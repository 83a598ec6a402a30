//! A put's tally: W distinct owner slots must hold the record durably.
//!
//! ```text
//!   slot a:  A asked ── stored                          ✔
//!   slot b:  B asked ── silent ── D asked for B ── stored   ✔   (B's late ack adds nothing)
//!   slot c:  C down, E asked for C ── silent            open: the coordinator keeps a hint
//! ```
//!
//! While owners change there are two lists, and W slots of each must hold it:
//!
//! ```text
//!   old   A  B  C   ✔ A, B          a write that only one of the lists has enough of may be missed by
//!   new   A  D  B   ✔ A, B          readers of the other
//! ```

use super::{List, Reach, Replicas};
use crate::guard::{self, Guard};
use crate::id::NodeId;
use crate::quorum::Quorum;

/// Send the record to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub to: NodeId,
    /// The owner it stands in for; `None` when it is the owner itself.
    pub hint_for: Option<NodeId>,
}

/// How a put stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// W slots hold it durably.
    Met,
    /// Not yet, but it can still come.
    Waiting,
    /// It cannot come any more, and everybody who was asked has answered or let an attempt pass. `stored`
    /// slots hold it all the same.
    Missed {
        /// How many slots confirmed it.
        stored: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Open,
    Silent,
    Stored,
    Refused,
}

/// Who was asked to hold a slot's record.
#[derive(Clone, Debug)]
struct Try {
    by: NodeId,
    answer: Answer,
    /// In which lists it counts: the owner wherever it is one, a stand-in where it is a fallback.
    counts: [bool; 2],
}

#[derive(Clone, Debug)]
struct Slot {
    owner: NodeId,
    /// In which lists the owner is one.
    lists: [bool; 2],
    tries: Vec<Try>,
}

impl Slot {
    fn is_stored(&self) -> bool {
        self.tries.iter().any(|t| t.answer == Answer::Stored)
    }

    fn is_stored_in(&self, list: usize) -> bool {
        self.tries.iter().any(|t| t.counts[list] && t.answer == Answer::Stored)
    }

    /// One, whoever holds it, and how many do.
    fn count(&self, list: usize) -> usize {
        let stored = |t: &&Try| t.counts[list] && t.answer == Answer::Stored;
        let stored = self.tries.iter().filter(stored).count();
        if stored > 1 && !guard::holds(Guard::DistinctSlots) { stored } else { stored.min(1) }
    }

    fn can_still_come(&self, list: usize) -> bool {
        let open = |t: &Try| matches!(t.answer, Answer::Open | Answer::Silent);
        self.tries.iter().any(|t| t.counts[list] && open(t))
    }

    /// The first list in which nobody holds this slot or is about to.
    fn uncovered(&self) -> Option<usize> {
        let taken = |t: &Try| matches!(t.answer, Answer::Open | Answer::Stored);
        (0..2).find(|l| self.lists[*l] && !self.tries.iter().any(|t| t.counts[*l] && taken(t)))
    }
}

/// The tally of one put.
///
/// - A node is asked for one slot at most: what it stores is one disk.
/// - A slot counts once, whoever stored it.
#[derive(Clone, Debug)]
pub struct Put {
    quorum: Quorum,
    slots: Vec<Slot>,
    /// Who may stand in, and in which lists.
    spares: Vec<(NodeId, [bool; 2])>,
    /// How many lists there are.
    lists: usize,
}

impl Put {
    /// Begins a put that `me` coordinates; the asks include the one to `me`.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId) -> (Put, Vec<Ask>) {
        let lists = [Some(&replicas.read), replicas.other.as_ref()];
        let is_in = |node: NodeId, of: fn(&List) -> &[(NodeId, Reach)]| {
            lists.map(|list| list.is_some_and(|list| of(list).iter().any(|(n, _)| *n == node)))
        };
        let mut put = Put {
            quorum,
            slots: Vec::with_capacity(replicas.read.owners.len()),
            spares: Vec::new(),
            lists: if replicas.other.is_some() && guard::holds(Guard::WriteBoth) { 2 } else { 1 },
        };
        if !quorum.strict {
            // The coordinator stands in itself before it asks others to; sure ones before doubtful ones.
            let all = replicas.fallbacks();
            let mine = all.clone().filter(|(node, _)| *node == me);
            let up = all.clone().filter(|(node, r)| *node != me && *r == Reach::Up);
            let doubtful = all.filter(|(node, r)| *node != me && *r == Reach::Doubtful);
            let spares = mine.chain(up).chain(doubtful).map(|(node, _)| node);
            put.spares.extend(spares.map(|node| (node, is_in(node, |list| &list.fallbacks))));
        }
        let mut asks = Vec::with_capacity(replicas.read.owners.len());
        for (owner, reach) in replicas.owners() {
            let lists = is_in(owner, |list| &list.owners);
            let mut slot = Slot { owner, lists, tries: Vec::with_capacity(2) };
            if owner == me || reach == Reach::Up {
                slot.tries.push(Try { by: owner, answer: Answer::Open, counts: lists });
                asks.push(Ask { to: owner, hint_for: None });
            }
            put.slots.push(slot);
        }
        for (at, (owner, reach)) in replicas.owners().enumerate() {
            if !put.slots[at].tries.is_empty() {
                continue;
            }
            if reach == Reach::Doubtful {
                let counts = put.slots[at].lists;
                put.slots[at].tries.push(Try { by: owner, answer: Answer::Silent, counts });
                asks.push(Ask { to: owner, hint_for: None });
            }
            // One for each list, where none counts in both.
            asks.extend(put.next_spare(at));
            asks.extend(put.next_spare(at));
        }
        (put, asks)
    }

    /// Another stand-in for a slot that nobody holds in one of the lists.
    fn next_spare(&mut self, at: usize) -> Option<Ask> {
        let slot = &mut self.slots[at];
        let list = slot.uncovered()?;
        let spare = self.spares.iter().position(|(_, fallback)| fallback[list])?;
        let (by, fallback) = self.spares.remove(spare);
        let counts = [0, 1].map(|list| slot.lists[list] && fallback[list]);
        slot.tries.push(Try { by, answer: Answer::Open, counts });
        Some(Ask { to: by, hint_for: Some(slot.owner) })
    }

    /// `by` holds the record durably.
    pub fn stored(&mut self, by: NodeId) {
        self.answer(by, Answer::Stored);
    }

    /// `by` says no. Perhaps somebody else can be asked.
    pub fn refused(&mut self, by: NodeId) -> Option<Ask> {
        self.answer(by, Answer::Refused)
    }

    /// `by` did not answer within an attempt. It still may; meanwhile somebody else is asked.
    pub fn silent(&mut self, by: NodeId) -> Option<Ask> {
        self.answer(by, Answer::Silent)
    }

    fn answer(&mut self, by: NodeId, answer: Answer) -> Option<Ask> {
        let at = self.slots.iter().position(|s| s.tries.iter().any(|t| t.by == by))?;
        let own = self.slots[at].tries.iter_mut().find(|t| t.by == by)?;
        if own.answer == Answer::Stored {
            return None;
        }
        own.answer = answer;
        self.next_spare(at)
    }

    /// Who was asked and has not answered at all.
    pub fn open(&self) -> impl Iterator<Item = Ask> + '_ {
        self.slots.iter().flat_map(|slot| {
            let open = slot.tries.iter().filter(|t| t.answer == Answer::Open);
            open.map(|t| Ask { to: t.by, hint_for: (t.by != slot.owner).then_some(slot.owner) })
        })
    }

    /// Whether `node` was asked, and for whom.
    pub fn asked(&self, node: NodeId) -> Option<Ask> {
        self.slots.iter().find_map(|slot| {
            let asked = slot.tries.iter().any(|t| t.by == node);
            asked.then_some(Ask { to: node, hint_for: (node != slot.owner).then_some(slot.owner) })
        })
    }

    /// How many slots hold it: of the list in which they are fewer.
    pub fn received(&self) -> usize {
        (0..self.lists).map(|list| self.received_in(list)).min().unwrap_or(0)
    }

    fn received_in(&self, list: usize) -> usize {
        self.slots.iter().map(|slot| slot.count(list)).sum()
    }

    /// How many slots must hold it.
    pub fn required(&self) -> usize {
        self.quorum.required
    }

    /// Has the quorum been met?
    pub fn verdict(&self) -> Verdict {
        let stored = self.received();
        if stored >= self.quorum.required {
            Verdict::Met
        } else if self.is_hopeless() && self.is_settled() {
            Verdict::Missed { stored }
        } else {
            Verdict::Waiting
        }
    }

    /// Whether too few are left who have it or may still store it. Those who are open will nevertheless be
    /// heard before the verdict: the client is to be told how many hold what it wrote.
    pub fn is_hopeless(&self) -> bool {
        (0..self.lists).any(|list| {
            let hopeful = |slot: &&Slot| slot.is_stored_in(list) || slot.can_still_come(list);
            self.slots.iter().filter(hopeful).count() < self.quorum.required
        })
    }

    /// Whether nobody is left to be waited for.
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| {
            (0..2).all(|list| !slot.lists[list] || slot.is_stored_in(list))
                || slot.tries.iter().all(|t| t.answer != Answer::Open)
        })
    }

    /// The owners for which neither they nor a stand-in confirmed the record.
    pub fn unconfirmed(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.slots.iter().filter(|slot| !slot.is_stored()).map(|slot| slot.owner)
    }

    /// The owners whose slot a stand-in holds, and nobody else.
    pub fn hinted(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.slots.iter().filter_map(|slot| {
            let stored = |t: &Try| t.by == slot.owner && t.answer == Answer::Stored;
            let own = slot.tries.iter().any(stored);
            (slot.is_stored() && !own).then_some(slot.owner)
        })
    }

    /// Everybody who confirmed the record.
    pub fn confirmed_by(&self) -> impl Iterator<Item = NodeId> + '_ {
        let tries = self.slots.iter().flat_map(|slot| &slot.tries);
        tries.filter(|t| t.answer == Answer::Stored).map(|t| t.by)
    }
}

#[cfg(test)]
#[path = "put_tests.rs"]
mod tests;
