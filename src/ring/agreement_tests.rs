//! What a change makes of an agreement, what it refuses, and what nobody may be made to believe.

use super::*;
use crate::error::Error;
use crate::id::{BucketId, ClusterId, Conflict, Epoch, Lineage, NodeId, PartitionId};
use crate::ring::bucket::{DROPPED_LIMIT, Dropped};

fn member(id: u64) -> Member {
    let name = format!("n{id}");
    Member { id: NodeId(id), lineage: Lineage(1000 + id), name, zone: String::new(), weight: 1 }
}

fn founded() -> Agreement {
    let partitions = Partitions::new(64).expect("a power of two");
    Agreement::found(ClusterId(9), Secret([7; 32]), 3, partitions, member(1)).expect("valid")
}

fn next(agreement: &Agreement, change: &Change) -> Agreement {
    match agreement.apply(change) {
        Ok(Successor::Next(next)) => {
            next.validate().expect("a successor is valid");
            assert_eq!(agreement.check_successor(&next), Ok(()), "{change:?}");
            assert_eq!(agreement.is_superseded_by(&next), Ok(true));
            assert_eq!(next.is_superseded_by(agreement), Ok(false));
            assert_eq!(next.is_superseded_by(&next), Ok(false));
            assert_eq!(
                agreement.apply(change),
                Ok(Successor::Next(next.clone())),
                "the same again"
            );
            *next
        }
        other => panic!("{change:?}: {other:?}"),
    }
}

fn refused(agreement: &Agreement, change: &Change) -> Refusal {
    agreement.apply(change).expect_err("refused")
}

fn of(count: u64) -> Agreement {
    (2..=count).fold(founded(), |agreement, id| next(&agreement, &Change::Join(member(id))))
}

fn create(id: u64, name: &str, n: u8) -> Change {
    Change::CreateBucket { id: BucketId(id), name: name.into(), settings: BucketSettings::new(n) }
}

fn numbers(agreement: &Agreement) -> (u64, u64, u64) {
    (agreement.index, agreement.layout.epoch.0, agreement.buckets.version)
}

fn rows(agreement: &Agreement) -> Vec<Vec<NodeId>> {
    let list = |p| agreement.layout.preference_list(p, agreement.layout.replicas);
    let row = |p| list(p).owners().chain(list(p).fallbacks()).collect();
    agreement.layout.partitions.iter().map(row).collect()
}

#[test]
fn a_dropped_bucket_never_comes_back_and_only_it_goes() {
    let first = next(&of(3), &create(7, "b", 3));
    let old = first.buckets.get("b").expect("there").clone();
    let wish = |id| Change::DropBucket { name: "b".into(), id };
    let other = BucketId(old.id.0 ^ 1);
    assert_eq!(first.apply(&wish(other)), Err(Refusal::NoSuchBucket("b".into())));
    let gone = next(&first, &wish(old.id));
    assert_eq!(first.check_successor(&gone), Ok(()));
    assert_eq!((gone.buckets.get("b"), gone.buckets.was_dropped(old.id)), (None, true));
    assert_eq!(gone.apply(&wish(old.id)), Ok(Successor::AlreadySo), "the same wish again");
    // The next of its name is another one, and an old wish does not touch it.
    let create =
        |id| Change::CreateBucket { id, name: "b".into(), settings: BucketSettings::new(1) };
    assert_eq!(gone.apply(&create(old.id)), Err(Refusal::BucketIdTaken));
    let again = next(&gone, &create(other));
    assert_eq!(again.apply(&wish(old.id)), Err(Refusal::AnotherBucket("b".into())));
    assert_eq!(gone.check_successor(&again), Ok(()));
    // A proposer that lets it go without a word, brings it back, or forgets that it was.
    let mut silent = gone.clone();
    silent.buckets.dropped.clear();
    assert_eq!(first.check_successor(&silent), Err(Refusal::DataWouldMove));
    let mut back = again.clone();
    back.buckets.buckets.insert("b".into(), old);
    assert!(gone.check_successor(&back).is_err());
    let mut forgets = again.clone();
    forgets.buckets.dropped.clear();
    assert_eq!(gone.check_successor(&forgets), Err(Refusal::DataWouldMove));
}

