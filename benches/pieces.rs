//! The pieces that every put and get goes through, one at a time.
//!
//! `cargo bench --bench pieces [-- NAME]`. Keys are hot where it says so: 32 operations that were overwritten are remembered,
//! and values have 1 KiB. The pieces of the store run against a real disk, in the folder for temporary files.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quorate::coordinator::{Get, Holding, List, Put, Reach, Replicas};
use quorate::id::{BucketId, ClusterId, Lineage, NodeId, PartitionId};
use quorate::merkle::{Shape, Terms, Tree};
use quorate::message::peer::{self, Data};
use quorate::message::{Header, Kind as FrameKind, Split, decode, encode_into, split};
use quorate::quorum::Quorum;
use quorate::ring::{
    Agreement, Change as RingChange, Member, Partitions, Secret, Successor, partition_of,
};
use quorate::store::{Batch, Change, Options, SledStore, Source, Store, key};
use quorate::time::HybridTime;
use quorate::version::{Content, Head, Incarnations, Kind, OperationId, Record, Write};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

const VALUE_BYTES: usize = 1024;
/// So many puts share a batch here.
const BATCH: usize = 64;
/// So many items of [`SMALL_BYTES`] have the index rebuilt.
const REBUILT: usize = 100_000;
const SMALL_BYTES: usize = 100;
const FRAME_LIMIT: usize = 16 << 20;

