//! Starting nodes and waiting until they are ready: a condition with a limit, never a nap.

use super::layout::Cluster;
use crate::cli::failure::{Failure, Result};
use crate::cli::local::{Lifetime, LocalNode, ProcessState, Start};
use crate::cli::output::say;
use crate::cli::probe;
use crate::cli::progress;
use rustix::process::Signal;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a process may take until it answers at all.
const LISTENING_LIMIT: Duration = Duration::from_secs(15);
/// How many lines of a log are shown when its node failed.
const LAST_WORDS: usize = 8;

/// A node whose process was started, or was there already.
struct Started {
    node: LocalNode,
    child: Option<Child>,
}

impl Started {
    fn new(node: LocalNode, role: Start) -> Result<Started> {
        if node.process() != ProcessState::Down {
            return Ok(Started { node, child: None });
        }
        node.check_ports()?;
        let child = node.spawn(role, Lifetime::Detached)?;
        Ok(Started { node, child: Some(child) })
    }

    /// Whether it is ready; `Err(Some(_))` when it never will be.
    async fn look(&mut self) -> Result<(), Lost> {
        if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
            return Err(Lost::Ended(format!("{} ended with {status}", self.node.name)));
        }
        let reason = probe::ready(self.node.http).await;
        reason.map_err(|reason| Lost::NotYet(format!("{}: {reason}", self.node.name)))
    }
}

enum Lost {
    /// It may become ready.
    NotYet(String),
    /// It never will.
    Ended(String),
}

/// `quorate cluster start`.
pub(super) async fn start(mut cluster: Cluster, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let nodes = cluster.nodes();
    let mut waiting = Vec::new();
    if !cluster.founded() {
        // Before n1 stands and says so nobody else exists, so founding again does no harm; after it
        // nobody founds any more. Hence n1 first and alone.
        let bar = progress::spinner("founding the cluster");
        let mut founder = vec![Started::new(nodes[0].clone(), Start::Found)?];
        all_ready(&mut founder, deadline, &bar).await?;
        cluster.set_founded()?;
        nodes[0].prepare(Start::Join)?;
        waiting.append(&mut founder);
    }
    for node in nodes.into_iter().skip(waiting.len()) {
        waiting.push(Started::new(node, Start::Join)?);
    }
    let bar = progress::spinner("starting");
    all_ready(&mut waiting, deadline, &bar).await?;
    bar.finish_and_clear();
    for Started { node, child } in &waiting {
        let pid = node.process().pid().map_or(0, |pid| pid.as_raw_pid());
        let was = if child.is_some() { "ready" } else { "was up already, ready" };
        say(format!(
            "{} {was}: pid {pid}, native {}, http http://{}/",
            node.name, node.native, node.http
        ))?;
    }
    Ok(())
}

async fn all_ready(
    nodes: &mut [Started],
    deadline: Instant,
    bar: &indicatif::ProgressBar,
) -> Result<()> {
    let total = nodes.len();
    let mut ready = 0;
    while ready < total {
        match nodes[ready].look().await {
            Ok(()) => ready += 1,
            Err(Lost::Ended(reason)) => return Err(failed(&nodes[ready].node, &reason)),
            Err(Lost::NotYet(reason)) if Instant::now() >= deadline => {
                return Err(failed(&nodes[ready].node, &format!("not ready in time: {reason}")));
            }
            Err(Lost::NotYet(reason)) => {
                bar.set_message(format!("{ready} of {total} ready; {reason}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    Ok(())
}

fn failed(node: &LocalNode, reason: &str) -> Failure {
    let next = format!("look into {}", node.log().display());
    Failure::new("unavailable", reason, &next).details(node.last_words(LAST_WORDS))
}

/// `quorate cluster restart N`.
pub(super) async fn restart(
    cluster: &Cluster,
    nodes: Vec<LocalNode>,
    limit: Duration,
) -> Result<()> {
    if !cluster.founded() {
        let next = "found it with `quorate cluster start`";
        return Err(Failure::new("unavailable", "the cluster was never founded", next));
    }
    let mut started = Vec::new();
    for node in nodes {
        if node.process() != ProcessState::Down {
            node.signal(Signal::TERM)?;
            node.signal(Signal::CONT)?;
            if node.wait_gone(super::STOP_LIMIT).is_err() {
                node.kill()?;
            }
        }
        started.push(Started::new(node, Start::Join)?);
    }
    // Alone, or with a minority, a node cannot become ready: then it is enough that it answers.
    let all = cluster.nodes();
    let up = all.iter().filter(|node| node.process() != ProcessState::Down).count();
    let majority = up > all.len() / 2;
    let deadline = Instant::now() + limit;
    for started in &mut started {
        listening(started).await?;
        let bar = progress::spinner(&format!("{} is starting", started.node.name));
        let verdict = loop {
            match started.look().await {
                Ok(()) => break "ready".to_string(),
                Err(Lost::Ended(reason)) => return Err(failed(&started.node, &reason)),
                Err(Lost::NotYet(reason)) if !majority || Instant::now() >= deadline => {
                    break format!("up, not ready yet ({reason})");
                }
                Err(Lost::NotYet(reason)) => {
                    bar.set_message(reason);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        bar.finish_and_clear();
        say(format!("{} {verdict}", started.node.name))?;
    }
    Ok(())
}

/// Waits until the process answers on its HTTP port, ready or not.
async fn listening(started: &mut Started) -> Result<()> {
    let deadline = Instant::now() + LISTENING_LIMIT;
    loop {
        let Err(reason) = probe::alive(started.node.http).await else { return Ok(()) };
        if let Err(Lost::Ended(reason)) = started.look().await {
            return Err(failed(&started.node, &reason));
        }
        if Instant::now() >= deadline {
            return Err(failed(&started.node, &reason));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
