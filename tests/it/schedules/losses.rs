//! Disks that are gone for ever, and an operator who says so.

use super::kit::*;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::node::Timing;
use quorate::quorum::Consistency;
use quorate::sim::{Cluster, Options};
use quorate::time::Duration;

const ITEMS: usize = 60;

fn rebuilding(c: &mut Cluster, number: usize) -> u64 {
    let told = inspect(c, number, Inspect::AcceptLoss { accept: false });
    told["rebuilding"].as_u64().unwrap_or(u64::MAX)
}

/// Five nodes, with items on three of them each, and nobody takes the places of who is gone.
fn five_with_items() -> Cluster {
    let timing = Timing { down_out_after: Duration::ZERO, ..Timing::default() };
    let options = Options { nodes: 5, seed: 9401, timing, partitions: 64, ..Options::default() };
    let mut c = Cluster::new(options);
    formed(&mut c, 5);
    assert_eq!(c.ask(1, Request::CreateBucket(spec("b"))), Some(Reply::Agreed));
    everybody_knows(&mut c, 5, 1);
    for n in 0..ITEMS {
        acked(c.ask(1 + n % 5, put_at(&format!("k{n}"), "v", "", level(Consistency::All))));
    }
    c
}

/// Runs until so many are alive again and these have taken from the others what they can.
fn back(c: &mut Cluster, alive: usize, these: &[usize]) {
    until(c, "they are members again", |c| {
        let all = inspect(c, 4, Inspect::Status)["nodes"]["alive"] == alive;
        all && these.iter().all(|number| rebuilding(c, *number) < u64::MAX)
    });
    secs(c, 120);
}

fn all_there(c: &mut Cluster, through: usize) {
    for n in 0..ITEMS {
        let (values, _) = got(c.ask(through, get(&format!("k{n}"), quorum())));
        assert_eq!(values, ["v"], "k{n}");
    }
}

#[test]
fn who_waits_for_a_disk_that_is_gone_goes_on_when_told_and_not_before() {
    let mut c = five_with_items();
    c.kill(1);
    c.wipe(2);
    c.start(2);
    back(&mut c, 4, &[2]);
    let told = inspect(&mut c, 2, Inspect::AcceptLoss { accept: false });
    let lacks = told["lacks"].as_array().expect("a list").clone();
    assert!(rebuilding(&mut c, 2) > 0, "it waits: {told}");
    assert_eq!((lacks.len(), lacks[0]["name"].as_str()), (1, Some("n1")), "{told}");
    assert_eq!(told["accepted"], false);
    // What the third owner has, has come meanwhile.
    let told = inspect(&mut c, 2, Inspect::AcceptLoss { accept: true });
    assert_eq!(told["accepted"], true);
    assert_eq!(rebuilding(&mut c, 2), 0);
    all_there(&mut c, 3);
    c.kill(2);
    c.start(2);
    until(&mut c, "n2 is back", |c| rebuilding(c, 2) < u64::MAX);
    assert_eq!(rebuilding(&mut c, 2), 0, "it is not asked again");
}

#[test]
fn two_that_wait_for_each_other_end_that_when_one_of_them_is_told() {
    let mut c = five_with_items();
    c.wipe(1);
    c.wipe(2);
    c.start(1);
    c.start(2);
    back(&mut c, 5, &[1, 2]);
    assert!(rebuilding(&mut c, 1) > 0 && rebuilding(&mut c, 2) > 0, "each waits for the other");
    inspect(&mut c, 1, Inspect::AcceptLoss { accept: true });
    until(&mut c, "n2 goes on by itself", |c| rebuilding(c, 2) == 0);
    for through in [1, 2, 5] {
        all_there(&mut c, through);
    }
}
