//! N, R, W: how many distinct replicas must have answered before the caller hears anything.
//!
//! `N` owners hold each partition. A write is acknowledged when `W` of these *slots* hold it durably, a
//! read is answered when `R` have spoken. With R + W > N, and no stand-ins, the two sets meet.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How many replicas a request asks for, in the field's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// One slot, or whoever stands in for it.
    Any,
    /// One slot.
    One,
    /// Two slots.
    Two,
    /// Three slots.
    Three,
    /// More than half of the slots.
    #[default]
    Quorum,
    /// Every owner itself; no stand-ins.
    All,
}

impl Consistency {
    /// All of them, weakest first.
    pub const EVERY: [Consistency; 6] = [
        Consistency::Any,
        Consistency::One,
        Consistency::Two,
        Consistency::Three,
        Consistency::Quorum,
        Consistency::All,
    ];

    /// How many of `n` slots this asks for. May exceed `n`: the caller refuses that.
    pub fn required(self, n: usize) -> usize {
        match self {
            Consistency::Any | Consistency::One => 1,
            Consistency::Two => 2,
            Consistency::Three => 3,
            Consistency::Quorum => n / 2 + 1,
            Consistency::All => n,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::Any => "any",
            Consistency::One => "one",
            Consistency::Two => "two",
            Consistency::Three => "three",
            Consistency::Quorum => "quorum",
            Consistency::All => "all",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Consistency {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Consistency::EVERY
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(s))
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "consistency `{s}`: use any, one, two, three, quorum or all"
                ))
            })
    }
}

/// What one request says of its quorum; what it leaves open the bucket decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumRequest {
    /// A level by name.
    pub consistency: Option<Consistency>,
    /// An explicit count; beats the level.
    pub count: Option<u8>,
    /// Owners only: no fallback may stand in.
    pub strict: bool,
}

/// A quorum made up of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// How many owners a partition has.
    pub n: usize,
    /// How many distinct slots must answer.
    pub required: usize,
    /// Whether only the owners themselves may.
    pub strict: bool,
}

impl QuorumRequest {
    /// Resolves the request for a bucket of `n` replicas whose own default count is `default`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the count is 0 or above `n`; nothing changed.
    pub fn resolve(self, n: u8, default: Option<u8>) -> Result<Quorum> {
        let n = usize::from(n);
        let required = match (self.count, self.consistency) {
            (Some(count), _) => usize::from(count),
            (None, Some(level)) => level.required(n),
            (None, None) => default.map_or(Consistency::Quorum.required(n), usize::from),
        };
        if required == 0 || required > n {
            return Err(Error::Invalid(format!(
                "{required} replicas asked for, the bucket has {n}: use 1..={n}"
            )));
        }
        let all = self.count.is_none() && self.consistency == Some(Consistency::All);
        Ok(Quorum { n, required, strict: self.strict || all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counts() {
        let check = |level: Consistency, n: u8, expected: Option<usize>| {
            let request = QuorumRequest { consistency: Some(level), ..Default::default() };
            assert_eq!(request.resolve(n, None).ok().map(|q| q.required), expected, "{level} {n}");
        };
        check(Consistency::Any, 3, Some(1));
        check(Consistency::One, 1, Some(1));
        check(Consistency::Two, 3, Some(2));
        check(Consistency::Two, 1, None);
        check(Consistency::Three, 2, None);
        check(Consistency::Quorum, 1, Some(1));
        check(Consistency::Quorum, 3, Some(2));
        check(Consistency::Quorum, 4, Some(3));
        check(Consistency::Quorum, 5, Some(3));
        check(Consistency::All, 3, Some(3));
    }

    #[test]
    fn all_is_strict_and_counts_beat_levels() {
        let all = QuorumRequest { consistency: Some(Consistency::All), ..Default::default() };
        assert!(all.resolve(3, None).is_ok_and(|q| q.strict && q.required == 3));
        let count = QuorumRequest { count: Some(1), ..all };
        assert!(count.resolve(3, None).is_ok_and(|q| !q.strict && q.required == 1));
        let zero = QuorumRequest { count: Some(0), ..Default::default() };
        assert!(zero.resolve(3, None).is_err());
        let four = QuorumRequest { count: Some(4), ..Default::default() };
        assert!(four.resolve(3, None).is_err());
    }

    #[test]
    fn the_bucket_decides_what_the_request_leaves_open() {
        let open = QuorumRequest::default();
        assert!(open.resolve(3, Some(1)).is_ok_and(|q| q.required == 1));
        assert!(open.resolve(3, None).is_ok_and(|q| q.required == 2));
    }
}
