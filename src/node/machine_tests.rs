//! A node alone on a disk that has its moods.

use super::*;
use crate::store::{Batch, Entry, MemoryStore};
use crate::time::WallClock;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A disk that shows nothing of a kind for a while.
struct Moody {
    disk: MemoryStore,
    sulks: Arc<AtomicBool>,
}

impl Store for Moody {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        Store::get(&self.disk, key)
    }

    fn head(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.sulks.load(SeqCst) {
            true => Err(StoreError::Busy("a test".into())),
            false => Store::head(&self.disk, key),
        }
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Store::scan(&self.disk, from, to, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitNumber, StoreError> {
        self.disk.commit(batch)
    }

    fn durable(&self) -> CommitNumber {
        self.disk.durable()
    }

    fn failed(&self) -> Option<StoreError> {
        self.disk.failed()
    }
}

/// Else a node whose disk was busy at the wrong moment counts without what only the backup has.
#[test]
fn a_restored_backup_is_not_lost_when_the_data_path_cannot_begin_yet() {
    let sulks = Arc::new(AtomicBool::new(true));
    let store = Moody { disk: MemoryStore::auto_sync(), sulks: sulks.clone() };
    let config = Config { bootstrap: true, ..Config::new("n1", ([127, 0, 0, 1], 1).into()) };
    let at = |ms: u64| Now { instant: Instant(1 + ms * 1_000), wall: WallClock(1_790_000_000_000) };
    let mut node = Node::open(config, store, false, 1, at(0)).expect("an empty directory");
    node.expect_restored();
    for ms in 0..10 {
        node.end_turn(at(ms));
    }
    assert!(node.shard.is_none() && node.topology.agreement().is_some(), "it could not be begun");
    sulks.store(false, SeqCst);
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
