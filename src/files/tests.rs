//! Files on stores in memory: replicas that meet, answers that get lost, writers that go away, a clock that is moved.

use super::attempt::{ABANDONED_MS, Attempt};
use super::head::Head;
use super::{About, Files, PIECE_BYTES, attempt, piece};
use crate::error::{Error, Result};
use crate::quorum::QuorumRequest;
use crate::types::memory::Memory;
use crate::types::{Change, Objects};
use bytes::Bytes;
use std::cell::Cell;

const HOUR_MS: u64 = 60 * 60 * 1_000;

thread_local! {
    /// Each test has a thread of its own.
    static NOW: Cell<u64> = const { Cell::new(1_000_000) };
}

fn pass(ms: u64) {
    NOW.set(NOW.get() + ms);
}

fn files(memory: &Memory) -> Files<Memory> {
    Files::new(memory.clone(), || NOW.get())
}

/// So many bytes, others for each seed.
fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..size).map(|_| random.u8(..)).collect()
}

async fn put(files: &Files<Memory>, name: &str, content: &[u8]) -> Result<About> {
    let mut upload = files.upload(name)?;
    // In parts that do not fit.
    for part in content.chunks(300_001) {
        upload.push(part).await?;
    }
    upload.finish().await
}

async fn get(files: &Files<Memory>, name: &str) -> Result<Vec<u8>> {
    let mut download = files.download(name).await?;
    let mut all = Vec::new();
    while let Some(piece) = download.next().await? {
        all.extend_from_slice(&piece);
    }
    assert_eq!(all.len() as u64, download.about().size);
    Ok(all)
}

/// Nothing of any file is left.
fn is_empty(memory: &Memory) -> bool {
    memory.values("files") == 0
}

