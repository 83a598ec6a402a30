//! Whom it is worth asking right now: what membership says, and who fell silent.
//!
//! ```text
//!   asked ── no answer within an attempt, nothing else heard since ──► breaker open: doubtful
//!   open  ── every second one light probe (never a request) ── anything heard ──► closed
//! ```
//!
//! A stopped process still accepts connections, and membership needs seconds to be sure of a death. The
//! breaker makes a hung peer cost one attempt, not one attempt a request.

use super::{Shard, Turn};
use crate::coordinator::Reach;
use crate::id::NodeId;
use crate::message::Class;
use crate::message::peer::Data;
use crate::node::View;
use crate::node::outbox::About;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The request number of a probe; its answer counts by arriving.
const PROBE: u64 = 0;

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    last: Instant,
    open: bool,
}

/// What was heard of each peer.
#[derive(Debug, Default)]
pub(super) struct Peers {
    heard: BTreeMap<NodeId, Heard>,
}

impl Peers {
    /// Something came from `node`: whatever it was, the node is there.
    pub fn heard(&mut self, node: NodeId, now: Instant) {
        let heard = self.heard.entry(node).or_default();
        heard.last = now;
        heard.open = false;
    }

    /// Whether it is worth asking `node`.
    pub fn reach(&self, node: NodeId, view: &View) -> Reach {
        if node == view.me {
            return Reach::Up;
        }
        match view.peers.get(&node) {
            Some(peer) if peer.alive && peer.address.is_some() => {
                match self.heard.get(&node).is_some_and(|heard| heard.open) {
                    true => Reach::Doubtful,
                    false => Reach::Up,
                }
            }
            _ => Reach::Down,
        }
    }

    /// `node` did not answer what was sent at `sent`. True when the breaker opens by this.
    fn silent(&mut self, node: NodeId, sent: Instant) -> bool {
        let heard = self.heard.entry(node).or_default();
        if heard.last > sent || heard.open {
            return false;
        }
        heard.open = true;
        true
    }

    /// Whether anything came from `node` after that.
    pub fn heard_since(&self, node: NodeId, then: Instant) -> bool {
        self.heard.get(&node).is_some_and(|heard| heard.last > then)
    }

    fn is_open(&self, node: NodeId) -> bool {
        self.heard.get(&node).is_some_and(|heard| heard.open)
    }
}

impl Shard {
    /// `node` did not answer what was sent at `sent` within an attempt.
    pub(super) fn note_silence(&mut self, node: NodeId, sent: Instant, now: Instant) {
        if node == self.view.me {
            return;
        }
        self.counters.attempts_timed_out += 1;
        if self.peers.silent(node, sent) {
            self.timers.set(now + self.timing.breaker, super::Timer::Breaker(node));
        }
    }

    /// Asks a silent peer whether it is back.
    pub(super) fn probe(&mut self, node: NodeId, turn: &mut Turn) {
        if !self.peers.is_open(node) {
            return;
        }
        self.call(node, turn);
        self.timers.set(turn.now.instant + self.timing.breaker, super::Timer::Breaker(node));
    }

    /// Asks a peer for a sign of life.
    pub(super) fn call(&self, node: NodeId, turn: &mut Turn) {
        if let Some(to) = self.address(node) {
            let about = About { class: Class::Background, request: PROBE, ..About::default() };
            turn.outbox.send_data(to, about, &Data::CountHints);
        }
    }

    /// Where `node` listens, as far as is known.
    pub(super) fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.view.peers.get(&node).and_then(|peer| peer.address)
    }
}
