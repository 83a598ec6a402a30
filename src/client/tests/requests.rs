//! What the callers' side feels like, and what it puts on the wire.

use super::*;
use crate::error::Error;
use crate::message::client::PageItem;
use crate::quorum::QuorumRequest;
use crate::time::HybridTime;

#[tokio::test]
async fn a_request_is_what_its_builder_says_and_await_sends_it() {
    let node = Fake::listen().await;
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let serve = async {
        node.answer_with(|request| {
            let reply =
                if matches!(request, Request::Get { .. }) { got(&["tea"]) } else { written() };
            seen.send(request).expect("the test listens");
            reply
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let read = client.get("carts", "alice").consistency(Consistency::One).await.expect("read");
        assert_eq!(read.value(), Ok(Some(&Bytes::from_static(b"tea"))));
        let id = OperationId { session: 1, sequence: 2 };
        let put = client.put("carts", "alice", vec![1, 2]).sort("s").context(&read.context);
        let done = put.w(2).strict(true).operation(id).await.expect("written");
        // A context survives being text.
        let again: Context = done.context.to_string().parse().expect("a token");
        assert_eq!(again, done.context);
        // A request owns what it needs, so it can be spawned.
        let deleted = tokio::spawn(client.delete("carts", "alice").context(&again).into_future());
        deleted.await.expect("no panic").expect("deleted");

        let item = |sort: &'static str| Item {
            bucket: "carts".into(),
            key: "alice".into(),
            sort: sort.into(),
        };
        let one = QuorumRequest { consistency: Some(Consistency::One), ..Default::default() };
        assert_eq!(requests.recv().await, Some(Request::Get { item: item(""), quorum: one }));
        let expected = Request::Put {
            item: item("s"),
            quorum: QuorumRequest { consistency: None, count: Some(2), strict: true },
            value: Some(Bytes::from_static(&[1, 2])),
            context: "token".into(),
            operation: id,
            expires_at: None,
            // Somebody has named the operation.
            tried_since: Some(HybridTime::default()),
        };
        assert_eq!(requests.recv().await, Some(expected));
        match requests.recv().await {
            Some(Request::Put { value: None, context, .. }) => assert_eq!(context, "seen"),
            other => panic!("no delete: {other:?}"),
        }
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_scan_ends_only_where_nothing_is_next() {
    let node = Fake::listen().await;
    let page = |from: u8| -> Reply {
        // Every other page holds tombstones only.
        let item = PageItem {
            sort: Bytes::copy_from_slice(&[b'a', from]),
            values: vec![Version { value: "v".into(), dot: "a:1".into() }],
            context: "token".into(),
        };
        let items = if from.is_multiple_of(2) { vec![item] } else { Vec::new() };
        let next = (from < 5).then(|| Bytes::copy_from_slice(&[b'a', from + 1]));
        Reply::Page { items, next }
    };
    let serve = async {
        node.answer_with(|request| match request {
            Request::Scan { from, to, .. } => {
                assert_eq!(to, "b", "the prefix ends the range");
                page(from.get(1).copied().unwrap_or(0))
            }
            other => panic!("no scan: {other:?}"),
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let all = client.scan("b", "k").prefix("a").await.expect("scanned");
        assert_eq!(all.iter().map(|item| item.sort[1]).collect::<Vec<_>>(), [0, 2, 4]);
        let mut some = client.scan("b", "k").prefix("a").from([b'a', 1]).limit(2);
        assert_eq!(some.next_page().await.expect("page").map(|p| p.len()), Some(1));
        assert_eq!(some.collect().await.expect("rest").len(), 1);
        assert_eq!(client.scan("b", "k").from("z").to("b").await, Ok(vec![]));
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_scan_in_reverse_goes_on_before_what_it_has_seen() {
    let node = Fake::listen().await;
    let item = |sort: u8| PageItem {
        sort: Bytes::copy_from_slice(&[b'a', sort]),
        values: vec![Version { value: "v".into(), dot: "a:1".into() }],
        context: "token".into(),
    };
    let serve = async {
        node.answer_with(|request| match request {
            Request::Scan { from, to, reverse, .. } => {
                assert!(reverse && from == "a", "the prefix ends the range: {from:?}");
                let at = to.get(1).copied().unwrap_or(5);
                let next = (at > 1).then(|| Bytes::copy_from_slice(&[b'a', at - 1]));
                Reply::Page { items: vec![item(at)], next }
            }
            other => panic!("no scan: {other:?}"),
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let all = client.scan("b", "k").prefix("a").reverse().await.expect("scanned");
        assert_eq!(all.iter().map(|item| item.sort[1]).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
        let some = client.scan("b", "k").prefix("a").to([b'a', 3]).reverse().limit(2);
        let some = some.await.expect("scanned");
        assert_eq!(some.iter().map(|item| item.sort[1]).collect::<Vec<_>>(), [3, 2]);
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn items_come_one_by_one_and_keys_do_from_page_to_page() {
    let node = Fake::listen().await;
    let mut pages = Vec::new();
    let serve = async {
        node.answer_with(|request| match request {
            Request::Keys { bucket, after, prefix, limit, .. } => {
                assert_eq!((&bucket[..], &prefix[..], limit), ("b", &b"k"[..], 2));
                pages.push(after.clone());
                let (keys, next): (&[&'static str], _) = match &after[..] {
                    b"" => (&["k1", "k2"], Some("1".into())),
                    b"1" => (&[], Some("2".into())),
                    _ => (&["k3"], None),
                };
                Reply::Keys {
                    keys: keys.iter().map(|key| Bytes::from_static(key.as_bytes())).collect(),
                    next,
                }
            }
            other => panic!("no keys: {other:?}"),
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let mut keys = client.keys("b").prefix("k").page(2);
        let mut found = Vec::new();
        while let Some(key) = keys.next().await.expect("listed") {
            found.push(key);
        }
        assert_eq!(found, ["k1", "k2", "k3"]);
        assert_eq!(keys.next().await, Ok(None));
        let all = client.keys("b").prefix("k").page(2).limit(2).await;
        assert_eq!(all, Ok(vec![Bytes::from("k1"), Bytes::from("k2")]));
    };
    tokio::select! { () = test => (), () = serve => () }
    assert_eq!(pages, ["", "1", "2", ""], "enough is enough");
}

#[tokio::test]
async fn a_batch_has_an_outcome_for_each_and_a_name_for_each_write() {
    let node = Fake::listen().await;
    let mut operations = std::collections::BTreeSet::new();
    let serve = async {
        node.answer_with(|request| match request {
            Request::Get { item, .. } if item.key == "gone" => {
                Reply::Failed(Error::Invalid("no".into()))
            }
            Request::Get { .. } => got(&["v"]),
            Request::Put { operation, .. } => {
                operations.insert(operation);
                written()
            }
            other => panic!("neither read nor write: {other:?}"),
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let mut batch = client.batch().in_flight(3);
        for n in 0..20 {
            batch = batch.put(client.put("b", format!("k{n}"), "v"));
        }
        let batch = batch.get(client.get("b", "k1")).get(client.get("b", "gone"));
        let outcomes = batch.put(client.delete("b", "k2")).await;
        assert_eq!(outcomes.len(), 23);
        assert!(outcomes[..20].iter().all(|o| matches!(o, Outcome::Put(Ok(_)))));
        assert!(matches!(&outcomes[20], Outcome::Get(Ok(got)) if got.siblings.len() == 1));
        assert!(matches!(&outcomes[21], Outcome::Get(Err(Error::Invalid(_)))));
        assert!(matches!(&outcomes[22], Outcome::Put(Ok(_))));
    };
    tokio::select! { () = test => (), () = serve => () }
    assert_eq!(operations.len(), 21);
}

#[tokio::test]
async fn resolving_merges_until_one_value_is_read_and_gives_up_in_the_end() {
    let node = Fake::listen().await;
    let mut stored = vec!["a", "b"];
    let (mut rounds, mut hopeless) = (0, false);
    let serve = async {
        node.answer_with(|request| match request {
            Request::Get { item, .. } => {
                hopeless = item.key == "hopeless";
                got(&stored)
            }
            Request::Put { context, value, .. } => {
                assert_eq!(context, "token", "what was read is replaced");
                assert_eq!(value.as_deref(), Some(&b"a+b"[..]));
                rounds += 1;
                // Someone wrote in between, the first time or every time.
                stored = if rounds == 1 || hopeless { vec!["a", "b"] } else { vec!["a+b"] };
                written()
            }
            other => panic!("neither read nor write: {other:?}"),
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let merge = |siblings: &[Version]| {
            let values: Vec<_> = siblings.iter().map(|v| v.value.to_vec()).collect();
            values.join(&b'+')
        };
        let got = client.resolve("b", "k", merge).await.expect("resolved");
        assert_eq!(got.value(), Ok(Some(&Bytes::from_static(b"a+b"))));
        // One value needs no merge, and no write.
        let same = client.resolve("b", "k", |_: &[Version]| -> Bytes { panic!("one value") });
        assert_eq!(same.await.expect("read"), got);
        client.put("b", "hopeless", "a+b").context(&got.context).await.expect("written");
    };
    tokio::select! { () = test => (), () = serve => () }
    assert_eq!(rounds, 3);
}

#[tokio::test]
async fn resolving_against_steady_writers_ends() {
    let node = Fake::listen().await;
    let mut writes = 0;
    let serve = async {
        node.answer_with(|request| match request {
            Request::Get { .. } => got(&["a", "b"]),
            _ => {
                writes += 1;
                written()
            }
        })
        .await;
    };
    let test = async {
        let client = client_of(&[&node]).await;
        let end = client.resolve("b", "k", |_| "ab").await;
        assert_eq!(end, Err(Error::Siblings { count: 2 }));
    };
    tokio::select! { () = test => (), () = serve => () }
    assert_eq!(writes, RESOLVE_ROUNDS);
}

#[tokio::test]
async fn what_cannot_be_a_client_is_refused_with_words() {
    let build = |nodes: &'static [&'static str]| Client::builder().nodes(nodes.to_vec()).build();
    for nodes in [&[][..], &["localhost"], &["h:0"], &["h:99999"]] {
        assert!(matches!(build(nodes).await, Err(Error::Invalid(_))), "{nodes:?}");
    }
    assert!("no token!".parse::<Context>().is_err());
    assert!("".parse::<Context>().is_ok_and(|context| context.is_empty()));
    // Nobody listens on a port that was just given back.
    let gone = Fake::listen().await.address.clone();
    match Client::builder().nodes([gone.clone()]).build().await.err() {
        Some(Error::Unreachable(why)) => assert!(why.contains(&gone), "{why}"),
        other => panic!("{other:?}"),
    }
}
