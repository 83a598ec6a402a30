//! Owners change while data exist: what moves, what stays, what is refused, and what nobody may be made to
//! believe. Each story is told by names of members; `random_changes_tests` tells the ones nobody thought of.

use super::*;
use crate::error::Error;
use crate::id::{BucketId, ClusterId, Epoch, Lineage, NodeId, PartitionId};
use std::collections::BTreeSet;

pub(super) fn member(id: u64, zone: &str) -> Member {
    let name = format!("n{id}");
    Member { id: NodeId(id), lineage: Lineage(1000 + id), name, zone: zone.into(), weight: 1 }
}

pub(super) fn next(agreement: &Agreement, change: &Change) -> Agreement {
    match agreement.apply(change) {
        Ok(Successor::Next(next)) => {
            next.validate().expect("a successor is valid");
            assert_eq!(agreement.check_successor(&next), Ok(()), "{change:?}");
            assert_eq!(Agreement::decode(&next.encode()).as_ref(), Ok(&*next));
            *next
        }
        other => panic!("{change:?}: {other:?}"),
    }
}

fn refused(agreement: &Agreement, change: &Change) -> Refusal {
    agreement.apply(change).expect_err("refused")
}

fn founded(partitions: u32, zone: &str) -> Agreement {
    let partitions = Partitions::new(partitions).expect("a power of two");
    let found = Agreement::found(ClusterId(9), Secret([7; 32]), 3, partitions, member(1, zone));
    found.expect("valid")
}

pub(super) fn create(id: u64, n: u8) -> Change {
    let settings = BucketSettings::new(n);
    Change::CreateBucket { id: BucketId(id), name: format!("b{id}"), settings }
}

/// Members 1, 2, … in these zones, with a bucket of three replicas: data exist.
fn with_data(partitions: u32, zones: &[&str]) -> Agreement {
    let joined =
        (2..).zip(&zones[1..]).fold(founded(partitions, zones[0]), |agreement, (id, zone)| {
            next(&agreement, &Change::Join(member(id, zone)))
        });
    next(&joined, &create(5, 3))
}

fn four() -> Agreement {
    with_data(64, &["", "", "", ""])
}

fn join(agreement: &Agreement, id: u64) -> Agreement {
    next(agreement, &Change::Join(member(id, "")))
}

fn since(agreement: &Agreement) -> Epoch {
    agreement.layout.transition.as_ref().expect("a change is under way").since
}

fn advance(agreement: &Agreement) -> Agreement {
    let transition = agreement.layout.transition.as_ref().expect("a change is under way");
    next(agreement, &Change::Advance { since: transition.since, from: transition.step })
}

fn abort(agreement: &Agreement) -> Agreement {
    next(agreement, &Change::Abort { since: since(agreement) })
}

/// The owners and fallbacks of every partition in the table that stays.
fn rows(agreement: &Agreement) -> Vec<Vec<NodeId>> {
    let list = |p| agreement.layout.next_list(p, 3);
    agreement
        .layout
        .partitions
        .iter()
        .map(|p| list(p).owners().chain(list(p).fallbacks()).collect())
        .collect()
}

fn owners(agreement: &Agreement) -> Vec<BTreeSet<NodeId>> {
    rows(agreement).iter().map(|row| row.iter().take(3).copied().collect()).collect()
}

fn slots(agreement: &Agreement, id: u64) -> usize {
    owners(agreement).iter().filter(|row| row.contains(&NodeId(id))).count()
}

fn names(list: &PreferenceList<'_>) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    (list.owners().collect(), list.fallbacks().collect())
}

