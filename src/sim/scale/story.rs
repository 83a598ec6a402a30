//! What is done to a cluster of detectors, and what it says of them.
//!
//! ```text
//!   changes   │ settle │ kill ─► first, all dead │ join ─► known │ kill … │     a slot of 40 s for each kill
//!   calm      │ settle │ nobody dies: traffic, and whom somebody takes for dead nevertheless            │
//! ```
//!
//! Everything that is done, and when, follows from the seed alone: two detectors have the same schedule.

use super::detector::{Detector, Opinion};
use super::network::{Mistakes, Network, Traffic};
use crate::time::Duration;

/// How long a cluster runs before anything is measured: all begin with a whole exchange of states.
const SETTLE: Duration = Duration::from_secs(30);
/// From one kill to the next; more where survivors are not through.
const SLOT: Duration = Duration::from_secs(40);
/// A newcomer comes so long after a kill.
const JOIN_AFTER: Duration = Duration::from_secs(30);
/// What has not happened by then is counted as having taken so long.
const LIMIT: Duration = Duration::from_secs(300);
/// How many members a newcomer has the addresses of.
const CONTACTS: usize = 3;

/// Deaths and joins of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Of each death: until the first survivor gave the member up.
    pub first: Vec<Duration>,
    /// Until all of them had.
    pub all: Vec<Duration>,
    /// Of each join: until all knew the newcomer.
    pub joins: Vec<Duration>,
    /// What was sent between deaths and their being known.
    pub traffic: Traffic,
    /// Members × seconds of that.
    pub node_seconds: f64,
    /// What was thought wrongly all the time.
    pub mistakes: Mistakes,
}

/// A time in which nobody comes or goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calm {
    /// Of a thousand datagrams so many were lost.
    pub loss_permille: u32,
    /// Members × seconds.
    pub node_seconds: f64,
    /// What was sent.
    pub traffic: Traffic,
    /// What was thought wrongly.
    pub mistakes: Mistakes,
}

impl Changes {
    /// Takes those of another cluster in.
    pub fn absorb(&mut self, other: &Changes) {
        self.first.extend(&other.first);
        self.all.extend(&other.all);
        self.joins.extend(&other.joins);
        self.traffic.add(other.traffic);
        self.node_seconds += other.node_seconds;
        self.mistakes.add(other.mistakes);
    }
}

/// Kills a member and lets another one join, `times` times, in a cluster of `size`.
pub fn changes<D: Detector>(
    seed: u64,
    size: usize,
    loss_permille: u32,
    times: usize,
    mut tick: impl FnMut(),
) -> Changes {
    let mut network: Network<D> = Network::settled(seed, size);
    let mut schedule = fastrand::Rng::with_seed(!seed);
    let mut changes = Changes::default();
    network.run(SETTLE);
    network.loss_permille = loss_permille;
    let begun = network.mistakes;
    for _ in 0..times {
        let slot = network.now();
        network.run(Duration::from_micros(schedule.u64(0..1_000_000)));
        let running = network.running();
        let victim = running[schedule.usize(..running.len())];
        let (killed, sent) = (network.now(), network.traffic);
        network.kill(victim);
        let gone = |n: &Network<D>| n.hold(victim, Opinion::Dead) > 0;
        network.run_until(killed + LIMIT, gone);
        changes.first.push(network.now() - killed);
        let all_gone =
            |n: &Network<D>| n.hold(victim, Opinion::Alive) + n.hold(victim, Opinion::Suspect) == 0;
        network.run_until(killed + LIMIT, all_gone);
        let took = network.now() - killed;
        changes.all.push(took);
        changes.traffic.add(network.traffic.since(sent));
        changes.node_seconds += took.as_secs_f64() * (size - 1) as f64;

        network.run_until(slot + JOIN_AFTER, |_| false);
        let mut contacts = network.running();
        schedule.shuffle(&mut contacts);
        contacts.truncate(CONTACTS);
        let joined = network.now();
        let newcomer = network.join(&contacts);
        let known = |n: &Network<D>| n.hold(newcomer, Opinion::Unknown) == 0;
        network.run_until(joined + LIMIT, known);
        changes.joins.push(network.now() - joined);
        network.run_until(slot + SLOT, |_| false);
        tick();
    }
    changes.mistakes = network.mistakes.since(begun);
    changes
}

/// Lets a cluster of `size` be for `seconds`; `tick` comes once a second.
pub fn calm<D: Detector>(
    seed: u64,
    size: usize,
    loss_permille: u32,
    seconds: u64,
    mut tick: impl FnMut(),
) -> Calm {
    let mut network: Network<D> = Network::settled(seed, size);
    network.run(SETTLE);
    network.loss_permille = loss_permille;
    let (sent, thought) = (network.traffic, network.mistakes);
    for _ in 0..seconds {
        network.run(Duration::from_secs(1));
        tick();
    }
    Calm {
        loss_permille,
        node_seconds: (size as u64 * seconds) as f64,
        traffic: network.traffic.since(sent),
        mistakes: network.mistakes.since(thought),
    }
}
