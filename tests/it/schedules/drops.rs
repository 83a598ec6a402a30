//! Buckets that are dropped: nothing of them comes back, from nobody, and what has their name afterwards is another bucket.

use super::kit::*;
use quorate::Error;
use quorate::message::client::{Inspect, Reply, Request};
use quorate::quorum::Consistency;
use quorate::sim::Cluster;
use quorate::store::{Source, key as store_key};

const ITEMS: usize = 40;

fn stored(c: &Cluster, number: usize) -> usize {
    let (from, to) = store_key::data_range();
    c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

fn hinted(c: &Cluster, number: usize) -> usize {
    let (from, to) = store_key::hint_range(None);
    c.disk(number).scan(&from, &to, usize::MAX).expect("a healthy disk").len()
}

/// Which bucket is called `b`, as a node knows.
fn id_of_b(c: &mut Cluster, through: usize) -> Option<u64> {
    let list = inspect(c, through, Inspect::Buckets);
    let buckets = list["buckets"].as_array().expect("a list");
    let bucket = buckets.iter().find(|bucket| bucket["name"] == "b")?;
    Some(u64::from_str_radix(bucket["id"].as_str().expect("text"), 16).expect("hexadecimal"))
}

fn drop_b(c: &mut Cluster, through: usize, id: u64) -> Option<Reply> {
    c.ask(through, Request::DropBucket { name: "b".into(), id })
}

fn filled(nodes: usize, seed: u64) -> Cluster {
    let mut c = cluster(nodes, seed);
    for n in 0..ITEMS {
        acked(c.ask(1 + n % nodes, put(&format!("k{n}"), "old", "")));
    }
    c
}

#[test]
fn what_was_dropped_is_erased_everywhere_and_a_node_that_was_away_brings_nothing_back() {
    let mut c = filled(5, 9301);
    c.kill(5);
    notices(&mut c, 1, &[5]);
    for n in 0..ITEMS {
        acked(c.ask(1 + n % 4, put(&format!("k{n}"), "newer", "")));
    }
    assert!((1..=4).any(|number| hinted(&c, number) > 0), "somebody stands in");
    let id = id_of_b(&mut c, 2).expect("there");
    assert_eq!(drop_b(&mut c, 2, id), Some(Reply::Agreed));
    until(&mut c, "what lay on four disks is gone", |c| {
        (1..=4).all(|number| stored(c, number) == 0 && hinted(c, number) == 0)
    });
    // The next of its name begins empty, also where the old one still lies.
    assert_eq!(c.ask(3, Request::CreateBucket(spec("b"))), Some(Reply::Agreed));
    acked(c.ask(3, put("k1", "new", "")));
    c.start(5);
    until(&mut c, "n5 has erased what it had, and has what is new", |c| {
        id_of_b(c, 5).is_some_and(|now| now != id) && stored(c, 5) <= 1
    });
    secs(&mut c, 60);
    for number in 1..=5 {
        let (values, _) = got(c.ask(number, get("k1", level(Consistency::All))));
        assert_eq!(values, ["new"], "n{number}");
        let (values, _) = got(c.ask(number, get("k2", level(Consistency::All))));
        assert!(values.is_empty(), "n{number} shows {values:?}");
        assert!(stored(&c, number) <= 1, "n{number} holds {}", stored(&c, number));
    }
    let partitions = inspect(&mut c, 1, Inspect::Status)["partitions"].clone();
    assert_eq!((&partitions["under_replicated"], &partitions["at_risk"]), (&0.into(), &0.into()));
}

#[test]
fn a_token_of_the_dropped_bucket_is_of_no_use_and_a_late_drop_harms_nothing() {
    let mut c = filled(3, 9302);
    let token = acked(c.ask(1, put("k1", "seen", "")));
    let id = id_of_b(&mut c, 1).expect("there");
    assert_eq!(drop_b(&mut c, 1, id), Some(Reply::Agreed));
    assert_eq!(c.ask(1, Request::CreateBucket(spec("b"))), Some(Reply::Agreed));
    everybody_knows(&mut c, 3, 1);
    until(&mut c, "all know the new one", |c| {
        (1..=3).all(|number| id_of_b(c, number).is_some_and(|now| now != id))
    });
    acked(c.ask(2, put("k1", "kept", "")));
    let refused = failed(c.ask(3, put("k1", "blind", &token)));
    assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
    // Somebody did not hear the answer and asks again: for the one that is gone.
    assert_eq!(failed(drop_b(&mut c, 3, id)), Error::ContextMismatch);
    let (values, _) = got(c.ask(1, get("k1", level(Consistency::All))));
    assert_eq!(values, ["kept"]);
    let unknown = failed(drop_b(&mut c, 2, id ^ 1));
    assert!(matches!(unknown, Error::NotFound(_)), "{unknown:?}");
}

#[test]
fn writes_that_race_the_drop_end_and_leave_nothing_of_it() {
    let mut c = filled(5, 9303);
    let id = id_of_b(&mut c, 1).expect("there");
    // n4 and n5 hear of it later, and go on taking writes for the bucket that they know.
    cut_off(&mut c, &[4, 5]);
    notices(&mut c, 1, &[4, 5]);
    assert_eq!(drop_b(&mut c, 1, id), Some(Reply::Agreed));
    for n in 0..10 {
        whatever(c.ask(4, put(&format!("late{n}"), "lost", "")));
    }
    c.network.heal();
    until(&mut c, "all know that it is gone", |c| {
        (1..=5).all(|number| id_of_b(c, number).is_none_or(|now| now != id))
    });
    secs(&mut c, 90);
    for number in 1..=5 {
        assert_eq!((stored(&c, number), hinted(&c, number)), (0, 0), "n{number}");
    }
}
