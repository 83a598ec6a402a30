//! A log store on top of the key-value store: lines go in, and are found by source, time and level.
//!
//! ```text
//!   lines ─► parse ─► Stream ─► partition = source + hour + class of levels
//!                                 └ blocks of some hundred lines, cut by content, compressed      bucket logs
//!                                 └ a summary of each block                                       bucket logs
//!                                 └ which sources and partitions there are                        bucket logs.catalog
//!
//!   query ─► catalog: these partitions ─► summaries: these blocks ─► lines, each once, in order
//! ```
//!
//! It uses [`Kv`] and nothing else of the store, so that it runs in a client's process and in a node's. A line is what it
//! is by its source, its moment, its text, and which of equal ones it is: so whatever is sent again, whole or in part,
//! is there once. What cannot be read is named in the [`Coverage`] of an answer.

mod block;
mod catalog;
mod columns;
mod count;
mod cursor;
mod cut;
mod events;
mod filter;
mod follow;
#[allow(clippy::disallowed_methods)] // it waits before it tries again
mod ingest;
pub mod json;
mod level;
mod line;
mod moment;
#[allow(clippy::disallowed_types)] // looked up, never walked through
mod ordinals;
mod parse;
mod partition;
mod read;
mod search;
mod summary;
mod unpack;
mod zone;

#[cfg(test)]
mod tests;

pub use catalog::{Source, is_own_bucket};
pub use count::{By, Counts, Group};
pub use cursor::Cursor;
pub use events::{Dated, EVENT_LIMIT, Event, Events, LINE_LIMIT, Outcome, Rejected};
pub use filter::{Filter, Levels};
pub use follow::Follow;
pub use ingest::{Announced, Entry, Ingested, Stream};
pub use level::Level;
pub use line::Line;
pub use moment::{parse_time, show_time};
pub use parse::{Format, Message, Nanos, Parsed, Parser};
pub use partition::{SOURCE_LIMIT, WINDOW_SECONDS};
pub use read::Coverage;
pub use search::{Found, Order, Page, Search};
pub use unpack::open;
pub use zone::Zone;

use crate::client::Kv;
use crate::error::Result;
use std::time::Duration;

/// A handle to the logs of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Logs<K> {
    kv: K,
    announced: Announced,
}

impl<K: Kv> Logs<K> {
    /// The logs that are kept in this store.
    pub fn new(kv: K) -> Logs<K> {
        Logs::sharing(kv, Announced::default())
    }

    /// The same for whoever makes such a handle again and again, and keeps what they know.
    pub fn sharing(kv: K, announced: Announced) -> Logs<K> {
        Logs { kv, announced }
    }

    /// Begins a stream of lines of one source: a file, a request, a connection. `ttl` is how long lines are kept after
    /// they arrived; where it is not said the source keeps what it has. `arrival` is now.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid): that is no name for a source. Or the catalog cannot be written:
    /// nothing has changed, or the source is known from now on.
    pub async fn stream(
        &self,
        source: &str,
        ttl: Option<Duration>,
        arrival: Nanos,
    ) -> Result<Stream<K>> {
        ingest::check_source(source)?;
        catalog::create_buckets(&self.kv).await?;
        let known = catalog::source(&self.kv, source).await?;
        let kept = known.as_ref().and_then(|known| known.ttl);
        let wanted = Source { name: source.into(), ttl: ttl.or(kept) };
        if known.as_ref() != Some(&wanted) {
            catalog::put_source(&self.kv, &wanted).await?;
        }
        Ok(Stream::new(self.kv.clone(), wanted, self.announced.clone(), arrival))
    }

    /// For a stream that outlives an hour: what it takes from now on arrives now, and is kept as long as the source says now.
    ///
    /// # Errors
    /// The catalog cannot be read; the stream goes on as before.
    pub async fn renew(&self, stream: &mut Stream<K>, arrival: Nanos) -> Result<()> {
        if let Some(source) = catalog::source(&self.kv, stream.source()).await? {
            stream.renew(source, arrival);
        }
        Ok(())
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn sources(&self) -> Result<Vec<Source>> {
        catalog::sources(&self.kv).await
    }

    /// Begins a query. With a cursor it goes on after the line that the cursor names.
    ///
    /// # Errors
    /// The catalog cannot be read; [`Error::Invalid`](crate::Error::Invalid): the cursor is of another query.
    pub async fn search(
        &self,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Result<Search<K>> {
        Search::begin(self.kv.clone(), filter, order, after).await
    }

    /// Follows lines that are dated `since` or later, and at most ten minutes back.
    pub fn follow(&self, filter: Filter, since: Nanos) -> Follow<K> {
        Follow::new(self.kv.clone(), filter, since)
    }

    /// Counts lines.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn count(&self, filter: &Filter, by: By) -> Result<Counts> {
        count::count(&self.kv, filter, by).await
    }
}
