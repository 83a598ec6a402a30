//! Where samples come from, when there are enough, and what is said then.

use super::super::testing::{Lone, agreement, view, without};
use super::*;
use crate::message::client::{Item, Request as Wanted};
use crate::node::ConnectionId;
use crate::quorum::QuorumRequest;
use crate::ring::BucketSettings;
use crate::version::OperationId;
use bytes::Bytes;

/// n1 and the others, three replicas.
fn lone(members: &[u64]) -> Lone {
    let mut lone = Lone::open(view(agreement(members, 3, BucketSettings::new(3))));
    lone.run_for(100);
    lone.sent.clear();
    lone
}

fn put(lone: &mut Lone, sequence: u64) {
    let item = Item { bucket: "b".into(), key: Bytes::from_static(b"k"), sort: Bytes::new() };
    let wanted = Wanted::Put {
        item,
        quorum: QuorumRequest { count: Some(1), ..QuorumRequest::default() },
        value: Some(Bytes::from_static(b"v")),
        context: String::new(),
        operation: OperationId { session: 1, sequence },
        expires_at: None,
        tried_since: None,
    };
    lone.turn(|shard, turn| shard.serve_client(ConnectionId(1), sequence, 0, wanted, turn));
}

fn asked(lone: &mut Lone) -> Value {
    lone.turn(|shard, turn| shard.staleness_json(turn))
}

/// Whom soundings went to since the last time.
fn soundings(lone: &mut Lone) -> Vec<u64> {
    let sent = lone.sent.drain(..);
    let sounded = sent.filter(|(_, header, message)| {
        matches!(message, Data::CountHints) && header.request == SOUNDING
    });
    sounded.map(|(to, ..)| to.0).collect()
}

fn us(us: usize) -> Duration {
    Duration::from_micros(us as u64)
}

/// As many samples as are needed: peers have it after 0.6 to 1.6 ms, this node after a tenth; 0.2 ms there and back.
fn fill(lone: &mut Lone, peers: &[u64]) {
    let freshness = &mut lone.shard.freshness;
    for at in 0..ENOUGH {
        freshness.stored_here(us(100));
        for peer in peers {
            freshness.stored(NodeId(*peer), us(700 + at * 1_000 / ENOUGH));
            freshness.answered(NodeId(*peer), us(200));
        }
    }
}

fn pair(answer: &Value, r: u64, w: u64) -> &Value {
    let pairs = answer["predictions"].as_array().expect("a list");
    pairs.iter().find(|pair| pair["r"] == r && pair["w"] == w).expect("there")
}

#[test]
fn a_put_is_a_sample_of_every_replica_that_stores_it_also_after_the_answer() {
    let mut lone = lone(&[1, 2, 3]);
    put(&mut lone, 1);
    let replicates = lone.sent.iter().filter(|(.., m)| matches!(m, Data::Replicate { .. }));
    let request = replicates.map(|(_, header, _)| header.request).next().expect("asked");
    lone.pass(2);
    lone.settle();
    assert_eq!(lone.replies.len(), 1, "one slot was enough");
    lone.hear(2, request, Data::Replicated);
    lone.pass(5);
    lone.hear(3, request, Data::Replicated);
    lone.hear(3, request, Data::Replicated);
    let freshness = &lone.shard.freshness;
    let writes = |node| freshness.peers[&NodeId(node)].writes.sorted();
    assert_eq!((writes(2), writes(3)), (vec![2_000.0], vec![7_000.0]));
    assert_eq!(freshness.here.sorted(), [2_000.0]);
}

#[test]
fn from_few_samples_nothing_is_predicted() {
    let mut lone = lone(&[1, 2, 3]);
    fill(&mut lone, &[2]);
    for _ in 1..ENOUGH {
        lone.shard.freshness.stored(NodeId(3), us(1_000));
    }
    let answer = asked(&mut lone);
    assert_eq!((&answer["enough"], &answer["predictions"]), (&json!(false), &json!([])));
    let few = ENOUGH - 1;
    assert_eq!(
        answer["verdict"],
        format!(
            "not enough samples yet: {few} of {ENOUGH} writes from here to n3, 0 of {ENOUGH} small round trips to n3"
        )
    );
    fill(&mut lone, &[3]);
    assert_eq!(asked(&mut lone)["enough"], true, "what is missing is not kept");
}

