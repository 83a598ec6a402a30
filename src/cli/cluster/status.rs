//! `quorate cluster status`: processes, ports, readiness; seen from outside, so it works on any wreck.

use super::layout::Cluster;
use crate::cli::failure::Result;
use crate::cli::output::{Format, align_right, cell, json, show, table};
use crate::cli::probe;
use serde_json::{Value, json};

pub(super) async fn status(cluster: &Cluster, format: Format) -> Result<()> {
    let mut nodes = Vec::new();
    for (node, number) in cluster.nodes().iter().zip(1..) {
        let process = node.process();
        let (ready, reason) = match process.pid() {
            None => (false, None),
            Some(_) => match probe::ready(node.http).await {
                Ok(()) => (true, None),
                Err(reason) => (false, Some(reason)),
            },
        };
        nodes.push(json!({
            "name": node.name,
            "state": process.name(),
            "pid": process.pid().map(|pid| pid.as_raw_pid()),
            "native": node.native.to_string(),
            "http": node.http.to_string(),
            "resp": node.resp.to_string(),
            "resp": cluster.address(number, 2).to_string(),
            "ready": ready,
            "reason": reason,
            "data": node.data().display().to_string(),
        }));
    }
    if format == Format::Json {
        return json(&json!({ "nodes": nodes }));
    }
    show(&render(&nodes))
}

fn render(nodes: &[Value]) -> comfy_table::Table {
    let mut table = table(&["node", "state", "pid", "native", "http", "ready"]);
    align_right(&mut table, &[2]);
    for node in nodes {
        let ready = match (&node["ready"], &node["reason"]) {
            (Value::Bool(true), _) => "yes".to_string(),
            (_, Value::String(reason)) => format!("no: {reason}"),
            _ => "no".to_string(),
        };
        let field = |name: &str| cell(&node[name]);
        table.add_row([
            field("name"),
            field("state"),
            field("pid"),
            field("native"),
            field("http"),
            ready,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_who_is_up_and_why_not_ready() {
        let nodes = [
            json!({"name": "n1", "state": "up", "pid": 7, "native": "a", "http": "b", "ready": true, "reason": null}),
            json!({"name": "n2", "state": "down", "pid": null, "native": "a", "http": "b", "ready": false, "reason": null}),
            json!({"name": "n3", "state": "paused", "pid": 9, "native": "a", "http": "b", "ready": false, "reason": "joining"}),
        ];
        let text = render(&nodes).to_string();
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["n1", "up", "7", "a", "b", "yes"]);
        assert_eq!(rows[2], ["n2", "down", "-", "a", "b", "no"]);
        assert_eq!(rows[3][5..], ["no:", "joining"]);
    }
}
