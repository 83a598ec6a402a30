//! The load engine against a node that takes everything.

use super::*;
use crate::client::load::{Load, Workload, run};
use crate::error::Error;
use std::collections::BTreeMap;

fn short(node: &Fake, workload: Workload) -> Load {
    Load {
        nodes: vec![node.address.clone()],
        workload,
        clients: 1,
        in_flight: 4,
        value_bytes: 100,
        keys: 16,
        duration: Duration::from_millis(300),
        ..Load::default()
    }
}

#[tokio::test]
async fn keys_are_there_before_the_clock_starts_and_no_key_has_two_writers() {
    let node = Fake::listen().await;
    let mut contexts = BTreeMap::new();
    let mut counter = 0;
    let serve = node.answer_with(|request| match request {
        Request::Get { item, .. } => {
            assert!(contexts.contains_key(&item.key), "read before it was written");
            got(&["v"])
        }
        Request::Put { item, context, value, .. } => {
            assert_eq!(value.map(|v| v.len()), Some(100));
            counter += 1;
            let before = contexts.insert(item.key, counter.to_string());
            assert_eq!(before.unwrap_or_default(), context, "the last write was seen");
            Reply::Written { context: counter.to_string(), info: Info::default() }
        }
        other => panic!("no load: {other:?}"),
    });
    let test = async {
        let load = short(&node, Workload::Mixed { reads: 50 });
        let report = run(load, |_| ()).await.expect("measured");
        assert!(report.done > 0 && report.throughput > 0.0 && report.p50_us > 0, "{report:?}");
        assert!(report.errors.is_empty() && report.unknown == 0, "{report:?}");
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_fixed_rate_is_kept_and_failures_are_counted_by_their_code() {
    let node = Fake::listen().await;
    let mut asked = 0;
    let serve = node.answer_with(|_| {
        asked += 1;
        match asked % 3 {
            0 => Reply::Failed(Error::OutcomeUnknown { required: 2, received: 1 }),
            1 => Reply::Failed(Error::QuorumNotMet { required: 2, received: 1 }),
            _ => written(),
        }
    });
    let test = async {
        let load = Load { rate: Some(100.0), ..short(&node, Workload::Put) };
        let report = run(load, |_| ()).await.expect("measured");
        assert_eq!(
            report.done + report.unknown + report.errors["quorum_not_met"] + report.unsent,
            30
        );
        assert!(report.unknown >= 5, "{report:?}");
    };
    tokio::select! { () = test => (), () = serve => () }
}

#[tokio::test]
async fn a_load_that_cannot_be_is_refused() {
    let node = Fake::listen().await;
    let base = short(&node, Workload::Put);
    for load in [
        Load { clients: 0, ..base.clone() },
        Load { keys: 3, ..base.clone() },
        Load { rate: Some(0.0), ..base.clone() },
        Load { nodes: vec![], ..base.clone() },
    ] {
        assert!(matches!(run(load, |_| ()).await, Err(Error::Invalid(_))));
    }
}
