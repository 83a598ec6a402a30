//! A piece of a file, and a hash that knows where it belongs: one in a wrong place is found out, as a damaged one is.

use crate::id::Item;
use crate::version::OperationId;
use bytes::{BufMut, Bytes};

pub(super) const BUCKET: &str = "files.pieces";
const HASH: usize = 32;

/// Where a piece is: all over the ring.
pub(super) fn item(attempt: OperationId, number: u64) -> Item {
    let mut key = Vec::with_capacity(24);
    key.put_u64(attempt.session);
    key.put_u64(attempt.sequence);
    key.put_u64(number);
    Item { bucket: BUCKET.into(), key: key.into(), sort: Bytes::new() }
}

fn hash(attempt: OperationId, number: u64, data: &[u8]) -> blake3::Hash {
    let mut hash = blake3::Hasher::new_derive_key("quorate 2026 piece of a file");
    hash.update(&attempt.session.to_be_bytes());
    hash.update(&attempt.sequence.to_be_bytes());
    hash.update(&number.to_be_bytes());
    hash.update(data);
    hash.finalize()
}

/// As it is stored.
pub(super) fn seal(attempt: OperationId, number: u64, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HASH + data.len());
    out.put_slice(hash(attempt, number, data).as_bytes());
    out.put_slice(data);
    out.into()
}

/// What was [sealed](seal); `None`: it is something else.
pub(super) fn open(attempt: OperationId, number: u64, stored: &Bytes) -> Option<Bytes> {
    let stated: [u8; HASH] = stored.get(..HASH)?.try_into().ok()?;
    let data = stored.slice(HASH..);
    (hash(attempt, number, &data) == blake3::Hash::from_bytes(stated)).then_some(data)
}
