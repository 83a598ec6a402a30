//! Who waits for which answer on one connection.
//!
//! A request id is the place in the slab and how often that place was used before: an answer that comes
//! after its caller's place was given to another one finds nobody, rather than the wrong caller.

use super::attempts::Outcome;
use super::link::Ticket;
use tokio::sync::oneshot;

/// Someone who waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A request. The ticket counts it as under way until it is dropped.
    Caller(oneshot::Sender<Outcome>, Ticket),
    /// The connection itself, which asked whether the node is alive.
    SignOfLife,
    /// The connection itself, which asked who owns what.
    Placement,
}

#[derive(Debug, Default)]
struct Place {
    uses: u32,
    waiting: Option<Waiting>,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Slab {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Slab {
    /// Gives a place, and the request id for it.
    pub(super) fn insert(&mut self, waiting: Waiting) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("requests under way are bounded")
        });
        let place = &mut self.places[index as usize];
        place.waiting = Some(waiting);
        u64::from(place.uses) << 32 | u64::from(index)
    }

    /// Who waits for this answer; `None` if nobody does any more, or ever did.
    pub(super) fn take(&mut self, id: u64) -> Option<Waiting> {
        let index = (id & u64::from(u32::MAX)) as u32;
        let place = self.places.get_mut(index as usize)?;
        if u64::from(place.uses) != id >> 32 {
            return None;
        }
        let waiting = place.waiting.take()?;
        place.uses = place.uses.wrapping_add(1);
        self.free.push(index);
        Some(waiting)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Tells every caller that no answer will come.
    pub(super) fn lose_all(self) {
        for place in self.places {
            if let Some(Waiting::Caller(answer, _ticket)) = place.waiting {
                // Whoever stopped waiting need not hear it.
                let _ = answer.send(Outcome::Lost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_finds_nobody() {
        let mut slab = Slab::default();
        let first = slab.insert(Waiting::SignOfLife);
        let second = slab.insert(Waiting::SignOfLife);
        assert!(slab.take(first).is_some() && slab.take(first).is_none());
        let third = slab.insert(Waiting::SignOfLife);
        assert_ne!(first, third);
        assert!(slab.take(first).is_none() && !slab.is_empty());
        assert!(slab.take(third).is_some() && slab.take(second).is_some());
        assert!(slab.is_empty() && slab.take(99).is_none() && slab.take(u64::MAX).is_none());
    }
}
