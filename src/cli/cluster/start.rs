//! Starting nodes and waiting until they are ready and have met: conditions with a limit, never a nap.

use super::acquainted;
use super::layout::Cluster;
use crate::cli::failure::{Failure, Result};
use crate::cli::local::{Lifetime, LocalNode, ProcessState, Start};
use crate::cli::output::say;
use crate::cli::probe;
use crate::cli::progress;
use indicatif::ProgressBar;
use std::process::{Child, ExitStatus};
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

    /// How its process ended, if we started it and it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Waits until it is ready.
    async fn until_ready(
        &mut self,
        deadline: Instant,
        mut told: impl FnMut(&str),
    ) -> Result<(), Lost> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let ready = probe::until(limit, async || match self.ended() {
            Some(status) => Ok(Some(status)),
            None => probe::ready(self.node.http).await.map(|()| None).inspect_err(|r| told(r)),
        });
        match ready.await {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Lost::Ended(format!("ended with {status}"))),
            Err(reason) => Err(Lost::NotYet(reason)),
        }
    }

    /// It ended, or did not become ready in time: one line, and its last words.
    fn failed(&self, reason: &str) -> Failure {
        let next = format!("look into {}", self.node.log().display());
        let failure = Failure::new("unavailable", format!("{} {reason}", self.node.name), &next);
        failure.details(self.node.last_words(LAST_WORDS))
    }
}

/// Why a node is not ready.
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
    let met: Vec<LocalNode> = waiting.iter().map(|started| started.node.clone()).collect();
    let seen = acquainted::all_met(&met, deadline, &bar).await;
    bar.finish_and_clear();
    for Started { node, child } in &waiting {
        let pid = node.process().pid().map_or(0, |pid| pid.as_raw_pid());
        let was = if child.is_some() { "ready" } else { "was up already, ready" };
        say(format!(
            "{} {was}: pid {pid}, native {}, http http://{}/",
            node.name, node.native, node.http
        ))?;
    }
    seen?;
    if let Some(key) = cluster.key() {
        say(format!("whoever talks to them needs the key: QUORATE_KEY_FILE={}", key.display()))?;
    }
    match met.len() {
        1 => Ok(()),
        several => say(format!("all {several} see each other alive")),
    }
}

async fn all_ready(nodes: &mut [Started], deadline: Instant, bar: &ProgressBar) -> Result<()> {
    let total = nodes.len();
    for (ready, started) in nodes.iter_mut().enumerate() {
        let name = started.node.name.clone();
        let told =
            |reason: &str| bar.set_message(format!("{ready} of {total} ready; {name}: {reason}"));
        match started.until_ready(deadline, told).await {
            Ok(()) => {}
            Err(Lost::Ended(reason)) => return Err(started.failed(&reason)),
            Err(Lost::NotYet(reason)) => {
                return Err(started.failed(&format!("is not ready in time: {reason}")));
            }
        }
    }
    Ok(())
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
        if let Some(process) = node.end()?
            && !node.is_gone(&process, super::STOP_LIMIT)?
        {
            node.kill()?;
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
        let until = if majority { deadline } else { Instant::now() };
        let verdict = match started.until_ready(until, |r| bar.set_message(r.to_string())).await {
            Ok(()) => "ready".to_string(),
            Err(Lost::Ended(reason)) => return Err(started.failed(&reason)),
            Err(Lost::NotYet(reason)) => format!("up, not ready yet ({reason})"),
        };
        bar.finish_and_clear();
        say(format!("{} {verdict}", started.node.name))?;
    }
    Ok(())
}

/// Waits until the process answers on its HTTP port, ready or not.
async fn listening(started: &mut Started) -> Result<()> {
    let answers = probe::until(LISTENING_LIMIT, async || match started.ended() {
        Some(status) => Ok(Some(status)),
        None => probe::alive(started.node.http).await.map(|()| None),
    });
    match answers.await {
        Ok(None) => Ok(()),
        Ok(Some(status)) => Err(started.failed(&format!("ended with {status}"))),
        Err(reason) => Err(started.failed(&reason)),
    }
}
