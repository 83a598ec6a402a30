//! Which of equal lines a line is, in its stream.
//!
//! Kept are the lines of the last so many: of two generations the older one is forgotten when the younger is full, and
//! what is met again is young again. A line that comes back, with the same moment, after more than that is taken for the
//! one that was sent before.

use super::partition::Nanos;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many different lines a generation holds: about 32 MiB.
const GENERATION: usize = 1 << 20;

/// See the module.
#[derive(Default)]
pub(crate) struct Ordinals {
    young: HashMap<u64, u32>,
    old: HashMap<u64, u32>,
}

impl Ordinals {
    /// From 0 for the first.
    pub(crate) fn next(&mut self, at: Nanos, text: &str) -> u32 {
        let line = xxh3_64_with_seed(text.as_bytes(), at as u64);
        let seen = self.young.get(&line).or_else(|| self.old.get(&line));
        let ordinal = seen.map_or(0, |last| last.saturating_add(1));
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(line, ordinal);
        ordinal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_are_counted_and_others_are_not() {
        let mut ordinals = Ordinals::default();
        let lines = [(1, "a"), (1, "a"), (2, "a"), (1, "b"), (1, "a")];
        assert_eq!(lines.map(|(at, text)| ordinals.next(at, text)), [0, 1, 0, 0, 2]);
    }
}
