//! What is going to happen, in simulated time: the heap of (time, sequence, delivery) of every simulation.
//!
//! ```text
//!   add(3 ms, a)  add(1 ms, b)  add(3 ms, c)      ─► pop: b, a, c     equal times in the order of adding
//! ```

use super::Instant;
use std::collections::BTreeMap;

/// Things to come, the next one first.
#[derive(Clone, Debug)]
pub struct Agenda<T> {
    to_come: BTreeMap<(Instant, u64), T>,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { to_come: BTreeMap::new(), sequence: 0 }
    }
}

impl<T> Agenda<T> {
    /// Adds a thing, after everything else of that time.
    pub fn add(&mut self, at: Instant, what: T) {
        self.sequence += 1;
        self.to_come.insert((at, self.sequence), what);
    }

    /// Puts back what was popped, perhaps for later: it keeps its place among things of one time.
    pub fn put_back(&mut self, at: Instant, sequence: u64, what: T) {
        self.to_come.insert((at, sequence), what);
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Instant> {
        self.to_come.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing: when, which one it was to be added, what.
    pub fn pop(&mut self) -> Option<(Instant, u64, T)> {
        self.to_come.pop_first().map(|((at, sequence), what)| (at, sequence, what))
    }

    /// The next thing, if it happens by then.
    pub fn pop_by(&mut self, end: Instant) -> Option<(Instant, T)> {
        self.next_at().filter(|at| *at <= end)?;
        self.pop().map(|(at, _, what)| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_the_order_of_adding() {
        let mut agenda = Agenda::default();
        for (at, what) in [(3, 'a'), (1, 'b'), (3, 'c'), (3, 'd')] {
            agenda.add(Instant(at), what);
        }
        assert_eq!(agenda.pop_by(Instant(0)), None);
        assert_eq!(agenda.pop_by(Instant(2)), Some((Instant(1), 'b')));
        let (at, sequence, a) = agenda.pop().expect("three are left");
        assert_eq!((at, a), (Instant(3), 'a'));
        agenda.put_back(at, sequence, a);
        let rest: Vec<char> = std::iter::from_fn(|| agenda.pop()).map(|(.., what)| what).collect();
        assert_eq!(rest, ['a', 'c', 'd']);
    }
}
