//! Operations on a store in memory: answers that get lost, members that are read one by one.

use crate::error::Error;
use crate::id::Item;
use crate::quorum::QuorumRequest;
use crate::types::memory::Memory;
use crate::types::tagged::Joined;
use crate::types::{Change, Counter, FieldUpdate, FieldValue, Objects, Typed};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

fn typed(memory: &Memory) -> Typed<Memory> {
    Typed::new(memory.clone(), Arc::default(), || 1)
}

/// As far as it comes at once.
fn polled<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_counter_counts_through_lost_answers_and_restarts() {
    let memory = Memory::new(1);
    let counters = typed(&memory).counters("counter");
    assert_eq!(counters.add("k", 2).await, Ok(2));
    assert_eq!(counters.add("k", 2).await, Ok(4));
    memory.lose(1);
    assert!(matches!(counters.add("k", 10).await, Err(Error::OutcomeUnknown { .. })));
    memory.vanish(1);
    assert!(matches!(counters.add("k", 100).await, Err(Error::OutcomeUnknown { .. })));
    // A new process knows nothing of its predecessor's actors.
    let counters = typed(&memory).counters("counter");
    assert_eq!(counters.add("k", -1).await, Ok(13));
    assert_eq!(counters.get("k").await, Ok(13));
    assert_eq!(counters.delete("k").await, Ok(true));
    assert_eq!(counters.get("k").await, Ok(0));
    assert_eq!(counters.add("k", 1).await, Ok(1), "what was deleted does not come back");
}

#[tokio::test]
async fn a_named_increment_is_tried_again_elsewhere_and_counts_once() {
    let (one, other) = (Memory::new(1), Memory::new(2));
    let name = one.operation();
    let (here, there) = (typed(&one).counters("counter"), typed(&other).counters("counter"));
    one.lose(1);
    assert!(here.add_once("k", 5, name).await.is_err());
    assert_eq!(there.add_once("k", 5, name).await, Ok(5));
    one.meet(&other);
    assert_eq!(here.get("k").await, Ok(5));
    assert_eq!(here.add_once("k", 5, name).await, Ok(5));
    assert_eq!(there.add("k", 1).await, Ok(6));
}

/// Tasks of one process take turns, so there is one actor, and its share is small; and who waits shares a write.
#[tokio::test]
async fn many_tasks_of_one_process_are_one_actor_and_few_writes() {
    let memory = Memory::new(1);
    let counters = typed(&memory).counters("counter");
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let counters = counters.clone();
            tokio::spawn(async move { counters.add("k", 1).await })
        })
        .collect();
    let mut shown = BTreeSet::new();
    for task in tasks {
        shown.insert(task.await.expect("no panic").expect("counted"));
    }
    assert_eq!(shown, (1..=200).collect(), "each sees those before it");
    assert_eq!(counters.get("k").await, Ok(200));
    assert_eq!(memory.count(), (3, 2), "the first alone, then all others; and our read");
    let item = Item { bucket: "counter".into(), key: "k".into(), sort: Bytes::new() };
    let read = memory.read(item, QuorumRequest::default()).await.expect("a read");
    assert_eq!(read.values.len(), 1);
    assert!(read.values[0].len() < 16, "one share: {:?}", read.values[0]);
}

/// Whoever serves the others may go away at any moment: before the write they are served by the next, and within it
/// nobody knows; what is counted then is no more than once.
#[tokio::test]
async fn whoever_goes_away_does_not_take_the_others_along() {
    for polls in 0..6 {
        let memory = Memory::new(1);
        let counters = typed(&memory).counters("counter");
        assert_eq!(counters.add("k", 1).await, Ok(1));
        let mut gone = Box::pin(counters.add("k", 10));
        assert!(polled(&mut gone).is_pending());
        let (one, other) = (counters.add("k", 100), counters.add("k", 1_000));
        let mut served = Box::pin(async { tokio::join!(one, other) });
        assert!(polled(&mut served).is_pending());
        // So far: waits for its turn, reads, writes.
        let ended = (0..polls).any(|_| polled(&mut gone).is_ready());
        drop(gone);
        let (one, other) = served.await;
        assert!(one.is_ok() && other.is_ok(), "{polls}: {one:?} {other:?}");
        let number = counters.get("k").await.expect("a read");
        assert!(number == 1_111 || (!ended && number == 1_101), "{polls}: {number}");
    }
}

