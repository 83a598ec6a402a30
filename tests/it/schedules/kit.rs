//! Short words for what the stories do.

use bytes::Bytes;
use quorate::Error;
use quorate::message::client::{Info, Inspect, Item, Reply, Request};
use quorate::node::{Limits, Timing};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::{Cluster, Options};
use quorate::store::{Source, key as store_key};
use quorate::time::Duration;
use quorate::version::OperationId;
use std::cell::Cell;

thread_local!(static OPERATIONS: Cell<u64> = const { Cell::new(0) });

/// An operation id that this test has not used.
pub fn operation() -> OperationId {
    let sequence = OPERATIONS.get() + 1;
    OPERATIONS.set(sequence);
    OperationId { session: 7, sequence }
}

/// A cluster that is up, with a bucket `b` of three replicas.
pub fn cluster(nodes: usize, seed: u64) -> Cluster {
    let mut cluster = Cluster::new(Options { nodes, seed, ..Options::default() });
    formed(&mut cluster, nodes);
    let made = cluster.ask(1, Request::CreateBucket(spec("b")));
    assert_eq!(made, Some(Reply::Agreed));
    everybody_knows(&mut cluster, nodes, 1);
    cluster
}

/// Runs until every node is ready and sees `nodes` members alive.
pub fn formed(cluster: &mut Cluster, nodes: usize) {
    for number in 1..=nodes {
        let mut tries = 0;
        loop {
            let status = inspect(cluster, number, Inspect::Status);
            if status["nodes"]["alive"] == nodes && status["ready"] == true {
                break;
            }
            tries += 1;
            assert!(tries < 600, "n{number}: {status}");
            cluster.run_for(Duration::from_millis(100));
        }
    }
}

/// Runs until every node knows so many buckets.
pub fn everybody_knows(cluster: &mut Cluster, nodes: usize, buckets: usize) {
    for number in 1..=nodes {
        let mut tries = 0;
        while inspect(cluster, number, Inspect::Status)["buckets"] != buckets {
            tries += 1;
            assert!(tries < 100, "n{number} never hears of the bucket");
            cluster.run_for(Duration::from_millis(100));
        }
    }
}

pub fn spec(name: &str) -> quorate::message::client::BucketSpec {
    quorate::message::client::BucketSpec { name: name.into(), ..Default::default() }
}

pub fn inspect(cluster: &mut Cluster, number: usize, what: Inspect) -> serde_json::Value {
    json(number, cluster.ask(number, Request::Inspect(what)))
}

fn json(number: usize, reply: Option<Reply>) -> serde_json::Value {
    match reply {
        Some(Reply::Json(json)) => serde_json::from_str(&json).expect("JSON"),
        // No such item; and a node that is not in yet.
        Some(Reply::Failed(Error::NotFound(_) | Error::Unavailable { .. })) => {
            serde_json::Value::Null
        }
        other => panic!("n{number} says {other:?}"),
    }
}

pub fn item(key: &str) -> Item {
    Item { bucket: "b".into(), key: Bytes::copy_from_slice(key.as_bytes()), sort: Bytes::new() }
}

pub fn item_sorted(key: &str, sort: usize) -> Item {
    Item { sort: format!("{sort:03}").into_bytes().into(), ..item(key) }
}

pub fn level(consistency: Consistency) -> QuorumRequest {
    QuorumRequest { consistency: Some(consistency), ..QuorumRequest::default() }
}

pub fn strict() -> QuorumRequest {
    QuorumRequest { strict: true, ..level(Consistency::Quorum) }
}

/// A put at QUORUM with a context.
pub fn put(key: &str, value: &str, context: &str) -> Request {
    put_as(key, Some(value), context, operation(), level(Consistency::Quorum))
}

pub fn delete(key: &str, context: &str) -> Request {
    put_as(key, None, context, operation(), level(Consistency::Quorum))
}

pub fn put_as(
    key: &str,
    value: Option<&str>,
    context: &str,
    operation: OperationId,
    quorum: QuorumRequest,
) -> Request {
    Request::Put {
        item: item(key),
        quorum,
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        context: context.into(),
        operation,
        expires_at: None,
        tried_since: None,
    }
}

pub fn get(key: &str, quorum: QuorumRequest) -> Request {
    Request::Get { item: item(key), quorum }
}

/// A value under one sort key.
pub fn put_sorted(key: &str, sort: usize, value: &str, quorum: QuorumRequest) -> Request {
    Request::Put {
        item: item_sorted(key, sort),
        quorum,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        context: String::new(),
        operation: operation(),
        expires_at: None,
        tried_since: None,
    }
}

