//! Some hundred lines of one partition, sorted and compressed: what travels and rests.
//!
//! ```text
//!   raw      version · count · moments (distances) · positions* · ordinals* · levels · words* · by arrival* · texts
//!   stored   length of raw · zstd(raw)                                     *: only where they are not as expected
//!   id       the first 16 bytes of blake3(raw): the same lines are the same block, whoever sends them
//! ```

use super::columns::{Columns, Malformed, Reader};
use super::cut::LINES_LIMIT;
use super::level::Level;
use super::line::Line;
use super::partition::Nanos;
use bytes::Bytes;

/// What a raw block begins with.
const VERSION: u8 = 1;
/// The longest raw block that is believed, in bytes.
const RAW_LIMIT: usize = 4 << 20;
/// Where zstd's cost and gain meet for text.
const ZSTD_LEVEL: i32 = 3;

/// The name of a block.
pub(crate) type BlockId = [u8; 16];

/// A block as it is stored.
pub(crate) struct Packed {
    pub(crate) id: BlockId,
    pub(crate) stored: Bytes,
}

/// Packs lines, which are sorted by it.
pub(crate) fn pack(lines: &mut [Line]) -> Packed {
    lines.sort_by(|a, b| a.order().cmp(&b.order()));
    let raw = encode(lines);
    let mut stored = Columns::default();
    stored.number(raw.len() as u64);
    let compressed = zstd::bulk::compress(&raw, ZSTD_LEVEL).expect("memory to memory");
    stored.0.extend_from_slice(&compressed);
    let mut id = BlockId::default();
    id.copy_from_slice(&blake3::hash(&raw).as_bytes()[..16]);
    Packed { id, stored: stored.0.into() }
}

/// The lines of a stored block.
///
/// # Errors
/// [`Malformed`]: it is no block, or one of a later version.
pub(crate) fn unpack(stored: &[u8]) -> Result<Vec<Line>, Malformed> {
    let mut reader = Reader(stored);
    let length = reader.small()? as usize;
    if length > RAW_LIMIT {
        return Err(Malformed);
    }
    let raw = zstd::bulk::decompress(reader.0, length).map_err(|_| Malformed)?;
    decode(&raw)
}

fn encode(lines: &[Line]) -> Vec<u8> {
    let texts: usize = lines.iter().map(|line| line.text.len()).sum();
    let mut raw = Columns(Vec::with_capacity(texts + 8 * lines.len() + 64));
    raw.0.push(VERSION);
    raw.number(lines.len() as u64);
    let mut before = 0;
    for line in lines {
        raw.signed(line.at.wrapping_sub(before));
        before = line.at;
    }
    let position = |i: usize| expected_position(lines, i);
    let unexpected = |(i, line): (usize, &Line)| {
        (line.position != position(i)).then_some((i, line.position.into()))
    };
    raw.exceptions(lines.iter().enumerate().filter_map(unexpected));
    let repeated =
        |(i, line): (usize, &Line)| (line.ordinal > 0).then_some((i, line.ordinal.into()));
    raw.exceptions(lines.iter().enumerate().filter_map(repeated));
    raw.0.extend(lines.iter().map(|line| line.level.map_or(0, |level| level as u8 + 1)));
    let mut words: Vec<&str> = lines.iter().filter_map(|line| line.word.as_deref()).collect();
    words.sort_unstable();
    words.dedup();
    raw.number(words.len() as u64);
    words.iter().for_each(|word| raw.text(word));
    let worded = |(i, line): (usize, &Line)| {
        let word = words.binary_search(&line.word.as_deref()?).ok()?;
        Some((i, word as u64))
    };
    raw.exceptions(lines.iter().enumerate().filter_map(worded));
    let arrived = |(i, line): (usize, &Line)| line.by_arrival.then_some((i, 0));
    raw.exceptions(lines.iter().enumerate().filter_map(arrived));
    lines.iter().for_each(|line| raw.number(line.text.len() as u64));
    lines.iter().for_each(|line| raw.0.extend_from_slice(line.text.as_bytes()));
    raw.0
}

