//! What must hold at every size, in clusters small enough for a test.

use super::*;
use crate::ring::Partitions;
use crate::time::Duration;

#[test]
fn fifty_members_know_of_a_death_and_of_a_newcomer_in_time_and_wrong_nobody() {
    let seen = changes::<Ours>(7, 50, 0, 4, || {});
    assert_eq!((seen.first.len(), seen.all.len(), seen.joins.len()), (4, 4, 4));
    for (first, all) in seen.first.iter().zip(&seen.all) {
        // 4 × log10 50 periods of suspicion are the least; rumors then need a second or two.
        assert!(*first >= Duration::from_secs(6), "suspicion was skipped: {first:?}");
        assert!(first <= all && *all <= Duration::from_secs(20), "{first:?}, {all:?}");
    }
    assert!(seen.joins.iter().all(|took| *took <= Duration::from_secs(5)), "{:?}", seen.joins);
    assert_eq!(seen.mistakes, Mistakes::default());
}

#[test]
fn what_a_member_sends_when_all_is_calm_does_not_grow_with_the_cluster() {
    let sent = |size| {
        let calm = calm::<Ours>(3, size, 0, 20, || {});
        calm.traffic.datagrams as f64 / calm.node_seconds
    };
    let (small, large) = (sent(50), sent(200));
    assert!((0.9..=1.1).contains(&(large / small)), "{small} and {large} datagrams a second");
    assert!((1.8..=2.2).contains(&large), "a ping and an ack in each second, not {large}");
}

#[test]
fn five_percent_of_loss_raise_suspicions_and_kill_nobody() {
    let calm = calm::<Ours>(5, 50, 50, 240, || {});
    assert!(calm.mistakes.suspicions > 0, "nothing was put to the test");
    assert_eq!((calm.mistakes.deaths, calm.mistakes.death_events), (0, 0));
}

/// Else the test above, and the table of the documentation, might count nothing.
#[test]
fn false_deaths_are_counted_when_there_are_some() {
    let calm = calm::<Ours>(5, 10, 700, 240, || {});
    let Mistakes { suspicions, deaths, death_events } = calm.mistakes;
    assert!(deaths > 0 && death_events >= deaths && suspicions >= deaths, "{:?}", calm.mistakes);
}

#[test]
fn the_same_seed_has_the_same_figures_and_another_one_others() {
    let run = |seed| {
        let calm = calm::<Ours>(seed, 8, 200, 60, || {});
        (calm.traffic, calm.mistakes)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_ring_stays_balanced_as_it_grows_and_a_join_moves_what_the_newcomer_takes() {
    let partitions = Partitions::new(1_024).expect("a power of two");
    let seen = grow(partitions, &[5, 20, 40], || {});
    assert_eq!(seen.iter().map(|balance| balance.members).collect::<Vec<_>>(), [5, 20, 40]);
    for balance in seen {
        assert_eq!(balance.slots, 3 * 1_024);
        let (least, most) = (balance.percent(balance.least), balance.percent(balance.most));
        assert!(least >= 80.0 && most <= 110.0, "{balance:?}: {least}..{most} %");
        assert_eq!(balance.moved_elsewhere, 0, "{balance:?}");
        let fair = 100.0 / balance.members as f64;
        assert!(balance.moved_percent() <= 1.1 * fair, "{balance:?}");
    }
}

#[test]
fn a_study_has_a_row_for_each_size_and_does_not_depend_on_threads() {
    let plan = Plan { sizes: vec![3, 6], deaths: 2, seed: 4 };
    let [one, two] = [1, 2].map(|threads| {
        let ticked = std::sync::atomic::AtomicU64::new(0);
        let study = plan.run(threads, |cost| {
            ticked.fetch_add(cost, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(ticked.into_inner() <= plan.cost());
        study
    });
    for (a, b) in one.figures.iter().zip(&two.figures) {
        assert_eq!(a.changes.all, b.changes.all);
        assert_eq!(a.changes.all.len(), 2);
        assert_eq!(a.calm.len(), 3);
        let mistakes = |f: &Figures| f.calm.iter().map(|c| c.mistakes).collect::<Vec<_>>();
        assert_eq!(mistakes(a), mistakes(b));
    }
    assert_eq!(one.rings, two.rings);
    assert_eq!(one.rings.len(), 4);
}
