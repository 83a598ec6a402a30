//! Joins commute, associate, and repeat harmlessly.

use super::kit::{counter, field, hll, register, small_set};
use crate::types::tagged::Joined;
use proptest::prelude::*;
use std::fmt::Debug;

fn joined<V: Clone>(one: &V, other: &V, join: impl Fn(&mut V, V)) -> V {
    let mut one = one.clone();
    join(&mut one, other.clone());
    one
}

fn hold<V: Clone + Debug + PartialEq>(
    (a, b, c): (V, V, V),
    join: impl Fn(&mut V, V) + Copy,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(joined(&a, &b, join), joined(&b, &a, join), "it commutes");
    let left = joined(&joined(&a, &b, join), &c, join);
    prop_assert_eq!(left, joined(&a, &joined(&b, &c, join), join), "it associates");
    prop_assert_eq!(joined(&a, &a, join), a.clone(), "it repeats harmlessly");
    let both = joined(&a, &b, join);
    prop_assert_eq!(joined(&both, &b, join), both, "what was taken in adds nothing");
    Ok(())
}

proptest! {
    #[test]
    fn of_counters(values in (counter(), counter(), counter())) {
        hold(values, Joined::join)?;
    }

    #[test]
    fn of_registers(values in (register(), register(), register())) {
        hold(values, Joined::join)?;
    }

    #[test]
    fn of_small_sets(values in (small_set(), small_set(), small_set())) {
        hold(values, crate::types::SmallSet::join)?;
    }

    #[test]
    fn of_fields(values in (field(), field(), field())) {
        hold(values, Joined::join)?;
    }

    #[test]
    fn of_hlls(values in (hll(), hll(), hll())) {
        hold(values, Joined::join)?;
    }
}
