//! When a key expires: who said so last is right.

use crate::types::bytes::{Malformed, byte, number, put_number};
use bytes::Bytes;

/// A date, and when it was set. The later stamp wins; of equal ones the later date, and a date over none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis) struct Expiry {
    /// When it was said.
    pub(in crate::redis) stamp: u64,
    /// In ms since 1970; `None`: never.
    pub(in crate::redis) at: Option<u64>,
}

impl Expiry {
    pub(in crate::redis) fn is_over(self, now: u64) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        put_number(out, self.stamp.into());
        out.push(self.at.is_some().into());
        if let Some(at) = self.at {
            put_number(out, at.into());
        }
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Expiry, Malformed> {
        let stamp = number(from)?;
        let at = match byte(from)? {
            0 => None,
            1 => Some(number(from)?),
            _ => return Err(Malformed),
        };
        Ok(Expiry { stamp, at })
    }
}
