//! A put's tally: W distinct owner slots must hold the record durably.
//!
//! ```text
//!   slot a:  A asked ── stored                          ✔
//!   slot b:  B asked ── silent ── D asked for B ── stored   ✔   (B's late ack adds nothing)
//!   slot c:  C down, E asked for C ── silent            open: the coordinator keeps a hint
//! ```

use super::{Reach, Replicas};
use crate::guard::{self, Guard};
use crate::id::NodeId;
use crate::quorum::Quorum;
use std::collections::VecDeque;

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

#[derive(Clone, Debug)]
struct Slot {
    owner: NodeId,
    tries: Vec<(NodeId, Answer)>,
}

impl Slot {
    fn is_stored(&self) -> bool {
        self.tries.iter().any(|(_, answer)| *answer == Answer::Stored)
    }

    /// One, whoever holds it, and how many do.
    fn count(&self) -> usize {
        let stored = self.tries.iter().filter(|(_, answer)| *answer == Answer::Stored).count();
        if stored > 1 && !guard::holds(Guard::DistinctSlots) { stored } else { stored.min(1) }
    }

    fn can_still_come(&self) -> bool {
        self.tries.iter().any(|(_, answer)| matches!(answer, Answer::Open | Answer::Silent))
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
    spares: VecDeque<NodeId>,
}

impl Put {
    /// Begins a put that `me` coordinates; the asks include the one to `me`.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId) -> (Put, Vec<Ask>) {
        let mut spares: VecDeque<NodeId> = VecDeque::new();
        if !quorum.strict {
            // The coordinator stands in itself before it asks others to; sure ones before doubtful ones.
            let all = &replicas.fallbacks;
            let mine = all.iter().filter(|(node, _)| *node == me);
            let up = all.iter().filter(|(node, r)| *node != me && *r == Reach::Up);
            let doubtful = all.iter().filter(|(node, r)| *node != me && *r == Reach::Doubtful);
            spares.extend(mine.chain(up).chain(doubtful).map(|(node, _)| *node));
        }
        let mut asks = Vec::with_capacity(replicas.owners.len());
        let mut slots: Vec<Slot> = Vec::with_capacity(replicas.owners.len());
        for &(owner, reach) in &replicas.owners {
            let mut slot = Slot { owner, tries: Vec::with_capacity(2) };
            if owner == me || reach == Reach::Up {
                slot.tries.push((owner, Answer::Open));
                asks.push(Ask { to: owner, hint_for: None });
            }
            slots.push(slot);
        }
        for (slot, &(owner, reach)) in slots.iter_mut().zip(&replicas.owners) {
            if !slot.tries.is_empty() {
                continue;
            }
            if reach == Reach::Doubtful {
                slot.tries.push((owner, Answer::Silent));
                asks.push(Ask { to: owner, hint_for: None });
            }
            if let Some(spare) = spares.pop_front() {
                slot.tries.push((spare, Answer::Open));
                asks.push(Ask { to: spare, hint_for: Some(owner) });
            }
        }
        (Put { quorum, slots, spares }, asks)
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
        let slot = self.slots.iter_mut().find(|s| s.tries.iter().any(|(node, _)| *node == by))?;
        let own = slot.tries.iter_mut().find(|(node, _)| *node == by)?;
        if own.1 == Answer::Stored {
            return None;
        }
        own.1 = answer;
        let covered = slot.tries.iter().any(|(_, a)| matches!(a, Answer::Open | Answer::Stored));
        if covered {
            return None;
        }
        let spare = self.spares.pop_front()?;
        slot.tries.push((spare, Answer::Open));
        Some(Ask { to: spare, hint_for: Some(slot.owner) })
    }

    /// Who was asked and has not answered at all.
    pub fn open(&self) -> impl Iterator<Item = Ask> + '_ {
        self.slots.iter().flat_map(|slot| {
            let open = slot.tries.iter().filter(|(_, answer)| *answer == Answer::Open);
            open.map(|(node, _)| Ask {
                to: *node,
                hint_for: (*node != slot.owner).then_some(slot.owner),
            })
        })
    }

    /// Whether `node` was asked, and for whom.
    pub fn asked(&self, node: NodeId) -> Option<Ask> {
        self.slots.iter().find_map(|slot| {
            let asked = slot.tries.iter().any(|(by, _)| *by == node);
            asked.then_some(Ask { to: node, hint_for: (node != slot.owner).then_some(slot.owner) })
        })
    }

    /// How many slots hold it.
    pub fn received(&self) -> usize {
        self.slots.iter().map(Slot::count).sum()
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
        let hopeful = |slot: &&Slot| slot.is_stored() || slot.can_still_come();
        self.slots.iter().filter(hopeful).count() < self.quorum.required
    }

    /// Whether nobody is left to be waited for.
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| {
            slot.is_stored() || slot.tries.iter().all(|(_, answer)| *answer != Answer::Open)
        })
    }

    /// The owners for which neither they nor a stand-in confirmed the record.
    pub fn unconfirmed(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.slots.iter().filter(|slot| !slot.is_stored()).map(|slot| slot.owner)
    }

    /// The owners whose slot a stand-in holds, and nobody else.
    pub fn hinted(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.slots.iter().filter_map(|slot| {
            let own = slot.tries.contains(&(slot.owner, Answer::Stored));
            (slot.is_stored() && !own).then_some(slot.owner)
        })
    }

    /// Everybody who confirmed the record.
    pub fn confirmed_by(&self) -> impl Iterator<Item = NodeId> + '_ {
        let tries = self.slots.iter().flat_map(|slot| &slot.tries);
        tries.filter(|(_, answer)| *answer == Answer::Stored).map(|(node, _)| *node)
    }
}

#[cfg(test)]
#[path = "put_tests.rs"]
mod tests;
