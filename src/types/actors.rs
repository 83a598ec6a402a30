//! Under which name this process counts, item by item, and how far it has come.
//!
//! ```text
//!   take ── read, count, write ──┬── stored: give back
//!                                └── unknown, or nobody waited: never used again
//! ```
//!
//! An actor that is used again must know all that it ever wrote. So it goes on only where what was read is exactly its
//! last write; whoever has read something older, or has forgotten, takes a new name.

use super::counter::Actor;
use crate::id::Item;
use std::collections::BTreeMap;

/// How many are remembered, of the older half and of the younger.
const HALF: usize = 16_384;

/// An actor, and the version that it wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) actor: Actor,
    pub(super) version: u64,
}

impl Own {
    /// The actor to go on with: the one before, if what was read is what it wrote last.
    pub(super) fn go_on(
        before: Option<Own>,
        read: impl FnOnce(&Actor) -> Option<u64>,
        fresh: impl FnOnce() -> Actor,
    ) -> Actor {
        match before {
            Some(own) if read(&own.actor) == Some(own.version) => own.actor,
            _ => fresh(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Actors {
    young: BTreeMap<Item, Own>,
    old: BTreeMap<Item, Own>,
}

impl Actors {
    /// Takes it out: until it is given back, nobody goes on with it.
    pub(super) fn take(&mut self, item: &Item) -> Option<Own> {
        let old = self.old.remove(item);
        self.young.remove(item).or(old)
    }

    /// Gives it back, when what it wrote is known to be stored.
    pub(super) fn give(&mut self, item: Item, own: Own) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(item, own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(sequence: u64) -> Actor {
        Actor { session: 1, sequence }
    }

    #[test]
    fn an_actor_goes_on_only_from_its_own_last_write() {
        let own = Some(Own { actor: actor(1), version: 4 });
        let check = |read: Option<u64>, expected: u64| {
            assert_eq!(Own::go_on(own, |_| read, || actor(2)), actor(expected), "{read:?}");
        };
        check(Some(4), 1);
        check(Some(3), 2);
        check(Some(5), 2);
        check(None, 2);
        assert_eq!(Own::go_on(None, |_| Some(4), || actor(2)), actor(2));
    }

    #[test]
    fn whoever_is_at_work_is_not_taken_twice() {
        let item = Item { bucket: "b".into(), key: "k".into(), sort: "".into() };
        let mut actors = Actors::default();
        actors.give(item.clone(), Own { actor: actor(1), version: 1 });
        assert!(actors.take(&item).is_some());
        assert_eq!(actors.take(&item), None);
    }
}
