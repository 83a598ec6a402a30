//! Profiles, budgets, second nodes, and what an observer is told.

use super::*;
use crate::error::Error;

fn unavailable(_: Request) -> Reply {
    Reply::Failed(Error::Unavailable { required: 2, alive: 1 })
}

#[tokio::test]
async fn an_empty_retry_budget_ends_requests_at_once_and_says_so() {
    let (node, counters) = (Fake::listen().await, Counters::default());
    let test = async {
        let budget = RetryBudget { percent: 10, per_second: 0 };
        let builder = Client::builder().nodes([node.address.clone()]).profile(quick());
        let client = builder.retry_budget(budget).observer(counters.clone());
        let client = client.build().await.expect("greeted");
        let mut told = 0;
        for _ in 0..40 {
            let end = client.get("b", "k").await.expect_err("unavailable");
            told += u32::from(end.to_string().contains("retry budget is empty"));
        }
        assert_eq!(client.retries().0, 4, "a tenth of forty requests");
        let counted = counters.read();
        assert_eq!((counted.requests, counted.errors, counted.unknown), (40, 40, 0));
        assert_eq!((counted.retries, counted.attempts), (4, 44), "{counted:?}");
        assert_eq!(counted.retries_refused, 40, "every one would have gone on: {counted:?}");
        assert_eq!((told, counted.connections_up), (40, 1));
    };
    tokio::select! { () = test => (), () = node.answer_with(unavailable) => () }
}

#[tokio::test]
async fn a_profile_is_chosen_by_name_and_shares_the_connections() {
    let node = Fake::listen().await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let serve = node.answer_with(|request| {
        if let Request::Get { quorum, .. } = request {
            seen.send(quorum.consistency).expect("the test listens");
        }
        got(&["v"])
    });
    let test = async {
        let weak = ExecutionProfile { consistency: Some(Consistency::One), ..quick() };
        let builder = Client::builder().nodes([node.address.clone()]).profile(quick());
        let client = builder.named_profile("weak", weak).build().await.expect("greeted");
        assert!(matches!(client.with_profile("strong"), Err(Error::NotFound(_))));
        let weak = client.with_profile("weak").expect("it was named");
        weak.get("b", "k").await.expect("read");
        weak.get("b", "k").consistency(Consistency::All).await.expect("read");
        client.get("b", "k").await.expect("read");
        for expected in [Some(Consistency::One), Some(Consistency::All), None] {
            assert_eq!(requests.recv().await, Some(expected));
        }
        assert_eq!(client.traffic(), weak.traffic());
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_slow_read_is_sent_to_a_second_node_and_a_slow_write_is_not() {
    let (one, two) = (Fake::listen().await, Fake::listen().await);
    let counters = Counters::default();
    // Whoever is asked first keeps silent; it gives signs of life.
    let serve = async {
        let (mut a, mut b) = (one.accept().await, two.accept().await);
        let (mut slow, mut quick) = tokio::select! {
            first = a.next() => { assert!(first.is_some()); (a, b) }
            first = b.next() => { assert!(first.is_some()); (b, a) }
        };
        let answer = async {
            let (header, request) = quick.next().await.expect("a second attempt");
            assert!(matches!(request, Request::Get { .. }));
            quick.reply(&header, &got(&["v"])).await;
            while let Some((_, request)) = quick.next().await {
                assert!(matches!(request, Request::Put { .. }), "one write, to one of them");
            }
        };
        let silent = async { while slow.next().await.is_some() {} };
        tokio::join!(answer, silent);
    };
    let test = async {
        let speculation = Some(Speculation { after: Duration::from_millis(20) });
        let profile = ExecutionProfile { speculation, ..quick() };
        let nodes = [one.address.clone(), two.address.clone()];
        let builder = Client::builder().nodes(nodes).profile(profile).observer(counters.clone());
        let client = builder.build().await.expect("greeted");
        while client.nodes_up().len() < 2 {
            tokio::task::yield_now().await;
        }
        let read = client.get("b", "k").await.expect("the second one answers");
        assert_eq!(read.siblings.len(), 1);
        let end = client.put("b", "k", "v").timeout(Duration::from_millis(200)).await;
        assert_eq!(end, Err(Error::OutcomeUnknown { required: 1, received: 0 }));
        let counted = counters.read();
        assert_eq!((counted.speculated, counted.attempts, counted.unknown), (1, 3, 1));
    };
    tokio::select! { () = test => (), () = serve => () }
}
