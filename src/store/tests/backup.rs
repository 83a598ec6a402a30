//! A copy of a log that goes on being written and reclaimed; and what is made of the copy.

use super::super::backup::{Backup, BackupError, Copied, MANIFEST, Moved};
use super::super::conformance::{Model, assert_shows, model_apply, random_batch};
use super::super::disk::{Disk, RealDisk, read_all};
use super::super::index::Index;
use super::super::options::Options;
use super::super::restore::{RestoreError, restore, verify};
use super::super::simulated_disk::{ForgetfulIndex, SimulatedDisk};
use super::super::sled_store::{SledStore, Started, start};
use super::super::writer::Step;
use super::super::{Batch, CommitNumber, Store};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A store whose threads are stepped by hand.
struct Stepped {
    s: Started,
    rng: fastrand::Rng,
    history: Vec<Batch>,
}

fn begin(disk: Arc<dyn Disk>) -> Started {
    let mut make = |_: bool| Ok(Arc::new(ForgetfulIndex::default()) as Arc<dyn Index>);
    let options = Options { segment_bytes: 600, reserve_bytes: 0, ..Options::default() };
    start(disk, &mut make, "boot".into(), options, &mut |_| ()).unwrap()
}

impl Stepped {
    fn new(seed: u64) -> Stepped {
        let s = begin(Arc::new(SimulatedDisk::default()));
        let mut new = Stepped { s, rng: fastrand::Rng::with_seed(seed), history: Vec::new() };
        (0..60).for_each(|_| new.live());
        new
    }

    /// Commits, writes, applies and reclaims a little, in some order.
    fn live(&mut self) {
        for _ in 0..self.rng.u8(2..30) {
            match self.rng.u8(..6) {
                0 => {
                    let batch = random_batch(&mut self.rng, 12, 90);
                    self.history.push(batch.clone());
                    self.s.front.commit(batch).unwrap();
                }
                1 => drop(self.s.writer.step()),
                2 => drop(self.s.front.durable()),
                3 => while self.s.applier.step() == Step::Worked {},
                _ => drop(self.s.keeper.step()),
            }
        }
    }

    fn model(&self, upto: CommitNumber) -> Model {
        let mut model = Model::new();
        let upto = usize::try_from(upto.0).unwrap();
        self.history[..upto].iter().for_each(|batch| model_apply(&mut model, batch));
        model
    }

    fn reclaimed(&self) -> u64 {
        self.s.front.stats().reclaimed_segments
    }
}

fn described(_: &Copied) -> Vec<u8> {
    b"what the node says".to_vec()
}

fn nothing(_: Moved) {}

#[test]
fn a_copy_is_the_state_as_of_its_commit_whatever_happens_meanwhile() {
    let (mut reclaimed_after, mut commits_meanwhile) = (0, 0);
    for seed in 0..25 {
        let mut node = Stepped::new(seed);
        let dirs = tempfile::tempdir().unwrap();
        let (copy, back) = (dirs.path().join("copy"), dirs.path().join("back"));
        let backup = node.s.front.backup();
        let (commit, before) = (backup.commit(), node.reclaimed());
        let copied = backup.write(&copy, &mut |_| node.live(), described).unwrap();
        assert_eq!(copied.commit, commit);
        assert_eq!(node.reclaimed(), before, "seed {seed}: nothing goes while it is copied");
        commits_meanwhile += node.history.len() as u64 - commit.0;
        (0..60).for_each(|_| node.live());
        reclaimed_after += node.reclaimed() - before;

        verify(&copy, &copied, &mut nothing).unwrap();
        fs::create_dir(&back).unwrap();
        restore(&copy, &copied, &back, &mut nothing).unwrap();
        let restored = begin(Arc::new(RealDisk::open(&back.join("log")).unwrap()));
        assert_eq!(restored.opened.durable, commit);
        assert_eq!(restored.opened.damaged.len(), 1, "{:?}", restored.opened.damaged);
        assert!(restored.opened.damaged[0].starts_with("restored from a backup"));
        assert_shows(&restored.front, &node.model(commit), &format!("seed {seed}"));
    }
    assert!(reclaimed_after > 100, "the reclaimer goes on: {reclaimed_after}");
    assert!(commits_meanwhile > 100, "the node goes on: {commits_meanwhile}");
}

