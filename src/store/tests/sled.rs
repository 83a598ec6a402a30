//! The conformance suite over the log and real sled, threads and all, on a disk whose syncs wait until
//! the suite lets them happen.

use super::super::conformance::{self, Harness};
use super::super::index::{Index, SledIndex};
use super::super::options::Options;
use super::super::simulated_disk::SimulatedDisk;
use super::super::sled_store::{SledStore, start};
use super::super::{CommitNumber, Store};
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

struct OnSled {
    dir: tempfile::TempDir,
    disk: SimulatedDisk,
    store: Option<SledStore>,
    wakes: Receiver<()>,
    waker: SyncSender<()>,
    last: CommitNumber,
    boots: u32,
}

impl OnSled {
    fn open(&mut self) {
        let dir = self.dir.path().join("index");
        let mut make = |fresh: bool| {
            if fresh && dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            Ok(Arc::new(SledIndex::open(&dir, 1 << 20)?) as Arc<dyn Index>)
        };
        let waker = self.waker.clone();
        let options = Options {
            segment_bytes: 4_000,
            reserve_bytes: 0,
            // Read from the index as soon as may be; or from what waits for it.
            linger: Duration::from_secs(self.boots as u64 % 2 * 2),
            waker: Arc::new(move || {
                let _ = waker.try_send(());
            }),
            ..Options::default()
        };
        self.disk.close_gate(false);
        // Every second crash is one of the machine, after which sled is not trusted.
        let (disk, boot) = (Arc::new(self.disk.clone()), (self.boots / 2).to_string());
        let started = start(disk, &mut make, boot, options, &mut |_| ()).unwrap();
        self.disk.close_gate(true);
        let lock = tempfile::tempfile().unwrap();
        let (store, opened) = SledStore::begin(started, dir, lock);
        assert_eq!(opened.damaged, Vec::<String>::new());
        self.last = opened.durable;
        self.store = Some(store);
    }

    /// Waits for the waker, and not for time.
    fn wait_until(&mut self, mut is_so: impl FnMut(&SledStore) -> bool) {
        while !is_so(self.store.as_ref().unwrap()) {
            let woken = self.wakes.recv_timeout(Duration::from_secs(20));
            assert!(woken.is_ok(), "the waker was not called");
        }
    }
}

impl Drop for OnSled {
    fn drop(&mut self) {
        // Else the writer waits at the gate for ever.
        self.disk.kill();
    }
}

impl Harness for OnSled {
    fn fresh() -> OnSled {
        let (waker, wakes) = sync_channel(1);
        let mut new = OnSled {
            dir: tempfile::tempdir().unwrap(),
            disk: SimulatedDisk::default(),
            store: None,
            wakes,
            waker,
            last: CommitNumber(0),
            boots: 0,
        };
        new.open();
        new
    }

    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    fn sync(&mut self) {
        let last = self.store.as_ref().unwrap().last();
        self.disk.close_gate(false);
        self.wait_until(|store| store.durable() >= last);
        self.disk.close_gate(true);
    }

    fn crash(&mut self) {
        self.disk.kill();
        self.store = None;
        self.disk.machine_starts_bare();
        self.boots += 1;
        self.open();
    }

    fn break_sync(&mut self) {
        self.disk.fail_syncs(true);
        self.wait_until(|store| store.failed().is_some());
    }
}

conformance::suite!(OnSled);
