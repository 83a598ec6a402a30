//! What a shard looks at for a list of keys, and what it makes of the others' answers.

use super::super::testing::{BUCKET, Lone, agreement, record, view};
use super::*;
use crate::message::client::Request as Wanted;
use crate::message::peer::Refusal;
use crate::node::ConnectionId;
use crate::ring::BucketSettings;

fn three() -> Lone {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    lone.run_for(100);
    lone.sent.clear();
    lone
}

fn item(partition: u16, name: &str, sort: usize) -> Bytes {
    key::item(PartitionId(partition), BUCKET, name.as_bytes(), format!("{sort:05}").as_bytes())
}

fn store(lone: &mut Lone, items: impl Iterator<Item = Bytes>) {
    let items: Vec<Bytes> = items.collect();
    lone.turn(|shard, turn| {
        for (nth, key) in items.iter().enumerate() {
            assert!(shard.join_here(key, &record(nth as u64 + 1), turn));
        }
    });
    lone.settle();
}

fn list(lone: &mut Lone, after: Bytes, limit: u32) {
    let (bucket, prefix, quorum) = ("b".into(), Bytes::new(), QuorumRequest::default());
    let wanted = Wanted::Keys { bucket, after, prefix, limit, quorum };
    lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), 1, 0, wanted, turn));
}

/// Who was asked for keys since the last time, by which request, and of which partition.
fn asked(lone: &mut Lone) -> Vec<(u64, u64, u16)> {
    let sent = lone.sent.drain(..);
    let asked = sent.filter_map(|(to, header, message)| match message {
        Data::KeyRange { .. } => Some((to.0, header.request, header.partition.0)),
        _ => None,
    });
    asked.collect()
}

fn shows(items: &[Bytes]) -> Data {
    let item = |key: &Bytes| {
        let (head, _) = record(77).encode();
        peer::KeyItem { key: key.clone(), head, passed_over: true }
    };
    Data::KeysHeld { items: items.iter().map(item).collect(), end: None, rebuilding: false }
}

fn page(lone: &mut Lone, limit: usize, from: &Bytes) -> OwnKeys {
    let (_, to) = key::bucket_range(PartitionId(0), BUCKET);
    lone.turn(|shard, turn| {
        let now = turn.now.wall;
        shard.key_page(PartitionId(0), from, &to, limit, now, turn).expect("a healthy disk")
    })
}

#[test]
fn a_key_with_thousands_of_items_is_passed_over_and_not_read_through() {
    let mut lone = three();
    let names = ["a", "b", "c"];
    store(&mut lone, names.iter().flat_map(|name| (0..1_500).map(|sort| item(0, name, sort))));
    let from = key::bucket_range(PartitionId(0), BUCKET).0;
    let whole = page(&mut lone, 1_000, &from);
    assert_eq!(whole.items.len(), 3);
    assert!(whole.items.iter().all(|own| own.item.passed_over));
    assert!(whole.read < 400, "{} of 4,500 heads were read", whole.read);
    assert_eq!(whole.end, None);
}

#[test]
fn pages_of_any_size_come_to_the_same_and_none_is_endless() {
    let mut lone = three();
    store(&mut lone, (0..300).map(|n| item(0, &format!("k{:03}", n / 3), n)));
    for limit in [1, 7, 64, 1_000] {
        let mut from = key::bucket_range(PartitionId(0), BUCKET).0;
        let mut keys = Vec::new();
        loop {
            let page = page(&mut lone, limit, &from);
            assert!(page.items.len() <= limit);
            let items = page.items.iter();
            keys.extend(items.map(|own| key::parse_item(&own.item.key).expect("an item").key));
            let Some(end) = page.end else { break };
            assert!(end > from);
            from = end;
        }
        let all: Vec<Vec<u8>> = (0..100).map(|n| format!("k{n:03}").into_bytes()).collect();
        assert_eq!(keys, all, "limit {limit}");
    }
}