#[test]
fn drops_are_remembered_up_to_a_limit() {
    let mut now = of(3);
    let old = |number: u64| Dropped { id: BucketId(1_000 + number), n: 1 };
    now.buckets.dropped = (0..DROPPED_LIMIT as u64 - 1).map(old).collect();
    for number in 0..4 {
        let (id, name) = (BucketId(90_000 + number), "t".to_owned());
        let settings = BucketSettings::new(1);
        let made = next(&now, &Change::CreateBucket { id, name: name.clone(), settings });
        now = next(&made, &Change::DropBucket { name, id });
        assert_eq!(Agreement::decode(&now.encode()), Ok(now.clone()));
    }
    assert_eq!(now.buckets.dropped.len(), DROPPED_LIMIT);
    assert_eq!(now.buckets.dropped[0].id, BucketId(1_003));
}

#[test]
fn a_founder_owns_everything() {
    let agreement = founded();
    assert_eq!(agreement.validate(), Ok(()));
    assert_eq!(numbers(&agreement), (0, 0, 0));
    assert!(rows(&agreement).iter().all(|row| row == &[NodeId(1)]));
    assert_eq!((agreement.majority(), agreement.largest_n()), (1, 1));
    let found = |replicas, founder| {
        Agreement::found(ClusterId(9), Secret([7; 32]), replicas, Partitions::default(), founder)
    };
    assert_eq!(found(0, member(1)), Err(Invalid::Replicas(0)));
    assert_eq!(found(8, member(1)), Err(Invalid::Replicas(8)));
    assert_eq!(found(3, Member { weight: 0, ..member(1) }), Err(Invalid::Weight(0)));
}

#[test]
fn a_join_before_the_first_bucket_places_anew() {
    let agreement = of(7);
    assert_eq!(numbers(&agreement), (6, 6, 0));
    assert!(rows(&agreement).iter().all(|row| row.len() == 6));
    let owned = |id| agreement.layout.partitions_owned(NodeId(id), 3).count();
    assert!((1..=7).all(|id| owned(id) > 0));
    assert_eq!((1..=7).map(owned).sum::<usize>(), 3 * 64);
    assert_eq!(agreement.acceptors().len(), 7);
    assert_eq!(agreement.majority(), 4);
}

#[test]
fn joining_again_is_already_so() {
    assert_eq!(of(3).apply(&Change::Join(member(2))), Ok(Successor::AlreadySo));
}

#[test]
fn a_bucket_changes_the_registry_and_no_epoch() {
    let with = next(&of(3), &create(5, "logs", 3));
    assert_eq!(numbers(&with), (3, 2, 1));
    assert_eq!(with.layout, of(3).layout);
    assert_eq!(with.buckets.get("logs").map(|bucket| bucket.id), Some(BucketId(5)));
    assert_eq!(with.buckets.by_id(BucketId(5)).map(|b| b.settings.n), Some(3));
}

#[test]
fn creating_a_bucket_again_is_already_so_unless_it_differs() {
    let with = next(&of(3), &create(5, "logs", 3));
    assert_eq!(with.apply(&create(6, "logs", 3)), Ok(Successor::AlreadySo));
    assert_eq!(refused(&with, &create(6, "logs", 2)), Refusal::BucketExists("logs".into()));
    assert_eq!(refused(&with, &create(5, "other", 3)), Refusal::BucketIdTaken);
}

#[test]
fn a_bucket_needs_as_many_members_as_replicas() {
    let refusal = refused(&of(2), &create(5, "logs", 3));
    assert_eq!(refusal, Refusal::TooFewMembers { n: 3, have: 2 });
    let text = Error::from(refusal).to_string();
    assert!(text.contains("join more nodes") && text.contains("smaller n"), "{text}");
    next(&of(2), &create(5, "logs", 2));
}

