//! What a crash leaves of a window that was on its way into the index.

use super::super::disk::Disk;
use super::super::index::Index;
use super::super::options::Options;
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{Started, start};
use super::super::{Batch, Change, Store};
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;

const KEYS: u32 = 2_000;

fn begin(disk: &SimulatedDisk, index: &mut ForgetfulIndex) -> Started {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut make = |fresh: bool| {
        if fresh {
            *index = ForgetfulIndex::default();
        }
        Ok(Arc::new(index.clone()) as Arc<dyn Index>)
    };
    start(disk, &mut make, "boot".into(), options, &mut |_| ()).expect("a sound disk")
}

fn alive(index: &ForgetfulIndex) -> u64 {
    let mut sum = 0;
    let visit = &mut |_: &[u8], located: super::super::index::Located| {
        sum += u64::from(located.length);
        ControlFlow::Continue(())
    };
    index.scan(&[], &[0xff], visit).expect("a sound index");
    sum
}

/// What is alive is counted with the index, and a kill may come between: that must not add up, or the log grows without
/// end, or is copied without end.
#[test]
fn what_is_alive_is_known_but_for_a_few_records_of_each_kill() {
    let (disk, mut index) = (SimulatedDisk::default(), ForgetfulIndex::default());
    let mut rng = fastrand::Rng::with_seed(1);
    for life in 0..30u32 {
        let mut s = begin(&disk, &mut index);
        let stats = s.front.shared.stats();
        let (counted, there) = (stats.live_bytes, alive(&index));
        assert!(
            counted.abs_diff(there) <= u64::from(life) * 32 * 1_100,
            "{life}: {counted} counted, {there} there"
        );
        let put = |n: u32| Change::Put {
            key: Bytes::from((life % 2 * KEYS + n).to_be_bytes().to_vec()),
            head: Bytes::new(),
            body: Bytes::from(vec![7; 1_000]),
        };
        let erase = |n: u32| Change::Erase {
            key: ((life + 1) % 2 * KEYS + n).to_be_bytes().to_vec().into(),
        };
        let changes = (0..KEYS).flat_map(|n| [put(n), erase(n)]).collect();
        s.front.commit(Batch { changes }).expect("room");
        s.writer.step();
        s.front.durable();
        s.applier.step();
        drop(s);
        disk.process_starts();
        index = index.after_a_kill(&mut rng);
    }
}
