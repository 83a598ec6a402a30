//! `quorate repair`: every node compares what it holds with the other owners now, instead of soon.

use super::args::{RepairArgs, Target};
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, align_right, json, say, show, table};
use super::progress::bar;
use crate::client::{Client, Inspect};
use serde_json::{Value, json};
use std::time::Duration;

/// How often nodes are asked how far they are.
const LOOK: Duration = Duration::from_millis(100);

/// A node that compares.
struct Node {
    name: String,
    client: Client,
    /// Its first answer, and its newest.
    begun: Value,
    now: Value,
}

impl Node {
    fn number(&self, field: &str) -> u64 {
        self.now[field].as_u64().unwrap_or(0)
    }

    /// What is still to be compared with somebody who answers.
    fn left(&self) -> u64 {
        self.number("left").saturating_sub(self.number("unreachable"))
    }

    /// Items that it took over since.
    fn mended(&self) -> u64 {
        self.number("items").saturating_sub(self.begun["items"].as_u64().unwrap_or(0))
    }
}

/// `quorate repair [--wait]`.
pub(super) async fn repair(args: RepairArgs) -> Result<()> {
    let members = inspect(&connect(&args.look.target).await?, Inspect::Members).await?;
    let (mut nodes, mut away) = (Vec::new(), Vec::new());
    for member in members["members"].as_array().into_iter().flatten() {
        let name = member["name"].as_str().unwrap_or("?").to_owned();
        match begin(&name, &args.look.target, member).await {
            Ok(node) => nodes.push(node),
            Err(_) if member["agreed"] == true => away.push(name),
            Err(_) => {}
        }
    }
    if args.wait {
        wait(&mut nodes).await?;
    }
    let is_json = args.look.print.output == Format::Json;
    if is_json {
        json(&as_json(&nodes, &away))?
    } else {
        as_table(&nodes, args.wait)?
    }
    if args.wait && !away.is_empty() {
        let why = format!("not compared with {}: no answer", away.join(", "));
        return Err(Failure::new("unavailable", why, "repair again when all nodes are back"));
    }
    Ok(())
}

async fn begin(name: &str, target: &Target, member: &Value) -> Result<Node> {
    let client = connect(&target.at(member["address"].as_str().unwrap_or_default())).await?;
    let begun = inspect(&client, Inspect::Repair { since: None }).await?;
    Ok(Node { name: name.to_owned(), client, now: begun.clone(), begun })
}

/// Until all is compared that can be. A node that dies meanwhile ends it.
async fn wait(nodes: &mut [Node]) -> Result<()> {
    let total: u64 = nodes.iter().map(|node| node.number("total")).sum();
    let progress = bar(total, "ranges compared");
    loop {
        for node in nodes.iter_mut() {
            let since = node.begun["since"].as_u64();
            node.now = inspect(&node.client, Inspect::Repair { since }).await?;
        }
        let left: u64 = nodes.iter().map(Node::left).sum();
        progress.set_position(total.saturating_sub(left));
        if left == 0 {
            progress.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn as_json(nodes: &[Node], away: &[String]) -> Value {
    let node = |node: &Node| {
        json!({
            "name": node.name,
            "ranges": node.number("total"),
            "left": node.number("left"),
            "mended": node.mended(),
        })
    };
    json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>(), "away": away })
}

fn as_table(nodes: &[Node], waited: bool) -> Result<()> {
    if !waited {
        say(
            "begun; `quorate repair --wait` shows how far it is, `quorate status` when it was done",
        )?;
        return Ok(());
    }
    let mut table = table(&["node", "ranges", "left", "items mended"]);
    align_right(&mut table, &[1, 2, 3]);
    for node in nodes {
        let numbers = ["total", "left"].map(|field| node.number(field).to_string());
        let [total, left] = numbers;
        table.add_row([node.name.clone(), total, left, node.mended().to_string()]);
    }
    show(&table)
}
