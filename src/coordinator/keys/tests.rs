//! Lists of replicas that differ, that pass over, and that are cut.

use super::super::testing::{A, B, C, five, quorum};
use super::super::{HeldKey, KeyPage, Keys, KeysFound, KeysStep, Reach};
use crate::id::{BucketId, NodeId, PartitionId};
use crate::store::key;
use crate::time::{HybridTime, WallClock};
use crate::version::{Content, Head, Incarnations, Kind, OperationId, Record, Seen, Write};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: WallClock = WallClock(1_000);

/// Writes of one client to many items, as an owner stores them.
struct Writer(Incarnations, u64);

impl Writer {
    fn new() -> Writer {
        let mut incarnations = Incarnations::new();
        incarnations.begin(7);
        Writer(incarnations, 0)
    }

    /// The record after this write, which has seen all that is there.
    fn write(&mut self, before: Option<&Record>, value: bool, expires_at: Option<u64>) -> Record {
        self.1 += 1;
        let mut record = before.cloned().unwrap_or_else(|| Record::new(Kind::Siblings));
        let seen: Seen = record.context();
        let write = Write {
            operation: OperationId { session: 1, sequence: self.1 },
            stamp: HybridTime::from_wall(WallClock(1 + self.1)),
            expires_at: expires_at.map(WallClock),
            tried_since: None,
            content: if value {
                Content::Value(Bytes::from_static(b"v"))
            } else {
                Content::Tombstone
            },
        };
        record.write(&seen, write, &mut self.0, true).expect("a fresh actor");
        record
    }
}

fn at(name: &str, sort: u8) -> Bytes {
    key::item(PartitionId(1), BucketId(2), name.as_bytes(), &[sort])
}

fn end_of(name: &str) -> Bytes {
    key::after_key(&at(name, 0)).expect("an item")
}

/// The head of a record, and no more, as replicas show it.
fn bare(record: &Record) -> Record {
    let (head, _) = record.encode();
    Head::decode(&head).expect("a head").without_values()
}

type Disk = BTreeMap<Bytes, Record>;

/// What a replica shows of what it holds: see `node::shard::keys`.
fn held(disk: &Disk, from: &Bytes, limit: usize) -> KeyPage {
    let mut page = KeyPage::default();
    let mut passed = Bytes::new();
    for (key, record) in disk.range(from.clone()..) {
        if *key < passed {
            continue;
        }
        if page.items.len() == limit {
            page.end = Some(key.clone());
            break;
        }
        let passed_over = !record.siblings.is_deleted(NOW);
        if passed_over {
            passed = key::after_key(key).expect("an item");
        }
        page.items.push(HeldKey { key: key.clone(), record: bare(record), passed_over });
    }
    page
}

fn joined(pages: &[(NodeId, KeyPage)]) -> KeysFound {
    let required = pages.len();
    let mut keys = Keys::begin(quorum(required, false), &five([Reach::Up; 5]), A, NOW);
    assert!(matches!(keys.step(), KeysStep::Ask(nodes) if nodes.len() == required));
    for (node, page) in pages {
        keys.shows(*node, page.clone());
    }
    let KeysStep::Answer(found) = keys.step() else { panic!("all have answered") };
    found
}

fn names(found: &KeysFound) -> Vec<&str> {
    found.keys.iter().map(|key| std::str::from_utf8(key).expect("text")).collect()
}

#[test]
fn a_key_whose_value_one_replica_has_missed_is_listed_once() {
    let mut writer = Writer::new();
    let (a1, b1) = (writer.write(None, true, None), writer.write(None, true, None));
    let one = Disk::from([(at("a", 1), a1.clone()), (at("b", 1), b1)]);
    let two = Disk::from([(at("a", 1), a1)]);
    let found = joined(&[(A, held(&one, &at("a", 0), 9)), (B, held(&two, &at("a", 0), 9))]);
    assert_eq!((names(&found), found.next.clone()), (vec!["a", "b"], None));
}

#[test]
fn a_key_whose_delete_one_replica_has_missed_is_not_listed() {
    let mut writer = Writer::new();
    let old = writer.write(None, true, None);
    let gone = writer.write(Some(&old), false, None);
    let (stale, fresh) = (Disk::from([(at("a", 1), old)]), Disk::from([(at("a", 1), gone)]));
    let mut from = at("a", 0);
    let mut pages = 0;
    loop {
        let found = joined(&[(A, held(&stale, &from, 9)), (B, held(&fresh, &from, 9))]);
        assert_eq!(found.keys, Vec::<Bytes>::new());
        pages += 1;
        let Some(next) = found.next else { break };
        assert!(next > from);
        from = next;
    }
    assert_eq!(pages, 2, "what the stale one has passed over is asked for");
}

