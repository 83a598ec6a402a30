//! Typed operations on the simulator's nodes: both sides of a partition go on, and nothing that was acknowledged is lost
//! or counted twice.

use super::kit::*;
use bytes::Bytes;
use quorate::Error;
use quorate::id::{DataType, Item};
use quorate::message::client::{Inspect, Reply, Request, SCAN_PAGE_LIMIT};
use quorate::quorum::{Consistency, QuorumRequest};
use quorate::sim::Cluster;
use quorate::types::{BucketKind, Change, KeyPage, Object, Objects, Page, Typed, TypedObjects};
use quorate::version::OperationId;
use std::sync::{Arc, Mutex, MutexGuard};

/// One node of the simulator, as a client of it sees it.
#[derive(Clone)]
struct Through {
    cluster: Arc<Mutex<Cluster>>,
    number: usize,
}

impl Through {
    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().expect("no test has panicked with it")
    }

    fn ask(&self, request: Request) -> Result<Reply, Error> {
        let is_write = matches!(request, Request::Put { .. });
        match self.cluster().ask(self.number, request) {
            Some(Reply::Failed(error)) => Err(error),
            Some(reply) => Ok(reply),
            None if is_write => Err(Error::OutcomeUnknown { required: 1, received: 0 }),
            None => Err(Error::Timeout { required: 1, received: 0 }),
        }
    }
}

impl Objects for Through {
    fn operation(&self) -> OperationId {
        operation()
    }

    async fn read(&self, item: Item, quorum: QuorumRequest) -> Result<Object, Error> {
        match self.ask(Request::Get { item, quorum })? {
            Reply::Got { values, context, .. } => {
                let values = values.into_iter().map(|version| version.value).collect();
                Ok(Object { values, context })
            }
            other => panic!("not read: {other:?}"),
        }
    }

    async fn write(&self, change: Change, quorum: QuorumRequest) -> Result<String, Error> {
        let Change { item, value, context, operation, .. } = change;
        let put = Request::Put {
            item,
            quorum,
            value,
            context,
            operation,
            expires_at: None,
            tried_since: None,
        };
        match self.ask(put)? {
            Reply::Written { context, .. } => Ok(context),
            other => panic!("not written: {other:?}"),
        }
    }

    async fn range(
        &self,
        bucket: &str,
        key: Bytes,
        from: Bytes,
        to: Bytes,
        quorum: QuorumRequest,
    ) -> Result<Page, Error> {
        let (bucket, limit) = (bucket.into(), SCAN_PAGE_LIMIT);
        match self.ask(Request::Scan { bucket, key, from, to, limit, quorum, reverse: false })? {
            Reply::Page { items, next } => {
                let items = items.into_iter().map(|item| {
                    let values = item.values.into_iter().map(|version| version.value).collect();
                    (item.sort, Object { values, context: item.context })
                });
                Ok(Page { items: items.collect(), next })
            }
            other => panic!("no page: {other:?}"),
        }
    }

    async fn keys(&self, _: &str, _: Bytes, _: u32, _: QuorumRequest) -> Result<KeyPage, Error> {
        unreachable!("no typed operation lists keys")
    }
}

impl TypedObjects for Through {
    async fn bucket_kind(&self, bucket: &str) -> Result<BucketKind, Error> {
        let buckets = inspect(&mut self.cluster(), self.number, Inspect::Buckets);
        let buckets = buckets["buckets"].as_array().expect("a list").iter();
        let found =
            buckets.filter(|found| found["name"] == bucket).find_map(|b| b["type"].as_str());
        Ok(found.and_then(DataType::named).map_or(BucketKind::Missing, BucketKind::Typed))
    }

    async fn create_typed(&self, bucket: &str, kind: DataType) -> Result<(), Error> {
        let spec =
            quorate::message::client::BucketSpec { kind: Some(kind.name().into()), ..spec(bucket) };
        self.ask(Request::CreateBucket(spec)).map(drop)
    }
}

/// Does it to its end: the simulated time passes inside.
fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// Five nodes, each a process with actors of its own, and the buckets `counts` and `sets`.
fn world(seed: u64) -> (Arc<Mutex<Cluster>>, Vec<Typed<Through>>) {
    let (cluster, ..) = five(seed);
    let cluster = Arc::new(Mutex::new(cluster));
    let through = |number| Through { cluster: cluster.clone(), number };
    now(through(1).create_typed("counts", DataType::Counter)).expect("agreed");
    now(through(1).create_typed("sets", DataType::Set)).expect("agreed");
    everybody_knows(&mut cluster.lock().expect("sound"), 5, 3);
    let typed = (1..=5).map(|n| Typed::new(through(n), Arc::default(), || 1)).collect();
    (cluster, typed)
}

