//! Bytes and packets: one layout for datagrams and for push-pull.
//!
//! ```text
//!   [version u8][checksum u32][header][message][claim][claim] … to the last byte
//! ```
//!
//! Each part is one rmp-serde value, and the claims stand back to back without a count: a peer cannot
//! announce more than it sends, encoded rumors are appended as they are, and a byte that belongs to
//! nothing spoils the packet. A packet is understood whole or not at all.

use super::member::{Facts, Identity, Incarnation, State, is_reachable};
use super::suspicion::Accusers;
use crate::id::{Lineage, NodeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The layout of today. Another version is junk.
const VERSION: u8 = 1;
/// Version and checksum.
const PREFIX: usize = 5;
/// The most members that a table holds.
pub(super) const MAX_MEMBERS: usize = 4_096;
/// The longest push-pull state, in bytes: a driver reads no more than this from a peer.
pub const MAX_PUSH_PULL: usize = 2 << 20;
/// A small claim takes more room in memory than on the wire, so its count is bounded too.
const MAX_CLAIMS: usize = 2 * MAX_MEMBERS;
/// Nesting beyond this is refused. Nothing here is recursive.
const MAX_DEPTH: usize = 32;

/// Who speaks. Without a name: it is on every packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) from: NodeId,
    /// With these, a peer that holds something older or newer about the sender can tell it so.
    pub(super) incarnation: Incarnation,
    pub(super) version: u64,
    pub(super) address: SocketAddr,
}

/// What is wanted. Variant names are one byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// Are you there? The target is named, for another process may have its address by now.
    #[serde(rename = "p")]
    Ping { sequence: u32, target: NodeId },
    /// Please ping in my place.
    #[serde(rename = "r")]
    PingReq { sequence: u32, target: NodeId },
    /// The target is there; from itself, or from who was asked.
    #[serde(rename = "a")]
    Ack { sequence: u32, target: NodeId },
    /// I was asked, I heard you, and the target does not answer me either.
    #[serde(rename = "n")]
    Nack { sequence: u32, target: NodeId },
    /// Only claims.
    #[serde(rename = "g")]
    Gossip,
    /// A whole state; please answer with yours.
    #[serde(rename = "q")]
    Pull,
    /// A whole state, as the answer.
    #[serde(rename = "o")]
    Push,
}

/// All that is known about one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) identity: Identity,
    pub(super) incarnation: Incarnation,
    pub(super) state: State,
    pub(super) accusers: Accusers,
    pub(super) facts: Facts,
    pub(super) version: u64,
}

/// Something said about one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Claim {
    /// Everything.
    #[serde(rename = "r")]
    Record(Record),
    /// Only that it is suspect, dead or gone, for those who know who it is.
    #[serde(rename = "v")]
    Verdict { about: NodeId, incarnation: Incarnation, state: State, accusers: Accusers },
    /// Only its facts. They are those of one life of its data: another may go by the same incarnation.
    #[serde(rename = "f")]
    Facts { about: NodeId, lineage: Lineage, incarnation: Incarnation, version: u64, facts: Facts },
    /// Told to the member alone: I do not know you.
    #[serde(rename = "w")]
    Stranger { about: NodeId },
}

impl Claim {
    pub(super) fn about(&self) -> NodeId {
        match self {
            Claim::Record(record) => record.identity.id,
            Claim::Verdict { about, .. }
            | Claim::Facts { about, .. }
            | Claim::Stranger { about } => *about,
        }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        match self {
            Claim::Record(Record { incarnation, .. })
            | Claim::Verdict { incarnation, .. }
            | Claim::Facts { incarnation, .. } => *incarnation,
            Claim::Stranger { .. } => Incarnation(0),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Claim::Record(record) => record.identity.is_sound(),
            other => other.about() != NodeId(0),
        }
    }
}

/// A packet, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) header: Header,
    pub(super) message: Message,
    pub(super) claims: Vec<Claim>,
}

/// One value as bytes.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("a plain value always fits into memory")
}

/// Begins a packet. Append claims, then [`seal`] it.
pub(super) fn open(header: &Header, message: Message) -> Vec<u8> {
    let mut packet = vec![VERSION, 0, 0, 0, 0];
    packet.extend(encode(header));
    packet.extend(encode(&message));
    packet
}

/// Ends a packet.
pub(super) fn seal(mut packet: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(&packet[PREFIX..]);
    packet[1..PREFIX].copy_from_slice(&checksum);
    packet
}

/// Not against malice: the envelope's business. Against a flipped bit that still parses.
fn checksum(body: &[u8]) -> [u8; 4] {
    (xxhash_rust::xxh3::xxh3_64(body) as u32).to_le_bytes()
}

/// Understands a packet whole, or not at all.
pub(super) fn decode(packet: &[u8]) -> Option<Packet> {
    let (prefix, mut body) = packet.split_at_checked(PREFIX)?;
    if packet.len() > MAX_PUSH_PULL || prefix[0] != VERSION || prefix[1..] != checksum(body) {
        return None;
    }
    let header: Header = next(&mut body)?;
    let message = next(&mut body)?;
    let mut claims = Vec::new();
    while !body.is_empty() {
        if claims.len() == MAX_CLAIMS {
            return None;
        }
        let claim: Claim = next(&mut body)?;
        claims.push(claim);
    }
    let sound = header.from != NodeId(0)
        && is_reachable(&header.address)
        && claims.iter().all(Claim::is_sound);
    sound.then_some(Packet { header, message, claims })
}

/// The next value of a row, and the row moves past it.
fn next<T: DeserializeOwned>(row: &mut &[u8]) -> Option<T> {
    let mut decoder = rmp_serde::Deserializer::new(row);
    decoder.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut decoder).ok()
}