fn versions(c: &mut Criterion) {
    let hot = Hot::after(100);
    let mut group = c.benchmark_group("version");
    group.bench_function("write", |b| {
        b.iter_batched(|| hot.clone(), |mut hot| hot.write(), BatchSize::SmallInput);
    });
    let newer = Hot { number: hot.number, ..hot.clone() }.written();
    group.bench_function("join", |b| {
        b.iter_batched(
            || hot.record.clone(),
            |mut mine| mine.join(black_box(&newer)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("encode", |b| b.iter(|| black_box(&hot.record).encode()));
    let (head, body) = hot.record.encode();
    println!("the head of a hot key has {} bytes", head.len());
    group.bench_function("decode", |b| {
        b.iter(|| Record::decode(black_box(&head), body.clone()).expect("whole"));
    });
    group.bench_function("digest of a head", |b| {
        b.iter(|| Head::decode(black_box(&head)).expect("whole").digest());
    });
    group.finish();
}

fn placement(c: &mut Criterion) {
    let agreement = members(9);
    c.bench_function("ring/owners of a key", |b| {
        b.iter(|| {
            let layout = &agreement.layout;
            let partition = partition_of("bucket", black_box(b"some-key"), layout.partitions);
            layout.preference_list(partition, 3).owners().map(|owner| owner.0).sum::<u64>()
        });
    });
}

fn tallies(c: &mut Criterion) {
    let [me, other, third] = [1, 2, 3].map(NodeId);
    let up = |node| (node, Reach::Up);
    let list = List { owners: [me, other, third].map(up).into(), fallbacks: Vec::new() };
    let replicas = Replicas { read: list, other: None };
    let quorum = Quorum { n: 3, required: 2, strict: false };
    c.bench_function("coordinator/put", |b| {
        b.iter(|| {
            let (mut put, asks) = Put::begin(quorum, black_box(&replicas), me);
            put.stored(other);
            put.stored(me);
            (put.verdict(), asks)
        });
    });
    let digest = Some(7);
    c.bench_function("coordinator/get", |b| {
        b.iter(|| {
            let mut get = Get::begin(quorum, black_box(&replicas), me);
            let asks = get.step();
            get.holds(me, Holding { digest, round: 1, ..Holding::default() });
            get.holds(other, Holding { digest, round: 1, ..Holding::default() });
            (asks, get.step())
        });
    });
}

fn frames(c: &mut Criterion) {
    let (head, body) = Hot::after(100).record.encode();
    let message =
        Data::Replicate { key: item(1), record: peer::Record { head, body }, hint_for: None };
    let header = Header::new(FrameKind::Data);
    let mut out = Vec::new();
    c.bench_function("message/frame of a record", |b| {
        b.iter(|| {
            out.clear();
            header.encode_into(&mut out, |out| encode_into(out, black_box(&message)));
            out.len()
        });
    });
    c.bench_function("message/record of a frame", |b| {
        b.iter_batched(
            || BytesMut::from(&out[..]),
            |mut bytes| {
                let Ok(Split::Frame(frame)) = split(&mut bytes, FRAME_LIMIT) else {
                    panic!("it is whole")
                };
                decode::<Data>(&frame.body).expect("it was encoded")
            },
            BatchSize::SmallInput,
        );
    });
}

fn merkle(c: &mut Criterion) {
    let (shape, terms) = (Shape::of(1024), Terms::new(&[7; 32]));
    let (key, mut tree) = (item(1), Tree::default());
    c.bench_function("merkle/change of an item", |b| {
        b.iter(|| {
            let key = black_box(&key);
            let (before, after) = (terms.term(key, 1), terms.term(key, 2));
            tree.change(shape, shape.leaf(key), Some(before), Some(after));
            tree.root()
        });
    });
}

fn store(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    let dir = tempfile::tempdir().expect("a folder");
    let mut disk = Disk::open(dir.path());
    let mut number = 0;
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(format!("{BATCH} puts of 1 KiB, durable"), |b| {
        b.iter(|| {
            let put = |_| {
                number += 1;
                change(number % 10_000, VALUE_BYTES)
            };
            disk.write((0..BATCH).map(put).collect());
        });
    });
    group.bench_function(format!("{BATCH} gets of 1 KiB"), |b| {
        b.iter(|| {
            number += 1;
            let keys = (0..BATCH).map(|at| item((number * 7 + at) % BATCH));
            keys.filter_map(|key| disk.store.get(&key).expect("healthy")).count()
        });
    });
    disk.close();
    let dir = tempfile::tempdir().expect("a folder");
    let mut disk = Disk::open(dir.path());
    for from in (0..REBUILT).step_by(1_000) {
        disk.write((from..from + 1_000).map(|number| change(number, SMALL_BYTES)).collect());
    }
    disk.close();
    group.sample_size(10).throughput(Throughput::Elements(REBUILT as u64));
    group.bench_function("index rebuilt out of the log, items of 100 bytes", |b| {
        b.iter_batched(
            || std::fs::remove_dir_all(dir.path().join("index")).expect("it is closed"),
            |()| Disk::open(dir.path()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// The record of a key that is written again and again, each time by somebody who has seen all of it.
#[derive(Clone)]
struct Hot {
    record: Record,
    incarnations: Incarnations,
    number: u64,
}

impl Hot {
    fn after(writes: u64) -> Hot {
        let mut incarnations = Incarnations::new();
        incarnations.begin(7);
        let mut hot = Hot { record: Record::new(Kind::Siblings), incarnations, number: 0 };
        (0..writes).for_each(|_| hot.write());
        hot
    }

    fn write(&mut self) {
        self.number += 1;
        let write = Write {
            operation: OperationId { session: self.number % 64, sequence: self.number },
            stamp: HybridTime(self.number << 20),
            expires_at: None,
            content: Content::Value(vec![self.number as u8; VALUE_BYTES].into()),
            tried_since: None,
        };
        let seen = self.record.context();
        self.record.write(&seen, write, &mut self.incarnations, false).expect("one actor");
    }

    fn written(mut self) -> Record {
        self.write();
        self.record
    }
}

/// A cluster of so many members, as it was founded.
fn members(count: u64) -> Agreement {
    let member = |id: u64| Member {
        id: NodeId(id),
        lineage: Lineage(id),
        name: format!("n{id}"),
        zone: String::new(),
        weight: 1,
    };
    let founder = member(1);
    let founded =
        Agreement::found(ClusterId(1), Secret([7; 32]), 3, Partitions::default(), founder);
    let joined = |agreement: Agreement, id| match agreement.apply(&RingChange::Join(member(id))) {
        Ok(Successor::Next(next)) => *next,
        other => panic!("{other:?}"),
    };
    (2..=count).fold(founded.expect("valid"), joined)
}

/// A store, and when something in it is durable.
struct Disk {
    store: SledStore,
    durable: Receiver<()>,
}

impl Disk {
    fn open(dir: &Path) -> Disk {
        let (wake, durable) = channel();
        let waker = Arc::new(move || {
            let _ = wake.send(());
        });
        let options = Options { waker, ..Options::default() };
        let (store, _) = SledStore::open(dir, options, &mut |_| ()).expect("a healthy disk");
        Disk { store, durable }
    }

    fn write(&mut self, changes: Vec<Change>) {
        let number = self.store.commit(Batch { changes }).expect("a healthy disk");
        while self.store.durable() < number {
            self.durable.recv().expect("the store lives");
        }
    }

    fn close(self) {
        self.store.close().expect("a healthy disk");
    }
}

fn item(number: usize) -> Bytes {
    let partition = PartitionId(number as u16 % 1024);
    key::item(partition, BucketId(1), format!("key-{number:07}").as_bytes(), b"")
}

fn change(number: usize, bytes: usize) -> Change {
    let body = vec![number as u8; bytes].into();
    Change::Put { key: item(number), head: vec![1; 64].into(), body }
}

criterion_group!(benches, versions, placement, tallies, frames, merkle, store);
criterion_main!(benches);
