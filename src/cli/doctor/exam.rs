//! The look at every node: what it answered, how its clock stood, and its hints a while later.
//!
//! A clock is read over a question's round trip. The node answered somewhere between asking and hearing, so its clock is
//! known up to half of that: of a few readings the one with the shortest round trip counts (as in Cristian's algorithm,
//! 1989).

use crate::cli::args::Target;
use crate::cli::census::{Respondent, census};
use crate::cli::failure::Result;
use crate::cli::probe::http_json;
use crate::client::Inspect;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// How many nodes are asked at a time.
const ASKED_AT_ONCE: usize = 32;
/// How often a clock is read.
const CLOCK_READINGS: usize = 5;

/// A clock, compared with the one of this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cli) struct ClockReading {
    /// How far it is ahead of ours, in milliseconds.
    pub offset_ms: f64,
    /// How wrong that may be, either way.
    pub error_ms: f64,
}

impl ClockReading {
    /// Of one question: when it was asked by our calendar, how long the answer took, and what the node's clock showed.
    pub fn of(asked_ms: f64, took_ms: f64, shown_ms: f64) -> ClockReading {
        // The clock is told in whole milliseconds.
        let (offset_ms, error_ms) = (shown_ms - asked_ms - took_ms / 2.0, took_ms / 2.0 + 1.0);
        ClockReading { offset_ms, error_ms }
    }
}

/// What one node answered; null where it did not.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Answered {
    pub info: Value,
    pub status: Value,
    pub members: Value,
    pub ring: Value,
    pub hints: Value,
    /// The hints, a while later.
    pub hints_later: Value,
    pub partitions: Value,
    pub buckets: Value,
    /// Over HTTP, for the disk is known to the driver only.
    pub metrics: Value,
    pub clock: Option<ClockReading>,
}

/// One node.
#[derive(Clone, Debug)]
pub(in crate::cli) struct NodeExam {
    pub name: String,
    pub address: String,
    /// What the node that was asked first believes of it.
    pub believed: String,
    /// Its answers, or why there are none.
    pub answered: Result<Answered, String>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Exam {
    /// By name.
    pub nodes: Vec<NodeExam>,
    /// Addresses that were named and did not answer, with why.
    pub silent: Vec<(String, String)>,
    /// Hints were looked at twice.
    pub twice: bool,
}

impl Exam {
    /// Asks everybody. `between` is how long until the second look at hints, if any are pending; `tell` hears how far
    /// it is.
    ///
    /// # Errors
    /// `unreachable` when no named address answers.
    pub async fn take(target: &Target, between: Duration, tell: impl Fn(&str)) -> Result<Exam> {
        let census = census(target).await?;
        let mut exam = Exam { nodes: Vec::new(), silent: census.silent, twice: false };
        let mut waiting = census.members.into_iter();
        let mut under_way = JoinSet::new();
        let mut done = Vec::new();
        loop {
            while under_way.len() < ASKED_AT_ONCE
                && let Some(node) = waiting.next()
            {
                under_way.spawn(examine(node));
            }
            let Some(examined) = under_way.join_next().await else { break };
            done.extend(examined.ok());
        }
        done.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let pending = |exam: &NodeExam| {
            exam.answered.as_ref().is_ok_and(|a| a.hints["pending"].as_u64() > Some(0))
        };
        if !between.is_zero() && done.iter().any(|(_, exam)| pending(exam)) {
            tell("hints are pending: looking at them once more in a moment");
            tokio::time::sleep(between).await;
            exam.twice = true;
            for (node, exam) in &mut done {
                if let Ok(answered) = &mut exam.answered {
                    answered.hints_later = node.ask(Inspect::Hints).await.unwrap_or_default();
                }
            }
        }
        exam.nodes = done.into_iter().map(|(_, exam)| exam).collect();
        Ok(exam)
    }

    /// The nodes that answered, with what they said.
    pub fn answered(&self) -> impl Iterator<Item = (&NodeExam, &Answered)> {
        self.nodes.iter().filter_map(|node| Some((node, node.answered.as_ref().ok()?)))
    }
}

async fn examine(mut node: Respondent) -> (Respondent, NodeExam) {
    let answered = ask_all(&mut node).await;
    let Respondent { name, address, believed, .. } = node.clone();
    (node, NodeExam { name, address, believed, answered })
}

async fn ask_all(node: &mut Respondent) -> Result<Answered, String> {
    // The first answer says whether there is anybody; the connection is made with it, so no clock is read by it.
    let info = node.ask(Inspect::Info).await?;
    let clock = read_clock(node).await;
    let mut ask = async |question| node.ask(question).await.unwrap_or_default();
    let status = ask(Inspect::Status).await;
    let members = ask(Inspect::Members).await;
    let ring = ask(Inspect::Ring).await;
    let hints = ask(Inspect::Hints).await;
    let partitions = ask(Inspect::Partitions).await;
    let buckets = ask(Inspect::Buckets).await;
    let http = info["http"].as_str().and_then(|http| reachable(http, &node.address));
    let metrics = match http {
        Some(http) => http_json(http, "/metrics").await.unwrap_or_default(),
        None => Value::Null,
    };
    let hints_later = Value::Null;
    Ok(Answered {
        info,
        status,
        members,
        ring,
        hints,
        hints_later,
        partitions,
        buckets,
        metrics,
        clock,
    })
}

/// Where a node's HTTP is asked, by what it tells. A loopback address of a node elsewhere is one on *its* machine: on ours
/// another node may listen there, whose disk is not this one's.
fn reachable(http: &str, native: &str) -> Option<SocketAddr> {
    let (http, native): (SocketAddr, SocketAddr) = (http.parse().ok()?, native.parse().ok()?);
    (!http.ip().is_loopback() || native.ip().is_loopback()).then_some(http)
}

async fn read_clock(node: &mut Respondent) -> Option<ClockReading> {
    let mut best: Option<ClockReading> = None;
    for _ in 0..CLOCK_READINGS {
        let asked_ms = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() * 1e3;
        let began = Instant::now();
        let Some(shown) = node.ask(Inspect::Info).await.ok()?["wall_ms"].as_f64() else { break };
        let reading = ClockReading::of(asked_ms, began.elapsed().as_secs_f64() * 1e3, shown);
        if best.is_none_or(|best| reading.error_ms < best.error_ms) {
            best = Some(reading);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_never_asked_of_whoever_listens_here_by_chance() {
        assert!(reachable("127.0.0.1:7611", "127.0.0.1:7610").is_some());
        assert!(reachable("10.0.0.2:7611", "10.0.0.2:7610").is_some());
        assert_eq!(reachable("127.0.0.1:7611", "10.0.0.2:7610"), None);
        assert_eq!(reachable("nowhere", "10.0.0.2:7610"), None);
    }
}
