//! Sessions against a node whose replicas lag as the test says.

use super::*;
use crate::error::Error;
use crate::id::{BucketId, ClusterId};
use crate::version::{Actor, ContextScope, Dot, Seen};
use std::sync::Mutex;

/// The token of who has seen this many writes.
fn token(writes: u64) -> String {
    let dot = Dot::new(Actor { incarnation: 1, mint: 0 }, writes);
    let vector = if writes == 0 { Vec::new() } else { vec![dot] };
    let seen = Seen { vector: vector.into_iter().collect(), ..Seen::default() };
    let scope = ContextScope::new(ClusterId(1), BucketId(1), b"k", b"", &[1; 32]);
    scope.seal(&seen).as_str().to_owned()
}

/// What a replica with this many writes shows; nothing, of none.
fn shows(writes: u64) -> Reply {
    let value = Version { value: "v".into(), dot: format!("{:016x}.0:{writes}", 1) };
    let values = if writes == 0 { Vec::new() } else { vec![value] };
    Reply::Got { values, context: token(writes), info: Info::default() }
}

/// Which consistency levels were asked for.
type Asked = Mutex<Vec<Option<Consistency>>>;

/// Writes become the `written`-th; reads of `All` see `all`, others see `some`.
fn lagging(asked: &Asked, written: u64, some: u64, all: u64) -> impl FnMut(Request) -> Reply {
    move |request| match request {
        Request::Put { .. } => Reply::Written { context: token(written), info: Info::default() },
        Request::Get { quorum, .. } => {
            asked.lock().expect("one thread").push(quorum.consistency);
            shows(if quorum.consistency == Some(Consistency::All) { all } else { some })
        }
        other => panic!("a session sends no {other:?}"),
    }
}

#[tokio::test]
async fn a_reply_that_misses_an_own_write_is_asked_again_of_more_owners() {
    let (node, asked) = (Fake::listen().await, Asked::default());
    let test = async {
        let client = client_of(&[&node]).await;
        let one = Consistency::One;
        // Without a session the client takes what it gets.
        client.put("b", "k", "v").await.expect("written");
        let plain = client.get("b", "k").consistency(one).await.expect("read");
        assert_eq!(plain.context.as_str(), token(4));
        asked.lock().expect("one thread").clear();

        let session = client.session();
        session.put("b", "k", "v").await.expect("written");
        let got = session.get("b", "k").consistency(one).await.expect("found at last");
        assert_eq!(got.context.as_str(), token(5));
        let levels = asked.lock().expect("one thread").clone();
        assert_eq!(levels, [Some(one), Some(Consistency::Quorum), Some(Consistency::All)]);
        // Another item is another matter.
        let got = session.get("b", "other").consistency(one).await.expect("read");
        assert_eq!(got.context.as_str(), token(4));
    };
    tokio::select! { () = test => (), () = node.answer_with(lagging(&asked, 5, 4, 5)) => () }
}

#[tokio::test]
async fn reads_do_not_go_back_and_where_nobody_knows_it_is_an_error() {
    let (node, asked) = (Fake::listen().await, Asked::default());
    let test = async {
        let client = client_of(&[&node]).await;
        let session = client.session();
        session.get("b", "k").consistency(Consistency::All).await.expect("the newest: 5");
        let got = session.get("b", "k").await.expect("not the old one");
        assert_eq!(got.context.as_str(), token(5));
        session.put("b", "k", "v").await.expect("written: 9, which nobody shows");
        let short = Duration::from_millis(300);
        let end = session.get("b", "k").timeout(short).await.expect_err("nobody knows it");
        assert!(matches!(end, Error::Session(_)) && end.to_string().contains("`b`"), "{end}");
        assert!(!end.to_string().contains("`k`"), "keys are not told");
        // It demands the same elsewhere, until it is told to forget.
        let elsewhere = client.resume(&session.export(4096)).expect("ours");
        let end = elsewhere.get("b", "k").timeout(short).await;
        assert!(matches!(end, Err(Error::Session(_))), "{end:?}");
        elsewhere.forget("b", "k", "");
        elsewhere.get("b", "k").await.expect("whatever is there");
        // An item that was let go is no longer promised.
        let small = client.session_of(1);
        small.put("b", "k", "v").await.expect("written");
        small.get("b", "other").await.expect("read");
        assert_eq!(small.len(), 1);
        small.get("b", "k").await.expect("whatever is there");
    };
    tokio::select! { () = test => (), () = node.answer_with(lagging(&asked, 9, 4, 5)) => () }
}

#[tokio::test]
async fn a_write_of_a_session_replaces_what_the_session_has_seen() {
    let (node, seen) = (Fake::listen().await, Mutex::new(Vec::new()));
    let serve = node.answer_with(|request| match request {
        Request::Put { context, .. } => {
            seen.lock().expect("one thread").push(context);
            Reply::Written { context: token(6), info: Info::default() }
        }
        _ => shows(5),
    });
    let test = async {
        let session = client_of(&[&node]).await.session();
        let read = session.get("b", "k").await.expect("read");
        session.put("b", "k", "v").await.expect("written");
        session.delete("b", "k").await.expect("deleted");
        session.put("b", "k", "v").context(&read.context).await.expect("written");
        assert_eq!(*seen.lock().expect("one thread"), [token(5), token(6), token(5)]);
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_collected_delete_is_accepted_as_nothing_and_a_collected_value_is_not() {
    let (node, asked) = (Fake::listen().await, Asked::default());
    let test = async {
        let session = client_of(&[&node]).await.session();
        session.delete("b", "k").await.expect("deleted");
        let got = session.get("b", "k").await.expect("nothing, as it should be");
        assert!(got.is_empty());
        assert_eq!(asked.lock().expect("one thread").len(), 1, "one answer was enough");
        session.put("b", "k", "v").await.expect("written");
        let end = session.get("b", "k").timeout(Duration::from_millis(300)).await;
        assert!(matches!(end, Err(Error::Session(_))), "{end:?}");
    };
    tokio::select! { () = test => (), () = node.answer_with(lagging(&asked, 7, 0, 0)) => () }
}
