//! Who wants to change the same item at once: one of them does it for all.
//!
//! ```text
//!   +1 ─┐
//!   +5 ─┼─► waiting ─► whose turn it is takes all ─► read, one after the other, write ─► each its answer
//!   +2 ─┘                      │
//!                              └─ goes away before it has begun: they wait on, for the next one's turn
//! ```

use crate::error::{Error, Result};
use crate::id::Item;
use crate::quorum::QuorumRequest;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot::{self, error::TryRecvError};

/// How many may wait for one item.
pub(super) const CROWD_LIMIT: usize = 1_024;

/// How many replicas must answer a read and a write: who differs in that is not served together.
pub(super) type Quorums = (QuorumRequest, QuorumRequest);

/// All who wait, item by item.
#[derive(Debug)]
pub(super) struct Crowd<Op, Out>(Mutex<BTreeMap<Item, Vec<Waiting<Op, Out>>>>);

#[derive(Debug)]
struct Waiting<Op, Out> {
    operation: Op,
    quorums: Quorums,
    answer: oneshot::Sender<Result<Out>>,
}

impl<Op, Out> Default for Crowd<Op, Out> {
    fn default() -> Self {
        Crowd(Mutex::default())
    }
}

impl<Op, Out> Crowd<Op, Out> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Item, Vec<Waiting<Op, Out>>>> {
        // What is inside is whole between two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits with the others.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: as many as may wait do; nothing changed.
    pub fn join(&self, item: Item, quorums: Quorums, operation: Op) -> Result<Ticket<'_, Op, Out>> {
        let mut items = self.lock();
        let waiting = items.entry(item.clone()).or_default();
        if waiting.len() >= CROWD_LIMIT {
            let why = format!("{CROWD_LIMIT} operations wait for this value already");
            return Err(Error::Overloaded(why));
        }
        let (answer, receiver) = oneshot::channel();
        waiting.push(Waiting { operation, quorums, answer });
        Ok(Ticket { crowd: self, item, quorums, receiver, is_answered: false })
    }

    /// Takes out those that still want it, in their order.
    fn take(&self, item: &Item, quorums: Quorums) -> Vec<Waiting<Op, Out>> {
        let mut items = self.lock();
        let all = items.remove(item).unwrap_or_default().into_iter();
        let all = all.filter(|waiting| !waiting.answer.is_closed());
        let (taken, left): (Vec<_>, Vec<_>) = all.partition(|waiting| waiting.quorums == quorums);
        if !left.is_empty() {
            items.insert(item.clone(), left);
        }
        taken
    }

    /// In front of who has come since.
    fn put_back(&self, item: &Item, mut taken: Vec<Waiting<Op, Out>>) {
        let mut items = self.lock();
        taken.append(&mut items.remove(item).unwrap_or_default());
        items.insert(item.clone(), taken);
    }
}

/// Somebody who waits; who drops it does not want it any more.
#[derive(Debug)]
pub(super) struct Ticket<'a, Op, Out> {
    crowd: &'a Crowd<Op, Out>,
    item: Item,
    quorums: Quorums,
    receiver: oneshot::Receiver<Result<Out>>,
    is_answered: bool,
}

impl<'a, Op, Out> Ticket<'a, Op, Out> {
    /// What has come of it; `None`: it still waits.
    pub fn answer(&mut self) -> Option<Result<Out>> {
        let answer = match self.receiver.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            // Who did it went away in the middle of the write.
            Err(TryRecvError::Closed) => Err(Error::OutcomeUnknown { required: 1, received: 0 }),
        };
        self.is_answered = true;
        Some(answer)
    }

    /// Now it is our turn: all of the item that want the same quorums, and us.
    pub fn all(&self) -> Batch<'a, Op, Out> {
        let waiting = self.crowd.take(&self.item, self.quorums);
        Batch { crowd: self.crowd, item: self.item.clone(), waiting }
    }
}

impl<Op, Out> Drop for Ticket<'_, Op, Out> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.receiver.close();
        let mut items = self.crowd.lock();
        if let Some(waiting) = items.get_mut(&self.item) {
            waiting.retain(|waiting| !waiting.answer.is_closed());
            if waiting.is_empty() {
                items.remove(&self.item);
            }
        }
    }
}

