//! The frame: a fixed header that says whose it is, what it is about and how long it is worth anything.
//!
//! All integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | magic `QR` |
//! | 2 | 1 | protocol version |
//! | 3 | 1 | kind |
//! | 4 | 1 | flags |
//! | 5 | 1 | priority class |
//! | 6 | 2 | partition |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | remaining deadline, ms (0: none) |
//! | 16 | 8 | cluster id |
//! | 24 | 8 | placement epoch |
//! | 32 | 8 | sender's node id |
//! | 40 | 8 | sender's lineage |
//! | 48 | 8 | request id |
//! | 56 | 8 | sender's newest durable commit |
//! | 64 | 4 | collection round |
//! | 68 | 4 | under which trial the commit is told; 0: none |
//! | 72 | 8 | xxh3-64 of everything before it and of the body |
//!
//! Deadlines travel as what remains, since clocks differ.

use crate::id::{ClusterId, Epoch, Lineage, NodeId, PartitionId};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The newest protocol this build speaks.
pub const PROTOCOL: u8 = 1;
/// The oldest protocol this build speaks.
pub const PROTOCOL_MIN: u8 = 1;
/// The flag of a Hello that says: only who has the cluster's key is served here.
pub const KEY_WANTED: u8 = 1;
/// The length of a header.
pub const HEADER_BYTES: usize = 80;
/// The longest body that a node accepts: 16 values of the default limit and room beside them.
pub const MAX_BODY_BYTES: usize = 20 << 20;

const MAGIC: [u8; 2] = *b"QR";
const CHECKSUM_AT: usize = 72;

/// What a frame's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Hello`]: the first frame of a connection, both ways.
    Hello = 1,
    /// `message::client::Request`.
    Request = 2,
    /// `message::client::Reply`.
    Reply = 3,
    /// `message::peer::Data`: the data path between nodes.
    Data = 4,
    /// `message::peer::Control`: membership, agreement, witnesses.
    Control = 5,
}

/// In which order frames may be shed when there is too much of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Membership and agreement.
    Control = 0,
    /// What a client waits for.
    #[default]
    Foreground = 1,
    /// Hints, repair and transfers.
    Background = 2,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The protocol version of the body.
    pub version: u8,
    /// What the body is.
    pub kind: Kind,
    /// Of a Hello: [`KEY_WANTED`]. Otherwise sent as zero and ignored on receipt.
    pub flags: u8,
    /// See [`Class`].
    pub class: Class,
    /// The partition that the body is about, or 0.
    pub partition: PartitionId,
    /// How many milliseconds the answer is still worth something; 0 for no deadline.
    pub deadline_ms: u32,
    /// The sender's cluster; 0 from a client or a node that has none yet.
    pub cluster: ClusterId,
    /// The placement epoch that the sender acts under.
    pub epoch: Epoch,
    /// The sender; 0 from a client.
    pub sender: NodeId,
    /// The sender's lineage; 0 from a client.
    pub lineage: Lineage,
    /// Chosen by who asks, repeated by who answers.
    pub request: u64,
    /// The newest commit of the sender that would survive a power cut.
    pub commit: u64,
    /// The collection round under which the record in it was read from a store; 0: nobody knows.
    pub round: u32,
    /// The trial under which the commit is told, by a sender that nobody has confirmed to be no old copy; 0: none.
    pub trial: u32,
}

impl Header {
    /// A header of `kind` with everything else zero.
    pub fn new(kind: Kind) -> Header {
        Header {
            version: PROTOCOL,
            kind,
            flags: 0,
            class: Class::Foreground,
            partition: PartitionId(0),
            deadline_ms: 0,
            cluster: ClusterId(0),
            epoch: Epoch(0),
            sender: NodeId(0),
            lineage: Lineage(0),
            request: 0,
            commit: 0,
            round: 0,
            trial: 0,
        }
    }

