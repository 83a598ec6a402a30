use super::*;

const ROLLS: usize = 10_000;
const MS: f64 = 1_000.0;

fn always(ms: f64) -> Spread {
    Spread::of(&[ms * MS])
}

fn exponential(mean_ms: f64) -> Spread {
    let many = 100_000;
    let quantile = |at: usize| -(1.0 - at as f64 / many as f64).ln() * mean_ms * MS;
    Spread::of(&(0..many).map(quantile).collect::<Vec<_>>())
}

/// A node that a write reaches, and that stores it, in so many ms, and that a small message reaches in so many.
fn replica(write: f64, way: f64) -> Replica {
    Replica { way: always(way), disk: always(write - way), late: f64::INFINITY }
}

fn there(replica: usize) -> Owner {
    Owner { replica, away: false, backlog: 0.0 }
}

fn away(replica: usize, backlog_ms: f64) -> Owner {
    Owner { replica, away: true, backlog: backlog_ms * MS }
}

fn scene(replicas: Vec<Replica>, owners: Vec<Owner>, fallbacks: Vec<usize>) -> Scene {
    let n = owners.len();
    Scene { replicas, lists: vec![Places { owners, fallbacks }], n, returning: false }
}

fn needs(scene: &Scene, reader: Reader) -> Needs {
    scene.predict(reader, ROLLS, &mut Rng::with_seed(3)).expect("somebody reads")
}

/// After how many ms a read is fresh, where there is no chance in it.
fn need(scene: &Scene, r: usize, w: usize) -> Option<f64> {
    let needs = needs(scene, Reader::Another);
    let (half, all) = (needs.fresh_after(r, w, 0.5), needs.fresh_after(r, w, 1.0));
    assert_eq!(half, all, "there is chance in it");
    all.map(|us| us / MS)
}

#[test]
fn a_read_waits_for_what_the_replica_gets_after_the_acknowledgement() {
    // The picture: A writes, B reads itself.
    let replicas = vec![replica(0.3, 0.0), replica(4.1, 3.9), replica(5.2, 4.3)];
    let picture = scene(replicas, vec![there(0), there(1)], vec![]);
    assert!(need(&picture, 1, 1).is_some_and(|ms| (ms - 3.8).abs() < 1e-9));
    assert_eq!(need(&picture, 1, 2), Some(0.0), "B has acknowledged");
    assert_eq!(need(&picture, 2, 1), Some(0.0), "A is asked as well");
}

#[test]
fn of_overlapping_quorums_none_is_ever_stale_by_construction() {
    let random = |mean: f64| Replica {
        way: exponential(mean / 3.0),
        disk: exponential(mean),
        late: mean * MS,
    };
    let replicas = [9.0, 8.0, 10.0, 7.0, 9.0].map(random).to_vec();
    let five = scene(replicas, (0..5).map(there).collect(), vec![]);
    for reader in [Reader::Writer, Reader::Another] {
        let needs = needs(&five, reader);
        for (r, w) in (1..=5).flat_map(|r| (1..=5).map(move |w| (r, w))) {
            let stale = needs.stale(r, w, 0.0).expect("all are there");
            assert_eq!(stale > 0.0, r + w <= 5, "{reader:?} r {r} w {w}: {stale}");
        }
    }
}

#[test]
fn the_chance_falls_as_an_exponential_way_does() {
    let far = Replica { way: exponential(10.0), ..Replica::unknown() };
    let three =
        scene(vec![replica(0.0, 0.0), far.clone(), far], (0..3).map(there).collect(), vec![]);
    let needs = needs(&three, Reader::Another);
    for ms in [0.5, 1.0, 5.0, 10.0, 30.0] {
        let (found, truth) = (needs.stale(1, 1, ms * MS).expect("answered"), (-ms / 10.0).exp());
        assert!((found - truth).abs() < 0.02, "{ms} ms: {found}, not {truth}");
    }
    let fresh = needs.fresh_after(1, 1, 0.999).expect("known") / MS;
    assert!((fresh - 69.0).abs() < 10.0, "{fresh}");
}

