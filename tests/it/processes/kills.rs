//! Under load: kill -9 of one node at a time, and one that only stands still for a while.

use super::cluster::{Cluster, SOON, until};
use super::gaps::Probe;
use super::load::{Running, keeps, times};
use rustix::process::Signal;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// How long clients may be without a success.
const GAP: Duration = Duration::from_secs(2);
/// How long a death may take to be seen by all, without the time in which the machine itself stood still.
const SEEN: Duration = Duration::from_secs(15);
/// How long a node stands still without being called dead.
const PAUSE: Duration = Duration::from_secs(3);
const WRITERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_node_under_load_leaves_a_short_gap_and_loses_nothing() {
    let kills = times("QUORATE_KILLS", 2);
    let cluster = Cluster::start_alone(5).await;
    let client = cluster.client().await;
    let probe = Probe::start();
    let running = Running::start(&client, WRITERS, "kills");
    running.acked(200).await;
    paused_is_not_dead(&cluster, 4).await;
    let mut seen = Vec::new();
    let mut gaps = Vec::new();
    for kill in 0..kills {
        // n1 founded the cluster: it is nothing special any more, so it is among the first to go.
        let victim = (kill % 5) as u16 + 1;
        let begin = Instant::now();
        cluster.kill(&[victim]);
        let took = dead_for_all(&cluster, victim, begin).await;
        seen.push(took.saturating_sub(probe.stalled(begin, begin + took)));
        let load = &running.load;
        let (puts, gets) =
            (load.puts.longest(begin, &probe.stalls()), load.gets.longest(begin, &probe.stalls()));
        gaps.push((victim, puts, gets));
        assert!(
            puts.0 <= GAP,
            "no put succeeded for {:?} after n{victim} died (stalled {:?})",
            puts.0,
            puts.1
        );
        assert!(
            gets.0 <= GAP,
            "no get succeeded for {:?} after n{victim} died (stalled {:?})",
            gets.0,
            gets.1
        );
        cluster.restart(victim).await;
        cluster.all_alive().await;
    }
    let stalled: Duration = probe.stalls().iter().map(|stall| stall.1 - stall.0).sum();
    let load = running.load.clone();
    let promises = running.stop().await;
    seen.sort();
    println!(
        "kills: {kills}; dead for all: median {:?}, longest {:?}; gaps (node, puts (net, stalled), gets): {gaps:?}; \
         acknowledged {}, unknown {}, refused {}; the machine stalled {stalled:?}",
        seen[seen.len() / 2],
        seen[seen.len() - 1],
        load.acked.load(SeqCst),
        load.unknown.load(SeqCst),
        load.refused.load(SeqCst),
    );
    assert!(seen[seen.len() - 1] <= SEEN, "{seen:?}");
    keeps(&client, &promises).await;
    cluster.no_hints().await;
    cluster.agree(super::load::BUCKET, 3).await;
}

/// How long it took until every survivor says so.
async fn dead_for_all(cluster: &Cluster, victim: u16, since: Instant) -> Duration {
    for number in cluster.others(victim) {
        until(&format!("n{number} sees that n{victim} is dead"), SOON, async || {
            match cluster.state_of(number, victim).await? {
                state if state == "dead" => Ok(()),
                state => Err(format!("after {:?} it says {state}", since.elapsed())),
            }
        })
        .await;
    }
    since.elapsed()
}

async fn paused_is_not_dead(cluster: &Cluster, number: u16) {
    cluster.signal(&[number], Signal::STOP);
    let begin = Instant::now();
    let mut suspected = false;
    until("three seconds pass", SOON, async || {
        for other in cluster.others(number) {
            let state = cluster.state_of(other, number).await?;
            assert_ne!(state, "dead", "n{other} gave up n{number} after {:?}", begin.elapsed());
            suspected |= state == "suspect";
        }
        if begin.elapsed() < PAUSE { Err("not yet".into()) } else { Ok(()) }
    })
    .await;
    cluster.signal(&[number], Signal::CONT);
    for other in cluster.others(number) {
        until(&format!("n{other} sees n{number} alive again"), SOON, async || {
            match cluster.state_of(other, number).await? {
                state if state == "alive" => Ok(()),
                state => {
                    assert_ne!(state, "dead", "n{other} gave up n{number}, which was only slow");
                    Err(state)
                }
            }
        })
        .await;
    }
    println!("paused for {PAUSE:?}: suspected: {suspected}, dead for nobody");
}
