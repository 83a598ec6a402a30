//! The bytes of a record's head: actors are named once, and everything else points at them.
//!
//! ```text
//!   clock  body's checksum │ actors: incarnation mint count │ local: actor count
//!   siblings: marks  dot  twins  operation  stamp  expiry  retry  length
//!   covered:  operation  dot and cause  stamp  first stamp
//! ```
//!
//! Stamps are told by their distance to the clock: a hot key's head is mostly covered operations, and is written with
//! each of its puts.

use super::incarnation::Local;
use super::packed::{Reader, Writer};
use super::record::{Head, Kind, Record, RecordError, SiblingHead};
use super::sibling::{Cause, Covered, OperationId, Sibling};
use super::vector::{Actor, Dot, VersionVector, dot_order};
use crate::time::{HybridTime, WallClock};
use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

/// The first byte of every head. What was written before 0.1.0 begins with another one, and is refused by it.
const VERSION: u8 = 2;
/// Version, kind, flags.
const PREFIX: usize = 3;
/// The prefix and the checksum.
const HEADER: usize = PREFIX + size_of::<u64>();

/// About what a record without siblings takes.
const PAYLOAD_BYTES: usize = 64;
/// About what each actor, sibling and covered operation adds.
const ENTRY_BYTES: usize = 24;
/// The fewest bytes of an actor, a dot, a sibling and a covered operation.
const ACTOR_MIN: usize = 10;
const DOT_MIN: usize = 2;
const SIBLING_MIN: usize = 13;
const COVERED_MIN: usize = 12;

/// What a sibling's first byte says of it: which of its parts there are.
mod marks {
    pub const TWINS: u8 = 1;
    pub const EXPIRES: u8 = 2;
    pub const VALUE: u8 = 4;
    pub const RETRY: u8 = 8;
    pub const BEATEN: u8 = 16;
    pub const ALL: u8 = TWINS | EXPIRES | VALUE | RETRY | BEATEN;
}