/// A write that nobody waited for any more may have happened: who was in it is told so, and it is not counted again.
#[tokio::test]
async fn who_was_in_a_write_that_was_left_is_told_that_nobody_knows() {
    let memory = Memory::new(1);
    let counters = typed(&memory).counters("counter");
    let mut first = Box::pin(counters.add("k", 1));
    assert!(polled(&mut first).is_pending());
    let (mut second, mut third) = (Box::pin(counters.add("k", 2)), Box::pin(counters.add("k", 4)));
    assert!(polled(&mut second).is_pending());
    assert!(polled(&mut third).is_pending());
    assert_eq!(first.await, Ok(1));
    // The second reads for both, and is gone within the write.
    for _ in 0..2 {
        assert!(polled(&mut second).is_pending());
    }
    drop(second);
    assert!(matches!(third.await, Err(Error::OutcomeUnknown { .. })));
    let number = counters.get("k").await.expect("a read");
    assert!([1, 7].contains(&number), "{number}");
    assert_eq!(counters.add("k", 8).await, Ok(number + 8));
}

/// Who is refused because of others whose write did not happen is told of the write.
#[tokio::test]
async fn one_write_of_many_fails_for_all_of_them() {
    let memory = Memory::new(1);
    let counters = typed(&memory).counters("counter");
    let first = counters.add("k", 1);
    let (most, more) = (counters.add("k", i64::MAX - 1), counters.add("k", 1));
    let (first, most, more) = tokio::join!(first, most, more);
    assert_eq!((first, most), (Ok(1), Ok(i64::MAX)));
    assert!(matches!(more, Err(Error::Invalid(_))));
    memory.vanish(2);
    let (one, less, more) =
        tokio::join!(counters.add("k", -1), counters.add("k", -1), counters.add("k", i64::MAX));
    for failed in [one, less, more] {
        assert!(matches!(failed, Err(Error::OutcomeUnknown { .. })), "{failed:?}");
    }
    assert_eq!(counters.get("k").await, Ok(i64::MAX));
}

/// Who is refused has written nothing, and goes on under the same name.
#[tokio::test]
async fn a_refusal_costs_no_actor() {
    let memory = Memory::new(1);
    let counters = typed(&memory).counters("counter");
    counters.add("k", i64::MAX).await.expect("it fits");
    let before = memory.count();
    assert!(matches!(counters.add("k", 1).await, Err(Error::Invalid(_))));
    assert_eq!(memory.count().1, before.1, "nothing was written");
    memory.refuse(1);
    assert!(counters.add("k", -1).await.is_err());
    assert_eq!(counters.add("k", -1).await, Ok(i64::MAX - 1));
    let item = Item { bucket: "counter".into(), key: "k".into(), sort: Bytes::new() };
    let read = memory.read(item, QuorumRequest::default()).await.expect("a read");
    assert!(read.values[0].len() < 22, "one share: {:?}", read.values[0]);
}

#[tokio::test]
async fn what_is_added_survives_a_removal_that_has_not_seen_it() {
    let (one, other) = (Memory::new(1), Memory::new(2));
    let (here, there) = (typed(&one).sets("set"), typed(&other).sets("set"));
    here.add("k", ["x", "y"]).await.expect("added");
    one.meet(&other);
    here.add("k", ["x"]).await.expect("added again");
    assert_eq!(there.remove("k", ["x", "y", "z"]).await, Ok(2));
    one.meet(&other);
    for sets in [&here, &there] {
        assert_eq!(sets.members("k").collect().await, Ok(vec![Bytes::from_static(b"x")]));
        assert_eq!(sets.contains("k", "x").await, Ok(true));
        assert_eq!(sets.contains("k", "y").await, Ok(false));
    }
    assert_eq!(there.remove("k", ["x"]).await, Ok(1));
    one.meet(&other);
    assert_eq!(here.size("k").await, Ok(0));
}

#[tokio::test]
async fn members_come_in_order_page_by_page_and_an_add_writes_one_item() {
    let memory = Memory::new(1);
    let sets = typed(&memory).sets("set");
    let members: Vec<Bytes> = (0..50_u8).map(|n| vec![n, 0, 255].into()).collect();
    sets.add("k", members.clone()).await.expect("added");
    sets.add("k", [Bytes::new()]).await.expect("the empty one is a member, too");
    let all = [&[Bytes::new()][..], &members].concat();
    assert_eq!(sets.members("k").collect().await, Ok(all.clone()));
    let streamed: Vec<_> = sets.members("k").stream().map(Result::unwrap).collect().await;
    assert_eq!(streamed, all);
    let some = sets.members("k").from(&members[3]).to(&members[6]);
    assert_eq!(some.collect().await, Ok(members[3..6].to_vec()));
    assert_eq!(sets.size("k").await, Ok(51));
    let before = memory.count();
    sets.add("k", ["one more"]).await.expect("added");
    let after = memory.count();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}