/// What holds at every step of every change. (Spread over zones where `before` was spread.)
pub(super) fn check_step(agreement: &Agreement) {
    let layout = &agreement.layout;
    let seats = |id: &NodeId| !layout.leaving.contains(id) && !layout.held.contains(id);
    let n = agreement.largest_n();
    for partition in layout.partitions.iter() {
        for n in 1..=n {
            let (list, newest) =
                (layout.preference_list(partition, n), layout.next_list(partition, n));
            let other = layout.other_list(partition, n);
            for list in [Some(&list), Some(&newest), other.as_ref()].into_iter().flatten() {
                let distinct: BTreeSet<NodeId> = list.owners().collect();
                assert_eq!(distinct.len(), usize::from(n), "as many distinct owners as replicas");
                for owner in distinct {
                    assert!(layout.owns(owner, partition, n));
                }
            }
            assert!(newest.owners().all(|id| seats(&id) || agreement_keeps(agreement, id)));
            assert!(newest.fallbacks().all(|id| !layout.leaving.contains(&id)));
            match (&layout.transition, other) {
                (None, other) => assert!(other.is_none()),
                (Some(transition), other) => {
                    let read_new = transition.step == TransitionStep::Settling;
                    assert_eq!(names(&newest) == names(&list) || !read_new, true);
                    match other {
                        Some(other) => assert_ne!(names(&other), names(&list)),
                        None => assert_eq!(names(&newest), names(&list)),
                    }
                }
            }
        }
    }
}

/// Held members may keep what they have; they have nothing at first.
fn agreement_keeps(agreement: &Agreement, id: NodeId) -> bool {
    agreement.layout.held.contains(&id)
}

/// Through all three steps, looked at on the way.
fn carried_out(agreement: &Agreement, change: &Change) -> Agreement {
    let copying = next(agreement, change);
    check_step(&copying);
    assert_eq!(copying.apply(change), Ok(Successor::AlreadySo), "the same wish again, in (a)");
    let settling = advance(&copying);
    check_step(&settling);
    assert_eq!(settling.apply(change), Ok(Successor::AlreadySo), "the same wish again, in (b)");
    let done = advance(&settling);
    check_step(&done);
    assert_eq!(rows(&done), rows(&copying));
    assert_eq!(done.apply(change), Ok(Successor::AlreadySo), "the same wish again, at the end");
    done
}

#[test]
fn a_fourth_member_takes_a_quarter_and_nothing_else_moves() {
    for partitions in [64, 1024] {
        let three = with_data(partitions, &["", "", ""]);
        let joined = join(&three, 4);
        assert_eq!(owners(&joined), owners(&three), "it waits for the rebalance");
        assert_eq!(slots(&joined, 4), 0);
        let done = carried_out(&joined, &Change::Rebalance);
        let fair = partitions as usize * 3 / 4;
        assert!((fair * 8 / 10..=fair * 12 / 10).contains(&slots(&done, 4)), "{}", slots(&done, 4));
        for (old, new) in owners(&joined).iter().zip(owners(&done)) {
            assert!(new.difference(old).all(|id| *id == NodeId(4)), "{old:?} became {new:?}");
        }
        for id in 1..=3 {
            assert!(slots(&done, id) >= fair * 8 / 10);
        }
    }
}

#[test]
fn the_three_steps_read_old_then_new_and_write_both() {
    let stable = join(&with_data(64, &["", "", ""]), 4);
    let copying = next(&stable, &Change::Rebalance);
    let begun = copying.layout.epoch;
    let transition = copying.layout.transition.clone().expect("a change is under way");
    assert_eq!((transition.step, transition.since), (TransitionStep::Copying, begun));
    assert_eq!(transition.goal, Goal::Rebalance);
    assert_eq!(copying.layout.table, stable.layout.table);
    let settling = advance(&copying);
    let later = settling.layout.transition.clone().expect("still under way");
    assert_eq!((later.step, later.since), (TransitionStep::Settling, begun));
    assert_eq!(settling.layout.table, transition.other);
    assert_eq!(later.other, stable.layout.table);
    let done = advance(&settling);
    assert_eq!(done.layout.table, transition.other);
    assert_eq!(done.layout.transition, None);
    assert_eq!(done.layout.epoch, Epoch(begun.0 + 2), "each step is an epoch");

    let moving: BTreeSet<PartitionId> = copying.layout.partitions_moving().collect();
    assert!(!moving.is_empty() && moving.len() < 64);
    assert_eq!(settling.layout.partitions_moving().collect::<BTreeSet<_>>(), moving);
    assert_eq!(done.layout.partitions_moving().count(), 0);
    for partition in stable.layout.partitions.iter() {
        let touched =
            rows(&stable)[usize::from(partition.0)] != rows(&copying)[usize::from(partition.0)];
        assert_eq!(copying.layout.other_list(partition, 3).is_some(), touched);
        assert_eq!(settling.layout.other_list(partition, 3).is_some(), touched);
        assert!(touched || !moving.contains(&partition));
        let gains = copying.layout.next_list(partition, 3).slot_of(NodeId(4)).is_some();
        assert_eq!(copying.layout.owns(NodeId(4), partition, 3), gains);
        assert_eq!(settling.layout.owns(NodeId(4), partition, 3), gains);
        assert_eq!(copying.layout.role(NodeId(4), partition, 3) == Role::Primary, false);
    }
    let written =
        |agreement: &Agreement, id| agreement.layout.partitions_written(NodeId(id), 3).count();
    assert_eq!((written(&stable, 4), written(&copying, 4)), (0, slots(&done, 4)));
    assert_eq!((written(&copying, 1), written(&settling, 1)), (64, 64), "until the end");
    assert_eq!(written(&done, 1), slots(&done, 1));
}

