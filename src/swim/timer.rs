//! What happens by itself, and what must not when the machine stood still.
//!
//! ```text
//!   due ────────────── handled 3 s later: SIGSTOP, a suspended laptop, a starved thread
//!                      the probe under way proves nothing, suspicions get their lost time back
//! ```
//!
//! Some timer is due every 200 ms at least, so a late one tells of a pause nearly as long as it was.

use super::Config;
use super::machine::Swim;
use super::member::State;
use super::scale;
use crate::time::{Duration, Instant};

/// When the periodic things are due next.
#[derive(Debug)]
pub(super) struct Timers {
    period: Instant,
    gossip: Instant,
    push_pull: Instant,
    reconnect: Instant,
    join: Option<Instant>,
    facts: Option<Instant>,
    facts_allowed: Instant,
}

impl Timers {
    /// Everything begins somewhere within its first interval, so that nodes started together do not
    /// speak in chorus.
    pub(super) fn new(config: &Config, rng: &mut fastrand::Rng, now: Instant) -> Timers {
        let mut within = |interval: Duration| {
            let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
            now + Duration::from_micros(rng.u64(0..=micros))
        };
        Timers {
            period: within(config.probe_interval),
            gossip: within(config.gossip_interval),
            push_pull: within(config.push_pull_interval),
            reconnect: within(config.reconnect_interval),
            join: None,
            facts: None,
            facts_allowed: now,
        }
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let always = [self.period, self.gossip, self.push_pull, self.reconnect];
        always.into_iter().chain(self.join).chain(self.facts)
    }

    /// Our facts have changed: they go out as soon as they may.
    pub(super) fn announce_facts(&mut self, now: Instant) {
        self.facts = Some(self.facts_allowed.max(now));
    }

    /// Nothing is overdue any more.
    fn catch_up(&mut self, now: Instant) {
        for due in [&mut self.period, &mut self.gossip, &mut self.push_pull, &mut self.reconnect]
            .into_iter()
            .chain(self.join.as_mut())
            .chain(self.facts.as_mut())
        {
            *due = (*due).max(now);
        }
    }
}

impl Swim {
    /// Before anything else, on every entry: did the machine stand still?
    pub(super) fn notice_lateness(&mut self, now: Instant) {
        let Some(late) = self.poll_timeout().map(|due| now.since(due)) else { return };
        if late < self.config.late {
            return;
        }
        self.counters.late += 1;
        self.health.worsen(1);
        self.prober.rest();
        // What could have contradicted may still wait in the socket: a period to read it.
        for suspicion in self.suspicions.values_mut() {
            suspicion.postpone(late + self.config.probe_interval);
        }
        self.timers.catch_up(now);
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        self.run_probes(now);
        self.end_suspicions(now);
        if self.timers.period <= now {
            let period = self.next_period(now);
            self.timers.period = now + period;
        }
        if self.timers.facts.is_some_and(|due| due <= now) {
            self.timers.facts = None;
            self.timers.facts_allowed = now + self.config.facts_interval;
            self.announce_facts();
        }
        if self.timers.gossip <= now {
            self.timers.gossip = now + self.config.gossip_interval;
            self.gossip(now);
        }
        if self.timers.push_pull <= now {
            let interval = self.config.push_pull_interval;
            self.timers.push_pull = now + scale::push_pull_interval(interval, self.live());
            self.push_pull();
        }
        if self.timers.reconnect <= now {
            self.timers.reconnect = now + self.config.reconnect_interval;
            self.reconnect();
        }
        if self.timers.join.is_some_and(|due| due <= now) {
            self.try_seeds(now);
        }
    }

    pub(super) fn try_seeds(&mut self, now: Instant) {
        let again = self.ask_seeds();
        self.timers.join = again.then(|| now + self.config.join_interval);
    }

    /// Suspicions that nobody contradicted in time.
    fn end_suspicions(&mut self, now: Instant) {
        let waits = self.prober.is_mute(now, &self.config) || self.myself().state == State::Left;
        for suspicion in self.suspicions.values_mut().filter(|s| waits && s.deadline() <= now) {
            suspicion.postpone(self.config.probe_interval);
        }
        let over = self.suspicions.iter().filter(|(_, s)| s.deadline() <= now);
        let over: Vec<_> = over.map(|(node, _)| *node).collect();
        for node in over {
            self.counters.deaths += 1;
            self.set_state(now, node, State::Dead, false);
        }
    }
}
