//! Who owns what, as told to clients: whom it is worth asking first, and nothing that anything depends on.

use crate::error::Error;
use crate::id::{Epoch, PartitionId};
use crate::ring::{Partitions, partition_of};
use serde::{Deserialize, Serialize};

/// How many buckets with fewer replicas than usual are told of at most.
pub const SMALLER_BUCKETS: usize = 4_096;

/// The owners of every partition in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Of which epoch.
    pub epoch: Epoch,
    /// Q.
    pub partitions: Partitions,
    /// The members' names.
    pub members: Vec<String>,
    /// How many owners a partition has.
    pub replicas: u8,
    /// The owners, partition by partition, each by its place in `members`.
    pub owners: Vec<u16>,
    /// Buckets of which only so many of them own anything.
    pub smaller: Vec<(String, u8)>,
}

impl Placement {
    /// Refuses one that does not say of every partition who owns it.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self) -> Result<(), Error> {
        let rows = self.partitions.count() * usize::from(self.replicas);
        let known = |at: &u16| usize::from(*at) < self.members.len();
        match self.owners.len() == rows && self.owners.iter().all(known) {
            true => Ok(()),
            false => Err(Error::Invalid("a placement that does not place everything".into())),
        }
    }

    /// The owners of a key of a bucket, as places in `members`.
    pub fn owners_of(&self, bucket: &str, key: &[u8]) -> &[u16] {
        let replicas = usize::from(self.replicas);
        let PartitionId(partition) = partition_of(bucket, key, self.partitions);
        let from = usize::from(partition) * replicas;
        let smaller = self.smaller.iter().find(|(name, _)| name == bucket);
        let n = smaller.map_or(replicas, |(_, n)| usize::from(*n).min(replicas));
        self.owners.get(from..from + n).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement() -> Placement {
        Placement {
            epoch: Epoch(3),
            partitions: Partitions::new(2).expect("a power of two"),
            members: vec!["a".into(), "b".into(), "c".into()],
            replicas: 2,
            owners: vec![0, 1, 2, 0],
            smaller: vec![("lone".into(), 1)],
        }
    }

    #[test]
    fn a_key_has_the_owners_of_its_partition_and_a_small_bucket_the_first_of_them() {
        let placement = placement();
        placement.check().expect("a whole one");
        for key in ["a", "b", "c", "d"] {
            let at = usize::from(partition_of("x", key.as_bytes(), placement.partitions).0);
            let row = &placement.owners[2 * at..2 * at + 2];
            assert_eq!(placement.owners_of("x", key.as_bytes()), row);
            let at = usize::from(partition_of("lone", key.as_bytes(), placement.partitions).0);
            let one = &placement.owners[2 * at..2 * at + 1];
            assert_eq!(placement.owners_of("lone", key.as_bytes()), one);
        }
    }

    #[test]
    fn one_that_does_not_place_everything_is_refused() {
        assert!(Placement { owners: vec![0, 1, 2], ..placement() }.check().is_err());
        assert!(Placement { owners: vec![0, 1, 2, 3], ..placement() }.check().is_err());
        assert!(Placement { replicas: 1, ..placement() }.check().is_err());
        let none = Placement { replicas: 0, owners: vec![], ..placement() };
        none.check().expect("nobody owns anything");
        assert!(none.owners_of("x", b"k").is_empty());
    }
}
