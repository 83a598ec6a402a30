//! How the protocol's times and counts grow with the cluster: logarithms, without floating point.
//!
//! ```text
//!   members      1..9   10..99   100..999        each rumor is sent λ × 1, 2, 3 times
//!   suspicion    1 ………… 1 ………… 2 ………… 3          × multiplier × protocol period
//! ```
//!
//! A last bit that differs between two machines' `ln` would give two traces for one seed; so logarithms
//! here are fixed point, with 16 bits behind the point.

use crate::time::Duration;

/// log2 of `x` (at least 1), as a fixed-point number with 16 bits behind the point.
fn log2(x: u64) -> u64 {
    let x = x.max(1);
    let whole = x.ilog2();
    // The mantissa, in [1, 2), with 32 bits behind the point. Squaring it doubles its logarithm, and each
    // doubling that passes 2 is one more bit of the answer.
    let mut mantissa = (u128::from(x) << 32) >> whole;
    let mut result = u64::from(whole);
    for _ in 0..16 {
        result <<= 1;
        mantissa = (mantissa * mantissa) >> 32;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            result |= 1;
        }
    }
    result
}

/// How often each member sends a rumor on: λ·⌈log10(n+1)⌉. The rounded logarithm is the number of
/// decimal digits of n.
pub(super) fn transmit_limit(multiplier: u32, members: usize) -> u32 {
    multiplier.saturating_mul(members.max(1).ilog10() + 1)
}

/// The least time of suspicion: multiplier × max(1, log10 n) protocol periods.
pub(super) fn least_suspicion(multiplier: u32, period: Duration, members: usize) -> Duration {
    let periods = (log2(members as u64) << 16) / log2(10);
    scaled(period * multiplier, periods.max(1 << 16), 1 << 16)
}

/// Lifeguard's decay: from `longest` without a confirmation to `least` with all that are `needed`, each
/// confirmation counting for less than the one before it.
pub(super) fn suspicion(
    least: Duration,
    longest: Duration,
    confirmations: u32,
    needed: u32,
) -> Duration {
    if confirmations >= needed {
        return least;
    }
    let shortened = scaled(
        longest.saturating_sub(least),
        log2(u64::from(confirmations) + 1),
        log2(u64::from(needed) + 1),
    );
    longest.saturating_sub(shortened).max(least)
}

/// Whole states grow with the cluster, so above 32 members they are exchanged less often.
pub(super) fn push_pull_interval(interval: Duration, members: usize) -> Duration {
    let doublings = members.max(1).next_power_of_two().ilog2().saturating_sub(5);
    interval * (doublings + 1)
}

/// `duration` × `numerator` / `denominator`, to the microsecond.
fn scaled(duration: Duration, numerator: u64, denominator: u64) -> Duration {
    let micros = duration.as_micros() * u128::from(numerator) / u128::from(denominator.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integer_logarithm_is_close_to_the_true_one() {
        for x in (1..5_000_u64).chain([1 << 40, u64::MAX]) {
            let ours = log2(x) as f64 / 65_536.0;
            assert!((ours - (x as f64).log2()).abs() < 0.000_1, "{x}: {ours}");
        }
    }

    #[test]
    fn rumors_are_sent_more_often_in_larger_clusters() {
        for (members, limit) in [(0, 4), (1, 4), (5, 4), (9, 4), (10, 8), (50, 8), (100, 12)] {
            assert_eq!(transmit_limit(4, members), limit, "{members}");
        }
    }

    #[test]
    fn the_least_suspicion_grows_with_the_logarithm() {
        for (members, millis) in [(1, 4_000), (5, 4_000), (10, 4_000), (50, 6_795), (1_000, 12_000)]
        {
            let least = least_suspicion(4, Duration::from_secs(1), members);
            assert!(least.abs_diff(Duration::from_millis(millis)).as_millis() < 2, "{least:?}");
        }
    }

    #[test]
    fn more_accusers_mean_a_shorter_wait() {
        let (least, longest) = (Duration::from_secs(4), Duration::from_secs(24));
        for (confirmations, needed, millis) in [
            (0, 0, 4_000),
            (0, 2, 24_000),
            (1, 2, 11_381),
            (2, 2, 4_000),
            (9, 2, 4_000),
            (1, 3, 14_000),
        ] {
            let wait = suspicion(least, longest, confirmations, needed);
            assert!(wait.abs_diff(Duration::from_millis(millis)).as_millis() < 3, "{wait:?}");
        }
    }

    #[test]
    fn states_are_exchanged_less_often_in_larger_clusters() {
        let interval = Duration::from_secs(30);
        for (members, times) in [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3)] {
            assert_eq!(push_pull_interval(interval, members), interval * times, "{members}");
        }
    }
}
