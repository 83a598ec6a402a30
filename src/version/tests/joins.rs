//! The algebra of joins, and what each of its answers means.

use super::kit::{actor, dot, operation, operations, put, write_at};
use crate::time::{HybridTime, WallClock};
use crate::version::sibling::all_covered;
use crate::version::{
    Applied, BEATEN_BYTES, BEATEN_CAP, BEYOND_CAP, COVERED_CAP, COVERED_WINDOW, Cause, Conflict,
    Content, Covered, Room, SIBLINGS_CAP, SIBLINGS_WARNING, Seen, Sibling, Siblings, Write,
    Written,
};
use fastrand::Rng;

fn joined(a: &Siblings, b: &Siblings, conflict: Conflict) -> Siblings {
    let mut a = a.clone();
    a.join(b, conflict);
    a
}

/// What replicas must agree on: all but the memory of covered operations.
fn visible(replica: &Siblings) -> (String, u128) {
    let siblings: Vec<_> = replica.iter().collect();
    (format!("{} {siblings:?}", replica.vector()), replica.digest())
}

/// Replicas of one key after writes, retries and joins among them.
fn replicas(rng: &mut Rng, conflict: Conflict, retries: bool) -> Vec<Siblings> {
    let mut all = vec![Siblings::new(); 4];
    let mut sent: Vec<(Seen, Write)> = Vec::new();
    for step in 0..rng.u64(3..20) {
        let at = rng.usize(..all.len());
        let from = rng.usize(..all.len());
        match rng.u8(..6) {
            0..3 => {
                let mut seen = if rng.bool() { all[from].context() } else { Seen::default() };
                if rng.u8(..4) == 0 && !sent.is_empty() {
                    seen = sent[rng.usize(..sent.len())].0.clone();
                }
                let mut write = write_at(step, 1_000 + rng.u64(..40));
                write.stamp = write.stamp.max(seen.time.next());
                if rng.u8(..4) == 0 {
                    write.content = Content::Tombstone;
                }
                if rng.bool() {
                    // Forwarded: each of its tries says since when it is under way, and they come in any order.
                    write.tried_since = Some(write.stamp);
                    write.stamp =
                        HybridTime::from_wall(WallClock(write.stamp.wall().0 + rng.u64(1..20)));
                }
                all[at].write(&seen, actor(at as u64), write.clone(), conflict);
                if write.tried_since.is_none() {
                    // No retry is stamped before what it retries.
                    write.stamp = all[at].find(write.operation).expect("it stands").stamp;
                }
                sent.push((seen, write));
            }
            3 if retries && !sent.is_empty() => {
                let (seen, mut write) = sent[rng.usize(..sent.len())].clone();
                let from = write.tried_since.map_or(write.stamp, HybridTime::next);
                write.stamp = from.max(HybridTime::from_wall(WallClock(1_000 + rng.u64(..60))));
                write.tried_since = write.tried_since.or(Some(HybridTime::default()));
                all[at].write(&seen, actor(at as u64), write, conflict);
            }
            _ => {
                let other = all[from].clone();
                all[at].join(&other, conflict);
            }
        }
    }
    all
}

#[test]
fn joins_commute_and_repeat_harmlessly() {
    let mut rng = Rng::with_seed(1);
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        for _ in 0..5_000 {
            let all = replicas(&mut rng, conflict, true);
            let (a, b) = (&all[0], &all[1]);
            let ab = joined(a, b, conflict);
            assert_eq!(visible(&ab), visible(&joined(b, a, conflict)), "{a:?}\n{b:?}");
            assert_eq!(visible(&joined(&ab, b, conflict)), visible(&ab), "{a:?}\n{b:?}");
            assert_eq!(visible(&joined(a, a, conflict)), visible(a));
        }
    }
}

#[test]
fn joins_associate() {
    let mut rng = Rng::with_seed(2);
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        for _ in 0..10_000 {
            let all = replicas(&mut rng, conflict, true);
            let (a, b, c) = (&all[0], &all[1], &all[2]);
            let (ab, bc) = (joined(a, b, conflict), joined(b, c, conflict));
            let (left, right) = (joined(&ab, c, conflict), joined(a, &bc, conflict));
            assert_eq!(shown_and_kept(&left).0, shown_and_kept(&right).0, "{a:?}\n{b:?}\n{c:?}");
            // Where more was beaten than is kept they may differ in that, until they meet.
            if conflict == Conflict::Siblings || [&ab, &bc].iter().all(|r| r.len() <= BEATEN_CAP) {
                assert_eq!(visible(&left), visible(&right), "{a:?}\n{b:?}\n{c:?}");
            }
        }
    }
}

