//! The ordered index: key → (place in the log, head). It can be lost at any time without loss.
//!
//! ```text
//!   log     …▐ put k ▐▐▐ put k ▐▐▐▐▐▐▐…          the truth, in the order of time
//!                          ▲
//!   sled    k ─► (place, length, head)           in the order of keys
//!           applied ─► after which batch         written last
//! ```
//!
//! The index receives durable batches only. What it has after a crash is some prefix of what it was
//! given: `applied` was written after everything that it covers, so nothing below it is missing.

use super::CommitNumber;
use super::record::Place;
use bytes::{Buf, BufMut, Bytes};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Where a key's record lies, and what stays beside the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) place: Place,
    /// The record's length in bytes.
    pub(crate) length: u32,
    pub(crate) head: Bytes,
}

/// How far the index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The first place after the last batch that it holds.
    pub(crate) end: Place,
    /// The sequence number of that batch.
    pub(crate) sequence: u64,
    /// The commit number then.
    pub(crate) commit: CommitNumber,
    /// The bytes of all records that it points to.
    pub(crate) live: u64,
}

/// Why the index cannot be used any more. It must be rebuilt at the next start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index is damaged: {0}")]
pub(crate) struct IndexDamaged(pub(crate) String);

pub(crate) type IndexResult<T> = Result<T, IndexDamaged>;

/// An ordered map that may forget its newest changes in a crash, but only its newest.
pub(crate) trait Index: Send + Sync {
    /// Where the key's record is.
    fn get(&self, key: &[u8]) -> IndexResult<Option<Located>>;
    /// Points the key to a record; returns the length of the one that it pointed to.
    fn put(&self, key: &[u8], located: &Located) -> IndexResult<Option<u32>>;
    /// Forgets the key; returns the length of the record that it pointed to.
    fn remove(&self, key: &[u8]) -> IndexResult<Option<u32>>;
    /// Visits the keys of `from..to` in order.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()>;
    /// Visits the keys of `from..to`, the last one first.
    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()>;
    /// How far it is; nothing when it was never finished.
    fn applied(&self) -> IndexResult<Option<Applied>>;
    /// Notes how far it is. Never overtakes the changes before it.
    fn set_applied(&self, applied: Applied) -> IndexResult<()>;
    /// Returns when everything it was given survives the death of the process.
    fn checkpoint(&self) -> IndexResult<()>;
    /// Its bytes on the disk.
    fn size_on_disk(&self) -> IndexResult<u64>;
}

/// What a scan calls with each key and what it holds.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], Located) -> ControlFlow<()> + 'a;

fn encode(located: &Located) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + located.head.len());
    out.put_u32(located.place.segment);
    out.put_u32(located.place.offset);
    out.put_u32(located.length);
    out.extend_from_slice(&located.head);
    out
}

fn decode(bytes: &[u8]) -> IndexResult<Located> {
    let (mut fixed, head) =
        bytes.split_at_checked(12).ok_or_else(|| IndexDamaged("an entry is too short".into()))?;
    Ok(Located {
        place: Place { segment: fixed.get_u32(), offset: fixed.get_u32() },
        length: fixed.get_u32(),
        head: Bytes::copy_from_slice(head),
    })
}

/// The index in sled, in two trees of one database: the keys, and how far it is. One log below both
/// keeps the order between them.
pub(crate) struct SledIndex {
    db: sled::Db,
    keys: sled::Tree,
}

const APPLIED: &[u8] = b"applied";

impl SledIndex {
    /// Opens or makes the database. `cache_bytes` is sled's own setting; it uses about 2.5 times that.
    pub(crate) fn open(path: &Path, cache_bytes: u64) -> IndexResult<SledIndex> {
        guarded(|| {
            let config = sled::Config::new().path(path).cache_capacity(cache_bytes);
            // Checkpoints are ours: they decide when a segment of the log may go.
            let db = config.flush_every_ms(None).open()?;
            let keys = db.open_tree(b"keys")?;
            Ok(SledIndex { db, keys })
        })
    }
}

/// sled panics on some damaged files instead of returning an error; both mean the same to us.
fn guarded<T>(action: impl FnOnce() -> sled::Result<T>) -> IndexResult<T> {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(IndexDamaged(error.to_string())),
        Err(_) => Err(IndexDamaged("sled panicked".into())),
    }
}

fn length_of(previous: Option<sled::IVec>) -> IndexResult<Option<u32>> {
    previous.map(|bytes| Ok(decode(&bytes)?.length)).transpose()
}

impl Index for SledIndex {
    fn get(&self, key: &[u8]) -> IndexResult<Option<Located>> {
        guarded(|| self.keys.get(key))?.map(|bytes| decode(&bytes)).transpose()
    }

    fn put(&self, key: &[u8], located: &Located) -> IndexResult<Option<u32>> {
        length_of(guarded(|| self.keys.insert(key, encode(located)))?)
    }

    fn remove(&self, key: &[u8]) -> IndexResult<Option<u32>> {
        length_of(guarded(|| self.keys.remove(key))?)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()> {
        let mut items = self.keys.range(from..to);
        while let Some((key, bytes)) = guarded(|| items.next().transpose())? {
            if visit(&key, decode(&bytes)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> IndexResult<()> {
        let mut items = self.keys.range(from..to);
        while let Some((key, bytes)) = guarded(|| items.next_back().transpose())? {
            if visit(&key, decode(&bytes)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn applied(&self) -> IndexResult<Option<Applied>> {
        let Some(bytes) = guarded(|| self.db.get(APPLIED))? else { return Ok(None) };
        let mut rest = &bytes[..];
        if rest.len() != 32 {
            return Err(IndexDamaged("it does not say how far it is".into()));
        }
        Ok(Some(Applied {
            end: Place { segment: rest.get_u32(), offset: rest.get_u32() },
            sequence: rest.get_u64(),
            commit: CommitNumber(rest.get_u64()),
            live: rest.get_u64(),
        }))
    }

    fn set_applied(&self, applied: Applied) -> IndexResult<()> {
        let mut out = Vec::with_capacity(32);
        out.put_u32(applied.end.segment);
        out.put_u32(applied.end.offset);
        out.put_u64(applied.sequence);
        out.put_u64(applied.commit.0);
        out.put_u64(applied.live);
        guarded(|| self.db.insert(APPLIED, out)).map(drop)
    }

    fn checkpoint(&self) -> IndexResult<()> {
        guarded(|| self.db.flush()).map(drop)
    }

    fn size_on_disk(&self) -> IndexResult<u64> {
        guarded(|| self.db.size_on_disk())
    }
}
