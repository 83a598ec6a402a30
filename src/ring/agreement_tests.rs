//! The chain's values, one after the other.

use super::*;
use crate::id::BucketId;
use crate::version::Conflict;

fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        lineage: Lineage(100 + id),
        name: format!("n{id}"),
        zone: String::new(),
        weight: 1,
        rebuild: true,
    }
}

fn founded() -> Agreement {
    Agreement::found(ClusterId(9), [7; 32], Partitions::default(), 3, member(1)).expect("founded")
}

fn bucket(id: u64, n: u8) -> Bucket {
    let conflict = Conflict::Siblings;
    Bucket { id: BucketId(id), name: "carts".into(), n, r: None, w: None, conflict }
}

fn three() -> Agreement {
    founded().join(member(2)).and_then(|a| a.join(member(3))).expect("three members")
}

fn created(agreement: &Agreement, id: u64) -> Agreement {
    agreement.create_bucket(bucket(id, 3)).expect("fine").expect("new")
}

#[test]
fn joins_before_the_first_bucket_take_partitions_and_need_no_rebuilding() {
    let three = three();
    assert_eq!((three.index, three.layout.epoch), (3, Epoch(3)));
    assert_eq!(three.layout.owned(), [1024; 3]);
    assert!(three.layout.members.iter().all(|member| !member.rebuild));
}

#[test]
fn a_bucket_makes_an_index_and_no_epoch_and_pins_the_owners() {
    let before = three();
    let with = created(&before, 5);
    assert_eq!((with.index, with.layout.epoch), (4, Epoch(3)));
    assert!(with.follows(&before));
    let joined = with.join(member(4)).expect("joined");
    assert_eq!(joined.layout.owned(), [1024, 1024, 1024, 0]);
    assert!(joined.follows(&with));
    let mut moved = joined.clone();
    moved.layout.place();
    assert!(!moved.follows(&with), "owners never move while data may exist");
    assert!(matches!(with.remove(NodeId(1)), Err(Refusal::WouldMoveData(_))));
}

#[test]
fn a_bucket_is_created_once_and_only_where_its_replicas_fit() {
    let with = created(&three(), 5);
    assert_eq!(with.create_bucket(bucket(6, 3)), Ok(None));
    assert!(with.create_bucket(bucket(6, 2)).is_err());
    assert!(founded().create_bucket(bucket(5, 3)).is_err());
    assert!(founded().create_bucket(bucket(5, 1)).is_ok());
}

#[test]
fn a_member_that_comes_back_empty_keeps_its_slots_and_rebuilds_them() {
    let with = created(&three(), 5);
    let back = with.admit("n2", Lineage(777)).expect("admitted");
    assert!(back.follows(&with));
    assert_eq!(back.layout.table, with.layout.table);
    let n2 = back.layout.member(NodeId(2)).expect("a member");
    assert!(n2.rebuild && n2.lineage == Lineage(777));
    assert!(back.admit("n2", Lineage(777)).is_err());
    assert!(back.admit("n9", Lineage(777)).is_err());
    assert_eq!(with.acceptors().len(), 3);
    assert!(!with.acceptors().contains(&(NodeId(2), Lineage(777))));
}

#[test]
fn what_a_peer_sends_is_validated() {
    let with = created(&three(), 5);
    assert_eq!(Agreement::decode(&with.encode()), Ok(with.clone()));
    let mut longer = with.encode();
    longer.push(0);
    assert!(Agreement::decode(&longer).is_err());
    let mut twice = with.clone();
    twice.layout.members[1].name = "n1".into();
    assert!(Agreement::decode(&twice.encode()).is_err());
    for at in 0..with.encode().len().min(600) {
        let mut bytes = with.encode();
        bytes[at] ^= 0x55;
        let _ = Agreement::decode(&bytes);
    }
}
