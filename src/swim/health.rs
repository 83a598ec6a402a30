//! Lifeguard's local health: before I accuse you, how well am I?
//!
//! ```text
//!   ack in time ─► −1          0 ……………………………………… 8
//!   nacks that should have come and did not, being accused, late timers ─► +1 each
//!   probe interval and timeout are stretched by 1 + score
//! ```
//!
//! A member that is slow itself misses acks that were sent in time. It cannot tell by one of them, but
//! it can by the company they keep (Dadgar et al., §IV-A).

use crate::time::Duration;

/// The worst score.
const WORST: u32 = 8;

/// The local health multiplier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LocalHealth {
    score: u32,
}

impl LocalHealth {
    pub(super) fn score(self) -> u32 {
        self.score
    }

    pub(super) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(super) fn worsen(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(WORST);
    }

    pub(super) fn stretch(self, duration: Duration) -> Duration {
        duration * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_stays_between_well_and_worst() {
        let mut health = LocalHealth::default();
        health.improve();
        assert_eq!(health.stretch(Duration::from_secs(1)), Duration::from_secs(1));
        health.worsen(3);
        assert_eq!(health.stretch(Duration::from_secs(1)), Duration::from_secs(4));
        health.worsen(u32::MAX);
        assert_eq!(health.score(), WORST);
    }
}
