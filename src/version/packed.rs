//! Numbers in few bytes, as the heads of records have them.
//!
//! ```text
//!   fixed    eight bytes, little-endian           what is random: incarnations, sessions, checksums
//!   small    seven bits a byte, lowest first      what is mostly small (LEB128); in one way only
//!   near     the difference to another number, zigzag, small     stamps of one key
//! ```

/// Appends numbers.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn fixed(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn small(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// `number`, to be read by somebody who knows `other`.
    pub fn near(&mut self, number: u64, other: u64) {
        let difference = number.wrapping_sub(other) as i64;
        self.small(((difference << 1) ^ (difference >> 63)) as u64);
    }

    pub fn count(&mut self, count: usize) {
        self.small(count as u64);
    }
}

/// Takes them out again. Nothing is believed before its bytes are there.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn fixed(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }

    pub fn small(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // No bit is lost, and no number ends in a byte that adds nothing.
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub fn near(&mut self, other: u64) -> Option<u64> {
        let zigzag = self.small()?;
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Some(other.wrapping_add(difference as u64))
    }

    /// A list, each of whose items takes `smallest` bytes at least: there is no more room made than those may fill.
    pub fn list<T>(
        &mut self,
        smallest: usize,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.small()?).ok()?;
        if count > self.0.len() / smallest {
            return None;
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(small in any::<u64>(), by in 0..64u32, fixed in any::<u64>()) {
            let small = small >> by;
            let mut writer = Writer::default();
            writer.small(small);
            writer.near(fixed, small);
            writer.near(small, fixed);
            writer.fixed(fixed);
            let mut reader = Reader::new(&writer.0);
            prop_assert_eq!(reader.small(), Some(small));
            prop_assert_eq!(reader.near(small), Some(fixed));
            prop_assert_eq!(reader.near(fixed), Some(small));
            prop_assert_eq!(reader.fixed(), Some(fixed));
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn a_number_is_written_in_one_way(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Some(number) = reader.small() {
                let mut writer = Writer::default();
                writer.small(number);
                prop_assert_eq!(&writer.0, &bytes[..bytes.len() - reader.0.len()]);
            }
        }
    }

    #[test]
    fn a_list_that_announces_four_billion_items_gets_no_room() {
        let mut writer = Writer::default();
        writer.small(1 << 32);
        writer.fixed(7);
        assert!(Reader::new(&writer.0).list(1, Reader::byte).is_none());
    }
}
