//! What a client is told that it has seen, and what its next write does with it.

use super::kit::{dot, operation, operations, put};
use crate::version::{Conflict, Seen, Siblings};

/// Operation 3, with this context, through a node that hears of operation 1 alone: tried again there, before or after.
fn replaces_the_first_also_through_a_stranger(answered: &Seen) {
    for retry_first in [true, false] {
        let mut stranger = Siblings::new();
        let retry = |stranger: &mut Siblings| put(stranger, 2, &Seen::default(), 1);
        if retry_first {
            retry(&mut stranger);
        }
        put(&mut stranger, 2, answered, 3);
        if !retry_first {
            retry(&mut stranger);
        }
        assert_eq!(operations(&stranger), [3]);
    }
}

#[test]
fn a_put_never_claims_to_have_seen_what_it_was_not_shown() {
    let mut replica = Siblings::new();
    put(&mut replica, 1, &Seen::default(), 1);
    // Another client writes blindly through the same actor, and goes on with what it was answered.
    put(&mut replica, 1, &Seen::default(), 2);
    let answered = replica.context_after(&Seen::default(), operation(2));
    assert!(answered.covers(&dot(1, 2)) && !answered.covers(&dot(1, 1)));
    put(&mut replica, 1, &answered, 3);
    assert_eq!(operations(&replica), [1, 3]);
    // Also through a replica that has heard of neither, in whichever order they meet.
    let mut elsewhere = Siblings::new();
    put(&mut elsewhere, 2, &answered, 4);
    let mut old = Siblings::new();
    put(&mut old, 1, &Seen::default(), 1);
    put(&mut old, 1, &Seen::default(), 2);
    elsewhere.join(&old, Conflict::Siblings);
    assert_eq!(operations(&elsewhere), [1, 4]);
}

#[test]
fn alone_on_the_key_a_put_answers_with_all_that_is_known() {
    let mut replica = Siblings::new();
    put(&mut replica, 1, &Seen::default(), 1);
    put(&mut replica, 2, &Seen::default(), 2);
    let seen = replica.context();
    put(&mut replica, 1, &seen, 3);
    let answered = replica.context_after(&seen, operation(3));
    assert_eq!(Seen { shown: Vec::new(), ..answered.clone() }, {
        Seen { shown: Vec::new(), ..replica.context() }
    });
    assert!(answered.beyond.is_empty() && answered.descends(&seen) && !seen.descends(&answered));
    let named: Vec<u64> = answered.shown.iter().map(|(operation, _)| operation.sequence).collect();
    assert_eq!(named, [1, 2, 3], "and with what the client was shown before");
}

/// Found by the simulator, seed 1203945: its author knows it, whoever has replaced it.
#[test]
fn a_write_replaced_before_its_answer_is_replaced_by_its_author_too() {
    let mut replica = Siblings::new();
    put(&mut replica, 1, &Seen::default(), 1);
    let shown = replica.context();
    put(&mut replica, 1, &shown, 2);
    // The try of 1 that is answered comes here only now.
    put(&mut replica, 1, &Seen::default(), 1);
    let answered = replica.context_after(&Seen::default(), operation(1));
    assert!(!answered.covers(&dot(1, 2)), "it was not shown what replaced it");
    let stamp = replica.covered().iter().map(|covered| covered.stamp).min();
    assert_eq!(Some(answered.time), stamp, "what it writes next is later than that");
    replaces_the_first_also_through_a_stranger(&answered);
}

/// Found by the simulator, seed 205813: who replaced it once has replaced it, whoever takes the next write.
#[test]
fn what_a_client_has_replaced_stays_replaced_where_neither_was_heard_of() {
    let mut replica = Siblings::new();
    put(&mut replica, 1, &Seen::default(), 1);
    let seen = replica.context();
    put(&mut replica, 1, &seen, 2);
    let answered = replica.context_after(&seen, operation(2));
    replaces_the_first_also_through_a_stranger(&answered);
}
