//! Nodes that die, hang, lie and come back; and what a write may then say of itself.

use super::*;
use crate::error::Error;
use crate::time::HybridTime;
use std::time::Instant;

#[tokio::test]
async fn a_retry_through_a_second_node_carries_the_same_operation() {
    let (one, two) = (Fake::listen().await, Fake::listen().await);
    // Whoever is asked first dies with the request in hand; the other one answers.
    let serve = async {
        let (mut a, mut b) = (one.accept().await, two.accept().await);
        tokio::select! {
            first = a.next() => { drop(a); (first, b.next().await, b) }
            first = b.next() => { drop(b); (first, a.next().await, a) }
        }
    };
    let test = async {
        let client = client_of(&[&one, &two]).await;
        client.put("b", "k", "v").await
    };
    let both = async {
        let (first, second, mut peer) = serve.await;
        let (first, second) = (first.expect("asked"), second.expect("asked again"));
        peer.reply(&second.0, &written()).await;
        assert_eq!(operation_of(&first.1), operation_of(&second.1));
        let mut again = first.1.clone();
        again.tried(HybridTime::default());
        assert!(again != first.1 && again == second.1, "it says so, and nothing else changed");
        peer
    };
    let (end, _peer) = tokio::join!(test, both);
    end.expect("written");
}

#[tokio::test]
async fn a_hung_node_costs_one_attempt_timeout_and_is_left_alone_until_it_greets() {
    let (hung, well) = (Fake::listen().await, Fake::listen().await);
    let hang = async {
        // It greets once, then it is stopped: the kernel goes on accepting.
        let mut kept = vec![hung.accept().await];
        loop {
            kept.push(hung.accept_silently().await);
        }
    };
    let test = async {
        let client = client_of(&[&hung, &well]).await;
        let mut slow = 0;
        for _ in 0..20 {
            let began = Instant::now();
            client.put("b", "k", "v").await.expect("the other node takes it");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(3), "{took:?}");
            slow += u32::from(took > Duration::from_millis(200));
        }
        assert!(slow <= 1, "{slow} requests went to the hung node");
        assert_eq!(client.nodes_up(), std::slice::from_ref(&well.address));
    };
    tokio::select! { () = test => (), () = hang => (), () = well.answer_with(|_| written()) => () }
}

#[tokio::test]
async fn a_slow_node_that_gives_signs_of_life_is_waited_for() {
    let node = Fake::listen().await;
    let serve = async {
        let mut peer = node.accept().await;
        let (slow, _) = peer.next().await.expect("a request");
        let began = Instant::now();
        // Four times the attempt timeout; `next` answers the questions in between.
        let _ = tokio::time::timeout(quick().attempt_timeout * 4, peer.next()).await;
        peer.reply(&slow, &written()).await;
        assert!(began.elapsed() >= quick().attempt_timeout * 4);
        peer
    };
    let test = async { client_of(&[&node]).await.put("b", "k", "v").await.expect("written") };
    tokio::join!(test, serve);
}

#[tokio::test]
async fn a_write_that_was_sent_ends_as_unknown_and_one_that_was_not_as_unreachable() {
    let node = Fake::listen().await;
    let (sent, was_sent) = tokio::sync::oneshot::channel();
    let nodes = [node.address.clone()];
    let serve = async move {
        let mut peer = node.accept().await;
        peer.next().await.expect("a request");
        sent.send(()).expect("the test waits");
        // Gone for good, as if killed.
        drop((peer, node));
    };
    let test = async {
        let client = Client::builder().nodes(nodes).profile(quick()).build().await;
        let client = client.expect("greeted");
        let short = Duration::from_millis(400);
        let end = client.put("b", "k", "v").timeout(short).await;
        assert_eq!(end, Err(Error::OutcomeUnknown { required: 1, received: 0 }));
        was_sent.await.expect("it was sent");
        let end = client.put("b", "k", "v").timeout(short).await;
        assert!(matches!(end, Err(Error::Unreachable(_))), "{end:?}");
        let end = client.get("b", "k").timeout(short).await;
        assert!(matches!(end, Err(Error::Unreachable(_))), "{end:?}");
    };
    tokio::join!(test, serve);
}

