//! What moves, what stays, and who may go.

use super::*;

#[test]
fn a_fourth_member_takes_a_quarter_and_nothing_else_moves() {
    for partitions in [64, 1024] {
        let three = with_data(partitions, &["", "", ""]);
        let joined = join(&three, 4);
        assert_eq!(owners(&joined, 3), owners(&three, 3), "it waits for the rebalance");
        assert_eq!(slots(&joined, 4), 0);
        let done = carried_out(&joined, &Change::Rebalance);
        let fair = partitions as usize * 3 / 4;
        assert!((fair * 8 / 10..=fair * 12 / 10).contains(&slots(&done, 4)), "{}", slots(&done, 4));
        for (old, new) in owners(&joined, 3).iter().zip(owners(&done, 3)) {
            assert!(new.difference(old).all(|id| *id == NodeId(4)), "{old:?} became {new:?}");
        }
        for id in 1..=3 {
            assert!(slots(&done, id) >= fair * 8 / 10);
        }
    }
}

#[test]
fn where_nothing_would_move_there_is_nothing_to_do() {
    assert_eq!(of(4).apply(&Change::Rebalance), Ok(Successor::AlreadySo));
    let many = with_data(1024, &["a", "b", "c", "a", "b", "c", "a"]);
    assert_eq!(many.apply(&Change::Rebalance), Ok(Successor::AlreadySo));
    let grown = carried_out(&join(&many, 8), &Change::Rebalance);
    assert_eq!(grown.layout.leaving.len() + grown.layout.held.len(), 0);
}

#[test]
fn who_leaves_hands_its_places_over_and_stays_a_member_until_it_is_dropped() {
    let before = with_data(256, &["", "", "", "", "", "", "", ""]);
    let gone = NodeId(3);
    let done = carried_out(&before, &Change::Leave(gone));
    for (old, new) in owners(&before, 3).iter().zip(owners(&done, 3)) {
        let lost: Vec<&NodeId> = old.difference(&new).collect();
        assert!(lost.iter().all(|id| **id == gone), "{lost:?} lost a place");
        assert_eq!(lost.is_empty(), !old.contains(&gone));
        assert!(!new.contains(&gone));
    }
    assert!(rows(&done).iter().all(|row| row.len() == 6 && !row.contains(&gone)));
    for (old, new) in rows(&before).iter().zip(rows(&done)) {
        assert!(old.contains(&gone) || *old == new, "a list without the leaver is as it was");
    }
    assert!(done.layout.leaving.contains(&gone));
    assert!(done.layout.admits(gone, Lineage(1003)), "it has to compare what it holds");
    assert_eq!(done.apply(&Change::Rebalance), Ok(Successor::AlreadySo), "it gets no places back");
    let after = next(&done, &Change::Drop(gone));
    assert_eq!(after.layout.member(gone), None);
    assert_eq!(rows(&after), rows(&done), "the others' indices moved with them");
    assert_eq!(after.layout.leaving, BTreeSet::new());
    assert_eq!(after.apply(&Change::Drop(gone)), Ok(Successor::AlreadySo));
    assert_eq!(refused(&after, &Change::Join(member(3, ""))), Refusal::RetiredLineage);
    let fresh = Member { lineage: Lineage(6), ..member(3, "") };
    next(&after, &Change::Join(fresh));
}

#[test]
fn who_is_removed_is_no_member_at_the_end() {
    let before = of(5);
    let gone = NodeId(2);
    let copying = next(&before, &Change::Remove(gone));
    let settling = advance(&copying);
    assert!(settling.layout.member(gone).is_some(), "until the end an abort is possible");
    let done = advance(&settling);
    assert_eq!(done.layout.member(gone), None);
    assert_eq!(done.layout.leaving, BTreeSet::new());
    assert_eq!(rows(&done), rows(&settling));
    assert_eq!(refused(&done, &Change::Join(member(2, ""))), Refusal::RetiredLineage);
    assert_eq!(done.apply(&Change::Remove(gone)), Ok(Successor::AlreadySo));
    // An end that keeps it, or lets another go, does not follow.
    let mut forged = done.clone();
    forged.layout =
        Layout { epoch: done.layout.epoch, transition: None, ..settling.layout.clone() };
    assert_eq!(settling.check_successor(&forged), Err(Refusal::DataWouldMove));
}

