//! The acts of the demo, in order. Each ends with a claim that was looked at, not hoped for.

use super::super::super::logs;
use super::stage::{End, Stage};
use crate::logs::{By, Entry, Filter, Level};
use crate::message::client::{Inspect, Rehearsal};
use crate::{Error, Result};
use std::time::Duration;

/// How many keys are written.
const KEYS: usize = 6;
/// How many names are tried for them.
const NAMES: usize = 2_000;
/// How many sample lines go in each time.
const LINES: u32 = 240;
/// The source that they have.
const SOURCE: &str = "quorate-demo";
/// How long they are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How many live nodes it takes: one that fails, and two that go on.
const NODES: usize = 3;

/// A key, what was last written to it, and what the next write has seen.
struct Written {
    key: String,
    value: String,
    context: String,
}

/// All of it.
pub(super) async fn play(stage: &mut Stage) -> std::result::Result<(), End> {
    let repairs = stage.figure("repairs_completed").await;
    let me = enter(stage).await?;
    lines(stage).await?;
    let mut all = write(stage, &me).await?;
    away(stage, &me, &mut all).await?;
    back(stage, &all).await?;
    diverge(stage, &mut all).await?;
    compare(stage, &all, repairs).await?;
    read(stage, &all).await
}

/// Who plays, and whether there are enough.
async fn enter(stage: &mut Stage) -> std::result::Result<String, End> {
    let status = stage.inspect(Inspect::Status).await?;
    let me = status["node"].as_str().unwrap_or_default().to_owned();
    stage
        .act("The cast", "One node will fail. Two others have to be there, so that nobody notices.")
        .await?;
    let alive = status["nodes"]["alive"].as_u64().unwrap_or_default() as usize;
    let found = format!("{alive} alive; {me} is the one that will fail");
    stage.claim("at least three nodes are alive", alive >= NODES, found).await?;
    stage.create_bucket().await?;
    // It has been agreed; this node installs it in a moment.
    let known = stage
        .until(async || match stage.rehearse(Rehearsal::Whole).await {
            Ok(_) => Ok(Ok(())),
            Err(Error::NotFound(why)) => Ok(Err(why)),
            Err(error) => Err(error),
        })
        .await?;
    if let Err(why) = known {
        return Err(End::Error(Error::NotFound(why)));
    }
    Ok(me)
}

/// Lines of logs, as a service would send them.
async fn lines(stage: &mut Stage) -> std::result::Result<(), End> {
    stage
        .act("Logs come in", "A sample of lines goes into the log store, two copies of each durable before it counts.")
        .await?;
    let (before, began) = (stage.figure("logs_ingested").await, logs::now());
    let store = logs::logs(&stage.bridge);
    let mut stream = store.stream(SOURCE, Some(KEPT), began).await?;
    for number in 0..LINES {
        stream.push(sample(number, began)).await?;
    }
    let ingested = stream.flush().await?;
    stage.bridge.count_ingested(ingested.lines);
    let mut filter = Filter::default().sources(SOURCE)?;
    (filter.since, filter.until) = (Some(began), Some(began + i64::from(LINES)));
    let counts = store.count(&filter, By::Nothing).await?;
    let found = format!("{} lines found by a query of {SOURCE}", counts.total());
    stage
        .claim("every line that was sent is found", counts.total() == u64::from(LINES), found)
        .await?;
    let after = stage.figure("logs_ingested").await;
    let found = format!("{before} before, {after} after");
    stage.claim("logs_ingested has risen", after >= before + u64::from(LINES), found).await
}

/// A line of a shop that has its troubles; a nanosecond apart, so that each is another.
fn sample(number: u32, began: crate::logs::Nanos) -> Entry {
    let (level, what) = match number % 12 {
        0 => (Level::Error, "payment refused by the bank"),
        3 | 7 => (Level::Warn, "slow answer from the warehouse"),
        _ => (Level::Info, "order taken"),
    };
    Entry {
        at: began + i64::from(number),
        level: Some(level),
        word: None,
        by_arrival: false,
        text: format!("{} shop: {what}, order {number}", level),
    }
}

/// Keys of which this node holds a copy.
async fn write(stage: &mut Stage, me: &str) -> std::result::Result<Vec<Written>, End> {
    stage
        .act("Keys are written", "Into a bucket of the demo's own: nobody else's data are touched.")
        .await?;
    let run = stage.bridge.operation();
    let mut all: Vec<Written> = Vec::new();
    for number in 0..NAMES {
        if all.len() == KEYS {
            break;
        }
        let key = format!("{:x}-{}-{number}", run.session, run.sequence);
        if !stage.owners(&key).await?.iter().any(|owner| owner == me) {
            continue;
        }
        let value = "first".to_owned();
        let (context, _) = stage.put(&key, &value, String::new()).await?;
        all.push(Written { key, value, context });
    }
    let found = format!("{} of {NAMES} names", all.len());
    stage.claim(&format!("{me} owns {KEYS} keys"), all.len() == KEYS, found).await?;
    claim_own_copies(stage, &all, &format!("{me} holds a copy of each")).await?;
    Ok(all)
}

/// Claims that this node's own disk shows what was written last, or does within a while.
async fn claim_own_copies(
    stage: &mut Stage,
    all: &[Written],
    claim: &str,
) -> std::result::Result<(), End> {
    let came = stage.until(|| own_copies(stage, all)).await?;
    let found = match &came {
        Ok(took) => format!(
            "all {} of its own copies, as its dump shows them, after {} ms",
            all.len(),
            took.as_millis()
        ),
        Err(found) => found.clone(),
    };
    stage.claim(claim, came.is_ok(), found).await
}

