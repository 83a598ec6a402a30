//! A get's tally: R distinct slots must have spoken; then their digests must agree, or be made to.
//!
//! ```text
//!   ask R: one for the record, the rest for digests
//!     agree ─────────────────────────────────────────► answer
//!     differ ─► fetch one record per digest ─► join ─► answer, stale ones are repaired behind it
//!                     strict: ask the rest too; write back to a quorum *before* the answer
//!     late ───► one owner more is asked, what the late ones were asked (a hedge): whoever is first is heard
//! ```
//!
//! What counts towards R: an owner that is not rebuilding, whether it has the item or not; a fallback
//! only for an owner whose item it keeps, once others have vouched for it. A fallback's "nothing" is no answer at all.

use super::{Reach, Replicas};
use crate::guard::{self, Guard};
use crate::id::NodeId;
use crate::quorum::Quorum;
use crate::version::Record;
use std::collections::VecDeque;
use std::sync::Arc;

/// Ask `to` what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskRead {
    /// Whom.
    pub to: NodeId,
    /// Not only for the digest.
    pub whole: bool,
}

/// What one replica holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The digest of its record, if it has one.
    pub digest: Option<u128>,
    /// The record, if it was asked for.
    pub record: Option<Arc<Record>>,
    /// Its slot is not complete.
    pub rebuilding: bool,
    /// For which owners it keeps the item.
    pub stands_in_for: Vec<NodeId>,
    /// Under which collection round it was read; 0: its store may be an old copy.
    pub round: u32,
}

/// What was heard of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Nothing yet.
    Waiting,
    /// Nothing within an attempt.
    Silent,
    /// No.
    Refused,
    /// This.
    Holds(&'a Holding),
}

/// What a get needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask these; an empty list: wait.
    Ask(Vec<AskRead>),
    /// This is the answer.
    Answer {
        /// The joined record, if anybody holds one.
        record: Option<Arc<Record>>,
        /// Owners that hold less, to be repaired behind the answer.
        stale: Vec<NodeId>,
        /// Nobody but a rebuilding replica could be asked: something may be missing.
        rebuilding: bool,
        /// The smallest round under which any of it was read.
        round: u32,
    },
    /// Under `strict`: let `need` owners store this first, then answer.
    WriteBack {
        /// The joined record.
        record: Arc<Record>,
        /// Owners that hold less.
        stale: Vec<NodeId>,
        /// Owners of whom nobody knows what they hold.
        spares: Vec<NodeId>,
        /// How many of them must confirm it.
        need: usize,
        /// The smallest round under which any of it was read.
        round: u32,
    },
    /// Nobody is left to be asked or waited for.
    Missed,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Silent,
    Refused,
    Holds(Holding),
}

#[derive(Clone, Debug)]
struct Asked {
    node: NodeId,
    whole: bool,
    state: State,
    /// It said that it holds this, and is asked for the record behind it.
    behind: Option<u128>,
    /// It was asked because others were late.
    hedge: bool,
}

/// The tally of one get.
#[derive(Clone, Debug)]
pub struct Get {
    quorum: Quorum,
    owners: Vec<NodeId>,
    asked: Vec<Asked>,
    candidates: VecDeque<NodeId>,
}

impl Get {
    /// Begins a get. `me` is preferred where it is an owner: its record costs no round trip.
    pub fn begin(quorum: Quorum, replicas: &Replicas, me: NodeId) -> Get {
        let mut candidates = VecDeque::with_capacity(replicas.read.owners.len());
        let of = |list: &[(NodeId, Reach)], reach: Reach| -> Vec<NodeId> {
            list.iter().filter(|(n, r)| *n != me && *r == reach).map(|(n, _)| *n).collect()
        };
        candidates.extend(replicas.read.is_owner(me).then_some(me));
        candidates.extend(of(&replicas.read.owners, Reach::Up));
        if !quorum.strict {
            candidates
                .extend(replicas.read.fallbacks.iter().map(|f| f.0).filter(|node| *node == me));
        }
        let doubtful = of(&replicas.read.owners, Reach::Doubtful);
        if quorum.strict {
            candidates.extend(doubtful);
        } else {
            candidates.extend(of(&replicas.read.fallbacks, Reach::Up));
            candidates.extend(doubtful);
            candidates.extend(of(&replicas.read.fallbacks, Reach::Doubtful));
        }
        let owners = replicas.read.owners.iter().map(|(node, _)| *node).collect();
        Get { quorum, owners, asked: Vec::with_capacity(quorum.required), candidates }
    }