#[test]
fn a_smaller_bucket_moves_where_its_own_owners_change() {
    // One member, then two more that extend its lists: everybody owns everything with n = 3, and the first
    // everything with n = 1.
    let one = next(&founded(64, ""), &create(5, 1));
    let three = join(&join(&one, 2), 3);
    assert!(three.layout.partitions_owned(NodeId(1), 1).count() == 64);
    let done = carried_out(&three, &Change::Rebalance);
    assert_eq!(owners(&done), owners(&three), "n = 3: the same three");
    for id in 1..=3 {
        let owned = done.layout.partitions_owned(NodeId(id), 1).count();
        assert!((17..=26).contains(&owned), "{id} owns {owned} of 64 with n = 1");
    }
    let copying = next(&three, &Change::Rebalance);
    for partition in copying.layout.partitions.iter() {
        let first = |list: PreferenceList<'_>| list.owners().next();
        let moves = first(copying.layout.preference_list(partition, 1))
            != first(copying.layout.next_list(partition, 1));
        assert_eq!(
            copying.layout.other_list(partition, 1).is_some(),
            moves || {
                names(&copying.layout.preference_list(partition, 1))
                    != names(&copying.layout.next_list(partition, 1))
            }
        );
        assert!(!moves || copying.layout.partitions_moving().any(|p| p == partition));
        assert!(copying.layout.other_list(partition, 3).is_none(), "with n = 3 nothing changes");
    }
}

