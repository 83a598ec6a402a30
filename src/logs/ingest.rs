//! Lines on their way in: cut into blocks, packed, written, and acknowledged when their replicas have them.
//!
//! ```text
//!   line ─► partition ─► cutter ─┬─ …
//!                                └─► block ─► catalog entry, block, summary: each durable before the next
//!                                             so many at once; the sender waits when there are more
//! ```
//!
//! A line that was acknowledged is found; one that was not may be found too, and sent again it is the same line.

use super::block::pack;
use super::catalog::{self, BLOCKS, Source};
use super::cut::Cutter;
use super::events::{Dated, Event};
use super::line::Line;
use super::ordinals::Ordinals;
use super::partition::{Nanos, Partition, SOURCE_LIMIT};
use super::summary::{Summary, block_key};
use crate::client::{Item, Kv};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How many blocks are on their way at once.
const IN_FLIGHT: usize = 16;
/// How many partitions gather lines at once; of more the one that got nothing for longest is written.
const OPEN_PARTITIONS: usize = 48;
/// How often a write is tried again when nobody took it.
const ATTEMPTS: u32 = 6;
/// How long is waited before the first time; twice as long each time.
const PAUSE: Duration = Duration::from_millis(250);

/// What has become durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Lines, or events of several.
    pub lines: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of all texts.
    pub text_bytes: u64,
    /// Bytes of the blocks, for each replica.
    pub stored_bytes: u64,
}

impl std::ops::AddAssign for Ingested {
    fn add_assign(&mut self, other: Ingested) {
        self.lines += other.lines;
        self.blocks += other.blocks;
        self.text_bytes += other.text_bytes;
        self.stored_bytes += other.stored_bytes;
    }
}

/// A line before it has its place in a stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// See [`Line::at`].
    pub at: Nanos,
    /// See [`Line::level`].
    pub level: Option<super::Level>,
    /// See [`Line::word`].
    pub word: Option<String>,
    /// See [`Line::by_arrival`].
    pub by_arrival: bool,
    /// See [`Line::text`].
    pub text: String,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Entry {
        let Event { at, dated, level, word, text, .. } = event;
        // The name of the level itself says nothing more.
        let word = word.filter(|word| level.is_none_or(|level| level.as_str() != word));
        Entry { at, level, word, by_arrival: dated == Dated::ByArrival, text }
    }
}

/// Partitions that the catalog has, as far as this process knows, and until when.
#[derive(Clone, Default)]
pub struct Announced(Arc<Mutex<BTreeSet<Announcement>>>);

/// A partition, and when what lies in it expires.
type Announcement = (Partition, Option<u64>);

/// How many of them are remembered; then all are forgotten, and written once more.
const ANNOUNCED: usize = 100_000;

impl Announced {
    fn contains(&self, entry: &Announcement) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(entry)
    }

    fn insert(&self, entry: Announcement) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ANNOUNCED {
            known.clear();
        }
        known.insert(entry);
    }
}

/// Lines of one source in the order in which they were written: a file, a request, a connection.
pub struct Stream<K> {
    kv: K,
    source: Source,
    announced: Announced,
    open: BTreeMap<Partition, Open>,
    ordinals: Ordinals,
    last: (Nanos, u32),
    arrival: Nanos,
    pushed: u64,
    sending: JoinSet<Result<Ingested>>,
    done: Ingested,
}

#[derive(Default)]
struct Open {
    cutter: Cutter,
    /// When it got its last line, in lines.
    used: u64,
}

impl<K: Kv> Stream<K> {
    pub(super) fn new(kv: K, source: Source, announced: Announced, arrival: Nanos) -> Stream<K> {
        Stream {
            kv,
            source,
            announced,
            open: BTreeMap::new(),
            ordinals: Ordinals::default(),
            last: (Nanos::MIN, 0),
            arrival,
            pushed: 0,
            sending: JoinSet::new(),
            done: Ingested::default(),
        }
    }

    /// Whose lines they are.
    pub fn source(&self) -> &str {
        &self.source.name
    }

    pub(super) fn renew(&mut self, source: Source, arrival: Nanos) {
        (self.source, self.arrival) = (source, arrival);
    }

