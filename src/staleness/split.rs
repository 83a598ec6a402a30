//! A round trip into its two ways, though only their sum was seen.
//!
//! ```text
//!   reads    R + S = 4.1, 0.9, 12 …      two ways that are alike: which one, twice, makes such sums?         halves
//!   writes   W + A = 4.9, 2.2, 13 …      two ways and the disk: what is added to such trips makes those?    excess
//! ```
//!
//! Half of each sum would be wrong: of two ways that vary by themselves the sum varies less than twice one of them
//! does. So this asks which distribution makes what was seen the most likely, by expectation maximization: split each
//! sum as probable as each split is, count the parts, and begin again with what was counted. (Dempster, Laird and
//! Rubin 1977; for sums that is the deconvolution of Richardson 1972 and Lucy 1974.) A few rounds and no more: on and
//! on it would make peaks of chance.
//!
//! - The two ways of a round trip are taken to be alike and independent. No clock tells otherwise.
//! - What a write takes longer than a small message, the disk with all that waits for it, belongs to W.

use super::spread::Spread;

/// So many of the samples, evenly by rank, stand for all.
const SUMS: usize = 256;
/// So many stand for what is taken off.
const POINTS: usize = 32;
/// Parts of the axis: each as much wider than the one before.
const BINS: usize = 112;
/// The axis begins at so small a part of the shortest sum.
const FINEST: f64 = 32.0;
/// How often sums are split anew: few times for two parts that are both unknown, more for one.
const ROUNDS_HALVES: usize = 8;
const ROUNDS_EXCESS: usize = 20;

/// One way, of round trips that are two of the same kind. `sorted`: shortest first, in microseconds.
pub fn halves(sorted: &[f64]) -> Spread {
    let (sums, axis) = (spread_out(sorted, SUMS), Axis::of(sorted));
    // To begin with: one half of them split in the middle, the other anywhere.
    let mut masses = vec![0.0; BINS];
    for sum in &sums {
        masses[axis.bin(sum / 2.0)] += 0.5;
        axis.fill(&mut masses, *sum, 0.5);
    }
    // The smaller part lies in one of these bins, and the other makes up the sum.
    let splits = sums.iter().map(|sum| {
        let smaller = 0..=axis.bin(sum / 2.0);
        let split = smaller.map(|bin| Split {
            part: axis.bin(sum - axis.center(bin).min(sum / 2.0)),
            other: Some(bin),
        });
        split.collect()
    });
    likeliest(&axis, &splits.collect::<Vec<_>>(), masses, ROUNDS_HALVES)
}

/// What a write takes longer than a small round trip, by both as they were seen. `writes` and `trips`: shortest first,
/// in microseconds.
pub fn excess(writes: &[f64], trips: &[f64]) -> Spread {
    let (sums, axis) = (spread_out(writes, SUMS), Axis::of(writes));
    let some = spread_out(trips, POINTS);
    // What is left of each write by each of the trips; nothing, where none is so short.
    let splits = sums.iter().map(|sum| {
        let left = some.iter().map(|trip| sum - trip).filter(|left| *left >= 0.0);
        let split = |part| Split { part: axis.bin(part), other: None };
        let all: Vec<Split> = left.map(split).collect();
        if all.is_empty() { vec![split(0.0)] } else { all }
    });
    let splits: Vec<Vec<Split>> = splits.collect();
    let mut masses = vec![0.0; BINS];
    splits.iter().flatten().for_each(|split| masses[split.part] += 1.0);
    let excess = likeliest(&axis, &splits, masses, ROUNDS_EXCESS);
    // Where ways vary much, what is left of a write by a trip that was not its own is mostly too much. How much it is
    // on average is known better than how it is spread.
    let mean = |sorted: &[f64]| sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
    let (known, found) = ((mean(writes) - mean(trips)).max(0.0), excess.mean());
    if known < found { excess.times(known / found) } else { excess }
}

/// One way to split a sum: in which bins its parts lie.
struct Split {
    part: usize,
    /// `None`: the other part is not looked for.
    other: Option<usize>,
}

/// Expectation maximization: which masses make it the most likely that each sum is one of its splits?
fn likeliest(axis: &Axis, splits: &[Vec<Split>], mut masses: Vec<f64>, rounds: usize) -> Spread {
    let mut chances = Vec::new();
    for _ in 0..rounds {
        let mut next = vec![0.0; BINS];
        for sum in splits {
            let chance = |split: &Split| {
                let other = split.other.map_or(1.0, |bin| masses[bin]);
                other * masses[split.part] / axis.width(split.part)
            };
            chances.clear();
            chances.extend(sum.iter().map(chance));
            let all: f64 = chances.iter().sum();
            for (split, chance) in sum.iter().zip(&chances) {
                let share = if all > 0.0 { chance / all } else { 1.0 / sum.len() as f64 };
                next[split.part] += share;
                if let Some(other) = split.other {
                    next[other] += share;
                }
            }
        }
        masses = next;
    }
    Spread::of_bins(&axis.edges, &masses)
}

/// So many of them, evenly by rank.
fn spread_out(sorted: &[f64], many: usize) -> Vec<f64> {
    let spread = Spread::of(sorted);
    let many = many.min(sorted.len());
    (0..many).map(|at| spread.quantile((at as f64 + 0.5) / many as f64)).collect()
}

/// Bins from nothing to the longest sum.
struct Axis {
    edges: Vec<f64>,
}

impl Axis {
    fn of(sorted: &[f64]) -> Axis {
        let shortest = sorted.first().copied().unwrap_or(1.0).max(1.0);
        let longest = sorted.last().copied().unwrap_or(1.0).max(shortest);
        let first = shortest / FINEST;
        let step = (longest / first).powf(1.0 / (BINS - 1) as f64);
        let mut edges = vec![0.0];
        edges.extend((0..BINS).map(|at| first * step.powi(at as i32)));
        Axis { edges }
    }

    fn bin(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= value).clamp(1, BINS) - 1
    }

    fn center(&self, bin: usize) -> f64 {
        f64::midpoint(self.edges[bin], self.edges[bin + 1])
    }

    fn width(&self, bin: usize) -> f64 {
        self.edges[bin + 1] - self.edges[bin]
    }

    /// So much, evenly from nothing to here.
    fn fill(&self, masses: &mut [f64], upto: f64, mass: f64) {
        for (bin, into) in masses.iter_mut().enumerate() {
            let part = upto.min(self.edges[bin + 1]) - self.edges[bin];
            *into += mass * part.max(0.0) / upto.max(f64::MIN_POSITIVE);
        }
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
