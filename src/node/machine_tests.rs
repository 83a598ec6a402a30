//! A node alone on a disk that has its moods.

use super::*;
use crate::store::MemoryStore;
use crate::time::WallClock;

/// Else a node whose disk was busy at the wrong moment counts without what only the backup has.
#[test]
fn a_restored_backup_is_not_lost_when_the_data_path_cannot_begin_yet() {
    let disk = MemoryStore::auto_sync();
    disk.refuse_heads(true);
    let config = Config { bootstrap: true, ..Config::new("n1", ([127, 0, 0, 1], 1).into()) };
    let at = |ms: u64| Now { instant: Instant(1 + ms * 1_000), wall: WallClock(1_790_000_000_000) };
    let mut node = Node::open(config, disk.clone(), false, 1, at(0)).expect("an empty directory");
    node.expect_restored();
    for ms in 0..10 {
        node.end_turn(at(ms));
    }
    assert!(node.shard.is_none() && node.topology.agreement().is_some(), "it could not be begun");
    disk.refuse_heads(false);
    let create = BucketSpec { name: "b".into(), ..BucketSpec::default() };
    node.handle(
        at(10),
        Event::Request {
            connection: ConnectionId(1),
            id: 1,
            deadline_ms: 0,
            request: Request::CreateBucket(create),
        },
    );
    for ms in 10..100 {
        node.end_turn(at(ms));
    }
    assert!(node.shard.is_some(), "another view has come");
    assert!(matches!(node.restored_mut(), Restored::Opening), "and it is still to come");
}
