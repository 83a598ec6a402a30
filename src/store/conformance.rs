//! What every store must do, written once and run over each of them.
//!
//! The suite drives a store only through [`Store`] and a [`Harness`] that can let a sync happen, break
//! one, and pull the plug. Its oracle is a `BTreeMap` and a list of batches.

use super::{Batch, Change, CommitNumber, Entry, Store, StoreError};
use bytes::Bytes;
use std::collections::BTreeMap;

/// One store under test and the disk below it. Nothing that is committed becomes durable before
/// [`sync`](Harness::sync).
pub(crate) trait Harness {
    /// An empty store on an empty disk.
    fn fresh() -> Self;
    /// The store as it is now.
    fn store(&mut self) -> &mut dyn Store;
    /// Returns when everything committed is durable.
    fn sync(&mut self);
    /// Pulls the plug: loses everything not durable, and opens the store again.
    fn crash(&mut self);
    /// Makes the sync of what is committed now fail, and returns when the store has noticed.
    fn break_sync(&mut self);
}

/// A batch of one put.
pub(crate) fn put(key: &[u8], head: &[u8], body: &[u8]) -> Batch {
    Batch { changes: vec![put_change(key, head, body)] }
}

fn put_change(key: &[u8], head: &[u8], body: &[u8]) -> Change {
    Change::Put { key: bytes(key), head: bytes(head), body: bytes(body) }
}

fn erase(key: &[u8]) -> Change {
    Change::Erase { key: bytes(key) }
}

fn erase_range(from: &[u8], to: &[u8]) -> Change {
    Change::EraseRange { from: bytes(from), to: bytes(to) }
}

fn bytes(b: &[u8]) -> Bytes {
    Bytes::copy_from_slice(b)
}