#[tokio::test]
async fn a_file_of_any_size_comes_back_as_it_was_put_and_goes_without_a_trace() {
    let memory = Memory::new(1);
    let files = files(&memory);
    let sizes = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 20 * PIECE_BYTES + 17];
    for (seed, size) in sizes.into_iter().enumerate() {
        let content = content(seed as u64, size);
        let about = put(&files, "a/file", &content).await.expect("put");
        assert_eq!((about.size, about.hash), (size as u64, *blake3::hash(&content).as_bytes()));
        assert_eq!(get(&files, "a/file").await.expect("read"), content);
        assert_eq!(
            memory.values("files.pieces"),
            size.div_ceil(PIECE_BYTES),
            "of the old one nothing"
        );
        assert_eq!(files.about("a/file").await, Ok(Some(about)));
    }
    assert_eq!(files.delete("a/file").await, Ok(true));
    assert_eq!(files.delete("a/file").await, Ok(false));
    assert!(is_empty(&memory));
    assert!(matches!(get(&files, "a/file").await, Err(Error::NotFound(_))));
    for name in ["", &"x".repeat(1_025)] {
        assert!(matches!(files.upload(name), Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn files_are_listed_by_name_whichever_key_they_stand_under() {
    let files = files(&Memory::new(1));
    let mut names: Vec<String> = (0..60).map(|n| format!("dir{}/file{n}", n % 3)).collect();
    for name in &names {
        put(&files, name, name.as_bytes()).await.expect("put");
    }
    names.sort();
    let listed =
        |list: Vec<(String, About)>| list.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(listed(files.list("").await.expect("a list")), names);
    names.retain(|name| name.starts_with("dir1/"));
    assert_eq!(listed(files.list("dir1/").await.expect("a list")), names);
    assert_eq!(files.list("dir9").await, Ok(Vec::new()));
}

#[tokio::test]
async fn of_two_that_are_put_at_once_all_see_the_same_and_the_next_clears_both_away() {
    let (one, other) = (Memory::new(1), Memory::new(2));
    let (here, there) = (files(&one), files(&other));
    put(&here, "f", b"old").await.expect("put");
    one.meet(&other);
    put(&here, "f", b"here").await.expect("put");
    pass(1);
    put(&there, "f", b"there").await.expect("put");
    one.meet(&other);
    for files in [&here, &there] {
        assert_eq!(get(files, "f").await.expect("read"), b"there", "the later");
    }
    // Its writer's clock is behind what it replaces.
    NOW.set(NOW.get() - 500_000);
    let about = put(&here, "f", b"last").await.expect("put");
    assert!(about.written_at > NOW.get());
    one.meet(&other);
    assert_eq!(get(&there, "f").await.expect("read"), b"last");
    assert_eq!(there.delete("f").await, Ok(true));
    one.meet(&other);
    assert!(is_empty(&one) && is_empty(&other));
}

/// A writer that goes away is not seen, and what it leaves behind goes with a later put; but who is at work is let work.
#[tokio::test]
async fn what_a_writer_leaves_behind_is_cleared_away_a_day_later() {
    let memory = Memory::new(1);
    let files = files(&memory);
    let content = content(1, 70 * PIECE_BYTES);
    let mut left = files.upload("f").expect("a name");
    left.push(&content).await.expect("stored");
    drop(left);
    assert_eq!(files.about("f").await, Ok(None));
    assert!(memory.values("files.pieces") > 60);
    pass(ABANDONED_MS - HOUR_MS);
    let mut working = files.upload("f").expect("a name");
    working.push(&content).await.expect("stored");
    pass(2 * HOUR_MS);
    put(&files, "f", b"small").await.expect("put");
    assert!((60..=71).contains(&memory.values("files.pieces")), "of who is at work, and ours");
    working.finish().await.expect("nobody took its pieces");
    assert_eq!(get(&files, "f").await.expect("read"), content);
    assert_eq!(memory.values("files.pieces"), 70);
    files.delete("f").await.expect("deleted");
    assert!(is_empty(&memory));
}

#[tokio::test]
async fn a_writer_that_stood_still_for_half_a_day_begins_again() {
    let memory = Memory::new(1);
    let files = files(&memory);
    let mut upload = files.upload("f").expect("a name");
    upload.push(&content(1, PIECE_BYTES)).await.expect("stored");
    pass(13 * HOUR_MS);
    assert!(matches!(upload.finish().await, Err(Error::Invalid(_))));
    assert_eq!(files.about("f").await, Ok(None));
}

#[tokio::test]
async fn what_is_damaged_missing_or_misplaced_is_never_taken_for_the_file() {
    let memory = Memory::new(1);
    let files = files(&memory);
    let content = content(1, 3 * PIECE_BYTES);
    put(&files, "f", &content).await.expect("put");
    let (heads, _) = files.heads("f").await.expect("read");
    let of = heads[0].attempt;
    let quorum = QuorumRequest::default();
    let read = async |number| memory.read(piece::item(of, number), quorum).await.expect("read");
    let write = async |number, value: Option<Bytes>| {
        let (item, context) = (piece::item(of, number), read(number).await.context);
        let operation = memory.operation();
        let change = Change { item, value, context, expires_at: None, operation };
        memory.write(change, quorum).await.expect("written");
    };
    let good = read(1).await.values[0].clone();
    let mut flipped = good.to_vec();
    flipped[100_000] ^= 1;
    let other = read(2).await.values[0].clone();
    for bad in [Bytes::from(flipped), other, good.slice(..good.len() - 1), Bytes::new()] {
        write(1, Some(bad)).await;
        assert!(matches!(get(&files, "f").await, Err(Error::Internal(_))));
    }
    write(1, None).await;
    assert!(matches!(get(&files, "f").await, Err(Error::NotFound(_))));
    write(1, Some(good)).await;
    assert_eq!(get(&files, "f").await.expect("read"), content);
}

/// Whichever write is not answered: the file is the old one or the new one, and whoever puts again has it.
#[tokio::test]
async fn lost_answers_leave_the_old_file_or_the_new() {
    let (mut kept, mut replaced) = (0, 0);
    for (happens, spared) in (0..8).flat_map(|spared| [(true, spared), (false, spared)]) {
        let memory = Memory::new(1);
        let files = files(&memory);
        let (old, new) = (content(1, 100), content(2, PIECE_BYTES + 1));
        put(&files, "f", &old).await.expect("put");
        // Announced, two pieces, announced, the head; then the old piece and its attempt go.
        memory.spare(spared);
        if happens {
            memory.lose(1)
        } else {
            memory.vanish(1)
        }
        let ended = put(&files, "f", &new).await;
        memory.lose(0);
        memory.vanish(0);
        assert_eq!(ended.is_err(), spared < 5, "{spared}");
        let is = get(&files, "f").await.expect("one of them");
        assert!(is == new || (ended.is_err() && is == old), "{spared} {happens} {ended:?}");
        if is == old {
            kept += 1
        } else {
            replaced += 1
        }
        put(&files, "f", &new).await.expect("put");
        assert_eq!(get(&files, "f").await.expect("read"), new);
    }
    assert_eq!((kept, replaced), (9, 7), "the head alone decides");
}

#[test]
fn heads_and_attempts_are_read_as_they_were_written_and_nothing_else_is() {
    let about = About { written_at: 7, size: 1 << 40, hash: [9; 32] };
    let head = Head::new(about, crate::version::OperationId { session: 1, sequence: 2 });
    let object =
        |value: Bytes| crate::types::Object { values: vec![value], context: String::new() };
    assert_eq!(Head::all(&object(head.encode())), Ok(vec![head.clone()]));
    for bad in
        [Bytes::new(), head.encode().slice(1..), Bytes::from([&head.encode()[..], b"x"].concat())]
    {
        assert!(Head::all(&object(bad)).is_err());
    }
    assert_eq!((head.pieces(), head.bytes_of(0)), (1 << 21, 512 << 10));
    let attempt = Attempt { pieces: 64, touched_at: 5 };
    assert_eq!(attempt.encode().len(), 17);
    assert_ne!(attempt::item("f", head.attempt), attempt::item("g", head.attempt));
}
