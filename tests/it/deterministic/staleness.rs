//! What a node predicts of stale reads, against reads that were stale: whole nodes, real bytes, simulated time, and
//! ways that take as long as a distribution says.
//!
//! ```text
//!   n1   put k17, w = 1 ─► durable here: acknowledged ── t ──┐       Replicate ──────► n2, n3: some time
//!   n2                                             get k17, r = 1: is it there?
//! ```
//!
//! Each key is written once and read once: a read mends what it finds, and the next one would be fresher for it.
//! The model was built on the exponential distribution; it has not seen the two others.

use crate::schedules::kit::*;
use quorate::message::client::{Inspect, Request};
use quorate::node::Timing;
use quorate::quorum::Consistency;
use quorate::sim::{Cluster, Delays, Options};
use quorate::time::Duration;
use serde_json::Value;

/// So many reads are measured for each distribution.
const READS: usize = 10_000;
/// The prediction may be so far off.
const POINTS: f64 = 0.05;
/// How long a request of a client is on its way to its node.
const TO_THE_NODE: Duration = Duration::from_micros(10);
/// By then what was written has nearly always come everywhere, and the next one does not queue behind it.
const APART: Duration = Duration::from_millis(60);
/// Until so many round trips are known; a window is full then.
const ROUND_TRIPS: u64 = 2048;

/// Three nodes whose bucket `b` is known to all; nothing is compared meanwhile.
fn three(seed: u64) -> Cluster {
    let timing = Timing { sync: Duration::from_secs(86_400), ..Timing::default() };
    let mut c = Cluster::new(Options { nodes: 3, seed, timing, ..Options::default() });
    formed(&mut c, 3);
    assert_eq!(
        c.ask(1, Request::CreateBucket(spec("b"))),
        Some(quorate::message::client::Reply::Agreed)
    );
    everybody_knows(&mut c, 3, 1);
    c
}

fn staleness(c: &mut Cluster) -> Value {
    inspect(c, 1, Inspect::Staleness)
}

/// Asks again and again, so that the ways are sounded.
fn sound(c: &mut Cluster) {
    until(c, "the ways are known", |c| {
        let answer = staleness(c);
        let replicas = answer["replicas"].as_array().expect("a list");
        let known = |replica: &Value| replica["round_trips"].as_u64().unwrap_or(ROUND_TRIPS);
        secs(c, 1);
        replicas.iter().map(known).min() >= Some(ROUND_TRIPS)
    });
}

/// Runs until the answer is there.
fn answered(c: &mut Cluster, by: usize, request: Request) -> quorate::sim::Outcome {
    let sent = c.send(by, request);
    assert!(c.run_until(Duration::from_secs(5), |c| c.answered(sent)), "n{by} does not answer");
    c.answer(sent)
}

/// One write through n1, and one read of it through another, so many ms later. Whether that missed it.
fn misses(c: &mut Cluster, key: &str, by: usize, after_ms: u64, r: Consistency) -> bool {
    acked(answered(c, 1, put_at(key, "v", "", level(Consistency::One))));
    c.run_for(Duration::from_millis(after_ms) - TO_THE_NODE);
    let read = answered(c, by, get(key, level(r)));
    let (values, _) = got(read);
    c.run_for(APART);
    values.is_empty()
}

/// The chance of a stale read through another owner, so many ms after a write at w = 1.
fn predicted(answer: &Value, r: u64, after_ms: u64) -> f64 {
    let times = answer["after_ms"].as_array().expect("a list");
    let at = times.iter().position(|ms| ms.as_f64() == Some(after_ms as f64)).expect("told");
    let pairs = answer["predictions"].as_array().expect("a list");
    let pair = pairs.iter().find(|pair| pair["r"] == r && pair["w"] == 1).expect("told");
    pair["elsewhere"]["stale"][at].as_f64().unwrap_or_else(|| panic!("no chance: {answer}"))
}

/// What is measured, and how often.
struct Study {
    delays: Delays,
    r: Consistency,
    after_ms: [u64; 4],
    reads: usize,
    seed: u64,
}

impl Study {
    /// Measures, predicts, and compares.
    fn agrees(&self) {
        let mut c = three(self.seed);
        c.network.streams = Some(self.delays);
        sound(&mut c);
        let mut stale = [0_usize; 4];
        for number in 0..self.reads {
            let (at, by) = (number % 4, 2 + number / 4 % 2);
            let key = format!("k{number}");
            stale[at] += usize::from(misses(&mut c, &key, by, self.after_ms[at], self.r));
        }
        let answer = staleness(&mut c);
        let mut between = 0;
        for (ms, stale) in self.after_ms.into_iter().zip(stale) {
            let truth = stale as f64 / (self.reads / 4) as f64;
            let found = predicted(&answer, self.r.required(3) as u64, ms);
            println!("{:?}, {ms} ms: predicted {found:.3}, measured {truth:.3}", self.delays);
            assert!(
                (found - truth).abs() <= POINTS,
                "{ms} ms: {found} predicted, {truth} measured"
            );
            between += usize::from((0.05..=0.95).contains(&truth));
        }
        assert!(between >= 3, "between 5 and 95 % only {between} times: {stale:?}");
    }
}

const EXPONENTIAL: Delays = Delays::Exponential { mean: Duration::from_millis(10) };
const LOGNORMAL: Delays = Delays::Lognormal { median: Duration::from_millis(8), sigma: 0.6 };

#[test]
fn what_is_predicted_is_what_happens_on_exponential_ways() {
    let (r, after_ms) = (Consistency::One, [1, 5, 10, 20]);
    Study { delays: EXPONENTIAL, r, after_ms, reads: READS, seed: 701 }.agrees();
}

#[test]
fn and_on_lognormal_ways_which_the_model_was_not_built_on() {
    let (r, after_ms) = (Consistency::One, [2, 5, 10, 20]);
    Study { delays: LOGNORMAL, r, after_ms, reads: READS, seed: 702 }.agrees();
}

#[test]
fn and_where_a_read_asks_another_replica_and_hedges() {
    let (r, after_ms) = (Consistency::Two, [1, 2, 5, 10]);
    Study { delays: LOGNORMAL, r, after_ms, reads: READS / 2, seed: 703 }.agrees();
}
