//! What a client is told of a put that missed its quorum: how many hold it all the same.

use super::kit::*;
use quorate::Error;
use quorate::quorum::Consistency;
use quorate::sim::Cluster;

/// The first owner of `k` has a full disk and says so; a value of before is everywhere.
fn one_refuses(seed: u64) -> (Cluster, [usize; 3]) {
    let (mut c, owners, _) = five_without_sync(seed);
    acked(c.ask(owners[1], put("k", "v", "")));
    converges(&mut c, "k", &["v"]);
    c.disk(owners[0]).set_full(true);
    whatever(c.ask(owners[0], put("other", "v", "")));
    secs(&mut c, 1);
    (c, owners)
}

#[test]
fn a_put_that_misses_waits_for_those_who_are_still_storing_it() {
    let (mut c, [_, b, o]) = one_refuses(701);
    let missed = failed(c.ask(b, put_at("k", "w", "", level(Consistency::All))));
    assert_eq!(missed, Error::OutcomeUnknown { required: 3, received: 2 });
    for node in [b, o] {
        assert_eq!(local(&mut c, node, "k"), ["v", "w"]);
    }
}

#[test]
fn it_waits_for_an_attempt_and_no_longer_whether_for_a_replica_or_for_its_own_disk() {
    for hung in [1, 2] {
        let (mut c, owners) = one_refuses(702);
        c.hold_syncs(owners[hung], true);
        let pending = c.send(owners[1], put_at("k", "w", "", level(Consistency::All)));
        millis(&mut c, 250);
        assert_eq!(c.answer(pending), None, "it may still say so");
        millis(&mut c, 100);
        let missed = failed(c.answer(pending));
        assert_eq!(missed, Error::OutcomeUnknown { required: 3, received: 1 });
    }
}
