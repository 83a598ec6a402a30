//! New lines as they come: whatever block was not there at the last look is read.

use super::block::BlockId;
use super::cursor::in_order;
use super::filter::Filter;
use super::partition::Nanos;
use super::read::{Coverage, blocks, plan, summaries};
use super::search::Found;
use crate::client::Kv;
use crate::error::Result;
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How far back a line may be dated that arrives now: later ones are not followed.
const REACH: Nanos = 600 * 1_000_000_000;
/// How many blocks and lines are remembered; then the older half is forgotten.
const REMEMBERED: usize = 200_000;

/// A look at what is new, again and again.
pub struct Follow<K> {
    kv: K,
    filter: Filter,
    since: Nanos,
    blocks: BTreeSet<BlockId>,
    /// Lines that were sent in two blocks are shown once. By moment, so that the oldest are forgotten first.
    lines: BTreeSet<(Nanos, u64)>,
    coverage: Coverage,
}

impl<K: Kv> Follow<K> {
    pub(super) fn new(kv: K, filter: Filter, since: Nanos) -> Follow<K> {
        let (blocks, lines, coverage) = Default::default();
        Follow { kv, filter, since, blocks, lines, coverage }
    }

    /// What the last look rests on.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The lines that are new since the last look, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read. Look again later: nothing is missed.
    pub async fn look(&mut self, now: Nanos) -> Result<Vec<Found>> {
        self.coverage = Coverage::default();
        self.filter.since = Some(self.since.max(now.saturating_sub(REACH)));
        let partitions = plan(&self.kv, &self.filter, &mut self.coverage).await?;
        let mut known = summaries(&self.kv, &partitions, &mut self.coverage).await?;
        known.retain(|known| {
            self.filter.admits_block(&known.summary) && !self.blocks.contains(&known.summary.id)
        });
        let mut new = Vec::new();
        for (at, lines) in blocks(&self.kv, &partitions, &known, &mut self.coverage).await? {
            let source: std::sync::Arc<str> = partitions[at].source.as_str().into();
            for line in lines.into_iter().filter(|line| self.filter.admits(line)) {
                let seed = xxh3_64_with_seed(source.as_bytes(), line.ordinal.into());
                if self.lines.insert((line.at, xxh3_64_with_seed(line.text.as_bytes(), seed))) {
                    new.push(Found { source: source.clone(), line });
                }
            }
        }
        // What could not be read is looked at again.
        if self.coverage.is_whole() {
            self.blocks.extend(known.iter().map(|known| known.summary.id));
        }
        self.forget();
        new.sort_by(in_order);
        Ok(new)
    }

    fn forget(&mut self) {
        while self.lines.len() > REMEMBERED {
            self.lines.pop_first();
        }
        if self.blocks.len() > REMEMBERED {
            self.blocks.clear();
        }
    }
}
