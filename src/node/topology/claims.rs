//! What this node says of how far it has come.
//!
//! ```text
//!   at 40 ─► start: nobody has confirmed it ─── trial X: 41 … 65 ───► confirmed: 66 … ───►
//!               └─ put back to 40 ─► start ─── trial Y: 41 …          "X has come to 65": what I have is old
//! ```
//!
//! - What a confirmed node says raises what the others have seen of it. Until it is confirmed it may be an old copy,
//!   and must not cover up what they saw of the life that it has lost. But what it stores counts, and so it must not
//!   go unseen either: somebody may put back the copy that this very run began with.
//! - So it speaks under a trial: a random number that is durable before anything is said of what came after it, and
//!   goes on through restarts. Others note how far each trial came, beside what they have seen.
//! - Whatever was seen before a trial began, and of every other trial, is no further than where it began; else this is
//!   an old copy. Of the same trial it is no further than what is durable now.
//! - That the trial is over is durable before anything is said without it.
//! - A disk that is full refuses that, too. So whatever batch it takes next begins with it: nothing is stored, and shown
//!   to others, that nobody could have been told of.

use super::identity::{OpenError, put};
use super::open::read;
use super::witness::Seen;
use crate::id::Lineage;
use crate::store::{Change, Store};
use serde::{Deserialize, Serialize};

/// The node's own record of it.
const RECORD: &str = "trial";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    lineage: Lineage,
    number: u32,
    /// What was durable when it began.
    since: u64,
}

/// See the module's picture.
#[derive(Debug)]
pub(super) struct Claims {
    /// `None`: the node is confirmed.
    trial: Option<Trial>,
    /// The trial is durable.
    is_kept: bool,
    /// Enough others have answered.
    has_passed: bool,
    /// What is to be durable next is on its way.
    is_staged: bool,
}

/// What is on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The trial that this node speaks under.
    Trial,
    /// That it is over.
    Confirmed,
}

impl Claims {
    /// Goes on with the trial that an earlier run has left open, or begins one at what is durable. `fresh`: this run
    /// drew its own lineage, of which nobody can have seen anything.
    pub fn open(
        store: &dyn Store,
        lineage: Lineage,
        fresh: bool,
        rng: &mut fastrand::Rng,
    ) -> Result<Claims, OpenError> {
        let nothing = Claims { trial: None, is_kept: false, has_passed: false, is_staged: false };
        if fresh {
            return Ok(nothing);
        }
        let kept: Option<Option<Trial>> = read(store, RECORD, false)?;
        let kept = kept.flatten().filter(|trial| trial.lineage == lineage);
        let begin = || Trial { lineage, number: rng.u32(1..), since: store.durable().0 };
        Ok(Claims { trial: Some(kept.unwrap_or_else(begin)), is_kept: kept.is_some(), ..nothing })
    }

    /// Enough others have answered: the trial is over once that is durable.
    pub fn passed(&mut self) {
        (self.has_passed, self.is_staged) = (true, false);
    }

    /// What the next batch begins with, if it is not on its way: the caller says when it is durable, or refused.
    pub fn stage(&mut self) -> Option<(Claim, Change)> {
        let trial = self.trial.filter(|_| !self.is_staged)?;
        let staged = match (self.has_passed, self.is_kept) {
            (true, _) => (Claim::Confirmed, put(RECORD, &None::<Trial>)),
            (false, false) => (Claim::Trial, put(RECORD, &Some(trial))),
            (false, true) => return None,
        };
        self.is_staged = true;
        Some(staged)
    }

    /// A batch was refused, perhaps with it.
    pub fn refused(&mut self) {
        self.is_staged = false;
    }

    /// It is durable.
    pub fn kept(&mut self, claim: Claim) {
        match claim {
            Claim::Trial => self.is_kept = true,
            Claim::Confirmed => self.trial = None,
        }
    }

    /// What a frame says, given what is durable: a commit, and under which trial; 0: none.
    pub fn told(&self, durable: u64) -> (u64, u32) {
        match self.trial {
            None => (durable, 0),
            Some(trial) if self.is_kept => (durable, trial.number),
            Some(trial) => (durable.min(trial.since), trial.number),
        }
    }

    /// What may be said without naming the trial.
    pub fn sure(&self, durable: u64) -> u64 {
        self.trial.map_or(durable, |trial| durable.min(trial.since))
    }

    /// The commit by which another member has seen this directory further than it is, while this is durable.
    pub fn is_behind(&self, seen: &Seen, durable: u64) -> Option<u64> {
        let before = self.sure(durable);
        let mine = self.trial.map_or(0, |trial| trial.number);
        let of_trial = |(number, commit): (&u32, &u64)| {
            (*commit > if *number == mine { durable } else { before }).then_some(*commit)
        };
        let ahead = Some(seen.commit).filter(|commit| *commit > before);
        ahead.or_else(|| seen.trials.iter().find_map(of_trial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn what_a_full_disk_refuses_goes_with_whatever_it_takes_next() {
        let mut rng = fastrand::Rng::with_seed(1);
        let claims = Claims::open(&MemoryStore::new(), Lineage(3), false, &mut rng);
        let mut claims = claims.expect("an empty store");
        let stage = |claims: &mut Claims| claims.stage().map(|(claim, _)| claim);
        assert_eq!(stage(&mut claims), Some(Claim::Trial));
        assert_eq!(stage(&mut claims), None, "it is on its way");
        claims.refused();
        assert_eq!(stage(&mut claims), Some(Claim::Trial));
        assert_eq!(
            claims.told(9),
            (0, claims.trial.expect("open").number),
            "it is not durable yet"
        );
        // Enough have answered, and it is still on its way: what comes behind it says that it is over.
        claims.passed();
        assert_eq!(stage(&mut claims), Some(Claim::Confirmed));
        claims.refused();
        assert_eq!(stage(&mut claims), Some(Claim::Confirmed), "and never the trial once more");
        assert_eq!(stage(&mut claims), None);
        claims.kept(Claim::Confirmed);
        assert_eq!((stage(&mut claims), claims.told(9)), (None, (9, 0)));
        claims.refused();
        assert_eq!(stage(&mut claims), None, "somebody else's batch");
    }
}
