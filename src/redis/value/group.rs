//! That a key is a set or a hash, and that it was one: its elements lie in items of their own.
//!
//! ```text
//!   SADD   Group { generation 1 }    elements 1/a 1/b
//!   DEL    Gone  { generation 1 }    a late 1/c is not shown any more
//!   SADD   Group { generation 2 }    elements 2/d
//! ```

use super::expiry::Expiry;
use crate::types::bytes::{Malformed, byte, number, put_number};
use bytes::Bytes;

/// What a key with elements is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis) enum Kind {
    Set,
    Hash,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Group {
    pub(in crate::redis) generation: u32,
    pub(in crate::redis) stamp: u64,
    pub(in crate::redis) expiry: Expiry,
}

impl Group {
    pub(in crate::redis) fn latest(&self) -> u64 {
        self.stamp.max(self.expiry.stamp)
    }

    /// The later generation; of the same one, the later of each.
    pub(in crate::redis) fn join(&mut self, other: Group) {
        match other.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => *self = other,
            std::cmp::Ordering::Equal => {
                self.stamp = self.stamp.max(other.stamp);
                self.expiry = self.expiry.max(other.expiry);
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.generation.into());
        put_number(out, self.stamp.into());
        self.expiry.encode(out);
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Group, Malformed> {
        let (generation, stamp) = (number(from)?, number(from)?);
        Ok(Group { generation, stamp, expiry: Expiry::decode(from)? })
    }
}

/// All groups up to this generation are no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Gone {
    pub(in crate::redis) generation: u32,
    pub(in crate::redis) stamp: u64,
    /// Their elements were erased, as far as whoever erased them saw.
    pub(in crate::redis) swept: bool,
}

impl Gone {
    pub(in crate::redis) fn join(&mut self, other: Gone) {
        let stamp = self.stamp.max(other.stamp);
        match other.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => *self = other,
            std::cmp::Ordering::Equal => self.swept |= other.swept,
        }
        self.stamp = stamp;
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.generation.into());
        put_number(out, self.stamp.into());
        out.push(self.swept.into());
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Gone, Malformed> {
        let (generation, stamp) = (number(from)?, number(from)?);
        match byte(from)? {
            swept @ (0 | 1) => Ok(Gone { generation, stamp, swept: swept == 1 }),
            _ => Err(Malformed),
        }
    }
}
