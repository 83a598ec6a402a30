//! `quorate latency`: how long each node takes to answer, one question at a time.
//!
//! ```text
//!   round:  n1 ping ─ n1 get ─ n2 ping ─ n2 get ─ n3 … then a pause, and again
//! ```
//!
//! Nothing else of this client is under way meanwhile, so it is the wait of one and not of a crowd; for that there is
//! `bench`. (After `redis-cli --latency`.)

use super::args::LatencyArgs;
use super::connect::{connect, inspect, keys};
use super::failure::{Failure, Result};
use super::output::{Format, align_right, cell, json, say, show, table};
use super::progress;
use super::units::{show_count, show_duration};
use crate::client::{Client, ExecutionProfile, Inspect, Keyring, RetryPolicy};
use comfy_table::Table;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long a node may take before it counts as failed.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What one node was asked, and how long it took.
struct Asked {
    node: String,
    address: String,
    /// `ping` or `get`.
    what: &'static str,
    /// In microseconds.
    took: Histogram<u64>,
    failed: u64,
}

impl Asked {
    fn new(node: &str, address: &str, what: &'static str) -> Asked {
        // Beyond the limit nothing is waited for; twice of it has room for a busy machine.
        let limit = 2 * ANSWER_LIMIT.as_micros() as u64;
        let took = Histogram::new_with_max(limit, 3).expect("seconds in µs can be bucketed");
        Asked { node: node.into(), address: address.into(), what, took, failed: 0 }
    }

    fn note<T>(&mut self, since: Instant, answer: &crate::Result<T>) {
        match answer {
            Ok(_) => self.took.saturating_record(since.elapsed().as_micros() as u64),
            Err(_) => self.failed += 1,
        }
    }

    /// Shortest, mean, median, 99th percentile, longest; nothing if it never answered.
    fn figures(&self) -> Option<[u64; 5]> {
        let took = &self.took;
        let quantile = |share| took.value_at_quantile(share);
        let figures =
            [took.min(), took.mean().round() as u64, quantile(0.5), quantile(0.99), took.max()];
        (!took.is_empty()).then_some(figures)
    }
}

/// One node and its own client.
struct Node {
    client: Option<Client>,
    keys: Option<Keyring>,
    name: String,
    address: String,
}

impl Node {
    /// A client of this node alone: it asks nobody else in its place, and nothing twice.
    async fn client(&mut self) -> crate::Result<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let retries = RetryPolicy::never();
        let profile =
            ExecutionProfile { timeout: ANSWER_LIMIT, retries, ..ExecutionProfile::default() };
        let builder =
            Client::builder().nodes([&self.address]).keys(self.keys.clone()).profile(profile);
        let client = builder.name("quorate latency").build().await?;
        self.client = Some(client.clone());
        Ok(client)
    }
}