#[test]
fn who_left_and_died_can_be_removed_at_once() {
    let left = carried_out(&of(5), &Change::Leave(NodeId(2)));
    let gone = next(&left, &Change::Remove(NodeId(2)));
    assert_eq!((gone.layout.member(NodeId(2)), &gone.layout.transition), (None, &None));
    assert_eq!(refused(&gone, &Change::Join(member(2, ""))), Refusal::RetiredLineage);
}

#[test]
fn a_replacement_takes_exactly_the_places_of_the_replaced() {
    for count in [3, 5, 7] {
        let before = join(&with_data(256, &vec![""; count]), 50);
        let (old, new) = (NodeId(2), NodeId(50));
        let done = carried_out(&before, &Change::Replace { old, new, gone: false });
        for (was, is) in rows(&before).iter().zip(rows(&done)) {
            let expected: Vec<NodeId> =
                was[..3].iter().map(|id| if *id == old { new } else { *id }).collect();
            assert_eq!(is[..3], expected);
            assert!(!is.contains(&old));
            // It takes the places of a fallback too, unless it stood in the list as one before.
            let same = |(a, b): (&NodeId, &NodeId)| a == b || (*a == old && *b == new);
            assert!(was.contains(&new) || was.iter().zip(&is).all(same), "{was:?} became {is:?}");
        }
        assert!(done.layout.leaving.contains(&old));
        next(&done, &Change::Drop(old));
    }
}

#[test]
fn who_is_gone_and_replaced_is_no_member_at_the_end() {
    let before = join(&of(5), 50);
    let (old, new) = (NodeId(2), NodeId(50));
    let settling = advance(&next(&before, &Change::Replace { old, new, gone: true }));
    assert!(settling.layout.is_gone(old) && settling.layout.member(old).is_some());
    // It died between two tries of one wish.
    let again = Change::Replace { old, new, gone: false };
    assert_eq!(settling.apply(&again), Ok(Successor::AlreadySo));
    let done = advance(&settling);
    assert_eq!(done.layout.member(old), None);
    assert_eq!(rows(&done), rows(&settling));
    assert_eq!(refused(&done, &Change::Join(member(2, ""))), Refusal::RetiredLineage);
    let back = advance(&abort(&settling));
    assert_eq!(rows(&back), rows(&before));
    assert!(!back.layout.is_gone(old) && back.layout.has_seat(old));
}

#[test]
fn who_stands_by_has_no_places_until_it_is_released_or_replaces_somebody() {
    for before in [of(4), (2..=4).fold(founded(64, ""), |agreement, id| join(&agreement, id))] {
        let spare = next(&before, &Change::Spare(member(9, "")));
        assert!(!rows(&spare).iter().flatten().any(|id| *id == NodeId(9)));
        assert_eq!(spare.apply(&Change::Rebalance), Ok(Successor::AlreadySo));
        assert_eq!(spare.apply(&Change::Spare(member(9, ""))), Ok(Successor::AlreadySo));
        let replace = Change::Replace { old: NodeId(2), new: NodeId(9), gone: true };
        let end = |agreement: &Agreement, change: &Change| {
            let begun = next(agreement, change);
            if begun.layout.transition.is_some() { advance(&advance(&begun)) } else { begun }
        };
        let replaced = end(&spare, &replace);
        assert!(slots(&replaced, 9) > 0 && replaced.layout.held.is_empty());
        let released = next(&spare, &Change::Release);
        assert!(slots(&end(&released, &Change::Rebalance), 9) > 0);
    }
}