    /// Appends a whole frame to `out`: this header, and the body that `body` appends.
    pub fn encode_into(&self, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.resize(start + HEADER_BYTES, 0);
        body(out);
        let length = u32::try_from(out.len() - start - HEADER_BYTES)
            .expect("a body is far below four gigabytes");
        let head = &mut out[start..start + HEADER_BYTES];
        head[0..2].copy_from_slice(&MAGIC);
        head[2] = self.version;
        head[3] = self.kind as u8;
        head[4] = self.flags;
        head[5] = self.class as u8;
        head[6..8].copy_from_slice(&self.partition.0.to_le_bytes());
        head[8..12].copy_from_slice(&length.to_le_bytes());
        head[12..16].copy_from_slice(&self.deadline_ms.to_le_bytes());
        head[16..24].copy_from_slice(&self.cluster.0.to_le_bytes());
        head[24..32].copy_from_slice(&self.epoch.0.to_le_bytes());
        head[32..40].copy_from_slice(&self.sender.0.to_le_bytes());
        head[40..48].copy_from_slice(&self.lineage.0.to_le_bytes());
        head[48..56].copy_from_slice(&self.request.to_le_bytes());
        head[56..64].copy_from_slice(&self.commit.to_le_bytes());
        head[64..68].copy_from_slice(&self.round.to_le_bytes());
        head[68..72].copy_from_slice(&self.trial.to_le_bytes());
        let sum = checksum(&out[start..start + CHECKSUM_AT], &out[start + HEADER_BYTES..]);
        out[start + CHECKSUM_AT..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    }

    /// A whole frame with a serialised body.
    pub fn frame<T: Serialize>(&self, message: &T) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + 128);
        self.encode_into(&mut out, |out| super::encode_into(out, message));
        out
    }
}

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    hasher.update(body);
    hasher.digest()
}

/// A frame that arrived whole and unharmed. The body is not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The fixed part.
    pub header: Header,
    /// The rest.
    pub body: Bytes,
}

/// What makes a connection not worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another protocol on the port.
    #[error("not a Quorate frame")]
    Magic,
    /// A protocol that this build does not speak.
    #[error("protocol version {0} is not spoken here")]
    Version(u8),
    /// A kind or class that does not exist.
    #[error("unknown kind or class {0}")]
    Kind(u8),
    /// Longer than the limit.
    #[error("a body of {0} bytes is over the limit")]
    TooLong(usize),
    /// Damaged on the way.
    #[error("the checksum does not match")]
    Checksum,
}

/// What [`split`] found at the start of a buffer.
#[derive(Debug)]
pub enum Split {
    /// A frame, taken off the buffer.
    Frame(Frame),
    /// Not enough yet: this many bytes in all make the next step possible.
    Need(usize),
}

/// Takes the first frame off `buffer`, if it is whole. Copies nothing.
///
/// # Errors
/// [`FrameError`]: the stream cannot be trusted any more; close it.
pub fn split(buffer: &mut BytesMut, max_body: usize) -> Result<Split, FrameError> {
    let known = buffer.len().min(2);
    if buffer[..known] != MAGIC[..known] {
        return Err(FrameError::Magic);
    }
    let Some(head) = buffer.first_chunk::<HEADER_BYTES>() else {
        return Ok(Split::Need(HEADER_BYTES));
    };
    if !(PROTOCOL_MIN..=PROTOCOL).contains(&head[2]) {
        return Err(FrameError::Version(head[2]));
    }
    let kind = match head[3] {
        1 => Kind::Hello,
        2 => Kind::Request,
        3 => Kind::Reply,
        4 => Kind::Data,
        5 => Kind::Control,
        other => return Err(FrameError::Kind(other)),
    };
    let class = match head[5] {
        0 => Class::Control,
        1 => Class::Foreground,
        2 => Class::Background,
        other => return Err(FrameError::Kind(other)),
    };
    let length = u32_at(head, 8) as usize;
    if length > max_body {
        return Err(FrameError::TooLong(length));
    }
    let whole = HEADER_BYTES + length;
    if buffer.len() < whole {
        return Ok(Split::Need(whole));
    }
    if checksum(&buffer[..CHECKSUM_AT], &buffer[HEADER_BYTES..whole]) != u64_at(head, CHECKSUM_AT) {
        return Err(FrameError::Checksum);
    }
    let header = Header {
        version: head[2],
        kind,
        flags: head[4],
        class,
        partition: PartitionId(u16::from_le_bytes([head[6], head[7]])),
        deadline_ms: u32_at(head, 12),
        cluster: ClusterId(u64_at(head, 16)),
        epoch: Epoch(u64_at(head, 24)),
        sender: NodeId(u64_at(head, 32)),
        lineage: Lineage(u64_at(head, 40)),
        request: u64_at(head, 48),
        commit: u64_at(head, 56),
        round: u32_at(head, 64),
        trial: u32_at(head, 68),
    };
    let body = buffer.split_to(whole).freeze().slice(HEADER_BYTES..);
    Ok(Split::Frame(Frame { header, body }))
}