#[test]
fn a_join_says_what_to_store_and_who_is_behind() {
    let mut rng = Rng::with_seed(3);
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        for _ in 0..5_000 {
            let all = replicas(&mut rng, conflict, true);
            let (before, sender) = (&all[0], &all[1]);
            let mut after = before.clone();
            let applied = after.join(sender, conflict);
            assert_eq!(applied.changed(), visible(&after) != visible(before));
            assert_eq!(applied.sender_is_behind(), visible(&after) != visible(sender));
            assert_eq!(after.is_same_version(sender), visible(&after) == visible(sender));
        }
    }
}

#[test]
fn the_four_answers_of_a_join() {
    let mut old = Siblings::new();
    put(&mut old, 1, &Seen::default(), 1);
    let mut new = old.clone();
    let seen = new.context();
    put(&mut new, 1, &seen, 2);
    let mut other = old.clone();
    put(&mut other, 2, &seen, 3);
    for (here, there, expected) in [
        (&old, &old, Applied::Equal),
        (&old, &new, Applied::Newer),
        (&new, &old, Applied::Stale),
        (&new, &other, Applied::Concurrent),
    ] {
        assert_eq!(here.clone().join(there, Conflict::Siblings), expected);
    }
}

#[test]
fn two_tries_become_one_sibling_with_the_smaller_dot() {
    let (mut a, mut b) = (Siblings::new(), Siblings::new());
    put(&mut a, 1, &Seen::default(), 7);
    put(&mut b, 2, &Seen::default(), 7);
    for (mut here, there) in [(a.clone(), &b), (b.clone(), &a)] {
        here.join(there, Conflict::Siblings);
        let [sibling] = here.iter().collect::<Vec<_>>()[..] else { panic!("{here:?}") };
        assert_eq!((sibling.dot, &sibling.twins[..]), (dot(1, 1), &[dot(2, 1)][..]));
        assert!(here.vector().covers(&dot(1, 1)) && here.vector().covers(&dot(2, 1)));
    }
}

#[test]
fn whoever_saw_one_try_removes_the_sibling_that_both_became() {
    let (mut a, mut b) = (Siblings::new(), Siblings::new());
    put(&mut a, 1, &Seen::default(), 7);
    put(&mut b, 2, &Seen::default(), 7);
    let saw_the_second = b.context();
    a.join(&b, Conflict::Siblings);
    put(&mut a, 1, &saw_the_second, 8);
    assert_eq!(operations(&a), [8]);
}

#[test]
fn an_operation_replaced_under_one_dot_goes_under_the_other() {
    let (mut a, mut b) = (Siblings::new(), Siblings::new());
    put(&mut a, 1, &Seen::default(), 7);
    put(&mut b, 2, &Seen::default(), 7);
    let seen = b.context();
    put(&mut b, 2, &seen, 8);
    a.join(&b, Conflict::Siblings);
    assert_eq!(operations(&a), [8]);
}

#[test]
fn two_lost_stamps_in_a_circle_leave_a_winner() {
    // O is tried at 100 and, through another node, at 200; P comes at 150. One node saw P beat O, the
    // other saw O beat P. O's first attempt was before P, so it is P that stays.
    let lww = |replica: &mut Siblings, at, sequence, millis| {
        replica.write(&Seen::default(), actor(at), write_at(sequence, millis), Conflict::Lww);
    };
    let [mut first, mut second, mut p] = [const { None }; 3].map(|_: Option<()>| Siblings::new());
    lww(&mut first, 1, 1, 100);
    lww(&mut second, 2, 1, 200);
    lww(&mut p, 3, 2, 150);
    let untouched = second.clone();
    first.join(&p, Conflict::Lww);
    second.join(&p, Conflict::Lww);
    assert_eq!(operations(&joined(&first, &untouched, Conflict::Lww)), [2]);
    assert_eq!((operations(&first), operations(&second)), (vec![2], vec![1]));
    let both = [joined(&first, &second, Conflict::Lww), joined(&second, &first, Conflict::Lww)];
    for joined in &both {
        assert_eq!(operations(joined), [2]);
        assert!(joined.is_same_version(&both[0]));
        assert_eq!(
            joined.covered()[0].cause,
            Cause::Outstamped(HybridTime::from_wall(WallClock(100))),
            "not its late stamp"
        );
    }
}

