//! The bytes of a record's head: actors are named once, and everything else points at them.

use super::incarnation::Local;
use super::record::{Head, Kind, Record, RecordError, SiblingHead};
use super::sibling::{Cause, Covered, OperationId};
use super::vector::{Actor, Dot, VersionVector, dot_order};
use super::wire;
use crate::time::{HybridTime, WallClock};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// The first byte of every head.
const VERSION: u8 = 1;
/// Version, kind, flags.
const PREFIX: usize = 3;
/// The prefix and the checksum.
const HEADER: usize = PREFIX + size_of::<u64>();

/// About what the payload of a record without actors and siblings takes.
const PAYLOAD_BYTES: usize = 32;
/// About what each actor, sibling and covered operation adds.
const ENTRY_BYTES: usize = 48;

/// A dot: the place of its actor in the list, and the number.
type Place = (u32, u64);

#[derive(Serialize, Deserialize)]
struct Payload {
    clock: HybridTime,
    local: Option<Place>,
    /// Ascending. A count of zero names an actor of which the vector knows nothing.
    #[serde(deserialize_with = "wire::outer_list")]
    actors: Vec<(u64, u32, u64)>,
    #[serde(deserialize_with = "wire::outer_list")]
    siblings: Vec<PayloadSibling>,
    #[serde(deserialize_with = "wire::outer_list")]
    covered: Vec<PayloadCovered>,
    body_checksum: u64,
}

#[derive(Serialize, Deserialize)]
struct PayloadSibling {
    dot: Place,
    #[serde(deserialize_with = "wire::list")]
    twins: Vec<Place>,
    operation: OperationId,
    stamp: HybridTime,
    expires_at: Option<WallClock>,
    length: Option<u64>,
    /// This and the next are missing in heads that were written before they came.
    #[serde(default)]
    retry: Option<HybridTime>,
    #[serde(default)]
    beaten: bool,
}

#[derive(Serialize, Deserialize)]
struct PayloadCovered {
    operation: OperationId,
    dot: Place,
    stamp: HybridTime,
    /// The stamp with which it lost; none: it was overwritten.
    outstamped_at: Option<HybridTime>,
}

/// Encodes all of a record but its values.
pub(super) fn encode(record: &Record, body_checksum: u64) -> Bytes {
    let siblings = &record.siblings;
    let mut counts: BTreeMap<Actor, u64> =
        siblings.vector().iter().map(|dot| (dot.actor, dot.counter)).collect();
    let others = siblings.covered().iter().map(|covered| covered.dot.actor);
    for actor in others.chain(record.local.map(|local| local.actor)) {
        counts.entry(actor).or_default();
    }
    let order: Vec<Actor> = counts.keys().copied().collect();
    let place = |dot: &Dot| -> Place {
        let at = order.binary_search(&dot.actor).expect("the vector covers every sibling's dots");
        (u32::try_from(at).expect("a key has fewer than four billion actors"), dot.counter)
    };
    let payload = Payload {
        clock: record.clock,
        local: record.local.map(|local| place(&Dot::new(local.actor, local.minted))),
        actors: counts.iter().map(|(actor, n)| (actor.incarnation, actor.mint, *n)).collect(),
        siblings: siblings
            .iter()
            .map(|s| PayloadSibling {
                dot: place(&s.dot),
                twins: s.twins.iter().map(place).collect(),
                operation: s.operation,
                stamp: s.stamp,
                expires_at: s.expires_at,
                length: s.value().map(|value| value.len() as u64),
                retry: s.retry,
                beaten: s.beaten,
            })
            .collect(),
        covered: siblings
            .covered()
            .iter()
            .map(|c| PayloadCovered {
                operation: c.operation,
                dot: place(&c.dot),
                stamp: c.stamp,
                outstamped_at: match c.cause {
                    Cause::Outstamped(first) => Some(first),
                    Cause::Overwritten => None,
                },
            })
            .collect(),
        body_checksum,
    };
    let prefix = [VERSION, record.kind as u8, record.flags];
    let entries = payload.siblings.len() + payload.covered.len() + payload.actors.len();
    let mut bytes = Vec::with_capacity(HEADER + PAYLOAD_BYTES + entries * ENTRY_BYTES);
    bytes.extend_from_slice(&prefix);
    bytes.extend_from_slice(&[0; HEADER - PREFIX]);
    wire::encode_into(&mut bytes, &payload);
    let checksum = checksum(&prefix, &bytes[HEADER..]);
    bytes[PREFIX..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Bytes::from(bytes)
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
    let payload: Payload =
        wire::decode(payload).ok_or(RecordError::Malformed("its head does not parse"))?;
    open(kind, flags, payload)
}

fn checksum(prefix: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(prefix);
    hash.update(payload);
    hash.digest()
}

fn open(kind: Kind, flags: u8, payload: Payload) -> Result<Head, RecordError> {
    let actors: Vec<Actor> =
        payload.actors.iter().map(|&(incarnation, mint, _)| Actor { incarnation, mint }).collect();
    ensure(actors.is_sorted_by(|a, b| a < b), "its actors are out of order")?;
    let vector: VersionVector = actors
        .iter()
        .zip(&payload.actors)
        .map(|(actor, entry)| Dot::new(*actor, entry.2))
        .collect();
    let dot = |(at, counter): Place| -> Result<Dot, RecordError> {
        let actor =
            actors.get(at as usize).ok_or(RecordError::Malformed("it names no such actor"))?;
        Ok(Dot::new(*actor, counter))
    };
    let mut siblings = Vec::with_capacity(payload.siblings.len());
    for sibling in payload.siblings {
        siblings.push(SiblingHead {
            dot: dot(sibling.dot)?,
            twins: sibling.twins.into_iter().map(dot).collect::<Result<_, _>>()?,
            operation: sibling.operation,
            stamp: sibling.stamp,
            expires_at: sibling.expires_at,
            length: sibling.length,
            retry: sibling.retry,
            beaten: sibling.beaten,
        });
    }
    check_siblings(&siblings, &vector)?;
    check_beaten(&siblings, kind)?;
    let mut covered = Vec::with_capacity(payload.covered.len());
    for entry in payload.covered {
        covered.push(Covered {
            operation: entry.operation,
            dot: dot(entry.dot)?,
            stamp: entry.stamp,
            cause: entry.outstamped_at.map_or(Cause::Overwritten, Cause::Outstamped),
        });
    }
    let ascending = covered.is_sorted_by(|a, b| a.operation < b.operation);
    ensure(ascending, "its covered operations are out of order")?;
    let local = payload.local.map(dot).transpose()?;
    let body_length = siblings
        .iter()
        .try_fold(0u64, |sum, s| sum.checked_add(s.length.unwrap_or(0)))
        .ok_or(RecordError::Malformed("its lengths overflow"))?;
    Ok(Head {
        kind,
        flags,
        clock: payload.clock,
        local: local.map(|dot| Local { actor: dot.actor, minted: dot.counter }),
        vector,
        siblings,
        covered,
        body_length,
        body_checksum: payload.body_checksum,
    })
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
