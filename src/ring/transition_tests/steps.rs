//! The three steps, one at a time, and the way back.

use super::*;

#[test]
fn the_three_steps_read_old_then_new_and_write_both() {
    let stable = join(&of(3), 4);
    let copying = next(&stable, &Change::Rebalance);
    let begun = copying.layout.epoch;
    let first = under_way(&copying).clone();
    assert_eq!((first.step, first.since), (TransitionStep::Copying, begun));
    assert_eq!(first.goal, Goal::Rebalance);
    assert_eq!(copying.layout.table, stable.layout.table);
    let settling = advance(&copying);
    let second = under_way(&settling).clone();
    assert_eq!((second.step, second.since), (TransitionStep::Settling, begun));
    assert_eq!((&settling.layout.table, &second.other), (&first.other, &stable.layout.table));
    let done = advance(&settling);
    assert_eq!((&done.layout.table, &done.layout.transition), (&first.other, &None));
    assert_eq!(done.layout.epoch, Epoch(begun.0 + 2), "each step is an epoch");
}

#[test]
fn only_the_lists_that_change_have_another_one() {
    let stable = join(&with_data(256, &[""; 9]), 10);
    let copying = next(&stable, &Change::Rebalance);
    let settling = advance(&copying);
    let moving: BTreeSet<PartitionId> = copying.layout.partitions_moving().collect();
    assert!(!moving.is_empty() && moving.len() < 128);
    assert_eq!(settling.layout.partitions_moving().collect::<BTreeSet<_>>(), moving);
    assert_eq!(advance(&settling).layout.partitions_moving().count(), 0);
    for partition in stable.layout.partitions.iter() {
        let moves = moving.contains(&partition);
        let at = usize::from(partition.0);
        assert_eq!(rows(&stable)[at] != rows(&copying)[at], moves, "all of the list stays");
        let gains = copying.layout.next_list(partition, 3).slot_of(NodeId(10)).is_some();
        assert!(moves || !gains);
        for step in [&copying, &settling] {
            assert_eq!(step.layout.other_list(partition, 3).is_some(), moves);
            assert_eq!(step.layout.owns(NodeId(10), partition, 3), gains);
        }
        assert!(copying.layout.preference_list(partition, 3).slot_of(NodeId(10)).is_none());
    }
    let written = |a: &Agreement, id| a.layout.partitions_written(NodeId(id), 3).count();
    assert_eq!((written(&stable, 10), written(&copying, 10)), (0, slots(&copying, 10)));
    assert_eq!(
        (written(&copying, 1), written(&settling, 1)),
        (slots(&stable, 1), slots(&stable, 1))
    );
    assert_eq!(written(&advance(&settling), 1), slots(&copying, 1));
}

#[test]
fn a_smaller_bucket_moves_where_its_own_owners_change() {
    // Two more extend the lists of the first: all own everything with n = 3, and the first all with n = 1.
    let one = next(&founded(64, ""), &create(5, 1));
    let three = join(&join(&one, 2), 3);
    assert_eq!(three.layout.partitions_owned(NodeId(1), 1).count(), 64);
    let done = carried_out(&three, &Change::Rebalance);
    assert_eq!(owners(&done, 3), owners(&three, 3));
    for id in 1..=3 {
        let owned = done.layout.partitions_owned(NodeId(id), 1).count();
        assert!((17..=26).contains(&owned), "{id} owns {owned} of 64 with n = 1");
    }
    let copying = next(&three, &Change::Rebalance);
    let moving: BTreeSet<PartitionId> = copying.layout.partitions_moving().collect();
    for partition in copying.layout.partitions.iter() {
        let now = names(&copying.layout.preference_list(partition, 1));
        let then = names(&copying.layout.next_list(partition, 1));
        assert_eq!(copying.layout.other_list(partition, 1).is_some(), now != then);
        assert!(now.0 == then.0 || moving.contains(&partition));
        assert!(copying.layout.other_list(partition, 3).is_none(), "with n = 3 nothing changes");
    }
}

#[test]
fn one_change_at_a_time() {
    let agreement = of(5);
    let copying = next(&join(&agreement, 6), &Change::Leave(NodeId(2)));
    for under_way in [copying.clone(), advance(&copying)] {
        for other in [
            Change::Rebalance,
            Change::Leave(NodeId(3)),
            Change::Remove(NodeId(3)),
            Change::Remove(NodeId(2)),
            Change::Replace { old: NodeId(2), new: NodeId(6), gone: false },
            Change::Place { id: NodeId(3), zone: "z".into(), weight: 1 },
            Change::Join(member(7, "")),
            Change::Drop(NodeId(2)),
        ] {
            let refusal = refused(&under_way, &other);
            assert_eq!(refusal, Refusal::ChangeInProgress, "{other:?}");
            let error = Error::from(refusal);
            assert_eq!(error.code(), "change_in_progress");
            assert!(error.to_string().starts_with("change_in_progress"), "{error}");
        }
        // A wiped node comes back under its name at any time, and a bucket moves nobody.
        let empty = Member { id: NodeId(77), lineage: Lineage(5), ..member(3, "") };
        let back = next(&under_way, &Change::Join(empty));
        assert!(back.layout.admits(NodeId(3), Lineage(5)) && back.is_late(NodeId(3)));
        let tables = |a: &Agreement| (a.layout.table.clone(), a.layout.transition.clone());
        assert_eq!(tables(&back), tables(&under_way), "in both tables it is who it was");
        let bucket = next(&under_way, &create(6, 3));
        assert_eq!(bucket.layout, under_way.layout);
        advance(&back);
        abort(&bucket);
    }
}