/// What is shown of an `lww` key, and what is kept beside it.
fn shown_and_kept(replica: &Siblings) -> (Vec<u64>, Vec<u64>) {
    let (shown, kept): (Vec<_>, _) = replica.iter().partition(|sibling| !sibling.beaten);
    let names = |of: Vec<&Sibling>| of.iter().map(|s| s.operation.sequence).collect();
    (names(shown), names(kept))
}

#[test]
fn what_a_retry_beats_is_kept_until_it_is_known_whether_it_was_overwritten() {
    let lww = |replica: &mut Siblings, at, seen: &Seen, sequence, millis, retry: bool| {
        let tried_since = retry.then(HybridTime::default);
        let write = Write { tried_since, ..write_at(sequence, millis) };
        replica.write(seen, actor(at), write, Conflict::Lww);
    };
    let none = Seen::default();
    // One node has 1, and 2 which has seen it. Of neither has another one heard, which has 3, and then the retry of 1.
    let (mut one, mut other) = (Siblings::new(), Siblings::new());
    lww(&mut one, 1, &none, 1, 100, false);
    let first = one.clone();
    lww(&mut one, 1, &first.context(), 2, 200, false);
    lww(&mut other, 2, &none, 3, 300, false);
    lww(&mut other, 2, &none, 1, 400, true);
    assert_eq!(shown_and_kept(&other), (vec![1], vec![3]));
    assert_eq!(other.values_at(WallClock(0)).count(), 1);
    assert_eq!(shown_and_kept(&joined(&one, &other, Conflict::Lww)), (vec![3], vec![]));
    // The first try came before 3.
    assert_eq!(shown_and_kept(&joined(&first, &other, Conflict::Lww)), (vec![3], vec![]));
    // Of what its client had seen nothing is kept, nor of what lies before that; and a first try keeps nothing.
    let seen = other.context();
    lww(&mut other, 2, &seen, 4, 500, true);
    assert_eq!(shown_and_kept(&other), (vec![4], vec![]));
    lww(&mut other, 2, &none, 5, 600, true);
    assert_eq!(shown_and_kept(&other), (vec![5], vec![4]));
    lww(&mut other, 2, &none, 6, 700, false);
    assert_eq!(shown_and_kept(&other), (vec![6], vec![]));
    for retry in 7..20 {
        lww(&mut other, 2, &none, retry, 800 + retry, true);
    }
    assert_eq!(shown_and_kept(&other), (vec![19], vec![15, 16, 17, 18]));
    // Nor what is older than whoever overwrites a first try can be.
    let late = 820 + u64::try_from(COVERED_WINDOW.as_millis()).expect("minutes");
    lww(&mut other, 2, &none, 20, late, true);
    assert_eq!(shown_and_kept(&other), (vec![20], vec![]));
}

#[test]
fn what_is_kept_beside_the_winner_is_bounded_in_bytes_whatever_the_winner_has() {
    let put = |replica: &mut Siblings, sequence, bytes| {
        let content = Content::Value(vec![0; bytes].into());
        let tried_since = Some(HybridTime::default());
        let write = Write { content, tried_since, ..write_at(sequence, 100 + sequence) };
        replica.write(&Seen::default(), actor(1), write, Conflict::Lww);
    };
    let mut replica = Siblings::new();
    put(&mut replica, 1, BEATEN_BYTES / 2);
    put(&mut replica, 2, BEATEN_BYTES / 2);
    put(&mut replica, 3, BEATEN_BYTES + 1);
    assert_eq!(shown_and_kept(&replica), (vec![3], vec![1, 2]));
    put(&mut replica, 4, 0);
    assert_eq!(shown_and_kept(&replica), (vec![4], vec![]), "3 alone is too much");
}