pub fn get_sorted(key: &str, sort: usize, quorum: QuorumRequest) -> Request {
    Request::Get { item: item_sorted(key, sort), quorum }
}

/// The values of a key rot on a node's disk; the index still knows their vector.
pub fn rot(cluster: &mut Cluster, number: usize, key: &str) {
    rot_item(cluster, number, &item(key));
}

/// As [`rot`], for one sort key.
pub fn rot_sorted(cluster: &mut Cluster, number: usize, key: &str, sort: usize) {
    rot_item(cluster, number, &item_sorted(key, sort));
}

fn rot_item(cluster: &mut Cluster, number: usize, item: &Item) {
    let disk = cluster.disk(number);
    let (from, to) = store_key::data_range();
    let all = disk.scan(&from, &to, usize::MAX).expect("a healthy disk");
    let named = |full: &[u8]| {
        store_key::parse_item(full).is_some_and(|i| i.key == item.key && i.sort == item.sort)
    };
    let full = all.iter().map(|(full, _)| full).find(|full| named(full)).expect("it is there");
    disk.rot(full);
}

/// The context of an acknowledged write.
pub fn acked(reply: Option<Reply>) -> String {
    match reply {
        Some(Reply::Written { context, .. }) => context,
        other => panic!("not acknowledged: {other:?}"),
    }
}

/// The values and the context of a read.
pub fn got(reply: Option<Reply>) -> (Vec<String>, String) {
    match reply {
        Some(Reply::Got { values, context, .. }) => {
            let text = |value: &Bytes| String::from_utf8(value.to_vec()).expect("text");
            let mut values: Vec<String> = values.iter().map(|v| text(&v.value)).collect();
            values.sort();
            (values, context)
        }
        other => panic!("not read: {other:?}"),
    }
}

pub fn failed(reply: Option<Reply>) -> Error {
    match reply {
        Some(Reply::Failed(error)) => error,
        other => panic!("did not fail: {other:?}"),
    }
}

/// The values of one replica's own record, tombstones as `†`.
pub fn local(cluster: &mut Cluster, number: usize, key: &str) -> Vec<String> {
    local_of(cluster, number, item(key))
}

/// As [`local`], of one sort key.
pub fn sorted(cluster: &mut Cluster, number: usize, key: &str, sort: usize) -> Vec<String> {
    local_of(cluster, number, item_sorted(key, sort))
}