#[test]
fn settings_are_checked() {
    let agreement = of(5);
    let settings = BucketSettings::new(3);
    let check = |name: &str, settings: BucketSettings, good: bool| {
        let change = Change::CreateBucket { id: BucketId(1), name: name.into(), settings };
        let result = agreement.apply(&change);
        assert_eq!(result.is_ok(), good, "{name} {change:?}");
    };
    check("a.b_c-9", settings.clone(), true);
    check(&"x".repeat(64), settings.clone(), true);
    check(&"x".repeat(65), settings.clone(), false);
    for bad in ["", "A", "a b", "a/b", "ä", "a\n"] {
        check(bad, settings.clone(), false);
    }
    for (n, good) in [(0, false), (1, true), (3, true), (4, false), (255, false)] {
        check("b", BucketSettings::new(n), good);
    }
    for (count, good) in [(0, false), (1, true), (3, true), (4, false)] {
        check("b", BucketSettings { r: Some(count), ..settings.clone() }, good);
        check("b", BucketSettings { w: Some(count), ..settings.clone() }, good);
    }
    check("b", BucketSettings { conflict: Conflict::Lww, ..settings.clone() }, true);
    check("b", BucketSettings { kind: Some("counter".into()), ..settings.clone() }, true);
    check("b", BucketSettings { kind: Some("graph".into()), ..settings.clone() }, false);
    let both =
        BucketSettings { kind: Some("set".into()), conflict: Conflict::Lww, ..settings.clone() };
    check("b", both, false);
    for (ttl, good) in [(0, false), (1, true), (86_400, true), (u64::MAX, false)] {
        let ttl = Some(std::time::Duration::from_secs(ttl));
        check("b", BucketSettings { ttl, ..settings.clone() }, good);
    }
}

#[test]
fn defaults_of_a_bucket_change_and_the_least_w_is_remembered() {
    let with = next(&of(5), &create(5, "logs", 3));
    let set = |r, w, ttl| Change::SetBucket { name: "logs".into(), r, w, ttl };
    let settings =
        |agreement: &Agreement| agreement.buckets.get("logs").expect("there").settings.clone();
    let minute = Some(std::time::Duration::from_secs(60));
    let low = next(&with, &set(Some(3), Some(1), minute));
    let is = settings(&low);
    assert_eq!((is.r, is.w, is.ttl, is.guaranteed_w()), (Some(3), Some(1), minute, 1));
    assert_eq!((is.n, numbers(&low)), (3, (low.index, with.layout.epoch.0, 2)));
    let high = next(&low, &set(None, Some(3), None));
    let is = settings(&high);
    assert_eq!((is.r, is.w, is.ttl), (None, Some(3), None));
    assert_eq!(is.guaranteed_w(), 1, "what was written with one may lie on one");
    assert_eq!(settings(&next(&high, &set(None, None, None))).guaranteed_w(), 1);
    assert_eq!(high.apply(&set(None, Some(3), None)), Ok(Successor::AlreadySo));
    // Who creates it as it is finds it, whatever it once was.
    let settings = BucketSettings { w: Some(3), ..BucketSettings::new(3) };
    let again = Change::CreateBucket { id: BucketId(9), name: "logs".into(), settings };
    assert_eq!(high.apply(&again), Ok(Successor::AlreadySo));
    for (r, w, ttl) in [
        (Some(0), None, None),
        (None, Some(4), None),
        (None, None, Some(std::time::Duration::ZERO)),
    ] {
        refused(&high, &set(r, w, ttl));
    }
    let unknown = Change::SetBucket { name: "none".into(), r: None, w: None, ttl: None };
    assert_eq!(refused(&high, &unknown), Refusal::NoSuchBucket("none".into()));
}

/// What older nodes have agreed on is read, and what they can read is written, as long as nobody needs the new.
#[test]
fn settings_are_written_as_before_there_was_a_memory_of_w() {
    let settings = BucketSettings { w: Some(2), ..BucketSettings::new(3) };
    let bytes = rmp_serde::to_vec(&settings).expect("written");
    assert_eq!(bytes[0], 0x96, "six values");
    assert_eq!(rmp_serde::from_slice::<BucketSettings>(&bytes).expect("read"), settings);
    let settings = BucketSettings { least_w: Some(1), ..settings };
    let bytes = rmp_serde::to_vec(&settings).expect("written");
    assert_eq!(rmp_serde::from_slice::<BucketSettings>(&bytes).expect("read"), settings);
}

