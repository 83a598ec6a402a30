//! What is let in.

use super::super::testing::{Lone, agreement, view};
use super::*;
use crate::message::client::Reply;
use crate::node::{ConnectionId, Limits};
use crate::ring::BucketSettings;
use crate::version::OperationId;

fn put(number: u64, bytes: usize) -> Request {
    Request::Put {
        item: Item {
            bucket: "b".into(),
            key: number.to_be_bytes().to_vec().into(),
            sort: Bytes::new(),
        },
        quorum: QuorumRequest::default(),
        value: Some(vec![0; bytes].into()),
        context: String::new(),
        operation: OperationId { session: 1, sequence: number },
        expires_at: None,
        tried_since: None,
    }
}

#[test]
fn values_under_way_have_a_budget_of_bytes_however_few_the_requests() {
    let value = 64 << 10;
    let limits = Limits { value_bytes: value, ..Limits::default() };
    let members = [1, 2, 3, 4, 5];
    let mut lone = Lone::open_with(view(agreement(&members, 3, BucketSettings::new(3))), limits);
    let ask = |lone: &mut Lone, number: u64| {
        lone.turn(|shard, turn| {
            shard.serve_client(ConnectionId(1), number, 0, put(number, value), turn)
        });
    };
    // Nobody answers: some wait here for their quorum, and some for the owner that they went to.
    let fit = (limits.bytes_in_flight() / value) as u64;
    for number in 0..fit {
        ask(&mut lone, number);
    }
    assert!(lone.replies.is_empty(), "there is room: {:?}", lone.replies);
    assert_eq!(lone.shard.requests.bytes(), limits.bytes_in_flight());
    ask(&mut lone, fit);
    assert!(matches!(&lone.replies[..], [Reply::Failed(Error::Overloaded(_))]));
    lone.run_for(6_000);
    assert_eq!(lone.shard.requests.bytes(), 0, "what is over holds nothing");
    lone.replies.clear();
    ask(&mut lone, fit + 1);
    assert!(lone.replies.is_empty());
}

/// Every five minutes, blindly, for a quarter of an hour: three of them are shown, and the others are in nobody's way.
#[test]
fn what_has_expired_takes_no_room_from_the_next_put() {
    let mut lone = Lone::open(view(agreement(&[1], 1, BucketSettings::new(1))));
    lone.run_for(100);
    let mut ask = |number: u64, ttl: Option<u64>| {
        let mut put = put(number, 1);
        if let Request::Put { item, expires_at, .. } = &mut put {
            item.key = Bytes::from_static(b"k");
            *expires_at = ttl.map(Expiry::After);
        }
        lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), number, 0, put, turn));
        lone.settle();
        lone.pass(300_000);
        lone.settle();
        lone.replies.pop().expect("an answer")
    };
    for number in 0..150 {
        let reply = ask(number, Some(900_000));
        assert!(matches!(reply, Reply::Written { .. }), "{number}: {reply:?}");
    }
    // What never expires does take room.
    let refused = |reply: &Reply| matches!(reply, Reply::Failed(Error::TooManySiblings { .. }));
    let first = (150..300).find(|number| refused(&ask(*number, None)));
    assert_eq!(first, Some(250));
}

#[test]
fn nobody_is_asked_where_an_item_lives_that_cannot_be() {
    let mut lone = Lone::open(view(agreement(&[1], 1, BucketSettings::new(1))));
    let mut ask = |bucket: &str, key: usize, sort: usize| {
        let (key, sort) = (vec![b'k'; key].into(), vec![b's'; sort].into());
        let item = Item { bucket: bucket.into(), key, sort };
        lone.turn(|shard, turn| shard.locate(ConnectionId(1), 1, item, turn));
        lone.settle();
        lone.replies.pop().expect("an answer")
    };
    assert!(matches!(ask("b", 1024, 1024), Reply::Json(_)));
    for (bucket, key, sort) in [("b", 1025, 0), ("b", 1, 1025)] {
        assert!(
            matches!(ask(bucket, key, sort), Reply::Failed(Error::TooLarge { .. })),
            "{key} {sort}"
        );
    }
    for (bucket, key) in [("b", 0), ("B", 1), ("", 1)] {
        assert!(matches!(ask(bucket, key, 0), Reply::Failed(Error::Invalid(_))), "{bucket} {key}");
    }
}

/// Whichever node hears of it first says so, whether it would coordinate the put or send it on.
#[test]
fn a_plain_put_into_a_typed_bucket_is_refused_and_a_delete_is_not() {
    let settings = BucketSettings { kind: Some("counter".into()), ..BucketSettings::new(1) };
    let mut lone = Lone::open(view(agreement(&[1], 1, settings)));
    lone.run_for(100);
    let mut ask = |number: u64, value: Option<Bytes>| {
        let mut request = put(number, 1);
        if let Request::Put { value: written, .. } = &mut request {
            *written = value;
        }
        lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), number, 0, request, turn));
        lone.settle();
        lone.replies.pop().expect("an answer")
    };
    for plain in ["", "5", "NaN"] {
        let reply = ask(1, Some(plain.into()));
        assert!(matches!(reply, Reply::Failed(Error::Invalid(_))), "{plain}: {reply:?}");
    }
    // A counter that nobody has counted in yet, as a typed write carries it.
    let typed = Bytes::from_static(&[0xd7, b'q', 1, 1, 0]);
    assert!(matches!(ask(2, Some(typed)), Reply::Written { .. }));
    assert!(matches!(ask(3, None), Reply::Written { .. }));
}
