//! Counters: exact, within bounds, each name once.

use crate::types::bytes::put_number;
use crate::types::tagged::Joined;
use crate::types::{
    ACTORS_LIMIT, Counter, Increment, NAMED_LIMIT, NAMED_WINDOW_MS, Refused, Register,
};
use crate::version::OperationId;

fn name(sequence: u64) -> OperationId {
    OperationId { session: 9, sequence }
}

fn by(by: i64) -> Increment {
    Increment { by, operation: None, now: 0 }
}

fn once(by: i64, operation: u64, now: u64) -> Increment {
    Increment { by, operation: Some(name(operation)), now }
}

/// An actor that has counted all of these: as it is written, for one after the other would take long.
fn named_by(actor: u64, operations: std::ops::Range<u64>) -> Counter {
    let mut bytes = vec![0xd7, b'q', 1, 1];
    let count = u128::from(operations.end - operations.start);
    for number in [1, 9, actor.into(), count, 0, 0, count] {
        put_number(&mut bytes, number);
    }
    for operation in operations {
        // One up, at the beginning of time.
        for number in [9, operation.into(), 2, 0] {
            put_number(&mut bytes, number);
        }
    }
    Counter::of_bytes(bytes.into()).expect("as it is written")
}

fn joined(one: &Counter, other: &Counter) -> Counter {
    let mut one = one.clone();
    one.join(other.clone());
    one
}

#[test]
fn counts_of_several_actors_add_up_in_either_direction() {
    let mut one = Counter::default();
    one.add(name(1), by(5)).unwrap();
    let mut other = one.clone();
    one.add(name(1), by(-7)).unwrap();
    other.add(name(2), by(1)).unwrap();
    assert_eq!(joined(&one, &other).value(), Ok(-1));
}

#[test]
fn what_leaves_the_range_is_refused_and_changes_nothing() {
    let mut counter = Counter::default();
    counter.add(name(1), by(i64::MAX)).unwrap();
    let before = counter.clone();
    for increment in [by(1), by(i64::MAX), once(1, 7, 0)] {
        assert_eq!(counter.add(name(1), increment), Err(Refused::OutOfRange));
        assert_eq!(counter, before);
    }
    counter.add(name(1), by(i64::MIN)).unwrap();
    assert_eq!(counter.add(name(2), by(i64::MIN)), Err(Refused::OutOfRange));
}

#[test]
fn what_two_counted_beyond_the_range_at_once_is_counted_back() {
    let (mut one, mut other) = (Counter::default(), Counter::default());
    one.add(name(1), by(i64::MAX)).unwrap();
    other.add(name(2), by(5)).unwrap();
    let mut both = joined(&one, &other);
    assert_eq!((both.value(), both.clamped()), (Err(Refused::OutOfRange), i64::MAX));
    assert_eq!(both.add(name(1), by(1)), Err(Refused::OutOfRange));
    both.add(name(1), by(-2)).unwrap();
    both.add(name(1), by(-3)).unwrap();
    assert_eq!(both.value(), Ok(i64::MAX));
}

#[test]
fn an_operation_that_comes_again_counts_once_whoever_takes_it() {
    let mut one = Counter::default();
    one.add(name(1), once(3, 7, 0)).unwrap();
    one.add(name(1), once(3, 7, 1)).unwrap();
    // Through somebody who has not seen it.
    let mut other = Counter::default();
    other.add(name(2), once(3, 7, 1)).unwrap();
    let mut both = joined(&one, &other);
    assert_eq!(both.value(), Ok(3));
    both.add(name(3), once(3, 7, 2)).unwrap();
    assert_eq!(both.value(), Ok(3));
    assert_eq!(both.add(name(1), once(4, 7, 2)), Err(Refused::OtherAmount));
}

#[test]
fn folding_changes_no_number_whoever_folds_and_in_whatever_order_they_meet() {
    let late = 2 * NAMED_WINDOW_MS;
    let mut counter = Counter::default();
    counter.add(name(1), once(3, 7, 0)).unwrap();
    let mut twice = Counter::default();
    twice.add(name(2), once(3, 7, 0)).unwrap();
    counter.join(twice);
    counter.add(name(2), once(-1, 8, 0)).unwrap();
    let (mut one, mut other) = (counter.clone(), counter.clone());
    let mut expected = 2;
    for n in 0..4 {
        one.add(name(3), by(1)).unwrap();
        other.add(name(4), Increment { now: late + n, ..by(1) }).unwrap();
        expected += 2;
        let both = joined(&one, &other);
        assert_eq!(both.value(), Ok(expected), "round {n}");
        assert_eq!(joined(&both, &counter).value(), Ok(expected), "an older one changes nothing");
        (one, other) = (both.clone(), both);
    }
    other.add(name(4), Increment { now: late, ..by(0) }).unwrap();
    assert!(other.to_bytes().len() <= 32, "no name is left: {:?}", other.to_bytes());
}

#[test]
fn names_are_remembered_up_to_a_limit_and_forgotten_when_their_window_is_over() {
    // Two actors, so that the limit is that of all.
    let half = NAMED_LIMIT as u64 / 2;
    let mut counter = named_by(0, 0..half);
    counter.join(named_by(1, half..2 * half));
    let more = once(1, NAMED_LIMIT as u64, NAMED_WINDOW_MS);
    assert_eq!(counter.add(name(0), more), Err(Refused::Named));
    let known = once(1, 0, NAMED_WINDOW_MS);
    assert!(counter.add(name(0), known).is_ok(), "what is known needs no room");
    assert!(counter.add(name(0), by(1)).is_ok(), "what has no name, neither");
    let later = Increment { now: NAMED_WINDOW_MS + 1, ..more };
    assert!(counter.add(name(0), later).is_ok());
    assert_eq!(counter.value(), Ok(NAMED_LIMIT as i64 + 2));
    assert!(counter.to_bytes().len() < 100, "all but one name is folded");
}

#[test]
fn there_are_so_many_actors_and_no_more() {
    let mut counter = Counter::default();
    for actor in 0..ACTORS_LIMIT as u64 {
        let mut one = Counter::default();
        one.add(name(actor), by(1)).unwrap();
        counter.join(one);
    }
    assert_eq!(counter.add(name(ACTORS_LIMIT as u64), by(1)), Err(Refused::Actors));
    assert!(counter.add(name(0), by(1)).is_ok());
}

#[test]
fn an_assignment_is_later_than_what_it_read_whatever_the_clock_says() {
    let first = Register::assign(None, "a".into(), 1_000).unwrap();
    let mut second = Register::assign(Some(&first), "b".into(), 3).unwrap();
    second.join(first.clone());
    assert_eq!(second.value(), "b");
    let last = [&[0xd7, b'q', 1, 4][..], &[0xff; 9], &[1, 0]].concat();
    let last = Register::of_bytes(last.into()).expect("the last stamp that there is");
    assert_eq!(Register::assign(Some(&last), "c".into(), 3), Err(Refused::OutOfRange));
}

#[test]
fn different_elements_are_counted_within_the_error() {
    for count in [0_u64, 1, 10, 1_000, 20_000, 60_000, 300_000] {
        let mut hll = crate::types::Hll::default();
        for element in 0..count {
            hll.add(&element.to_le_bytes());
            hll.add(&element.to_le_bytes());
        }
        let error = (hll.count() as f64 - count as f64).abs() / (count as f64).max(1.0);
        assert!(error < 4.0 * crate::types::HLL_ERROR, "{count}: {}", hll.count());
    }
}