#[test]
fn an_id_used_for_two_writes_never_leaves_nothing() {
    // O is replaced by P. A client then reads P and writes, through a node that knows neither, with O's id
    // again. Each seems to have replaced the other.
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        let mut a = Siblings::new();
        a.write(&Seen::default(), actor(1), write_at(1, 100), conflict);
        let saw_o = a.context();
        a.write(&saw_o, actor(1), write_at(2, 200), conflict);
        let mut b = joined(&Siblings::new(), &a, conflict);
        b.covered.clear();
        b.write(&a.context(), actor(2), write_at(1, 300), conflict);
        a.join(&b, conflict);
        assert_eq!(a.len(), 1, "{conflict:?} {a:?}");
    }
}

/// X has taken a late retry of what B knows to have been collected; B has dropped the value, and keeps the vector.
#[test]
fn what_was_dropped_by_somebody_who_has_nothing_else_comes_back_from_nobody() {
    let mut x = Siblings::new();
    put(&mut x, 1, &Seen::default(), 7);
    let dropped = x.without(|sibling| sibling.operation == operation(7));
    for (mut here, there) in [(x.clone(), &dropped), (dropped.clone(), &x)] {
        assert!(here.join(there, Conflict::Siblings) != Applied::Equal);
        assert!(here.is_empty() && here.is_same_version(&dropped), "{here:?}");
        assert_eq!(here.join(&dropped, Conflict::Siblings), Applied::Equal);
    }
    // Who knows nothing of the key has dropped nothing.
    let mut fresh = Siblings::new();
    fresh.join(&x, Conflict::Siblings);
    assert_eq!(operations(&fresh), [7]);
    // And what was written meanwhile stays.
    put(&mut x, 1, &Seen::default(), 8);
    assert_eq!(operations(&joined(&x, &dropped, Conflict::Siblings)), [8]);
    assert_eq!(operations(&joined(&dropped, &x, Conflict::Siblings)), [8]);
}

/// Some replicas have dropped some operations, or all.
#[test]
fn joins_with_records_of_which_something_was_dropped_commute_associate_and_repeat() {
    let mut rng = Rng::with_seed(4);
    let mut empty = 0;
    for _ in 0..10_000 {
        let retries = rng.bool();
        let mut all = replicas(&mut rng, Conflict::Siblings, retries);
        let some = rng.bool();
        for replica in &mut all {
            if rng.bool() {
                let keep = rng.u64(..4);
                *replica = replica.without(|s| !some || s.operation.sequence % 4 != keep);
            }
        }
        let (a, b, c) = (&all[0], &all[1], &all[2]);
        let conflict = Conflict::Siblings;
        let ab = joined(a, b, conflict);
        empty += usize::from(ab.is_empty());
        assert_eq!(visible(&ab), visible(&joined(b, a, conflict)), "{a:?}\n{b:?}");
        assert_eq!(visible(&joined(&ab, b, conflict)), visible(&ab), "{a:?}\n{b:?}");
        // Of a retry under another dot only those know that it is gone who have met the first; in the end all have.
        if !some && !retries {
            let (left, bc) = (joined(&ab, c, conflict), joined(b, c, conflict));
            let right = joined(a, &bc, conflict);
            assert_eq!(visible(&left), visible(&right), "{a:?}\n{b:?}\n{c:?}");
        }
    }
    assert!(empty > 500, "{empty}");
}

#[test]
fn covered_operations_are_remembered_within_the_window_and_the_cap() {
    let mut replica = Siblings::new();
    for sequence in 0..(COVERED_CAP as u64 + 10) {
        let seen = replica.context();
        put(&mut replica, 1, &seen, sequence);
    }
    assert_eq!(replica.covered().len(), COVERED_CAP);
    assert!(replica.covered().iter().all(|c| c.operation.sequence >= 9), "the oldest go first");
    let covered = replica.covered()[0];
    let window = u64::try_from(COVERED_WINDOW.as_millis()).unwrap();
    let end = covered.stamp.wall().0 + window;
    let ask = |millis| {
        let stamp = HybridTime::from_wall(WallClock(millis));
        replica.repeated(covered.operation, stamp)
    };
    assert_eq!(ask(end - 1), Some(Written::Replaced(covered.dot)));
    assert_eq!(ask(end), None, "after the window it is a new write");

    replica.prune_covered(HybridTime::from_wall(WallClock(end)));
    assert!(replica.covered().contains(&covered), "the window has just not ended");
    replica.prune_covered(HybridTime::from_wall(WallClock(end + 1)));
    assert!(!replica.covered().contains(&covered));
    assert_eq!(replica.covered().len(), COVERED_CAP - 1);
}

