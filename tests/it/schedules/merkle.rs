//! Comparisons cost what differs, and mend it.

use super::kit::*;
use quorate::message::client::Inspect;
use quorate::node::Timing;
use quorate::quorum::Consistency;
use quorate::sim::{Cluster, Options};
use quorate::store::{Batch, Change, Source, Store, key as store_key};
use quorate::time::Duration;

const ITEMS: usize = 400;

/// Three nodes that hold the same items, and compare every five seconds.
fn three(seed: u64) -> Cluster {
    let timing = Timing { sync: Duration::from_secs(5), ..Timing::default() };
    let mut c = Cluster::new(Options { nodes: 3, seed, timing, ..Options::default() });
    formed(&mut c, 3);
    for n in 0..ITEMS {
        acked(c.ask(1 + n % 3, put_at(&format!("k{n}"), "v", "", level(Consistency::All))));
    }
    until(&mut c, "all is compared", all_the_same);
    c
}

fn partitions(c: &mut Cluster, number: usize) -> Vec<(u64, String)> {
    let all = inspect(c, number, Inspect::Partitions);
    let slots = all["partitions"].as_array().expect("a list").iter();
    let known = slots.map(|slot| {
        let root = slot["root"].as_str().unwrap_or("unknown").to_owned();
        (slot["items"].as_u64().unwrap_or(u64::MAX), root)
    });
    known.collect()
}

fn all_the_same(c: &mut Cluster) -> bool {
    let first = partitions(c, 1);
    let items = first.iter().fold(0u64, |sum, (items, _)| sum.saturating_add(*items));
    items == ITEMS as u64 && (2..=3).all(|number| partitions(c, number) == first)
}

/// Loses items as a disk that lies does: the node's own books are right about what is left.
fn lose(c: &mut Cluster, number: usize, lost: impl Fn(usize) -> bool) -> usize {
    c.kill(number);
    let mut disk = c.disk(number).clone();
    let (from, to) = store_key::data_range();
    let all = disk.scan(&from, &to, usize::MAX).expect("a healthy disk");
    let gone = all.into_iter().enumerate().filter(|(at, _)| lost(*at)).map(|(_, (key, _))| key);
    let mut changes: Vec<Change> = gone.map(|key| Change::Erase { key }).collect();
    let erased = changes.len();
    let trees = store_key::meta("tree/");
    changes.push(Change::EraseRange { to: store_key::after_prefix(&trees), from: trees });
    disk.commit(Batch { changes }).expect("room");
    disk.sync(usize::MAX);
    c.start(number);
    erased
}

/// The sum of a count over all nodes.
fn sum(c: &mut Cluster, name: &str) -> u64 {
    (1..=3).map(|number| metric(c, number, name)).sum()
}

#[test]
fn in_sync_a_comparison_reads_nothing_and_says_a_few_bytes() {
    let mut c = three(701);
    secs(&mut c, 10);
    let before = ["sync_roots", "sync_bytes", "sync_heads", "sync_items"].map(|n| sum(&mut c, n));
    secs(&mut c, 30);
    let after = ["sync_roots", "sync_bytes", "sync_heads", "sync_items"].map(|n| sum(&mut c, n));
    let [roots, bytes, heads, items] = [0, 1, 2, 3].map(|at| after[at] - before[at]);
    let shared = 3 * partitions(&mut c, 1).len() as u64;
    assert!(
        roots >= 4 * shared,
        "{roots} roots in half a minute: every pair meets every five seconds"
    );
    assert!(bytes <= 64 * roots, "{bytes} bytes for {roots} roots");
    assert_eq!((heads, items), (0, 0));
    let verified = inspect(&mut c, 2, Inspect::Status)["verified"].clone();
    assert_eq!(verified["never"], 0);
    assert!(verified["oldest_seconds"].as_u64().is_some_and(|s| s <= 12), "{verified}");
}

#[test]
fn what_one_replica_lost_is_found_at_the_cost_of_the_difference() {
    let mut c = three(702);
    let largest = partitions(&mut c, 1).iter().map(|(items, _)| *items).max().expect("one");
    let before: Vec<[u64; 3]> = (1..=2)
        .map(|n| ["sync_bytes", "sync_heads", "sync_items"].map(|name| metric(&mut c, n, name)))
        .collect();
    let lost = lose(&mut c, 3, |at| at % 100 == 7) as u64;
    assert_eq!(lost, 4);
    formed(&mut c, 3);
    until(&mut c, "it has them again", all_the_same);
    let now = |c: &mut Cluster, name: &str, at: usize| -> u64 {
        (1..=2).map(|n| metric(c, n, name) - before[n - 1][at]).sum::<u64>() + metric(c, 3, name)
    };
    let heads = now(&mut c, "sync_heads", 1);
    // Two other owners, two sides each, and at most the partition for each that differs.
    assert!(heads <= 4 * lost * largest, "{heads} heads read for {lost} items");
    let items = now(&mut c, "sync_items", 2);
    assert!((lost..=2 * lost).contains(&items), "{items} items were moved for {lost}");
}

#[test]
fn what_everybody_lost_in_part_is_whole_again() {
    let mut c = three(703);
    for number in 1..=3 {
        assert!(lose(&mut c, number, |at| at % 3 == number - 1) > ITEMS / 4);
        formed(&mut c, 3);
    }
    until(&mut c, "all have all", all_the_same);
}

/// Nobody wrote anything meanwhile: the comparison stands in for the hints that there are none of.
#[test]
fn a_repair_compares_everything_now() {
    let timing = Timing { sync: Duration::from_secs(3600), ..Timing::default() };
    let mut c = Cluster::new(Options { nodes: 3, seed: 704, timing, ..Options::default() });
    formed(&mut c, 3);
    for n in 0..60 {
        acked(c.ask(1, put_at(&format!("k{n}"), "v", "", level(Consistency::All))));
    }
    let lost = lose(&mut c, 2, |at| at % 10 == 3);
    formed(&mut c, 3);
    secs(&mut c, 20);
    let count = |c: &mut Cluster, number| -> usize {
        let (from, to) = store_key::data_range();
        c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
    };
    assert_eq!(count(&mut c, 2), 60 - lost);
    let begun: Vec<u64> = (1..=3)
        .map(|n| {
            inspect(&mut c, n, Inspect::Repair { since: None })["since"].as_u64().expect("a time")
        })
        .collect();
    until(&mut c, "it is through", |c| {
        (1..=3).all(|n| {
            let far = inspect(c, n, Inspect::Repair { since: Some(begun[n - 1]) });
            far["left"] == 0
        })
    });
    assert_eq!(count(&mut c, 2), 60);
}
