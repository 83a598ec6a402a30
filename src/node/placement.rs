//! What clients are told of who owns what.

use crate::message::{Placement, SMALLER_BUCKETS};
use crate::ring::Agreement;

/// The owners that answer reads, and the buckets in which not all of them are owners.
pub(super) fn placement(agreement: &Agreement) -> Placement {
    let (layout, buckets) = (&agreement.layout, &agreement.buckets.buckets);
    let rows = || layout.partitions.iter().map(|p| layout.preference_list(p, layout.replicas));
    // Rows are as long as there are members, up to twice N.
    let replicas = rows().map(|row| row.owners().count()).min().unwrap_or(0);
    let place = |node| layout.members.binary_search_by_key(&node, |member| member.id);
    let owners = rows().flat_map(|row| {
        let owners: Vec<_> = row.owners().take(replicas).collect();
        owners.into_iter().filter_map(|node| u16::try_from(place(node).ok()?).ok())
    });
    let smaller = buckets.iter().filter(|(_, bucket)| bucket.settings.n < replicas as u8);
    Placement {
        epoch: layout.epoch,
        partitions: layout.partitions,
        members: layout.members.iter().map(|member| member.name.clone()).collect(),
        replicas: replicas as u8,
        owners: owners.collect(),
        smaller: smaller
            .map(|(name, bucket)| (name.clone(), bucket.settings.n))
            .take(SMALLER_BUCKETS)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BucketId, ClusterId, Lineage, NodeId};
    use crate::ring::{
        BucketSettings, Change, Member, Partitions, Secret, Successor, partition_of,
    };

    #[test]
    fn clients_are_told_the_owners_that_the_layout_names() {
        let member = |id: u64| {
            let name = format!("n{id}");
            Member { id: NodeId(id), lineage: Lineage(id), name, zone: String::new(), weight: 1 }
        };
        let partitions = Partitions::new(64).expect("a power of two");
        let mut agreement =
            Agreement::found(ClusterId(9), Secret([7; 32]), 3, partitions, member(1))
                .expect("valid");
        let bucket = |id: u64, name: &str, n: u8| Change::CreateBucket {
            id: BucketId(id),
            name: name.into(),
            settings: BucketSettings::new(n),
        };
        let joins = (2..=5).map(|id| Change::Join(member(id)));
        for wish in joins.chain([bucket(1, "three", 3), bucket(2, "one", 1)]) {
            let Ok(Successor::Next(next)) = agreement.apply(&wish) else { panic!("{wish:?}") };
            agreement = *next;
        }
        let told = placement(&agreement);
        told.check().expect("it places everything");
        assert_eq!(told.epoch, agreement.layout.epoch);
        for (key, bucket, n) in (0..100_u8).flat_map(|k| [([k], "three", 3), ([k], "one", 1)]) {
            let partition = partition_of(bucket, &key, partitions);
            let list = agreement.layout.preference_list(partition, n);
            let names =
                told.owners_of(bucket, &key).iter().map(|at| &told.members[usize::from(*at)]);
            let owners = list.owners().map(|node| format!("n{}", node.0));
            assert!(names.eq(owners.collect::<Vec<_>>().iter()), "{bucket} {key:?}");
        }
    }
}
