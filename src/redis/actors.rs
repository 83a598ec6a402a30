//! Under which name this process counts, number by number.
//!
//! An actor's sums only grow, and the larger one hides the smaller. So an actor must know all that it ever counted: whoever
//! has forgotten, or does not know what became of a write, takes a new name. What was read may be older than what we
//! wrote; then the larger one counts, which is ours.

use super::value::{Sums, Text};
use bytes::Bytes;
use std::collections::BTreeMap;

/// How many numbers are remembered, of the older half and of the younger.
const HALF: usize = 32_768;

/// A key, or a field of one.
pub(super) type Name = (Bytes, Option<Bytes>);

/// What this process has counted in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    actor: u64,
    generation: u64,
    sums: Sums,
}

impl Own {
    /// Counts, going on from what this process has counted before, if it may. `None`: there are too many actors.
    pub(super) fn count(
        before: Option<Own>,
        text: &mut Text,
        amount: i64,
        fresh: impl FnOnce() -> u64,
    ) -> Option<Own> {
        // What is not in the number any more was deleted, or never seen: to go on would bring it back.
        let before = before.filter(|own| own.generation == text.generation);
        let before = before.and_then(|own| Some((own, *text.sums.get(&own.actor)?)));
        let (actor, mut sums) = match before {
            Some((own, read)) => {
                let (up, down) = (own.sums.up.max(read.up), own.sums.down.max(read.down));
                (own.actor, Sums { up, down })
            }
            None if text.sums.len() >= super::value::ACTORS_LIMIT => return None,
            None => (fresh(), Sums::default()),
        };
        let by = u128::from(amount.unsigned_abs());
        let side = if amount < 0 { &mut sums.down } else { &mut sums.up };
        *side = side.checked_add(by)?;
        text.sums.insert(actor, sums);
        Some(Own { actor, generation: text.generation, sums })
    }

    /// Brings what was read up to what we know that we wrote.
    pub(super) fn refresh(self, text: &mut Text) {
        if self.generation == text.generation
            && let Some(read) = text.sums.get_mut(&self.actor)
        {
            read.up = read.up.max(self.sums.up);
            read.down = read.down.max(self.sums.down);
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Actors {
    young: BTreeMap<Name, Own>,
    old: BTreeMap<Name, Own>,
}

impl Actors {
    /// Takes it out: until it is given back, nobody goes on with it.
    pub(super) fn take(&mut self, name: &Name) -> Option<Own> {
        self.young.remove(name).or_else(|| self.old.remove(name))
    }

    /// Gives it back, when what it counted is known to be stored.
    pub(super) fn give(&mut self, name: Name, own: Own) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_read_does_not_hide_what_was_counted() {
        let mut text = Text::counter();
        let own = Own::count(None, &mut text, 1, || 7);
        let stale = text.clone();
        let own = Own::count(own, &mut text, 1, || unreachable!("it goes on"));
        let mut again = stale;
        Own::count(own, &mut again, 1, || unreachable!("it goes on"));
        assert_eq!(again.as_integer(), Some(3));
    }

    #[test]
    fn what_was_deleted_is_not_counted_on() {
        let mut text = Text::counter();
        let own = Own::count(None, &mut text, 5, || 7);
        let mut anew = Text::counter();
        Own::count(own, &mut anew, 1, || 8);
        assert_eq!(anew.as_integer(), Some(1));
    }
}
