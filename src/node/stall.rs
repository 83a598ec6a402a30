//! A node that has stood still does not know what it has missed: perhaps it is no member any more.
//!
//! ```text
//!   turn … turn                    STOOD_STILL or longer                    turn
//!                                                                            ├─ asks everybody for newer agreements
//!                                                                            └─ takes no requests for a moment
//! ```
//!
//! Nobody else can tell it in time: whoever removed it talks to it no more, and a write at W=1 asks nobody. A node that
//! cannot reach anybody goes on after that moment, as one that was cut off does.

use crate::time::{Duration, Instant};

/// How long a node may stand still and be sure that nobody has removed it: less than it takes to be called dead.
const STOOD_STILL: Duration = Duration::from_secs(5);
/// How long it then listens before it takes requests.
const LISTENS: Duration = Duration::from_secs(1);

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Stall {
    last: Option<Instant>,
    until: Option<Instant>,
}

impl Stall {
    /// The node does something. True: it had stood still.
    pub fn moves(&mut self, now: Instant) -> bool {
        let stood = self.last.is_some_and(|last| now.since(last) >= STOOD_STILL);
        self.last = Some(now);
        self.until.take_if(|until| now >= *until);
        if stood {
            self.until = Some(now + LISTENS);
        }
        stood
    }

    /// Whether it listens first.
    pub fn listens(&self) -> bool {
        self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stood_still_for_long_listens_for_a_moment() {
        let at = |ms: u64| Instant(1_000_000 + ms * 1_000);
        let mut stall = Stall::default();
        assert!(!stall.moves(at(0)) && !stall.moves(at(4_900)) && !stall.listens());
        assert!(stall.moves(at(9_900)) && stall.listens());
        assert!(!stall.moves(at(10_800)) && stall.listens());
        assert!(!stall.moves(at(10_900)) && !stall.listens());
    }
}
