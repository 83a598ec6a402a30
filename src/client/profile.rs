//! How requests are carried out unless they say otherwise.

use crate::quorum::Consistency;
use std::time::Duration;

/// The defaults of every request of a client. Start from `ExecutionProfile::default()`: fields will be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionProfile {
    /// How many replicas must answer; `None`: what the bucket says, which is a quorum unless it was
    /// created otherwise.
    pub consistency: Option<Consistency>,
    /// No fallback may stand in for an owner.
    pub strict: bool,
    /// How long a request may take in all, retries included.
    pub timeout: Duration,
    /// How long a node that owes an answer may be silent. A node that is merely slow answers a sign of
    /// life and is waited for; one that does not is dropped after this time, and its requests go on to
    /// the next one.
    pub attempt_timeout: Duration,
    /// What happens after an answer that another try may better.
    pub retries: RetryPolicy,
    /// Whether a read that takes long is sent to a second node; the first answer wins. Writes never are.
    pub speculation: Option<Speculation>,
}

/// When a read is sent to a second node before the first has answered. For clients whose nodes are unevenly slow: among
/// the owners the nodes hedge themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speculation {
    /// How long the first node has.
    pub after: Duration,
}

impl Default for Speculation {
    fn default() -> Self {
        Speculation { after: Duration::from_millis(50) }
    }
}

/// What all requests of a client may be sent in all beyond once each; see [`Builder::retry_budget`](super::Builder::retry_budget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// So many retries for a hundred requests of the last ten seconds.
    pub percent: u8,
    /// And so many each second in any case, for clients with few requests.
    pub per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { percent: 10, per_second: 20 }
    }
}

impl Default for ExecutionProfile {
    fn default() -> Self {
        ExecutionProfile {
            consistency: None,
            strict: false,
            timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_millis(500),
            retries: RetryPolicy::default(),
            speculation: None,
        }
    }
}

/// How often and how soon a request is tried again. Retries reuse the operation id, so they are safe,
/// and go to another node where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent at most; 1: no retries.
    pub attempts: u32,
    /// The longest pause after the first attempt that was answered with an error; it doubles with each.
    /// What is slept is a random part of it, so that clients do not come back in step. After a broken
    /// connection there is no pause: the next node is another one.
    pub backoff: Duration,
    /// Where the doubling ends.
    pub backoff_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(400),
        }
    }
}

impl RetryPolicy {
    /// Every request is sent once.
    pub fn never() -> RetryPolicy {
        RetryPolicy { attempts: 1, ..RetryPolicy::default() }
    }

    /// The pause after `answered` answers (from 1), for a random `share` of 0..1.
    pub(super) fn pause(&self, answered: u32, share: f64) -> Duration {
        let doubled = self.backoff.saturating_mul(1u32 << answered.saturating_sub(1).min(16));
        doubled.min(self.backoff_max).mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_vary_by_half() {
        let policy = RetryPolicy::default();
        let check = |answered, share, ms: u64| {
            assert_eq!(policy.pause(answered, share), Duration::from_micros(ms * 1_000));
        };
        check(1, 1.0, 25);
        check(2, 1.0, 50);
        check(2, 0.0, 25);
        check(9, 1.0, 400);
        check(u32::MAX, 0.0, 200);
    }
}
