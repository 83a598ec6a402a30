//! What somebody has seen of a range: a digest of each item, in order of the sort keys, as text that any node can read.

use crate::message::client::PageItem;
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// How many items a range that is watched may have: a marker names each.
pub(super) const RANGE_LIMIT: usize = 500;
/// With which byte one begins.
const VERSION: u8 = 1;
/// Two hashes.
const ENTRY: usize = 16;

/// By the hash of its sort key, the hash of what was seen of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marker(BTreeMap<u64, u64>);

fn entry(item: &PageItem) -> (u64, u64) {
    (xxh3_64(&item.sort), xxh3_64(item.context.as_bytes()))
}

impl Marker {
    /// What is there now.
    pub fn of(items: &[PageItem]) -> Marker {
        Marker(items.iter().map(entry).collect())
    }

    /// Whether an item was seen as it is.
    pub fn holds(&self, item: &PageItem) -> bool {
        let (sort, state) = entry(item);
        self.0.get(&sort) == Some(&state)
    }

    /// Whether something is in this one and not in the other.
    pub fn lacks_in(&self, now: &Marker) -> bool {
        self.0.keys().any(|sort| !now.0.contains_key(sort))
    }

    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        for (sort, state) in &self.0 {
            bytes.extend_from_slice(&sort.to_be_bytes());
            bytes.extend_from_slice(&state.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What somebody says to have seen; `None`: nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn decode(text: &str) -> Result<Option<Marker>> {
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || Error::Invalid("parameter `seen`: give it the marker as `seen` came".into());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let entries = bytes.strip_prefix(&[VERSION]).ok_or_else(wrong)?;
        if entries.len() % ENTRY != 0 || entries.len() > RANGE_LIMIT * ENTRY {
            return Err(wrong());
        }
        let half = |bytes: &[u8]| u64::from_be_bytes(std::array::from_fn(|at| bytes[at]));
        let entries = entries.chunks_exact(ENTRY);
        Ok(Some(Marker(entries.map(|entry| (half(&entry[..8]), half(&entry[8..]))).collect())))
    }
}
