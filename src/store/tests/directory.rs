//! What a start makes of a real directory: left in order, damaged, taken, or of another time.

use super::super::conformance::{Model, assert_shows, model_apply, random_batch};
use super::super::disk::RealDisk;
use super::super::options::Options;
use super::super::record::FORMAT_VERSION;
use super::super::sled_store::{OpenError, Opened, SledStore};
use super::super::{CommitNumber, Source, Store, state};
use crate::id::Lineage;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

struct Fixture {
    dir: tempfile::TempDir,
    model: Model,
    last: u64,
    rng: fastrand::Rng,
}

/// Opens a real store, with the wakes to wait for.
pub(super) fn open(dir: &Path) -> (SledStore, Opened, Receiver<()>) {
    let (waker, wakes) = sync_channel(1);
    let options = Options {
        segment_bytes: 20_000,
        index_cache_bytes: 1 << 20,
        waker: Arc::new(move || {
            let _ = waker.try_send(());
        }),
        ..Options::default()
    };
    let (store, opened) = SledStore::open(dir, options, &mut |_| ()).unwrap();
    (store, opened, wakes)
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        Fixture { dir, model: Model::new(), last: 0, rng: fastrand::Rng::with_seed(5) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }

    /// Opens, writes `batches` random batches one group each, and hands the store back.
    fn write(&mut self, batches: usize) -> (SledStore, Opened) {
        let (mut store, opened, wakes) = open(self.dir.path());
        for _ in 0..batches {
            let batch = random_batch(&mut self.rng, 40, 400);
            model_apply(&mut self.model, &batch);
            self.last += 1;
            let number = store.commit(batch).unwrap();
            assert_eq!(number, CommitNumber(self.last));
            while store.durable() < number {
                wakes.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        }
        (store, opened)
    }

    fn check(&self) -> (SledStore, Opened) {
        let (store, opened, _) = open(self.dir.path());
        assert_eq!(opened.durable, CommitNumber(self.last));
        assert_shows(&store, &self.model, "after a start");
        (store, opened)
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("log")).unwrap();
        let mut paths = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "log"))
            .collect::<Vec<_>>();
        paths.sort();
        paths
    }
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_orderly_close_is_noticed_and_spares_the_replay() {
    let mut f = Fixture::new();
    let (store, opened) = f.write(60);
    assert_eq!((opened.clean, opened.rebuilt), (false, false));
    store.close().unwrap();
    let (store, opened) = f.check();
    assert_eq!((opened.clean, opened.rebuilt, opened.replayed), (true, false, 0));
    drop(store);
    let (_store, opened) = f.check();
    assert_eq!((opened.clean, opened.rebuilt), (false, false));
}

#[test]
fn sled_deleted_while_down_is_rebuilt_without_loss() {
    let mut f = Fixture::new();
    f.write(200).0.close().unwrap();
    fs::remove_dir_all(f.path().join("index")).unwrap();
    let (store, opened) = f.check();
    assert!(opened.rebuilt && opened.damaged.is_empty());
    assert_eq!(store.stats().rebuilds, 1);
}

#[test]
fn a_damaged_sled_file_is_rebuilt_without_loss() {
    for (i, damage) in [0, 1, 2].into_iter().enumerate() {
        let mut f = Fixture::new();
        f.write(100).0.close().unwrap();
        let file = f.path().join("index").join(if damage == 2 { "conf" } else { "db" });
        let bytes = fs::read(&file).unwrap();
        match damage {
            0 => fs::write(&file, &bytes[..bytes.len() / 3]).unwrap(),
            1 => fs::write(&file, vec![0xa5; bytes.len()]).unwrap(),
            _ => fs::write(&file, b"junk").unwrap(),
        }
        let (_store, opened) = f.check();
        assert!(opened.damaged.is_empty(), "damage {i}");
    }
}

#[test]
fn another_boot_without_a_clean_stop_rebuilds() {
    let mut f = Fixture::new();
    drop(f.write(50));
    // What the last run noted is unreadable, so nothing says that this is the same boot.
    flip(&f.path().join("log/STATE"), |len| len / 2);
    let (_store, opened) = f.check();
    assert!(opened.rebuilt);
}

#[test]
fn a_torn_tail_ends_the_log_and_is_no_damage() {
    let mut f = Fixture::new();
    drop(f.write(50));
    let mut bytes = fs::read(f.segments().last().unwrap()).unwrap();
    // A write that never came back: half a batch, and it was never announced.
    let torn = bytes[60..100].to_vec();
    bytes.extend(torn);
    fs::write(f.segments().last().unwrap(), bytes).unwrap();
    let (_store, opened) = f.check();
    assert_eq!(opened.damaged, Vec::<String>::new());
}

#[test]
fn rot_in_the_middle_is_told_until_the_node_has_acted() {
    let mut f = Fixture::new();
    drop(f.write(200));
    let victim = f.segments()[1].clone();
    flip(&victim, |len| len / 2);
    fs::remove_dir_all(f.path().join("index")).unwrap();
    for rebuilt in [true, false] {
        let (_store, opened, _) = open(&f.path());
        assert_eq!(opened.damaged.len(), 1, "{:?}", opened.damaged);
        assert!(opened.damaged[0].contains("of the log are damaged"));
        assert_eq!((opened.rebuilt, opened.durable), (rebuilt, CommitNumber(f.last)));
    }
    let (mut store, ..) = open(&f.path());
    store.set_lineage(Lineage(8));
    let number = store.commit(random_batch(&mut f.rng, 40, 40)).unwrap();
    while store.durable() < number {
        std::thread::yield_now();
    }
    store.forget_damage().unwrap();
    store.close().unwrap();
    // The hole is still in the log, but the new lineage came after it.
    fs::remove_dir_all(f.path().join("index")).unwrap();
    let (_store, opened, _) = open(&f.path());
    assert_eq!((opened.rebuilt, opened.damaged), (true, Vec::new()));
    assert_eq!(opened.lineage, Some(Lineage(8)));
}