#[test]
fn whoever_stands_in_acknowledges_too_and_is_read_last() {
    let replicas =
        vec![replica(5.0, 0.0), replica(9.0, 1.0), Replica::unknown(), replica(1.0, 1.0)];
    let owners = vec![there(0), there(1), away(2, f64::INFINITY)];
    let mut three = scene(replicas, owners, vec![3]);
    assert_eq!(need(&three, 1, 1), Some(7.0), "B has it at 9, D has said so at 2");
    assert_eq!(need(&three, 1, 2), Some(4.0), "A at 5");
    assert_eq!(need(&three, 2, 1), Some(2.0), "A is asked at 1, and has it at 5");
    assert_eq!(need(&three, 3, 1), Some(0.0), "D is asked as well");
    three.lists[0].fallbacks.clear();
    assert_eq!(need(&three, 3, 1), None, "nobody stands in: two can be asked");
    assert_eq!(needs(&three, Reader::Another).stale(1, 3, 0.0), None, "two can confirm");
}

#[test]
fn who_comes_back_has_the_write_when_its_hint_is_replayed() {
    // A's disk is slow: B and the stand-in D make up the quorum.
    let replicas =
        vec![replica(5_000.0, 0.0), replica(1.0, 0.0), Replica::unknown(), replica(1.0, 0.0)];
    let owners = vec![there(0), there(1), away(2, 1_000.0)];
    let mut three = scene(replicas, owners, vec![3]);
    let now = needs(&three, Reader::Another);
    assert_eq!(now.stale(2, 2, 0.0), Some(0.0), "who is away is not read");
    three.returning = true;
    let back = needs(&three, Reader::Another);
    let stale = |ms: f64| back.stale(2, 2, ms * MS).expect("answered");
    // Half of the reads go through C, which asks A next.
    for (ms, truth) in [(0.0, 0.5), (500.0, 0.25), (900.0, 0.05), (1_000.0, 0.0)] {
        assert!((stale(ms) - truth).abs() < 0.02, "{ms} ms: {}", stale(ms));
    }
    three.lists[0].owners[2] = away(2, f64::INFINITY);
    let never = needs(&three, Reader::Another);
    assert!(never.stale(1, 1, 1e12).is_some_and(|stale| stale > 0.45), "nobody knows when");
    assert_eq!(never.fresh_after(1, 1, 0.999), None);
}

#[test]
fn a_hedge_is_heard_in_place_of_who_is_slow() {
    // Where B reads, C is slow; A is asked after 2 ms, and has the write.
    let owners = vec![there(1), there(2), there(0)];
    let mut replicas = vec![replica(0.0, 0.0), replica(50.0, 1.0), replica(50.0, 30.0)];
    let patient = scene(replicas.clone(), owners.clone(), vec![]);
    let stale = |scene: &Scene| needs(scene, Reader::Another).stale(2, 1, 0.0).expect("answered");
    assert!((stale(&patient) - 1.0).abs() < 1e-9, "C and B ask each other");
    replicas[0].late = 2.0 * MS;
    let hedged = stale(&scene(replicas, owners, vec![]));
    assert!((hedged - 0.5).abs() < 0.02, "B is quick to ask A; C asks B, which answers: {hedged}");
}

#[test]
fn the_same_seed_gives_the_same_answer_and_nobody_gives_none() {
    let far = Replica { way: exponential(5.0), disk: exponential(5.0), late: 9.0 * MS };
    let two = scene(vec![replica(0.1, 0.0), far], (0..2).map(there).collect(), vec![]);
    let once = needs(&two, Reader::Another).needs;
    assert_eq!(once, needs(&two, Reader::Another).needs);
    let alone = scene(vec![replica(0.1, 0.0)], vec![there(0)], vec![]);
    assert!(alone.predict(Reader::Another, 10, &mut Rng::with_seed(1)).is_none());
    assert!(alone.predict(Reader::Writer, 10, &mut Rng::with_seed(1)).is_some());
}
