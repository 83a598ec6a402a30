//! A network of detectors: one agenda, one seed, and a count of everything that crosses the wire or a mind.

use super::detector::{Detector, Opinion, Said};
use crate::time::{Agenda, Duration, Instant};

/// How long a packet takes, in microseconds.
const DELAY_US: std::ops::Range<u64> = 100..3_000;
/// The headers of IPv4 and UDP.
const UDP_HEADERS: usize = 28;
/// Members begin within this of one another, so that they do not speak in chorus.
const STAGGER_US: u64 = 1_000_000;

/// What was sent, by all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: u64,
    /// Their bytes, with the headers of IP and UDP.
    pub datagram_bytes: u64,
    /// Bytes of streams, without any headers.
    pub stream_bytes: u64,
}

/// Wrong opinions about members that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// A member became suspect to somebody while it was to nobody else.
    pub suspicions: u64,
    /// A member was given up by somebody while it was by nobody else.
    pub deaths: u64,
    /// As `deaths`, counted for each who gave it up: the Lifeguard paper's false positives.
    pub death_events: u64,
}

enum Delivery {
    Datagram { from: usize, bytes: Vec<u8> },
    Stream { from: usize, bytes: Vec<u8> },
    Wake,
}

struct Node<D> {
    detector: Option<D>,
    /// When it will be woken, at the latest.
    woken: Option<Instant>,
    /// What it holds others for, by their number.
    opinions: Vec<Opinion>,
    /// How many that run hold it for each [`Opinion`].
    held_for: [usize; 4],
}

/// A cluster of detectors.
pub struct Network<D> {
    /// Of a thousand datagrams so many are lost.
    pub loss_permille: u32,
    /// What was sent so far.
    pub traffic: Traffic,
    /// What was thought wrongly so far.
    pub mistakes: Mistakes,
    size: usize,
    now: Instant,
    nodes: Vec<Node<D>>,
    agenda: Agenda<(usize, Delivery)>,
    seed: u64,
    rng: fastrand::Rng,
}

impl Traffic {
    /// What was sent since `earlier`.
    pub fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            datagrams: self.datagrams - earlier.datagrams,
            datagram_bytes: self.datagram_bytes - earlier.datagram_bytes,
            stream_bytes: self.stream_bytes - earlier.stream_bytes,
        }
    }

    /// All bytes.
    pub fn bytes(self) -> u64 {
        self.datagram_bytes + self.stream_bytes
    }

    pub(super) fn add(&mut self, other: Traffic) {
        self.datagrams += other.datagrams;
        self.datagram_bytes += other.datagram_bytes;
        self.stream_bytes += other.stream_bytes;
    }
}

impl Mistakes {
    pub(super) fn since(self, earlier: Mistakes) -> Mistakes {
        Mistakes {
            suspicions: self.suspicions - earlier.suspicions,
            deaths: self.deaths - earlier.deaths,
            death_events: self.death_events - earlier.death_events,
        }
    }

    pub(super) fn add(&mut self, other: Mistakes) {
        self.suspicions += other.suspicions;
        self.deaths += other.deaths;
        self.death_events += other.death_events;
    }
}

impl<D: Detector> Network<D> {
    /// `size` members that know one another and have begun within the last second.
    pub fn settled(seed: u64, size: usize) -> Network<D> {
        let mut network = Network {
            loss_permille: 0,
            traffic: Traffic::default(),
            mistakes: Mistakes::default(),
            size,
            now: Instant(STAGGER_US),
            nodes: Vec::new(),
            agenda: Agenda::default(),
            seed,
            rng: fastrand::Rng::with_seed(seed),
        };
        for me in 0..size {
            let mut opinions = vec![Opinion::Alive; size];
            opinions[me] = Opinion::Unknown;
            network.nodes.push(Node { detector: None, woken: None, opinions, held_for: [0; 4] });
            network.nodes[me].held_for[Opinion::Alive as usize] = size - 1;
        }
        let rng = &mut network.rng;
        let mut begins: Vec<(u64, usize)> =
            (0..size).map(|me| (rng.u64(0..STAGGER_US), me)).collect();
        begins.sort_unstable();
        for (after, me) in begins {
            network.run_until(Instant(STAGGER_US + after), |_| false);
            let detector = D::settled(me, size, network.seed_of(me), network.now);
            network.nodes[me].detector = Some(detector);
            network.drain(me);
        }
        network
    }

