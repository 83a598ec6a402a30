//! From a key to its slice of the hash space. Stable for ever: what is stored was stored by it.
//!
//! ```text
//!  [length u32 LE][bucket name][length u32 LE][partition key] ──xxh3-64, seed 0──► 64 bits
//!                                                     the top log2(Q) of them: the partition
//! ```
//!
//! The lengths keep ("ab", "c") and ("a", "bc") apart. The sort key takes no part, so the items of one
//! partition key live together.

use crate::id::PartitionId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

/// Q: into how many partitions the hash space is cut. Fixed when the cluster is founded.
///
/// - A power of two in `1..=65_536`, so that a partition is the top bits of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Partitions(u32);

impl Partitions {
    /// The most that a [`PartitionId`] can tell apart.
    pub const MAX: u32 = 65_536;

    /// `count` partitions; `None` unless it is a power of two in `1..=65_536`.
    pub const fn new(count: u32) -> Option<Partitions> {
        if count.is_power_of_two() && count <= Partitions::MAX {
            Some(Partitions(count))
        } else {
            None
        }
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.0 as usize
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = PartitionId> {
        (0..=u16::MAX).take(self.count()).map(PartitionId)
    }

    /// Whether `partition` is one of them.
    pub fn contains(self, partition: PartitionId) -> bool {
        u32::from(partition.0) < self.0
    }

    /// The partition that a token falls into: its top bits.
    fn of_token(self, token: u64) -> PartitionId {
        // A product instead of a shift: a shift by all 64 bits (one partition) is not defined.
        let top = (u128::from(token) * u128::from(self.0)) >> 64;
        PartitionId(top as u16)
    }
}

impl Default for Partitions {
    fn default() -> Partitions {
        Partitions(1024)
    }
}

impl From<Partitions> for u32 {
    fn from(partitions: Partitions) -> u32 {
        partitions.0
    }
}

impl TryFrom<u32> for Partitions {
    type Error = &'static str;

    fn try_from(count: u32) -> Result<Partitions, &'static str> {
        Partitions::new(count).ok_or("partitions: use a power of two in 1..=65536")
    }
}

/// The partition of a key of a bucket. `partition_key` in bytes, without the sort key.
pub fn partition_of(
    bucket_name: &str,
    partition_key: &[u8],
    partitions: Partitions,
) -> PartitionId {
    partitions.of_token(token(bucket_name, partition_key))
}

fn token(bucket_name: &str, partition_key: &[u8]) -> u64 {
    let mut hasher = Xxh3Default::new();
    for part in [bucket_name.as_bytes(), partition_key] {
        hasher.update(&(part.len() as u32).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn a_token_is_the_hash_of_the_length_prefixed_parts() {
        // Written out by hand, one byte string, through the other interface of the hash.
        assert_eq!(token("b", b"key"), xxh3_64(b"\x01\0\0\0b\x03\0\0\0key"));
        assert_eq!(token("", b""), xxh3_64(&[0; 8]));
        let long = [7u8; 1024];
        let mut bytes = b"\x04\0\0\0logs\x00\x04\0\0".to_vec();
        bytes.extend_from_slice(&long);
        assert_eq!(token("logs", &long), xxh3_64(&bytes));
    }

    #[test]
    fn golden_vectors_never_change() {
        // Computed by the reference implementation of xxHash in C: keys are on disks under these numbers.
        let check = |bucket: &str, key: &[u8], expected: [u16; 4]| {
            let partitions = [1, 2, 1024, 65_536].map(|q| Partitions::new(q).expect("a power"));
            let got = partitions.map(|q| partition_of(bucket, key, q).0);
            assert_eq!(got, expected, "{bucket} {key:?}");
        };
        check("", b"", [0, 1, 797, 51_067]);
        check("carts", b"alice", [0, 1, 923, 59_124]);
        check("cart", b"salice", [0, 1, 848, 54_333]);
        check("logs", b"\0\xff", [0, 1, 669, 42_847]);
        check("b", &[b'x'; 300], [0, 1, 863, 55_243]);
    }

    #[test]
    fn lengths_keep_bucket_and_key_apart() {
        assert_ne!(token("ab", b"c"), token("a", b"bc"));
        assert_ne!(token("a", b""), token("", b"a"));
    }

    #[test]
    fn a_partition_is_the_top_bits() {
        let check = |count: u32, token: u64, expected: u16| {
            let partitions = Partitions::new(count).expect("a power of two");
            assert_eq!(partitions.of_token(token), PartitionId(expected), "{count} {token:x}");
        };
        check(1, 0, 0);
        check(1, u64::MAX, 0);
        check(2, u64::MAX >> 1, 0);
        check(2, 1 << 63, 1);
        check(1024, u64::MAX, 1023);
        check(1024, 1 << 54, 1);
        check(1024, (1 << 54) - 1, 0);
        check(65_536, u64::MAX, 65_535);
        check(65_536, 0xabcd_0000_0000_0000, 0xabcd);
    }

    #[test]
    fn only_powers_of_two_that_fit_are_partitions() {
        for bad in [0, 3, 1023, 65_535, 65_537, 131_072, u32::MAX] {
            assert_eq!(Partitions::new(bad), None, "{bad}");
            let bytes = rmp_serde::to_vec(&bad).expect("a number");
            assert!(rmp_serde::from_slice::<Partitions>(&bytes).is_err(), "{bad}");
        }
        for power in 0..=16 {
            let partitions = Partitions::new(1 << power).expect("a power of two");
            assert_eq!(partitions.iter().count(), 1 << power);
            assert!(partitions.iter().all(|p| partitions.contains(p)));
        }
        assert!(!Partitions::default().contains(PartitionId(1024)));
    }
}
