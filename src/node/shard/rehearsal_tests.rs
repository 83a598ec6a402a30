use super::super::testing::{BUCKET, Lone, agreement, item, record, view};
use super::*;
use crate::ring::BucketSettings;

/// n1 of three, with the bucket of the tests under the name that rehearsals have.
fn staged() -> Lone {
    let mut agreement = agreement(&[1, 2, 3], 3, BucketSettings::new(3));
    let mut bucket = agreement.buckets.buckets.remove("b").expect("the bucket");
    bucket.name = REHEARSAL_BUCKET.into();
    agreement.buckets.buckets.insert(REHEARSAL_BUCKET.into(), bucket);
    Lone::open(view(agreement))
}

#[test]
fn a_part_is_played_in_its_bucket_only_and_ends_by_itself() {
    let now = Instant(5);
    for (part, fate) in [(Part::Away, Fate::Refused), (Part::Forgetful, Fate::Forgotten)] {
        let mut stage = Stage { part, bucket: BUCKET.0, until: now + LONGEST, withheld: 0 };
        let mine = item(0, "a");
        let other = key::item(PartitionId(0), crate::id::BucketId(BUCKET.0 + 1), b"a", b"");
        assert_eq!(stage.fate(&other, now), Fate::Stored, "another bucket");
        assert!(!stage.is_withheld(BUCKET.0 + 1, now));
        assert_eq!(stage.fate(&mine, now), fate);
        assert!(stage.is_withheld(BUCKET.0, now));
        assert_eq!(stage.withheld, 1);
        assert_eq!(stage.fate(&mine, now + LONGEST), Fate::Stored, "it has ended");
        assert!(!stage.is_withheld(BUCKET.0, now + LONGEST));
    }
}

#[test]
fn nothing_is_stored_by_one_who_is_away_or_forgetful_and_everything_by_one_who_is_back() {
    let mut lone = staged();
    let key = item(0, "a");
    let mut join = |part, version, taken| -> bool {
        lone.turn(|shard, turn| {
            shard.rehearse(part, turn.now.instant).expect("the bucket is there");
            assert_eq!(shard.join_here(&key, &record(version), turn), taken, "{part:?}");
        });
        lone.settle();
        lone.latest(&key).is_some()
    };
    assert!(!join(Rehearsal::Away, 1, false));
    assert!(!join(Rehearsal::Forgetful, 1, true));
    assert!(join(Rehearsal::Whole, 1, true));
}

#[test]
fn there_is_no_part_without_the_bucket() {
    let mut lone = Lone::open(view(agreement(&[1, 2, 3], 3, BucketSettings::new(3))));
    let refused = lone.turn(|shard, turn| shard.rehearse(Rehearsal::Away, turn.now.instant));
    assert!(matches!(refused, Err(Error::NotFound(_))));
    assert!(!lone.shard.stage.is_withheld(BUCKET.0, Instant(1)));
}