#[test]
fn what_was_passed_over_because_of_a_deleted_value_is_looked_at_after_all() {
    let mut writer = Writer::new();
    let first = writer.write(None, true, None);
    let (gone, second) = (writer.write(Some(&first), false, None), writer.write(None, true, None));
    // Only the stale one has the second item; it passes over it because of the first.
    let stale = Disk::from([(at("a", 1), first), (at("a", 2), second)]);
    let fresh = Disk::from([(at("a", 1), gone)]);
    let from = at("a", 0);
    let found = joined(&[(A, held(&stale, &from, 9)), (B, held(&fresh, &from, 9))]);
    assert_eq!((names(&found), &found.next), (vec![], &Some(key::next(&at("a", 1)))));
    let from = found.next.expect("more");
    let found = joined(&[(A, held(&stale, &from, 9)), (B, held(&fresh, &from, 9))]);
    assert_eq!((names(&found), found.next.clone()), (vec!["a"], None));
}

#[test]
fn a_page_that_is_cut_within_a_key_does_not_hide_it_and_does_not_list_it_twice() {
    let mut writer = Writer::new();
    let value = writer.write(None, true, None);
    let old = writer.write(None, true, None);
    let gone = writer.write(Some(&old), false, None);
    // A is cut behind tombstones of the key before it comes to the value that B shows.
    let a = Disk::from([
        (at("a", 1), gone.clone()),
        (at("a", 2), gone.clone()),
        (at("a", 3), value.clone()),
        (at("b", 1), value.clone()),
    ]);
    let found = joined(&[(A, held(&a, &at("a", 0), 2)), (B, held(&a, &at("a", 0), 9))]);
    assert_eq!((names(&found), found.next.clone()), (vec![], Some(at("a", 3))));
    // Cut right behind the value: nobody needs the rest of the key.
    let mut b = a.clone();
    b.insert(at("a", 2), value);
    let found = joined(&[
        (A, held(&b, &at("a", 0), 9)),
        (B, KeyPage { end: Some(at("a", 4)), ..held(&b, &at("a", 0), 2) }),
    ]);
    assert_eq!((names(&found), found.next.clone()), (vec!["a"], Some(end_of("a"))));
}

#[test]
fn what_has_expired_is_no_value() {
    let mut writer = Writer::new();
    let (dead, alive) =
        (writer.write(None, true, Some(NOW.0)), writer.write(None, true, Some(NOW.0 + 1)));
    let disk = Disk::from([(at("a", 1), dead), (at("b", 1), alive)]);
    let found = joined(&[(A, held(&disk, &at("a", 0), 9))]);
    assert_eq!((names(&found), found.next.clone()), (vec!["b"], None));
}

#[test]
fn the_page_of_a_slot_that_is_rebuilding_does_not_count() {
    let mut keys = Keys::begin(quorum(2, false), &five([Reach::Up; 5]), A, NOW);
    assert_eq!(keys.step(), KeysStep::Ask(vec![A, B]));
    keys.shows(A, KeyPage { rebuilding: true, ..KeyPage::default() });
    assert_eq!(keys.step(), KeysStep::Ask(vec![C]));
    keys.shows(B, KeyPage::default());
    keys.silent(C);
    assert_eq!(keys.step(), KeysStep::Ask(Vec::new()), "C may still answer");
    keys.refused(C);
    assert_eq!((keys.step(), keys.received(), keys.required()), (KeysStep::Missed, 1, 2));
}

proptest! {
    /// Two replicas, each of which has missed some writes, listed page by page with limits of their own.
    #[test]
    fn page_after_page_lists_what_a_join_of_both_has(
        writes in proptest::collection::vec((0usize..4, 0u8..5, any::<bool>(), 0u8..3), 1..40),
        limits in (1usize..5, 1usize..5),
    ) {
        let mut writer = Writer::new();
        let (mut whole, mut one, mut two) = (Disk::new(), Disk::new(), Disk::new());
        for (name, sort, value, reaches) in writes {
            let at = at(["a", "b", "ba", "c"][name], sort);
            let record = writer.write(whole.get(&at), value, None);
            whole.insert(at.clone(), record.clone());
            if reaches != 0 {
                one.insert(at.clone(), record.clone());
            }
            if reaches != 1 {
                two.insert(at, record);
            }
        }
        let mut from = at("", 0);
        let mut listed = Vec::new();
        let mut pages = 0;
        loop {
            pages += 1;
            prop_assert!(pages < 200);
            let shown = [(A, held(&one, &from, limits.0)), (B, held(&two, &from, limits.1))];
            let found = joined(&shown);
            listed.extend(found.keys.iter().map(|key| key.to_vec()));
            let Some(next) = found.next else { break };
            prop_assert!(next > from);
            from = next;
        }
        let standing: BTreeSet<Vec<u8>> = whole
            .iter()
            .filter(|(_, record)| !record.siblings.is_deleted(NOW))
            .map(|(at, _)| key::parse_item(at).expect("an item").key)
            .collect();
        prop_assert_eq!(listed, standing.into_iter().collect::<Vec<_>>());
    }
}