#[test]
fn where_nothing_would_move_there_is_nothing_to_do() {
    assert_eq!(four().apply(&Change::Rebalance), Ok(Successor::AlreadySo));
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
    for (old, new) in owners(&before).iter().zip(owners(&done)) {
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
    let before = with_data(64, &["", "", "", "", ""]);
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
    let left = carried_out(&with_data(64, &["", "", "", "", ""]), &Change::Leave(NodeId(2)));
    let gone = next(&left, &Change::Remove(NodeId(2)));
    assert_eq!((gone.layout.member(NodeId(2)), &gone.layout.transition), (None, &None));
    assert_eq!(refused(&gone, &Change::Join(member(2, ""))), Refusal::RetiredLineage);
}

#[test]
fn a_replacement_takes_exactly_the_places_of_the_replaced() {
    for count in [3, 5, 7] {
        let before = join(&with_data(256, &vec![""; count]), 50);
        let (old, new) = (NodeId(2), NodeId(50));
        let done = carried_out(&before, &Change::Replace { old, new });
        for (was, is) in rows(&before).iter().zip(rows(&done)) {
            let expected: Vec<NodeId> =
                was[..3].iter().map(|id| if *id == old { new } else { *id }).collect();
            assert_eq!(is[..3], expected);
            assert!(!is.contains(&old));
            // Where the replacement stood behind as a fallback, it cannot stand twice.
            let moved_up = was[..3].contains(&old) && was.contains(&new);
            let same_place = was.iter().zip(&is).all(|(a, b)| a == b || (*a == old && *b == new));
            assert!(same_place || moved_up || was.contains(&new), "{was:?} became {is:?}");
        }
        assert!(done.layout.leaving.contains(&old));
        next(&done, &Change::Drop(old));
    }
}

#[test]
fn a_replacement_has_no_places_and_the_replaced_has_some() {
    let agreement = join(&four(), 5);
    let replace = |old, new| Change::Replace { old: NodeId(old), new: NodeId(new) };
    assert_eq!(refused(&agreement, &replace(1, 2)), Refusal::HasPlaces(NodeId(2)));
    assert_eq!(refused(&agreement, &replace(1, 1)), Refusal::HasPlaces(NodeId(1)));
    assert_eq!(refused(&agreement, &replace(5, 5)), Refusal::HasNoPlaces(NodeId(5)));
    assert_eq!(refused(&agreement, &replace(1, 9)), Refusal::NoSuchMember(NodeId(9)));
    assert_eq!(refused(&agreement, &replace(9, 5)), Refusal::NoSuchMember(NodeId(9)));
    let left = carried_out(&agreement, &Change::Leave(NodeId(4)));
    assert_eq!(refused(&left, &replace(1, 4)), Refusal::Leaving(NodeId(4)));
}

#[test]
fn an_abort_restores_the_old_table_and_holds_the_newcomers() {
    let stable = join(&with_data(256, &["", "", "", ""]), 5);
    let replace = Change::Replace { old: NodeId(1), new: NodeId(5) };
    let place = Change::Place { id: NodeId(1), zone: String::new(), weight: 4 };
    let changes = [
        (Change::Rebalance, &[5][..]),
        (Change::Leave(NodeId(2)), &[5][..]),
        (Change::Remove(NodeId(2)), &[5][..]),
        (replace, &[5][..]),
    ];
    for (change, held) in changes {
        let copying = next(&stable, &change);
        let settling = advance(&copying);
        for under_way in [&copying, &settling] {
            let back = abort(under_way);
            assert_eq!(back.layout.table, stable.layout.table, "{change:?}");
            assert_eq!(back.layout.members, stable.layout.members);
            assert_eq!(back.layout.leaving, BTreeSet::new(), "nobody leaves now");
            let held: BTreeSet<NodeId> = held.iter().map(|id| NodeId(*id)).collect();
            assert_eq!(back.layout.held, held, "{change:?}");
            let again = Change::Abort { since: since(under_way) };
            assert_eq!(back.apply(&again), Ok(Successor::AlreadySo));
            assert_eq!(back.apply(&Change::Rebalance), Ok(Successor::AlreadySo), "not once more");
            let released = next(&back, &Change::Release);
            assert_eq!(released.apply(&Change::Release), Ok(Successor::AlreadySo));
            assert!(slots(&carried_out(&released, &Change::Rebalance), 5) > 0);
        }
        let done = advance(&settling);
        assert_eq!(
            done.apply(&Change::Abort { since: since(&settling) }),
            Ok(Successor::AlreadySo)
        );
    }
    let heavier = abort(&next(&stable, &place));
    assert_eq!(heavier.layout.table, stable.layout.table);
    assert_eq!(
        heavier.layout.member(NodeId(1)).map(|m| m.weight),
        Some(4),
        "what it is like stays"
    );
}

#[test]
fn who_is_held_is_placed_by_no_change_but_its_own() {
    let stable = join(&with_data(64, &["", "", "", ""]), 5);
    let held = abort(&next(&stable, &Change::Rebalance));
    let left = carried_out(&held, &Change::Leave(NodeId(2)));
    assert_eq!(slots(&left, 5), 0);
    let more = carried_out(&join(&held, 6), &Change::Rebalance);
    assert!(slots(&more, 5) == 0 && slots(&more, 6) > 0);
    let replaced = carried_out(&held, &Change::Replace { old: NodeId(1), new: NodeId(5) });
    assert!(slots(&replaced, 5) > 0 && replaced.layout.held.is_empty());
}

#[test]
fn one_change_at_a_time() {
    let agreement = with_data(64, &["", "", "", "", ""]);
    let copying = next(&join(&agreement, 6), &Change::Leave(NodeId(2)));
    for under_way in [copying.clone(), advance(&copying)] {
        for other in [
            Change::Rebalance,
            Change::Leave(NodeId(3)),
            Change::Remove(NodeId(3)),
            Change::Remove(NodeId(2)),
            Change::Replace { old: NodeId(2), new: NodeId(6) },
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
    let copying = next(&join(&four(), 5), &Change::Rebalance);
    let since = since(&copying);
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
fn as_many_members_keep_places_as_data_have_copies() {
    let three = with_data(64, &["", "", ""]);
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
    next(&held, &Change::Replace { old: NodeId(1), new: NodeId(4) });
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
    let agreement = join(&with_data(64, &["", "", "", "", "", ""]), 7);
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
    check_spread(&moved);
    let newcomer = join(&six, 7);
    let light = next(&newcomer, &Change::Place { id: NodeId(7), zone: "c".into(), weight: 2 });
    assert_eq!(light.layout.transition, None, "it has no places that could move");
}

/// Every prefix of every row lies in as many zones as it can.
pub(super) fn check_spread(agreement: &Agreement) {
    let layout = &agreement.layout;
    let seats = |id: NodeId| !layout.leaving.contains(&id) && !layout.held.contains(&id);
    let zone = |id| layout.member(id).map_or("", |member| member.zone.as_str());
    let zones = |ids: &[NodeId]| ids.iter().map(|id| zone(*id)).collect::<BTreeSet<_>>().len();
    let all: Vec<NodeId> = layout.members.iter().map(|m| m.id).filter(|id| seats(*id)).collect();
    for row in rows(agreement) {
        for k in 1..=row.len().min(3) {
            assert_eq!(zones(&row[..k]), k.min(zones(&all)), "the first {k} of {row:?}");
        }
    }
}

#[test]
fn zones_stay_spread() {
    let six = with_data(256, &["a", "b", "c", "a", "b", "c"]);
    check_spread(&six);
    check_spread(&carried_out(&six, &Change::Leave(NodeId(2))));
    let without_b =
        carried_out(&carried_out(&six, &Change::Leave(NodeId(2))), &Change::Remove(NodeId(5)));
    check_spread(&without_b);
    let fourth = next(&six, &Change::Join(member(7, "d")));
    check_spread(&carried_out(&fourth, &Change::Rebalance));
    // A replacement in another zone takes exactly the places; a rebalance then mends what is too narrow.
    let joined = next(&six, &Change::Join(member(7, "a")));
    let replaced = carried_out(&joined, &Change::Replace { old: NodeId(2), new: NodeId(7) });
    check_spread(&carried_out(&replaced, &Change::Rebalance));
}

#[test]
fn an_acceptor_lets_no_step_be_left_out() {
    let stable = join(&four(), 5);
    let copying = next(&stable, &Change::Rebalance);
    let settling = advance(&copying);
    let done = advance(&settling);
    let check = |old: &Agreement, forged: &Layout| {
        let mut forged = Agreement { index: old.index + 1, layout: forged.clone(), ..old.clone() };
        forged.layout.epoch = Epoch(old.layout.epoch.0 + 1);
        if let Some(transition) = &mut forged.layout.transition
            && old.layout.transition.is_none()
        {
            transition.since = forged.layout.epoch;
        }
        old.check_successor(&forged)
    };
    assert_eq!(check(&stable, &copying.layout), Ok(()));
    let mut at_once = settling.layout.clone();
    at_once.transition.as_mut().expect("under way").since = stable.layout.epoch;
    for (old, forged, what) in [
        (&stable, &done.layout, "no step at all"),
        (&copying, &done.layout, "the new table before it was read"),
        (&settling, &copying.layout, "back to a step"),
    ] {
        assert_eq!(check(old, forged), Err(Refusal::DataWouldMove), "{what}");
    }
    let forged = Agreement { index: stable.index + 1, ..settling.clone() };
    assert!(stable.check_successor(&forged).is_err(), "straight to the second step");
    let spoilt = |old: &Agreement, good: &Agreement, spoil: &dyn Fn(&mut Layout)| {
        let mut bad = good.clone();
        spoil(&mut bad.layout);
        assert!(bad.validate().is_ok(), "only the step itself is wrong: {:?}", bad.validate());
        assert_eq!(old.check_successor(&bad), Err(Refusal::DataWouldMove));
    };
    fn under_way(layout: &mut Layout) -> &mut Transition {
        layout.transition.as_mut().expect("a change is under way")
    }
    spoilt(&stable, &copying, &|l| l.table.cells.swap(0, 1));
    spoilt(&stable, &copying, &|l| under_way(l).since = Epoch(1));
    spoilt(&copying, &settling, &|l| l.table.cells.swap(0, 1));
    spoilt(&copying, &settling, &|l| under_way(l).other.cells.swap(0, 1));
    spoilt(&copying, &settling, &|l| under_way(l).since = Epoch(1));
    spoilt(&copying, &settling, &|l| {
        l.leaving.clear();
        under_way(l).goal = Goal::Replace { old: NodeId(99), new: NodeId(5) };
        under_way(l).goal = Goal::Rebalance;
        l.members.push(member(9, ""));
    });
    spoilt(&settling, &done, &|l| l.table.cells.swap(0, 1));
    spoilt(&settling, &done, &|l| l.members.push(member(9, "")));
    spoilt(&settling, &abort(&settling), &|l| l.table.cells.swap(0, 1));
    let readmitted = next(&copying, &Change::Join(Member { lineage: Lineage(5), ..member(1, "") }));
    spoilt(&copying, &readmitted, &|l| under_way(l).other.cells.swap(0, 1));
    spoilt(&copying, &readmitted, &|l| l.table.cells.swap(0, 1));
    // What a value that names nobody new says about the change is in its epoch.
    let mut silent = next(&copying, &create(6, 1));
    silent.layout.held.insert(NodeId(5));
    assert_eq!(copying.check_successor(&silent), Err(Refusal::NotNext));
}

#[test]
fn a_transition_from_a_peer_is_checked_sentence_by_sentence() {
    let good = next(&join(&four(), 5), &Change::Replace { old: NodeId(2), new: NodeId(5) }).layout;
    assert_eq!(good.validate(), Ok(()));
    let check = |spoil: &dyn Fn(&mut Layout, &mut Transition), expected: Option<Invalid>| {
        let mut bad = good.clone();
        let mut transition = bad.transition.take().expect("a change is under way");
        spoil(&mut bad, &mut transition);
        bad.transition = Some(transition);
        match expected {
            Some(expected) => assert_eq!(bad.validate(), Err(expected)),
            None => assert!(
                matches!(bad.validate(), Err(Invalid::Transition(_))),
                "{:?}",
                bad.validate()
            ),
        }
    };
    check(&|_, t| t.other.cells[3] = 5, Some(Invalid::TableRow));
    check(&|_, t| t.other.cells[0] = t.other.cells[1], Some(Invalid::TableRow));
    check(&|_, t| t.other.cells.truncate(5), Some(Invalid::TableShape));
    check(&|_, t| t.other = Table::default(), Some(Invalid::TableShape));
    check(&|l, _| assert!(l.leaving.insert(NodeId(9))), None);
    check(&|l, _| assert!(l.held.insert(NodeId(9))), None);
    check(&|l, _| assert!(l.leaving.insert(NodeId(1))), None);
    check(&|l, _| l.leaving.clear(), None);
    check(&|l, t| t.other = l.table.clone(), None);
    check(&|_, t| t.step = TransitionStep::Settling, None);
    check(&|_, t| t.since = Epoch(0), None);
    check(&|l, t| t.since = Epoch(l.epoch.0 + 1), None);
    check(&|_, t| t.goal = Goal::Leave(NodeId(1)), None);
    check(&|_, t| t.goal = Goal::Remove(NodeId(9)), None);
    check(&|_, t| t.goal = Goal::Rebalance, None);
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(2), new: NodeId(9) }, None);
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(2), new: NodeId(2) }, None);
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(1), new: NodeId(5) }, None);
    let mut stable = good.clone();
    stable.transition = None;
    assert!(matches!(stable.validate(), Err(Invalid::Transition(_))), "who leaves has places");
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
    let back = after.plan(&Change::Abort { since: since(&after) }).expect("possible");
    assert!(back.moves.iter().all(|m| m.from == Some(NodeId(4))));
    let step = Change::Advance { since: since(&after), from: TransitionStep::Copying };
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
        Change::Replace { old: NodeId(1), new: NodeId(2) },
        Change::Advance { since: Epoch(3), from: TransitionStep::Settling },
        Change::Abort { since: Epoch(3) },
        Change::Release,
        Change::Drop(NodeId(1)),
    ] {
        assert_eq!(Change::decode(&change.encode()), Some(change));
    }
}
