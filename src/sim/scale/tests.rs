//! What must hold at every size, in clusters small enough for a test.

use super::*;
use crate::ring::Partitions;
use crate::time::{Duration, Instant};

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

/// Says once, on its first timer, what it is told to think of everybody.
struct Slanderer {
    due: Option<Instant>,
    opinions: Vec<Said>,
}

impl Detector for Slanderer {
    const ENVELOPE: usize = 0;

    fn settled(me: usize, size: usize, _seed: u64, now: Instant) -> Slanderer {
        let about = |now| (0..size).map(move |of| Said::Opinion { of, now });
        let due = now + Duration::from_secs(1 + me as u64);
        let opinions = about(Opinion::Dead).chain(about(Opinion::Suspect)).collect();
        Slanderer { due: Some(due), opinions }
    }

    fn newcomer(_: usize, _: &[usize], _: usize, _: u64, _: Instant) -> Slanderer {
        unreachable!("nobody joins")
    }

    fn datagram(&mut self, _: Instant, _: usize, _: &[u8]) {}

    fn stream(&mut self, _: Instant, _: usize, _: &[u8]) {}

    fn timer(&mut self, _: Instant) {
        self.due = None;
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn said(&mut self) -> Option<Said> {
        if self.due.is_some() { None } else { self.opinions.pop() }
    }
}

/// Else the tests here, and the table of the documentation, might count nothing.
#[test]
fn wrong_opinions_are_counted_about_others_that_run_and_by_who_first_has_them() {
    let mut network: Network<Slanderer> = Network::settled(1, 4);
    network.kill(3);
    network.run(Duration::from_secs(20));
    // Each of three suspects the other two, then gives them up. Everybody is suspect to nobody else by then.
    let mistakes = Mistakes { suspicions: 6, deaths: 3, death_events: 6 };
    assert_eq!(network.mistakes, mistakes);
    assert_eq!((0..4).map(|of| network.hold(of, Opinion::Dead)).collect::<Vec<_>>(), [2, 2, 2, 3]);
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
    let plan = Plan { sizes: vec![3, 6], deaths: 2, calm_node_seconds: 0, seed: 4 };
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