/// Whether this node's own disk shows what was written last.
async fn own_copies(stage: &Stage, all: &[Written]) -> Result<std::result::Result<(), String>> {
    let mut right = 0;
    for written in all {
        right += usize::from(stage.own_copy(&written.key).await? == [written.value.clone()]);
    }
    let found = format!("{right} of {} are what was written last", all.len());
    Ok(if right == all.len() { Ok(()) } else { Err(found) })
}

async fn write_again(
    stage: &Stage,
    all: &mut [Written],
    value: &str,
) -> Result<Vec<crate::message::client::Info>> {
    let mut told = Vec::new();
    for written in all {
        let (context, info) = stage.put(&written.key, value, written.context.clone()).await?;
        (written.context, written.value) = (context, value.to_owned());
        told.push(info);
    }
    Ok(told)
}

/// How many of this node's own copies are this.
async fn own_copies_of(stage: &Stage, all: &[Written], value: &str) -> Result<usize> {
    let mut same = 0;
    for written in all {
        same += usize::from(stage.own_copy(&written.key).await? == [value.to_owned()]);
    }
    Ok(same)
}

/// Writes that a replica misses.
async fn away(stage: &mut Stage, me: &str, all: &mut [Written]) -> std::result::Result<(), End> {
    stage
        .act(
            "A replica is taken away",
            "In this bucket the node refuses its role, as if it were dead. Writes go on.",
        )
        .await?;
    stage.rehearse(Rehearsal::Away).await?;
    let told = write_again(stage, all, "second").await?;
    let others = told.iter().all(|info| !info.replied.iter().any(|name| name == me));
    let mut by: Vec<_> = told.iter().flat_map(|info| info.replied.clone()).collect();
    by.sort();
    by.dedup();
    let found =
        format!("{} of {} acknowledged, durable on {}", told.len(), all.len(), by.join(" and "));
    stage.claim("every write is acknowledged without it", others, found).await?;
    let old = own_copies_of(stage, all, "first").await?;
    let found = format!("{old} of {} of its own copies are the old ones", all.len());
    stage.claim("it has missed them all", old == all.len(), found).await?;
    let seen = read_all(stage, all).await?;
    let found = format!("{seen} of {} reads through {me} itself show the new value", all.len());
    stage.claim("whoever reads does not notice", seen == all.len(), found).await
}

/// The replica takes what was kept for it.
async fn back(stage: &mut Stage, all: &[Written]) -> std::result::Result<(), End> {
    stage
        .act("It comes back", "Whoever stood in has kept hints for it, and hands them over now.")
        .await?;
    let compared = stage.figure("antientropy_items").await;
    stage.rehearse(Rehearsal::Whole).await?;
    claim_own_copies(stage, all, "hints have drained: it holds what it missed").await?;
    let mended = stage.figure("antientropy_items").await.saturating_sub(compared);
    stage.say(&format!("Comparisons mended {mended} items here meanwhile, of all buckets.")).await
}

/// Writes that a replica loses, and nobody knows.
async fn diverge(stage: &mut Stage, all: &mut [Written]) -> std::result::Result<(), End> {
    stage
        .act(
            "A disk lies",
            "The node confirms writes and does not store them. There is no hint: nobody knows.",
        )
        .await?;
    stage.rehearse(Rehearsal::Forgetful).await?;
    write_again(stage, all, "third").await?;
    let wanted = all.len() as u64;
    let lost = stage
        .until(async || {
            let lost = stage.rehearse(Rehearsal::Look).await?;
            let found = format!("{lost} of {wanted} have arrived");
            Ok(if lost >= wanted { Ok(()) } else { Err(found) })
        })
        .await?;
    if let Err(found) = lost {
        return stage.claim("it has confirmed them", false, found).await;
    }
    let old = own_copies_of(stage, all, "second").await?;
    let found = format!("{old} of {} of its own copies are the old ones", all.len());
    stage.claim("its copies differ from what it has confirmed", old == all.len(), found).await
}

/// Hash trees find what differs.
async fn compare(stage: &mut Stage, all: &[Written], repairs: u64) -> std::result::Result<(), End> {
    stage
        .act(
            "Merkle trees find it",
            "The owners compare their hash trees, leaf by leaf, and fetch what differs.",
        )
        .await?;
    stage.rehearse(Rehearsal::Compare).await?;
    claim_own_copies(stage, all, "every difference was found and mended").await?;
    let after = stage.figure("repairs_completed").await;
    let found = format!("{repairs} before the demo, {after} now");
    stage.claim("repairs_completed has risen", after > repairs, found).await
}

/// Nothing was lost.
async fn read(stage: &mut Stage, all: &[Written]) -> std::result::Result<(), End> {
    stage.act("Nothing is lost", "Every key is read once more, at a quorum.").await?;
    let seen = read_all(stage, all).await?;
    let found = format!("{seen} of {} show what was written last, and nothing else", all.len());
    stage.claim("every acknowledged write is there", seen == all.len(), found).await
}

async fn read_all(stage: &Stage, all: &[Written]) -> Result<usize> {
    let mut seen = 0;
    for written in all {
        seen += usize::from(stage.get(&written.key).await? == [written.value.clone()]);
    }
    Ok(seen)
}
