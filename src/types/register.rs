//! A value of which the latest counts.
//!
//! A stamp is later than every stamp that its writer has read, so what was read is overwritten wherever it is met; of two
//! written at once the later clock wins, and of equal stamps the larger value (Shapiro et al. 2011, LWW register).

use super::bytes::{Malformed, bytes, number, put_bytes, put_number};
use super::refusal::Refused;
use bytes::Bytes;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Register {
    /// In ms since 1970, or later than what was read.
    pub(super) stamp: u64,
    /// What was assigned.
    pub(super) value: Bytes,
}

impl Register {
    /// What was assigned.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// Replaces `read`, at `now` in ms since 1970.
    ///
    /// # Errors
    /// [`Refused::OutOfRange`]: what was read has the last stamp that there is.
    pub fn assign(read: Option<&Register>, value: Bytes, now: u64) -> Result<Register, Refused> {
        let after = match read {
            Some(read) => read.stamp.checked_add(1).ok_or(Refused::OutOfRange)?,
            None => 0,
        };
        Ok(Register { stamp: now.max(after), value })
    }

    /// Takes in another version of it.
    pub fn join(&mut self, other: Register) {
        if other > *self {
            *self = other;
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.stamp.into());
        put_bytes(out, &self.value);
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Register, Malformed> {
        Ok(Register { stamp: number(from)?, value: bytes(from)? })
    }
}
