//! `quorate monitor`: what happens in the cluster, a line each, as it happens.
//!
//! ```text
//!   every second, every node:  status, members, hints, repairs ──▶ its own timeline (as on the dashboard)
//!                                                                        │ what is new
//!   n1: n3 dead    n2: n3 dead    n2: hints for n3                       ▼
//!   └─ told        └─ the same    └─ told: it is about n2 itself     one line each
//! ```
//!
//! What is about the cluster is told once, by whoever notices first; what is about a node itself, by that node.

use super::args::{MonitorArgs, Target};
use super::census::{Respondent, census};
use super::failure::Result;
use super::output::{Format, json, say};
use crate::client::Inspect;
use crate::ring::MAX_MEMBERS;
use crate::server::{Answers, Timeline};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// What one node has told is not told again when another notices it within this, in milliseconds.
const SAME_MS: u64 = 15_000;

/// Tells what happens until the time is over, or Ctrl-C.
pub(super) async fn monitor(args: MonitorArgs) -> Result<()> {
    let mut watched = watch(&args.look.target).await?;
    let mut heard = Heard::default();
    let format = args.look.print.output;
    let deadline = args.duration.map(|duration| Instant::now() + duration);
    let mut again = interval(EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = async {
        loop {
            again.tick().await;
            for line in look(&mut watched, &mut heard).await {
                tell(&line, format)?;
            }
        }
    };
    let over = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = look => ended,
        () = over => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// One node, and what is known of it.
struct Watched {
    node: Respondent,
    timeline: Timeline,
    /// The last entry of the timeline that was told.
    told: u64,
    answers: Option<bool>,
}

impl Watched {
    fn new(node: Respondent) -> Watched {
        Watched { node, timeline: Timeline::default(), told: 0, answers: None }
    }
}

async fn watch(target: &Target) -> Result<BTreeMap<String, Watched>> {
    let members = census(target).await?.members;
    Ok(members.into_iter().map(|node| (node.address.clone(), Watched::new(node))).collect())
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    at: u64,
    node: String,
    what: String,
    text: String,
    entry: Value,
}

fn tell(line: &Line, format: Format) -> Result<()> {
    if format == Format::Json {
        let Line { at, node, what, text, entry } = line;
        let (since, tone) = (&entry["since"], &entry["tone"]);
        return json(
            &json!({ "at": at, "since": since, "node": node, "what": what, "tone": tone, "text": text }),
        );
    }
    let at = jiff::Timestamp::from_millisecond(line.at as i64).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
    say(format!("{at}  {:<12}  {:<15}  {}", line.node, line.what, line.text))
}

/// Asks everybody once; what is new, in the order of the nodes' names.
async fn look(watched: &mut BTreeMap<String, Watched>, heard: &mut Heard) -> Vec<Line> {
    let mut under_way = JoinSet::new();
    for (address, seen) in watched.iter() {
        let (address, mut node) = (address.clone(), seen.node.clone());
        under_way.spawn(async move {
            let answers = ask(&mut node).await;
            (address, node, answers)
        });
    }
    let mut rounds: Vec<_> = under_way.join_all().await;
    rounds.sort_by(|(_, a, _), (_, b, _)| a.name.cmp(&b.name));
    let at = now_ms();
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    for (address, node, answers) in rounds {
        let Some(seen) = watched.get_mut(&address) else { continue };
        seen.node = node;
        if let Some(line) = answering(seen, answers.is_some(), at) {
            lines.push(line);
        }
        let Some(answers) = answers else { continue };
        others.extend(seen.node.members(&answers.members));
        seen.timeline.note(&answers, at);
        let entries = seen.timeline.entries();
        for entry in entries.iter().filter(|entry| entry.number > seen.told) {
            let (what, text) = (entry.word(), entry.text());
            if !entry.is_of_the_cluster() || heard.is_new(&seen.node.name, what, text, at) {
                lines.push(Line {
                    at,
                    node: seen.node.name.clone(),
                    what: what.into(),
                    text: text.into(),
                    entry: entry.json(),
                });
            }
        }
        seen.told = entries.last().map_or(seen.told, |entry| entry.number);
    }
    for node in others {
        if watched.len() < MAX_MEMBERS {
            watched.entry(node.address.clone()).or_insert_with(|| Watched::new(node));
        }
    }
    lines
}

/// That a node does not answer here, or does again; nothing while it stays as it was, or answers from the beginning.
fn answering(seen: &mut Watched, answers: bool, at: u64) -> Option<Line> {
    let before = seen.answers.replace(answers);
    let (what, text) = match (before, answers) {
        (None | Some(true), false) => ("silent", "does not answer here"),
        (Some(false), true) => ("answers", "answers here again"),
        _ => return None,
    };
    let node = seen.node.name.clone();
    Some(Line { at, node, what: what.into(), text: text.into(), entry: Value::Null })
}

async fn ask(node: &mut Respondent) -> Option<Answers> {
    let status = node.ask(Inspect::Status).await.ok()?;
    let members = node.ask(Inspect::Members).await.ok()?;
    let hints = node.ask(Inspect::Hints).await.unwrap_or_default();
    let metrics = node.ask(Inspect::Metrics).await.unwrap_or_default();
    let count = |name: &str| metrics[name].as_u64().unwrap_or_default();
    let repairs = count("read_repairs") + count("sync_items");
    Some(Answers { status, members, hints, repairs })
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// What was told of the cluster lately, and by whom.
#[derive(Default)]
struct Heard(BTreeMap<(String, String), (String, u64)>);

impl Heard {
    /// Whether nobody else has told the same just now. A node that says it again means it.
    fn is_new(&mut self, node: &str, what: &str, text: &str, at: u64) -> bool {
        self.0.retain(|_, (_, told)| at.saturating_sub(*told) <= SAME_MS);
        let same = (what.to_owned(), text.to_owned());
        if self.0.get(&same).is_some_and(|(by, _)| by != node) {
            return false;
        }
        self.0.insert(same, (node.to_owned(), at));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_notice_is_told_once_and_a_second_time_when_it_happens_again() {
        let mut heard = Heard::default();
        let mut tell = |node, at| heard.is_new(node, "suspected", "n3 did not answer", at);
        assert!(tell("n1", 1_000));
        assert!(!tell("n2", 1_500), "the same, by another");
        assert!(tell("n1", 5_000), "again, by the same");
        assert!(!tell("n4", 6_000));
        assert!(tell("n2", 60_000), "long after");
        assert!(heard.is_new("n2", "dead", "n3 did not contradict in time", 60_000));
    }

    #[test]
    fn a_node_that_falls_silent_is_told_once_and_again_when_it_answers() {
        let mut seen = Watched::new(Respondent::at("a:1", None));
        let mut told = Vec::new();
        for answers in [true, true, false, false, true] {
            told.extend(answering(&mut seen, answers, 1).map(|line| line.what));
        }
        assert_eq!(told, ["silent", "answers"]);
        let mut dead = Watched::new(Respondent::at("a:2", None));
        assert!(answering(&mut dead, false, 1).is_some(), "silent from the beginning");
    }
}