fn decode(raw: &[u8]) -> Result<Vec<Line>, Malformed> {
    let mut reader = Reader(raw);
    if reader.byte()? != VERSION {
        return Err(Malformed);
    }
    let count = reader.count()?;
    if count > LINES_LIMIT {
        return Err(Malformed);
    }
    let mut lines: Vec<Line> = Vec::with_capacity(count);
    let mut before: Nanos = 0;
    for _ in 0..count {
        before = before.wrapping_add(reader.signed()?);
        lines.push(Line {
            at: before,
            position: 0,
            ordinal: 0,
            level: None,
            word: None,
            by_arrival: false,
            text: String::new(),
        });
    }
    let mut positions = vec![None; count];
    reader.exceptions(count, |i, position| {
        positions[i] = Some(u32::try_from(position).map_err(|_| Malformed)?);
        Ok(())
    })?;
    for i in 0..count {
        lines[i].position = positions[i].unwrap_or_else(|| expected_position(&lines, i));
    }
    reader.exceptions(count, |i, ordinal| {
        lines[i].ordinal = u32::try_from(ordinal).map_err(|_| Malformed)?;
        Ok(())
    })?;
    for (line, level) in lines.iter_mut().zip(reader.bytes(count)?) {
        line.level = match level {
            0 => None,
            level => Some(*Level::ALL.get(usize::from(level - 1)).ok_or(Malformed)?),
        };
    }
    let words = (0..reader.count()?).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
    reader.exceptions(count, |i, word| {
        let word = usize::try_from(word).ok().and_then(|word| words.get(word));
        lines[i].word = Some((*word.ok_or(Malformed)?).to_owned());
        Ok(())
    })?;
    reader.exceptions(count, |i, _| {
        lines[i].by_arrival = true;
        Ok(())
    })?;
    let lengths = (0..count).map(|_| reader.small()).collect::<Result<Vec<_>, _>>()?;
    for (line, length) in lines.iter_mut().zip(lengths) {
        let text = std::str::from_utf8(reader.bytes(length as usize)?).map_err(|_| Malformed)?;
        line.text = text.to_owned();
    }
    Ok(lines)
}

/// One after another from 0 for each moment.
fn expected_position(lines: &[Line], i: usize) -> u32 {
    match i.checked_sub(1).map(|before| &lines[before]) {
        Some(before) if before.at == lines[i].at => before.position.saturating_add(1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_line() -> impl Strategy<Value = Line> {
        let moment = prop_oneof![0..4i64, any::<i64>()];
        let word = proptest::option::of(prop_oneof![Just("notice"), Just("crit")]);
        let level = proptest::option::of(0..6usize);
        let position = prop_oneof![0..3u32, any::<u32>()];
        let parts = (moment, position, 0..3u32, level, word, any::<bool>(), ".{0,40}");
        parts.prop_map(|(at, position, ordinal, level, word, by_arrival, text)| Line {
            at,
            position,
            ordinal,
            level: level.map(|level| Level::ALL[level]),
            word: word.map(str::to_owned),
            by_arrival,
            text,
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_in_order(mut lines in proptest::collection::vec(any_line(), 0..60)) {
            let packed = pack(&mut lines);
            prop_assert_eq!(unpack(&packed.stored).unwrap(), lines);
        }

        #[test]
        fn the_same_lines_are_the_same_block_in_whatever_order_they_come(
            lines in proptest::collection::vec(any_line(), 0..30), seed in any::<u64>()
        ) {
            let mut shuffled = lines.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let orders = |lines: &[Line]| lines.windows(2).all(|two| two[0].order() != two[1].order());
            let (one, other) = (pack(&mut lines.clone()), pack(&mut shuffled));
            prop_assume!(orders(&shuffled));
            prop_assert_eq!(one.id, other.id);
        }

        #[test]
        fn junk_is_no_block_and_harms_nobody(
            mut lines in proptest::collection::vec(any_line(), 1..20),
            at in any::<proptest::sample::Index>(), byte in any::<u8>()
        ) {
            lines.sort_by(|a, b| a.order().cmp(&b.order()));
            let mut raw = encode(&lines);
            let at = at.index(raw.len());
            raw[at] = byte;
            let _ = decode(&raw);
            let _ = decode(&raw[..at]);
            let _ = unpack(&raw);
        }
    }

    #[test]
    fn a_block_that_claims_to_be_huge_is_not_believed() {
        let mut stored = Columns::default();
        stored.number(u64::from(u32::MAX));
        stored.0.extend_from_slice(&zstd::bulk::compress(b"small", 3).unwrap());
        assert_eq!(unpack(&stored.0), Err(Malformed));
    }
}
