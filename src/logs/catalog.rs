//! Which sources there are, and which partitions have anything in them: so that a query asks nobody else.
//!
//! ```text
//!   bucket logs.catalog    key sources          sort: source            how long its lines are kept
//!                          key windows/web-1    sort: window · class    …
//! ```
//!
//! An entry is written before the first block that it leads to. With retention it expires after all of them.

use super::columns::{Columns, Malformed, Reader};
use super::partition::{Class, Nanos, Partition, WINDOW, from_ordered, ordered, window_of};
use crate::client::{Bytes, Item, Kv};
use crate::error::{Error, Result};
use std::time::Duration;

/// The bucket of all this.
pub(crate) const CATALOG: &str = "logs.catalog";
/// The bucket of blocks and summaries.
pub(crate) const BLOCKS: &str = "logs";
const SOURCES: &[u8] = b"sources";
const VERSION: u8 = 1;

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How long its lines are kept after they arrived; nothing: for ever.
    pub ttl: Option<Duration>,
}

impl Source {
    /// When what arrives now expires, in ms since 1970: all of a window of arrivals at once.
    pub(crate) fn expires_at(&self, arrival: Nanos) -> Option<u64> {
        let ttl = i64::try_from(self.ttl?.as_millis()).unwrap_or(i64::MAX);
        let end = window_of(arrival).saturating_add(WINDOW) / 1_000_000;
        u64::try_from(end.saturating_add(ttl)).ok()
    }

    fn encode(&self) -> Bytes {
        let mut value = Columns::default();
        value.0.push(VERSION);
        value.number(self.ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)));
        value.0.into()
    }

    fn decode(name: &[u8], value: &[u8]) -> Result<Source, Malformed> {
        let name = std::str::from_utf8(name).map_err(|_| Malformed)?.to_owned();
        let mut reader = Reader(value);
        match (reader.byte()?, reader.number()?) {
            (VERSION, 0) => Ok(Source { name, ttl: None }),
            (VERSION, ttl) => Ok(Source { name, ttl: Some(Duration::from_millis(ttl)) }),
            _ => Err(Malformed),
        }
    }
}

/// Whether a bucket of this name is the log store's.
pub fn is_own_bucket(name: &str) -> bool {
    [CATALOG, BLOCKS].contains(&name)
}

/// Both buckets.
pub(crate) async fn create_buckets(kv: &impl Kv) -> Result<()> {
    kv.create_lww_bucket(CATALOG).await?;
    kv.create_lww_bucket(BLOCKS).await
}

/// All sources, by name.
pub(crate) async fn sources(kv: &impl Kv) -> Result<Vec<Source>> {
    let found = kv.range(CATALOG, Bytes::from_static(SOURCES), Bytes::new(), Bytes::new()).await;
    let found = match found {
        // Nobody has sent a line yet.
        Err(Error::NotFound(_)) => return Ok(Vec::new()),
        found => found?,
    };
    found.iter().map(|(name, value)| Source::decode(name, value).map_err(not_ours)).collect()
}

/// One source, if it is known.
pub(crate) async fn source(kv: &impl Kv, name: &str) -> Result<Option<Source>> {
    let value = kv.read(source_item(name)).await?;
    value.map(|value| Source::decode(name.as_bytes(), &value).map_err(not_ours)).transpose()
}

pub(crate) async fn put_source(kv: &impl Kv, source: &Source) -> Result<()> {
    kv.write(source_item(&source.name), source.encode(), None).await
}

/// Says that a partition has something in it, or will have.
pub(crate) async fn put_partition(
    kv: &impl Kv,
    partition: &Partition,
    expires_at: Option<u64>,
) -> Result<()> {
    let sort = [&ordered(partition.window)[..], &[partition.class.tag()]].concat().into();
    let item = Item { bucket: CATALOG.into(), key: windows_key(&partition.source), sort };
    // It outlives what it leads to, also where the clocks of senders differ.
    let expires_at = expires_at.map(|at| at.saturating_add((WINDOW / 1_000_000) as u64));
    kv.write(item, Bytes::from_static(&[VERSION]), expires_at).await
}

/// The partitions of a source whose windows begin in `from..=to`.
pub(crate) async fn partitions(
    kv: &impl Kv,
    source: &str,
    from: Nanos,
    to: Nanos,
) -> Result<Vec<Partition>> {
    let end = match to.checked_add(1) {
        Some(end) => Bytes::copy_from_slice(&ordered(end)),
        None => Bytes::new(),
    };
    let begin = Bytes::copy_from_slice(&ordered(from));
    let found = kv.range(CATALOG, windows_key(source), begin, end).await?;
    found.iter().map(|(sort, _)| partition(source, sort).map_err(not_ours)).collect()
}

fn partition(source: &str, sort: &[u8]) -> Result<Partition, Malformed> {
    let mut reader = Reader(sort);
    let window = from_ordered(reader.bytes(8)?.try_into().map_err(|_| Malformed)?);
    let class = Class::of_tag(reader.byte()?).ok_or(Malformed)?;
    Ok(Partition { source: source.into(), window, class })
}

fn source_item(name: &str) -> Item {
    let sort = Bytes::copy_from_slice(name.as_bytes());
    Item { bucket: CATALOG.into(), key: Bytes::from_static(SOURCES), sort }
}

fn windows_key(source: &str) -> Bytes {
    format!("windows/{source}").into()
}

fn not_ours(_: Malformed) -> Error {
    Error::Internal(format!(
        "the bucket {CATALOG} holds something that the log store has not written; look at it with `quorate scan {CATALOG} sources`"
    ))
}
