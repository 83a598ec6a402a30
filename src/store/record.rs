//! The bytes of the log.
//!
//! ```text
//!   segment   [opening][batch][batch][batch]…                     named by its number
//!   batch     magic u32 · checksum u64 · version u8 · kind u8 · reserved u16 · lineage u64
//!             sequence u64 · commit u64 · durable_upto u64 · count u32 · length u32 · records…
//!   record    put:         1 · checksum u64 · key length u32 · head length u32 · body length u32 · key head body
//!             erase:       2 · key length u32 · key
//!             erase range: 3 · from length u32 · to length u32 · from to
//! ```
//!
//! Numbers are little-endian. *Every* batch takes the next sequence number, also one of copies, which
//! takes no commit number: so a hole in the sequence is a lost batch, whatever it held. The batch's
//! checksum is seeded with its place in the log, so a batch that somebody stored as a value, or an old
//! block that came back, is never taken for one. A put has a checksum of its own, for reading it alone.

use super::{Batch, Change, CommitNumber};
use crate::id::Lineage;
use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The version of the log's bytes, also that of the directory's `FORMAT` file.
pub(crate) const FORMAT_VERSION: u8 = 2;
/// The bytes of a batch before its records.
pub(crate) const BATCH_HEADER: usize = 56;
const MAGIC: [u8; 4] = *b"QLog";
/// What the batch's checksum covers begins here.
const SUMMED_FROM: usize = 12;
const PUT_HEADER: usize = 21;
const PUT: u8 = 1;
const ERASE: u8 = 2;
const ERASE_RANGE: u8 = 3;

/// Where something lies in the log. Places are ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

impl Place {
    /// As one number, in the same order.
    pub(crate) fn pack(self) -> u64 {
        seed(self)
    }

    /// What was packed.
    pub(crate) fn unpack(packed: u64) -> Place {
        Place { segment: (packed >> 32) as u32, offset: packed as u32 }
    }
}

/// What a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first thing in a segment: no records, and no sequence number of its own. Everything before
    /// the segment was synced before it was begun.
    Opening,
    /// What the node committed.
    Commit,
    /// Live records of an old segment, copied so that it can go.
    Copy,
}

/// What stands before the records of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) lineage: Lineage,
    pub(crate) sequence: u64,
    /// For copies and openings the number of the last commit before them.
    pub(crate) commit: CommitNumber,
    /// The newest sequence number that was synced when this was written.
    pub(crate) durable_upto: u64,
}

/// How many bytes a change takes in the log.
pub(crate) fn record_len(change: &Change) -> usize {
    match change {
        Change::Put { key, head, body } => PUT_HEADER + key.len() + head.len() + body.len(),
        Change::Erase { key } => 5 + key.len(),
        Change::EraseRange { from, to } => 9 + from.len() + to.len(),
    }
}

/// How many bytes a batch takes in the log.
pub(crate) fn batch_len(batch: &Batch) -> usize {
    BATCH_HEADER + batch.changes.iter().map(record_len).sum::<usize>()
}

/// Where each record of a batch lies that was written at `start`.
pub(crate) fn places(start: Place, changes: &[Change]) -> impl Iterator<Item = (Place, u32)> {
    let mut offset = start.offset + BATCH_HEADER as u32;
    changes.iter().map(move |change| {
        let length = record_len(change) as u32;
        let place = Place { segment: start.segment, offset };
        offset += length;
        (place, length)
    })
}

/// Appends a batch to `out`, whose byte 0 will lie at `start` in the log. `records` appends the records
/// and returns their count.
pub(crate) fn encode_batch(
    out: &mut Vec<u8>,
    start: Place,
    header: &Header,
    records: impl FnOnce(&mut Vec<u8>) -> usize,
) {
    let at = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    let kind = match header.kind {
        Kind::Opening => 0,
        Kind::Commit => 1,
        Kind::Copy => 2,
    };
    out.extend_from_slice(&[FORMAT_VERSION, kind, 0, 0]);
    out.extend_from_slice(&header.lineage.0.to_le_bytes());
    out.extend_from_slice(&header.sequence.to_le_bytes());
    out.extend_from_slice(&header.commit.0.to_le_bytes());
    out.extend_from_slice(&header.durable_upto.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    let count = records(out);
    let length = out.len() - at - BATCH_HEADER;
    out[at + 48..at + 52].copy_from_slice(&length32(count).to_le_bytes());
    out[at + 52..at + 56].copy_from_slice(&length32(length).to_le_bytes());
    let place = Place { segment: start.segment, offset: start.offset + length32(at) };
    let sum = xxh3_64_with_seed(&out[at + SUMMED_FROM..], seed(place));
    out[at + 4..at + 12].copy_from_slice(&sum.to_le_bytes());
}

/// Appends one change as a record.
pub(crate) fn encode_change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put { key, head, body } => {
            let at = out.len();
            out.push(PUT);
            out.extend_from_slice(&[0; 8]);
            for part in [key, head, body] {
                out.extend_from_slice(&length32(part.len()).to_le_bytes());
            }
            for part in [key, head, body] {
                out.extend_from_slice(part);
            }
            let sum = xxh3_64(&out[at + 9..]);
            out[at + 1..at + 9].copy_from_slice(&sum.to_le_bytes());
        }
        Change::Erase { key } => {
            out.push(ERASE);
            out.extend_from_slice(&length32(key.len()).to_le_bytes());
            out.extend_from_slice(key);
        }
        Change::EraseRange { from, to } => {
            out.push(ERASE_RANGE);
            out.extend_from_slice(&length32(from.len()).to_le_bytes());
            out.extend_from_slice(&length32(to.len()).to_le_bytes());
            out.extend_from_slice(from);
            out.extend_from_slice(to);
        }
    }
}

