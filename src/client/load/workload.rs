//! The mixes of reads and writes, by their names.

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
}

impl Workload {
    /// How many of a hundred requests are reads.
    pub(super) fn reads(self) -> u8 {
        match self {
            Workload::Put => 0,
            Workload::Get => 100,
            Workload::Mixed { reads } => reads,
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
            "d" | "e" | "f" => Err(Error::Invalid(format!(
                "workload `{name}` needs inserts, scans or read-modify-write as YCSB defines them, which this load does not do yet: use put, get, mixed, a, b or c"
            ))),
            _ => Err(Error::Invalid(format!("workload `{name}`: use put, get, mixed, a, b or c"))),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_are_ycsb_and_the_dishonest_ones_are_refused() {
        let check = |name: &str, reads: Option<u8>| {
            assert_eq!(name.parse::<Workload>().ok().map(Workload::reads), reads, "{name}");
        };
        check("put", Some(0));
        check("get", Some(100));
        check("mixed", Some(50));
        check("a", Some(50));
        check("b", Some(95));
        check("c", Some(100));
        for name in ["d", "e", "f", "", "x"] {
            assert!(matches!(name.parse::<Workload>(), Err(Error::Invalid(_))), "{name}");
        }
    }
}