fn keys_back(store: &dyn Store, from: &[u8], to: &[u8], limit: usize) -> Vec<Bytes> {
    store.scan_back(from, to, limit).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn keys(store: &dyn Store, from: &[u8], to: &[u8], limit: usize) -> Vec<Bytes> {
    store.scan(from, to, limit).unwrap().into_iter().map(|(key, _)| key).collect()
}

/// The oracle: what a plain ordered map would hold after the same batches.
pub(crate) type Model = BTreeMap<Bytes, Entry>;

/// Applies a batch to the oracle.
pub(crate) fn model_apply(model: &mut Model, batch: &Batch) {
    for change in &batch.changes {
        match change {
            Change::Put { key, head, body } => {
                model.insert(key.clone(), Entry { head: head.clone(), body: body.clone() });
            }
            Change::Erase { key } => {
                model.remove(key);
            }
            Change::EraseRange { from, to } => model.retain(|key, _| key < from || key >= to),
        }
    }
}

/// Panics unless the store shows exactly the model: by scan, by head and by body.
pub(crate) fn assert_shows(store: &dyn Store, model: &Model, what: &str) {
    let shown = store.scan(b"", &[0xff; 8], usize::MAX).unwrap();
    let expected =
        model.iter().map(|(key, entry)| (key.clone(), entry.head.clone())).collect::<Vec<_>>();
    assert_eq!(shown, expected, "{what}: scan");
    let mut back = store.scan_back(b"", &[0xff; 8], usize::MAX).unwrap();
    back.reverse();
    assert_eq!(back, expected, "{what}: scan back");
    for (key, entry) in model {
        assert_eq!(store.get(key).unwrap().as_ref(), Some(entry), "{what}: get {key:?}");
    }
}

/// A random batch over a small space of keys, so that overwrites and erases meet.
pub(crate) fn random_batch(rng: &mut fastrand::Rng, keys: u16, max_body: usize) -> Batch {
    let mut changes = Vec::new();
    for _ in 0..rng.usize(1..6) {
        let key = rng.u16(..keys).to_be_bytes();
        changes.push(match rng.u8(..10) {
            0..=6 => {
                let body = vec![rng.u8(..); rng.usize(..max_body)];
                put_change(&key, &rng.u32(..).to_be_bytes(), &body)
            }
            7..=8 => erase(&key),
            _ => {
                let to = rng.u16(..keys).min(u16::from_be_bytes(key).saturating_add(6));
                erase_range(&key, &to.to_be_bytes())
            }
        });
    }
    Batch { changes }
}

pub(crate) fn durable_writes_are_read<H: Harness>() {
    let mut h = H::fresh();
    let first = h.store().commit(put(b"k", b"head", b"body")).unwrap();
    let second = h.store().commit(put(b"k", b"head2", b"")).unwrap();
    assert_eq!((first, second), (CommitNumber(1), CommitNumber(2)));
    h.sync();
    assert_eq!(h.store().durable(), second);
    let entry = h.store().get(b"k").unwrap().unwrap();
    assert_eq!((&entry.head[..], &entry.body[..]), (&b"head2"[..], &b""[..]));
    assert_eq!(h.store().head(b"k").unwrap().unwrap(), "head2");
    assert_eq!(h.store().get(b"other").unwrap(), None);
}

pub(crate) fn nothing_unflushed_is_shown<H: Harness>() {
    let mut h = H::fresh();
    h.store().commit(put(b"a", b"1", b"old")).unwrap();
    h.store().commit(put(b"b", b"1", b"old")).unwrap();
    h.sync();
    h.store().commit(put(b"a", b"2", b"new")).unwrap();
    h.store().commit(Batch { changes: vec![erase(b"b")] }).unwrap();
    h.store().commit(put(b"c", b"2", b"new")).unwrap();
    let store = h.store();
    assert_eq!(store.durable(), CommitNumber(2));
    assert_eq!(store.get(b"a").unwrap().unwrap().body, "old");
    assert_eq!(store.head(b"b").unwrap().unwrap(), "1");
    assert_eq!(store.get(b"c").unwrap(), None);
    assert_eq!(keys(store, b"", b"z", 9), ["a", "b"]);
    h.sync();
    assert_eq!(keys(h.store(), b"", b"z", 9), ["a", "c"]);
}

pub(crate) fn a_batch_is_whole_and_its_last_change_wins<H: Harness>() {
    let mut h = H::fresh();
    let changes = vec![
        put_change(b"a", b"1", b"1"),
        put_change(b"b", b"1", b"1"),
        erase_range(b"a", b"b"),
        put_change(b"b", b"2", b"2"),
        put_change(b"c", b"1", b"1"),
        erase(b"c"),
        erase_range(b"x", b"c"),
    ];
    h.store().commit(Batch { changes }).unwrap();
    h.store().commit(Batch::default()).unwrap();
    assert_eq!(keys(h.store(), b"", b"z", 9).len(), 0);
    h.sync();
    assert_eq!(h.store().durable(), CommitNumber(2));
    assert_eq!(h.store().scan(b"", b"z", 9).unwrap(), [(bytes(b"b"), bytes(b"2"))]);
    h.crash();
    assert_eq!(h.store().scan(b"", b"z", 9).unwrap(), [(bytes(b"b"), bytes(b"2"))]);
}

pub(crate) fn a_range_is_erased_and_may_be_written_again<H: Harness>() {
    let mut h = H::fresh();
    for key in [&b"a"[..], b"b", b"bb", b"c", b"d"] {
        h.store().commit(put(key, b"h", key)).unwrap();
    }
    h.sync();
    h.store().commit(Batch { changes: vec![erase_range(b"b", b"d")] }).unwrap();
    h.sync();
    assert_eq!(keys(h.store(), b"", b"z", 9), ["a", "d"]);
    assert_eq!(h.store().get(b"bb").unwrap(), None);
    h.store().commit(put(b"bb", b"h", b"again")).unwrap();
    h.sync();
    assert_eq!(keys(h.store(), b"", b"z", 9), ["a", "bb", "d"]);
    h.crash();
    assert_eq!(keys(h.store(), b"", b"z", 9), ["a", "bb", "d"]);
    assert_eq!(h.store().get(b"bb").unwrap().unwrap().body, "again");
}

pub(crate) fn a_scan_keeps_order_bounds_and_limit<H: Harness>() {
    let mut h = H::fresh();
    for i in (0..40u8).rev() {
        h.store().commit(put(&[i / 8, i % 8], &[i], b"")).unwrap();
        if i == 20 {
            h.sync();
        }
    }
    h.sync();
    let store = h.store();
    let all = keys(store, b"", &[9], 99);
    assert_eq!(all.len(), 40);
    assert!(all.is_sorted());
    assert_eq!(keys(store, &[1], &[2], 99).len(), 8);
    assert_eq!(keys(store, &[1, 3], &[1, 6], 99), [&[1, 3][..], &[1, 4], &[1, 5]]);
    assert_eq!(keys(store, &[1, 3], &[4], 2), [&[1, 3][..], &[1, 4]]);
    assert_eq!(keys(store, &[2], &[1], 9).len(), 0);
    assert_eq!(keys(store, &[2], &[2], 9).len(), 0);
    assert_eq!(keys(store, b"", &[9], 0).len(), 0);
    assert_eq!(keys_back(store, &[1, 3], &[1, 6], 99), [&[1, 5][..], &[1, 4], &[1, 3]]);
    assert_eq!(keys_back(store, &[1, 3], &[4], 2), [&[3, 7][..], &[3, 6]]);
    assert_eq!(keys_back(store, &[2], &[1], 9).len(), 0);
    assert_eq!(keys_back(store, b"", &[9], 0).len(), 0);
}

/// What was erased, and what is newer than the index, in pages from both ends.
pub(crate) fn pages_from_both_ends_agree<H: Harness>() {
    for seed in 0..8 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut h = H::fresh();
        for _ in 0..30 {
            h.store().commit(random_batch(rng, 40, 20)).unwrap();
            if rng.bool() {
                h.sync();
            }
        }
        h.sync();
        let store = h.store();
        let (from, to) = (rng.u16(..20).to_be_bytes(), rng.u16(20..40).to_be_bytes());
        let all = store.scan(&from, &to, usize::MAX).unwrap();
        let (mut end, mut back) = (to.to_vec(), Vec::new());
        loop {
            let page = store.scan_back(&from, &end, rng.usize(1..5)).unwrap();
            let Some((last, _)) = page.last() else { break };
            end = last.to_vec();
            back.extend(page);
        }
        back.reverse();
        assert_eq!(back, all, "seed {seed}");
    }
}

