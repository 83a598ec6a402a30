//! Folders that may become backups, and directories that may become data.

use super::*;
use crate::server::RESTORED;
use crate::store::{Archive, Batch, Change, MANIFEST, Options, SledStore, Source, Store};
use std::fs;
use std::time::{Duration, Instant};

/// A store with a few records, and folders around it.
struct Fixture {
    dirs: tempfile::TempDir,
    store: SledStore,
}

impl Fixture {
    fn new() -> Fixture {
        let dirs = tempfile::tempdir().unwrap();
        let data = dirs.path().join("data");
        let (mut store, _) = SledStore::open(&data, Options::default(), &mut |_| ()).unwrap();
        for i in 0..100u32 {
            let key = i.to_be_bytes().to_vec().into();
            let put = Change::Put { key, head: "head".into(), body: vec![1; 500].into() };
            store.commit(Batch { changes: vec![put] }).unwrap();
        }
        while store.durable() < store.last() {
            std::thread::yield_now();
        }
        Fixture { dirs, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dirs.path().canonicalize().unwrap().join(name)
    }

    /// Begins a backup, waits for its end, and returns what whoever looks is told.
    fn back_up(&self, dir: &Path) -> Reply {
        let text = |text: &str| text.to_string();
        let owner = Manifest::begin(text("c"), text("1"), text("n2"), text("5"));
        let dir = dir.display().to_string();
        let copying = Copying::begin(self.store.backup(), dir, self.path("data"), owner).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while copying.is_under_way() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::yield_now();
        }
        copying.reply()
    }

    fn refused(&self, dir: &Path) -> String {
        match self.back_up(dir) {
            Reply::Failed(error) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn bring_back(from: &Path, to: &Path) -> Result<Manifest, RestoreError> {
    restore(from, to, &mut |_| ())
}

#[test]
fn a_backup_says_whose_it_is_and_comes_back_as_a_new_life() {
    let f = Fixture::new();
    let (dir, back) = (f.path("backup"), f.path("deep/down/back"));
    let Reply::Json(told) = f.back_up(&dir) else { panic!("it was refused") };
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["state"], "done");
    let backup = &told["backup"];
    assert_eq!((&backup["name"], &backup["lineage"]), (&"n2".into(), &"5".into()));
    assert_eq!(backup["commit"], f.store.last().0);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the cluster's secret is in it");

    let mut heard = Vec::new();
    let manifest = restore(&dir, &back, &mut |moved| heard.push(moved)).unwrap();
    assert_eq!(manifest.summary(), *backup);
    assert!(heard.is_sorted_by_key(|moved| moved.done), "{heard:?}");
    assert_eq!(heard.last().map(|moved| moved.done), heard.last().map(|moved| moved.total));
    let inside: Vec<_> = fs::read_dir(&back).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(inside, [RESTORED], "the node begins empty");
    let kept = fs::read(back.join(RESTORED).join(MANIFEST)).unwrap();
    assert_eq!(Manifest::decode(&kept), Ok(manifest), "whose it is goes with it");
    let archive = Archive::open(&back.join(RESTORED), &mut |_| ()).unwrap();
    assert_eq!(archive.commit(), f.store.last());
    assert!(Source::get(&archive, &7u32.to_be_bytes()).unwrap().is_some());
    assert!(!f.path("deep/down/back.restoring").exists());
}

#[test]
fn an_empty_folder_will_do_and_any_other_is_refused() {
    let f = Fixture::new();
    let made = f.path("made");
    fs::create_dir(&made).unwrap();
    assert!(matches!(f.back_up(&made), Reply::Json(_)));
    let before = fs::read(made.join(MANIFEST)).unwrap();
    assert!(f.refused(&made).starts_with("invalid: ") && f.refused(&made).contains("not empty"));
    assert_eq!(fs::read(made.join(MANIFEST)).unwrap(), before);
    for (dir, why) in [
        (PathBuf::from("relative"), "absolute"),
        (f.path("data/backup"), "inside"),
        (f.path("data/log/../backup"), "inside"),
        (f.path("missing/backup"), "No such file"),
    ] {
        let refused = f.refused(&dir);
        assert!(refused.starts_with("invalid: ") && refused.contains(why), "{refused}");
    }
    assert!(!f.path("data/backup").exists(), "nothing was made there");
    std::os::unix::fs::symlink(f.path("data/index"), f.path("link")).unwrap();
    assert!(f.refused(&f.path("link")).contains("inside"));
    fs::write(f.path("file"), "x").unwrap();
    assert!(f.refused(&f.path("file")).starts_with("invalid: "));
}

#[test]
fn a_data_directory_that_is_there_is_left_alone() {
    let f = Fixture::new();
    let (dir, back) = (f.path("backup"), f.path("back"));
    f.back_up(&dir);
    fs::create_dir(&back).unwrap();
    fs::write(back.join("mine"), "x").unwrap();
    let refused = bring_back(&dir, &back).unwrap_err();
    assert!(matches!(&refused, RestoreError::InTheWay(path) if *path == back), "{refused}");
    assert_eq!(fs::read_dir(&back).unwrap().count(), 1);
    assert!(bring_back(&dir, &f.path("data")).is_err(), "a node may be running there");
    fs::remove_file(back.join("mine")).unwrap();
    // Another restore is under way, or was cut short: not ours to remove.
    let new = f.path("back.restoring");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("theirs"), "x").unwrap();
    let refused = bring_back(&dir, &back).unwrap_err();
    assert!(matches!(&refused, RestoreError::InTheWay(path) if *path == new), "{refused}");
    assert!(new.join("theirs").exists());
    fs::remove_dir_all(&new).unwrap();
    bring_back(&dir, &back).expect("an empty directory is free");
}

#[test]
fn what_is_damaged_is_named_and_nothing_is_touched() {
    let f = Fixture::new();
    let (dir, back) = (f.path("backup"), f.path("above/back"));
    f.back_up(&dir);
    let names: Vec<PathBuf> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() >= 2);
    for path in names {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        // A new file under the name: the old one may be the node's own.
        fs::remove_file(&path).unwrap();
        fs::write(&path, bad).unwrap();
        let refused = bring_back(&dir, &back).unwrap_err();
        assert!(
            matches!(&refused, RestoreError::Damaged { file, .. } if *file == path),
            "{refused}"
        );
        assert!(!f.path("above").exists(), "nothing was made");
        fs::write(&path, good).unwrap();
    }
    fs::remove_file(dir.join(MANIFEST)).unwrap();
    let refused = bring_back(&dir, &back).unwrap_err();
    assert!(matches!(refused, RestoreError::NoBackup(_)), "{refused}");
    assert!(refused.to_string().starts_with("not_found: "), "{refused}");
}

/// What goes wrong after the checks leaves nothing behind: here the file changes between the two readings.
#[test]
fn a_restore_that_fails_on_its_way_leaves_nothing() {
    let f = Fixture::new();
    let (dir, back) = (f.path("backup"), f.path("back"));
    f.back_up(&dir);
    let victim = dir.join("0000000001.log");
    let mut bytes = fs::read(&victim).unwrap();
    bytes[100] ^= 1;
    let refused = restore(&dir, &back, &mut |moved| {
        if 2 * moved.done == moved.total {
            fs::remove_file(&victim).unwrap();
            fs::write(&victim, &bytes).unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(refused, RestoreError::Damaged { .. }), "{refused}");
    assert!(!back.exists() && !f.path("back.restoring").exists());
}