#[test]
fn a_step_is_taken_once_and_in_order() {
    let copying = next(&join(&of(4), 5), &Change::Rebalance);
    let since = under_way(&copying).since;
    let step = |from| Change::Advance { since, from };
    assert_eq!(refused(&copying, &step(TransitionStep::Settling)), Refusal::NotYet);
    let settling = next(&copying, &step(TransitionStep::Copying));
    assert_eq!(settling.apply(&step(TransitionStep::Copying)), Ok(Successor::AlreadySo));
    let done = next(&settling, &step(TransitionStep::Settling));
    for late in [TransitionStep::Copying, TransitionStep::Settling] {
        assert_eq!(done.apply(&step(late)), Ok(Successor::AlreadySo));
        // A later change is none of its business.
        let later = next(&done, &Change::Leave(NodeId(1)));
        assert_eq!(later.apply(&step(late)), Ok(Successor::AlreadySo));
        assert_eq!(later.apply(&Change::Abort { since }), Ok(Successor::AlreadySo));
    }
}

#[test]
fn an_abort_restores_the_old_table_and_holds_the_newcomers() {
    let stable = join(&with_data(256, &[""; 4]), 5);
    for change in [
        Change::Rebalance,
        Change::Leave(NodeId(2)),
        Change::Remove(NodeId(2)),
        Change::Replace { old: NodeId(1), new: NodeId(5), gone: false },
    ] {
        let copying = next(&stable, &change);
        let settling = advance(&copying);
        for step in [&copying, &settling] {
            let mut back = abort(step);
            if *step == settling {
                // The new owners are read by whoever has not heard of it: writes go on to meet them.
                let way = under_way(&back);
                assert_eq!((way.step, way.goal), (TransitionStep::Settling, Goal::Back));
                assert_eq!(way.other, settling.layout.table);
                let again = Change::Abort { since: way.since };
                assert_eq!(back.apply(&again), Ok(Successor::AlreadySo), "it is");
                assert_eq!(refused(&back, &Change::Rebalance), Refusal::ChangeInProgress);
                // Who would leave them out at once is not believed.
                let mut forged = back.clone();
                forged.layout.transition = None;
                assert_eq!(settling.check_successor(&forged), Err(Refusal::DataWouldMove));
                check_step(&back);
                back = advance(&back);
            }
            assert_eq!(back.layout.table, stable.layout.table, "{change:?}");
            assert_eq!(back.layout.members, stable.layout.members);
            assert_eq!(back.layout.leaving, BTreeSet::new(), "nobody leaves now");
            assert_eq!(back.layout.held, BTreeSet::from([NodeId(5)]), "{change:?}");
            let again = Change::Abort { since: under_way(step).since };
            assert_eq!(back.apply(&again), Ok(Successor::AlreadySo));
            assert_eq!(back.apply(&Change::Rebalance), Ok(Successor::AlreadySo), "not once more");
            let released = next(&back, &Change::Release);
            assert_eq!(released.apply(&Change::Release), Ok(Successor::AlreadySo));
            assert!(slots(&carried_out(&released, &Change::Rebalance), 5) > 0);
        }
        let late = Change::Abort { since: under_way(&settling).since };
        assert_eq!(advance(&settling).apply(&late), Ok(Successor::AlreadySo), "too late");
    }
    let place = Change::Place { id: NodeId(1), zone: String::new(), weight: 4 };
    let heavier = abort(&next(&stable, &place));
    assert_eq!(heavier.layout.table, stable.layout.table);
    assert_eq!(
        heavier.layout.member(NodeId(1)).map(|m| m.weight),
        Some(4),
        "what it is like stays"
    );
}

/// Whoever reads may ask any r of the old owners: one of them must know better.
#[test]
fn a_step_is_over_when_no_quorum_of_those_who_are_read_no_more_answers() {
    let mut rng = fastrand::Rng::with_seed(7);
    let seven = join(&with_data(64, &[""; 6]), 7);
    let settling = advance(&next(&seven, &Change::Rebalance));
    let gone = advance(&next(&seven, &Change::Remove(NodeId(2))));
    let (mut over, mut open) = (0, 0);
    for agreement in [&settling, &abort(&settling), &gone] {
        let layout = &agreement.layout;
        for _ in 0..300 {
            let most = rng.u32(1..10);
            let ids = layout.members.iter().map(|member| member.id);
            let installed: BTreeSet<NodeId> = ids.filter(|_| rng.u32(0..10) < most).collect();
            let stale = |id: &NodeId| !installed.contains(id) && !layout.is_gone(*id);
            // n = 3, r = 2: two of them that live by what was.
            let read = layout.partitions_moving().any(|partition| {
                let old = layout.other_list(partition, 3);
                old.is_some_and(|old| old.owners().filter(stale).count() >= 2)
            });
            let settled = agreement.is_settled(&installed);
            assert!(!(settled && read), "{installed:?}");
            (over, open) = (over + u32::from(settled), open + u32::from(!settled));
        }
        assert!(agreement.is_settled(&layout.members.iter().map(|m| m.id).collect()));
    }
    assert!(over > 50 && open > 50, "{over} over, {open} open");
}

#[test]
fn who_is_held_is_placed_by_no_change_but_its_own() {
    let stable = join(&of(4), 5);
    let held = abort(&next(&stable, &Change::Rebalance));
    let left = carried_out(&held, &Change::Leave(NodeId(2)));
    assert_eq!(slots(&left, 5), 0);
    let more = carried_out(&join(&held, 6), &Change::Rebalance);
    assert!(slots(&more, 5) == 0 && slots(&more, 6) > 0);
    let replaced =
        carried_out(&held, &Change::Replace { old: NodeId(1), new: NodeId(5), gone: false });
    assert!(slots(&replaced, 5) > 0 && replaced.layout.held.is_empty());
}
