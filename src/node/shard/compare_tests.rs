//! A comparison, question by question.

use super::super::testing::{Lone, agreement, item, view};
use super::*;
use crate::message::peer::Refusal;
use crate::ring::BucketSettings;

/// The last question that went to somebody in this comparison.
fn last_read(lone: &Lone, request: u64) -> Option<Bytes> {
    lone.sent.iter().rev().find_map(|(_, header, message)| match message {
        Data::Read { key, whole: true } if header.request == request => Some(key.clone()),
        _ => None,
    })
}

#[test]
fn one_record_that_the_other_side_cannot_read_does_not_end_the_comparison() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    lone.run_for(100);
    let (with, header) = lone
        .sent
        .iter()
        .find_map(|(to, header, m)| matches!(m, Data::Roots { .. }).then_some((*to, *header)))
        .expect("it asks for roots as soon as it knows its own");
    let differ = vec![PartitionId(0)];
    let (unknown, rebuilding) = Default::default();
    lone.hear(with.0, header.request, Data::RootsCompared { differ, unknown, rebuilding });
    lone.run_for(100);
    let (with, header) = lone
        .sent
        .iter()
        .find_map(|(to, header, m)| matches!(m, Data::Digests { .. }).then_some((*to, *header)))
        .expect("there is nothing here: all is asked for");
    let keys = ["a", "b", "c"].map(|name| item(header.partition.0, name));
    let items = keys.iter().map(|key| (key.clone(), 7)).collect();
    let page = Data::DigestPage { items, next: None, rebuilding: false };
    lone.hear(with.0, header.request, page);
    for key in &keys {
        assert_eq!(last_read(&lone, header.request).as_ref(), Some(key));
        lone.hear(with.0, header.request, Data::Refused(Refusal::Unreadable));
    }
    lone.run_for(100);
    assert_eq!(lone.shard.counters.sync_rounds, 2, "the roots, and this came to its end");
}