#[test]
fn one_page_goes_through_partitions_until_enough_was_examined() {
    let mut lone = three();
    list(&mut lone, Bytes::new(), 2);
    let mut found = vec![(1, vec![item(1, "x", 0)]), (4, vec![item(4, "y", 0)])];
    for partition in 0..5 {
        let asked = asked(&mut lone);
        let [(other, request, at)] = asked[..] else { panic!("one beside itself: {asked:?}") };
        assert_eq!(at, partition);
        assert!(lone.replies.is_empty());
        let here = found.iter().position(|(at, _)| *at == partition);
        let items = here.map(|at| found.remove(at).1).unwrap_or_default();
        lone.hear_of(other, request, partition, shows(&items));
    }
    let Some(Reply::Keys { keys, next: Some(next) }) = lone.replies.pop() else { panic!("a page") };
    assert_eq!(keys, ["x", "y"]);
    // The next page begins behind that, and the last one says so.
    list(&mut lone, next, 1_000);
    for partition in 5..8 {
        let asked = asked(&mut lone);
        let [(other, request, at)] = asked[..] else { panic!("one beside itself: {asked:?}") };
        assert_eq!(at, partition);
        lone.hear_of(other, request, partition, shows(&[]));
    }
    assert_eq!(lone.replies, [Reply::Keys { keys: vec![], next: None }]);
}

#[test]
fn what_a_slow_one_says_of_the_partition_before_is_no_answer_about_this_one() {
    let mut lone = three();
    list(&mut lone, Bytes::new(), 1_000);
    let (slow, request, _) = asked(&mut lone)[0];
    lone.pass(400);
    let (quick, _, at) = asked(&mut lone)[0];
    assert!(quick != slow && at == 0, "another one is asked in its place");
    lone.hear_of(quick, request, 0, shows(&[]));
    // Now partition 1 is asked of whoever; the slow one speaks of partition 0.
    let next = asked(&mut lone);
    assert!(next.iter().all(|(_, again, at)| *again == request && *at == 1), "{next:?}");
    lone.hear_of(slow, request, 0, shows(&[item(0, "late", 0)]));
    assert_eq!(asked(&mut lone), [], "partition 1 still waits");
    assert!(lone.replies.is_empty());
    for (node, _, _) in next {
        lone.hear_of(node, request, 1, shows(&[item(1, "x", 0)]));
    }
    for _ in 2..8 {
        for (node, _, at) in asked(&mut lone) {
            lone.hear_of(node, request, at, shows(&[]));
        }
    }
    let Some(Reply::Keys { keys, .. }) = lone.replies.pop() else { panic!("a page") };
    assert_eq!(keys, ["x"]);
}

#[test]
fn where_a_partition_cannot_be_read_the_page_ends_before_it_and_the_next_says_why() {
    let mut lone = three();
    list(&mut lone, Bytes::new(), 1_000);
    let (first, request, _) = asked(&mut lone)[0];
    lone.hear_of(first, request, 0, shows(&[item(0, "x", 0)]));
    let refuse = |lone: &mut Lone, partition: u16| {
        for _ in 0..2 {
            for (node, request, at) in asked(lone) {
                assert_eq!(at, partition);
                lone.hear_of(node, request, at, Data::Refused(Refusal::Unreadable));
            }
        }
    };
    refuse(&mut lone, 1);
    let Some(Reply::Keys { keys, next: Some(next) }) = lone.replies.pop() else { panic!("a page") };
    assert_eq!(keys, ["x"]);
    list(&mut lone, next, 1_000);
    refuse(&mut lone, 1);
    let missed = Error::QuorumNotMet { required: 2, received: 1 };
    assert_eq!(lone.replies, [Reply::Failed(missed)]);
}

#[test]
fn a_position_of_another_ring_is_refused_before_anybody_is_asked() {
    let mut lone = three();
    let sixteen = crate::ring::Partitions::new(16).expect("a power of two");
    let after = Cursor::at(PartitionId(3), BUCKET).encode(BUCKET, sixteen);
    list(&mut lone, after, 10);
    assert!(
        matches!(&lone.replies[..], [Reply::Failed(Error::Invalid(why))] if why.contains("partitions"))
    );
    assert_eq!(asked(&mut lone), []);
}
