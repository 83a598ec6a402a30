//! `quorate scrub`: every node reads all that it holds once more, from its disk, and has mended what has rotted.

use super::args::{ScrubArgs, Target};
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, align_right, json, say, show, table};
use super::progress;
use crate::client::{Client, Inspect};
use indicatif::HumanBytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often nodes are asked how far they are.
const LOOK: Duration = Duration::from_millis(100);
/// How long it waits for what cannot be mended, because the other owners are away, after the last was.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is told of a node, under these names in JSON.
const FIELDS: [&str; 10] = [
    "records",
    "bytes",
    "damaged",
    "mended",
    "left",
    "alone",
    "places",
    "index",
    "trees",
    "trees_differed",
];

/// A node that reads.
struct Node {
    name: String,
    client: Client,
    now: Value,
}

impl Node {
    fn number(&self, field: &str) -> u64 {
        self.now[field].as_u64().unwrap_or(0)
    }

    fn is_running(&self) -> bool {
        self.now["state"] == "running"
    }
}

/// `quorate scrub [--wait]`.
pub(super) async fn scrub(args: ScrubArgs) -> Result<()> {
    let members = inspect(&connect(&args.look.target).await?, Inspect::Members).await?;
    let (mut nodes, mut away) = (Vec::new(), Vec::new());
    for member in members["members"].as_array().into_iter().flatten() {
        let name = member["name"].as_str().unwrap_or("?").to_owned();
        match begin(&name, &args.look.target, member, args.rate).await {
            Ok(node) => nodes.push(node),
            Err(_) if member["agreed"] == true => away.push(name),
            Err(_) => {}
        }
    }
    if args.wait {
        wait(&mut nodes).await?;
    }
    if args.look.print.output == Format::Json {
        json(&as_json(&nodes, &away))?;
    } else {
        as_table(&nodes, args.wait)?;
    }
    if args.wait && !away.is_empty() {
        let why = format!("not read on {}: no answer", away.join(", "));
        return Err(Failure::new("unavailable", why, "scrub again when all nodes are back"));
    }
    let left: u64 = nodes.iter().map(|node| node.number("left")).sum();
    if args.wait && left > 0 {
        let why = format!("{left} records cannot be read, and the others could not be asked");
        return Err(Failure::new(
            "unavailable",
            why,
            "they are fetched when their owners are back",
        ));
    }
    Ok(())
}

async fn begin(name: &str, target: &Target, member: &Value, rate: Option<u64>) -> Result<Node> {
    let client = connect(&target.at(member["address"].as_str().unwrap_or_default())).await?;
    let now = inspect(&client, Inspect::Scrub { begin: true, bytes_per_second: rate }).await?;
    Ok(Node { name: name.to_owned(), client, now })
}

/// Until all is read, and mended as far as that is possible. A node that dies meanwhile ends it.
async fn wait(nodes: &mut [Node]) -> Result<()> {
    let bar = progress::bytes("reading");
    let (mut before, mut since) = (None, Instant::now());
    loop {
        for node in nodes.iter_mut() {
            let look = Inspect::Scrub { begin: false, bytes_per_second: None };
            node.now = inspect(&node.client, look).await?;
        }
        let sum = |field: &str| nodes.iter().map(|node| node.number(field)).sum::<u64>();
        bar.set_length(sum("total"));
        bar.set_position(sum("bytes"));
        let (running, left) = (nodes.iter().any(Node::is_running), sum("left"));
        let now = Some((sum("bytes"), left));
        if now != before {
            (before, since) = (now, Instant::now());
        }
        if (!running && left == 0) || since.elapsed() > PATIENCE {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn as_json(nodes: &[Node], away: &[String]) -> Value {
    let node = |node: &Node| {
        let mut told = json!({ "name": node.name, "state": node.now["state"] });
        for field in FIELDS {
            told[field] = node.number(field).into();
        }
        told
    };
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>(), "away": away })
}

fn as_table(nodes: &[Node], waited: bool) -> Result<()> {
    if !waited {
        return say("begun; `quorate scrub --wait` shows how far it is and what it finds");
    }
    let columns = [
        "node",
        "records",
        "read",
        "damaged",
        "mended",
        "left",
        "only here",
        "index",
        "trees wrong",
    ];
    let mut table = table(&columns);
    align_right(&mut table, &[1, 2, 3, 4, 5, 6, 7, 8]);
    for node in nodes {
        let number = |field: &str| node.number(field).to_string();
        table.add_row([
            node.name.clone(),
            number("records"),
            HumanBytes(node.number("bytes")).to_string(),
            number("damaged"),
            number("mended"),
            number("left"),
            number("alone"),
            number("index"),
            number("trees_differed"),
        ]);
    }
    show(&table)
}