pub(crate) fn a_crash_loses_only_what_was_not_durable<H: Harness>() {
    let mut h = H::fresh();
    h.store().commit(put(b"k", b"1", b"kept")).unwrap();
    h.sync();
    h.store().commit(put(b"k", b"2", b"lost")).unwrap();
    h.crash();
    assert_eq!(h.store().durable(), CommitNumber(1));
    assert_eq!(h.store().get(b"k").unwrap().unwrap().body, "kept");
    assert_eq!(h.store().commit(put(b"k", b"3", b"next")).unwrap(), CommitNumber(2));
    h.sync();
    h.crash();
    assert_eq!(h.store().get(b"k").unwrap().unwrap().body, "next");
}

pub(crate) fn after_a_failed_sync_nothing_is_promised_again<H: Harness>() {
    let mut h = H::fresh();
    h.store().commit(put(b"k", b"1", b"kept")).unwrap();
    h.sync();
    assert_eq!(h.store().failed(), None);
    h.store().commit(put(b"k", b"2", b"doubtful")).unwrap();
    h.break_sync();
    assert!(matches!(h.store().failed(), Some(StoreError::Failed(_))));
    assert!(matches!(h.store().commit(put(b"l", b"1", b"")), Err(StoreError::Failed(_))));
    assert_eq!(h.store().durable(), CommitNumber(1));
    assert_eq!(h.store().get(b"k").unwrap().unwrap().body, "kept");
    h.crash();
    assert_eq!(h.store().failed(), None);
    let body = h.store().get(b"k").unwrap().unwrap().body;
    assert!(body == "kept" || body == "doubtful");
}

pub(crate) fn any_history_matches_a_plain_map<H: Harness>() {
    for seed in 0..12 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut h = H::fresh();
        let (mut model, mut pending) = (Model::new(), Vec::new());
        let mut number = 0;
        for step in 0..60 {
            match rng.u8(..10) {
                0..=5 => {
                    let batch = random_batch(rng, 60, 300);
                    number += 1;
                    pending.push(batch.clone());
                    assert_eq!(h.store().commit(batch), Ok(CommitNumber(number)));
                }
                6..=8 => {
                    h.sync();
                    for batch in pending.drain(..) {
                        model_apply(&mut model, &batch);
                    }
                }
                _ => {
                    h.crash();
                    number -= pending.len() as u64;
                    pending.clear();
                }
            }
            assert_shows(h.store(), &model, &format!("seed {seed}, step {step}"));
            let (from, to) = (rng.u16(..60).to_be_bytes(), rng.u16(..60).to_be_bytes());
            let limit = rng.usize(..8);
            let expected = model
                .keys()
                .filter(|key| key[..] >= from[..] && key[..] < to[..])
                .take(limit)
                .cloned()
                .collect::<Vec<_>>();
            assert_eq!(keys(h.store(), &from, &to, limit), expected, "seed {seed}, step {step}");
        }
    }
}

/// Makes one `#[test]` of each rule for the harness named.
macro_rules! suite {
    ($harness:ty) => {
        $crate::store::conformance::suite!($harness:
            durable_writes_are_read,
            nothing_unflushed_is_shown,
            a_batch_is_whole_and_its_last_change_wins,
            a_range_is_erased_and_may_be_written_again,
            a_scan_keeps_order_bounds_and_limit,
            pages_from_both_ends_agree,
            a_crash_loses_only_what_was_not_durable,
            after_a_failed_sync_nothing_is_promised_again,
            any_history_matches_a_plain_map
        );
    };
    ($harness:ty: $($rule:ident),*) => {
        $(#[test]
        fn $rule() {
            $crate::store::conformance::$rule::<$harness>();
        })*
    };
}
pub(crate) use suite;