#[test]
fn a_replacement_has_no_places_and_the_replaced_has_some() {
    let agreement = join(&of(4), 5);
    let replace = |old, new| Change::Replace { old: NodeId(old), new: NodeId(new), gone: false };
    assert_eq!(refused(&agreement, &replace(1, 2)), Refusal::HasPlaces(NodeId(2)));
    assert_eq!(refused(&agreement, &replace(1, 1)), Refusal::HasPlaces(NodeId(1)));
    assert_eq!(refused(&agreement, &replace(5, 5)), Refusal::HasNoPlaces(NodeId(5)));
    assert_eq!(refused(&agreement, &replace(1, 9)), Refusal::NoSuchMember(NodeId(9)));
    assert_eq!(refused(&agreement, &replace(9, 5)), Refusal::NoSuchMember(NodeId(9)));
    let left = carried_out(&agreement, &Change::Leave(NodeId(4)));
    assert_eq!(refused(&left, &replace(1, 4)), Refusal::Leaving(NodeId(4)));
}

#[test]
fn as_many_members_keep_places_as_data_have_copies() {
    let three = of(3);
    for change in [Change::Leave(NodeId(1)), Change::Remove(NodeId(1))] {
        let refusal = refused(&three, &change);
        assert_eq!(refusal, Refusal::TooFewLeft { needed: 3, have: 2 });
        let text = Error::from(refusal).to_string();
        assert!(text.contains("3 members") && text.contains("2 would be left"), "{text}");
    }
    // Who is held is no help until it is released; a replacement is always possible.
    let held = abort(&next(&join(&three, 4), &Change::Rebalance));
    assert_eq!(
        refused(&held, &Change::Leave(NodeId(1))),
        Refusal::TooFewLeft { needed: 3, have: 2 }
    );
    next(&next(&held, &Change::Release), &Change::Leave(NodeId(1)));
    next(&held, &Change::Replace { old: NodeId(1), new: NodeId(4), gone: false });
    let alone = next(&founded(64, ""), &create(5, 1));
    assert_eq!(refused(&alone, &Change::Leave(NodeId(1))), Refusal::LastMember);
    assert_eq!(refused(&founded(64, ""), &Change::Leave(NodeId(1))), Refusal::LastMember);
}

#[test]
fn before_the_first_bucket_owners_change_at_once() {
    let five = (2..=5).fold(founded(64, ""), |agreement, id| join(&agreement, id));
    assert_eq!(five.apply(&Change::Rebalance), Ok(Successor::AlreadySo));
    let left = next(&five, &Change::Leave(NodeId(2)));
    assert_eq!(left.layout.transition, None);
    assert_eq!(slots(&left, 2), 0);
    assert!(left.layout.leaving.contains(&NodeId(2)));
    assert_eq!(left.apply(&Change::Leave(NodeId(2))), Ok(Successor::AlreadySo));
    let dropped = next(&left, &Change::Drop(NodeId(2)));
    assert_eq!(rows(&dropped), rows(&next(&five, &Change::Remove(NodeId(2)))), "the same end");
    let grown = join(&left, 6);
    assert!(slots(&grown, 6) > 0 && slots(&grown, 2) == 0);
    let place = Change::Place { id: NodeId(3), zone: "z".into(), weight: 2 };
    let placed = next(&left, &place);
    assert!(placed.layout.transition.is_none() && slots(&placed, 2) == 0);
    let alone = next(&join(&founded(64, ""), 2), &Change::Leave(NodeId(1)));
    assert_eq!(
        refused(&alone, &Change::Leave(NodeId(2))),
        Refusal::TooFewLeft { needed: 1, have: 0 }
    );
}

#[test]
fn only_who_leaves_and_has_no_places_is_dropped() {
    let agreement = join(&of(6), 7);
    assert_eq!(refused(&agreement, &Change::Drop(NodeId(2))), Refusal::NotLeaving(NodeId(2)));
    assert_eq!(refused(&agreement, &Change::Drop(NodeId(7))), Refusal::NotLeaving(NodeId(7)));
    assert_eq!(agreement.apply(&Change::Drop(NodeId(9))), Ok(Successor::AlreadySo));
    // It stands nowhere: nothing has to move.
    let leaving = next(&agreement, &Change::Leave(NodeId(7)));
    assert_eq!(leaving.layout.transition, None);
    assert_eq!(rows(&next(&leaving, &Change::Drop(NodeId(7)))), rows(&agreement));
}