#[test]
fn a_late_joiner_enters_no_full_list() {
    let with = next(&of(7), &create(5, "logs", 3));
    let after = next(&with, &Change::Join(member(8)));
    assert_eq!(rows(&after), rows(&with), "lists are full: the joiner has no partitions yet");
    assert_eq!(numbers(&after), (8, 7, 1));
    assert!(after.acceptors().contains(&(NodeId(8), Lineage(1008))), "but it has a say");
    let left = next(&after, &Change::Remove(NodeId(8)));
    assert_eq!(rows(&left), rows(&with), "who stands nowhere may go");
}

#[test]
fn a_late_joiner_lengthens_short_lists_at_their_end() {
    let with = next(&founded(), &create(5, "logs", 1));
    let two = next(&with, &Change::Join(member(2)));
    assert!(rows(&two).iter().all(|row| row == &[NodeId(1), NodeId(2)]));
    assert_eq!(two.layout.role(NodeId(1), PartitionId(3), 1), Role::Primary);
    assert_eq!(two.layout.role(NodeId(2), PartitionId(3), 1), Role::Fallback);
    let three = next(&two, &Change::Join(member(3)));
    next(&three, &create(6, "wide", 3));
}

#[test]
fn before_the_first_bucket_members_leave_and_move() {
    let agreement = of(4);
    let left = next(&agreement, &Change::Remove(NodeId(2)));
    assert!(rows(&left).iter().all(|row| row.len() == 3 && !row.contains(&NodeId(2))));
    assert_eq!(left.apply(&Change::Remove(NodeId(2))), Ok(Successor::AlreadySo));
    assert_eq!(refused(&founded(), &Change::Remove(NodeId(1))), Refusal::LastMember);
    let place = |zone: &str, weight| Change::Place { id: NodeId(3), zone: zone.into(), weight };
    let moved = next(&agreement, &place("z", 2));
    assert_eq!(moved.layout.member(NodeId(3)).map(|m| m.weight), Some(2));
    assert_eq!(moved.apply(&place("z", 2)), Ok(Successor::AlreadySo));
    assert_eq!(refused(&agreement, &place("z", 0)), Refusal::Invalid(Invalid::Weight(0)));
}

#[test]
fn a_node_that_comes_back_empty_takes_over_the_id_of_its_name() {
    let before = next(&of(3), &create(5, "logs", 3));
    // Wiped: a new random id, a new lineage, the old name; zone and weight are the layout's.
    let empty = Member { id: NodeId(77), lineage: Lineage(5), weight: 9, ..member(2) };
    let after = next(&before, &Change::Join(empty.clone()));
    assert_eq!(
        after.layout.member(NodeId(2)).map(|m| (m.lineage, m.weight)),
        Some((Lineage(5), 1))
    );
    assert_eq!(after.layout.member(NodeId(77)), None);
    assert_eq!(rows(&after), rows(&before), "owners stay");
    assert_eq!(after.layout.epoch, Epoch(before.layout.epoch.0 + 1));
    assert!(!after.layout.admits(NodeId(2), Lineage(1002)), "the old life is fenced");
    assert!(after.layout.admits(NodeId(2), Lineage(5)));
    assert_eq!(after.apply(&Change::Join(empty)), Ok(Successor::AlreadySo));
    // It remembers its id (a restored backup, a damaged log): the same.
    let restored = Member { lineage: Lineage(6), ..member(2) };
    let again = next(&after, &Change::Join(restored));
    assert!(again.layout.admits(NodeId(2), Lineage(6)));
}

#[test]
fn a_replaced_or_removed_life_is_never_admitted_again() {
    let replaced = next(&of(3), &Change::Join(Member { lineage: Lineage(5), ..member(2) }));
    assert_eq!(refused(&replaced, &Change::Join(member(2))), Refusal::RetiredLineage);
    let removed = next(&of(3), &Change::Remove(NodeId(2)));
    assert_eq!(refused(&removed, &Change::Join(member(2))), Refusal::RetiredLineage);
    let fresh = Member { lineage: Lineage(6), ..member(2) };
    next(&removed, &Change::Join(fresh));
    // Nor does an acceptor let it through when a proposer forgot.
    let mut forged = next(&removed, &Change::Join(Member { lineage: Lineage(6), ..member(2) }));
    forged.layout.members[1].lineage = Lineage(1002);
    assert_eq!(removed.check_successor(&forged), Err(Refusal::RetiredLineage));
}