fn u32_at(head: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

fn u64_at(head: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&head[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// A client: requests go out, replies come back on the same connection.
    Client,
    /// A node: frames go one way; the other node opens a connection of its own.
    Node,
}

/// The first frame of a connection, both ways: which protocols each side speaks. The highest common one
/// is used. The dialler need not wait for the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest protocol that the sender speaks.
    pub min: u8,
    /// The newest protocol that the sender speaks.
    pub max: u8,
    /// What the sender is.
    pub role: Role,
    /// The sender's name, for logs; at most 64 bytes.
    pub name: String,
}

impl Hello {
    /// What this build says.
    pub fn new(role: Role, name: &str) -> Hello {
        Hello { min: PROTOCOL_MIN, max: PROTOCOL, role, name: name.into() }
    }

    /// The protocol that both sides speak, if there is one.
    pub fn common(&self) -> Option<u8> {
        let version = self.max.min(PROTOCOL);
        (version >= self.min.max(PROTOCOL_MIN)).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(body: &[u8]) -> (Header, Vec<u8>) {
        let header = Header {
            partition: PartitionId(77),
            deadline_ms: 1_500,
            cluster: ClusterId(1),
            epoch: Epoch(2),
            sender: NodeId(3),
            lineage: Lineage(4),
            request: 5,
            commit: 6,
            round: 7,
            trial: 8,
            class: Class::Background,
            ..Header::new(Kind::Data)
        };
        let mut out = Vec::new();
        header.encode_into(&mut out, |out| out.extend_from_slice(body));
        (header, out)
    }

    fn first(bytes: &[u8]) -> Result<Split, FrameError> {
        split(&mut BytesMut::from(bytes), 1024)
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_was(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (header, bytes) = sample(&body);
            let Ok(Split::Frame(frame)) = first(&bytes) else { panic!("not a frame") };
            prop_assert_eq!(frame.header, header);
            prop_assert_eq!(&frame.body[..], &body[..]);
        }

        #[test]
        fn half_a_frame_asks_for_the_rest(cut in 0usize..100) {
            let (_, bytes) = sample(&[9; 20]);
            let need = matches!(first(&bytes[..cut.min(99)]), Ok(Split::Need(n)) if n > cut.min(99));
            prop_assert!(need);
        }

        #[test]
        fn a_flipped_bit_is_never_a_frame(at in 0usize..800) {
            let (_, mut bytes) = sample(&[9; 20]);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(!matches!(first(&bytes), Ok(Split::Frame(_))));
        }

        #[test]
        fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = first(&bytes);
        }
    }

    #[test]
    fn the_bytes_of_a_header_are_golden() {
        let (_, bytes) = sample(b"x");
        assert_eq!(&bytes[..16], b"QR\x01\x04\0\x02\x4d\0\x01\0\0\0\xdc\x05\0\0");
        assert_eq!(bytes.len(), HEADER_BYTES + 1);
    }

    #[test]
    fn another_protocol_is_noticed_at_its_first_byte() {
        assert_eq!(first(b"G").err(), Some(FrameError::Magic));
        assert_eq!(first(b"QX").err(), Some(FrameError::Magic));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_arrives() {
        let (_, mut bytes) = sample(b"");
        bytes[8..12].copy_from_slice(&1025u32.to_le_bytes());
        assert_eq!(first(&bytes).err(), Some(FrameError::TooLong(1025)));
    }
}
