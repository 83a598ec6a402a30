//! Where a record stands in the order of the store.
//!
//! ```text
//! [space u8][partition u16][bucket id u64][partition key, 00 as 00 FF, ended by 00 01][sort key]
//! ```
//!
//! Big-endian, so that a partition is one range, a bucket within it one, a partition key within that one,
//! and sort keys follow in their own order. Shard counts never reach the disk.

use crate::id::{BucketId, NodeId, PartitionId};
use bytes::Bytes;

/// What a key is about: the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Space {
    /// What the node remembers of itself.
    Meta = 0,
    /// Items.
    Data = 1,
    /// Whom to hand an item over to: `[space][owner u64][the item's whole key]`.
    Hints = 2,
}

/// The longest partition key, in bytes.
pub const PARTITION_KEY_LIMIT: usize = 1024;
/// The longest sort key, in bytes.
pub const SORT_KEY_LIMIT: usize = 1024;

/// Where an item of `partition key` and `sort` key lives.
pub fn item(partition: PartitionId, bucket: BucketId, key: &[u8], sort: &[u8]) -> Bytes {
    let mut out = prefix(partition, bucket, key, sort.len());
    out.extend_from_slice(sort);
    out.into()
}

fn prefix(partition: PartitionId, bucket: BucketId, key: &[u8], more: usize) -> Vec<u8> {
    let mut out = begin(partition, bucket, key, 2 + more);
    out.extend_from_slice(&[0, 1]);
    out
}

/// How all items begin whose partition keys begin with `key`.
fn begin(partition: PartitionId, bucket: BucketId, key: &[u8], more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(11 + key.len() + more);
    out.push(Space::Data as u8);
    out.extend_from_slice(&partition.0.to_be_bytes());
    out.extend_from_slice(&bucket.0.to_be_bytes());
    for &byte in key {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out
}

/// The parts of an item's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    /// The slice of the hash space.
    pub partition: PartitionId,
    /// The bucket.
    pub bucket: BucketId,
    /// The partition key.
    pub key: Vec<u8>,
    /// The sort key; often empty.
    pub sort: Vec<u8>,
}

/// Takes an item's key apart; `None` if it is not one.
pub fn parse_item(bytes: &[u8]) -> Option<ItemKey> {
    let (&space, rest) = bytes.split_first()?;
    if space != Space::Data as u8 {
        return None;
    }
    let (partition, rest) = rest.split_first_chunk::<2>()?;
    let (bucket, rest) = rest.split_first_chunk::<8>()?;
    let mut key = Vec::new();
    let mut at = 0;
    loop {
        match (*rest.get(at)?, rest.get(at + 1)) {
            (0, Some(0xff)) => {
                key.push(0);
                at += 2;
            }
            (0, Some(1)) => break,
            (0, _) => return None,
            (byte, _) => {
                key.push(byte);
                at += 1;
            }
        }
    }
    Some(ItemKey {
        partition: PartitionId(u16::from_be_bytes(*partition)),
        bucket: BucketId(u64::from_be_bytes(*bucket)),
        key,
        sort: rest[at + 2..].to_vec(),
    })
}

/// The partition of an item's key, without taking the rest apart.
pub fn partition_of_item(bytes: &[u8]) -> Option<PartitionId> {
    let rest = bytes.strip_prefix(&[Space::Data as u8])?;
    rest.split_first_chunk::<2>().map(|(p, _)| PartitionId(u16::from_be_bytes(*p)))
}

/// The bucket of an item's key, without taking the rest apart.
pub fn bucket_of_item(bytes: &[u8]) -> Option<BucketId> {
    let (_, rest) = bytes.strip_prefix(&[Space::Data as u8])?.split_first_chunk::<2>()?;
    rest.split_first_chunk::<8>().map(|(bucket, _)| BucketId(u64::from_be_bytes(*bucket)))
}

/// The range `from..to` of a whole partition.
pub fn partition_range(partition: PartitionId) -> (Bytes, Bytes) {
    let mut from = vec![Space::Data as u8];
    from.extend_from_slice(&partition.0.to_be_bytes());
    let to = after_prefix(&from);
    (from.into(), to)
}

/// The range `from..to` of one bucket in a partition.
pub fn bucket_range(partition: PartitionId, bucket: BucketId) -> (Bytes, Bytes) {
    keys_range(partition, bucket, b"")
}

/// The range `from..to` of the items of a bucket in a partition whose partition keys begin so.
pub fn keys_range(partition: PartitionId, bucket: BucketId, key_prefix: &[u8]) -> (Bytes, Bytes) {
    let from = begin(partition, bucket, key_prefix, 0);
    let to = after_prefix(&from);
    (from.into(), to)
}

