//! Which actor may write on: what a node remembers of its own lives.
//!
//! ```text
//!   start ── incarnation 7 durable ── mints (7,0) (7,1) … ── orderly stop ── 7 ended cleanly
//!   start ── incarnation 9 durable ── record of (7,0)? goes on with it ──✗ kill -9
//!   start ── incarnation c durable ── record of (7,0)? a fresh actor: life 9 may have counted it up,
//!                                     and lost the dots here while another replica has them
//! ```
//!
//! The second start is why an unclean end empties the whole list, and not only strikes out its own
//! incarnation: any clean one may have been continued by the life that was cut off. (Riak lost
//! acknowledged writes where an actor forgot what it had done: issue kv679.)

use super::vector::{Actor, VersionVector};
use crate::guard::{self, Guard};
use serde::{Deserialize, Serialize};

/// How many cleanly ended incarnations are remembered. Keys whose actor is older than that get a fresh
/// one, which is always safe.
pub const ENDED_CLEANLY_CAP: usize = 256;

/// What a record says about the actor that this node uses for its key. It never travels: a receiver
/// keeps its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The actor.
    pub actor: Actor,
    /// The highest number that it gave out.
    pub minted: u64,
}

/// This incarnation has named all its actors: nothing changed; begin a new one, make it durable, try
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this incarnation has named four billion actors; a new one must begin")]
pub struct MintsExhausted;

/// The incarnations of one node: the running one, and those that ended cleanly.
///
/// - It is made durable after every [`begin`](Incarnations::begin), before the first write, and after
///   [`end_cleanly`](Incarnations::end_cleanly), as the last thing that an orderly stop does.
/// - As long as it lies on disk with a running incarnation, it tells of an unclean end.
/// - Beginning takes a commit number of its own, and whoever gets a dot gets that number with it: else a
///   copy that was made after a clean stop looks as if nothing had happened since, while the next life
///   sent out dots before its first own commit was durable, and those are minted again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnations {
    current: Option<u64>,
    ended_cleanly: Vec<u64>,
    /// Not durable: no actor of an earlier process is ever minted again, for each has its own incarnation.
    #[serde(skip)]
    minted: u32,
}

impl Incarnations {
    /// A node that never ran.
    pub fn new() -> Incarnations {
        Incarnations::default()
    }

    /// Begins a life under the random number `incarnation`: at a start, and after a local commit failed.
    /// If the one before it did not end cleanly, no old actor goes on.
    pub fn begin(&mut self, incarnation: u64) {
        if self.current.take().is_some() {
            self.ended_cleanly.clear();
        }
        self.current = Some(incarnation);
        self.minted = 0;
    }

    /// Begins a life in a new lineage: the data was wiped, restored or damaged, so nothing that an older
    /// life did is known for certain, however cleanly the directory says it ended.
    pub fn begin_lineage(&mut self, incarnation: u64) {
        self.ended_cleanly.clear();
        self.current = None;
        self.begin(incarnation);
    }

    /// Ends the running life, all of whose writes are durable here.
    pub fn end_cleanly(&mut self) {
        if let Some(ended) = self.current.take() {
            self.ended_cleanly.push(ended);
            let excess = self.ended_cleanly.len().saturating_sub(ENDED_CLEANLY_CAP);
            self.ended_cleanly.drain(..excess);
        }
    }

    /// The running incarnation.
    pub fn current(&self) -> Option<u64> {
        self.current
    }

    /// Whether an actor's record here is all that it ever did, provided that this is no old copy of the
    /// directory: its incarnation runs, or ended cleanly.
    pub fn may_go_on(&self, actor: Actor) -> bool {
        self.current == Some(actor.incarnation) || self.ended_cleanly.contains(&actor.incarnation)
    }

    /// Chooses the actor for a write: the one that the record names, if it surely remembers everything
    /// that it did, else a fresh one.
    ///
    /// - `local`: the stored record's; `None` when there is no record, or none of ours.
    /// - `seen`: the record's vector and the context's. If one claims more of the actor than it gave out,
    ///   either something was lost here or somebody forged; a fresh actor harms neither way.
    /// - `witnessed`: whether a majority of members has confirmed that this directory is no old copy.
    pub fn continue_or_mint(
        &mut self,
        local: Option<&Local>,
        seen: [&VersionVector; 2],
        witnessed: bool,
    ) -> Result<Actor, MintsExhausted> {
        if let Some(local) = local
            && witnessed
            && (self.may_go_on(local.actor) || !guard::holds(Guard::FreshActor))
            && seen.iter().all(|vector| vector.get(local.actor) <= local.minted)
        {
            return Ok(local.actor);
        }
        self.mint(seen)
    }

