//! Has the quorum been met? Tallies without I/O, time or storage: each asks, listens, and gives a verdict.
//!
//! ```text
//!   preference list   A     B     C   │  D     E          owners │ fallbacks
//!   slots             a     b     c   │
//!   put, B is down    A     D→b   C   │                   D stands in for B: still one slot
//! ```
//!
//! W and R count *slots*, not machines and not answers. A late acknowledgement of B next to D's is one
//! slot; D standing in for two owners would be one disk, so it never does. (DeCandia et al., "Dynamo",
//! 2007, §4.5–4.6; the shape of a pure tally is that of Riak's `riak_kv_get_core`.)

mod get;
mod keys;
mod pages;
mod put;
mod scan;
#[cfg(test)]
mod testing;
mod write_back;

pub use get::{AskRead, Get, Heard, Holding, Step};
pub use keys::{HeldKey, KeyPage, Keys, KeysFound, KeysStep};
pub use put::{Ask, Put, Verdict};
pub use scan::{Direction, Page, Scan, ScanStep};
pub use write_back::{WriteBack, WroteBack};

use crate::error::Error;
use crate::id::NodeId;
use crate::quorum::Quorum;

/// What the node believes of another one, at the moment a request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Ask it.
    Up,
    /// It did not answer lately, or is suspected: ask somebody else first.
    Doubtful,
    /// It is dead, has left, or nobody knows its address.
    Down,
}

/// One preference list, and whom of it it is worth asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The owners of the partition: one slot each.
    pub owners: Vec<(NodeId, Reach)>,
    /// The fixed fallbacks, in order.
    pub fallbacks: Vec<(NodeId, Reach)>,
}

/// The replicas that a request may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Who answers reads.
    pub read: List,
    /// While owners change: the list that writes must meet as well.
    pub other: Option<List>,
}

impl Replicas {
    fn lists(&self) -> impl Iterator<Item = &List> {
        std::iter::once(&self.read).chain(&self.other)
    }

    /// The owners of all lists, each once: first those who answer reads.
    pub fn owners(&self) -> impl Iterator<Item = (NodeId, Reach)> + Clone + '_ {
        let others = self.other.iter().flat_map(|list| &list.owners);
        let others = others.filter(|(node, _)| !self.read.is_owner(*node));
        self.read.owners.iter().chain(others).copied()
    }

    /// The fallbacks of all lists, each once, but for those who own a slot in one of them: they hold the item
    /// for themselves.
    pub fn fallbacks(&self) -> impl Iterator<Item = (NodeId, Reach)> + Clone + '_ {
        let others = self.other.iter().flat_map(|list| &list.fallbacks);
        let others = others.filter(|entry| !self.read.fallbacks.contains(entry));
        let all = self.read.fallbacks.iter().chain(others);
        all.copied().filter(|(node, _)| !self.is_owner(*node))
    }

    /// Refuses a read that cannot succeed.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; nothing changed.
    pub fn check(&self, quorum: Quorum) -> Result<(), Error> {
        self.read.check(quorum)
    }

    /// Refuses a write that cannot succeed before anything is stored anywhere.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; nothing changed.
    pub fn check_write(&self, quorum: Quorum) -> Result<(), Error> {
        self.lists().try_for_each(|list| list.check(quorum))
    }

    /// Whether `node` is one of the owners of any list.
    pub fn is_owner(&self, node: NodeId) -> bool {
        self.lists().any(|list| list.is_owner(node))
    }

    /// Who coordinates a put: the owner or fallback that this node is, or the first of those that can be
    /// asked. Owners come first, doubtful ones after sure ones.
    pub fn coordinator(&self, me: NodeId, strict: bool) -> Option<NodeId> {
        if self.is_owner(me) {
            return Some(me);
        }
        let fallbacks = if strict { &[][..] } else { &self.read.fallbacks[..] };
        let owners = &self.read.owners;
        let first = |reach: Reach| {
            owners.iter().chain(fallbacks).find(|(_, r)| *r == reach).map(|(node, _)| *node)
        };
        let owner = |reach: Reach| owners.iter().find(|(_, r)| *r == reach).map(|(node, _)| *node);
        owner(Reach::Up).or_else(|| first(Reach::Up)).or_else(|| first(Reach::Doubtful))
    }
}

impl List {
    /// Whether `node` is one of the owners.
    pub fn is_owner(&self, node: NodeId) -> bool {
        self.owners.iter().any(|(owner, _)| *owner == node)
    }

    fn check(&self, quorum: Quorum) -> Result<(), Error> {
        let alive = self.reachable(quorum.strict).min(self.owners.len());
        if alive < quorum.required {
            return Err(Error::Unavailable { required: quorum.required, alive });
        }
        Ok(())
    }

    /// How many distinct nodes could be asked.
    fn reachable(&self, strict: bool) -> usize {
        let up = |list: &[(NodeId, Reach)]| list.iter().filter(|(_, r)| *r != Reach::Down).count();
        up(&self.owners) + if strict { 0 } else { up(&self.fallbacks) }
    }
}