/// Encodes all of a record but its values.
pub(super) fn encode(record: &Record, body_checksum: u64) -> Bytes {
    let siblings = &record.siblings;
    let actors = Actors::of(record);
    let entries = actors.0.len() + siblings.len() + siblings.covered().len();
    let mut out = Writer(Vec::with_capacity(HEADER + PAYLOAD_BYTES + entries * ENTRY_BYTES));
    let prefix = [VERSION, record.kind as u8, record.flags];
    out.0.extend_from_slice(&prefix);
    out.0.extend_from_slice(&[0; HEADER - PREFIX]);
    out.fixed(record.clock.0);
    out.fixed(body_checksum);
    out.count(actors.0.len());
    for (actor, count) in &actors.0 {
        out.fixed(actor.incarnation);
        out.small(actor.mint.into());
        out.small(*count);
    }
    match record.local {
        None => out.small(0),
        Some(local) => {
            out.small(actors.place(local.actor) + 1);
            out.small(local.minted);
        }
    }
    out.count(siblings.len());
    siblings.iter().for_each(|sibling| encode_sibling(&mut out, sibling, &actors, record.clock));
    out.count(siblings.covered().len());
    for covered in siblings.covered() {
        let first = match covered.cause {
            Cause::Overwritten => None,
            Cause::Outstamped(first) => Some(first),
        };
        encode_operation(&mut out, covered.operation);
        out.small(actors.place(covered.dot.actor) << 1 | u64::from(first.is_some()));
        out.small(covered.dot.counter);
        out.near(covered.stamp.0, record.clock.0);
        first.into_iter().for_each(|first| out.near(first.0, covered.stamp.0));
    }
    let checksum = checksum(&prefix, &out.0[HEADER..]);
    out.0[PREFIX..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Bytes::from(out.0)
}

fn encode_sibling(out: &mut Writer, sibling: &Sibling, actors: &Actors, clock: HybridTime) {
    let dot = |out: &mut Writer, dot: &Dot| {
        out.small(actors.place(dot.actor));
        out.small(dot.counter);
    };
    let mark = |is: bool, mark: u8| if is { mark } else { 0 };
    out.byte(
        mark(!sibling.twins.is_empty(), marks::TWINS)
            | mark(sibling.expires_at.is_some(), marks::EXPIRES)
            | mark(sibling.value().is_some(), marks::VALUE)
            | mark(sibling.retry.is_some(), marks::RETRY)
            | mark(sibling.beaten, marks::BEATEN),
    );
    dot(out, &sibling.dot);
    if !sibling.twins.is_empty() {
        out.count(sibling.twins.len());
        sibling.twins.iter().for_each(|twin| dot(out, twin));
    }
    encode_operation(out, sibling.operation);
    out.near(sibling.stamp.0, clock.0);
    sibling.expires_at.into_iter().for_each(|at| out.small(at.0));
    sibling.retry.into_iter().for_each(|after| out.near(after.0, sibling.stamp.0));
    sibling.value().into_iter().for_each(|value| out.count(value.len()));
}

fn encode_operation(out: &mut Writer, operation: OperationId) {
    out.fixed(operation.session);
    out.small(operation.sequence);
}

/// The actors that a head names, ascending, with what the vector counts of each: none of some.
struct Actors(Vec<(Actor, u64)>);

impl Actors {
    fn of(record: &Record) -> Actors {
        let siblings = &record.siblings;
        let counts = siblings.vector().iter().map(|dot| (dot.actor, dot.counter));
        let mut actors = Actors(counts.collect());
        let others = siblings.covered().iter().map(|covered| covered.dot.actor);
        for actor in others.chain(record.local.map(|local| local.actor)) {
            if let Err(at) = actors.find(actor) {
                actors.0.insert(at, (actor, 0));
            }
        }
        actors
    }

    fn find(&self, actor: Actor) -> Result<usize, usize> {
        self.0.binary_search_by_key(&actor, |(actor, _)| *actor)
    }

    fn place(&self, actor: Actor) -> u64 {
        self.find(actor).expect("the vector covers every sibling's dots") as u64
    }

    fn dot(&self, place: u64, counter: u64) -> Option<Dot> {
        let (actor, _) = self.0.get(usize::try_from(place).ok()?)?;
        Some(Dot::new(*actor, counter))
    }
}

/// Decodes and verifies what [`encode`] made. The checksum speaks only of rot, so everything that the
/// rest of the module relies on is looked at too.
pub(super) fn decode(bytes: &[u8]) -> Result<Head, RecordError> {
    let Some(&[version, kind, flags]) = bytes.first_chunk::<PREFIX>() else {
        return Err(RecordError::Truncated);
    };
    if version != VERSION {
        return Err(RecordError::UnknownVersion(version));
    }
    let kind = Kind::from_byte(kind)?;
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Err(RecordError::Truncated) };
    let stated = header.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let payload = &bytes[HEADER..];
    if checksum(&bytes[..PREFIX], payload) != stated {
        return Err(RecordError::Checksum("head"));
    }
    let mut reader = Reader::new(payload);
    let (head, actors) = parse(&mut reader, kind, flags)
        .filter(|_| reader.is_at_end())
        .ok_or(RecordError::Malformed("its head does not parse"))?;
    ensure(actors.0.is_sorted_by(|a, b| a.0 < b.0), "its actors are out of order")?;
    check_siblings(&head.siblings, &head.vector)?;
    check_beaten(&head.siblings, kind)?;
    let ascending = head.covered.is_sorted_by(|a, b| a.operation < b.operation);
    ensure(ascending, "its covered operations are out of order")?;
    Ok(head)
}

fn checksum(prefix: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(prefix);
    hash.update(payload);
    hash.digest()
}