#[test]
fn only_damage_that_was_told_is_forgotten() {
    let mut f = Fixture::new();
    drop(f.write(200));
    flip(&f.segments()[1], |len| len / 2);
    fs::remove_dir_all(f.path().join("index")).unwrap();
    let (mut store, opened, _) = open(&f.path());
    assert_eq!(opened.damaged.len(), 1);
    // The keeper meets more of it while the node is still dealing with the first.
    let log = RealDisk::open(&f.path().join("log")).unwrap();
    let mut noted = state::read_damage(&log).unwrap();
    assert_eq!(noted, opened.damaged);
    noted.push("segment 2 of the log is damaged; it was set aside".into());
    state::write_damage(&log, &noted).unwrap();
    store.forget_damage().unwrap();
    drop(store);
    assert_eq!(state::read_damage(&log).unwrap(), noted[1..]);
}

#[test]
fn rot_at_the_very_end_after_a_clean_stop_is_damage_not_a_torn_tail() {
    let mut f = Fixture::new();
    f.write(50).0.close().unwrap();
    flip(f.segments().last().unwrap(), |len| len - 1);
    let (_store, opened, _) = open(&f.path());
    assert_eq!(opened.damaged.len(), 1, "{:?}", opened.damaged);
    assert_eq!(opened.durable, CommitNumber(f.last));
}

#[test]
fn a_log_beyond_repair_is_set_aside_and_never_deleted() {
    let mut f = Fixture::new();
    f.write(80).0.close().unwrap();
    let before = f.segments();
    for path in &before {
        fs::write(path, vec![7; 5_000]).unwrap();
    }
    let (store, opened, _) = open(&f.path());
    assert!(!opened.damaged.is_empty());
    assert_eq!(opened.set_aside.len(), before.len());
    assert!(opened.set_aside.iter().all(|path| fs::read(path).unwrap().len() == 5_000));
    assert!(store.scan(b"", &[0xff; 4], 9).unwrap().is_empty());
}

#[test]
fn a_deleted_log_is_damage_not_a_fresh_store() {
    let mut f = Fixture::new();
    f.write(80).0.close().unwrap();
    for path in f.segments() {
        fs::remove_file(path).unwrap();
    }
    let (_store, opened, _) = open(&f.path());
    assert!(!opened.damaged.is_empty());
}

#[test]
fn a_rotten_record_is_never_returned() {
    let f = &mut Fixture::new();
    let (store, _) = f.write(60);
    store.close().unwrap();
    let (store, _) = f.check();
    for path in f.segments() {
        let zeros = vec![0; fs::read(&path).unwrap().len()];
        fs::write(path, zeros).unwrap();
    }
    for key in f.model.keys() {
        assert!(matches!(store.get(key), Err(super::super::StoreError::Damaged(_))));
        assert!(store.head(key).unwrap().is_some());
    }
}

#[test]
fn a_second_process_is_refused() {
    let f = &mut Fixture::new();
    let (store, _) = f.write(1);
    let second = SledStore::open(&f.path(), Options::default(), &mut |_| ());
    let error = second.err().expect("the lock is held");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(store);
    f.check();
}

#[test]
fn what_waits_for_the_index_gets_there_by_itself_and_a_close_does_not_wait_for_that() {
    let f = &mut Fixture::new();
    let patient = Options { linger: Duration::from_secs(3_600), ..Options::default() };
    let (mut store, ..) = SledStore::open(&f.path(), patient, &mut |_| ()).unwrap();
    store.commit(random_batch(&mut f.rng, 40, 400)).unwrap();
    let (tell, closed) = sync_channel(1);
    std::thread::spawn(move || tell.send(store.close()));
    assert_eq!(closed.recv_timeout(Duration::from_secs(20)), Ok(Ok(())), "it lingers");
    let options = Options { linger: Duration::from_millis(10), ..Options::default() };
    let (mut store, ..) = SledStore::open(&f.path(), options, &mut |_| ()).unwrap();
    let number = store.commit(random_batch(&mut f.rng, 40, 400)).unwrap();
    let (_never, pause) = sync_channel::<()>(1);
    let level = |store: &SledStore| store.durable() == number && store.stats().backlog_bytes == 0;
    let turns = (0..10_000).find(|_| {
        let _ = pause.recv_timeout(Duration::from_millis(2));
        level(&store)
    });
    assert!(turns.is_some(), "the index never got it");
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let f = &mut Fixture::new();
    drop(f.write(1));
    let (format, before) = (f.path().join("FORMAT"), f.segments());
    let known = fs::read(&format).unwrap();
    for other in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
        fs::write(&format, format!("{other}\n")).unwrap();
        let error = SledStore::open(&f.path(), Options::default(), &mut |_| ()).err().unwrap();
        assert!(matches!(error, OpenError::OtherFormat { .. }), "{error}");
        assert_eq!(f.segments(), before);
    }
    fs::write(&format, known).unwrap();
    f.check();
}

#[test]
fn a_directory_that_cannot_be_made_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SledStore::open(&file, Options::default(), &mut |_| ()).err().unwrap();
    assert!(error.to_string().contains("file"), "{error}");
}