#[test]
fn nobody_takes_another_s_name_or_lineage() {
    let agreement = of(3);
    let named = Member { name: "n3".into(), lineage: Lineage(5), ..member(2) };
    assert_eq!(refused(&agreement, &Change::Join(named)), Refusal::NameTaken("n3".into()));
    let same_life = Member { lineage: Lineage(1003), ..member(4) };
    assert_eq!(refused(&agreement, &Change::Join(same_life)), Refusal::LineageTwice);
    let same_life = Member { lineage: Lineage(1003), ..member(2) };
    assert_eq!(refused(&agreement, &Change::Join(same_life)), Refusal::LineageTwice);
}

#[test]
fn a_name_or_zone_is_short_visible_ascii() {
    for bad in ["", "a b", "ü", "\u{7}", &"x".repeat(65)] {
        let named = Member { name: bad.into(), ..member(2) };
        assert!(matches!(refused(&founded(), &Change::Join(named)), Refusal::Invalid(_)), "{bad}");
    }
    let zoned = Member { zone: "a b".into(), ..member(2) };
    assert!(matches!(refused(&founded(), &Change::Join(zoned)), Refusal::Invalid(_)));
    let heavy = Member { weight: 129, ..member(2) };
    assert_eq!(refused(&founded(), &Change::Join(heavy)), Refusal::Invalid(Invalid::Weight(129)));
}

#[test]
fn an_acceptor_refuses_what_does_not_follow() {
    let old = next(&of(3), &create(5, "logs", 2));
    let good = next(&old, &create(6, "more", 1));
    let check = |spoil: &dyn Fn(&mut Agreement), expected: Refusal| {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(old.check_successor(&bad), Err(expected));
    };
    check(&|a| a.index += 1, Refusal::NotNext);
    check(&|a| a.index -= 1, Refusal::NotNext);
    check(&|a| a.buckets.version += 1, Refusal::NotNext);
    check(&|a| a.buckets.version -= 1, Refusal::NotNext);
    check(&|a| a.layout.epoch.0 += 1, Refusal::NotNext);
    check(&|a| a.layout.epoch.0 -= 1, Refusal::NotNext);
    check(&|a| a.layout.members[0].zone = "z".into(), Refusal::NotNext);
    check(&|a| a.layout.cluster.0 += 1, Refusal::OtherCluster);
    check(&|a| a.layout.former.push(ClusterId(1)), Refusal::OtherCluster);
    check(&|a| a.layout.replicas = 4, Refusal::OtherCluster);
    check(&|a| a.secret.0[0] += 1, Refusal::OtherCluster);
    check(&|a| drop(a.buckets.buckets.remove("logs")), Refusal::DataWouldMove);
    let logs = |a: &mut Agreement, spoil: &dyn Fn(&mut Bucket)| {
        spoil(a.buckets.buckets.get_mut("logs").expect("it exists"));
    };
    check(&|a| logs(a, &|b| b.id.0 += 7), Refusal::DataWouldMove);
    check(&|a| logs(a, &|b| b.settings.n = 3), Refusal::DataWouldMove);
    check(&|a| logs(a, &|b| b.settings.conflict = Conflict::Lww), Refusal::DataWouldMove);
    // n is 2, and so is W: with one, some may lie on one owner alone.
    let low =
        next(&old, &Change::SetBucket { name: "logs".into(), r: None, w: Some(1), ttl: None });
    let mut forgot = next(&low, &create(6, "more", 1));
    logs(&mut forgot, &|b| b.settings.w = Some(2));
    assert_eq!(low.check_successor(&forgot), Err(Refusal::DataWouldMove));
    logs(&mut forgot, &|b| b.settings.least_w = Some(1));
    assert_eq!(low.check_successor(&forgot), Ok(()));
    let swap = |a: &mut Agreement| {
        a.layout.table.cells.swap(0, 1);
        a.layout.epoch.0 += 1;
    };
    check(&swap, Refusal::DataWouldMove);
    check(&|a| a.layout.members.clear(), Refusal::Invalid(Invalid::NoMembers));
}

