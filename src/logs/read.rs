//! Partitions, summaries and blocks, read many at once; what cannot be read is named.

use super::block::{BlockId, unpack};
use super::catalog::{self, BLOCKS};
use super::filter::Filter;
use super::line::Line;
use super::partition::Partition;
use super::summary::{Summary, all_summaries, block_key};
use crate::client::{Item, Kv};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

/// How many reads are on their way at once.
const READS: usize = 32;

/// What an answer rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Partitions that can hold an answer and were asked.
    pub partitions: u64,
    /// Those that could not be read, or not wholly: the answer may lack what they hold.
    pub failed: BTreeSet<String>,
    /// Blocks that were read.
    pub blocks_read: u64,
    /// Blocks of which the summary was enough.
    pub blocks_counted: u64,
}

impl Coverage {
    /// Whether the answer lacks nothing.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    pub(crate) fn fail(&mut self, partition: &Partition) {
        self.failed.insert(String::from_utf8_lossy(&partition.key()).into_owned());
    }
}

/// The partitions that can hold an answer.
///
/// # Errors
/// The list of sources cannot be read: nothing can be said.
pub(crate) async fn plan<K: Kv>(
    kv: &K,
    filter: &Filter,
    coverage: &mut Coverage,
) -> Result<Vec<Partition>> {
    let (from, to) = filter.windows();
    let mut sources = catalog::sources(kv).await?;
    sources.retain(|source| filter.admits_source(&source.name));
    let read = |source: &catalog::Source| {
        let (kv, name) = (kv.clone(), source.name.clone());
        async move { catalog::partitions(&kv, &name, from, to).await }
    };
    let mut found = Vec::new();
    for (source, partitions) in sources.iter().zip(all(sources.iter().map(read)).await?) {
        match partitions {
            Ok(partitions) => found.extend(partitions),
            Err(_) => drop(coverage.failed.insert(format!("all of {}", source.name))),
        }
    }
    found.retain(|partition| filter.admits_partition(partition));
    Ok(found)
}

/// A block that can hold an answer, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Which of the partitions that were asked for.
    pub(crate) partition: usize,
    pub(crate) summary: Summary,
}

/// What the summaries of some partitions say.
pub(crate) async fn summaries<K: Kv>(
    kv: &K,
    partitions: &[Partition],
    coverage: &mut Coverage,
) -> Result<Vec<Known>> {
    let (from, to) = all_summaries();
    let read = |partition: &Partition| {
        let (kv, key, from, to) = (kv.clone(), partition.key(), from.clone(), to.clone());
        async move { kv.range(BLOCKS, key, from, to).await }
    };
    let mut known = Vec::new();
    for (partition, found) in all(partitions.iter().map(read)).await?.into_iter().enumerate() {
        coverage.partitions += 1;
        let Ok(found) = found else {
            coverage.fail(&partitions[partition]);
            continue;
        };
        for (sort, value) in found {
            match Summary::decode(&sort, &value) {
                Ok(summary) => known.push(Known { partition, summary }),
                Err(_) => coverage.fail(&partitions[partition]),
            }
        }
    }
    Ok(known)
}

/// The lines of some blocks, each with the partition that it was asked for.
pub(crate) async fn blocks<K: Kv>(
    kv: &K,
    partitions: &[Partition],
    wanted: &[Known],
    coverage: &mut Coverage,
) -> Result<Vec<(usize, Vec<Line>)>> {
    let read = |known: &Known| {
        let (kv, key, id) = (kv.clone(), partitions[known.partition].key(), known.summary.id);
        async move { block(&kv, key, &id).await }
    };
    let mut lines = Vec::new();
    for (known, found) in wanted.iter().zip(all(wanted.iter().map(read)).await?) {
        match found {
            Ok(Some(found)) => {
                coverage.blocks_read += 1;
                lines.push((known.partition, found));
            }
            // It expired after its summary was read, or it is damaged.
            Ok(None) | Err(_) => coverage.fail(&partitions[known.partition]),
        }
    }
    Ok(lines)
}

async fn block<K: Kv>(kv: &K, key: bytes::Bytes, id: &BlockId) -> Result<Option<Vec<Line>>> {
    let stored = kv.read(Item { bucket: BLOCKS.into(), key, sort: block_key(id) }).await?;
    let lines = stored.map(|stored| unpack(&stored)).transpose();
    lines.map_err(|_| Error::Internal("a block of the log store is malformed".into()))
}

/// The results in the order of what was asked, so many at a time.
async fn all<T: Send + 'static, F>(asks: impl Iterator<Item = F>) -> Result<Vec<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut results = Vec::new();
    let place = |results: &mut Vec<Option<T>>, done: Result<(usize, T), tokio::task::JoinError>| {
        let (at, result) = done.map_err(|error| Error::Internal(error.to_string()))?;
        results[at] = Some(result);
        Ok::<(), Error>(())
    };
    for (at, ask) in asks.enumerate() {
        results.push(None);
        running.spawn(async move { (at, ask.await) });
        if running.len() >= READS
            && let Some(done) = running.join_next().await
        {
            place(&mut results, done)?;
        }
    }
    while let Some(done) = running.join_next().await {
        place(&mut results, done)?;
    }
    Ok(results.into_iter().map(|result| result.expect("each has come back")).collect())
}