    fn seed_of(&self, me: usize) -> u64 {
        self.seed.wrapping_mul(0x1_0001).wrapping_add(me as u64)
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Who runs.
    pub fn running(&self) -> Vec<usize> {
        let runs = |node: &usize| self.nodes[*node].detector.is_some();
        (0..self.nodes.len()).filter(runs).collect()
    }

    /// How many that run hold this member for that.
    pub fn hold(&self, of: usize, opinion: Opinion) -> usize {
        self.nodes[of].held_for[opinion as usize]
    }

    /// Ends a member without a word.
    pub fn kill(&mut self, member: usize) {
        self.nodes[member].detector = None;
        let opinions = std::mem::take(&mut self.nodes[member].opinions);
        for of in (0..self.nodes.len()).filter(|of| *of != member) {
            let opinion = opinions.get(of).copied().unwrap_or_default();
            self.nodes[of].held_for[opinion as usize] -= 1;
        }
    }

    /// One more member, which has these addresses. Its number.
    pub fn join(&mut self, contacts: &[usize]) -> usize {
        let me = self.nodes.len();
        let running = self.running().len();
        let detector = D::newcomer(me, contacts, self.size, self.seed_of(me), self.now);
        let mut held_for = [0; 4];
        held_for[Opinion::Unknown as usize] = running;
        for node in &mut self.nodes {
            node.held_for[Opinion::Unknown as usize] += 1;
        }
        let opinions = Vec::new();
        self.nodes.push(Node { detector: Some(detector), woken: None, opinions, held_for });
        self.drain(me);
        me
    }

    /// Runs for so long.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time, |_| false);
    }

    /// Runs until something holds, or until `end`. Whether it holds.
    pub fn run_until(&mut self, end: Instant, mut holds: impl FnMut(&Network<D>) -> bool) -> bool {
        loop {
            if holds(self) {
                return true;
            }
            let Some((at, (node, delivery))) = self.agenda.pop_by(end) else {
                self.now = self.now.max(end);
                return false;
            };
            self.now = self.now.max(at);
            self.deliver(node, delivery);
        }
    }

    fn deliver(&mut self, to: usize, delivery: Delivery) {
        let now = self.now;
        let node = &mut self.nodes[to];
        let Some(detector) = node.detector.as_mut() else { return };
        match delivery {
            Delivery::Datagram { from, bytes } => detector.datagram(now, from, &bytes),
            Delivery::Stream { from, bytes } => detector.stream(now, from, &bytes),
            Delivery::Wake => {
                // One that was meant for an earlier time than there is anything to do.
                if node.woken != Some(now) {
                    return;
                }
                node.woken = None;
                if detector.due().is_some_and(|due| due <= now) {
                    detector.timer(now);
                }
            }
        }
        self.drain(to);
    }

    fn drain(&mut self, from: usize) {
        while let Some(said) = self.nodes[from].detector.as_mut().and_then(D::said) {
            match said {
                Said::Datagram { to, bytes } => {
                    self.traffic.datagrams += 1;
                    self.traffic.datagram_bytes += (bytes.len() + D::ENVELOPE + UDP_HEADERS) as u64;
                    let delay = self.delay();
                    if self.rng.u32(0..1_000) >= self.loss_permille {
                        self.agenda.add(self.now + delay, (to, Delivery::Datagram { from, bytes }));
                    }
                }
                Said::Stream { to, bytes } => {
                    self.traffic.stream_bytes += bytes.len() as u64;
                    let at = self.now + self.delay() + self.delay();
                    self.agenda.add(at, (to, Delivery::Stream { from, bytes }));
                }
                Said::Opinion { of, now } => self.note(from, of, now),
            }
        }
        let node = &mut self.nodes[from];
        let Some(due) = node.detector.as_ref().and_then(D::due) else { return };
        let due = due.max(self.now);
        if node.woken.is_none_or(|woken| woken > due) {
            node.woken = Some(due);
            self.agenda.add(due, (from, Delivery::Wake));
        }
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(self.rng.u64(DELAY_US))
    }

    fn note(&mut self, by: usize, of: usize, now: Opinion) {
        if by == of || of >= self.nodes.len() {
            return;
        }
        let opinions = &mut self.nodes[by].opinions;
        if opinions.len() <= of {
            opinions.resize(of + 1, Opinion::Unknown);
        }
        let before = std::mem::replace(&mut opinions[of], now);
        let member = &mut self.nodes[of];
        if before == now {
            return;
        }
        let runs = member.detector.is_some();
        let first = member.held_for[now as usize] == 0;
        member.held_for[before as usize] -= 1;
        member.held_for[now as usize] += 1;
        match now {
            Opinion::Suspect if runs => self.mistakes.suspicions += u64::from(first),
            Opinion::Dead if runs => {
                self.mistakes.death_events += 1;
                self.mistakes.deaths += u64::from(first);
            }
            _ => {}
        }
    }
}