    /// `from` says what it holds.
    ///
    /// What may come from an old copy of a store is used only where nothing else may be left to ask.
    pub fn holds(&mut self, from: NodeId, holding: Holding) {
        let is_old = holding.rebuilding && holding.round == 0;
        if is_old && (self.quorum.strict || self.quorum.required > 1) {
            return self.refused(from);
        }
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.node == from) {
            asked.state = State::Holds(holding);
        }
    }

    /// `from` did not answer within an attempt. It still may.
    pub fn silent(&mut self, from: NodeId) {
        if let Some(asked) = self.open_mut(from) {
            asked.state = State::Silent;
        }
    }

    /// `from` says no.
    pub fn refused(&mut self, from: NodeId) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.node == from) {
            asked.state = State::Refused;
        }
    }

    fn open_mut(&mut self, node: NodeId) -> Option<&mut Asked> {
        self.asked.iter_mut().find(|a| a.node == node && matches!(a.state, State::Open))
    }

    /// Everybody who was asked, whether as a hedge, and what was heard.
    pub fn heard(&self) -> impl Iterator<Item = (AskRead, bool, Heard<'_>)> {
        self.asked.iter().map(|asked| {
            let heard = match &asked.state {
                State::Open => Heard::Waiting,
                State::Silent => Heard::Silent,
                State::Refused => Heard::Refused,
                State::Holds(holding) => Heard::Holds(holding),
            };
            (AskRead { to: asked.node, whole: asked.whole }, asked.hedge, heard)
        })
    }

    /// Who was asked and has not answered.
    pub fn open(&self) -> impl Iterator<Item = AskRead> + '_ {
        let open = self.asked.iter().filter(|asked| matches!(asked.state, State::Open));
        open.map(|asked| AskRead { to: asked.node, whole: asked.whole })
    }

    /// The owner that is asked next, if one is left.
    pub fn spare(&self) -> Option<NodeId> {
        self.candidates.front().copied().filter(|node| self.owners.contains(node))
    }

    /// The answers are late: one owner more is asked for what the late ones were asked for.
    ///
    /// It takes nobody's place: whoever is late may still answer, and R slots must have spoken.
    pub fn hedge(&mut self) -> Option<AskRead> {
        let wholes: Vec<bool> = self.open().map(|ask| ask.whole).collect();
        let to = self.spare().filter(|_| !wholes.is_empty())?;
        self.candidates.pop_front();
        let whole = wholes.contains(&true);
        let (state, behind) = (State::Open, None);
        self.asked.push(Asked { node: to, whole, state, behind, hedge: true });
        Some(AskRead { to, whole })
    }

    /// Whether whoever was asked because others were late has said what it holds.
    pub fn hedge_answered(&self) -> bool {
        self.asked.iter().any(|asked| asked.hedge && matches!(asked.state, State::Holds(_)))
    }

    /// The owners of the item.
    pub fn owners(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.owners.iter().copied()
    }

    /// Whether `node` was asked, and for what.
    pub fn asked(&self, node: NodeId) -> Option<AskRead> {
        let asked = self.asked.iter().find(|asked| asked.node == node)?;
        Some(AskRead { to: node, whole: asked.whole })
    }

    /// How many slots must speak.
    pub fn required(&self) -> usize {
        self.quorum.required
    }

    /// How many slots have spoken.
    pub fn received(&self) -> usize {
        let mut slots: Vec<NodeId> = Vec::with_capacity(self.asked.len());
        for (node, holding) in self.holdings() {
            let counts = !holding.rebuilding || !guard::holds(Guard::RebuildingIsNoAnswer);
            if self.owners.contains(&node) && counts {
                slots.push(node);
            }
        }
        for (node, holding) in self.holdings() {
            // A stand-in's `rebuilding` says that it may be an old copy of itself.
            let trusted = !holding.rebuilding && !self.owners.contains(&node);
            let keeps = trusted && holding.digest.is_some();
            let slot = holding
                .stands_in_for
                .iter()
                .find(|owner| keeps && self.owners.contains(owner) && !slots.contains(owner));
            slots.extend(slot);
            if trusted && !keeps && !guard::holds(Guard::NothingIsNoAnswer) {
                slots.push(node);
            }
        }
        slots.len()
    }

    /// Everybody who has spoken.
    pub fn replied(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.holdings().map(|(node, _)| node)
    }

    /// How many bytes of values it holds.
    pub fn bytes(&self) -> usize {
        let records = self.holdings().filter_map(|(_, holding)| holding.record.as_ref());
        records.map(|record| record.value_bytes()).sum()
    }

    fn holdings(&self) -> impl Iterator<Item = (NodeId, &Holding)> {
        self.asked.iter().filter_map(|asked| match &asked.state {
            State::Holds(holding) => Some((asked.node, holding)),
            _ => None,
        })
    }

    /// What is needed next. Call it after `begin` and whenever something was heard or missed.
    pub fn step(&mut self) -> Step {
        let received = self.received();
        if received >= self.quorum.required {
            return self.compare();
        }
        let open = self.open().count();
        let short = (self.quorum.required - received).saturating_sub(open);
        let asks = self.ask_next(short);
        if !asks.is_empty() || self.open().next().is_some() {
            return Step::Ask(asks);
        }
        let somebody_may_answer = self.asked.iter().any(|a| matches!(a.state, State::Silent));
        let rebuilding = self.holdings().any(|(_, holding)| holding.rebuilding);
        if self.quorum.required == 1 && !self.quorum.strict && rebuilding && !somebody_may_answer {
            return self.compare();
        }
        if somebody_may_answer { Step::Ask(Vec::new()) } else { Step::Missed }
    }

    fn ask_next(&mut self, count: usize) -> Vec<AskRead> {
        let mut asks = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(node) = self.candidates.pop_front() else { break };
            // The first is asked for the record; and so is whoever comes after nobody who has it.
            let have = self.asked.iter().any(|a| a.whole && !matches!(a.state, State::Refused));
            // Who cannot read the values may still have their digest; `all` is about the values.
            let whole = !have || (self.quorum.strict && self.quorum.required == self.owners.len());
            let (state, behind) = (State::Open, None);
            self.asked.push(Asked { node, whole, state, behind, hedge: false });
            asks.push(AskRead { to: node, whole });
        }
        asks
    }

    fn compare(&mut self) -> Step {
        let mut digests: Vec<Option<u128>> = self.holdings().map(|(_, h)| h.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let differ = digests.len() > 1;
        if differ && self.quorum.strict {
            let rest = self.candidates.len();
            let asks = self.ask_next(rest);
            if !asks.is_empty() || self.open().next().is_some() {
                return Step::Ask(asks);
            }
        }
        let missing = self.fetch(&digests);
        if !missing.is_empty() {
            let asks = missing.into_iter().filter_map(|at| self.reopen(at)).collect();
            return Step::Ask(asks);
        }
        if self.fetching() {
            return Step::Ask(Vec::new());
        }
        self.join(differ)
    }

    /// The places in `asked` that must still give the record behind their digest: one per digest.
    fn fetch(&self, digests: &[Option<u128>]) -> Vec<usize> {
        let mut places = Vec::new();
        for digest in digests.iter().flatten() {
            let mut with =
                self.asked.iter().enumerate().filter_map(|(at, asked)| match &asked.state {
                    State::Holds(holding) if holding.digest == Some(*digest) => Some((at, holding)),
                    _ => None,
                });
            let Some(first) = with.next() else { continue };
            let have =
                first.1.record.is_some() || with.any(|(_, holding)| holding.record.is_some());
            if !have {
                places.push(first.0);
            }
        }
        places
    }

    /// Whether a record that somebody told of is on its way, and nobody else has brought it meanwhile. Who has
    /// told nothing is not waited for: enough others have.
    fn fetching(&self) -> bool {
        let brought = |digest: u128| {
            self.holdings().any(|(_, held)| held.record.is_some() && held.digest == Some(digest))
        };
        let mut open = self.asked.iter().filter(|asked| matches!(asked.state, State::Open));
        open.any(|asked| asked.behind.is_some_and(|digest| !brought(digest)))
    }

    fn reopen(&mut self, at: usize) -> Option<AskRead> {
        let asked = self.asked.get_mut(at)?;
        if let State::Holds(holding) = &asked.state {
            asked.behind = holding.digest;
        }
        asked.whole = true;
        asked.state = State::Open;
        Some(AskRead { to: asked.node, whole: true })
    }

    fn join(&self, differ: bool) -> Step {
        let mut joined: Option<Arc<Record>> = None;
        for (_, holding) in self.holdings() {
            let Some(record) = &holding.record else { continue };
            match &mut joined {
                None => joined = Some(record.clone()),
                Some(joined) => drop(Arc::make_mut(joined).join(record)),
            }
        }
        let rebuilding = self.received() < self.quorum.required;
        let Some(record) = joined.filter(|_| differ || self.has_anything()) else {
            return Step::Answer { record: None, stale: Vec::new(), rebuilding, round: 0 };
        };
        let with_record = self.holdings().filter(|(_, holding)| holding.record.is_some());
        let round = with_record.map(|(_, holding)| holding.round).min().unwrap_or(0);
        let digest = differ.then(|| record.siblings.digest());
        let stale: Vec<NodeId> = self
            .holdings()
            .filter(|(node, holding)| {
                self.owners.contains(node) && differ && holding.digest != digest
            })
            .map(|(node, _)| node)
            .collect();
        let holders = self
            .holdings()
            .filter(|(node, h)| {
                self.owners.contains(node) && !h.rebuilding && (!differ || h.digest == digest)
            })
            .count();
        // Enough that every later read of as many slots meets one of them.
        let enough = (self.quorum.n / 2 + 1).max(self.quorum.n + 1 - self.quorum.required);
        let too_few = self.quorum.strict && differ && holders < enough;
        if too_few && guard::holds(Guard::WriteBack) {
            let silent = |owner: &&NodeId| self.replied().all(|node| node != **owner);
            let spares = self.owners.iter().filter(silent).copied().collect();
            return Step::WriteBack { record, stale, spares, need: enough - holders, round };
        }
        Step::Answer { record: Some(record), stale, rebuilding, round }
    }

    fn has_anything(&self) -> bool {
        self.holdings().any(|(_, holding)| holding.digest.is_some())
    }
}

#[cfg(test)]
#[path = "get_tests.rs"]
mod tests;
