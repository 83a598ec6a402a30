//! How long something takes: a distribution, as a table of its quantiles, to be drawn from.
//!
//! ```text
//!   0 %    25 %    50 %    75 %    100 %
//!   0.1 ────0.3─────0.5─────2.1──── 9.0 ms       a draw: a point anywhere on the line below, read off above
//! ```

/// Steps of the table.
const STEPS: usize = 2048;

/// See the module's picture. Microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    quantiles: Vec<f64>,
}

impl Spread {
    /// What took no time at all.
    pub fn nothing() -> Spread {
        Spread { quantiles: vec![0.0] }
    }

    /// As these samples are spread, shortest first. Of none: no time.
    pub fn of(sorted: &[f64]) -> Spread {
        let Some(last) = sorted.len().checked_sub(1) else { return Spread::nothing() };
        let at = |step: usize| between(sorted, step as f64 / STEPS as f64 * last as f64);
        Spread { quantiles: (0..=STEPS).map(at).collect() }
    }

    /// By how much lies between each two of these edges, in order. The edges are one more than the masses.
    pub(super) fn of_bins(edges: &[f64], masses: &[f64]) -> Spread {
        let total: f64 = masses.iter().sum();
        if total <= 0.0 {
            return Spread::nothing();
        }
        let mut quantiles = Vec::with_capacity(STEPS + 1);
        let (mut bin, mut below) = (0, 0.0);
        for step in 0..=STEPS {
            let wanted = total * step as f64 / STEPS as f64;
            while bin + 1 < masses.len() && (below + masses[bin] < wanted || masses[bin] <= 0.0) {
                below += masses[bin];
                bin += 1;
            }
            let within = ((wanted - below) / masses[bin].max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let at = edges[bin] + within * (edges[bin + 1] - edges[bin]);
            // What the last bins hold may be nothing: then the end is where the mass ends.
            quantiles.push(if masses[bin] > 0.0 { at } else { edges[bin] });
        }
        Spread { quantiles }
    }

    /// How long it takes on average.
    pub(super) fn mean(&self) -> f64 {
        self.quantiles.iter().sum::<f64>() / self.quantiles.len() as f64
    }

    /// All of it so many times as long.
    pub(super) fn times(mut self, factor: f64) -> Spread {
        self.quantiles.iter_mut().for_each(|at| *at *= factor);
        self
    }

    /// This share of all takes at most so long; 0 to 1.
    pub fn quantile(&self, share: f64) -> f64 {
        between(&self.quantiles, share.clamp(0.0, 1.0) * (self.quantiles.len() - 1) as f64)
    }

    /// How long it takes once.
    pub fn draw(&self, rng: &mut fastrand::Rng) -> f64 {
        self.quantile(rng.f64())
    }
}

/// What stands at this place of a list, or lies between two.
fn between(values: &[f64], place: f64) -> f64 {
    let low = (place as usize).min(values.len() - 1);
    let high = (low + 1).min(values.len() - 1);
    values[low] + (values[high] - values[low]) * (place - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_it_was_made_of() {
        let sorted: Vec<f64> = (0..=1000).map(f64::from).collect();
        let spread = Spread::of(&sorted);
        for share in [0.0, 0.1, 0.5, 0.99, 1.0] {
            assert!((spread.quantile(share) - share * 1000.0).abs() < 1.0, "{share}");
        }
        let bins = Spread::of_bins(&[0.0, 10.0, 20.0, 30.0], &[1.0, 0.0, 3.0]);
        assert!((bins.quantile(0.25) - 10.0).abs() < 0.1 && bins.quantile(0.3) > 20.0);
        assert!((bins.quantile(1.0) - 30.0).abs() < 1e-9);
        assert_eq!(Spread::of_bins(&[0.0, 1.0, 2.0], &[1.0, 0.0]).quantile(1.0), 1.0);
    }

    #[test]
    fn draws_are_spread_as_the_samples_are() {
        let sorted: Vec<f64> = (0..500).map(|at| (f64::from(at) / 50.0).exp()).collect();
        let (spread, mut rng) = (Spread::of(&sorted), fastrand::Rng::with_seed(4));
        let below = (0..10_000).filter(|_| spread.draw(&mut rng) < sorted[350]).count();
        assert!((6_800..7_200).contains(&below), "{below}");
    }

    #[test]
    fn of_nothing_is_no_time() {
        assert_eq!(Spread::of(&[]), Spread::nothing());
        assert_eq!(Spread::of_bins(&[0.0, 1.0], &[0.0]).quantile(0.5), 0.0);
        assert_eq!(Spread::of(&[7.0]).quantile(0.3), 7.0);
    }
}
