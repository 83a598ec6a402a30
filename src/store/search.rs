//! The newest records of some keys, looked for in the whole log: for entries of the index that point astray.

use super::Change;
use super::index::Located;
use super::log::segment_numbers;
use super::record::{Found, Kind, Place};
use super::shared::Shared;
use super::walk::{Regions, Walk};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::Ordering;

/// What a look through the log has found.
pub(crate) struct Search {
    newest: BTreeMap<Bytes, Located>,
    /// Behind the last place where something is missing. What is newest before it may not be the newest.
    hole: Option<Place>,
    segments: BTreeSet<u32>,
    /// How much was read.
    pub(crate) bytes: u64,
}

/// Where a key's newest record is.
pub(crate) enum Verdict {
    At(Located),
    /// The log has no such key: nor should the index.
    Nowhere,
    /// It may be what cannot be read.
    Unknown,
}

impl Search {
    /// # Errors
    /// Something cannot be opened now, or the store is being closed.
    pub(crate) fn of(shared: &Shared, keys: BTreeSet<&Bytes>) -> io::Result<Search> {
        // What is newer than this the node may not have seen yet.
        let applied = shared.applied.load(Ordering::Acquire);
        let mut newest: BTreeMap<Bytes, Located> = BTreeMap::new();
        let mut hole: Option<Place> = None;
        let mut last: Option<u64> = None;
        let mut bytes = 0;
        let segments = segment_numbers(&*shared.disk)?;
        for &segment in &segments {
            let Some(mut walk) = Walk::open(shared, segment, 0)? else {
                hole = Some(Place { segment, offset: u32::MAX });
                continue;
            };
            let mut regions = Regions::new();
            let mut take = |found: Found| {
                let is_opening = found.header.kind == Kind::Opening;
                let before = found.header.sequence.saturating_sub(u64::from(!is_opening));
                if last.is_some_and(|last| last < before) {
                    hole = Some(found.place);
                }
                last = last.max(Some(found.header.sequence));
                if found.header.sequence > applied {
                    return;
                }
                for (change, place, length) in found.changes() {
                    match change {
                        Change::Put { key, head, .. } if keys.contains(&key) => {
                            newest.insert(key, Located { place, length, head });
                        }
                        Change::Put { .. } => {}
                        Change::Erase { key } => drop(newest.remove(&key)),
                        Change::EraseRange { from, to } => {
                            newest.retain(|key, _| *key < from || *key >= to);
                        }
                    }
                }
            };
            while !walk.is_over() && !shared.is_over() {
                bytes += walk.read_on(&mut take, &mut regions);
            }
            let damaged = regions.last().map(|(_, to)| Place { segment, offset: *to });
            hole = hole.max(damaged);
        }
        if shared.is_over() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(Search { newest, hole, segments, bytes })
    }

    /// What is so for certain of a key for which the index has this.
    pub(crate) fn verdict(&mut self, key: &Bytes, seen: &Located) -> Verdict {
        match self.newest.remove(key) {
            Some(found) if self.hole.is_none_or(|hole| hole <= found.place) => Verdict::At(found),
            None if self.hole.is_none() && self.segments.contains(&seen.place.segment) => {
                Verdict::Nowhere
            }
            _ => Verdict::Unknown,
        }
    }
}
