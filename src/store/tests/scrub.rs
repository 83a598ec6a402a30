//! What a scrub finds, and what it sets right by itself.

use super::super::conformance::{Model, assert_shows, model_apply, put, random_batch};
use super::super::disk::Disk;
use super::super::index::{Index, Located};
use super::super::log::segment_name;
use super::super::options::Options;
use super::super::record::Place;
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{Started, start};
use super::super::writer::Step;
use super::super::{Batch, Change, CommitNumber, ScrubAt, Scrubbed, Source, Store, StoreError};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

struct Stepped {
    disk: SimulatedDisk,
    index: ForgetfulIndex,
    s: Started,
    model: Model,
}

fn begin(disk: &SimulatedDisk, index: &ForgetfulIndex) -> Started {
    let mut make = |_| Ok(Arc::new(index.clone()) as Arc<dyn Index>);
    let options = Options { segment_bytes: 3_000, reserve_bytes: 0, ..Options::default() };
    start(Arc::new(disk.clone()), &mut make, "boot".into(), options, &mut |_| ()).unwrap()
}

impl Stepped {
    fn new() -> Stepped {
        let (disk, index) = Default::default();
        let s = begin(&disk, &index);
        Stepped { disk, index, s, model: Model::new() }
    }

    fn write(&mut self, batch: Batch) -> CommitNumber {
        model_apply(&mut self.model, &batch);
        let number = self.s.front.commit(batch).unwrap();
        self.s.settle();
        number
    }

    fn page(&mut self, from: &ScrubAt, bytes: u64) -> Scrubbed {
        assert!(self.s.front.scrub(from, bytes));
        assert!(!self.s.front.scrub(from, bytes), "one at a time");
        assert_eq!(self.s.scrubber.step(), Step::Worked);
        self.s.front.scrubbed().expect("it was read")
    }

    /// A whole scrub, in pages of so many bytes, with the node going on in between.
    fn scrub(&mut self, bytes: u64, meanwhile: impl FnMut(&mut Stepped)) -> Scrubbed {
        self.scrub_from(ScrubAt::default(), bytes, meanwhile)
    }

    fn scrub_from(
        &mut self,
        from: ScrubAt,
        bytes: u64,
        mut meanwhile: impl FnMut(&mut Stepped),
    ) -> Scrubbed {
        let (mut sum, mut next) = (Scrubbed::default(), Some(from));
        while let Some(from) = next {
            let page = self.page(&from, bytes);
            next = page.next;
            sum.bytes += page.bytes;
            sum.records += page.records;
            sum.regions += page.regions;
            sum.copied += page.copied;
            sum.mended += page.mended;
            sum.damaged.extend(page.damaged);
            meanwhile(self);
        }
        self.s.settle();
        self.s.keep();
        sum
    }

    fn unreadable(&self) -> BTreeSet<Bytes> {
        let is_damaged = |key: &&Bytes| matches!(self.s.front.get(key), Err(StoreError::Damaged(why)) if !why.is_empty());
        self.model.keys().filter(is_damaged).cloned().collect()
    }
}

fn key(i: u16) -> Bytes {
    Bytes::copy_from_slice(&i.to_be_bytes())
}

/// So many keys of one segment or another, each with a body, and as many that have none.
fn filled() -> Stepped {
    let mut t = Stepped::new();
    for i in 0..60 {
        t.write(put(&key(i), b"head", &[i as u8; 90]));
        t.write(put(&key(1_000 + i), b"only a head", b""));
    }
    t
}

#[test]
fn a_healthy_store_is_read_whole_and_nothing_is_found() {
    for bytes in [1, 700, 1 << 20] {
        let mut t = filled();
        let found = t.scrub(bytes, |_| ());
        let log = t.s.front.stats().log_bytes;
        assert!(found.bytes > log, "{} of {log}, and the records once more", found.bytes);
        assert_eq!((found.records, found.regions, found.copied, found.mended), (120, 0, 0, 0));
        assert_eq!(found.damaged, Vec::<Bytes>::new());
    }
}