/// Nothing is looked at but whether it has this form.
fn parse(reader: &mut Reader<'_>, kind: Kind, flags: u8) -> Option<(Head, Actors)> {
    let clock = HybridTime(reader.fixed()?);
    let body_checksum = reader.fixed()?;
    let actors = Actors(reader.list(ACTOR_MIN, |reader| {
        let incarnation = reader.fixed()?;
        let mint = u32::try_from(reader.small()?).ok()?;
        Some((Actor { incarnation, mint }, reader.small()?))
    })?);
    let local = match reader.small()?.checked_sub(1) {
        None => None,
        Some(place) => {
            let Dot { actor, counter } = actors.dot(place, reader.small()?)?;
            Some(Local { actor, minted: counter })
        }
    };
    let siblings = reader.list(SIBLING_MIN, |reader| parse_sibling(reader, &actors, clock))?;
    let covered = reader.list(COVERED_MIN, |reader| {
        let operation = parse_operation(reader)?;
        let place = reader.small()?;
        let dot = actors.dot(place >> 1, reader.small()?)?;
        let stamp = HybridTime(reader.near(clock.0)?);
        let cause = match place & 1 {
            0 => Cause::Overwritten,
            _ => Cause::Outstamped(HybridTime(reader.near(stamp.0)?)),
        };
        Some(Covered { operation, dot, stamp, cause })
    })?;
    let vector: VersionVector =
        actors.0.iter().map(|(actor, count)| Dot::new(*actor, *count)).collect();
    let mut lengths = siblings.iter().map(|sibling| sibling.length.unwrap_or(0));
    let body_length = lengths.try_fold(0u64, u64::checked_add)?;
    let head =
        Head { kind, flags, clock, local, vector, siblings, covered, body_length, body_checksum };
    Some((head, actors))
}

fn parse_sibling(
    reader: &mut Reader<'_>,
    actors: &Actors,
    clock: HybridTime,
) -> Option<SiblingHead> {
    let dot = |reader: &mut Reader<'_>| {
        let place = reader.small()?;
        actors.dot(place, reader.small()?)
    };
    let marks = reader.byte().filter(|marks| marks & !marks::ALL == 0)?;
    let has = |mark| marks & mark != 0;
    let first = dot(reader)?;
    let twins = match has(marks::TWINS) {
        true => reader.list(DOT_MIN, dot).filter(|twins| !twins.is_empty())?,
        false => Vec::new(),
    };
    let operation = parse_operation(reader)?;
    let stamp = HybridTime(reader.near(clock.0)?);
    let expires_at = if has(marks::EXPIRES) { Some(WallClock(reader.small()?)) } else { None };
    let retry = if has(marks::RETRY) { Some(HybridTime(reader.near(stamp.0)?)) } else { None };
    let length = if has(marks::VALUE) { Some(reader.small()?) } else { None };
    let beaten = has(marks::BEATEN);
    Some(SiblingHead { dot: first, twins, operation, stamp, expires_at, length, retry, beaten })
}

fn parse_operation(reader: &mut Reader<'_>) -> Option<OperationId> {
    Some(OperationId { session: reader.fixed()?, sequence: reader.small()? })
}

fn check_siblings(siblings: &[SiblingHead], vector: &VersionVector) -> Result<(), RecordError> {
    let ascending = siblings.is_sorted_by(|a, b| dot_order(&a.dot) < dot_order(&b.dot));
    ensure(ascending, "its siblings are out of order")?;
    for sibling in siblings {
        let dots = || std::iter::once(&sibling.dot).chain(&sibling.twins);
        ensure(dots().all(|dot| vector.covers(dot)), "its vector does not cover its siblings")?;
        let ascending = dots().is_sorted_by(|a, b| dot_order(a) < dot_order(b));
        ensure(ascending, "its dots are out of order")?;
    }
    let mut operations: Vec<_> = siblings.iter().map(|s| s.operation).collect();
    operations.sort_unstable();
    ensure(operations.is_sorted_by(|a, b| a < b), "two siblings have one operation")
}

/// Of an `lww` key one stands, and nothing else is beaten.
fn check_beaten(siblings: &[SiblingHead], kind: Kind) -> Result<(), RecordError> {
    let standing = siblings.iter().filter(|sibling| !sibling.beaten).count();
    let plain = |s: &SiblingHead| !s.beaten && s.retry.is_none();
    match kind {
        Kind::Siblings => ensure(siblings.iter().all(plain), "siblings beat each other")?,
        Kind::Lww => ensure(siblings.is_empty() || standing == 1, "not one of its writes stands")?,
    }
    let in_order = |s: &SiblingHead| s.retry.is_none_or(|after| after <= s.stamp);
    ensure(siblings.iter().all(in_order), "a write was tried after it came")
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), RecordError> {
    if holds { Ok(()) } else { Err(RecordError::Malformed(otherwise)) }
}
