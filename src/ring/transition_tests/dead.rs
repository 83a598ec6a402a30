//! Who is dead keeps others waiting no longer than it must, and loses its places in the end.

use super::*;

fn without(agreement: &Agreement, dead: &[u64]) -> Situation {
    let live = agreement.layout.members.iter().map(|member| member.id);
    let live = live.filter(|id| !dead.contains(&id.0)).collect();
    Situation::new(agreement, &live, &BTreeSet::new())
}

/// As `carried_out`, in a situation.
fn through(agreement: &Agreement, change: &Change, situation: &Situation) -> Agreement {
    let Ok(Successor::Next(copying)) = agreement.apply_in(change, situation) else {
        panic!("{change:?} {:?}", agreement.apply_in(change, situation))
    };
    assert_eq!(agreement.check_successor(&copying), Ok(()));
    let settling = advance(&copying);
    let done = advance(&settling);
    for step in [&*copying, &settling, &done] {
        check_step(step);
    }
    done
}

#[test]
fn a_joiner_that_is_dead_is_left_out_of_the_share() {
    let grown = join(&join(&of(4), 5), 6);
    let done = through(&grown, &Change::Rebalance, &without(&grown, &[6]));
    assert!(slots(&done, 5) > 20 && slots(&done, 6) == 0);
    let both = carried_out(&done, &Change::Rebalance);
    assert!(slots(&both, 6) > 20, "it gets its share when it is back");
}

#[test]
fn who_is_dead_for_long_loses_its_places_and_takes_a_share_when_it_is_back() {
    let before = of(5);
    let dead = NodeId(2);
    let done = through(&before, &Change::Out(dead), &without(&before, &[2]));
    assert_eq!(slots(&done, 2), 0);
    assert!(rows(&done).iter().all(|row| !row.contains(&dead)), "it stands in for nobody either");
    for (old, new) in owners(&before, 3).iter().zip(owners(&done, 3)) {
        assert!(old.difference(&new).all(|id| *id == dead));
    }
    assert!(done.layout.admits(dead, Lineage(1002)), "it is still a member");
    assert_eq!(done.apply(&Change::Out(dead)), Ok(Successor::AlreadySo));
    assert_eq!(done.apply(&Change::Rebalance), Ok(Successor::AlreadySo), "it is not back");
    let back = carried_out(&done, &Change::Return(dead));
    assert!(slots(&back, 2) > 64 * 3 / 5 * 7 / 10, "{}", slots(&back, 2));
    assert_eq!(back.layout.out, BTreeSet::new());
}

#[test]
fn nobody_copies_to_who_is_dead_and_what_has_lost_its_quorum_stays() {
    let before = of(7);
    let (two, three) = (NodeId(2), NodeId(3));
    let situation = without(&before, &[2, 3]);
    let shared = |row: &BTreeSet<NodeId>| row.contains(&two) && row.contains(&three);
    assert!(owners(&before, 3).iter().any(shared));
    assert_eq!(situation.frozen.len(), owners(&before, 3).iter().filter(|row| shared(row)).count());
    let first = through(&before, &Change::Out(two), &situation);
    let second = through(&first, &Change::Out(three), &without(&first, &[2, 3]));
    for (old, new) in owners(&before, 3).iter().zip(owners(&second, 3)) {
        let lost = old.difference(&new).count();
        assert_eq!(new == *old, shared(old) || old.is_disjoint(&BTreeSet::from([two, three])));
        assert!(lost <= 1 && new.difference(old).all(|id| ![two, three].contains(id)));
    }
    // Three is back: now what two left there can be copied.
    let third = through(&second, &Change::Out(two), &without(&second, &[2]));
    assert_eq!(slots(&third, 2), 0);
    let back = carried_out(&third, &Change::Return(three));
    assert!(slots(&back, 3) > 64 * 3 / 6 * 7 / 10, "{}", slots(&back, 3));
}

#[test]
fn who_comes_back_while_others_copy_keeps_its_places() {
    let before = of(5);
    let copying = next(&before, &Change::Out(NodeId(2)));
    assert_eq!(refused(&copying, &Change::Return(NodeId(2))), Refusal::ChangeInProgress);
    let back = abort(&copying);
    assert_eq!(rows(&back), rows(&before));
    assert_eq!((back.layout.out.len(), back.layout.held.len()), (0, 0));
}