    /// Takes a line; waits while too many blocks are on their way.
    ///
    /// # Errors
    /// A block could not be written, however often it was tried: what [`acknowledged`](Stream::acknowledged) tells is
    /// durable, the rest may be. All of it may be sent again.
    pub async fn push(&mut self, entry: Entry) -> Result<()> {
        let Entry { at, level, word, by_arrival, text } = entry;
        let position = if self.last.0 == at { self.last.1.saturating_add(1) } else { 0 };
        self.last = (at, position);
        let ordinal = self.ordinals.next(at, &text);
        let partition = Partition::of(&self.source.name, at, level);
        let line = Line { at, position, ordinal, level, word, by_arrival, text };
        self.pushed += 1;
        let open = self.open.entry(partition.clone()).or_default();
        open.used = self.pushed;
        if let Some(lines) = open.cutter.push(line) {
            self.send(partition, lines).await?;
        }
        if self.open.len() > OPEN_PARTITIONS {
            self.close_oldest().await?;
        }
        Ok(())
    }

    /// What is durable by now.
    pub fn acknowledged(&self) -> Ingested {
        self.done
    }

    /// Writes what waits for the end of its block, and returns when all is durable. The stream goes on.
    ///
    /// # Errors
    /// As [`push`](Stream::push).
    pub async fn flush(&mut self) -> Result<Ingested> {
        for (partition, mut open) in std::mem::take(&mut self.open) {
            self.send(partition, open.cutter.take()).await?;
        }
        while let Some(sent) = self.sending.join_next().await {
            self.take(sent)?;
        }
        Ok(self.done)
    }

    async fn close_oldest(&mut self) -> Result<()> {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
        let Some(oldest) = oldest.map(|(partition, _)| partition.clone()) else { return Ok(()) };
        let lines = self.open.remove(&oldest).map(|mut open| open.cutter.take());
        self.send(oldest, lines.unwrap_or_default()).await
    }

    async fn send(&mut self, partition: Partition, lines: Vec<Line>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        while let Some(sent) = self.sending.try_join_next() {
            self.take(sent)?;
        }
        while self.sending.len() >= IN_FLIGHT {
            let sent = self.sending.join_next().await.expect("some are on their way");
            self.take(sent)?;
        }
        let expires_at = self.source.expires_at(self.arrival);
        let (kv, announced) = (self.kv.clone(), self.announced.clone());
        self.sending.spawn(write(kv, announced, partition, lines, expires_at));
        Ok(())
    }

    fn take(&mut self, sent: Result<Result<Ingested>, tokio::task::JoinError>) -> Result<()> {
        let sent = sent.map_err(|error| Error::Internal(format!("a block was lost: {error}")))?;
        self.done += sent?;
        Ok(())
    }
}

async fn write<K: Kv>(
    kv: K,
    announced: Announced,
    partition: Partition,
    mut lines: Vec<Line>,
    expires_at: Option<u64>,
) -> Result<Ingested> {
    let packed = pack(&mut lines);
    let summary = Summary::of(packed.id, &lines);
    let ingested = Ingested {
        lines: lines.len() as u64,
        blocks: 1,
        text_bytes: summary.text_bytes,
        stored_bytes: packed.stored.len() as u64,
    };
    drop(lines);
    let entry = (partition, expires_at);
    if !announced.contains(&entry) {
        insist(|| catalog::put_partition(&kv, &entry.0, expires_at)).await?;
    }
    let item = |sort| Item { bucket: BLOCKS.into(), key: entry.0.key(), sort };
    insist(|| kv.write(item(block_key(&packed.id)), packed.stored.clone(), expires_at)).await?;
    insist(|| kv.write(item(summary.sort_key()), summary.encode(), expires_at)).await?;
    announced.insert(entry);
    Ok(ingested)
}

/// Tries again what may be tried again: written twice it is the same.
async fn insist<F: Future<Output = Result<()>>>(mut write: impl FnMut() -> F) -> Result<()> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match write().await {
            Err(error) if error.is_retryable() => {}
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    write().await
}

/// Whether a name can be a source's.
///
/// # Errors
/// [`Error::Invalid`] with the reason.
pub(super) fn check_source(name: &str) -> Result<()> {
    let reason = match name {
        "" => "it is empty",
        name if name.len() > SOURCE_LIMIT => "it is longer than 256 bytes",
        name if name.chars().any(char::is_control) => "it has a control character in it",
        _ => return Ok(()),
    };
    Err(Error::Invalid(format!("the name of a source, {name:?}: {reason}; give another one")))
}
