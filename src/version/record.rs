//! A record: all that a node stores and sends of one key, as a head and a body.
//!
//! ```text
//!   head  version u8 │ kind u8 │ flags u8 │ xxh3-64 of the rest │
//!         clock, xxh3-64 of the body, actors with counts, local,
//!         siblings (dots, operation, stamp, expiry, length), covered
//!   body  value │ value │ …              in the order of the dots; slices of it are the values
//! ```
//!
//! A head can be read and verified alone: digests, comparisons and scans of keys never touch a value.
//! Head and body travel between nodes as they lie on disk. The checksum is against rot and torn writes,
//! not against forgers: peers are authenticated elsewhere.

use super::incarnation::{Incarnations, Local, MintsExhausted};
use super::join::Applied;
use super::seen::Seen;
use super::sibling::{Content, Covered, OperationId, Sibling};
use super::siblings::{Mark, Siblings, digest};
use super::vector::{Dot, VersionVector};
use super::write::{Write, Written};
use crate::id::Conflict;
use crate::time::{HybridTime, WallClock};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// Why bytes are no record. Nothing was taken from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too short to be a head.
    #[error("a record's head is cut off")]
    Truncated,
    /// Written by a newer Quorate, or by one from before the first release.
    #[error("a record of version {0}, which this build does not know")]
    UnknownVersion(u8),
    /// Written by a newer Quorate, for a type of bucket that this one lacks.
    #[error("a record of kind {0}, which this build does not know")]
    UnknownKind(u8),
    /// Rot or a torn write: another replica has it whole.
    #[error("the {0} of a record does not match its checksum")]
    Checksum(&'static str),
    /// The checksum fits, and yet it says what no record says.
    #[error("a malformed record: {0}")]
    Malformed(&'static str),
}

/// Which type of bucket a record belongs to. 2 (a CRDT value) and 3 (a linearizable register) are
/// reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Concurrent values stay siblings.
    #[default]
    Siblings = 0,
    /// The latest stamp wins.
    Lww = 1,
}

impl Kind {
    /// The rule by which records of this kind join.
    pub fn conflict(self) -> Conflict {
        match self {
            Kind::Siblings => Conflict::Siblings,
            Kind::Lww => Conflict::Lww,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Result<Kind, RecordError> {
        match byte {
            0 => Ok(Kind::Siblings),
            1 => Ok(Kind::Lww),
            unknown => Err(RecordError::UnknownKind(unknown)),
        }
    }
}

impl From<Conflict> for Kind {
    fn from(conflict: Conflict) -> Kind {
        match conflict {
            Conflict::Siblings => Kind::Siblings,
            Conflict::Lww => Kind::Lww,
        }
    }
}

/// All that a node holds of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The type of its bucket.
    pub kind: Kind,
    /// Reserved: kept as they came.
    pub flags: u8,
    /// The latest stamp that this key has seen, in values that stand or are gone.
    pub clock: HybridTime,
    /// The actor that this node uses for the key.
    pub local: Option<Local>,
    /// The versions.
    pub siblings: Siblings,
}

impl Record {
    /// The record of a key that was never written.
    pub fn new(kind: Kind) -> Record {
        Record { kind, ..Record::default() }
    }

    /// The context of a read that shows all of it.
    pub fn context(&self) -> Seen {
        Seen { time: self.clock, ..self.siblings.context() }
    }

    /// The context of a write's reply; `before` is the one that came with the write.
    pub fn context_after(&self, before: &Seen, operation: OperationId) -> Seen {
        self.siblings.context_after(before, operation)
    }

    /// The stamp above which a coordinator takes its own from the hybrid clock.
    pub fn stamp_after(&self, seen: &Seen) -> HybridTime {
        self.clock.max(seen.time)
    }

    /// Applies a client's write as its coordinator: chooses the actor (see
    /// [`Incarnations::continue_or_mint`]) and remembers what it gave out. After an error nothing changed.
    pub fn write(
        &mut self,
        seen: &Seen,
        write: Write,
        incarnations: &mut Incarnations,
        witnessed: bool,
    ) -> Result<Written, MintsExhausted> {
        let known = [self.siblings.vector(), &seen.vector];
        let actor = match self.siblings.repeated(write.operation, write.stamp) {
            Some(repeated) => {
                self.siblings.repeat(repeated, seen, write.stamp, self.kind.conflict());
                return Ok(repeated);
            }
            None => incarnations.continue_or_mint(self.local.as_ref(), known, witnessed)?,
        };
        self.siblings.prune_covered(write.stamp);
        let written = self.siblings.write(seen, actor, write, self.kind.conflict());
        if let Written::New(dot) = written {
            self.local = Some(Local { actor, minted: dot.counter });
        }
        self.clock = self.clock.max(self.siblings.newest_stamp());
        Ok(written)
    }

    /// Takes in what another node holds of the key. The sender's `local` is its own affair.
    pub fn join(&mut self, other: &Record) -> Joined {
        let is_later = other.clock > self.clock;
        self.clock = self.clock.max(other.clock);
        let (versions, learned) = self.siblings.take_in(&other.siblings, self.kind.conflict());
        Joined { versions, learned: learned || is_later }
    }

