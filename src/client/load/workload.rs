//! What clients do, by its name. The letters are those of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB",
//! 2010, section 4), but that keys are chosen evenly where it has Zipf's law.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Only writes.
    Put,
    /// Only reads, of keys that were written before the clock starts.
    Get,
    /// Reads and writes; this many of a hundred are reads.
    Mixed {
        /// 0 to 100.
        reads: u8,
    },
    /// Of a hundred requests five add a key and 95 read, mostly what was added last.
    Latest,
    /// Of a hundred requests five add an item and 95 read a range of up to 100 items.
    Ranges,
    /// Half reads; half read a key and write it back, and count once for both.
    Modify,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    ReadLatest,
    ReadRange,
    Write,
    Insert,
    Modify,
}

impl Workload {
    /// Whether keys are read that must be there before the clock starts.
    pub(super) fn reads(self) -> bool {
        !matches!(self, Workload::Put | Workload::Mixed { reads: 0 })
    }

    /// What comes next; `chance`: 0 to 99, evenly.
    pub(super) fn act(self, chance: u8) -> Act {
        match self {
            Workload::Put => Act::Write,
            Workload::Get => Act::Read,
            Workload::Mixed { reads } if chance < reads => Act::Read,
            Workload::Mixed { .. } => Act::Write,
            Workload::Latest if chance < 95 => Act::ReadLatest,
            Workload::Ranges if chance < 95 => Act::ReadRange,
            Workload::Latest | Workload::Ranges => Act::Insert,
            Workload::Modify if chance < 50 => Act::Read,
            Workload::Modify => Act::Modify,
        }
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "put" => Ok(Workload::Put),
            "get" | "c" => Ok(Workload::Get),
            "mixed" | "a" => Ok(Workload::Mixed { reads: 50 }),
            "b" => Ok(Workload::Mixed { reads: 95 }),
            "d" => Ok(Workload::Latest),
            "e" => Ok(Workload::Ranges),
            "f" => Ok(Workload::Modify),
            _ => Err(Error::Invalid(format!(
                "workload `{name}`: use put, get, mixed, or one of YCSB's: a, b, c, d, e or f"
            ))),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Workload::Put => f.write_str("put"),
            Workload::Get => f.write_str("get"),
            Workload::Mixed { reads: 50 } => f.write_str("mixed"),
            Workload::Mixed { reads } => {
                write!(f, "mixed {reads}:{}", 100u8.saturating_sub(*reads))
            }
            Workload::Latest => f.write_str("read latest"),
            Workload::Ranges => f.write_str("short ranges"),
            Workload::Modify => f.write_str("read, modify, write"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_mean_what_ycsb_means_by_them() {
        use Act::{Insert, Modify, Read, ReadLatest, ReadRange, Write};
        for (name, shares) in [
            ("put", &[(Write, 100)][..]),
            ("get", &[(Read, 100)]),
            ("mixed", &[(Read, 50), (Write, 50)]),
            ("a", &[(Read, 50), (Write, 50)]),
            ("b", &[(Read, 95), (Write, 5)]),
            ("c", &[(Read, 100)]),
            ("d", &[(ReadLatest, 95), (Insert, 5)]),
            ("e", &[(ReadRange, 95), (Insert, 5)]),
            ("f", &[(Read, 50), (Modify, 50)]),
        ] {
            let workload: Workload = name.parse().expect("a name");
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for chance in 0..100 {
                *counts.entry(format!("{:?}", workload.act(chance))).or_default() += 1;
            }
            let wanted = shares.iter().map(|(act, share)| (format!("{act:?}"), *share)).collect();
            assert_eq!(counts, wanted, "{name}");
        }
        for name in ["", "x", "A"] {
            assert!(matches!(name.parse::<Workload>(), Err(Error::Invalid(_))), "{name}");
        }
    }
}
