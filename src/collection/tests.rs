use super::*;
use fastrand::Rng;

const OWNERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ALL: [NodeId; 5] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)];

fn begun(count: usize) -> Attempt {
    Attempt::begin(OWNERS.into(), ALL.into(), count)
}

fn held(lacking: &[usize], round: u32) -> Heard {
    Heard::Held { lacking: lacking.to_vec(), round }
}

#[test]
fn an_attempt_goes_through_its_phases_and_takes_what_everybody_holds() {
    let mut attempt = begun(3);
    for (owner, lacking) in OWNERS.into_iter().zip([&[][..], &[1], &[]]) {
        assert_eq!(attempt.phase(), Phase::Verifying);
        attempt.hear(owner, held(lacking, 4 + owner.0 as u32));
    }
    assert_eq!((attempt.phase(), attempt.round()), (Phase::Opening, 8));
    assert_eq!(attempt.verified().collect::<Vec<_>>(), [0, 2]);
    for (next, heard) in [(Phase::Draining, Heard::Opened(8)), (Phase::Closing, Heard::Drained(8))]
    {
        ALL.into_iter().for_each(|node| {
            attempt.hear(node, heard.clone());
        });
        assert_eq!(attempt.phase(), next);
    }
    assert!(!attempt.hear(NodeId(4), Heard::Closed(8)), "a fallback closes nothing");
    assert!(!attempt.hear(OWNERS[0], Heard::Closed(7)), "that was another one");
    OWNERS.into_iter().for_each(|node| {
        attempt.hear(node, Heard::Closed(8));
    });
    assert_eq!(attempt.phase(), Phase::Closed);
}

#[test]
fn nothing_is_opened_for_what_nobody_else_holds_or_under_a_number_that_was_used() {
    let mut attempt = begun(1);
    OWNERS.into_iter().for_each(|node| {
        attempt.hear(node, held(&[0], 1));
    });
    assert_eq!(attempt.phase(), Phase::Failed);
    let mut attempt = begun(1);
    OWNERS.into_iter().for_each(|node| {
        attempt.hear(node, held(&[], 1));
    });
    attempt.hear(ALL[4], Heard::Refused);
    assert_eq!(attempt.phase(), Phase::Failed);
}

/// Each word by which a phase goes on, and who is to say it.
fn words(phase: Phase) -> (u8, &'static [NodeId]) {
    match phase {
        Phase::Verifying => (0, &OWNERS),
        Phase::Opening => (1, &ALL),
        Phase::Draining => (2, &ALL),
        Phase::Closing => (3, &OWNERS),
        Phase::Closed | Phase::Failed => (4, &[]),
    }
}

fn say(word: u8, round: u32) -> Heard {
    match word {
        0 => held(&[], round),
        1 => Heard::Opened(round),
        2 => Heard::Drained(round),
        3 => Heard::Closed(round),
        _ => Heard::Refused,
    }
}

/// Mostly the right word of somebody, who may have said it already; else any word of anybody. Whatever comes: a
/// phase ends when everybody has said its word, about this round, since it began; and not before.
#[test]
fn a_phase_ends_when_everybody_has_said_its_word_and_closed_comes_after_all_of_them() {
    let mut rng = Rng::with_seed(6);
    let (mut closed, mut failed) = (0, 0);
    for _ in 0..2_000 {
        let mut attempt = begun(1);
        let noise = rng.u8(1..8);
        let (mut said, mut ended, mut highest) = (BTreeSet::new(), Vec::new(), 0);
        for _ in 0..rng.u8(40..160) {
            let (phase, number) = (attempt.phase(), attempt.round());
            let (word, speakers) = words(phase);
            let is_noise = rng.u8(..16) < noise || speakers.is_empty();
            let (from, heard, round) = match is_noise {
                // A word of this round may be said too early, too late, or by who is not asked.
                true => (rng.u64(1..7), rng.u8(..5), number.max(1) + rng.u32(..3) - 1),
                false => (speakers[rng.usize(..speakers.len())].0, word, number),
            };
            let goes_on = attempt.hear(NodeId(from), say(heard, round));
            assert_eq!(goes_on, attempt.phase() != phase);
            let asked = speakers.contains(&NodeId(from));
            let fits = asked && (phase == Phase::Verifying || round == number);
            if heard == word && fits && said.insert(from) {
                highest = highest.max(round);
            }
            if !goes_on {
                assert!(speakers.is_empty() || said.len() < speakers.len(), "all have said {word}");
                continue;
            }
            if attempt.phase() == Phase::Failed {
                assert!(heard == 4 && asked && ended.len() < 2, "who has opened cannot refuse");
                continue;
            }
            assert!(speakers.iter().all(|node| said.contains(&node.0)), "{phase:?} {said:?}");
            if phase == Phase::Verifying {
                assert_eq!(attempt.round(), highest + 1, "above all that they named");
            } else {
                assert_eq!(attempt.round(), number);
            }
            ended.push(word);
            said.clear();
        }
        closed += usize::from(attempt.phase() == Phase::Closed);
        failed += usize::from(attempt.phase() == Phase::Failed);
        assert_eq!(attempt.phase() == Phase::Closed, ended == [0, 1, 2, 3]);
    }
    assert!(closed > 400 && failed > 400, "{closed} closed, {failed} failed");
}