/// Those who are served together. Dropped before it has [begun](Batch::begin), they wait on.
#[derive(Debug)]
pub(super) struct Batch<'a, Op, Out> {
    crowd: &'a Crowd<Op, Out>,
    item: Item,
    waiting: Vec<Waiting<Op, Out>>,
}

impl<Op, Out> Batch<'_, Op, Out> {
    /// From here on they are done, or nobody knows.
    pub fn begin(mut self) -> (Vec<Op>, Answers<Out>) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (operations, answers) =
            waiting.map(|waiting| (waiting.operation, waiting.answer)).unzip();
        (operations, Answers(answers))
    }
}

impl<Op, Out> Drop for Batch<'_, Op, Out> {
    fn drop(&mut self) {
        if !self.waiting.is_empty() {
            self.crowd.put_back(&self.item, std::mem::take(&mut self.waiting));
        }
    }
}

/// To whom answers go.
#[derive(Debug)]
pub(super) struct Answers<Out>(Vec<oneshot::Sender<Result<Out>>>);

impl<Out> Answers<Out> {
    /// To each its own.
    pub fn tell(self, results: impl IntoIterator<Item = Result<Out>>) {
        for (answer, result) in self.0.into_iter().zip(results) {
            // Nobody waits: it has gone.
            let _ = answer.send(result);
        }
    }

    /// To all the same.
    pub fn fail(self, error: &Error) {
        let count = self.0.len();
        self.tell(std::iter::repeat_n(error, count).map(|error| Err(error.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item { bucket: "b".into(), key: "k".into(), sort: "".into() }
    }

    type Adds = Crowd<u8, u8>;

    fn quorums() -> Quorums {
        Quorums::default()
    }

    #[test]
    fn one_takes_all_and_each_has_its_answer() {
        let crowd = Adds::default();
        let mut tickets = [1, 2, 3].map(|op| crowd.join(item(), quorums(), op).expect("room"));
        let (operations, answers) = tickets[1].all().begin();
        assert_eq!(operations, [1, 2, 3]);
        assert!(tickets[0].answer().is_none());
        answers.tell(operations.into_iter().map(|op| Ok(op * 10)));
        assert_eq!(
            tickets.each_mut().map(|ticket| ticket.answer()),
            [10, 20, 30].map(|n| Some(Ok(n)))
        );
        assert!(crowd.lock().is_empty());
    }

    #[test]
    fn who_goes_before_it_has_begun_leaves_the_others_waiting_in_order() {
        let crowd = Adds::default();
        let [gone, second] = [1, 2].map(|op| crowd.join(item(), quorums(), op).expect("room"));
        let batch = gone.all();
        let third = crowd.join(item(), quorums(), 3).expect("room");
        drop(gone);
        drop(batch);
        assert_eq!(second.all().begin().0, [2, 3]);
        drop(third);
    }

    #[test]
    fn who_goes_in_the_middle_leaves_an_unknown_outcome() {
        let crowd = Adds::default();
        let mut ticket = crowd.join(item(), quorums(), 1).expect("room");
        drop(ticket.all().begin());
        assert!(matches!(ticket.answer(), Some(Err(Error::OutcomeUnknown { .. }))));
    }

    #[test]
    fn who_wants_other_quorums_has_a_turn_of_its_own() {
        let crowd = Adds::default();
        let strict = QuorumRequest { strict: true, ..QuorumRequest::default() };
        let one = crowd.join(item(), quorums(), 1).expect("room");
        let other = crowd.join(item(), (strict, strict), 2).expect("room");
        assert_eq!(one.all().begin().0, [1]);
        assert_eq!(other.all().begin().0, [2]);
    }

    #[test]
    fn there_is_an_end_of_room_and_who_goes_makes_some() {
        let crowd = Adds::default();
        let join = || crowd.join(item(), quorums(), 0);
        let mut all: Vec<_> = (0..CROWD_LIMIT).map(|_| join().expect("room")).collect();
        assert!(matches!(join(), Err(Error::Overloaded(_))));
        all.pop();
        assert!(join().is_ok());
        all.clear();
        assert!(crowd.lock().is_empty());
    }
}
