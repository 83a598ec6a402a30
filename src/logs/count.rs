//! How many lines there are, read from summaries where these are enough.
//!
//! ```text
//!   blocks of a partition by time   ▐▐▐▐ ▐▐▐▐▐ ▐▐▐▐▐
//!                                            ▐▐▐▐▐▐      sent again, cut elsewhere
//!                                   └counted┘ └─read─┘   what overlaps may hold the same line twice
//! ```

use super::filter::Filter;
use super::level::Level;
use super::line::Line;
use super::partition::{Nanos, Partition};
use super::read::{Coverage, Known, blocks, plan, summaries};
use super::summary::Summary;
use crate::client::Kv;
use crate::error::Result;
use std::collections::BTreeMap;

/// How many partitions' summaries are held at once.
const PARTITIONS_AT_ONCE: usize = 64;
/// How many blocks that overlap are read at once.
const BLOCKS_AT_ONCE: usize = 64;

/// What lines are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// All together.
    #[default]
    Nothing,
    /// By source.
    Source,
    /// By level; lines without one under `-`.
    Level,
    /// By so many nanoseconds, more than none; each named by its beginning.
    Time(Nanos),
}

/// Under what a line is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Everything.
    All,
    /// A source.
    Source(String),
    /// A level, or none.
    Level(Option<Level>),
    /// From this moment on.
    Time(Nanos),
}

/// How many there are.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// In each group that has some.
    pub groups: BTreeMap<Group, u64>,
    /// What this rests on.
    pub coverage: Coverage,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.groups.values().sum()
    }

    fn add(&mut self, group: Group, count: u64) {
        if count > 0 {
            *self.groups.entry(group).or_default() += count;
        }
    }
}

/// # Errors
/// The list of sources cannot be read.
pub(super) async fn count<K: Kv>(kv: &K, filter: &Filter, by: By) -> Result<Counts> {
    let mut counts = Counts::default();
    let partitions = plan(kv, filter, &mut counts.coverage).await?;
    for partitions in partitions.chunks(PARTITIONS_AT_ONCE) {
        let mut known = summaries(kv, partitions, &mut counts.coverage).await?;
        known.retain(|known| filter.admits_block(&known.summary));
        known.sort_by_key(|known| (known.partition, known.summary.first, known.summary.last));
        let mut clusters = clusters(known).into_iter().peekable();
        while clusters.peek().is_some() {
            let mut unclear = Vec::new();
            let mut pending = 0;
            while pending < BLOCKS_AT_ONCE
                && let Some(cluster) = clusters.next()
            {
                if let [one] = &cluster[..]
                    && let Some(groups) = from_summary(one, partitions, filter, by)
                {
                    counts.coverage.blocks_counted += 1;
                    groups.into_iter().for_each(|(group, count)| counts.add(group, count));
                    continue;
                }
                pending += cluster.len();
                unclear.extend(cluster);
            }
            read(kv, partitions, &unclear, filter, by, &mut counts).await?;
        }
    }
    Ok(counts)
}

/// Blocks of one partition that overlap in time, directly or through others, together.
fn clusters(sorted: Vec<Known>) -> Vec<Vec<Known>> {
    let mut clusters: Vec<Vec<Known>> = Vec::new();
    let mut last = Nanos::MIN;
    for known in sorted {
        let summary = &known.summary;
        match clusters.last_mut() {
            Some(cluster) if cluster[0].partition == known.partition && summary.first <= last => {
                last = last.max(summary.last);
                cluster.push(known);
            }
            _ => {
                last = summary.last;
                clusters.push(vec![known]);
            }
        }
    }
    clusters
}

fn from_summary(
    known: &Known,
    partitions: &[Partition],
    filter: &Filter,
    by: By,
) -> Option<Vec<(Group, u64)>> {
    let Summary { first, last, .. } = known.summary;
    let counted = filter.counted(&known.summary)?;
    let total = counted.iter().sum();
    Some(match by {
        By::Nothing => vec![(Group::All, total)],
        By::Source => vec![(Group::Source(partitions[known.partition].source.clone()), total)],
        By::Time(step) if step_of(first, step) == step_of(last, step) => {
            vec![(Group::Time(step_of(first, step)), total)]
        }
        By::Time(_) => return None,
        By::Level => {
            let levels = std::iter::once(None).chain(Level::ALL.map(Some));
            levels.map(Group::Level).zip(counted).collect()
        }
    })
}

async fn read<K: Kv>(
    kv: &K,
    partitions: &[Partition],
    unclear: &[Known],
    filter: &Filter,
    by: By,
    counts: &mut Counts,
) -> Result<()> {
    let mut lines: Vec<(usize, Line)> = Vec::new();
    for (partition, found) in blocks(kv, partitions, unclear, &mut counts.coverage).await? {
        let wanted = found.into_iter().filter(|line| filter.admits(line));
        lines.extend(wanted.map(|line| (partition, line)));
    }
    lines.sort_by(|(p, a), (q, b)| (p, a.identity()).cmp(&(q, b.identity())));
    lines.dedup_by(|(q, b), (p, a)| p == q && a.identity() == b.identity());
    for (partition, line) in lines {
        let group = match by {
            By::Nothing => Group::All,
            By::Source => Group::Source(partitions[partition].source.clone()),
            By::Level => Group::Level(line.level),
            By::Time(step) => Group::Time(step_of(line.at, step)),
        };
        counts.add(group, 1);
    }
    Ok(())
}

fn step_of(at: Nanos, step: Nanos) -> Nanos {
    at.div_euclid(step).saturating_mul(step)
}
