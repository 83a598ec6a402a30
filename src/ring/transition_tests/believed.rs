//! What nobody may be made to believe of a change of owners.

use super::*;

/// What an acceptor that knows `old` says to the layout of `later`, put forward as the very next one.
fn put_forward(old: &Agreement, later: &Agreement) -> Result<(), Refusal> {
    let mut forged = Agreement { index: old.index + 1, ..later.clone() };
    forged.layout.epoch = Epoch(old.layout.epoch.0 + 1);
    if let Some(transition) = &mut forged.layout.transition {
        transition.since = transition.since.min(old.layout.epoch);
    }
    forged.validate().expect("only the order is wrong");
    old.check_successor(&forged)
}

/// An acceptor believes `good`, and not what becomes of it here, though that makes sense by itself.
fn spoilt(old: &Agreement, good: &Agreement, spoil: &dyn Fn(&mut Layout)) {
    assert_eq!(old.check_successor(good), Ok(()));
    let mut bad = good.clone();
    spoil(&mut bad.layout);
    assert_eq!(bad.validate(), Ok(()), "only what it follows is wrong");
    assert_eq!(old.check_successor(&bad), Err(Refusal::DataWouldMove));
}

fn changing(layout: &mut Layout) -> &mut Transition {
    layout.transition.as_mut().expect("a change is under way")
}

#[test]
fn an_acceptor_lets_no_step_be_left_out() {
    let stable = join(&of(4), 5);
    let copying = next(&stable, &Change::Rebalance);
    let settling = advance(&copying);
    let done = advance(&settling);
    for (old, later, what) in [
        (&stable, &done, "no step at all"),
        (&stable, &settling, "the second step first"),
        (&copying, &done, "the new table alone before it was read"),
        (&settling, &copying, "back by a step"),
    ] {
        assert_eq!(put_forward(old, later), Err(Refusal::DataWouldMove), "{what}");
    }
}

#[test]
fn an_acceptor_lets_nobody_change_a_change() {
    let stable = join(&of(4), 5);
    let copying = next(&stable, &Change::Rebalance);
    let settling = advance(&copying);
    let done = advance(&settling);
    spoilt(&stable, &copying, &|l| l.table.cells.swap(0, 1));
    spoilt(&stable, &copying, &|l| changing(l).since = Epoch(1));
    spoilt(&stable, &copying, &|l| l.members.push(member(9, "")));
    let empty = Member { lineage: Lineage(5), ..member(1, "") };
    let readmitted = next(&copying, &Change::Join(empty));
    for (old, good) in [(&copying, &readmitted), (&copying, &settling)] {
        spoilt(old, good, &|l| l.table.cells.swap(0, 1));
        spoilt(old, good, &|l| changing(l).other.cells.swap(0, 1));
        spoilt(old, good, &|l| changing(l).since = Epoch(1));
        spoilt(old, good, &|l| l.members.push(member(9, "")));
        spoilt(old, good, &|l| {
            changing(l).goal = Goal::Leave(NodeId(9));
            l.members.push(member(9, ""));
            l.leaving.insert(NodeId(9));
        });
    }
    for good in [&done, &abort(&settling)] {
        spoilt(&settling, good, &|l| l.table.cells.swap(0, 1));
        spoilt(&settling, good, &|l| l.members.push(member(9, "")));
    }
    // Who stays silent about an epoch changes nothing of all this.
    for spoil in [
        |l: &mut Layout| drop(l.transition.take()),
        |l: &mut Layout| l.held = BTreeSet::from([NodeId(5)]),
    ] {
        let mut silent = next(&copying, &create(6, 1));
        spoil(&mut silent.layout);
        assert_eq!(copying.check_successor(&silent), Err(Refusal::NotNext));
    }
}

#[test]
fn a_transition_from_a_peer_is_checked_sentence_by_sentence() {
    let replace = Change::Replace { old: NodeId(2), new: NodeId(5), gone: false };
    let good = next(&join(&of(4), 5), &replace).layout;
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
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(2), new: NodeId(9), gone: false }, None);
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(2), new: NodeId(2), gone: false }, None);
    check(&|_, t| t.goal = Goal::Replace { old: NodeId(1), new: NodeId(5), gone: false }, None);
    let mut stable = good.clone();
    stable.transition = None;
    assert!(matches!(stable.validate(), Err(Invalid::Transition(_))), "who leaves has places");
}