    /// What the write under this dot adds, and nothing else that was known here: for a node that must not pass on
    /// what it holds. The dot is the first of its actor, and `seen` what came with the write.
    #[must_use]
    pub fn alone(&self, dot: Dot, seen: &Seen) -> Record {
        let mut siblings = self.siblings.without(|sibling| sibling.dot != dot);
        let stamp = siblings.newest_stamp();
        siblings.covered.retain(|covered| covered.stamp == stamp || seen.names(covered.operation));
        siblings.vector = seen.vector.clone();
        siblings.vector.learn(dot);
        Record { local: None, siblings, clock: stamp, ..self.clone() }
    }

    /// How many bytes its values have.
    pub fn value_bytes(&self) -> usize {
        self.siblings.values().map(|(_, value)| value.len()).sum()
    }

    /// The head, and the body of values.
    pub fn encode(&self) -> (Bytes, Bytes) {
        let mut body = Vec::with_capacity(self.value_bytes());
        self.siblings.values().for_each(|(_, value)| body.extend_from_slice(value));
        (super::head::encode(self, xxh3_64(&body)), Bytes::from(body))
    }

    /// Reads both parts. The values are slices of `body`.
    pub fn decode(head: &[u8], body: Bytes) -> Result<Record, RecordError> {
        Head::decode(head)?.with_body(body)
    }
}

/// What a join of records brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// What it did to the versions.
    pub versions: Applied,
    /// Whether more is known now of the key's past: of an operation that is covered, or of a later stamp.
    pub learned: bool,
}

impl Joined {
    /// Whether there is something new to store. What was learned is, also where no version changed: a
    /// write that came here with a context may have covered an operation of which nobody here had heard,
    /// and a stale copy is then the first that names it. Forget that, and its retry brings the value back.
    pub fn changed(self) -> bool {
        self.versions.changed() || self.learned
    }
}

/// A sibling without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingHead {
    /// See [`Sibling::dot`].
    pub dot: Dot,
    /// See [`Sibling::twins`].
    pub twins: Vec<Dot>,
    /// See [`Sibling::operation`].
    pub operation: OperationId,
    /// See [`Sibling::stamp`].
    pub stamp: HybridTime,
    /// See [`Sibling::expires_at`].
    pub expires_at: Option<WallClock>,
    /// The value's length in bytes; `None` is a tombstone.
    pub length: Option<u64>,
    /// See [`Sibling::retry`].
    pub retry: Option<HybridTime>,
    /// See [`Sibling::beaten`].
    pub beaten: bool,
}

impl SiblingHead {
    /// Whether a reader at `now` is shown this sibling.
    pub fn is_live(&self, now: WallClock) -> bool {
        self.length.is_some() && !self.beaten && self.expires_at.is_none_or(|at| now < at)
    }
}

/// A record without its values, read from the head alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`Record::kind`].
    pub kind: Kind,
    /// See [`Record::flags`].
    pub flags: u8,
    /// See [`Record::clock`].
    pub clock: HybridTime,
    /// See [`Record::local`].
    pub local: Option<Local>,
    /// See [`Siblings::vector`].
    pub vector: VersionVector,
    /// In the order of their dots.
    pub siblings: Vec<SiblingHead>,
    /// See [`Siblings::covered`].
    pub covered: Vec<Covered>,
    /// The length that the body must have, in bytes.
    pub body_length: u64,
    pub(super) body_checksum: u64,
}

impl Head {
    /// Reads and verifies a head.
    pub fn decode(head: &[u8]) -> Result<Head, RecordError> {
        super::head::decode(head)
    }

    /// The same as [`Siblings::digest`] of the whole record.
    pub fn digest(&self) -> u128 {
        let marks = self.siblings.iter().map(|s| Mark {
            dot: &s.dot,
            twins: &s.twins,
            stamp: s.stamp,
            expires_at: s.expires_at,
            tombstone: s.length.is_none(),
            retry: s.retry,
        });
        digest(&self.vector, marks)
    }

    /// Whether a reader at `now` is told that there is nothing.
    pub fn is_deleted(&self, now: WallClock) -> bool {
        !self.siblings.iter().any(|sibling| sibling.is_live(now))
    }

    /// Adds the values; they are slices of `body`.
    pub fn with_body(self, body: Bytes) -> Result<Record, RecordError> {
        if body.len() as u64 != self.body_length || xxh3_64(&body) != self.body_checksum {
            return Err(RecordError::Checksum("body"));
        }
        let mut rest = body;
        // The lengths add up to the body's, which is in memory, so each fits.
        Ok(self.with_values(|length| rest.split_to(length as usize)))
    }

    /// The record as if every value were empty: enough to join it with others, and to see what stands. Never to be
    /// stored.
    pub fn without_values(self) -> Record {
        self.with_values(|_| Bytes::new())
    }

    fn with_values(self, mut value: impl FnMut(u64) -> Bytes) -> Record {
        let siblings = self.siblings.into_iter().map(|s| Sibling {
            dot: s.dot,
            twins: s.twins,
            operation: s.operation,
            stamp: s.stamp,
            expires_at: s.expires_at,
            content: match s.length {
                Some(length) => Content::Value(value(length)),
                None => Content::Tombstone,
            },
            retry: s.retry,
            beaten: s.beaten,
        });
        let siblings =
            Siblings { siblings: siblings.collect(), vector: self.vector, covered: self.covered };
        let (kind, flags, clock, local) = (self.kind, self.flags, self.clock, self.local);
        Record { kind, flags, clock, local, siblings }
    }
}
