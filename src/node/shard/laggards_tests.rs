//! Who lags, and who does no longer.

use super::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const ATTEMPT: Duration = Duration::from_millis(300);

fn ms(ms: u64) -> Instant {
    Instant(ms * 1_000)
}

/// Questions to these peers, one after another, answered after so many milliseconds.
fn seen(peers: &[(NodeId, u64)], times: u64) -> Laggards {
    let mut laggards = Laggards::default();
    for request in 0..times {
        for (node, took) in peers {
            ask(&mut laggards, *node, request, request * 1_000, *took);
        }
    }
    laggards
}

fn ask(laggards: &mut Laggards, node: NodeId, request: u64, at: u64, took: u64) {
    laggards.asked(node, request, ms(at), ATTEMPT);
    laggards.answered(node, request, ms(at + took));
}

#[test]
fn an_answer_is_late_when_the_spare_would_nearly_always_have_answered() {
    let laggards = seen(&[(A, 100), (B, 5)], 100);
    let after = |node| laggards.late_after(node, ATTEMPT).as_micros();
    assert_eq!((after(A), after(B)), (114_688, 5_120));
    assert_eq!(after(C), 5_120, "who was never asked may be as good as the best");
    assert_eq!(Laggards::default().late_after(A, ATTEMPT), LATE_UNKNOWN);
    assert_eq!(seen(&[(A, 0)], 100).late_after(A, ATTEMPT), LATE_MIN);
    assert_eq!(seen(&[(A, 290)], 100).late_after(A, ATTEMPT), ATTEMPT / LATE_MAX_PART);
}

#[test]
fn being_overtaken_three_times_in_a_row_makes_a_laggard() {
    let mut laggards = seen(&[(A, 1), (B, 1)], 100);
    for request in 200..220 {
        laggards.overtaken(A);
        laggards.overtaken(A);
        ask(&mut laggards, A, request, request * 1_000, 1);
        assert!(!laggards.lags(A), "it was in time in between");
    }
    laggards.overtaken(A);
    laggards.overtaken(A);
    ask(&mut laggards, A, 300, 300_000, 100);
    laggards.overtaken(A);
    assert!(laggards.lags(A), "it answered in between, but late");
    assert!(!laggards.lags(B));
}

#[test]
fn a_laggard_is_probed_now_and_then_and_is_prompt_after_three_answers_in_time() {
    let mut laggards = seen(&[(A, 100), (B, 1), (C, 1)], 100);
    (0..3).for_each(|_| laggards.overtaken(A));
    let probe = |laggards: &mut Laggards, at| laggards.probe([B, A, C].into_iter(), ms(at));
    assert_eq!(probe(&mut laggards, 200_000), Some(A));
    assert_eq!(probe(&mut laggards, 200_199), None);
    assert_eq!(probe(&mut laggards, 200_200), Some(A));
    assert_eq!(laggards.probe([B, C].into_iter(), ms(300_000)), None, "it owns nothing of that");
    for (request, took) in [(1, 1), (2, 1), (3, 90), (4, 1), (5, 2)] {
        ask(&mut laggards, A, request, 300_000 + 200 * request, took);
        assert!(laggards.lags(A), "after {request}");
    }
    ask(&mut laggards, A, 6, 302_000, 1);
    assert!(!laggards.lags(A));
    assert_eq!(probe(&mut laggards, 400_000), None);
    let forgets = laggards.late_after(A, ATTEMPT);
    assert!(
        forgets < Duration::from_millis(3),
        "what it was like before says nothing: {forgets:?}"
    );
}

#[test]
fn whoever_never_answers_lags_although_nothing_is_known_of_the_others() {
    let mut laggards = Laggards::default();
    for request in 0..3 {
        laggards.asked(A, request, ms(request * 1_000), ATTEMPT);
        laggards.overtaken(A);
    }
    assert!(laggards.lags(A));
}

#[test]
fn what_is_never_answered_took_an_attempt() {
    let mut laggards = seen(&[(A, 1), (B, 1)], 100);
    for request in 200..220 {
        laggards.asked(A, request, ms(request * 1_000), ATTEMPT);
    }
    assert_eq!(laggards.late_after(A, ATTEMPT), ATTEMPT / LATE_MAX_PART);
}

#[test]
fn one_question_at_a_time_is_watched_and_no_other_ones_answer_is_its_own() {
    let mut laggards = Laggards::default();
    for round in 0..20 {
        let at = round * 1_000;
        laggards.asked(A, 2 * round, ms(at), ATTEMPT);
        laggards.asked(A, 2 * round + 1, ms(at + 90), ATTEMPT);
        laggards.answered(A, 2 * round + 1, ms(at + 91));
        laggards.answered(A, 2 * round, ms(at + 100));
        laggards.answered(A, 2 * round, ms(at + 120));
    }
    assert_eq!(laggards.late_after(A, ATTEMPT).as_micros(), 114_688);
}

#[test]
fn who_is_no_member_any_more_is_forgotten() {
    let mut laggards = seen(&[(A, 1), (B, 1)], 100);
    (0..3).for_each(|_| laggards.overtaken(A));
    laggards.keep(|node| node != A);
    assert!(!laggards.lags(A));
    assert_eq!(laggards.peers.len(), 1);
    assert_eq!(laggards.lagging, 0);
}
