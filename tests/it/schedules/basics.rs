//! What must hold on a calm day.

use super::kit::*;
use quorate::message::client::Inspect;
use quorate::quorum::Consistency;
use quorate::time::Duration;
use quorate::version::OperationId;

#[test]
fn a_put_is_read_back_through_every_node_and_lies_on_three() {
    let mut cluster = cluster(5, 1);
    let context = acked(cluster.ask(2, put("k", "v1", "")));
    for number in 1..=5 {
        assert_eq!(got(cluster.ask(number, get("k", level(Consistency::Quorum)))).0, ["v1"]);
    }
    acked(cluster.ask(4, put("k", "v2", &context)));
    converges(&mut cluster, "k", &["v2"]);
}

#[test]
fn the_same_seed_is_the_same_trace() {
    let run = |seed| {
        let mut cluster = cluster(3, seed);
        let operation = OperationId { session: 1, sequence: 1 };
        acked(cluster.ask(2, put_as("k", Some("v1"), "", operation, level(Consistency::Quorum))));
        cluster.trace()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn two_of_three_serve_quorum_reads_although_one_was_restarted_while_the_third_is_away() {
    let mut cluster = cluster(3, 11);
    acked(cluster.ask(1, put("k", "v1", "")));
    converges(&mut cluster, "k", &["v1"]);
    cluster.kill(3);
    cluster.kill(2);
    cluster.start(2);
    cluster.run_for(Duration::from_secs(30));
    assert_eq!(got(cluster.ask(1, get("k", level(Consistency::Quorum)))).0, ["v1"]);
    let info = inspect(&mut cluster, 2, Inspect::Status);
    assert_eq!(info["ready"], true, "{info}");
}
