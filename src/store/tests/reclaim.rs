//! Space, room and order, stepped by hand.

use super::super::conformance::{Model, assert_shows, model_apply, put};
use super::super::index::Index;
use super::super::options::Options;
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{Started, start};
use super::super::writer::Step;
use super::super::{Batch, Change, CommitNumber, Source, Store, StoreError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

struct Stepped {
    disk: SimulatedDisk,
    s: Started,
    model: Model,
}

fn begin(disk: &SimulatedDisk, segment_bytes: u64, reserve_bytes: u64) -> Started {
    let mut make = |_: bool| Ok(Arc::new(ForgetfulIndex::default()) as Arc<dyn Index>);
    let space_check_every = Duration::ZERO;
    let options = Options { segment_bytes, reserve_bytes, space_check_every, ..Options::default() };
    let disk = Arc::new(disk.clone());
    start(disk, &mut make, "boot".into(), options, &mut |_| ()).unwrap()
}

impl Stepped {
    fn new(segment_bytes: u64) -> Stepped {
        let disk = SimulatedDisk::default();
        let s = begin(&disk, segment_bytes, 0);
        Stepped { disk, s, model: Model::new() }
    }

    fn commit(&mut self, batch: Batch) {
        model_apply(&mut self.model, &batch);
        self.s.front.commit(batch).unwrap();
    }

    fn write(&mut self, batch: Batch) {
        self.commit(batch);
        self.s.settle();
    }

    fn rebuild(&mut self) {
        self.disk.machine_starts_bare();
        self.s = begin(&self.disk, 1_000, 0);
        assert!(self.s.opened.rebuilt && self.s.opened.damaged.is_empty());
        assert_shows(&self.s.front, &self.model, "after a rebuild");
    }
}

fn body(rng: &mut fastrand::Rng) -> Vec<u8> {
    vec![rng.u8(..); 100]
}

#[test]
fn the_log_stays_within_twice_the_live_data_under_overwrites() {
    let mut t = Stepped::new(40_000);
    let rng = &mut fastrand::Rng::with_seed(1);
    const KEYS: u32 = 1_000;
    for i in 0..12_000u32 {
        let key = if i < KEYS { i } else { rng.u32(..KEYS) };
        t.commit(put(&key.to_be_bytes(), b"head", &[rng.u8(..); 1_000]));
        if i % 8 == 0 {
            t.s.settle();
            t.s.keep();
            let stats = t.s.front.stats();
            let in_use = stats.log_bytes as f64 / stats.live_bytes as f64;
            assert!(i < 2 * KEYS || in_use <= 2.0, "{in_use} times the live data after {i} puts");
        }
    }
    t.s.settle();
    let stats = t.s.front.stats();
    let copies = stats.copies as f64 / 12_000.0;
    assert!(copies < 0.56, "{copies} copies a put");
    let names = t.disk.names().into_iter().filter(|name| name.ends_with(".log"));
    let lengths: Vec<u64> = names.map(|name| t.disk.len_of(&name) as u64).collect();
    assert_eq!(lengths.iter().sum::<u64>(), stats.log_bytes);
    assert_eq!(lengths.len() as u64, stats.segments);
    t.s.keeper.checkpoint();
    assert_eq!(t.s.front.stats().index_bytes, 1_000 * (4 + 4), "keys and heads");
    assert_eq!(stats.live_bytes, 1_000 * (21 + 4 + 4 + 1_000));
    assert_shows(&t.s.front, &t.model, "at the end");
    t.rebuild();
}

#[test]
fn a_deleted_store_shrinks_to_nearly_nothing() {
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(2);
    for i in 0..200u32 {
        t.write(put(&i.to_be_bytes(), b"h", &body(rng)));
    }
    let (from, to) = (Bytes::new(), Bytes::from_static(&[0xff; 4]));
    t.write(Batch { changes: vec![Change::EraseRange { from, to }] });
    for _ in 0..10 {
        t.write(put(b"one", b"h", &body(rng)));
        t.s.keep();
    }
    assert!(t.s.front.stats().log_bytes < 3_000, "{:?}", t.s.front.stats());
    t.rebuild();
}

#[test]
fn an_erase_outlives_everything_that_it_erased() {
    // The erased record lies in a segment full of live ones, the erase in one full of dead ones: who
    // reclaims the emptiest first drops the erase first.
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(3);
    t.write(put(b"erased", b"h", b"it must not come back"));
    for i in 0..40u32 {
        t.write(put(&i.to_be_bytes(), b"h", &body(rng)));
    }
    t.write(Batch { changes: vec![Change::Erase { key: "erased".into() }] });
    for _ in 0..150 {
        t.write(put(b"busy", b"h", &body(rng)));
        // Only a step at a time, and a rebuild after each.
        t.s.keeper.step();
        t.s.settle();
        t.rebuild();
    }
    for _ in 0..150 {
        t.write(put(b"busy", b"h", &body(rng)));
        t.s.keep();
    }
    assert!(t.s.front.stats().reclaimed_segments > 3);
    t.rebuild();
}

#[test]
fn a_record_written_while_it_is_copied_is_not_copied() {
    // Whatever is committed between any two steps of a pass wins over the copy, at a rebuild too.
    for delay in 0..12 {
        let mut t = Stepped::new(1_000);
        let rng = &mut fastrand::Rng::with_seed(4);
        t.write(put(b"contended", b"h", b"old"));
        t.write(put(b"erased", b"h", b"old"));
        for _ in 0..40 {
            t.write(put(b"busy", b"h", &body(rng)));
        }
        for _ in 0..delay {
            t.s.keeper.step();
            t.s.settle();
        }
        t.commit(put(b"contended", b"h", b"new"));
        let (from, to) = ("era".into(), "erb".into());
        t.commit(Batch { changes: vec![Change::EraseRange { from, to }] });
        // In the log, but not in the index when the keeper looks there for what is live.
        t.s.writer.step();
        t.s.keeper.step();
        t.s.settle();
        t.s.keep();
        assert!(t.s.front.stats().reclaimed_segments > 0);
        assert_shows(&t.s.front, &t.model, "while it runs");
        t.rebuild();
    }
}

#[test]
fn nothing_is_copied_out_of_a_log_in_which_everything_lives() {
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(5);
    for i in 0..60u32 {
        t.commit(put(&i.to_be_bytes(), b"h", &body(rng)));
        // In the log, and not yet in the index, with which what lives is counted.
        t.s.writer.step();
        t.s.keeper.step();
    }
    t.s.settle();
    t.s.keep();
    let stats = t.s.front.stats();
    assert_eq!((stats.copies, stats.reclaimed_segments), (0, 0));
}

#[test]
fn a_damaged_segment_is_set_aside_and_told() {
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(6);
    for i in 0..10u32 {
        t.write(put(&i.to_be_bytes(), b"h", &body(rng)));
    }
    let oldest = t.disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    t.disk.rot(&oldest, 300);
    for _ in 0..60 {
        t.write(put(b"busy", b"h", &body(rng)));
        t.s.keep();
    }
    assert!(t.disk.names().contains(&format!("{oldest}.aside")), "{:?}", t.disk.names());
    let damage = super::super::state::read_damage(&t.disk).unwrap();
    assert_eq!(damage.len(), 1, "{damage:?}");
    let lost = (0..10u32).filter(|i| t.s.front.get(&i.to_be_bytes()).is_err()).count();
    assert_eq!(lost, 1, "the other records were carried out");
    // The next start hears of it, and a rebuild does not have it.
    t.disk.machine_starts_bare();
    t.s = begin(&t.disk, 1_000, 0);
    assert_eq!(t.s.opened.damaged, damage);
}

#[test]
fn what_has_rotted_and_was_written_again_goes_without_a_word() {
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(6);
    for i in 0..10u32 {
        t.write(put(&i.to_be_bytes(), b"h", &body(rng)));
    }
    let oldest = t.disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    t.disk.rot(&oldest, 300);
    let unread =
        |t: &Stepped| (0..10u32).filter(|i| t.s.front.get(&i.to_be_bytes()).is_err()).collect();
    let lost: Vec<u32> = unread(&t);
    assert_eq!(lost.len(), 1);
    t.write(put(&lost[0].to_be_bytes(), b"h", &body(rng)));
    while t.disk.names().contains(&oldest) {
        t.write(put(b"busy", b"h", &body(rng)));
        t.s.keep();
    }
    assert!(!t.disk.names().contains(&format!("{oldest}.aside")), "{:?}", t.disk.names());
    assert_eq!(super::super::state::read_damage(&t.disk).unwrap(), Vec::<String>::new());
    t.rebuild();
}

#[test]
fn a_segment_that_cannot_be_opened_now_is_reclaimed_later() {
    let mut t = Stepped::new(1_000);
    let rng = &mut fastrand::Rng::with_seed(6);
    for _ in 0..60 {
        t.write(put(b"busy", b"h", &body(rng)));
    }
    t.disk.set_handles(Some(0));
    t.s.keep();
    assert_eq!((t.s.front.failed(), t.s.front.stats().reclaimed_segments), (None, 0));
    t.disk.set_handles(None);
    t.s.keep();
    assert!(t.s.front.stats().reclaimed_segments > 3);
    t.rebuild();
}

#[test]
fn what_others_take_of_the_disk_counts_before_we_have_written_much() {
    let disk = SimulatedDisk::default();
    let s = begin(&disk, 1_000_000, 1_000);
    let mut t = Stepped { disk, s, model: Model::new() };
    t.write(put(b"k", b"h", b"kept"));
    t.disk.set_room(Some(999));
    assert_eq!(t.s.writer.step(), Step::Idle);
    let refused = t.s.front.commit(put(b"l", b"h", b""));
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(t.s.front.stats().free_bytes, 999);
    t.disk.set_room(Some(9_000));
    assert_eq!(t.s.writer.step(), Step::Idle);
    t.write(put(b"l", b"h", b""));
    assert!(!t.s.front.stats().full);
}

#[test]
fn a_full_disk_refuses_batches_keeps_reads_and_goes_on_when_there_is_room() {
    let mut t = Stepped::new(1_000_000);
    t.write(put(b"k", b"h", b"kept"));
    t.disk.set_room(Some(100));
    t.commit(put(b"waits", b"h", &[1; 500]));
    assert_eq!(t.s.writer.step(), Step::Blocked);
    assert_eq!(t.s.front.durable(), CommitNumber(1));
    assert_eq!(t.s.front.failed(), None);
    let refused = t.s.front.commit(put(b"l", b"h", b""));
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(t.s.front.get(b"k").unwrap().unwrap().body, "kept");
    t.disk.set_room(None);
    t.s.settle();
    assert_eq!(t.s.front.durable(), CommitNumber(2));
    t.write(put(b"l", b"h", b""));
    t.rebuild();
}

#[test]
fn batches_are_refused_before_the_reserve_is_touched() {
    let disk = SimulatedDisk::default();
    disk.set_room(Some(5_000));
    let mut s = begin(&disk, 1_000_000, 10_000);
    assert!(matches!(s.front.commit(put(b"k", b"h", b"")), Err(StoreError::Full(_))));
    disk.set_room(Some(50_000));
    s.writer.step();
    assert_eq!(s.front.commit(put(b"k", b"h", b"")), Ok(CommitNumber(1)));
}

#[test]
fn everything_that_waits_goes_out_in_one_write_and_one_sync() {
    let mut t = Stepped::new(1_000_000);
    for i in 0..500u32 {
        t.commit(put(&i.to_be_bytes(), b"h", b"b"));
    }
    t.s.settle();
    let stats = t.s.front.stats();
    assert_eq!((stats.batches, stats.writes, stats.syncs), (500, 1, 1));
}

#[test]
fn the_overlay_holds_what_the_index_lacks_and_lets_go_in_the_shards_turn() {
    let mut t = Stepped::new(1_000_000);
    t.commit(put(b"a", b"h", b"1"));
    t.s.writer.step();
    assert_eq!(t.s.front.get(b"a").unwrap(), None, "the view moves when the node looks");
    t.s.front.durable();
    assert_eq!(t.s.front.get(b"a").unwrap().unwrap().body, "1");
    assert_eq!(t.s.front.index.get(b"a").unwrap(), None);
    t.s.applier.step();
    assert_eq!(t.s.front.overlay_len(), 1);
    t.s.front.durable();
    assert_eq!(t.s.front.overlay_len(), 0);
    assert_eq!(t.s.front.get(b"a").unwrap().unwrap().body, "1");
}

#[test]
fn a_writer_far_ahead_of_the_index_waits_and_then_the_node_hears_of_it() {
    let disk = SimulatedDisk::default();
    let mut make = |_: bool| Ok(Arc::new(ForgetfulIndex::default()) as Arc<dyn Index>);
    let options = Options {
        overlay_bytes: 1_000,
        queue_bytes: 4_000,
        reserve_bytes: 0,
        ..Options::default()
    };
    let mut s = start(Arc::new(disk), &mut make, "b".into(), options, &mut |_| ()).unwrap();
    s.front.commit(put(b"a", b"h", &[0; 1_500])).unwrap();
    assert_eq!(s.writer.step(), Step::Worked);
    s.front.commit(put(b"b", b"h", &[0; 1_500])).unwrap();
    assert_eq!(s.writer.step(), Step::Blocked);
    assert!(!s.front.congested());
    s.front.commit(put(b"c", b"h", &[0; 1_500])).unwrap();
    assert!(s.front.congested());
    assert!(matches!(s.front.commit(put(b"d", b"h", &[0; 1_500])), Err(StoreError::Busy(_))));
    s.front.durable();
    s.applier.step();
    assert_eq!(s.writer.step(), Step::Worked);
    assert_eq!(s.front.durable(), CommitNumber(3));
}
