//! The place of a line in the order of all lines, as a word that a client carries.
//!
//! It says where to go on and nothing of what any node remembers: so it outlives nodes.

use super::filter::Filter;
use super::partition::{Nanos, WINDOW};
use super::search::{Found, Order};
use super::summary::Summary;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The longest cursor that is taken, in bytes.
const CURSOR_LIMIT: usize = 4 << 10;
const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    version: u8,
    query: u32,
    is_newest_first: bool,
    at: Nanos,
    source: String,
    position: u32,
    /// Of the text.
    hash: u64,
    ordinal: u32,
}

impl Cursor {
    pub(super) fn at(found: &Found, filter: &Filter, order: Order) -> Cursor {
        Cursor {
            version: VERSION,
            query: filter.fingerprint(),
            is_newest_first: order == Order::Newest,
            at: found.line.at,
            source: found.source.to_string(),
            position: found.line.position,
            hash: text_hash(found),
            ordinal: found.line.ordinal,
        }
    }

    /// The cursor, if it was made by this query.
    pub(super) fn of_this(self, filter: &Filter, order: Order) -> Result<Cursor> {
        let is_same = self.query == filter.fingerprint()
            && self.is_newest_first == (order == Order::Newest)
            && self.version == VERSION;
        let why = "the cursor is of another query; repeat the query with which it came, or leave the cursor out";
        is_same.then_some(self).ok_or_else(|| Error::Invalid(why.into()))
    }

    /// Whether a line comes after it.
    pub(super) fn is_before(&self, found: &Found, order: Order) -> bool {
        let line = &found.line;
        let compared = (line.at, &*found.source, line.position)
            .cmp(&(self.at, &*self.source, self.position))
            .then_with(|| (text_hash(found), line.ordinal).cmp(&(self.hash, self.ordinal)));
        compared == if order == Order::Newest { Ordering::Less } else { Ordering::Greater }
    }

    /// Whether a block may hold a line that comes after it.
    pub(super) fn may_be_before(&self, summary: &Summary, order: Order) -> bool {
        match order {
            Order::Newest => summary.first <= self.at,
            Order::Oldest => summary.last >= self.at,
        }
    }

    pub(super) fn may_be_before_some_of(&self, window: Nanos, order: Order) -> bool {
        match order {
            Order::Newest => window <= self.at,
            Order::Oldest => window.saturating_add(WINDOW) > self.at,
        }
    }
}

/// By time; at one moment by source, and there as they came.
pub(super) fn in_order(a: &Found, b: &Found) -> Ordering {
    (a.line.at, &a.source, a.line.position)
        .cmp(&(b.line.at, &b.source, b.line.position))
        .then_with(|| (text_hash(a), a.line.ordinal).cmp(&(text_hash(b), b.line.ordinal)))
}

fn text_hash(found: &Found) -> u64 {
    xxhash_rust::xxh3::xxh3_64(found.line.text.as_bytes())
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = rmp_serde::to_vec(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for Cursor {
    type Err = Error;

    fn from_str(word: &str) -> Result<Cursor> {
        let is_short = word.len() <= CURSOR_LIMIT;
        let bytes = is_short.then(|| URL_SAFE_NO_PAD.decode(word).ok()).flatten();
        let cursor = bytes.and_then(|bytes| rmp_serde::from_slice(&bytes).ok());
        cursor.ok_or_else(|| {
            Error::Invalid("the cursor is none of ours; leave it out to begin again".into())
        })
    }
}