#[test]
fn every_record_that_rotted_is_found_wherever_the_bit_is_and_what_it_hid_is_copied_out() {
    let names = filled().disk.names();
    let logs: Vec<String> = names.into_iter().filter(|name| name.ends_with(".log")).collect();
    assert!(logs.len() > 4, "{logs:?}");
    let mut found_bodies = 0;
    for seed in 0..200 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut t = filled();
        for _ in 0..rng.usize(1..4) {
            let name = &logs[rng.usize(..logs.len())];
            t.disk.rot(name, rng.usize(..t.disk.len_of(name)));
        }
        let unreadable = t.unreadable();
        let bodies: BTreeSet<Bytes> =
            unreadable.iter().filter(|key| !t.model[*key].body.is_empty()).cloned().collect();
        let found = t.scrub(rng.u64(1..4_000), |_| ());
        assert_eq!(found.damaged.iter().cloned().collect::<BTreeSet<_>>(), bodies, "seed {seed}");
        assert_eq!(found.mended, 0, "seed {seed}: the index was right");
        found_bodies += bodies.len();
        // What the node does about those: writes them again, from somewhere else.
        for lost in &bodies {
            let entry = t.model[lost].clone();
            t.write(put(lost, &entry.head, &entry.body));
        }
        assert_eq!(t.unreadable(), BTreeSet::new(), "seed {seed}");
        assert_shows(&t.s.front, &t.model, &format!("seed {seed}"));
        // A rebuild does without the damaged places.
        t.disk.machine_starts_bare();
        t.s = begin(&t.disk, &ForgetfulIndex::default());
        t.s.front.durable();
        assert_shows(&t.s.front, &t.model, &format!("seed {seed}, rebuilt"));
    }
    assert!(found_bodies > 50, "{found_bodies}");
}

#[test]
fn an_entry_that_does_not_agree_with_the_log_is_set_right_from_the_log() {
    for seed in 0..100 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut t = filled();
        t.write(Batch { changes: vec![Change::Erase { key: key(7) }] });
        let mut wrong = BTreeSet::new();
        for _ in 0..rng.usize(1..5) {
            let key = key(rng.u16(8..60));
            let mut entry = t.index.get(&key).unwrap().expect("it is there");
            match rng.u8(..4) {
                0 => entry.head = Bytes::from_static(b"hexd"),
                1 => entry.place.offset ^= 1 << rng.u8(..31),
                2 => entry.place.segment ^= 1 << rng.u8(..31),
                _ => entry.length ^= 1 << rng.u8(..31),
            }
            if wrong.insert(key.clone()) {
                t.index.put(&key, &entry).unwrap();
            }
        }
        if rng.bool() {
            // The index has what was erased.
            let place = Place { segment: 1, offset: 99 };
            let stale = Located { place, length: 70, head: Bytes::from_static(b"head") };
            t.index.put(&key(7), &stale).unwrap();
            wrong.insert(key(7));
        }
        let found = t.scrub(rng.u64(1..9_000), |_| ());
        assert_eq!(found.damaged, Vec::<Bytes>::new(), "seed {seed}");
        assert_eq!(found.mended, wrong.len() as u64, "seed {seed}");
        assert_shows(&t.s.front, &t.model, &format!("seed {seed}"));
    }
}

#[test]
fn a_scrub_beside_writes_and_reclaiming_finds_nothing_that_is_not_so() {
    let mut reclaimed = 0;
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut t = filled();
        let found = t.scrub(rng.clone().u64(1..2_000), |t| {
            let batch = random_batch(&mut rng, 60, 90);
            model_apply(&mut t.model, &batch);
            t.s.front.commit(batch).unwrap();
            for _ in 0..rng.u8(..6) {
                match rng.u8(..4) {
                    0 => drop(t.s.writer.step()),
                    1 => drop(t.s.front.durable()),
                    2 => drop(t.s.applier.step()),
                    _ => drop(t.s.keeper.step()),
                }
            }
        });
        assert_eq!((found.regions, found.copied, found.mended), (0, 0, 0), "seed {seed}");
        assert_eq!(found.damaged, Vec::<Bytes>::new(), "seed {seed}");
        assert_shows(&t.s.front, &t.model, &format!("seed {seed}"));
        reclaimed += t.s.front.stats().reclaimed_segments;
    }
    assert!(reclaimed > 40, "{reclaimed}");
}

#[test]
fn what_cannot_be_opened_now_is_no_damage_and_what_is_gone_is() {
    let mut t = filled();
    t.s = begin(&t.disk, &t.index);
    t.s.front.durable();
    t.disk.set_handles(Some(0));
    let read = t.s.front.get(&key(1));
    assert!(matches!(read, Err(StoreError::Busy(_))), "{read:?}");
    t.disk.set_handles(None);
    assert_shows(&t.s.front, &t.model, "with handles");
    let place = t.index.get(&key(1)).unwrap().expect("it is there").place;
    t.s = begin(&t.disk, &t.index);
    t.s.front.durable();
    t.disk.remove(&segment_name(place.segment)).unwrap();
    let read = t.s.front.get(&key(1));
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
}

