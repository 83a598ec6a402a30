//! The operations of what was collected: a write that is tried again when its value has been deleted and collected
//! does not bring it back.
//!
//! A record remembers the operations that it has covered; with the record that memory goes. So it is put down, in
//! the batch that erases the record, and kept for as long as the record would have kept it.

use super::super::{Shard, Turn};
use crate::guard::{self, Guard};
use crate::id::Conflict;
use crate::message::{decode, encode_into};
use crate::store::{Change, Store, StoreError, key};
use crate::time::{HybridTime, WallClock};
use crate::version::{COVERED_WINDOW, Content, Head, OperationId, Record};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Under which of the node's own keys they are: the date when they can go, and something random.
const PREFIX: &str = "gone/";

/// An operation on one key, by the key's hash.
type Name = (u64, OperationId);

/// See the module's picture.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// When each was covered.
    known: BTreeMap<Name, HybridTime>,
    /// Which of them can be forgotten when, in milliseconds.
    until: BTreeMap<u64, Vec<Name>>,
}

impl Gone {
    /// What an earlier life has put down.
    pub fn open(store: &dyn Store) -> Result<Gone, StoreError> {
        let mut gone = Gone::default();
        let mut from = key::meta(PREFIX);
        let to = key::after_prefix(&from);
        loop {
            let page = store.scan(&from, &to, 1024)?;
            for (key, _) in &page {
                let Some(until) = date_of(key) else { continue };
                let entry = match store.get(key) {
                    // The other owners know it too; a node that does not start knows nothing.
                    Err(StoreError::Damaged(_)) => None,
                    entry => entry?,
                };
                let list =
                    entry.and_then(|e| decode::<Vec<(u64, OperationId, HybridTime)>>(&e.body).ok());
                for (hash, operation, stamp) in list.into_iter().flatten() {
                    gone.remember((hash, operation), stamp, until);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == 1024 => from = super::super::scan::after(last),
                _ => return Ok(gone),
            }
        }
    }

    fn remember(&mut self, name: Name, stamp: HybridTime, until: u64) {
        let known = self.known.entry(name).or_default();
        *known = stamp.max(*known);
        self.until.entry(until).or_default().push(name);
    }

    /// Forgets what is not needed any more at this date. True: there was something.
    fn forget(&mut self, date: WallClock) -> bool {
        let left = self.until.split_off(&date.0);
        let over = std::mem::replace(&mut self.until, left);
        for name in over.values().flatten() {
            self.known.remove(name);
        }
        !over.is_empty()
    }

    fn holds(&self, name: Name, stamp: HybridTime) -> bool {
        let covered = |at: &HybridTime| stamp.wall().0 < at.wall().0.saturating_add(window());
        self.known.get(&name).is_some_and(covered)
    }
}

impl Shard {
    /// Puts down the operations of these records, in the batch of this turn.
    pub(super) fn remember_gone(&mut self, heads: &[(Bytes, Head)], turn: &mut Turn) {
        if !guard::holds(Guard::CollectedIsKnown) {
            return;
        }
        let date = self.date(turn);
        let mut list: Vec<(u64, OperationId, HybridTime)> = Vec::new();
        let mut until = 0;
        for (key, head) in heads {
            let hash = xxh3_64(key);
            let siblings = head.siblings.iter().map(|s| (s.operation, s.stamp));
            let covered = head.covered.iter().map(|c| (c.operation, c.stamp));
            for (operation, stamp) in siblings.chain(covered) {
                // A stamp from the future is not kept for longer.
                let over = stamp.wall().0.min(date.0).saturating_add(window());
                if over > date.0 {
                    list.push((hash, operation, stamp));
                    until = until.max(over);
                }
            }
        }
        if list.is_empty() {
            return;
        }
        for (hash, operation, stamp) in &list {
            self.collection.gone.remember((*hash, *operation), *stamp, until);
        }
        let mut body = Vec::new();
        encode_into(&mut body, &list);
        let tail = [until.to_be_bytes(), self.rng.u64(..).to_be_bytes()].concat();
        let key = [&key::meta(PREFIX)[..], &tail].concat().into();
        turn.outbox.persist(Change::Put { key, head: Bytes::new(), body: body.into() });
    }

    /// Forgets what is older than the window.
    pub(super) fn forget_gone(&mut self, turn: &mut Turn) {
        let date = self.date(turn);
        if self.collection.gone.forget(date) {
            let from = key::meta(PREFIX);
            let to = [&from[..], &date.0.to_be_bytes()].concat().into();
            turn.outbox.persist(Change::EraseRange { from, to });
        }
    }

    /// Whether a write that comes now is a late retry of one whose value was deleted, and collected.
    pub(in super::super) fn was_collected(
        &self,
        key: &[u8],
        operation: OperationId,
        turn: &Turn,
    ) -> bool {
        let stamp = self.clock.last().max(HybridTime::from_wall(turn.now.wall));
        self.collection.gone.holds((xxh3_64(key), operation), stamp)
    }

    /// A record from elsewhere, without the values of such retries. Its vector stays as it was, so that whoever has
    /// taken one, not having heard of the collection, drops it at the next join. In an `lww` bucket the vector
    /// decides nothing and owners would never agree: there only who coordinates such a retry knows it.
    pub(in super::super) fn without_collected<'a>(
        &self,
        key: &[u8],
        record: &'a Record,
    ) -> Cow<'a, Record> {
        let gone = &self.collection.gone;
        if gone.known.is_empty() || record.kind.conflict() == Conflict::Lww {
            return Cow::Borrowed(record);
        }
        let hash = xxh3_64(key);
        let is_gone = |sibling: &crate::version::Sibling| {
            matches!(sibling.content, Content::Value(_))
                && gone.holds((hash, sibling.operation), sibling.stamp)
        };
        if !record.siblings.iter().any(is_gone) {
            return Cow::Borrowed(record);
        }
        let siblings = record.siblings.without(is_gone);
        Cow::Owned(Record { siblings, ..record.clone() })
    }
}

fn window() -> u64 {
    u64::try_from(COVERED_WINDOW.as_millis()).unwrap_or(u64::MAX)
}

fn date_of(key: &[u8]) -> Option<u64> {
    let tail = key.strip_prefix(&key::meta(PREFIX)[..])?;
    tail.first_chunk().map(|date| u64::from_be_bytes(*date))
}