/// A batch is far below 4 GiB: `SledStore::commit` checks it.
fn length32(n: usize) -> u32 {
    u32::try_from(n).expect("a batch and its parts are shorter than 4 GiB")
}

fn seed(place: Place) -> u64 {
    (u64::from(place.segment) << 32) | u64::from(place.offset)
}

/// A put that was read alone: `(key, head, body)`, or nothing when it is damaged.
pub(crate) fn decode_put(record: &Bytes) -> Option<(Bytes, Bytes, Bytes)> {
    let mut rest = record.clone();
    let change = decode_change(&mut rest)?;
    let sum = u64::from_le_bytes(record.get(1..9)?.try_into().ok()?);
    match change {
        Change::Put { key, head, body } if rest.is_empty() && sum == xxh3_64(&record[9..]) => {
            Some((key, head, body))
        }
        _ => None,
    }
}

/// The next record, which is cut off `rest`. Nothing when the bytes make no sense.
fn decode_change(rest: &mut Bytes) -> Option<Change> {
    let tag = rest.try_get_u8().ok()?;
    match tag {
        PUT => {
            rest.try_get_u64_le().ok()?;
            let lengths = [take_length(rest)?, take_length(rest)?, take_length(rest)?];
            let [key, head, body] = lengths.map(|length| take(rest, length));
            Some(Change::Put { key: key?, head: head?, body: body? })
        }
        ERASE => {
            let length = take_length(rest)?;
            Some(Change::Erase { key: take(rest, length)? })
        }
        ERASE_RANGE => {
            let lengths = [take_length(rest)?, take_length(rest)?];
            let [from, to] = lengths.map(|length| take(rest, length));
            Some(Change::EraseRange { from: from?, to: to? })
        }
        _ => None,
    }
}

fn take_length(rest: &mut Bytes) -> Option<usize> {
    usize::try_from(rest.try_get_u32_le().ok()?).ok()
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

/// One batch as it was found in a segment.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) header: Header,
    pub(crate) place: Place,
    count: u32,
    records: Bytes,
}

impl Found {
    /// How many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        BATCH_HEADER + self.records.len()
    }

    /// The first byte after it.
    pub(crate) fn end(&self) -> Place {
        let length = length32(self.len());
        Place { segment: self.place.segment, offset: self.place.offset + length }
    }

    /// Its changes, each with its place and its length in the log. The checksum was right, so the
    /// bytes are what we wrote.
    pub(crate) fn changes(&self) -> Vec<(Change, Place, u32)> {
        let mut rest = self.records.clone();
        let mut changes = Vec::with_capacity(self.count as usize);
        let mut offset = self.place.offset + BATCH_HEADER as u32;
        while let Some(change) = decode_change(&mut rest) {
            let length = length32(record_len(&change));
            changes.push((change, Place { segment: self.place.segment, offset }, length));
            offset += length;
        }
        assert!(rest.is_empty(), "a batch with a right checksum holds whole records");
        changes
    }

    /// The same batch for another place: its records as they are.
    pub(crate) fn encode_again(&self, out: &mut Vec<u8>, start: Place, durable_upto: u64) {
        encode_batch(out, start, &Header { durable_upto, ..self.header }, |out| {
            out.extend_from_slice(&self.records);
            self.count as usize
        });
    }
}

/// All whole batches of a segment, in order, over whatever garbage lies between them, and the offset
/// after the last one.
pub(crate) fn batches(segment: u32, bytes: &Bytes) -> impl Iterator<Item = Found> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        while offset + BATCH_HEADER <= bytes.len() {
            if let Some(found) = batch_at(segment, 0, bytes, offset) {
                offset += found.len();
                return Some(found);
            }
            // Look for the next one byte by byte: after damage no length can be trusted.
            let from = offset + 1;
            let skip = bytes[from..].windows(MAGIC.len()).position(|window| window == MAGIC);
            offset = from + skip.unwrap_or(bytes.len());
        }
        None
    })
}

