//! What comes back.

use super::Context;
use crate::error::{Error, Result};
use crate::message::client::{Info, PageItem, Version};
use bytes::Bytes;

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The concurrent values; none: there is nothing, or it was deleted.
    pub siblings: Vec<Version>,
    /// For the next write of this key: it replaces what this read saw. Counts also when nothing is there.
    pub context: Context,
    /// How the answer came about.
    pub info: Info,
}

impl Got {
    /// The value, or `None` if there is nothing.
    ///
    /// # Errors
    /// [`Error::Siblings`] when there are several: look at `siblings`, or use
    /// [`Client::resolve`](super::Client::resolve).
    pub fn value(&self) -> Result<Option<&Bytes>> {
        only(&self.siblings)
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.siblings.is_empty()
    }
}

/// What a write left behind: it is durable on as many replicas as were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// For the next write of this key.
    pub context: Context,
    /// How it came about.
    pub info: Info,
}

/// One item of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanItem {
    /// Its sort key.
    pub sort: Bytes,
    /// Its concurrent values; never empty.
    pub siblings: Vec<Version>,
    /// For the next write of this item.
    pub context: Context,
}

impl ScanItem {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Siblings`] when there are several.
    pub fn value(&self) -> Result<Option<&Bytes>> {
        only(&self.siblings)
    }
}

impl From<PageItem> for ScanItem {
    fn from(item: PageItem) -> ScanItem {
        let context = Context::from_node(item.context);
        ScanItem { sort: item.sort, siblings: item.values, context }
    }
}

fn only(siblings: &[Version]) -> Result<Option<&Bytes>> {
    match siblings {
        [] => Ok(None),
        [one] => Ok(Some(&one.value)),
        several => Err(Error::Siblings { count: several.len() }),
    }
}