#[tokio::test]
async fn what_fails_in_the_middle_is_unknown_and_what_fails_whole_is_not() {
    let memory = Memory::new(1);
    let sets = typed(&memory).sets("set");
    memory.refuse(u64::MAX);
    let refused = sets.add("k", ["a", "b"]).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    memory.refuse(0);
    memory.lose(1);
    let unknown = sets.add("k", ["a", "b"]).await;
    assert!(matches!(unknown, Err(Error::OutcomeUnknown { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_field_is_of_the_type_that_it_began_as() {
    let memory = Memory::new(1);
    let maps = typed(&memory).maps("map");
    let set = |add: &[&'static str], remove: &[&'static str]| FieldUpdate::Set {
        add: add.iter().map(|m| Bytes::from_static(m.as_bytes())).collect(),
        remove: remove.iter().map(|m| Bytes::from_static(m.as_bytes())).collect(),
    };
    maps.update("k", "n", FieldUpdate::Increment(2)).await.expect("counted");
    maps.update("k", "s", set(&["a", "b"], &[])).await.expect("added");
    maps.update("k", "s", set(&["c"], &["a"])).await.expect("changed");
    maps.update("k", "r", FieldUpdate::Assign("x".into())).await.expect("assigned");
    maps.update("k", "f", FieldUpdate::Flag(true)).await.expect("up");
    let all = [
        (Bytes::from_static(b"f"), FieldValue::Flag(true)),
        ("n".into(), FieldValue::Counter(2)),
        ("r".into(), FieldValue::Register("x".into())),
        ("s".into(), FieldValue::Set(vec!["b".into(), "c".into()])),
    ];
    assert_eq!(maps.fields("k").collect().await, Ok(all.to_vec()));
    let wrong = maps.update("k", "n", FieldUpdate::Assign("x".into())).await;
    assert!(matches!(&wrong, Err(Error::Invalid(text)) if text.contains("counter")), "{wrong:?}");
    assert_eq!(maps.remove("k", ["n", "f"]).await, Ok(2));
    assert_eq!(maps.get("k", "n").await, Ok(None));
    let anew = maps.update("k", "n", FieldUpdate::Assign("x".into())).await;
    assert_eq!(anew, Ok(Some(FieldValue::Register("x".into()))));
}

#[tokio::test]
async fn two_types_at_once_show_the_same_one_everywhere_until_the_field_is_removed() {
    let (one, other) = (Memory::new(1), Memory::new(2));
    let (here, there) = (typed(&one).maps("map"), typed(&other).maps("map"));
    here.update("k", "f", FieldUpdate::Assign("x".into())).await.expect("assigned");
    there.update("k", "f", FieldUpdate::Increment(1)).await.expect("counted");
    one.meet(&other);
    for maps in [&here, &there] {
        assert_eq!(maps.get("k", "f").await, Ok(Some(FieldValue::Counter(1))));
    }
    assert_eq!(here.remove("k", ["f"]).await, Ok(1));
    one.meet(&other);
    assert_eq!(there.get("k", "f").await, Ok(None));
}

#[tokio::test]
async fn registers_and_hlls_join_what_was_written_at_once() {
    let (one, other) = (Memory::new(1), Memory::new(2));
    let (here, there) = (typed(&one), typed(&other));
    here.registers("register").assign("k", "a").await.expect("assigned");
    there.registers("register").assign("k", "b").await.expect("assigned");
    here.hlls("hll").add("k", ["a", "b"]).await.expect("added");
    there.hlls("hll").add("k", ["b", "c"]).await.expect("added");
    one.meet(&other);
    for typed in [&here, &there] {
        assert_eq!(typed.registers("register").get("k").await, Ok(Some("b".into())));
        assert_eq!(typed.hlls("hll").count("k").await, Ok(3));
    }
    here.registers("register").assign("k", "a").await.expect("later than what it has read");
    one.meet(&other);
    assert_eq!(there.registers("register").get("k").await, Ok(Some("a".into())));
}

#[tokio::test]
async fn a_bucket_of_another_type_or_of_bytes_is_refused() {
    let typed = typed(&Memory::new(1));
    for bucket in ["set", "plain"] {
        let refused = typed.counters(bucket).add("k", 1).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{bucket}: {refused:?}");
        assert!(typed.counters(bucket).get("k").await.is_err(), "{bucket}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_for_its_item_and_is_not_overwritten() {
    let memory = Memory::new(1);
    let write = async |sort: &'static str, value: Bytes| {
        let item = Item { bucket: "set".into(), key: "k".into(), sort: sort.into() };
        let operation = memory.operation();
        let (context, value) = (String::new(), Some(value));
        let change = Change { item, value, context, expires_at: None, operation };
        memory.write(change, QuorumRequest::default()).await.expect("written");
    };
    let sets = typed(&memory).sets("set");
    sets.add("k", ["a", "c"]).await.expect("added");
    write("b", Counter::default().to_bytes()).await;
    assert_eq!(sets.contains("k", "a").await, Ok(true));
    assert!(sets.contains("k", "b").await.is_err());
    assert!(sets.add("k", ["b"]).await.is_err());
    assert!(sets.members("k").collect().await.is_err(), "it is not silently left out");
    assert_eq!(sets.remove("k", ["b"]).await, Ok(1), "it can be removed");
    assert_eq!(sets.size("k").await, Ok(2));
}
