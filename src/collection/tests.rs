use super::*;
use proptest::prelude::*;

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

proptest! {
    /// Whatever comes, in whatever order: closed means that everybody said each of the words.
    #[test]
    fn closed_means_that_everybody_has_said_everything(
        said in proptest::collection::vec((1u64..6, 0u8..5, 0u32..4), 0..120),
    ) {
        let mut attempt = begun(1);
        let mut words: BTreeSet<(u64, u8)> = BTreeSet::new();
        for (from, word, round) in said {
            let (phase, number) = (attempt.phase(), attempt.round());
            let fits = match (phase, word) {
                (Phase::Verifying, 0) => true,
                (Phase::Opening, 1) | (Phase::Draining, 2) | (Phase::Closing, 3) => round == number,
                _ => false,
            };
            attempt.hear(NodeId(from), match word {
                0 => held(&[], round),
                1 => Heard::Opened(round),
                2 => Heard::Drained(round),
                3 => Heard::Closed(round),
                _ => Heard::Closed(u32::MAX),
            });
            if fits {
                words.insert((from, word));
            }
            if attempt.phase() == Phase::Closed {
                let owners = OWNERS.iter().all(|n| words.contains(&(n.0, 0)) && words.contains(&(n.0, 3)));
                let all = ALL.iter().all(|n| words.contains(&(n.0, 1)) && words.contains(&(n.0, 2)));
                prop_assert!(owners && all);
            }
        }
    }
}
