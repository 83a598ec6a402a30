//! A cluster of local processes that stays up after the command ends.
//!
//! ```text
//! D/cluster.toml   nodes, base port, founded
//! D/n1/ D/n2/ …    a folder a node
//! ```
//!
//! Node i listens on P+10·i (native), +1 (HTTP), +2 (RESP).
//!
//! * Only a cluster that was never founded is founded, once, by n1, before any other node starts. From
//!   then on every node joins, n1 too: after `wipe 1` it must not found a second cluster.

mod acquainted;
mod layout;
mod start;
mod status;

use super::args::{ClusterArgs, ClusterCommand};
use super::failure::{About, Failure, Result};
use super::local::LocalNode;
use super::output::say;
use layout::Cluster;
use rustix::process::Signal;
use std::time::Duration;

/// How long an orderly stop may take before it is cut short.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// `quorate cluster …`.
pub(super) async fn run(args: ClusterArgs) -> Result<()> {
    let dir = args.dir;
    match args.command {
        ClusterCommand::Start { nodes, base_port, sealed, timeout } => {
            let cluster = Cluster::open_or_new(&dir, nodes, base_port)?;
            if sealed {
                cluster.seal()?;
            }
            start::start(cluster, timeout).await
        }
        ClusterCommand::Stop => stop(&Cluster::open(&dir)?),
        ClusterCommand::Status { print } => {
            status::status(&Cluster::open(&dir)?, print.output).await
        }
        ClusterCommand::Kill(nodes) => {
            for node in Cluster::open(&dir)?.select(&nodes.numbers)? {
                told(&node, node.kill()?, "killed")?;
            }
            Ok(())
        }
        ClusterCommand::Restart { nodes, timeout } => {
            let cluster = Cluster::open(&dir)?;
            start::restart(&cluster, cluster.select(&nodes.numbers)?, timeout).await
        }
        ClusterCommand::Wipe(nodes) => {
            for node in Cluster::open(&dir)?.select(&nodes.numbers)? {
                wipe(&node)?;
            }
            Ok(())
        }
        ClusterCommand::Pause(nodes) => signal(&dir, &nodes.numbers, Signal::STOP, "paused"),
        ClusterCommand::Resume(nodes) => signal(&dir, &nodes.numbers, Signal::CONT, "resumed"),
    }
}

fn told(node: &LocalNode, was_up: bool, what: &str) -> Result<()> {
    say(format!("{} {}", node.name, if was_up { what } else { "was down already" }))
}

fn signal(dir: &std::path::Path, numbers: &[u16], signal: Signal, what: &str) -> Result<()> {
    for node in Cluster::open(dir)?.select(numbers)? {
        if !node.signal(signal)? {
            return Err(Failure::new(
                "unavailable",
                format!("{} is down", node.name),
                "start it with `quorate cluster restart`",
            ));
        }
        say(format!("{} {what}", node.name))?;
    }
    Ok(())
}

fn wipe(node: &LocalNode) -> Result<()> {
    node.kill()?;
    match std::fs::remove_dir_all(node.data()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).about(node.data().display())?;
        }
        _ => {}
    }
    say(format!("{} wiped", node.name))
}

fn stop(cluster: &Cluster) -> Result<()> {
    let nodes = cluster.nodes();
    let mut ending = Vec::new();
    for node in &nodes {
        ending.extend(node.end()?.map(|process| (node, process)));
    }
    for (node, process) in ending {
        if node.is_gone(&process, STOP_LIMIT)? {
            say(format!("{} stopped", node.name))?;
        } else {
            node.kill()?;
            let limit = STOP_LIMIT.as_secs();
            say(format!("{} did not stop within {limit} s: killed", node.name))?;
        }
    }
    Ok(())
}
