//! Which partition a key falls into. Stable for ever: it is in every store key on every disk.

use crate::id::PartitionId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// Q, the number of slices of the hash space: a power of two up to 65,536, fixed when a cluster is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Partitions(u32);

impl Partitions {
    /// `None` unless `count` is a power of two of at most 65,536.
    pub fn new(count: u32) -> Option<Partitions> {
        (count.is_power_of_two() && count <= 1 << 16).then_some(Partitions(count))
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.0
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = PartitionId> {
        // At most 65,536, so the last is 65,535.
        (0..self.0).filter_map(|index| u16::try_from(index).ok().map(PartitionId))
    }
}

impl Default for Partitions {
    fn default() -> Self {
        Partitions(1024)
    }
}

impl TryFrom<u32> for Partitions {
    type Error = String;
    fn try_from(count: u32) -> Result<Self, String> {
        Partitions::new(count)
            .ok_or_else(|| format!("{count} partitions: use a power of two up to 65536"))
    }
}

impl From<Partitions> for u32 {
    fn from(partitions: Partitions) -> u32 {
        partitions.0
    }
}

/// The partition of a key: the top bits of xxh3-64 (seed 0) over name and key, each behind its length
/// (u32, little-endian).
pub fn partition_of(bucket: &str, key: &[u8], partitions: Partitions) -> PartitionId {
    let mut hash = Xxh3::new();
    for part in [bucket.as_bytes(), key] {
        // Names and keys are bounded far below 4 GiB before they come here.
        hash.update(&(part.len() as u32).to_le_bytes());
        hash.update(part);
    }
    let bits = partitions.0.trailing_zeros();
    let top = hash.digest().checked_shr(64 - bits).unwrap_or(0);
    PartitionId(u16::try_from(top).expect("at most 16 bits are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_vectors_never_change() {
        let q = |count| Partitions::new(count).expect("a power of two");
        let check = |bucket: &str, key: &[u8], expected: [u16; 4]| {
            let got = [1, 2, 1024, 65_536].map(|count| partition_of(bucket, key, q(count)).0);
            assert_eq!(got, expected, "{bucket} {key:?}");
        };
        check("", b"", GOLDEN[0]);
        check("carts", b"alice", GOLDEN[1]);
        check("cart", b"salice", GOLDEN[2]);
        check("logs", b"\0\xff", GOLDEN[3]);
    }

    const GOLDEN: [[u16; 4]; 4] = [[0; 4], [0; 4], [0; 4], [0; 4]];

    #[test]
    fn only_powers_of_two_up_to_65536() {
        for (count, fine) in [(0, false), (1, true), (3, false), (1024, true), (65_536, true)] {
            assert_eq!(Partitions::new(count).is_some(), fine, "{count}");
        }
        assert!(Partitions::new(131_072).is_none());
    }

    proptest! {
        #[test]
        fn halving_the_slices_joins_neighbours(key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let q = |count| Partitions::new(count).expect("a power of two");
            let fine = partition_of("b", &key, q(2048)).0;
            prop_assert_eq!(partition_of("b", &key, q(1024)).0, fine / 2);
        }
    }
}
