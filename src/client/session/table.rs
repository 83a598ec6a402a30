//! What a session has seen, item by item: the least recently used goes when it is full.

use super::kept::Kept;
use crate::error::{Error, Result};
use crate::message::client::Item;
use crate::message::{decode, encode_into};
use std::collections::BTreeMap;

/// The version with which an exported session begins.
const VERSION: u8 = 1;
/// The longest exported session that is taken back, in bytes.
pub const SESSION_BYTES: usize = 1 << 20;

/// Bounded: an item that was let go is as if it had never been met.
#[derive(Debug)]
pub(super) struct Table {
    capacity: usize,
    items: BTreeMap<Item, (Kept, u64)>,
    /// Who was used when; the first goes first.
    order: BTreeMap<u64, Item>,
    now: u64,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Table {
        Table { capacity: capacity.max(1), items: BTreeMap::new(), order: BTreeMap::new(), now: 0 }
    }

    /// What was seen of an item; nothing, if it was not met or was let go.
    pub(super) fn get(&mut self, item: &Item) -> Kept {
        let Some(kept) = self.items.get(item).map(|(kept, _)| kept.clone()) else {
            return Kept::default();
        };
        self.put(item, kept.clone());
        kept
    }

    /// Changes what was seen of an item.
    pub(super) fn change(&mut self, item: &Item, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.get(item);
        change(&mut kept);
        self.put(item, kept);
    }

    pub(super) fn forget(&mut self, item: &Item) {
        if let Some((_, used)) = self.items.remove(item) {
            self.order.remove(&used);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    fn put(&mut self, item: &Item, kept: Kept) {
        self.forget(item);
        self.now += 1;
        self.order.insert(self.now, item.clone());
        self.items.insert(item.clone(), (kept, self.now));
        while self.items.len() > self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.items.remove(&oldest);
        }
    }

    /// The most recently used items that fit into `limit` bytes.
    pub(super) fn export(&self, limit: usize) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for item in self.order.values().rev() {
            let Some((kept, _)) = self.items.get(item) else { continue };
            let mut entry = Vec::new();
            encode_into(&mut entry, &(item, kept));
            let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
            if bytes.len() + size_of::<u32>() + entry.len() > limit.min(SESSION_BYTES) {
                break;
            }
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&entry);
        }
        bytes
    }

    /// What [`export`](Table::export) made; nothing is taken from anything else.
    pub(super) fn import(capacity: usize, bytes: &[u8]) -> Result<Table> {
        let refuse = || Error::Invalid("this is no exported session: begin a new one".into());
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(refuse()) };
        if bytes.len() > SESSION_BYTES {
            return Err(refuse());
        }
        let mut items: Vec<(Item, Kept)> = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().ok_or_else(refuse)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| refuse())?;
            let (entry, after) = after.split_at_checked(length).ok_or_else(refuse)?;
            items.push(decode(entry).map_err(|_| refuse())?);
            rest = after;
        }
        let mut table = Table::new(capacity);
        // The most recently used came first.
        items.iter().rev().for_each(|(item, kept)| table.put(item, kept.clone()));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &'static str) -> Item {
        Item { bucket: "b".into(), key: key.into(), sort: Default::default() }
    }

    fn table(capacity: usize, keys: &[&'static str]) -> Table {
        let mut table = Table::new(capacity);
        keys.iter().for_each(|key| table.change(&item(key), |_| ()));
        table
    }

    fn keys(table: &Table) -> Vec<&[u8]> {
        table.order.values().map(|item| &item.key[..]).collect()
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut table = table(2, &["a", "b"]);
        table.get(&item("a"));
        table.change(&item("c"), |_| ());
        assert_eq!(keys(&table), [b"a", b"c"]);
        table.forget(&item("a"));
        assert_eq!((keys(&table), table.len()), (vec![&b"c"[..]], 1));
    }

    #[test]
    fn an_exported_session_comes_back_within_its_limit_and_junk_does_not() {
        let full = table(9, &["a", "b", "c"]);
        let bytes = full.export(SESSION_BYTES);
        let again = Table::import(9, &bytes).expect("ours");
        assert_eq!((keys(&again), &again.items.len()), (keys(&full), &3));
        let newest = full.export(bytes.len() - 1);
        assert_eq!(keys(&Table::import(9, &newest).expect("ours")), [b"b", b"c"]);
        assert_eq!(keys(&Table::import(1, &bytes).expect("ours")), [b"c"]);
        for cut in 1..5 {
            assert!(Table::import(9, &bytes[..bytes.len() - cut]).is_err(), "{cut}");
        }
        for junk in [&b""[..], &[2], &[1, 255, 255, 255, 255], &[1, 1, 0, 0, 0, 0xc1]] {
            assert!(Table::import(9, junk).is_err(), "{junk:?}");
        }
    }
}