/// Asks every member in turn, for so long or until it is interrupted.
pub(super) async fn latency(args: LatencyArgs) -> Result<()> {
    let mut nodes = members(&args).await?;
    let item = args.bucket.as_deref().zip(args.key.as_deref());
    let questions: &[&'static str] = if item.is_some() { &["ping", "get"] } else { &["ping"] };
    let mut asked: Vec<Asked> = nodes
        .iter()
        .flat_map(|node| questions.iter().map(|what| Asked::new(&node.name, &node.address, what)))
        .collect();
    let spinner = progress::spinner("asking");
    let began = Instant::now();
    let rounds = async {
        for round in 1_u64.. {
            for (node, asked) in nodes.iter_mut().zip(asked.chunks_mut(questions.len())) {
                ask(node, asked, item).await;
            }
            let seconds = began.elapsed().as_secs();
            spinner.set_message(format!("{} rounds in {seconds} s", show_count(round)));
            tokio::time::sleep(args.interval).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = tokio::time::sleep(args.duration) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    spinner.finish_and_clear();
    if asked.iter().all(|asked| asked.took.is_empty()) {
        let why = format!("none of {} nodes answered", nodes.len());
        return Err(Failure::new("unreachable", why, "is the cluster up? see `quorate members`"));
    }
    match args.print.output {
        Format::Json => json(&report_json(began.elapsed(), &asked)),
        Format::Table => {
            show(&report_table(&asked))?;
            say(format!("over {}", show_duration(began.elapsed())))
        }
    }
}

/// Who is there, as one of the named nodes knows.
async fn members(args: &LatencyArgs) -> Result<Vec<Node>> {
    let answer = inspect(&connect(&args.target).await?, Inspect::Members).await?;
    let members = answer["members"].as_array().map_or(&[][..], Vec::as_slice);
    let there = members.iter().filter(|m| m["state"] == "alive" || m["state"] == "suspect");
    let keys = keys(&args.target)?;
    let node = |member: &Value| {
        let (name, address) = (cell(&member["name"]), cell(&member["address"]));
        Node { client: None, keys: keys.clone(), name, address }
    };
    Ok(there.map(node).collect())
}

/// One round at one node: a ping, and a get if an item was named.
async fn ask(node: &mut Node, asked: &mut [Asked], item: Option<(&str, &str)>) {
    let Ok(client) = node.client().await else {
        return asked.iter_mut().for_each(|asked| asked.failed += 1);
    };
    for asked in asked {
        let since = Instant::now();
        match (asked.what, item) {
            ("get", Some((bucket, key))) => {
                let answer = client.get(bucket, key).await;
                asked.note(since, &answer);
            }
            _ => {
                let answer = client.inspect(Inspect::Info).await;
                asked.note(since, &answer);
            }
        }
    }
}

fn report_json(took: Duration, asked: &[Asked]) -> Value {
    let nodes = asked.iter().map(|asked| {
        let figure = |at: usize| asked.figures().map(|figures| figures[at]);
        json!({
            "node": asked.node,
            "address": asked.address,
            "asked": asked.what,
            "count": asked.took.len(),
            "failed": asked.failed,
            "min_us": figure(0),
            "avg_us": figure(1),
            "p50_us": figure(2),
            "p99_us": figure(3),
            "max_us": figure(4),
        })
    });
    json!({ "seconds": took.as_secs_f64(), "nodes": nodes.collect::<Vec<_>>() })
}

fn report_table(asked: &[Asked]) -> Table {
    let columns =
        ["node", "address", "asked", "count", "min", "avg", "p50", "p99", "max", "failed"];
    let mut table = table(&columns);
    align_right(&mut table, &[3, 4, 5, 6, 7, 8, 9]);
    for asked in asked {
        let figure = |at: usize| {
            let us = asked.figures().map(|figures| figures[at]);
            us.map_or_else(|| "-".into(), |us| show_duration(Duration::from_micros(us)))
        };
        let mut row = vec![asked.node.clone(), asked.address.clone(), asked.what.into()];
        row.push(show_count(asked.took.len()));
        row.extend((0..5).map(figure));
        row.push(show_count(asked.failed));
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_answered_has_figures_and_one_that_did_not_has_none() {
        let mut asked = [Asked::new("n1", "a:1", "ping"), Asked::new("n2", "a:2", "get")];
        for us in 1..=100 {
            asked[0].took.saturating_record(us);
        }
        asked[1].failed = 3;
        let json = report_json(Duration::from_secs(2), &asked);
        let (one, two) = (&json["nodes"][0], &json["nodes"][1]);
        let names = ["min_us", "avg_us", "p50_us", "p99_us", "max_us"];
        let figures = names.map(|name| one[name].as_u64());
        assert_eq!(figures, [1, 51, 50, 99, 100].map(Some));
        assert_eq!((&one["count"], &one["asked"]), (&json!(100), &json!("ping")));
        assert!(names.iter().all(|name| two[name].is_null()) && two["failed"] == 3);
        let text = report_table(&asked).to_string();
        assert!(text.contains("99 µs") && text.contains("AVG"), "{text}");
    }
}
