//! Pages that differ, and pages that are cut, joined in both directions.

use super::super::testing::{A, B, C, D, five, quorum};
use super::super::{Page, Reach, Scan, ScanStep};
use super::Direction;
use crate::id::NodeId;
use crate::version::{Kind, Record};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn page(keys: &[u8], end: Option<u8>) -> Page {
    let item = |key: &u8| (Bytes::copy_from_slice(&[*key]), Record::new(Kind::Siblings));
    let end = end.map(|end| Bytes::copy_from_slice(&[end]));
    Page { items: keys.iter().map(item).collect(), end, rebuilding: false }
}

fn scan(direction: Direction, pages: &[(NodeId, Page)]) -> (Vec<u8>, Option<u8>) {
    let required = pages.len();
    let mut scan = Scan::begin(quorum(required, false), &five([Reach::Up; 5]), A, direction);
    assert!(matches!(scan.step(), ScanStep::Ask(nodes) if nodes.len() == required));
    for (node, page) in pages {
        scan.shows(*node, page.clone());
    }
    let ScanStep::Answer { items, next } = scan.step() else { panic!("all have answered") };
    (items.iter().map(|(key, _)| key[0]).collect(), next.map(|next| next[0]))
}

#[test]
fn what_is_joined_ends_where_the_first_page_does_whichever_way_it_goes() {
    let forward = [(A, page(&[1, 2, 3], Some(4))), (B, page(&[1, 2, 5, 6], Some(7)))];
    assert_eq!(scan(Direction::Forward, &forward), (vec![1, 2, 3], Some(4)));
    let back = [(A, page(&[9, 8, 5], Some(5))), (B, page(&[9, 7, 6, 3], Some(3)))];
    assert_eq!(scan(Direction::Reverse, &back), (vec![9, 8, 7, 6, 5], Some(5)));
    let whole = [(A, page(&[9, 8], None)), (B, page(&[7], None))];
    assert_eq!(scan(Direction::Reverse, &whole), (vec![9, 8, 7], None));
}

#[test]
fn a_page_of_a_slot_that_is_rebuilding_is_joined_and_does_not_count() {
    let mut scan = Scan::begin(quorum(2, false), &five([Reach::Up; 5]), A, Direction::Reverse);
    assert_eq!(scan.step(), ScanStep::Ask(vec![A, B]));
    scan.shows(A, Page { rebuilding: true, ..page(&[9], Some(9)) });
    assert_eq!(scan.step(), ScanStep::Ask(vec![C]));
    scan.shows(B, page(&[8], None));
    scan.shows(C, page(&[7], None));
    let ScanStep::Answer { items, next } = scan.step() else { panic!("met") };
    assert_eq!((items.len(), next.as_deref()), (1, Some(&[9][..])), "A's page ends it");
}

#[test]
fn where_an_owner_is_down_its_stand_ins_pages_are_joined() {
    let reach = [Reach::Up, Reach::Up, Reach::Down, Reach::Up, Reach::Down];
    let mut scan = Scan::begin(quorum(2, false), &five(reach), A, Direction::Reverse);
    assert_eq!(scan.step(), ScanStep::Ask(vec![D, A, B]));
    scan.shows(A, page(&[9], None));
    scan.shows(D, page(&[5], None));
    assert_eq!((scan.received(), scan.step()), (1, ScanStep::Ask(Vec::new())));
    scan.shows(B, page(&[9], None));
    let ScanStep::Answer { items, .. } = scan.step() else { panic!("met") };
    assert_eq!(items.len(), 2);
}

/// A replica's page of what it holds in `from..to`.
fn held(keys: &BTreeSet<u8>, from: u8, to: u8, limit: usize, direction: Direction) -> Page {
    let range = keys.range(from..to).copied();
    let keys: Vec<u8> = match direction {
        Direction::Forward => range.take(limit).collect(),
        Direction::Reverse => range.rev().take(limit).collect(),
    };
    let end = keys.last().filter(|_| keys.len() == limit).copied();
    match direction {
        Direction::Forward => page(&keys, end.map(|end| end + 1)),
        Direction::Reverse => page(&keys, end.filter(|end| *end > from)),
    }
}

proptest! {
    #[test]
    fn page_after_page_shows_what_any_of_the_replicas_has_once_and_in_order(
        a in proptest::collection::btree_set(0u8..60, 0..40),
        b in proptest::collection::btree_set(0u8..60, 0..40),
        limits in (1usize..6, 1usize..6),
        reverse in any::<bool>(),
    ) {
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let (mut from, mut to) = (5, 50);
        let mut seen = Vec::new();
        for _ in 0..200 {
            let pages = [
                (A, held(&a, from, to, limits.0, direction)),
                (B, held(&b, from, to, limits.1, direction)),
            ];
            let (keys, next) = scan(direction, &pages);
            seen.extend(keys);
            match (next, direction) {
                (None, _) => break,
                (Some(next), Direction::Forward) => {
                    prop_assert!(next > from);
                    from = next;
                }
                (Some(next), Direction::Reverse) => {
                    prop_assert!(next < to);
                    to = next;
                }
            }
        }
        let mut all: Vec<u8> = a.union(&b).copied().filter(|key| (5..50).contains(key)).collect();
        if reverse {
            all.reverse();
        }
        prop_assert_eq!(seen, all);
    }
}
