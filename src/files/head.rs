//! What makes pieces a file.

use super::PIECE_BYTES;
use crate::error::{Error, Result};
use crate::id::Item;
use crate::types::Object;
use crate::version::OperationId;
use bytes::{Buf, BufMut, Bytes};
use xxhash_rust::xxh3::xxh3_64;

pub(super) const BUCKET: &str = "files";
/// Under how many keys all names stand.
pub(super) const SHARDS: u8 = 16;
const VERSION: u8 = 1;
/// As it is written, below.
const BYTES: usize = 1 + 16 + 8 + 4 + 8 + 32;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// When it was put, in ms since 1970, by its writer's clock.
    pub written_at: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The BLAKE3 hash of the whole.
    pub hash: [u8; 32],
}

/// See the module. The later is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    pub about: About,
    /// Whose pieces.
    pub attempt: OperationId,
    pub piece_bytes: u32,
}

/// Where the head of a file is.
pub(super) fn item(name: &str) -> Item {
    let shard = (xxh3_64(name.as_bytes()) % u64::from(SHARDS)) as u8;
    Item {
        bucket: BUCKET.into(),
        key: Bytes::copy_from_slice(&[shard]),
        sort: Bytes::copy_from_slice(name.as_bytes()),
    }
}

impl Head {
    pub fn new(about: About, attempt: OperationId) -> Head {
        Head { about, attempt, piece_bytes: PIECE_BYTES as u32 }
    }

    pub fn pieces(&self) -> u64 {
        self.about.size.div_ceil(u64::from(self.piece_bytes))
    }

    /// How many bytes a piece has.
    pub fn bytes_of(&self, number: u64) -> u64 {
        let piece = u64::from(self.piece_bytes);
        self.about.size.saturating_sub(number * piece).min(piece)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(BYTES);
        out.put_u8(VERSION);
        out.put_u64(self.attempt.session);
        out.put_u64(self.attempt.sequence);
        out.put_u64(self.about.size);
        out.put_u32(self.piece_bytes);
        out.put_u64(self.about.written_at);
        out.put_slice(&self.about.hash);
        out.into()
    }

    fn decode(mut from: &[u8]) -> Option<Head> {
        if from.len() != BYTES || from.get_u8() != VERSION {
            return None;
        }
        let attempt = OperationId { session: from.get_u64(), sequence: from.get_u64() };
        let size = from.get_u64();
        let piece_bytes = Some(from.get_u32()).filter(|bytes| *bytes > 0)?;
        let written_at = from.get_u64();
        let mut hash = [0; 32];
        from.copy_to_slice(&mut hash);
        Some(Head { about: About { written_at, size, hash }, attempt, piece_bytes })
    }

    /// Those that were put at once.
    ///
    /// # Errors
    /// [`Error::Invalid`]: what lies there is none.
    pub fn all(object: &Object) -> Result<Vec<Head>> {
        let heads = object.values.iter().map(|value| {
            Head::decode(value).ok_or_else(|| {
                let why = "bucket `files` holds what is no file of this version: delete it there";
                Error::Invalid(why.into())
            })
        });
        heads.collect()
    }

    /// The one that is shown.
    pub fn shown(heads: &[Head]) -> Option<&Head> {
        heads.iter().max()
    }
}
