//! What is known of a block before it is read.
//!
//! ```text
//!   sort keys of a partition     s · first moment · id      the summary: little, scanned
//!                                b · id                     the block: read if it can hold an answer
//! ```
//!
//! A block is written before its summary: what a summary speaks of is there.

use super::block::BlockId;
use super::columns::{Columns, Malformed, Reader};
use super::level::Level;
use super::line::Line;
use super::partition::{Nanos, from_ordered, ordered};
use bytes::Bytes;

/// The sort keys of summaries begin with this.
const SUMMARY: u8 = b's';
/// Those of blocks.
const BLOCK: u8 = b'b';
const VERSION: u8 = 1;

/// See the module's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) id: BlockId,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    /// Lines without a level, then those of each level.
    pub(crate) counts: [u32; 7],
    /// Bytes of all texts.
    pub(crate) text_bytes: u64,
}

impl Summary {
    /// Of sorted lines, of which there are some.
    pub(crate) fn of(id: BlockId, lines: &[Line]) -> Summary {
        let mut counts = [0; 7];
        lines.iter().for_each(|line| counts[slot(line.level)] += 1);
        let text_bytes = lines.iter().map(|line| line.text.len() as u64).sum();
        let first = lines.first().map_or(0, |line| line.at);
        let last = lines.last().map_or(0, |line| line.at);
        Summary { id, first, last, counts, text_bytes }
    }

    /// Lines of a level, or without one.
    pub(crate) fn count(&self, level: Option<Level>) -> u64 {
        self.counts[slot(level)].into()
    }

    pub(crate) fn sort_key(&self) -> Bytes {
        [&[SUMMARY][..], &ordered(self.first), &self.id].concat().into()
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut value = Columns::default();
        value.0.push(VERSION);
        value.number(self.last.wrapping_sub(self.first) as u64);
        self.counts.iter().for_each(|count| value.number((*count).into()));
        value.number(self.text_bytes);
        value.0.into()
    }

    pub(crate) fn decode(sort_key: &[u8], value: &[u8]) -> Result<Summary, Malformed> {
        let mut key = Reader(sort_key);
        if key.byte()? != SUMMARY {
            return Err(Malformed);
        }
        let first = from_ordered(key.bytes(8)?.try_into().map_err(|_| Malformed)?);
        let id = key.bytes(16)?.try_into().map_err(|_| Malformed)?;
        let mut reader = Reader(value);
        if reader.byte()? != VERSION {
            return Err(Malformed);
        }
        let last = first.wrapping_add(reader.number()? as i64);
        let mut counts = [0; 7];
        for count in &mut counts {
            *count = reader.small()?;
        }
        Ok(Summary { id, first, last, counts, text_bytes: reader.number()? })
    }
}

/// The sort keys of all summaries: from, to.
pub(crate) fn all_summaries() -> (Bytes, Bytes) {
    (Bytes::from_static(&[SUMMARY]), Bytes::from_static(&[SUMMARY + 1]))
}

/// The sort key of a block.
pub(crate) fn block_key(id: &BlockId) -> Bytes {
    [&[BLOCK][..], id].concat().into()
}

fn slot(level: Option<Level>) -> usize {
    level.map_or(0, |level| level as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_as_it_was_written_and_junk_is_none() {
        let summary = Summary {
            id: [7; 16],
            first: -5,
            last: 1 << 60,
            counts: [1, 0, 3, 4, u32::MAX, 6, 0],
            text_bytes: 12_345,
        };
        let (key, value) = (summary.sort_key(), summary.encode());
        assert_eq!(Summary::decode(&key, &value), Ok(summary.clone()));
        let (from, to) = all_summaries();
        assert!(from <= key && key < to && !(from..to).contains(&block_key(&summary.id)));
        for end in 0..value.len() {
            assert_eq!(Summary::decode(&key, &value[..end]), Err(Malformed));
        }
        assert_eq!(Summary::decode(&key[..20], &value), Err(Malformed));
        assert_eq!(Summary::decode(&block_key(&[7; 16]), &value), Err(Malformed));
    }
}