#[test]
fn a_write_after_the_window_stands_also_where_its_id_is_still_remembered() {
    let window = u64::try_from(COVERED_WINDOW.as_millis()).unwrap();
    for (after, expected) in [(window - 1, &[2][..]), (window, &[1, 2])] {
        let mut remembers = Siblings::new();
        let write = |replica: &mut Siblings, at, seen: &Seen, sequence, millis| {
            replica.write(seen, actor(at), write_at(sequence, millis), Conflict::Siblings);
        };
        write(&mut remembers, 1, &Seen::default(), 1, 100);
        let seen = remembers.context();
        write(&mut remembers, 1, &seen, 2, 200);
        let mut forgot = Siblings::new();
        write(&mut forgot, 2, &Seen::default(), 1, 200 + after);
        remembers.join(&forgot, Conflict::Siblings);
        assert_eq!(operations(&remembers), expected);
    }
}

#[test]
fn a_context_is_bounded_also_for_a_client_that_never_reads() {
    let mut replica = Siblings::new();
    put(&mut replica, 1, &Seen::default(), 0);
    let mut seen = Seen::default();
    for sequence in 1..50 {
        put(&mut replica, 1, &seen, sequence);
        seen = replica.context_after(&seen, operation(sequence));
        assert!(seen.beyond.len() <= BEYOND_CAP);
        assert_eq!(operations(&replica), [0, sequence]);
    }
}

#[test]
fn the_digest_is_of_the_state_and_not_of_the_memory() {
    let mut base = Siblings::new();
    put(&mut base, 1, &Seen::default(), 1);
    let seen = base.context();
    put(&mut base, 1, &seen, 2);
    let mut forgot = base.clone();
    forgot.prune_covered(HybridTime(u64::MAX));
    assert_ne!(forgot, base);
    assert_eq!(forgot.digest(), base.digest());

    let changes: [fn(&mut Siblings); 7] = [
        |s| s.vector.learn(dot(9, 1)),
        |s| s.siblings[0].dot = dot(1, 1),
        |s| s.siblings[0].twins.push(dot(9, 1)),
        |s| s.siblings[0].stamp = HybridTime(5),
        |s| s.siblings[0].expires_at = Some(WallClock(0)),
        |s| s.siblings[0].content = Content::Tombstone,
        |s| s.siblings[0].retry = Some(HybridTime(0)),
    ];
    for change in changes {
        let mut changed = base.clone();
        change(&mut changed);
        assert_ne!(changed.digest(), base.digest());
    }
}

#[test]
fn an_expired_sibling_is_a_tombstone_with_the_same_dot() {
    let mut replica = Siblings::new();
    let write = Write { expires_at: Some(WallClock(50)), ..write_at(1, 10) };
    replica.write(&Seen::default(), actor(1), write, Conflict::Siblings);
    assert_eq!(replica.values_at(WallClock(49)).count(), 1);
    assert!(!replica.is_deleted(WallClock(49)));
    assert_eq!(replica.values_at(WallClock(50)).count(), 0);
    assert!(replica.is_deleted(WallClock(50)));
    assert_eq!(replica.values().count(), 1, "the digest's view does not change");
}

#[test]
fn a_coordinator_warns_at_ten_siblings_and_stops_at_a_hundred_but_merges_go_on() {
    let mut replica = Siblings::new();
    let blind = Seen::default();
    let room =
        |replica: &Siblings, seen: &Seen| replica.room(seen, operation(9_999), Conflict::Siblings);
    for sequence in 0..SIBLINGS_CAP as u64 {
        let count = sequence as usize + 1;
        let expected = if count < SIBLINGS_WARNING { Room::Enough } else { Room::Warning(count) };
        assert_eq!(room(&replica, &blind), expected);
        put(&mut replica, 1, &blind, sequence);
    }
    assert_eq!(room(&replica, &blind), Room::Full(SIBLINGS_CAP));
    assert_eq!(room(&replica, &replica.context()), Room::Enough, "a resolving put is welcome");
    let wide = replica.with_dead_seen(&blind, WallClock(0), HybridTime(u64::MAX));
    assert_eq!(room(&replica, &wide), Room::Full(SIBLINGS_CAP), "all of them live");
    assert_eq!(replica.room(&blind, operation(3), Conflict::Siblings), Room::Enough, "a retry");
    assert_eq!(replica.room(&blind, operation(9_999), Conflict::Lww), Room::Enough);
    let mut other = Siblings::new();
    put(&mut other, 2, &blind, 5_000);
    replica.join(&other, Conflict::Siblings);
    assert_eq!(replica.len(), SIBLINGS_CAP + 1);
}