/// The first store key behind all items of this item's partition key; `None` if it is not one.
pub fn after_key(item: &[u8]) -> Option<Bytes> {
    let sort = parse_item(item)?.sort.len();
    Some(after_prefix(&item[..item.len() - sort]))
}

/// The first possible key after `key`.
pub fn next(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

/// The range `from..to` of all items.
pub fn data_range() -> (Bytes, Bytes) {
    (vec![Space::Data as u8].into(), vec![Space::Data as u8 + 1].into())
}

/// The range `from..to` of the items of one partition key whose sort keys lie in `from..to`
/// (an empty `to` means: to the last).
pub fn sort_range(
    partition: PartitionId,
    bucket: BucketId,
    key: &[u8],
    from: &[u8],
    to: Option<&[u8]>,
) -> (Bytes, Bytes) {
    let base = prefix(partition, bucket, key, 0);
    let end = match to {
        Some(to) => [&base[..], to].concat().into(),
        None => after_prefix(&base),
    };
    ([&base[..], from].concat().into(), end)
}

/// Where the hint for `owner` about an item lives.
pub fn hint(owner: NodeId, item: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(9 + item.len());
    out.push(Space::Hints as u8);
    out.extend_from_slice(&owner.0.to_be_bytes());
    out.extend_from_slice(item);
    out.into()
}

/// The owner and the item's key of a hint; `None` if it is not one.
pub fn parse_hint(bytes: &Bytes) -> Option<(NodeId, Bytes)> {
    let rest = bytes.strip_prefix(&[Space::Hints as u8])?;
    let (owner, item) = rest.split_first_chunk::<8>()?;
    partition_of_item(item)?;
    Some((NodeId(u64::from_be_bytes(*owner)), bytes.slice(9..)))
}

/// The range `from..to` of the hints for one owner, or of all hints.
pub fn hint_range(owner: Option<NodeId>) -> (Bytes, Bytes) {
    let mut from = vec![Space::Hints as u8];
    if let Some(owner) = owner {
        from.extend_from_slice(&owner.0.to_be_bytes());
    }
    let to = after_prefix(&from);
    (from.into(), to)
}

/// Where the node remembers something of itself.
pub fn meta(name: &str) -> Bytes {
    let mut out = vec![Space::Meta as u8];
    out.extend_from_slice(name.as_bytes());
    out.into()
}

/// The first key after everything that begins with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut out = prefix.to_vec();
    while let Some(last) = out.pop() {
        if last < 0xff {
            out.push(last + 1);
            break;
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_come_back_and_order_is_kept(
            p in any::<u16>(), b in any::<u64>(),
            k1 in proptest::collection::vec(0u8..3, 0..5), s1 in proptest::collection::vec(any::<u8>(), 0..5),
            k2 in proptest::collection::vec(0u8..3, 0..5), s2 in proptest::collection::vec(any::<u8>(), 0..5),
        ) {
            let (p, b) = (PartitionId(p), BucketId(b));
            let one = item(p, b, &k1, &s1);
            let two = item(p, b, &k2, &s2);
            prop_assert_eq!(parse_item(&one), Some(ItemKey { partition: p, bucket: b, key: k1.clone(), sort: s1.clone() }));
            prop_assert_eq!(one.cmp(&two), (&k1, &s1).cmp(&(&k2, &s2)));
            let (from, to) = sort_range(p, b, &k1, b"", None);
            prop_assert!(from <= one && one < to);
            prop_assert_eq!(from <= two && two < to, k1 == k2);
            prop_assert_eq!(after_key(&one), Some(to));
            for length in 0..=k2.len() {
                let (from, to) = keys_range(p, b, &k2[..length]);
                prop_assert_eq!(from <= one && one < to, k1.starts_with(&k2[..length]));
            }
            let (from, to) = partition_range(p);
            prop_assert!(from <= one && (one < to || to.is_empty()));
        }

        #[test]
        fn junk_is_not_a_key(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = parse_item(&bytes) {
                prop_assert_eq!(&item(key.partition, key.bucket, &key.key, &key.sort)[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn the_bytes_of_a_key_are_golden() {
        let key = item(PartitionId(0x0102), BucketId(3), b"a\0b", b"s");
        assert_eq!(&key[..], b"\x01\x01\x02\0\0\0\0\0\0\0\x03a\0\xffb\0\x01s");
        let hinted = hint(NodeId(7), &key);
        assert_eq!(parse_hint(&hinted), Some((NodeId(7), key)));
    }
}