/// Cuts the owners of `k` in the bucket into two and one, each with one of the other nodes beside it: at R = 1 both sides
/// read, and with a stand-in both write. The two sides, as places in the list of nodes.
fn splits(cluster: &Mutex<Cluster>, bucket: &str) -> [Vec<usize>; 2] {
    let mut cluster = cluster.lock().expect("sound");
    let found =
        inspect(&mut cluster, 1, Inspect::Locate(Item { bucket: bucket.into(), ..item("k") }));
    let owners = found["owners"].as_array().expect("a list").iter();
    let number = |name: &serde_json::Value| name.as_str().expect("a name")[1..].parse().expect("n");
    let owners: Vec<usize> = owners.map(number).collect();
    let others = all_but(5, &owners);
    let one = [owners[0], owners[1], others[0]];
    let other = [owners[2], others[1]];
    cluster.network.partition(&one, &other);
    [one.map(|number| number - 1).to_vec(), other.map(|number| number - 1).to_vec()]
}

/// What reads ask for here: one owner is enough, for whatever it lacks is joined later.
fn one() -> Option<QuorumRequest> {
    Some(level(Consistency::One))
}

/// Heals the network and waits until the owners of both keys hold the same.
fn heals(cluster: &Mutex<Cluster>) {
    let mut cluster = cluster.lock().expect("sound");
    cluster.network.heal();
    secs(&mut cluster, 60);
}

#[test]
fn both_sides_of_a_partition_count_and_the_sum_is_exact() {
    for seed in [811, 812, 813] {
        let (cluster, typed) = world(seed);
        let counters = |node: usize| typed[node].counters("counts").quorums(one(), None);
        let add = |node: usize, by| now(counters(node).add("k", by));
        assert_eq!(add(0, 10), Ok(10));
        let sides = splits(&cluster, "counts");
        let mut counted = [false; 2];
        let (mut sum, mut unsure, mut named) = (10, 0, Vec::new());
        for round in 0..10_i64 {
            for node in 0..5 {
                match add(node, round) {
                    Ok(_) => {
                        sum += round;
                        counted[usize::from(sides[1].contains(&node))] = true;
                    }
                    Err(Error::OutcomeUnknown { .. }) => unsure += round,
                    Err(error) if error.is_retryable() => {}
                    Err(error) => panic!("{error}"),
                }
                // Begun on one side, and done again until it is done, on the other, too.
                let name = operation();
                let other_side = usize::from(sides[0].contains(&node));
                for tried in [node, sides[other_side][0]] {
                    let _ = now(counters(tried).add_once("k", 1, name));
                }
                named.push(name);
            }
        }
        assert_eq!(counted, [true; 2], "both sides can count: {sum}");
        heals(&cluster);
        for name in &named {
            now(typed[2].counters("counts").add_once("k", 1, *name)).expect("healed");
        }
        heals(&cluster);
        let sum = sum + named.len() as i64;
        let seen: Vec<_> = typed.iter().map(|t| now(t.counters("counts").get("k"))).collect();
        let first = seen[0].clone().expect("healed");
        assert!(seen.iter().all(|value| *value == Ok(first)), "{seen:?}");
        assert!(
            (sum..=sum + unsure).contains(&first),
            "{seed}: {first}, not {sum} to {unsure} more"
        );
    }
}

#[test]
fn what_one_side_adds_survives_what_the_other_side_removes() {
    let (cluster, typed) = world(821);
    let sets = |node: usize| typed[node].sets("sets");
    now(sets(0).add("k", ["a", "b", "c"])).expect("added");
    secs(&mut cluster.lock().expect("sound"), 10);
    let [here, there] = splits(&cluster, "sets");
    let at = |node: usize| sets(node).quorums(one(), None);
    assert_eq!(now(at(here[0]).remove("k", ["a", "b"])), Ok(2));
    assert_eq!(now(at(there[0]).add("k", ["a"])), Ok(()));
    assert_eq!(now(at(there[1]).add("k", ["d"])), Ok(()));
    heals(&cluster);
    let expected: Vec<Bytes> = ["a", "c", "d"].map(Bytes::from).to_vec();
    for node in 0..5 {
        assert_eq!(now(sets(node).members("k").collect()), Ok(expected.clone()), "n{}", node + 1);
    }
}

#[test]
fn a_plain_put_into_a_typed_bucket_is_refused_by_whichever_node() {
    let (cluster, typed) = world(831);
    assert_eq!(now(typed[0].counters("counts").add("k", 1)), Ok(1));
    for number in 1..=5 {
        let item = Item { bucket: "counts".into(), ..item("k") };
        let plain = match put("k", "5", "") {
            Request::Put { quorum, value, context, operation, .. } => Request::Put {
                item,
                quorum,
                value,
                context,
                operation,
                expires_at: None,
                tried_since: None,
            },
            _ => unreachable!("a put"),
        };
        let refused = failed(cluster.lock().expect("sound").ask(number, plain));
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
    assert_eq!(now(typed[4].counters("counts").get("k")), Ok(1));
}