/// Two worlds with the same writes, retries and joins: in one each write takes with it all that is dead and old.
/// Readers see the same in both, on each replica and at each moment.
#[test]
fn what_is_long_dead_may_go_with_any_write_and_no_reader_sees_a_difference() {
    const DATE: WallClock = WallClock(100_000_000);
    let live = |replica: &Siblings| -> Vec<u64> {
        replica.values_at(DATE).map(|(sibling, _)| sibling.operation.sequence).collect()
    };
    let (mut rng, mut buried) = (Rng::with_seed(5), 0);
    for _ in 0..5_000 {
        let [mut kept, mut tidy] = [(); 2].map(|()| vec![Siblings::new(); 4]);
        let mut sent: Vec<(u64, Seen, Seen, Write)> = Vec::new();
        for step in 0..rng.u64(5..40) {
            let (at, from) = (rng.usize(..4), rng.usize(..4));
            // Two and a half minutes each; nobody retries for longer than ten.
            let now = 1_000_000 + step * 150_000;
            if rng.u8(..6) > 3 {
                let others = (kept[from].clone(), tidy[from].clone());
                kept[at].join(&others.0, Conflict::Siblings);
                tidy[at].join(&others.1, Conflict::Siblings);
            } else {
                let fresh = || {
                    let mut write = write_at(step, now);
                    write.expires_at = [None, Some(WallClock(5_000))][usize::from(step % 3 == 0)];
                    if step % 5 == 0 {
                        write.content = Content::Tombstone;
                    }
                    match step % 2 {
                        0 => (now, kept[from].context(), tidy[from].context(), write),
                        _ => (now, Seen::default(), Seen::default(), write),
                    }
                };
                let retried = rng.usize(..sent.len().max(1));
                let (first, seen, seen_tidy, mut write) = match sent.get(retried) {
                    Some(sent) if rng.u8(..4) == 0 && now < sent.0 + 600_000 => sent.clone(),
                    _ => fresh(),
                };
                write.stamp = HybridTime::from_wall(WallClock(now));
                sent.push((first, seen.clone(), seen_tidy.clone(), write.clone()));
                let wide = tidy[at].with_dead_seen(&seen_tidy, DATE, write.stamp);
                kept[at].write(&seen, actor(at as u64), write.clone(), Conflict::Siblings);
                tidy[at].write(&wide, actor(at as u64), write, Conflict::Siblings);
            }
            for (kept, tidy) in kept.iter().zip(&tidy) {
                assert_eq!(live(kept), live(tidy), "{kept:?}\n{tidy:?}");
                buried += kept.len().saturating_sub(tidy.len());
            }
        }
    }
    assert!(buried > 1_000, "{buried}");
}

#[test]
fn what_two_remember_is_what_one_would_that_is_told_it_all() {
    for seed in 0..500 {
        let mut rng = Rng::with_seed(seed);
        let [mine, theirs] = std::array::from_fn(|_| {
            let mut some = Siblings::new();
            for _ in 0..rng.usize(..12) {
                let first = HybridTime(rng.u64(..4));
                some.remember(Covered {
                    operation: operation(rng.u64(..8)),
                    dot: dot(rng.u64(1..4), rng.u64(1..4)),
                    stamp: HybridTime(rng.u64(..9)),
                    cause: if rng.bool() { Cause::Overwritten } else { Cause::Outstamped(first) },
                });
            }
            some
        });
        let mut told = mine.clone();
        theirs.covered.iter().for_each(|covered| told.remember(*covered));
        assert_eq!(all_covered(&mine.covered, &theirs.covered), told.covered, "{seed}");
    }
}
