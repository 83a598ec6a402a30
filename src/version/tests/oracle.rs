//! The oracle: a write is a number, knowledge is a set of numbers, and a write goes when somebody who
//! knew it wrote again.

use std::fmt;

/// One write, in whichever tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event(pub u8);

/// A set of writes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Events(u128);

impl Events {
    pub fn with(self, event: Event) -> Events {
        Events(self.0 | 1 << event.0)
    }

    pub fn union(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }

    pub fn without(self, other: Events) -> Events {
        Events(self.0 & !other.0)
    }

    pub fn contains(self, event: Event) -> bool {
        self.0 >> event.0 & 1 == 1
    }

    pub fn is_subset(self, other: Events) -> bool {
        self.without(other) == Events::default()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Event> {
        (0..128).map(Event).filter(move |event| self.contains(*event))
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Events {
        events.into_iter().fold(Events::default(), Events::with)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|event| event.0)).finish()
    }
}

/// What each write's client knew when it wrote.
#[derive(Default)]
pub struct Oracle {
    pasts: Vec<Events>,
}

impl Oracle {
    pub fn new_event(&mut self, past: Events) -> Event {
        self.pasts.push(past);
        Event(u8::try_from(self.pasts.len() - 1).unwrap())
    }

    /// How many writes a history may have.
    pub fn is_full(&self) -> bool {
        self.pasts.len() >= 128
    }

    /// Of the writes that are known, those that no known write replaced.
    pub fn standing(&self, known: Events) -> Events {
        let replaced = known
            .iter()
            .map(|event| self.pasts[event.0 as usize])
            .fold(Events::default(), Events::union);
        known.without(replaced)
    }
}