/// How long the batch is that begins these bytes says that it is; 0: none begins here. `None`: they are too few.
pub(crate) fn batch_extent(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..BATCH_HEADER)?;
    if header[..4] != MAGIC {
        return Some(0);
    }
    let length = u32::from_le_bytes(header[52..56].try_into().expect("4 bytes"));
    Some(BATCH_HEADER as u64 + u64::from(length))
}

/// The whole batch that begins at `offset` in these bytes, which begin at `base` in their segment; if there is one.
pub(crate) fn batch_at(segment: u32, base: u32, bytes: &Bytes, offset: usize) -> Option<Found> {
    let header = bytes.get(offset..offset + BATCH_HEADER)?;
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    if header[..4] != MAGIC || header[12] != FORMAT_VERSION {
        return None;
    }
    let from = offset + BATCH_HEADER;
    let end = from.checked_add(usize::try_from(u32_at(52)).ok()?)?;
    let place = Place { segment, offset: base.checked_add(u32::try_from(offset).ok()?)? };
    let summed = bytes.get(offset + SUMMED_FROM..end)?;
    if xxh3_64_with_seed(summed, seed(place)) != u64_at(4) {
        return None;
    }
    let kind = match header[13] {
        0 => Kind::Opening,
        1 => Kind::Commit,
        2 => Kind::Copy,
        _ => return None,
    };
    let header = Header {
        kind,
        lineage: Lineage(u64_at(16)),
        sequence: u64_at(24),
        commit: CommitNumber(u64_at(32)),
        durable_upto: u64_at(40),
    };
    Some(Found { header, place, count: u32_at(48), records: bytes.slice(from..end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u64) -> Header {
        Header {
            kind: Kind::Commit,
            lineage: Lineage(7),
            sequence,
            commit: CommitNumber(sequence),
            durable_upto: sequence - 1,
        }
    }

    fn changes(i: u8) -> Vec<Change> {
        let b = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        vec![
            Change::Put { key: b("key"), head: Bytes::from(vec![i; 3]), body: b("QLogQLog") },
            Change::Erase { key: b("gone") },
            Change::EraseRange { from: b("a"), to: b("c") },
        ]
    }

    fn segment(count: u8) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 1..=count {
            let start = Place { segment: 3, offset: 0 };
            encode_batch(&mut out, start, &header(i.into()), |out| {
                changes(i).iter().for_each(|change| encode_change(out, change));
                3
            });
        }
        out
    }

    #[test]
    fn what_was_encoded_is_found_with_its_places() {
        let bytes = Bytes::from(segment(3));
        let found = batches(3, &bytes).collect::<Vec<_>>();
        assert_eq!(found.iter().map(|f| f.header.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(found[2].end().offset as usize, bytes.len());
        let (change, place, length) = found[1].changes().remove(0);
        assert_eq!(change, changes(2)[0]);
        assert_eq!(length as usize, record_len(&change));
        let alone = bytes.slice(place.offset as usize..(place.offset + length) as usize);
        assert_eq!(decode_put(&alone).unwrap().2, "QLogQLog");
    }

    #[test]
    fn a_flipped_bit_anywhere_hides_its_batch_and_no_other() {
        let good = segment(3);
        let length = good.len() / 3;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let found = batches(3, &bad.into()).map(|f| f.header.sequence).collect::<Vec<_>>();
            let lost = (at / length) as u64 + 1;
            // The reserved bytes are summed too, so every bit counts.
            assert_eq!(found, (1..=3).filter(|s| *s != lost).collect::<Vec<_>>(), "byte {at}");
        }
    }

    #[test]
    fn a_batch_at_another_place_is_not_a_batch() {
        let bytes = segment(2);
        assert_eq!(batches(4, &bytes.clone().into()).count(), 0);
        let moved = [&[0; 5][..], &bytes].concat();
        assert_eq!(batches(3, &moved.into()).count(), 0);
    }

    #[test]
    fn junk_never_panics() {
        let rng = &mut fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut junk = segment(2);
            for _ in 0..rng.usize(1..9) {
                let at = rng.usize(..junk.len());
                junk[at] = rng.u8(..);
            }
            junk.truncate(rng.usize(..=junk.len()));
            let junk = Bytes::from(junk);
            for found in batches(3, &junk) {
                found.changes();
            }
            let from = rng.usize(..=junk.len());
            let _ = decode_put(&junk.slice(from..));
        }
    }
}
