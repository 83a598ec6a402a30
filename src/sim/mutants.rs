//! Does the simulator notice when a guard is gone? One guard at a time is taken out, and seeds are run until one of
//! them breaks a promise.

use super::many::judge;
use super::run::Setup;
use crate::guard::{self, Guard};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the hunt for one mutant ended.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// What was taken out.
    pub guard: Guard,
    /// How many seeds were run.
    pub seeds: u64,
    /// The seed that broke a promise, and which one; none: the mutant got away.
    pub caught: Option<(u64, String)>,
}

/// Runs up to `most` seeds without the guard, from `setup.seed` on, until one fails.
pub fn hunt(guard: Guard, setup: &Setup, most: u64) -> Hunt {
    guard::take_out(Some(guard));
    let mut hunt = Hunt { guard, seeds: 0, caught: None };
    while hunt.caught.is_none() && hunt.seeds < most {
        let seed = setup.seed.wrapping_add(hunt.seeds);
        hunt.seeds += 1;
        let report = judge(&Setup { seed, ..setup.clone() });
        hunt.caught = report.violations.into_iter().next().map(|violation| (seed, violation));
    }
    guard::take_out(None);
    hunt
}

/// Hunts these mutants, on so many threads; `tick` is called after each.
pub fn hunt_all(
    guards: &[Guard],
    setup: &Setup,
    most: u64,
    threads: usize,
    tick: impl Fn(&Hunt) + Sync,
) -> Vec<Hunt> {
    let next = AtomicUsize::new(0);
    let hunts = Mutex::new(Vec::new());
    let work = || {
        while let Some(guard) = guards.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hunt = hunt(*guard, setup, most);
            tick(&hunt);
            hunts.lock().unwrap_or_else(PoisonError::into_inner).push(hunt);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut hunts = hunts.into_inner().unwrap_or_else(PoisonError::into_inner);
    hunts.sort_by_key(|hunt| hunt.guard);
    hunts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose loss a hundred and fifty seeds may be too few to notice. The scripts of stories 5 and 6 notice the first,
    /// those of the late retries the second and the third (`tests/scripts`), and `what_does_not_arrive_keeps_its_range`
    /// the fourth. What a tree lacks the scrub finds before anybody else, here; unit tests compare trees with what is
    /// there. The others are about moments in which owners change or tombstones go, which few seeds have.
    const TOO_RARE: [Guard; 15] = [
        Guard::Witness,
        Guard::FirstStamp,
        Guard::BeatenStays,
        Guard::DirtyRangeStays,
        Guard::TreeIsKept,
        Guard::WriteBoth,
        Guard::CopiedBeforeRead,
        Guard::ComparedBeforeErased,
        Guard::AliveIsNotRemoved,
        Guard::OldOwnersKnow,
        Guard::VerifiedByAll,
        Guard::HintsAreDrained,
        Guard::RoundIsClosed,
        Guard::CollectedIsKnown,
        Guard::OldStoreIsMute,
    ];

    /// Some are caught by one seed of a hundred: a hedged read hears the right one more often than not.
    const MOST: u64 = 150;

    /// The seed that caught a guard's loss last, where the first thirty do not: tried first, for speed alone.
    const CAUGHT_BY: [(Guard, u64); 4] = [
        (Guard::HintStays, 41),
        (Guard::DurableReads, 31),
        (Guard::RebuildingIsNoAnswer, 32),
        (Guard::WriteBack, 51),
    ];

    /// Each by a verdict of the simulator.
    #[test]
    fn the_simulator_notices_when_a_guard_is_gone() {
        let known = CAUGHT_BY.map(|(guard, seed)| hunt(guard, &Setup::new(seed), 1));
        let caught: Vec<Guard> =
            known.iter().filter(|hunt| hunt.caught.is_some()).map(|hunt| hunt.guard).collect();
        let often: Vec<Guard> = Guard::EVERY
            .into_iter()
            .filter(|guard| !TOO_RARE.contains(guard) && !caught.contains(guard))
            .collect();
        let hunts = hunt_all(&often, &Setup::new(1), MOST, 2, |_| {});
        let missed: Vec<_> = hunts.iter().filter(|hunt| hunt.caught.is_none()).collect();
        for hunt in &hunts {
            println!("{:24} {:3} seeds  {:?}", hunt.guard.name(), hunt.seeds, hunt.caught);
        }
        assert!(missed.is_empty(), "{missed:?}");
    }
}
