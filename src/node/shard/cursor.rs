//! Where a list of keys goes on: opaque to clients, and good on every node.
//!
//! ```text
//!   [version u8][partitions u32][bucket id u64][partition u16][the rest of a store key, behind its bucket]
//! ```
//!
//! It names a position and no node, so that the list goes on when whoever began it is gone. It names the bucket by its
//! id, so that it does not go on in another one that has taken the name.

use crate::error::Error;
use crate::id::{BucketId, PartitionId};
use crate::ring::Partitions;
use crate::store::key::{self, PARTITION_KEY_LIMIT, SORT_KEY_LIMIT};
use bytes::{Buf, BufMut, Bytes};

const VERSION: u8 = 1;
/// What stands before the position.
const HEAD_BYTES: usize = 15;
/// The longest one, in bytes: a position right behind the longest of sort keys, with a key of nothing but zeros.
pub(super) const CURSOR_LIMIT: usize =
    HEAD_BYTES + 2 * PARTITION_KEY_LIMIT + 2 + SORT_KEY_LIMIT + 1;

/// See the module's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub partition: PartitionId,
    /// A store key of this partition and the bucket; everything below it is known.
    pub from: Bytes,
}

impl Cursor {
    /// The beginning of a partition.
    pub fn at(partition: PartitionId, bucket: BucketId) -> Cursor {
        Cursor { partition, from: key::bucket_range(partition, bucket).0 }
    }

    /// As it travels.
    pub fn encode(&self, bucket: BucketId, partitions: Partitions) -> Bytes {
        let base = key::bucket_range(self.partition, bucket).0.len();
        let mut out = Vec::with_capacity(HEAD_BYTES + self.from.len().saturating_sub(base));
        out.put_u8(VERSION);
        out.put_u32(u32::try_from(partitions.count()).unwrap_or(u32::MAX));
        out.put_u64(bucket.0);
        out.put_u16(self.partition.0);
        out.extend_from_slice(self.from.get(base..).unwrap_or_default());
        out.into()
    }

    /// Reads one of this bucket; an empty one is the beginning.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it is none, it is another bucket's, or the number of partitions was another one.
    pub fn decode(
        mut bytes: &[u8],
        bucket: BucketId,
        partitions: Partitions,
    ) -> Result<Cursor, Error> {
        if bytes.is_empty() {
            return Ok(Cursor::at(PartitionId(0), bucket));
        }
        let invalid =
            |why: &str| Err(Error::Invalid(format!("{why}: list the keys from the beginning")));
        if bytes.len() < HEAD_BYTES || bytes.get_u8() != VERSION {
            return invalid("this is no position in a list of keys");
        }
        let (count, id, partition) = (bytes.get_u32(), bytes.get_u64(), bytes.get_u16());
        let partition = PartitionId(partition);
        if id != bucket.0 {
            return invalid("this position is one of another bucket");
        }
        if count as usize != partitions.count() {
            return invalid("the number of partitions has changed since");
        }
        if !partitions.contains(partition) {
            return invalid("this is no position in a list of keys");
        }
        let (base, _) = key::bucket_range(partition, bucket);
        Ok(Cursor { partition, from: [&base[..], bytes].concat().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partitions(count: u32) -> Partitions {
        Partitions::new(count).expect("a power of two")
    }

    proptest! {
        #[test]
        fn a_position_comes_back_and_junk_never_panics(
            partition in 0u16..64,
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            junk in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let bucket = BucketId(7);
            let base = key::bucket_range(PartitionId(partition), bucket).0;
            let from = [&base[..], &rest].concat().into();
            let cursor = Cursor { partition: PartitionId(partition), from };
            let bytes = cursor.encode(bucket, partitions(64));
            prop_assert_eq!(Cursor::decode(&bytes, bucket, partitions(64)), Ok(cursor));
            let _ = Cursor::decode(&junk, bucket, partitions(64));
        }
    }

    #[test]
    fn the_longest_position_fits() {
        let (bucket, zeros) = (BucketId(u64::MAX), [0; PARTITION_KEY_LIMIT]);
        let item = key::item(PartitionId(3), bucket, &zeros, &[1; SORT_KEY_LIMIT]);
        let cursor = Cursor { partition: PartitionId(3), from: key::next(&item) };
        assert_eq!(cursor.encode(bucket, partitions(8)).len(), CURSOR_LIMIT);
    }

    #[test]
    fn a_position_of_elsewhere_is_refused_with_what_to_do() {
        let cursor = Cursor::at(PartitionId(5), BucketId(7)).encode(BucketId(7), partitions(8));
        for (bytes, bucket, count, why) in [
            (&cursor[..], 8, 8, "another bucket"),
            (&cursor[..], 7, 16, "number of partitions"),
            (&cursor[..9], 7, 8, "no position"),
            (b"hello, this is no cursor", 7, 8, "no position"),
        ] {
            let error = Cursor::decode(bytes, BucketId(bucket), partitions(count));
            let error = error.expect_err("refused").to_string();
            assert!(error.contains(why) && error.contains("from the beginning"), "{error}");
        }
    }
}