#[test]
fn ways_are_sounded_one_question_at_a_time_and_so_many_for_each_answer() {
    let mut lone = lone(&[1, 2, 3]);
    asked(&mut lone);
    assert_eq!(soundings(&mut lone), [2, 3]);
    asked(&mut lone);
    assert_eq!(soundings(&mut lone), [0; 0], "they are under way");
    for _ in 1..SOUNDINGS {
        lone.pass(1);
        lone.hear(2, SOUNDING, Data::HintCount(0));
        assert_eq!(soundings(&mut lone), [2]);
    }
    lone.hear(2, SOUNDING, Data::HintCount(0));
    lone.hear(2, SOUNDING, Data::HintCount(0));
    assert_eq!(soundings(&mut lone), [0; 0], "that was the last");
    assert_eq!(lone.shard.freshness.peers[&NodeId(2)].ways.len(), SOUNDINGS as usize);
    lone.run_for(SOUNDING_LOST.as_millis() as u64);
    lone.sent.clear();
    asked(&mut lone);
    assert_eq!(soundings(&mut lone), [2, 3], "n3 never answered");
}

#[test]
fn overlapping_quorums_are_never_stale_and_the_weakest_are_until_the_write_has_come() {
    let mut lone = lone(&[1, 2, 3]);
    fill(&mut lone, &[2, 3]);
    let answer = asked(&mut lone);
    for (r, w) in (1..=3).flat_map(|r| (1..=3).map(move |w| (r, w))).filter(|(r, w)| r + w > 3) {
        let stale = &pair(&answer, r, w)["elsewhere"]["stale"];
        assert!(stale.as_array().expect("a list").iter().all(|s| *s == 0.0), "{r} {w} {stale}");
    }
    let weakest = pair(&answer, 1, 1);
    let stale = |after: usize| weakest["elsewhere"]["stale"][after].as_f64().expect("a chance");
    // Acknowledged at 0.1 ms: the others have it 0.5 to 1.5 ms later.
    assert_eq!((stale(0), stale(2)), (1.0, 0.0));
    assert!((stale(1) - 0.5).abs() < 0.06, "{weakest}");
    assert_eq!(weakest["here"]["stale"][0], 0.0, "this one has it first");
    assert!(weakest["returning"].is_null(), "everybody is there");
}

#[test]
fn a_prediction_is_kept_for_some_seconds() {
    let mut lone = lone(&[1, 2, 3]);
    fill(&mut lone, &[2, 3]);
    let first = asked(&mut lone);
    lone.sent.clear();
    lone.pass(KEPT.as_millis() as u64 - 10);
    assert_eq!(asked(&mut lone), first);
    assert_eq!(soundings(&mut lone), [0; 0]);
    lone.pass(20);
    asked(&mut lone);
    assert_eq!(soundings(&mut lone), [2, 3]);
}

#[test]
fn who_is_away_counts_by_what_stands_in_and_by_what_is_kept_for_it() {
    let members = view(agreement(&[1, 2, 3, 4, 5], 3, BucketSettings::new(3)));
    let mut lone = lone(&[1, 2, 3, 4, 5]);
    fill(&mut lone, &[2, 3, 4]);
    lone.install(without(members, 5));
    let answer = asked(&mut lone);
    assert_eq!(answer["enough"], true, "nobody waits for samples of who is away: {answer}");
    let replicas = answer["replicas"].as_array().expect("a list");
    let away = replicas.iter().find(|replica| replica["name"] == "n5").expect("in a list");
    assert_eq!((&away["state"], &away["handed_over_ms"]), (&json!("away"), &Value::Null));
    let returning = pair(&answer, 1, 1)["returning"].clone();
    assert!(returning["stale"][8].as_f64().is_some_and(|stale| stale > 0.0), "{returning}");
    assert!(returning["fresh_999_ms"].is_null(), "nobody has seen how fast hints go");

    // A hundred hints in a second were handed over the last time.
    for at in 0..=100 {
        let now = Instant(1_000_000 + at * 10_000);
        lone.shard.freshness.handed_over(NodeId(5), now);
    }
    lone.pass(KEPT.as_millis() as u64);
    let answer = asked(&mut lone);
    let replicas = answer["replicas"].as_array().expect("a list");
    let away = replicas.iter().find(|replica| replica["name"] == "n5").expect("in a list");
    assert_eq!(away["hints_per_second"], 100.0);
    let owed = lone.shard.handoff.pending_for(NodeId(5)) as f64;
    assert_eq!(away["handed_over_ms"], 100.0 + owed * 10.0);
    assert!(pair(&answer, 1, 1)["returning"]["fresh_999_ms"].is_number());
}
