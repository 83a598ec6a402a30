//! The client against a node that does what the test says: real sockets, real frames, no cluster.

mod failures;
mod fake;
#[cfg(feature = "server")]
mod load;
mod manners;
mod requests;
mod session;
mod traffic;
mod update;

use super::*;
use crate::message::client::{Reply, Request};
use fake::Fake;
use std::time::Duration;

/// Short enough for a test, long enough for a busy machine.
fn quick() -> ExecutionProfile {
    ExecutionProfile {
        timeout: Duration::from_secs(10),
        attempt_timeout: Duration::from_millis(300),
        ..ExecutionProfile::default()
    }
}

async fn client_of(nodes: &[&Fake]) -> Client {
    let addresses = nodes.iter().map(|node| node.address.clone());
    let client = Client::builder().nodes(addresses).profile(quick()).build().await;
    let client = client.expect("a fake node greets");
    while client.nodes_up().len() < nodes.len() {
        tokio::task::yield_now().await;
    }
    client
}

fn operation_of(request: &Request) -> OperationId {
    match request {
        Request::Put { operation, .. } => *operation,
        other => panic!("no write: {other:?}"),
    }
}

fn written() -> Reply {
    Reply::Written { context: "seen".into(), info: Info::default() }
}

fn got(values: &[&'static str]) -> Reply {
    let version = |(n, value): (usize, &&'static str)| Version {
        value: Bytes::from_static(value.as_bytes()),
        dot: format!("a:{n}"),
    };
    let values = values.iter().enumerate().map(version).collect();
    Reply::Got { values, context: "token".into(), info: Info::default() }
}
