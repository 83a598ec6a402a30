use super::*;
use fastrand::Rng;

const SEEN: usize = 2048;

/// A way, in microseconds.
type Way = fn(&mut Rng) -> f64;

fn constant(_: &mut Rng) -> f64 {
    10_000.0
}

fn exponential(rng: &mut Rng) -> f64 {
    -10_000.0 * (1.0 - rng.f64()).ln()
}

fn bimodal(rng: &mut Rng) -> f64 {
    match rng.f64() < 0.7 {
        true => 1_000.0 + 500.0 * rng.f64(),
        false => 30_000.0 + 10_000.0 * rng.f64(),
    }
}

fn lognormal(rng: &mut Rng) -> f64 {
    let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    5_000.0 * (0.8 * normal).exp()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// By how much two distributions differ at the worst, as shares of what is below (Kolmogorov's distance); `blur` is how
/// far off a value may be.
fn apart(found: &Spread, truth: &[f64], blur: f64) -> f64 {
    let mut worst: f64 = 0.0;
    for at in 0..=200 {
        let share = f64::from(at) / 200.0;
        let value = found.quantile(share);
        let below = |value: f64| truth.partition_point(|t| *t < value) as f64 / truth.len() as f64;
        let (low, high) = (below(value * (1.0 - blur)), below(value * (1.0 + blur)));
        worst = worst.max(low - share).max(share - high);
    }
    worst
}

#[test]
fn one_way_is_found_from_sums_of_two() {
    for (way, name) in [
        (constant as Way, "constant"),
        (exponential, "exponential"),
        (bimodal, "bimodal"),
        (lognormal, "lognormal"),
    ] {
        for seed in 0..4 {
            let rng = &mut Rng::with_seed(seed);
            let sums = sorted((0..SEEN).map(|_| way(rng) + way(rng)).collect());
            let truth = sorted((0..20_000).map(|_| way(rng)).collect());
            let found = apart(&halves(&sums), &truth, 0.05);
            assert!(found < 0.05, "{name}, seed {seed}: {found}");
        }
    }
}

#[test]
fn half_of_each_sum_would_have_been_wrong() {
    let rng = &mut Rng::with_seed(1);
    let halved = sorted((0..SEEN).map(|_| (exponential(rng) + exponential(rng)) / 2.0).collect());
    let truth = sorted((0..20_000).map(|_| exponential(rng)).collect());
    assert!(apart(&Spread::of(&halved), &truth, 0.05) > 0.1);
}

#[test]
fn the_disk_stays_with_the_write() {
    for (way, name) in
        [(constant as Way, "constant"), (exponential, "exponential"), (lognormal, "lognormal")]
    {
        for (disk, of) in [(300.0, "a fast disk"), (20_000.0, "a slow one")] {
            for seed in 0..4 {
                let rng = &mut Rng::with_seed(seed);
                let write = |rng: &mut Rng| way(rng) + disk * (0.5 + rng.f64());
                let trips = sorted((0..SEEN).map(|_| way(rng) + way(rng)).collect());
                let writes = sorted((0..SEEN).map(|_| write(rng) + way(rng)).collect());
                let truth = sorted((0..20_000).map(|_| write(rng)).collect());
                let (way, disk) = (halves(&trips), excess(&writes, &trips));
                let both = (0..20_000).map(|_| way.draw(rng) + disk.draw(rng));
                let found = apart(&Spread::of(&sorted(both.collect())), &truth, 0.05);
                assert!(found < 0.05, "{name}, {of}, seed {seed}: {found}");
            }
        }
    }
}

#[test]
fn whatever_was_seen_comes_back_finite() {
    for sums in [vec![], vec![0.0], vec![0.0; 300], vec![1.0, 4e9], vec![4_294_967_295.0; 300]] {
        for spread in [halves(&sums), excess(&sums, &sums), excess(&sums, &[]), excess(&[], &sums)]
        {
            for share in [0.0, 0.5, 1.0] {
                let at = spread.quantile(share);
                assert!(at.is_finite() && at >= 0.0, "{at} of {} sums", sums.len());
            }
        }
    }
}