/// Else the owner says "nothing" without a doubt, and that counts.
#[test]
fn what_was_set_aside_is_told_and_its_entries_stay() {
    let mut t = filled();
    let [body, head] = [key(3), key(1_003)];
    for key in [&body, &head] {
        let Place { segment, offset } = t.index.get(key).unwrap().expect("it is there").place;
        assert_eq!(segment, 1);
        t.disk.rot(&segment_name(1), offset as usize + 20);
    }
    while !t.disk.names().contains(&format!("{}.aside", segment_name(1))) {
        t.write(put(b"busy", b"head", &[1; 90]));
        t.s.keep();
    }
    assert_eq!(t.unreadable(), BTreeSet::from([body.clone(), head]));
    for _ in 0..2 {
        let found = t.scrub(1 << 20, |_| ());
        assert_eq!((found.mended, found.damaged), (0, vec![body.clone()]));
        assert_eq!(t.unreadable(), BTreeSet::from([body.clone()]), "the other has no body");
    }
    let entry = t.model[&body].clone();
    t.write(put(&body, &entry.head, &entry.body));
    assert_shows(&t.s.front, &t.model, "written again");
}

#[test]
fn a_page_for_which_not_all_can_be_opened_finds_nothing_and_is_read_again() {
    let mut ended_early = 0;
    for handles in 0..40 {
        let mut t = filled();
        let mut astray = t.index.get(&key(20)).unwrap().expect("it is there");
        astray.place = t.index.get(&key(40)).unwrap().expect("it is there").place;
        t.index.put(&key(20), &astray).unwrap();
        let mut next = Some(ScrubAt::default());
        let mut mended = 0;
        while let Some(from) = next {
            t.disk.set_handles(Some(handles));
            let page = t.page(&from, 1 << 20);
            t.disk.set_handles(None);
            if page.next.as_ref() == Some(&from) {
                ended_early += 1;
                let nothing =
                    Scrubbed { next: page.next.clone(), total: page.total, ..Scrubbed::default() };
                assert_eq!(page, nothing, "{handles} handles");
            }
            t.s.settle();
            let is_there = |key: &Bytes| t.index.get(key).unwrap().is_some();
            assert!(t.model.keys().all(is_there), "{handles} handles");
            let page = match page.next.as_ref() == Some(&from) {
                true => t.page(&from, 1 << 20),
                false => page,
            };
            assert_eq!(page.damaged, Vec::<Bytes>::new());
            mended += page.mended;
            next = page.next;
        }
        t.s.settle();
        assert_eq!(mended, 1, "{handles} handles");
        assert_shows(&t.s.front, &t.model, &format!("{handles} handles"));
    }
    assert!(ended_early > 20, "{ended_early}");
}

#[test]
fn an_entry_is_set_right_only_to_what_is_newest_for_certain() {
    for rots_before in [true, false] {
        let mut t = filled();
        let older = t.index.get(&key(3)).unwrap().expect("it is there");
        t.write(put(&key(3), b"head", &[200; 90]));
        let newer = t.index.get(&key(3)).unwrap().expect("it is there");
        // The index points to another's record.
        let place = t.index.get(&key(20)).unwrap().expect("it is there").place;
        t.index.put(&key(3), &Located { place, ..newer.clone() }).unwrap();
        let Place { segment, offset } = if rots_before { older.place } else { newer.place };
        t.disk.rot(&segment_name(segment), offset as usize + 20);
        let found = t.scrub(1 << 20, |_| ());
        if rots_before {
            assert_eq!((found.mended, found.damaged), (1, Vec::new()));
            assert_shows(&t.s.front, &t.model, "set right");
        } else {
            assert_eq!((found.mended, found.damaged), (0, vec![key(3)]));
            assert_eq!(t.unreadable(), BTreeSet::from([key(3)]));
        }
    }
}

#[test]
fn another_life_reads_the_log_again_for_it_does_not_know_where_it_is_damaged() {
    let mut t = filled();
    let Place { segment, offset } = t.index.get(&key(50)).unwrap().expect("it is there").place;
    // The end of the batch's header: the record itself is whole.
    t.disk.rot(&segment_name(segment), offset as usize - 1);
    let mut at = ScrubAt::default();
    while !matches!(&at, ScrubAt::Keys(from) if !from.is_empty()) {
        at = t.page(&at, 200).next.expect("there is more");
    }
    t.s = begin(&t.disk, &t.index);
    t.s.front.durable();
    let found = t.scrub_from(at, 700, |_| ());
    assert_eq!((found.regions, found.copied, found.damaged), (1, 1, Vec::new()));
    t.disk.machine_starts_bare();
    t.s = begin(&t.disk, &ForgetfulIndex::default());
    t.s.front.durable();
    assert_shows(&t.s.front, &t.model, "rebuilt");
}