#[test]
fn a_chosen_value_may_skip_indices_but_never_goes_back() {
    let (old, new) = (of(2), next(&of(6), &create(5, "logs", 3)));
    assert_eq!(old.is_superseded_by(&new), Ok(true));
    assert_eq!(new.is_superseded_by(&old), Ok(false));
    let mut foreign = new.clone();
    foreign.layout.cluster = ClusterId(1);
    assert_eq!(old.is_superseded_by(&foreign), Err(Refusal::OtherCluster));
    let mut shrunk = new.clone();
    shrunk.layout.epoch = Epoch(0);
    assert_eq!(old.is_superseded_by(&shrunk), Err(Refusal::NotNext));
    let mut absurd = new.clone();
    absurd.index = u64::MAX;
    assert_eq!(old.is_superseded_by(&absurd), Err(Refusal::Invalid(Invalid::Numbers)));
    let mut absurd = new;
    absurd.layout.epoch = Epoch(absurd.index + 1);
    assert_eq!(old.is_superseded_by(&absurd), Err(Refusal::Invalid(Invalid::Numbers)));
}

#[test]
fn an_agreement_survives_encoding_and_junk_never_panics() {
    let with = next(&next(&of(7), &create(5, "logs", 3)), &Change::Join(member(8)));
    let agreement = next(&with, &Change::Replace { old: NodeId(3), new: NodeId(8), gone: false });
    let bytes = agreement.encode();
    assert_eq!(Agreement::decode(&bytes), Ok(agreement.clone()));
    assert_eq!(Agreement::decode(&[]), Err(Malformed::Unparsable));
    assert_eq!(Agreement::decode(&[&bytes[..], &[0]].concat()), Err(Malformed::Unparsable));
    assert_eq!(Agreement::decode(&[2]), Err(Malformed::UnknownFormat(2)));
    for cut in 0..bytes.len() {
        assert!(Agreement::decode(&bytes[..cut]).is_err());
    }
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..3_000 {
        let mut junk = bytes.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(1..junk.len());
            junk[at] = rng.u8(..);
        }
        // What passes can be used: nothing may index out of bounds or overflow.
        if let Ok(read) = Agreement::decode(&junk) {
            rows(&read);
            let _ = read.apply(&Change::Join(member(9)));
            let _ = read.apply(&create(8, "x", 1));
            let since = read.layout.transition.as_ref().map_or(Epoch(1), |t| t.since);
            for wish in [
                Change::Remove(NodeId(2)),
                Change::Leave(NodeId(2)),
                Change::Replace { old: NodeId(2), new: NodeId(8), gone: false },
                Change::Place { id: NodeId(2), zone: "z".into(), weight: 2 },
                Change::Rebalance,
                Change::Advance { since, from: TransitionStep::Copying },
                Change::Abort { since },
            ] {
                let _ = read.plan(&wish);
            }
            let _ = agreement.check_successor(&read);
            let _ = read.check_successor(&agreement);
        }
    }
    let change = create(5, "logs", 3);
    assert_eq!(Change::decode(&change.encode()), Some(change.clone()));
    assert_eq!(Change::decode(&[&change.encode()[..], &[0]].concat()), None);
}

