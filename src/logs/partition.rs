//! Which slice of all logs a line belongs to: its source, its hour, and how bad it is.
//!
//! ```text
//!   web-1, 14:00 │ error │ warn │ rest │        a query for the errors of an hour reads one of these
//!   web-1, 15:00 │ error │ warn │ rest │        a hot source is somewhere else on the ring every hour
//!   db,    14:00 │ error │ warn │ rest │
//! ```
//!
//! This is *partitioning*: what a query must look at. Where a partition's replicas live is *placement*: the ring places
//! its name like any key.

use super::level::Level;
pub(crate) use super::parse::Nanos;
use bytes::Bytes;

/// How long a window is.
pub const WINDOW_SECONDS: i64 = 3600;
/// The same in nanoseconds.
pub(crate) const WINDOW: Nanos = WINDOW_SECONDS * 1_000_000_000;
/// The longest name of a source, in bytes.
pub const SOURCE_LIMIT: usize = 256;

/// Levels that are asked for together live together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// ERROR and FATAL.
    Error,
    /// WARN.
    Warn,
    /// The others, and what has no level.
    Rest,
}

impl Class {
    pub(crate) const ALL: [Class; 3] = [Class::Error, Class::Warn, Class::Rest];

    pub(crate) fn of(level: Option<Level>) -> Class {
        match level {
            Some(Level::Error | Level::Fatal) => Class::Error,
            Some(Level::Warn) => Class::Warn,
            _ => Class::Rest,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Class::Error => "error",
            Class::Warn => "warn",
            Class::Rest => "rest",
        }
    }

    pub(crate) fn tag(self) -> u8 {
        match self {
            Class::Error => b'e',
            Class::Warn => b'w',
            Class::Rest => b'r',
        }
    }

    pub(crate) fn of_tag(tag: u8) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.tag() == tag)
    }
}

/// The beginning of the window that holds a moment.
pub(crate) fn window_of(at: Nanos) -> Nanos {
    at.div_euclid(WINDOW).saturating_mul(WINDOW)
}

/// See the module's picture. Ordered by source, then time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub(crate) source: String,
    /// Where its window begins.
    pub(crate) window: Nanos,
    pub(crate) class: Class,
}

impl Partition {
    pub(crate) fn of(source: &str, at: Nanos, level: Option<Level>) -> Partition {
        Partition { source: source.into(), window: window_of(at), class: Class::of(level) }
    }

    /// The partition key of its blocks: what is placed.
    pub(crate) fn key(&self) -> Bytes {
        format!("{}/{}/{}", self.class.as_str(), self.window / 1_000_000_000, self.source).into()
    }
}

/// A moment as bytes in the same order.
pub(crate) fn ordered(at: Nanos) -> [u8; 8] {
    ((at as u64) ^ (1 << 63)).to_be_bytes()
}

/// The moment again.
pub(crate) fn from_ordered(bytes: [u8; 8]) -> Nanos {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ordered_as_bytes_too() {
        let moments = [i64::MIN, -WINDOW - 1, -1, 0, 1, WINDOW, i64::MAX];
        for pair in moments.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        assert!(moments.iter().all(|at| from_ordered(ordered(*at)) == *at));
    }

    #[test]
    fn a_window_begins_at_or_before_its_moments_also_before_1970() {
        for (at, begin) in [(0, 0), (WINDOW - 1, 0), (WINDOW, WINDOW), (-1, -WINDOW)] {
            assert_eq!(window_of(at), begin);
        }
    }

    #[test]
    fn classes_keep_what_is_asked_for_together() {
        let classes = Level::ALL.map(|level| Class::of(Some(level)).as_str());
        assert_eq!(classes, ["rest", "rest", "rest", "warn", "error", "error"]);
        assert_eq!(Class::of(None), Class::Rest);
        assert!(Class::ALL.into_iter().all(|class| Class::of_tag(class.tag()) == Some(class)));
    }
}