#[tokio::test]
async fn a_node_that_is_alive_but_never_answers_leaves_a_write_unknown_and_a_read_late() {
    let node = Fake::listen().await;
    let serve = async {
        let mut peer = node.accept().await;
        while let Some((header, _)) = peer.next().await {
            assert!((1..=300).contains(&header.deadline_ms), "{}", header.deadline_ms);
        }
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let short = Duration::from_millis(300);
        let end = client.put("b", "k", "v").w(3).timeout(short).await;
        assert_eq!(end, Err(Error::OutcomeUnknown { required: 3, received: 0 }));
        let end = client.get("b", "k").consistency(Consistency::Two).timeout(short).await;
        assert_eq!(end, Err(Error::Timeout { required: 2, received: 0 }));
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn junk_closes_the_connection_and_the_request_goes_on() {
    use tokio::io::AsyncWriteExt;
    for junk in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0; 100], b"QR\x63"] {
        let node = Fake::listen().await;
        let serve = async {
            let mut peer = node.accept().await;
            let (_, mut first) = peer.next().await.expect("a request");
            first.tried(HybridTime::default());
            peer.stream.write_all(junk).await.expect("sent");
            // Short junk looks like half a frame: the sign of life that follows is not answered.
            while let Some(frame) = peer.frame().await {
                assert_eq!(frame.header.kind, crate::message::Kind::Request);
            }
            let mut peer = node.accept().await;
            let (header, again) = peer.next().await.expect("the same request");
            assert_eq!(first, again);
            peer.reply(&header, &written()).await;
            peer
        };
        // What is no frame is noticed when it comes; only half a frame takes until nothing follows.
        let patience =
            if junk.len() > 3 { Duration::from_secs(30) } else { quick().attempt_timeout };
        let profile = ExecutionProfile { attempt_timeout: patience, ..quick() };
        let test = async {
            let client = Client::builder().nodes([node.address.clone()]).profile(profile);
            let client = client.build().await.expect("greeted");
            client.put("b", "k", "v").await.expect("written");
        };
        tokio::join!(test, serve);
    }
}

#[tokio::test]
async fn an_error_that_another_try_may_better_is_tried_elsewhere() {
    let (one, two) = (Fake::listen().await, Fake::listen().await);
    let refuse = |_| Reply::Failed(Error::Unavailable { required: 2, alive: 1 });
    let test = async {
        // Two attempts each, and so many at once that turns alone would not lead to the other node.
        let retries = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let profile = ExecutionProfile { retries, ..quick() };
        let nodes = [one.address.clone(), two.address.clone()];
        let client =
            Client::builder().nodes(nodes).profile(profile).build().await.expect("greeted");
        while client.nodes_up().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut puts = tokio::task::JoinSet::new();
        for _ in 0..40 {
            puts.spawn(client.put("b", "k", "v").into_future());
        }
        while let Some(put) = puts.join_next().await {
            put.expect("no panic").expect("the other node takes it");
        }
    };
    tokio::select! {
        () = test => (), () = one.answer_with(refuse) => (), () = two.answer_with(|_| written()) => ()
    }
}

#[tokio::test]
async fn a_node_that_comes_back_is_used_again() {
    let node = Fake::listen().await;
    let serve = async {
        let mut peer = node.accept().await;
        peer.frame().await.expect("its greeting");
        drop(peer);
        node.answer_with(|_| written()).await;
    };
    let test = async {
        let client = Client::builder().nodes([node.address.clone()]).profile(quick());
        let client = client.build().await.expect("greeted");
        client.put("b", "k", "v").await.expect("after a new connection");
    };
    tokio::select! { () = test => (), () = serve => () }
}
