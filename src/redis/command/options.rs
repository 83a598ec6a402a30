//! Words that many commands share: numbers, dates, and the errors about them.

use super::super::number::{float, integer};
use super::super::view::Stop;
use bytes::Bytes;

pub(in crate::redis) const SYNTAX: &str = "ERR syntax error";
pub(in crate::redis) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub(in crate::redis) const NOT_FLOAT: &str = "ERR value is not a valid float";

pub(in crate::redis) fn to_integer(text: &[u8]) -> Result<i64, Stop> {
    integer(text).ok_or(Stop::from(NOT_INTEGER))
}

pub(in crate::redis) fn to_float(text: &[u8]) -> Result<f64, Stop> {
    float(text).ok_or(Stop::from(NOT_FLOAT))
}

pub(in crate::redis) fn is(word: &Bytes, name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

pub(in crate::redis) fn arity(name: &str) -> Stop {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// A date from seconds or milliseconds, from now or from 1970.
#[derive(Clone, Copy)]
pub(in crate::redis) struct When {
    pub(in crate::redis) seconds: bool,
    pub(in crate::redis) from_now: bool,
}

impl When {
    /// In ms since 1970, which may be over.
    pub(in crate::redis) fn read(self, text: &[u8], now: u64, name: &str) -> Result<i64, Stop> {
        let number = to_integer(text)?;
        let invalid = || Stop::from(format!("ERR invalid expire time in '{name}' command"));
        let ms = if self.seconds { number.checked_mul(1_000) } else { Some(number) };
        let ms = ms.ok_or_else(invalid)?;
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let at = if self.from_now { ms.checked_add(now) } else { Some(ms) };
        at.ok_or_else(invalid)
    }

    /// The same, where what is not positive is an error.
    pub(in crate::redis) fn positive(self, text: &[u8], now: u64, name: &str) -> Result<u64, Stop> {
        if to_integer(text)? <= 0 {
            return Err(format!("ERR invalid expire time in '{name}' command").into());
        }
        Ok(self.read(text, now, name)?.unsigned_abs())
    }

    /// `EX`, `PX`, `EXAT` or `PXAT`.
    pub(in crate::redis) fn option(word: &Bytes) -> Option<When> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"ex" => When { seconds: true, from_now: true },
            b"px" => When { seconds: false, from_now: true },
            b"exat" => When { seconds: true, from_now: false },
            b"pxat" => When { seconds: false, from_now: false },
            _ => return None,
        })
    }
}