    fn mint(&mut self, seen: [&VersionVector; 2]) -> Result<Actor, MintsExhausted> {
        let incarnation = self.current.expect("a life begins before it writes");
        loop {
            let actor = Actor { incarnation, mint: self.minted };
            self.minted = self.minted.checked_add(1).ok_or(MintsExhausted)?;
            // Known already, though never minted here: this machine was set back to a snapshot while it
            // ran. The witnesses will tell; until then no such dot is given out twice.
            if seen.iter().all(|vector| vector.get(actor) == 0) {
                return Ok(actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Dot;
    use crate::version::tests::kit::started;

    fn nothing() -> VersionVector {
        VersionVector::new()
    }

    fn knows(actor: Actor, counter: u64) -> VersionVector {
        [Dot::new(actor, counter)].into_iter().collect()
    }

    fn go_on(node: &mut Incarnations, local: Local, claimed: u64, witnessed: bool) -> bool {
        let vector = knows(local.actor, claimed);
        let chosen = node.continue_or_mint(Some(&local), [&vector, &nothing()], witnessed);
        chosen == Ok(local.actor)
    }

    fn first_actor(node: &mut Incarnations) -> Local {
        let actor = node.continue_or_mint(None, [&nothing(), &nothing()], true).unwrap();
        Local { actor, minted: 1 }
    }

    #[test]
    fn the_running_incarnation_goes_on() {
        let mut node = started(1);
        let local = first_actor(&mut node);
        assert!(go_on(&mut node, local, 1, true));
    }

    #[test]
    fn a_cleanly_ended_incarnation_goes_on_also_after_several_clean_stops() {
        let mut node = started(1);
        let local = first_actor(&mut node);
        for incarnation in 2..5 {
            node.end_cleanly();
            node.begin(incarnation);
            assert!(go_on(&mut node, local, 1, true));
        }
    }

    #[test]
    fn an_unclean_end_takes_all_older_actors_with_it() {
        let mut node = started(1);
        let old = first_actor(&mut node);
        node.end_cleanly();
        node.begin(2);
        let young = first_actor(&mut node);
        node.begin(3);
        assert!(!go_on(&mut node, young, 1, true));
        assert!(!go_on(&mut node, old, 1, true), "life 2 may have counted it up");
    }

    #[test]
    fn an_unclean_end_is_remembered_through_the_disk() {
        let node = started(1);
        let mut back: Incarnations =
            rmp_serde::from_slice(&rmp_serde::to_vec(&node).unwrap()).unwrap();
        back.begin(2);
        assert!(!back.may_go_on(Actor { incarnation: 1, mint: 0 }));
    }

    #[test]
    fn a_new_lineage_takes_all_older_actors_with_it() {
        let mut node = started(1);
        let local = first_actor(&mut node);
        node.end_cleanly();
        node.begin_lineage(2);
        assert!(!go_on(&mut node, local, 1, true));
    }

    #[test]
    fn without_witnesses_nobody_goes_on() {
        let mut node = started(1);
        let local = first_actor(&mut node);
        assert!(!go_on(&mut node, local, 1, false));
    }

    #[test]
    fn an_actor_of_which_more_is_known_than_it_gave_out_is_left() {
        let mut node = started(1);
        let local = first_actor(&mut node);
        assert!(!go_on(&mut node, local, 2, true), "claimed by the record");
        let (record, context) = (knows(local.actor, 1), knows(local.actor, 1 << 60));
        let chosen = node.continue_or_mint(Some(&local), [&record, &context], true).unwrap();
        assert_ne!(chosen, local.actor, "claimed by the context");
    }

    #[test]
    fn a_fresh_actor_is_unknown_to_the_record() {
        let mut node = started(1);
        let vector = knows(Actor { incarnation: 1, mint: 0 }, 3);
        let chosen = node.continue_or_mint(None, [&vector, &nothing()], true).unwrap();
        assert_eq!(chosen, Actor { incarnation: 1, mint: 1 });
    }

    #[test]
    fn exhausted_mints_ask_for_a_new_incarnation() {
        let mut node = started(1);
        node.minted = u32::MAX;
        let ask = |node: &mut Incarnations| {
            node.continue_or_mint(None, [&VersionVector::new(), &VersionVector::new()], true)
        };
        assert_eq!(ask(&mut node), Err(MintsExhausted));
        node.begin(2);
        assert!(ask(&mut node).is_ok());
    }

    #[test]
    fn the_list_of_clean_ends_is_bounded() {
        let mut node = Incarnations::new();
        for incarnation in 0..=ENDED_CLEANLY_CAP as u64 {
            node.begin(incarnation);
            node.end_cleanly();
        }
        assert!(!node.may_go_on(Actor { incarnation: 0, mint: 0 }));
        assert!(node.may_go_on(Actor { incarnation: 1, mint: 0 }));
    }
}
