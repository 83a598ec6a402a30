//! Random sequences of wishes, many of them impossible: whatever is agreed after each of them is sound.

use super::*;

const ZONES: [&str; 3] = ["a", "b", "c"];

fn wish(rng: &mut fastrand::Rng, agreement: &Agreement, fresh: &mut u64) -> Change {
    let layout = &agreement.layout;
    let members = &layout.members;
    let any = |rng: &mut fastrand::Rng| members[rng.usize(..members.len())].id;
    let since = layout.transition.as_ref().map_or(layout.epoch, |transition| transition.since);
    match rng.u32(0..22) {
        0..=2 if members.len() < 10 => {
            *fresh += 1;
            Change::Join(member(*fresh, ZONES[rng.usize(..3)]))
        }
        0..=3 => {
            *fresh += 1;
            let back = members[rng.usize(..members.len())].clone();
            Change::Join(Member { lineage: Lineage(*fresh << 32), ..back })
        }
        4 => Change::Leave(any(rng)),
        5 => Change::Remove(any(rng)),
        6 | 7 => {
            let newest = members.iter().max_by_key(|m| m.id).map_or(NodeId(0), |m| m.id);
            Change::Replace { old: any(rng), new: newest, gone: rng.bool() }
        }
        8 => Change::Place {
            id: any(rng),
            zone: ZONES[rng.usize(..3)].into(),
            weight: rng.u16(1..=3),
        },
        9 | 10 => Change::Rebalance,
        11..=15 => {
            let step = layout.transition.as_ref().map(|transition| transition.step);
            let from = step.filter(|_| rng.u8(0..4) > 0).unwrap_or(TransitionStep::Copying);
            Change::Advance { since, from }
        }
        16 => Change::Abort { since: Epoch(since.0 - rng.u64(0..2).min(since.0)) },
        17 => Change::Release,
        20 => Change::Out(any(rng)),
        21 => Change::Return(layout.out.iter().next().copied().unwrap_or(any(rng))),
        18 => Change::Drop(layout.leaving.iter().next().copied().unwrap_or(any(rng))),
        _ => {
            *fresh += 1;
            create(*fresh % 4, rng.u8(1..=3))
        }
    }
}

/// The owners of every partition for the largest `n` of any bucket, by the table that is read.
fn read_owners(agreement: &Agreement, n: u8) -> Vec<Vec<NodeId>> {
    let layout = &agreement.layout;
    layout.partitions.iter().map(|p| layout.preference_list(p, n).owners().collect()).collect()
}

/// What an observer who knows nothing of steps demands: whoever is read was written in the value before.
fn check_between(old: &Agreement, new: &Agreement) {
    let some = |bucket: &Bucket| bucket.settings.n;
    for n in old.buckets.buckets.values().map(some).collect::<BTreeSet<u8>>() {
        for (partition, owners) in new.layout.partitions.iter().zip(read_owners(new, n)) {
            for owner in owners {
                assert!(
                    old.layout.owns(owner, partition, n),
                    "{owner} was not written before it is read"
                );
            }
        }
    }
    assert!(new.layout.epoch >= old.layout.epoch);
    assert_eq!(new.layout.epoch != old.layout.epoch, new.layout != old.layout);
    let largest = new.buckets.buckets.values().map(some).max().unwrap_or_default();
    assert!(new.largest_n() >= largest);
}

/// Nothing moves but what the wish is about.
fn check_moves(old: &Agreement, new: &Agreement, change: &Change) {
    let spread = is_spread(old);
    if *change == Change::Rebalance
        || (spread && matches!(change, Change::Leave(_) | Change::Remove(_) | Change::Out(_)))
    {
        assert!(is_spread(new), "{change:?}");
    }
    if new.layout.transition.is_none() {
        return;
    }
    let owning: BTreeSet<NodeId> = owners(old, 3).into_iter().flatten().collect();
    let seated = |id: &NodeId| old.layout.has_seat(*id);
    let all = old.layout.members.iter().map(|member| member.id);
    let placeless = all.filter(|id| seated(id) && !owning.contains(id)).count();
    for k in 1..=3 {
        for (was, is) in owners(old, k).iter().zip(owners(new, k)) {
            let mut lost = was.difference(&is);
            let mut gained = is.difference(was);
            match change {
                Change::Leave(id) | Change::Remove(id) | Change::Out(id) => {
                    assert!(lost.all(|lost| lost == id));
                }
                Change::Return(id) => assert!(gained.all(|gained| gained == id)),
                Change::Replace { old, new, .. } => {
                    assert!(lost.all(|lost| lost == old) && gained.all(|gained| gained == new));
                }
                // Newcomers first, and where that is enough for the zones, nobody else.
                Change::Rebalance if placeless > 0 && spread => {
                    assert!(gained.all(|id| !owning.contains(id)), "{was:?} became {is:?}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn whatever_is_wished_for_in_whatever_order_the_outcome_is_sound() {
    let (mut begun, mut ended, mut aborted, mut refused) = (0, 0, 0, 0);
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut agreement = founded(32, "a");
        let mut fresh = 1;
        for _ in 0..rng.u64(0..5) {
            fresh += 1;
            agreement = next(&agreement, &Change::Join(member(fresh, ZONES[rng.usize(..3)])));
        }
        for _ in 0..120 {
            let change = wish(&mut rng, &agreement, &mut fresh);
            let plan = agreement.plan(&change);
            let after = match agreement.apply(&change) {
                Ok(Successor::Next(_)) => next(&agreement, &change),
                Ok(Successor::AlreadySo) => {
                    assert_eq!(plan.map(|plan| plan.partitions), Ok(0));
                    continue;
                }
                Err(refusal) => {
                    assert_eq!(plan, Err(refusal));
                    refused += 1;
                    continue;
                }
            };
            // Without data a rebalance is through at once, and another may find a little more to mend.
            if change != Change::Rebalance || after.layout.transition.is_some() {
                assert_eq!(after.apply(&change), Ok(Successor::AlreadySo), "{change:?} once more");
            }
            check_step(&after);
            check_between(&agreement, &after);
            match (&agreement.layout.transition, &after.layout.transition) {
                (None, Some(_)) => begun += 1,
                (Some(_), None) if matches!(change, Change::Abort { .. }) => aborted += 1,
                (Some(was), Some(is)) if was.goal != Goal::Back && is.goal == Goal::Back => {
                    aborted += 1;
                }
                (Some(was), None) => ended += u32::from(was.goal != Goal::Back),
                _ => {}
            }
            check_moves(&agreement, &after, &change);
            agreement = after;
        }
    }
    let seen = format!("{begun} begun, {ended} ended, {aborted} aborted, {refused} refused");
    assert!(begun > 300 && ended > 100 && aborted > 50 && refused > 300, "{seen}");
}

#[test]
fn a_rebalance_is_over_after_finitely_many() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut agreement = next(&founded(64, "a"), &create(1, 1));
        for id in 2..=rng.u64(2..9) {
            let joiner = Member { weight: rng.u16(1..=2), ..member(id, ZONES[rng.usize(..3)]) };
            agreement = next(&agreement, &Change::Join(joiner));
        }
        let mut rounds = 0;
        while let Ok(Successor::Next(copying)) = agreement.apply(&Change::Rebalance) {
            let since = copying.layout.epoch;
            let step = |from| Change::Advance { since, from };
            let settling = next(&copying, &step(TransitionStep::Copying));
            agreement = next(&settling, &step(TransitionStep::Settling));
            rounds += 1;
            assert!(rounds <= 3, "seed {seed} never settles");
        }
        assert!(is_spread(&agreement));
    }
}
