//! Answers in the order of time, a page at a time.
//!
//! ```text
//!   newest first      window 15:00            window 14:00
//!   blocks by last    ▐▐▐▐▐▐▐▐▐ web-1         …  not read before all of 15:00 is told
//!                       ▐▐▐▐▐  db
//!                          ↑ the page is full, and no block that is not read reaches so far: done
//! ```
//!
//! Lines that were sent twice are shown once: equal ones are neighbours after sorting. A cursor names the last line that
//! was shown; whoever goes on with it, on whatever node, reads the same blocks again.

use super::cursor::{Cursor, in_order};
use super::filter::Filter;
use super::line::Line;
use super::partition::{Nanos, Partition};
use super::read::{Coverage, Known, blocks, plan, summaries};
use crate::client::Kv;
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many blocks are asked for at once.
const BLOCKS_AT_ONCE: usize = 16;

/// Which lines come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its source.
    pub source: Arc<str>,
    /// What it says.
    pub line: Line,
}

/// Some answers, in order.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// As many as were asked for, or all that were left.
    pub lines: Vec<Found>,
    /// Where to go on; nothing: there is no more.
    pub next: Option<Cursor>,
}

/// A query on its way through the windows.
pub struct Search<K> {
    kv: K,
    filter: Filter,
    order: Order,
    /// By window; the next one last.
    windows: Vec<(Nanos, Vec<Partition>)>,
    current: Option<Window>,
    after: Option<Cursor>,
    coverage: Coverage,
}

/// One window while it is told.
struct Window {
    partitions: Vec<Partition>,
    names: Vec<Arc<str>>,
    /// What is not read yet; the next one last.
    unread: Vec<Known>,
    /// What was read and not told, of which there may be more to come.
    lines: Vec<Found>,
}

impl<K: Kv> Search<K> {
    /// Finds out which partitions can hold an answer. With a cursor it goes on after that line.
    ///
    /// # Errors
    /// The list of sources cannot be read; or the cursor is of another query.
    pub(super) async fn begin(
        kv: K,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Result<Search<K>> {
        let after = after.map(|cursor| cursor.of_this(&filter, order)).transpose()?;
        let mut coverage = Coverage::default();
        let mut windows: BTreeMap<Nanos, Vec<Partition>> = BTreeMap::new();
        for partition in plan(&kv, &filter, &mut coverage).await? {
            windows.entry(partition.window).or_default().push(partition);
        }
        let mut windows: Vec<_> = windows.into_iter().collect();
        if order == Order::Oldest {
            windows.reverse();
        }
        if let Some(after) = &after {
            windows.retain(|(window, _)| after.may_be_before_some_of(*window, order));
        }
        Ok(Search { kv, filter, order, windows, current: None, after, coverage })
    }

    /// What all pages so far rest on.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The next lines, at most so many; fewer only where there are no more.
    ///
    /// # Errors
    /// A task died; what cannot be read is no error, but told by [`coverage`](Search::coverage).
    pub async fn page(&mut self, limit: usize) -> Result<Page> {
        let mut page = Page::default();
        while page.lines.len() < limit {
            let Some(mut window) = self.next_window().await? else { return Ok(page) };
            let wanted = limit - page.lines.len();
            self.read_until(&mut window, wanted).await?;
            let taken = window.lines.len().min(wanted);
            page.lines.extend(window.lines.drain(..taken));
            if !window.lines.is_empty() || !window.unread.is_empty() {
                self.current = Some(window);
            }
        }
        let is_over = self.current.is_none() && self.windows.is_empty();
        if let (false, Some(last)) = (is_over, page.lines.last()) {
            let cursor = Cursor::at(last, &self.filter, self.order);
            self.after = Some(cursor.clone());
            page.next = Some(cursor);
        }
        Ok(page)
    }

    async fn next_window(&mut self) -> Result<Option<Window>> {
        if let Some(window) = self.current.take() {
            return Ok(Some(window));
        }
        let Some((_, partitions)) = self.windows.pop() else { return Ok(None) };
        let mut unread = summaries(&self.kv, &partitions, &mut self.coverage).await?;
        let after = self.after.as_ref();
        unread.retain(|known| {
            let summary = &known.summary;
            self.filter.admits_block(summary)
                && after.is_none_or(|after| after.may_be_before(summary, self.order))
        });
        match self.order {
            Order::Newest => unread.sort_by_key(|known| known.summary.last),
            Order::Oldest => unread.sort_by_key(|known| std::cmp::Reverse(known.summary.first)),
        }
        let names = partitions.iter().map(|partition| partition.source.as_str().into()).collect();
        Ok(Some(Window { partitions, names, unread, lines: Vec::new() }))
    }

    /// Reads until the first `wanted` lines of the window are certain: nothing unread comes before them.
    async fn read_until(&mut self, window: &mut Window, wanted: usize) -> Result<()> {
        loop {
            let cutoff = window.lines.get(wanted - 1).map(|found| found.line.at);
            let comes_before = |known: &Known| match (cutoff, self.order) {
                (None, _) => true,
                (Some(cutoff), Order::Newest) => known.summary.last >= cutoff,
                (Some(cutoff), Order::Oldest) => known.summary.first <= cutoff,
            };
            let mut now = Vec::new();
            while now.len() < BLOCKS_AT_ONCE && window.unread.last().is_some_and(comes_before) {
                now.extend(window.unread.pop());
            }
            if now.is_empty() {
                return Ok(());
            }
            let read = blocks(&self.kv, &window.partitions, &now, &mut self.coverage).await?;
            for (partition, lines) in read {
                let source = &window.names[partition];
                let wanted = lines.into_iter().filter(|line| self.filter.admits(line));
                window.lines.extend(wanted.map(|line| Found { source: source.clone(), line }));
            }
            self.settle(&mut window.lines);
        }
    }

    /// Each once, in order, and none that was told before.
    fn settle(&self, lines: &mut Vec<Found>) {
        let identity = |found: &Found| (found.source.clone(), found.line.at, found.line.ordinal);
        lines.sort_by(|a, b| {
            let by_text = || a.line.text.cmp(&b.line.text);
            let by_position = || a.line.position.cmp(&b.line.position);
            identity(a).cmp(&identity(b)).then_with(by_text).then_with(by_position)
        });
        lines.dedup_by(|b, a| a.source == b.source && a.line.identity() == b.line.identity());
        match self.order {
            Order::Newest => lines.sort_by(|a, b| in_order(b, a)),
            Order::Oldest => lines.sort_by(in_order),
        }
        if let Some(after) = &self.after {
            lines.retain(|found| after.is_before(found, self.order));
        }
    }
}
