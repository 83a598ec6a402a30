//! What is only read: all of it is there, or it is not opened.

use super::super::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A backup of a store in which much was overwritten and erased, restored; and what it shows.
fn restored() -> (tempfile::TempDir, PathBuf, BTreeMap<Bytes, Entry>) {
    let dirs = tempfile::tempdir().expect("a folder");
    let options = Options { segment_bytes: 2 << 10, ..Options::default() };
    let (mut store, _) =
        SledStore::open(&dirs.path().join("data"), options, &mut |_| ()).expect("new");
    let key = |i: u32| Bytes::copy_from_slice(&(i % 40).to_be_bytes());
    let body = |i: u32| Bytes::from(format!("{i}-{}", "x".repeat(200)));
    let mut model = BTreeMap::new();
    let mut commit = |store: &mut SledStore, change: Change| {
        match &change {
            Change::Put { key, head, body } => {
                model.insert(key.clone(), Entry { head: head.clone(), body: body.clone() });
            }
            Change::Erase { key } => drop(model.remove(key)),
            Change::EraseRange { from, to } => {
                model.retain(|key, _| key < from || key >= to);
            }
        }
        store.commit(Batch { changes: vec![change] }).expect("room");
        // One by one, so that segments are as small as they are to be.
        while store.durable() < store.last() {
            std::thread::yield_now();
        }
    };
    for i in 0..200 {
        let head = Bytes::from(format!("h{i}"));
        commit(&mut store, Change::Put { key: key(i), head, body: body(i) });
    }
    (0..40).step_by(7).for_each(|i| commit(&mut store, Change::Erase { key: key(i) }));
    commit(&mut store, Change::EraseRange { from: key(30), to: key(33) });
    let backup = dirs.path().join("backup");
    let copied = store.backup().write(&backup, &mut |_| (), |_| b"m".to_vec()).expect("copied");
    assert!(copied.files.len() > 3);
    let to = dirs.path().join("restored");
    restore(&backup, &copied, &to, &mut |_| ()).expect("restored");
    (dirs, to, model)
}

fn open(dir: &Path) -> Result<Archive, ArchiveError> {
    Archive::open(dir, &mut |_| ())
}

fn refused(dir: &Path) -> String {
    match open(dir) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn files(log: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(log).expect("a folder").map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.clone(), fs::read(&path).expect("readable"))).collect()
}

#[test]
fn an_archive_shows_what_was_there_and_is_not_written_to() {
    let (_dirs, dir, model) = restored();
    let before = files(&dir.join("log"));
    for _ in 0..2 {
        let archive = open(&dir).expect("whole");
        let all = archive.scan(&[0], &[9], 1_000).expect("an index");
        let expected: Vec<_> = model.iter().map(|(k, e)| (k.clone(), e.head.clone())).collect();
        assert_eq!(all, expected);
        assert_eq!(archive.scan(&[0], &[9], 3).expect("an index"), expected[..3]);
        for i in 0..40u32 {
            let key = i.to_be_bytes();
            let entry = model.get(&key[..]);
            assert_eq!(archive.get(&key).expect("readable").as_ref(), entry);
            assert_eq!(archive.head(&key).expect("readable"), entry.map(|e| e.head.clone()));
        }
        assert!(refused(&dir).contains("in use"));
    }
    assert_eq!(files(&dir.join("log")), before);
    let left: Vec<_> =
        fs::read_dir(&dir).expect("a folder").map(|e| e.expect("one").file_name()).collect();
    assert!(!left.iter().any(|name| name == "archive-index"), "{left:?}");
}

/// Else it shows what was overwritten or erased in what is missing.
#[test]
fn an_archive_with_a_hole_is_not_opened() {
    let (_dirs, dir, _) = restored();
    let segments: Vec<PathBuf> = files(&dir.join("log"))
        .into_keys()
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    let [first, .., last] = &segments[..] else { panic!("{segments:?}") };
    for path in [first, &segments[1], last] {
        let whole = fs::read(path).expect("readable");
        // An opening holds nothing; without the oldest nobody knows what came before the batch that follows it.
        let opening = (path == first).then_some(0);
        for at in opening.into_iter().chain([whole.len() / 2, whole.len() - 10]) {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(path, &bad).expect("ours");
            assert!(refused(&dir).contains("damaged"), "{} at {at}", path.display());
        }
        let aside = path.with_extension("away");
        fs::rename(path, &aside).expect("ours");
        let why = refused(&dir);
        assert!(why.contains("damaged") || why.contains("missing"), "{why}");
        fs::rename(&aside, path).expect("ours");
        fs::write(path, &whole).expect("ours");
    }
    open(&dir).expect("it is whole again");
    fs::remove_file(dir.join("log/STATE")).expect("ours");
    assert!(refused(&dir).contains("where its log ends"));
    assert!(refused(&dir.join("nothing")).contains("no log"));
}

/// Else whoever waits for it to be whole waits for what is whole already.
#[test]
fn an_archive_that_cannot_be_opened_now_is_not_called_damaged() {
    let (_dirs, dir, model) = restored();
    let file = dir.join("log/STATE");
    let held = fs::read(&file).expect("readable");
    fs::remove_file(&file).expect("ours");
    fs::create_dir(&file).expect("ours");
    assert!(matches!(open(&dir), Err(ArchiveError::Open(_))), "the disk refused");
    fs::remove_dir(&file).expect("ours");
    fs::write(&file, held).expect("ours");
    let lock = fs::File::options().write(true).open(dir.join("LOCK")).expect("it is there");
    lock.lock().expect("nobody has it");
    assert!(matches!(open(&dir), Err(ArchiveError::Open(_))), "somebody looks into it");
    lock.unlock().expect("ours");
    fs::write(dir.join("FORMAT"), "200\n").expect("ours");
    assert!(matches!(open(&dir), Err(ArchiveError::Open(_))), "a newer program may open it");
    fs::remove_file(dir.join("FORMAT")).expect("ours");
    let archive = open(&dir).expect("it was whole all the time");
    assert_eq!(archive.scan(&[0], &[9], 1_000).expect("an index").len(), model.len());
}