#[test]
fn who_is_out_may_be_removed_or_leave_and_never_too_many_are_out() {
    let out = through(&of(4), &Change::Out(NodeId(2)), &Situation::default());
    let few = refused(&out, &Change::Out(NodeId(3)));
    assert_eq!(few, Refusal::TooFewLeft { needed: 3, have: 2 });
    let removed = next(&out, &Change::Remove(NodeId(2)));
    assert!(removed.layout.member(NodeId(2)).is_none() && removed.layout.out.is_empty());
    let left = next(&out, &Change::Leave(NodeId(2)));
    assert!(left.layout.out.is_empty() && left.layout.leaving.contains(&NodeId(2)));
}

#[test]
fn a_change_that_was_taken_back_for_a_dead_newcomer_holds_nobody() {
    let grown = join(&join(&of(4), 5), 6);
    let copying = next(&grown, &Change::Rebalance);
    let change = Change::Abort { since: under_way(&copying).since };
    let apply = |dead: &[u64]| match copying.apply_in(&change, &without(&copying, dead)) {
        Ok(Successor::Next(back)) => back.layout.held,
        other => panic!("{other:?}"),
    };
    assert_eq!(apply(&[6]), BTreeSet::new());
    assert_eq!(apply(&[1]).len(), 2, "nobody knows why: the next would try the same");
}

#[test]
fn survivors_go_on_as_one_new_cluster_and_let_the_ghosts_go_when_they_are_enough() {
    let five = of(5);
    let named = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<BTreeSet<NodeId>>();
    assert_eq!(five.survived(&named(&[1, 2, 3])), Err(Refusal::Majority));
    assert_eq!(five.survived(&named(&[])), Err(Refusal::Majority));
    assert_eq!(five.survived(&named(&[1, 9])), Err(Refusal::NoSuchMember(NodeId(9))));
    let moving = next(&five, &Change::Leave(NodeId(1)));
    for before in [&five, &moving, &advance(&moving)] {
        let two = before.survived(&named(&[1, 2])).expect("two of five");
        assert_eq!(Agreement::decode(&two.encode()).as_ref(), Ok(&two));
        assert_eq!(rows(&two), rows(&five), "what moved is taken back, and nothing else moves");
        assert_eq!((two.voters(), two.majority()), (named(&[1, 2]), 2));
        assert_eq!(two.layout.former, [before.layout.cluster]);
        assert_eq!(two.layout.cluster, before.refounded(&named(&[1, 2])));
        assert_ne!(two.layout.cluster, before.refounded(&named(&[1, 3])));
        assert!(
            before.is_superseded_by(&two).is_err(),
            "no node follows but by an operator's word"
        );
        let again = Member { lineage: Lineage(77), ..member(3, "") };
        assert_eq!(refused(&two, &Change::Join(again)), Refusal::Ghost("n3".into()));
        // Owners that are read already are read no more before anything else moves.
        let two = if two.layout.transition.is_some() { advance(&two) } else { two };
        assert_eq!((&two.layout.table, &two.layout.transition), (&five.layout.table, &None));
        let few = two.apply_in(&Change::Rebalance, &without(&two, &[3, 4, 5]));
        assert_eq!(few, Err(Refusal::TooFewLeft { needed: 3, have: 2 }));
    }
    let two = five.survived(&named(&[1, 2])).expect("two of five");
    let three = join(&two, 6);
    let situation = without(&three, &[3, 4, 5]);
    assert!(situation.frozen.is_empty(), "nobody waits for ghosts");
    let done = through(&three, &Change::Rebalance, &situation);
    assert!(owners(&done, 3).iter().all(|row| *row == named(&[1, 2, 6])));
    let gone = [3, 4, 5]
        .into_iter()
        .fold(done, |agreement, id| next(&agreement, &Change::Drop(NodeId(id))));
    assert_eq!((gone.layout.members.len(), gone.layout.ghosts.len()), (3, 0));
}
