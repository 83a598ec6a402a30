//! From the queue into the log store: what comes within a second goes together, by source, each source by itself.
//!
//! ```text
//!   message, message, … ─► batch ─┬─ web-1/sshd ─► Stream, flush ─┐
//!       a second, or so many      └─ web-2/app  ─► Stream, flush ─┴─► next batch
//! ```
//!
//! A second, because every batch makes blocks of its own and nobody joins them. Streams stay between batches: which of
//! equal messages one is, of the same second perhaps, must not begin anew.

use super::super::http::{Bridge, OwnNode, logs, now};
use super::PORT;
use super::held::Dispatch;
use super::queue::Queued;
use crate::Result;
use crate::logs::{Entry, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How long the first message of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// A batch of so many messages, or bytes, does not wait.
const BATCH: (usize, usize) = (10_000, 4 << 20);
/// How many sources are written at once.
const AT_ONCE: usize = 64;
/// How long is waited before a batch is tried again that nobody took, after the store has tried for some seconds.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a stream is kept without messages.
const IDLE: Duration = Duration::from_secs(10);
/// How many messages all streams may remember, about 32 bytes each; beyond, the one with the most begins anew.
const REMEMBERED: u64 = 2 << 20;
/// How often a stream learns how long its source is kept.
const RENEW: Duration = Duration::from_secs(60);

/// The messages of each source, and the room that they take.
type Batch = BTreeMap<Arc<str>, Vec<Queued>>;

/// What became of a source's messages; an error only when the thread ends, or by a bug.
type Sent = std::result::Result<(Arc<str>, Option<Kept>), tokio::task::JoinError>;

/// A stream between two batches.
struct Kept {
    stream: Stream<OwnNode>,
    messages: u64,
    renewed: Instant,
    used: Instant,
}

/// Stores all that comes, until no more comes.
pub(super) async fn run(bridge: Arc<Bridge>, mut lines: UnboundedReceiver<Queued>) {
    let mut streams = BTreeMap::new();
    while let Some(first) = lines.recv().await {
        let (mut count, mut bytes) = (1, first.bytes());
        let mut batch = Batch::from([(first.dispatch.source.clone(), vec![first])]);
        let until = Instant::now() + GATHER;
        while count < BATCH.0 && bytes < BATCH.1 {
            let Ok(Some(next)) = timeout_at(until, lines.recv()).await else { break };
            (count, bytes) = (count + 1, bytes + next.bytes());
            batch.entry(next.dispatch.source.clone()).or_default().push(next);
        }
        deliver(&bridge, &mut streams, batch).await;
        forget(&mut streams);
    }
}

async fn deliver(bridge: &Arc<Bridge>, streams: &mut BTreeMap<Arc<str>, Kept>, batch: Batch) {
    let mut sending = JoinSet::new();
    let mut sent: Vec<Sent> = Vec::new();
    for (source, messages) in batch {
        while sending.len() >= AT_ONCE {
            sent.extend(sending.join_next().await);
        }
        let kept = streams.remove(&source);
        let bridge = bridge.clone();
        sending.spawn(async move {
            let kept = insist(&bridge, kept, &source, &messages).await;
            (source, kept)
        });
    }
    while let Some(last) = sending.join_next().await {
        sent.push(last);
    }
    let kept = sent.into_iter().filter_map(|sent| sent.ok());
    streams.extend(kept.filter_map(|(source, kept)| Some((source, kept?))));
}

/// Tries until the store has them, or says that it never will. What is sent again is the same: only of messages that equal
/// one of a batch before, to the moment, the new stream takes some for that one.
async fn insist(
    bridge: &Arc<Bridge>,
    mut kept: Option<Kept>,
    source: &str,
    messages: &[Queued],
) -> Option<Kept> {
    loop {
        match store(bridge, kept.take(), source, messages).await {
            Ok((kept, lines)) => {
                bridge.count_ingested(lines);
                return Some(kept);
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, source, "messages of syslog wait: they could not be stored");
                sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, source, "messages of syslog are lost: they cannot be stored");
                bridge.reject_on(PORT, "failed", messages.len() as u64);
                return None;
            }
        }
    }
}

async fn store(
    bridge: &Arc<Bridge>,
    kept: Option<Kept>,
    source: &str,
    messages: &[Queued],
) -> Result<(Kept, u64)> {
    let logs = logs(bridge);
    let moment = Instant::now();
    let mut kept = match kept {
        Some(kept) => kept,
        None => {
            let stream = logs.stream(source, None, now()).await?;
            Kept { stream, messages: 0, renewed: moment, used: moment }
        }
    };
    if moment - kept.renewed >= RENEW {
        logs.renew(&mut kept.stream, now()).await?;
        kept.renewed = moment;
    }
    let before = kept.stream.acknowledged().lines;
    for Queued { dispatch: Dispatch { entry, .. }, .. } in messages {
        kept.stream.push(Entry::clone(entry)).await?;
    }
    let lines = kept.stream.flush().await?.lines - before;
    kept.messages += messages.len() as u64;
    kept.used = moment;
    Ok((kept, lines))
}

fn forget(streams: &mut BTreeMap<Arc<str>, Kept>) {
    streams.retain(|_, kept| kept.used.elapsed() < IDLE);
    while streams.values().map(|kept| kept.messages).sum::<u64>() > REMEMBERED {
        let most = streams.iter().max_by_key(|(_, kept)| kept.messages);
        let most = most.map(|(source, _)| source.clone()).expect("there is one");
        streams.remove(&most);
    }
}
