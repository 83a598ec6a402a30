//! How much longer what goes over a stream may take: drawn anew for each message, where a test asks for it.
//!
//! ```text
//!   exponential   ▇▅▃▂▁▁          many are quick, and how long the others take knows no end
//!   lognormal     ▂▇▅▃▂▁▁         a hump and a long tail: what networks look like
//!   bimodal       ▇      ▃        two kinds of ways: near and far, or a queue now and then
//! ```

use crate::time::Duration;
use fastrand::Rng;

/// See the module's picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delays {
    /// Of this mean.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// Half take less than the median; `sigma` is the deviation of the logarithm.
    Lognormal {
        /// The median.
        median: Duration,
        /// The deviation of the logarithm.
        sigma: f64,
    },
    /// Most take `near`, and these of a hundred `far`; each up to half as much again, evenly.
    Bimodal {
        /// The shorter of both.
        near: Duration,
        /// The longer of both.
        far: Duration,
        /// How many of a hundred take the longer.
        percent_far: u32,
    },
}

impl Delays {
    /// One of them.
    pub fn draw(self, rng: &mut Rng) -> Duration {
        // Never 0, of which there is no logarithm.
        let mut chance = || 1.0 - rng.f64();
        match self {
            Delays::Exponential { mean } => mean.mul_f64(-chance().ln()),
            Delays::Lognormal { median, sigma } => {
                // Box and Muller's way to a normal deviate.
                let far = (-2.0 * chance().ln()).sqrt();
                let normal = far * (std::f64::consts::TAU * chance()).cos();
                median.mul_f64((sigma * normal).exp())
            }
            Delays::Bimodal { near, far, percent_far } => {
                let from = if chance() * 100.0 <= f64::from(percent_far) { far } else { near };
                from.mul_f64(1.0 + chance() / 2.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(delays: Delays) -> Vec<f64> {
        let rng = &mut Rng::with_seed(5);
        let mut ms: Vec<f64> = (0..20_000).map(|_| delays.draw(rng).as_secs_f64() * 1e3).collect();
        ms.sort_unstable_by(f64::total_cmp);
        ms
    }

    #[test]
    fn they_are_spread_as_their_names_say() {
        let ms = Duration::from_millis;
        let below = |drawn: &[f64], ms: f64| drawn.partition_point(|d| *d < ms) as f64 / 20_000.0;
        let check = |delays: Delays, at: f64, truth: f64| {
            let found = below(&drawn(delays), at);
            assert!((found - truth).abs() < 0.015, "{delays:?}: {found} below {at}");
        };
        let exponential = Delays::Exponential { mean: ms(10) };
        check(exponential, 10.0, 0.632);
        check(exponential, 1.0, 0.095);
        let lognormal = Delays::Lognormal { median: ms(8), sigma: 0.5 };
        check(lognormal, 8.0, 0.5);
        check(lognormal, 13.19, 0.841);
        let bimodal = Delays::Bimodal { near: ms(2), far: ms(20), percent_far: 30 };
        check(bimodal, 1.99, 0.0);
        check(bimodal, 10.0, 0.7);
        check(bimodal, 30.01, 1.0);
    }
}