fn local_of(cluster: &mut Cluster, number: usize, item: Item) -> Vec<String> {
    use base64::Engine;
    let record = match cluster.ask(number, Request::Inspect(Inspect::Local(item))) {
        // It cannot be read.
        Some(Reply::Failed(Error::Internal(_))) => serde_json::Value::Null,
        reply => json(number, reply),
    };
    let siblings = record["siblings"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<String> = siblings
        .iter()
        .map(|sibling| match sibling["value"].as_str() {
            None => "†".into(),
            Some(value) => {
                let bytes =
                    base64::engine::general_purpose::STANDARD.decode(value).expect("base64");
                String::from_utf8(bytes).expect("text")
            }
        })
        .collect();
    values.sort();
    values
}

/// The numbers of the owners and of the fallbacks of a key.
pub fn places(cluster: &mut Cluster, key: &str) -> (Vec<usize>, Vec<usize>) {
    let up = (1..).find(|number| cluster.node(*number).is_some()).expect("a node is up");
    let found = inspect(cluster, up, Inspect::Locate(item(key)));
    let numbers = |what: &str| -> Vec<usize> {
        let names = found[what].as_array().expect("a list").iter();
        names.map(|name| name.as_str().expect("a name")[1..].parse().expect("a number")).collect()
    };
    (numbers("owners"), numbers("fallbacks"))
}

/// Runs until every owner of the key holds exactly these values. A tombstone alone may have been collected already.
pub fn converges(cluster: &mut Cluster, key: &str, expected: &[&str]) {
    let (owners, _) = places(cluster, key);
    let mut last = Vec::new();
    for _ in 0..1200 {
        last = owners.iter().map(|owner| local(cluster, *owner, key)).collect();
        let is_gone = |values: &Vec<String>| expected == ["†"] && values.is_empty();
        if last.iter().all(|values| values == expected || is_gone(values)) {
            return;
        }
        cluster.run_for(Duration::from_millis(100));
    }
    panic!("{key} does not converge to {expected:?}: {last:?}");
}

/// Five nodes with the bucket `b`, and the owners and fallbacks of the key `k`. Partitions are compared
/// every five seconds, that stories may be short.
pub fn five(seed: u64) -> (Cluster, [usize; 3], [usize; 2]) {
    let timing = Timing { sync: Duration::from_secs(5), ..Timing::default() };
    five_with(seed, timing)
}

/// As [`five`]; partitions are compared once an hour, so that nothing is mended by that.
pub fn five_without_sync(seed: u64) -> (Cluster, [usize; 3], [usize; 2]) {
    let timing = Timing { sync: Duration::from_secs(3600), ..Timing::default() };
    five_with(seed, timing)
}

fn five_with(seed: u64, timing: Timing) -> (Cluster, [usize; 3], [usize; 2]) {
    // Nobody knows by heart what has rotted on its disk.
    let limits = Limits { record_cache_bytes: 0, ..Limits::default() };
    let mut cluster =
        Cluster::new(Options { nodes: 5, seed, timing, limits, ..Options::default() });
    formed(&mut cluster, 5);
    assert_eq!(cluster.ask(1, Request::CreateBucket(spec("b"))), Some(Reply::Agreed));
    everybody_knows(&mut cluster, 5, 1);
    let (owners, fallbacks) = places(&mut cluster, "k");
    let three = owners.try_into().expect("three owners");
    (cluster, three, fallbacks.try_into().expect("two fallbacks"))
}

pub fn millis(cluster: &mut Cluster, ms: u64) {
    cluster.run_for(Duration::from_millis(ms));
}

pub fn secs(cluster: &mut Cluster, secs: u64) {
    cluster.run_for(Duration::from_secs(secs));
}

/// Runs until a node believes that these are not there.
pub fn notices(cluster: &mut Cluster, by: usize, gone: &[usize]) {
    for _ in 0..600 {
        if gone.iter().all(|node| !sees_alive(cluster, by, *node)) {
            return;
        }
        millis(cluster, 100);
    }
    panic!("n{by} never notices that {gone:?} are gone");
}

/// Whether `by` believes that `node` is there; a suspect still is.
pub fn sees_alive(cluster: &mut Cluster, by: usize, node: usize) -> bool {
    let members = inspect(cluster, by, Inspect::Members);
    let name = format!("n{node}");
    let members = members["members"].as_array().expect("a list");
    let member = members.iter().find(|member| member["name"] == name.as_str());
    member.is_some_and(|member| member["state"] == "alive" || member["state"] == "suspect")
}

/// Runs until the condition holds.
pub fn until(cluster: &mut Cluster, what: &str, mut done: impl FnMut(&mut Cluster) -> bool) {
    for _ in 0..1200 {
        if done(cluster) {
            return;
        }
        millis(cluster, 100);
    }
    panic!("not within two minutes: {what}");
}

/// The members but these.
pub fn all_but(nodes: usize, these: &[usize]) -> Vec<usize> {
    (1..=nodes).filter(|number| !these.contains(number)).collect()
}

/// Cuts these nodes off from all others of five.
pub fn cut_off(cluster: &mut Cluster, these: &[usize]) {
    cluster.network.partition(these, &all_but(5, these));
}

/// How many actors the record of a node names.
pub fn actors(cluster: &mut Cluster, number: usize, key: &str) -> usize {
    let record = inspect(cluster, number, Inspect::Local(item(key)));
    record["vector"].as_object().map_or(0, |vector| vector.len())
}

pub fn metric(cluster: &mut Cluster, number: usize, name: &str) -> u64 {
    inspect(cluster, number, Inspect::Metrics)[name].as_u64().expect("a number")
}

pub fn hints(cluster: &mut Cluster, number: usize) -> u64 {
    metric(cluster, number, "hints_pending")
}

/// How the answer of a read or write came about.
pub fn info(reply: &Option<Reply>) -> Info {
    match reply {
        Some(Reply::Got { info, .. } | Reply::Written { info, .. }) => info.clone(),
        other => panic!("no answer: {other:?}"),
    }
}

/// The names of nodes.
pub fn names(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| format!("n{number}")).collect()
}

pub fn put_at(key: &str, value: &str, context: &str, quorum: QuorumRequest) -> Request {
    put_as(key, Some(value), context, operation(), quorum)
}

pub fn quorum() -> QuorumRequest {
    level(Consistency::Quorum)
}

/// A write that nobody answered, that failed or that was acknowledged: the schedule does not care.
pub fn whatever(_: Option<Reply>) {}

/// Whether a node's directory was set aside.
pub fn was_set_aside(cluster: &Cluster, number: usize) -> bool {
    cluster.asides().iter().any(|(node, _)| *node == number)
}