#[test]
fn a_changed_zone_or_weight_moves_data_step_by_step() {
    let six = with_data(256, &["a", "b", "c", "a", "b", "c"]);
    let place = Change::Place { id: NodeId(1), zone: "a".into(), weight: 4 };
    let heavier = carried_out(&six, &place);
    assert!(slots(&heavier, 1) > slots(&six, 1) * 14 / 10);
    let elsewhere = Change::Place { id: NodeId(1), zone: "b".into(), weight: 1 };
    let moved = carried_out(&six, &elsewhere);
    assert!(is_spread(&moved));
    let newcomer = join(&six, 7);
    let light = next(&newcomer, &Change::Place { id: NodeId(7), zone: "c".into(), weight: 2 });
    assert_eq!(light.layout.transition, None, "it has no places that could move");
}

#[test]
fn zones_stay_spread() {
    let six = with_data(256, &["a", "b", "c", "a", "b", "c"]);
    assert!(is_spread(&six));
    assert!(is_spread(&carried_out(&six, &Change::Leave(NodeId(2)))));
    let without_b =
        carried_out(&carried_out(&six, &Change::Leave(NodeId(2))), &Change::Remove(NodeId(5)));
    assert!(is_spread(&without_b));
    let fourth = next(&six, &Change::Join(member(7, "d")));
    assert!(is_spread(&carried_out(&fourth, &Change::Rebalance)));
    // A replacement in another zone takes exactly the places; a rebalance then mends what is too narrow.
    let joined = next(&six, &Change::Join(member(7, "a")));
    let replaced =
        carried_out(&joined, &Change::Replace { old: NodeId(2), new: NodeId(7), gone: false });
    assert!(is_spread(&carried_out(&replaced, &Change::Rebalance)));
}

#[test]
fn a_plan_tells_what_would_move() {
    let before = join(&with_data(256, &["", "", ""]), 4);
    let plan = before.plan(&Change::Rebalance).expect("possible");
    let after = next(&before, &Change::Rebalance);
    let taken = slots(&after, 4);
    assert!(plan.moves.iter().all(|m| m.to == NodeId(4) && m.from.is_some()));
    assert_eq!(plan.moves.iter().map(|m| m.slots).sum::<usize>(), taken);
    assert_eq!(plan.partitions, taken, "it takes one slot of each");
    for id in 1..=4 {
        let owned = Owned { before: slots(&before, id), after: slots(&after, id) };
        assert_eq!(plan.owned.get(&NodeId(id)), Some(&owned));
    }
    assert_eq!(plan.owned.len(), 4);
    let nothing = after.plan(&Change::Rebalance).expect("under way already");
    assert_eq!((nothing.moves.len(), nothing.partitions), (0, 0));
    let back = after.plan(&Change::Abort { since: under_way(&after).since }).expect("possible");
    assert!(back.moves.iter().all(|m| m.from == Some(NodeId(4))));
    let step = Change::Advance { since: under_way(&after).since, from: TransitionStep::Copying };
    assert_eq!(after.plan(&step).map(|plan| plan.partitions), Ok(0));
    assert_eq!(after.plan(&Change::Leave(NodeId(1))), Err(Refusal::ChangeInProgress));
    // A member that is gone at once, and a second copy where there was one.
    let pair = join(&founded(64, ""), 2);
    let gone = pair.plan(&Change::Remove(NodeId(2))).expect("possible");
    assert_eq!(gone.owned.get(&NodeId(2)), Some(&Owned { before: 64, after: 0 }));
    let further = Relocation { from: None, to: NodeId(2), slots: 64 };
    let joined = founded(64, "").plan(&Change::Join(member(2, ""))).expect("possible");
    assert_eq!((joined.moves, joined.partitions), (vec![further], 64));
}

#[test]
fn all_wishes_travel_as_bytes() {
    for change in [
        Change::Rebalance,
        Change::Leave(NodeId(1)),
        Change::Replace { old: NodeId(1), new: NodeId(2), gone: false },
        Change::Advance { since: Epoch(3), from: TransitionStep::Settling },
        Change::Abort { since: Epoch(3) },
        Change::Release,
        Change::Drop(NodeId(1)),
    ] {
        assert_eq!(Change::decode(&change.encode()), Some(change));
    }
}
