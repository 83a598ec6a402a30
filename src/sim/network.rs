//! The network between simulated nodes: how long a packet takes, and whether it arrives.

use super::delays::Delays;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// Links are directed: (from, to), by the nodes' numbers.
#[derive(Clone, Debug)]
pub struct Network {
    /// The shortest way takes this long.
    pub latency: Duration,
    /// And up to this much more.
    pub jitter: Duration,
    /// So many datagrams of a thousand are lost. Streams are not: TCP sends again.
    pub loss_permille: u32,
    /// So many datagrams of a thousand come twice.
    pub duplicate_permille: u32,
    /// What goes over streams takes so much longer, if anything; datagrams do not, so membership stays calm.
    pub streams: Option<Delays>,
    cut: BTreeSet<(usize, usize)>,
    slow: BTreeMap<usize, Duration>,
    slow_streams: BTreeMap<(usize, usize), Duration>,
    last: BTreeMap<(usize, usize), Instant>,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            latency: Duration::from_micros(100),
            jitter: Duration::from_micros(200),
            loss_permille: 0,
            duplicate_permille: 0,
            streams: None,
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            slow_streams: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }
}

impl Network {
    /// Nothing goes from `from` to `to` any more.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Nothing goes between the two sides any more, either way.
    pub fn partition(&mut self, one: &[usize], other: &[usize]) {
        for a in one {
            for b in other {
                self.cut(*a, *b);
                self.cut(*b, *a);
            }
        }
    }

    /// Everything that goes to or comes from this node takes so much longer; zero: no longer.
    pub fn slow(&mut self, node: usize, by: Duration) {
        self.slow.insert(node, by);
    }

    /// Streams of this link, not datagrams, take so much longer: gossip goes on, requests hang.
    pub fn slow_stream(&mut self, from: usize, to: usize, by: Duration) {
        self.slow_streams.insert((from, to), by);
    }

    /// Every link works again.
    pub fn heal(&mut self) {
        self.slow_streams.clear();
        self.cut.clear();
        self.slow.clear();
    }

    /// Datagrams arrive again, once and soon.
    pub fn clear_sky(&mut self) {
        let Network { jitter, loss_permille, duplicate_permille, .. } = Network::default();
        self.jitter = jitter;
        self.loss_permille = loss_permille;
        self.duplicate_permille = duplicate_permille;
    }

    /// Whether the link is cut.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Whether any link is cut.
    pub fn is_split(&self) -> bool {
        !self.cut.is_empty()
    }

    fn delay(&self, from: usize, to: usize, rng: &mut fastrand::Rng) -> Duration {
        let jitter = Duration::from_micros(rng.u64(0..=self.jitter.as_micros() as u64));
        let slow = |node: usize| self.slow.get(&node).copied().unwrap_or_default();
        self.latency + jitter + slow(from) + slow(to)
    }

    /// When bytes of a stream arrive: in order. `None`: the link is cut.
    pub(super) fn stream(
        &mut self,
        now: Instant,
        from: usize,
        to: usize,
        rng: &mut fastrand::Rng,
    ) -> Option<Instant> {
        let stalled = self.slow_streams.get(&(from, to)).copied().unwrap_or_default();
        let delay = self.delay(from, to, rng);
        let drawn = self.streams.map(|delays| delays.draw(rng)).unwrap_or_default();
        let arrives = now + delay + stalled + drawn;
        if self.is_cut(from, to) {
            return None;
        }
        let last = self.last.entry((from, to)).or_default();
        *last = arrives.max(*last);
        Some(*last)
    }

    /// When copies of a datagram arrive: none, one or two of them.
    pub(super) fn datagram(
        &self,
        now: Instant,
        from: usize,
        to: usize,
        rng: &mut fastrand::Rng,
    ) -> Vec<Instant> {
        let mut arrivals = Vec::with_capacity(1);
        let copies = 1 + u32::from(rng.u32(0..1000) < self.duplicate_permille);
        for _ in 0..copies {
            let delay = self.delay(from, to, rng);
            if rng.u32(0..1000) >= self.loss_permille && !self.is_cut(from, to) {
                arrivals.push(now + delay);
            }
        }
        arrivals
    }
}