#[test]
fn a_layout_from_a_peer_is_checked_sentence_by_sentence() {
    let good = of(5).layout;
    let check = |spoil: &dyn Fn(&mut Layout), expected: Invalid| {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(bad.validate(), Err(expected));
    };
    check(&|l| l.replicas = 0, Invalid::Replicas(0));
    check(&|l| l.replicas = 2, Invalid::TableShape);
    check(&|l| l.partitions = Partitions::default(), Invalid::TableShape);
    check(&|l| l.former = vec![ClusterId(1); 65], Invalid::TooMany("former cluster ids"));
    check(&|l| l.members.swap(0, 1), Invalid::MembersUnsorted);
    check(&|l| l.members[1].id = l.members[0].id, Invalid::MembersUnsorted);
    check(&|l| l.members[1].name = "n1".into(), Invalid::NameTwice("n1".into()));
    check(&|l| l.members[1].name = String::new(), Invalid::MemberName(String::new()));
    check(&|l| l.members[1].weight = 0, Invalid::Weight(0));
    check(&|l| l.members[1].lineage = l.members[0].lineage, Invalid::LineageTwice);
    check(&|l| l.table.cells[3] = 5, Invalid::TableRow);
    check(&|l| l.table.cells[0] = l.table.cells[1], Invalid::TableRow);
    check(&|l| l.table.cells.truncate(5), Invalid::TableShape);
    check(&|l| l.table = Table::default(), Invalid::TableShape);
    let crowd = |l: &mut Layout| {
        l.members.extend((100..1_200).map(member));
    };
    check(&crowd, Invalid::TooMany("members"));
    let heavy = |l: &mut Layout| {
        l.members.extend((100..140).map(|id| Member { weight: 128, ..member(id) }));
    };
    check(&heavy, Invalid::TotalWeight);
}

#[test]
fn a_registry_from_a_peer_is_checked_too() {
    let good = next(&next(&of(3), &create(5, "a", 3)), &create(6, "b", 3)).buckets;
    assert_eq!(good.validate(3), Ok(()));
    assert_eq!(good.validate(2), Err(Invalid::BucketN { n: 3, replicas: 2 }));
    let mut twice = good.clone();
    twice.buckets.get_mut("b").expect("it exists").id = BucketId(5);
    assert_eq!(twice.validate(3), Err(Invalid::Registry("b".into())));
    let mut misfiled = good.clone();
    misfiled.buckets.get_mut("b").expect("it exists").name = "c".into();
    assert_eq!(misfiled.validate(3), Err(Invalid::Registry("b".into())));
    let mut many = Registry::default();
    for id in 0..10_001 {
        let name = format!("b{id}");
        let bucket =
            Bucket { id: BucketId(id), name: name.clone(), settings: BucketSettings::new(1) };
        many.buckets.insert(name, bucket);
    }
    assert_eq!(many.validate(3), Err(Invalid::TooMany("buckets")));
}

#[test]
fn a_table_of_the_default_size_travels_in_sixteen_kibibytes() {
    let found =
        Agreement::found(ClusterId(9), Secret([7; 32]), 3, Partitions::default(), member(1));
    let grown = (2..=20).fold(found.expect("valid"), |a, id| next(&a, &Change::Join(member(id))));
    assert!(grown.encode().len() < 8 * 1024, "{}", grown.encode().len());
}

#[test]
fn a_secret_is_not_shown() {
    assert_eq!(format!("{:?}", Secret([65; 32])), "Secret(…)");
    assert!(!format!("{:?}", founded()).contains("7, 7"));
}

#[test]
fn a_smaller_bucket_uses_a_prefix_of_the_list() {
    let agreement = of(7);
    let layout = &agreement.layout;
    for partition in layout.partitions.iter() {
        let all: Vec<NodeId> = rows(&agreement)[usize::from(partition.0)].clone();
        for n in 1..=3u8 {
            let (list, whole) = (layout.preference_list(partition, n), usize::from(n));
            assert_eq!(list.owners().collect::<Vec<_>>(), all[..whole]);
            assert_eq!(list.fallbacks().collect::<Vec<_>>(), all[whole..2 * whole]);
            for member in &layout.members {
                let expected = match all.iter().position(|&id| id == member.id) {
                    Some(at) if at < whole => Role::Primary,
                    Some(at) if at < 2 * whole => Role::Fallback,
                    _ => Role::Stranger,
                };
                assert_eq!(list.role(member.id), expected);
                assert_eq!(list.slot_of(member.id).is_some(), expected == Role::Primary);
            }
        }
    }
    let beyond = layout.preference_list(PartitionId(64), 3);
    assert_eq!((beyond.owners().len(), beyond.fallbacks().len()), (0, 0));
    assert_eq!(layout.role(NodeId(99), PartitionId(0), 3), Role::Stranger);
}
