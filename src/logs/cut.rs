//! Where a block ends: where its content says so.
//!
//! ```text
//!   the whole file   [ a b c | d e f g | h i ]
//!   its tail again         [ c | d e f g | h i j ]        after one cut the blocks are the same again
//! ```
//!
//! The hash of a line decides, with a chance that grows with its length, once a block is long enough. A cut waits for
//! the next moment, for blocks that do not overlap in time can be counted without being read.
//! (Muthitacharoen et al. 2001, "A low-bandwidth network file system", section 3.1, with lines for bytes.)

use super::line::Line;
use xxhash_rust::xxh3::xxh3_64;

/// No block is cut before it has so many bytes of text.
const LEAST: usize = 32 << 10;
/// On average so many more follow.
const MEAN: u64 = 32 << 10;
/// Then it is cut at the next moment.
const MOST: usize = 96 << 10;
/// Then at once.
const LIMIT: usize = 256 << 10;
/// The same for lines: many that are very short.
const MOST_LINES: usize = 16 << 10;
/// And at once.
pub(crate) const LINES_LIMIT: usize = 32 << 10;

/// The lines of one partition that wait for the end of their block.
#[derive(Default)]
pub(crate) struct Cutter {
    lines: Vec<Line>,
    bytes: usize,
    is_due: bool,
}

impl Cutter {
    /// Takes a line. Returns the block that was finished before it, if one was.
    pub(crate) fn push(&mut self, line: Line) -> Option<Vec<Line>> {
        let is_next = self.lines.last().is_some_and(|last| last.at != line.at);
        let is_long = self.bytes + line.text.len() > LIMIT && !self.lines.is_empty();
        let is_full = is_long || self.lines.len() >= LINES_LIMIT;
        let cut = is_full || (self.is_due && is_next);
        let block = cut.then(|| self.take());
        self.bytes += line.text.len();
        let share = u64::MAX / MEAN;
        let says_so = xxh3_64(line.text.as_bytes()) < share.saturating_mul(line.text.len() as u64);
        self.lines.push(line);
        let is_large = self.bytes >= MOST || self.lines.len() >= MOST_LINES;
        self.is_due |= is_large || (self.bytes >= LEAST && says_so);
        block
    }

    /// What waits, as a block of its own.
    pub(crate) fn take(&mut self) -> Vec<Line> {
        (self.bytes, self.is_due) = (0, false);
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(seed: u64, count: usize) -> Vec<Line> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut at = 0;
        let line = |_| {
            at += i64::from(rng.bool());
            let length = rng.usize(20..200);
            let text = std::iter::repeat_with(|| rng.alphabetic()).take(length).collect();
            let (level, word, by_arrival) = (None, None, false);
            Line { at, position: 0, ordinal: 0, level, word, by_arrival, text }
        };
        (0..count).map(line).collect()
    }

    fn cut(lines: &[Line]) -> Vec<Vec<Line>> {
        let mut cutter = Cutter::default();
        let mut blocks: Vec<_> =
            lines.iter().filter_map(|line| cutter.push(line.clone())).collect();
        blocks.push(cutter.take());
        blocks
    }

    #[test]
    fn blocks_hold_every_line_once_and_are_of_the_size_that_is_wanted() {
        let lines = stream(1, 20_000);
        let blocks = cut(&lines);
        assert_eq!(blocks.concat(), lines);
        let size = |block: &Vec<Line>| block.iter().map(|line| line.text.len()).sum::<usize>();
        let sizes: Vec<_> = blocks[..blocks.len() - 1].iter().map(size).collect();
        assert!(sizes.iter().all(|size| (LEAST..=LIMIT).contains(size)), "{sizes:?}");
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((48 << 10..80 << 10).contains(&mean), "{mean} bytes on average");
    }

    #[test]
    fn a_stream_that_begins_elsewhere_is_soon_cut_at_the_same_places() {
        let lines = stream(2, 20_000);
        let (whole, tail) = (cut(&lines), cut(&lines[3_333..]));
        let shared = tail.iter().filter(|block| whole.contains(block)).count();
        assert!(tail.len() - shared <= 3, "{shared} of {} blocks are the same", tail.len());
    }

    #[test]
    fn blocks_of_lines_in_order_do_not_overlap_in_time() {
        for pair in cut(&stream(3, 20_000)).windows(2) {
            assert!(pair[0].last().unwrap().at < pair[1].first().unwrap().at);
        }
    }

    #[test]
    fn a_moment_with_very_many_lines_is_cut_all_the_same() {
        let mut lines = stream(4, 20_000);
        lines.iter_mut().for_each(|line| line.at = 0);
        assert!(cut(&lines).len() >= 8);
    }
}
