//! Many requests, few writes; and what happens when there are too many.

use super::*;
use crate::error::Error;
use tokio::task::JoinSet;

#[tokio::test]
async fn what_is_queued_goes_out_in_one_write_and_answers_may_come_in_any_order() {
    const MANY: usize = 200;
    let node = Fake::listen().await;
    let serve = async {
        let mut peer = node.accept().await;
        let mut asked = Vec::new();
        while asked.len() < MANY {
            asked.push(peer.next().await.expect("a request"));
        }
        for (header, request) in asked.iter().rev() {
            let Request::Get { item, .. } = request else { panic!("no read") };
            let values = vec![Version { value: item.key.clone(), dot: "a:1".into() }];
            let reply = Reply::Got { values, context: String::new(), info: Info::default() };
            peer.reply(header, &reply).await;
        }
        peer
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let mut reads = JoinSet::new();
        for n in 0..MANY {
            let get = client.get("b", n.to_string());
            reads.spawn(async move { (n, get.await) });
        }
        while let Some(read) = reads.join_next().await {
            let (n, got) = read.expect("no panic");
            assert_eq!(got.expect("read").siblings[0].value, n.to_string());
        }
        let traffic = client.traffic();
        assert_eq!(traffic.requests, MANY as u64);
        assert!(traffic.writes <= 3, "{traffic:?}: one write for all that is queued");
    };
    tokio::join!(test, serve);
}

#[tokio::test]
async fn more_than_may_be_under_way_is_overloaded_and_says_so() {
    let node = Fake::listen().await;
    let (release, released) = tokio::sync::oneshot::channel();
    let serve = async {
        let mut peer = node.accept().await;
        let first = peer.next().await.expect("a request");
        released.await.expect("the test goes on");
        peer.reply(&first.0, &written()).await;
        let second = peer.next().await.expect("another");
        peer.reply(&second.0, &written()).await;
        peer
    };
    let test = async {
        let profile = ExecutionProfile {
            retries: RetryPolicy::never(),
            attempt_timeout: Duration::from_secs(30),
            ..quick()
        };
        let builder = Client::builder().nodes([node.address.clone()]).in_flight(1);
        let client = builder.profile(profile).build().await.expect("greeted");
        let first = tokio::spawn(client.put("b", "k", "v").into_future());
        while client.traffic().requests == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(client.put("b", "k", "w").await, Err(Error::Overloaded(_))));
        release.send(()).expect("the node listens");
        first.await.expect("no panic").expect("written");
        // The place is free again.
        client.put("b", "k", "w").await.expect("written");
    };
    tokio::join!(test, serve);
}

#[tokio::test]
async fn a_request_over_the_frame_limit_never_leaves() {
    let node = Fake::listen().await;
    let test = async {
        let client = client_of(&[&node]).await;
        let huge = vec![0; crate::message::MAX_BODY_BYTES];
        let end = client.put("b", "k", huge).await;
        assert!(matches!(end, Err(Error::TooLarge { .. })), "{end:?}");
        assert_eq!(client.traffic().requests, 0);
    };
    tokio::select! { () = test => (), () = node.answer_with(|_| written()) => () }
}

#[tokio::test]
async fn requests_go_round_the_nodes() {
    let (one, two) = (Fake::listen().await, Fake::listen().await);
    let (mut to_one, mut to_two) = (0, 0);
    let first = one.answer_with(|_| {
        to_one += 1;
        written()
    });
    let second = two.answer_with(|_| {
        to_two += 1;
        written()
    });
    let test = async {
        let client = client_of(&[&one, &two]).await;
        for _ in 0..10 {
            client.put("b", "k", "v").await.expect("written");
        }
    };
    tokio::select! { () = test => (), () = first => (), () = second => () }
    assert_eq!((to_one, to_two), (5, 5));
}

#[tokio::test]
async fn connections_close_with_the_last_clone() {
    let node = Fake::listen().await;
    let serve = async {
        let mut peer = node.accept().await;
        assert!(peer.next().await.is_none(), "closed");
    };
    let test = async {
        let client = client_of(&[&node]).await;
        drop((client.clone(), client));
    };
    tokio::join!(test, serve);
}