/// Opens a real store, and what waits for a commit.
fn open(dir: &Path) -> (SledStore, impl Fn(&SledStore, CommitNumber)) {
    let (store, _, wakes) = super::directory::open(dir);
    let wait = move |store: &SledStore, number| {
        while store.durable() < number {
            wakes.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    };
    (store, wait)
}

#[test]
fn a_store_on_a_real_disk_is_copied_by_links_while_its_own_threads_write_and_reclaim() {
    let dirs = tempfile::tempdir().unwrap();
    let [data, copy, back] = ["data", "copy", "back"].map(|name| dirs.path().join(name));
    let (mut store, wait) = open(&data);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut history = Vec::new();
    let mut commit = |store: &mut SledStore| {
        let batch = random_batch(&mut rng, 40, 900);
        history.push(batch.clone());
        store.commit(batch).unwrap()
    };
    while store.stats().reclaimed_segments < 3 {
        let number = commit(&mut store);
        wait(&store, number);
    }
    let backup = store.backup();
    let at = backup.commit();
    let to = copy.clone();
    let copying = std::thread::spawn(move || backup.write(&to, &mut nothing, described));
    let before = store.stats().reclaimed_segments;
    // Until the writer of the copy is through, and the reclaimer has taken what it copied.
    while !copying.is_finished() || store.stats().reclaimed_segments < before + 3 {
        let number = commit(&mut store);
        wait(&store, number);
    }
    let copied = copying.join().unwrap().unwrap();
    assert_eq!(copied.commit, at);
    assert_eq!(fs::read(copy.join(MANIFEST)).unwrap(), b"what the node says");
    use std::os::unix::fs::MetadataExt;
    let last = copied.files.last().unwrap();
    assert_eq!(fs::metadata(copy.join(&last.name)).unwrap().nlink(), 1, "it is still written to");
    store.close().unwrap();

    fs::create_dir(&back).unwrap();
    verify(&copy, &copied, &mut nothing).unwrap();
    restore(&copy, &copied, &back, &mut nothing).unwrap();
    let (restored, _) = open(&back);
    let mut model = Model::new();
    let upto = usize::try_from(at.0).unwrap();
    history[..upto].iter().for_each(|batch| model_apply(&mut model, batch));
    assert_eq!(restored.durable(), at);
    assert_shows(&restored, &model, "restored");
}

#[test]
fn a_machine_that_dies_while_it_copies_leaves_a_whole_copy_or_no_manifest() {
    let (mut whole, mut none) = (0, 0);
    let node = Stepped::new(2);
    // In the middle of each operation, with whatever reaches the platter by chance.
    for (fuse, luck) in (0..80).flat_map(|fuse| (0..8).map(move |luck| (fuse, luck))) {
        let target = SimulatedDisk::default();
        target.light_fuse(fuse);
        let mut expected = None;
        let describe = |copied: &Copied| {
            expected = Some(copied.clone());
            described(copied)
        };
        let outcome = node.s.front.backup().write_to(&target, &mut nothing, describe);
        target.machine_starts(&mut fastrand::Rng::with_seed(luck));
        if !target.names().iter().any(|name| name == MANIFEST) {
            assert!(outcome.is_err(), "fuse {fuse}: what was announced is there");
            none += 1;
            continue;
        }
        whole += 1;
        let content = |name: &str| read_all(&*target.open(name).unwrap()).unwrap();
        assert_eq!(content(MANIFEST), b"what the node says", "fuse {fuse}");
        for file in expected.expect("it was described").files {
            let sum = blake3::hash(&content(&file.name)).to_string();
            assert_eq!((sum, file.bytes), (file.blake3, content(&file.name).len() as u64));
        }
    }
    assert!(whole > 20 && none > 20, "{whole} whole, {none} none");
}

#[test]
fn a_copy_that_fails_leaves_the_folder_empty_and_holds_nothing() {
    let mut node = Stepped::new(3);
    let target = SimulatedDisk::default();
    target.set_room(Some(700));
    let outcome = node.s.front.backup().write_to(&target, &mut nothing, described);
    assert!(matches!(outcome, Err(BackupError::Io { .. })), "{outcome:?}");
    assert_eq!(target.names(), Vec::<String>::new());
    let before = node.reclaimed();
    (0..60).for_each(|_| node.live());
    assert!(node.reclaimed() > before);

    let target = SimulatedDisk::default();
    let shared = node.s.front.shared.clone();
    let backup = node.s.front.backup();
    let outcome = backup.write_to(&target, &mut |_| shared.stop(), described);
    assert!(matches!(outcome, Err(BackupError::Stopped)), "{outcome:?}");
    assert_eq!(target.names(), Vec::<String>::new());
}

#[test]
fn a_full_disk_of_its_own_ends_a_copy() {
    let node = Stepped::new(4);
    let shared = node.s.front.shared.clone();
    let target = SimulatedDisk::default();
    let full = |_| shared.full.store(true, std::sync::atomic::Ordering::Release);
    let outcome = node.s.front.backup().write_to(&target, &mut { full }, described);
    assert!(matches!(outcome, Err(BackupError::Full)), "{outcome:?}");
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let node = Stepped::new(5);
    let dir = tempfile::tempdir().unwrap();
    for name in ["0000000001.log", MANIFEST, "manifest.json.tmp"] {
        fs::write(dir.path().join(name), "mine").unwrap();
        let outcome = node.s.front.backup().write(dir.path(), &mut nothing, described);
        assert!(matches!(outcome, Err(BackupError::NotEmpty)), "{outcome:?}");
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine");
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}

#[test]
fn whatever_is_not_as_it_was_written_is_found_and_named() {
    let node = Stepped::new(6);
    let dir = tempfile::tempdir().unwrap();
    let copied = node.s.front.backup().write(dir.path(), &mut nothing, described).unwrap();
    assert!(copied.files.len() > 2);
    let found = |copied: &Copied| match verify(dir.path(), copied, &mut nothing) {
        Err(RestoreError::Damaged { file, .. }) => file,
        other => panic!("{other:?}"),
    };
    for file in &copied.files {
        let path = dir.path().join(&file.name);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [&flipped[..], &good[1..], &[&good[..], b"x"].concat()] {
            fs::write(&path, bad).unwrap();
            assert_eq!(found(&copied), file.name);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(found(&copied), file.name);
        fs::write(&path, good).unwrap();
        verify(dir.path(), &copied, &mut nothing).unwrap();
    }
    let mut elsewhere = copied.clone();
    elsewhere.files[0].name = "../../etc/passwd".into();
    assert_eq!(found(&elsewhere), "../../etc/passwd");
    let newer = Copied { format: 200, ..copied };
    let refused = verify(dir.path(), &newer, &mut nothing);
    assert!(matches!(refused, Err(RestoreError::OtherFormat(200))), "{refused:?}");
}

/// The last batches of a copy are proven by nothing later in the log: only by what the restore noted.
#[test]
fn a_restored_log_that_rots_before_its_first_start_is_damage_not_a_torn_end() {
    let mut node = Stepped::new(7);
    while node.s.writer.step() == Step::Worked {}
    node.s.front.durable();
    let dirs = tempfile::tempdir().unwrap();
    let copy = dirs.path().join("copy");
    let copied = node.s.front.backup().write(&copy, &mut nothing, described).unwrap();
    restore(&copy, &copied, dirs.path(), &mut nothing).unwrap();
    let last = dirs.path().join("log").join(&copied.files.last().unwrap().name);
    let mut bytes = fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, bytes).unwrap();
    let restored = begin(Arc::new(RealDisk::open(&dirs.path().join("log")).unwrap()));
    assert_eq!(restored.opened.damaged.len(), 2, "{:?}", restored.opened.damaged);
}

/// Only a name: a backup can be described without one being made.
#[test]
fn a_backup_that_is_dropped_holds_nothing() {
    let mut node = Stepped::new(8);
    let backup: Backup = node.s.front.backup();
    let before = node.reclaimed();
    (0..60).for_each(|_| node.live());
    assert_eq!(node.reclaimed(), before);
    drop(backup);
    (0..60).for_each(|_| node.live());
    assert!(node.reclaimed() > before);
}
