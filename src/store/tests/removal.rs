//! The space of deleted segments.

use super::super::Store;
use super::super::conformance::put;
use super::super::disk::{Disk, RealDisk};
use super::super::index::{Index, Located};
use super::super::log::segment_name;
use super::super::options::Options;
use super::super::record::Place;
use super::super::removal::Removals;
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{Started, start};
use std::fs;
use std::sync::Arc;

const GONE: &str = "0000000001.log.gone";

fn begin(disk: &SimulatedDisk) -> Started {
    let mut make = |_: bool| Ok(Arc::new(ForgetfulIndex::default()) as Arc<dyn Index>);
    let options = Options { segment_bytes: 10_000, ..Options::default() };
    start(Arc::new(disk.clone()), &mut make, "boot".into(), options, &mut |_| ()).unwrap()
}

/// Writes until the first segment is deleted; all of it is still there.
fn until_one_is_deleted(s: &mut Started) {
    for i in 0..1_000u32 {
        s.front.commit(put(&(i % 10).to_be_bytes(), b"h", &[7; 200])).unwrap();
        s.settle();
        s.keep();
        if s.front.stats().reclaimed_segments == 1 {
            return;
        }
    }
    panic!("nothing is reclaimed");
}

#[test]
fn space_is_given_back_in_small_steps_and_by_the_next_start_too() {
    let disk = SimulatedDisk::default();
    let mut s = begin(&disk);
    until_one_is_deleted(&mut s);
    let whole = disk.len_of(GONE);
    s.keeper.give_back();
    let left = disk.len_of(GONE);
    assert!(left < whole && whole - left <= 10_000 / 64, "{whole} to {left}");
    drop(s);
    disk.machine_starts_bare();
    let mut s = begin(&disk);
    for _ in 0..64 + 2 {
        s.keeper.give_back();
    }
    assert!(!disk.names().contains(&GONE.to_owned()), "{:?}", disk.names());
}

#[test]
fn a_reader_of_a_segment_that_is_being_removed_looks_for_the_record_again() {
    let disk = SimulatedDisk::default();
    let mut s = begin(&disk);
    s.front.commit(put(b"moved", b"h", &[1; 200])).unwrap();
    s.settle();
    let before = s.front.index.get(b"moved").unwrap().unwrap();
    assert_eq!(before.place.segment, 1);
    assert!(s.front.read(b"moved", &before).unwrap().is_some(), "from now on the segment is open");
    until_one_is_deleted(&mut s);
    for _ in 0..64 {
        s.keeper.give_back();
    }
    assert_eq!(s.front.read(b"moved", &before).unwrap(), None, "it is no damage");
    let elsewhere = Located { place: Place { segment: 2, offset: 1 << 30 }, ..before };
    assert!(s.front.read(b"moved", &elsewhere).is_err(), "and this is");
}

#[test]
fn what_a_backup_has_a_link_to_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir.path()).unwrap());
    let name = segment_name(1);
    fs::write(dir.path().join(&name), [7; 1_000]).unwrap();
    fs::hard_link(dir.path().join(&name), dir.path().join("backup")).unwrap();
    let mut removals = Removals::new(disk, 1_000).unwrap();
    removals.remove(&name).unwrap();
    while removals.due_in().is_some() {
        removals.step(false);
    }
    assert_eq!(fs::read(dir.path().join("backup")).unwrap(), [7; 1_000]);
    assert!(!dir.path().join(GONE).exists());
}

#[test]
fn where_the_disk_is_full_all_goes_at_once() {
    let disk = SimulatedDisk::default();
    let mut s = begin(&disk);
    until_one_is_deleted(&mut s);
    let mut removals = Removals::new(Arc::new(disk.clone()), 10_000).unwrap();
    removals.step(true);
    assert!(!disk.names().contains(&GONE.to_owned()));
}
