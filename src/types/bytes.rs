//! Numbers and strings as bytes, in one way each: equal values have equal bytes, and what is read back was written so.

use bytes::{Buf, Bytes};

/// The bytes are no value of ours: cut off, of another version, or not as we write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Writes `number` in groups of seven bits, the lowest first (LEB128).
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes its length, then the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u128);
    out.extend_from_slice(bytes);
}

pub(crate) fn byte(from: &mut Bytes) -> Result<u8, Malformed> {
    if from.is_empty() { Err(Malformed) } else { Ok(from.get_u8()) }
}

pub(crate) fn wide(from: &mut Bytes) -> Result<u128, Malformed> {
    let (mut number, mut shift) = (0_u128, 0);
    loop {
        let next = byte(from)?;
        let bits = u128::from(next & 0x7f);
        // Beyond 128 bits, or a zero that need not be there.
        if shift > 126 || (shift == 126 && bits > 3) || (next == 0 && shift > 0) {
            return Err(Malformed);
        }
        number |= bits << shift;
        if next < 0x80 {
            return Ok(number);
        }
        shift += 7;
    }
}

pub(crate) fn number<T: TryFrom<u128>>(from: &mut Bytes) -> Result<T, Malformed> {
    T::try_from(wide(from)?).map_err(|_| Malformed)
}

pub(crate) fn bytes(from: &mut Bytes) -> Result<Bytes, Malformed> {
    let length: usize = number(from)?;
    if length > from.len() { Err(Malformed) } else { Ok(from.split_to(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(number: u128, small in 0_u128..300) {
            for number in [number, small, number >> 64, u128::MAX] {
                let mut out = Vec::new();
                put_number(&mut out, number);
                let mut from = Bytes::from(out);
                prop_assert_eq!(wide(&mut from), Ok(number));
                prop_assert!(from.is_empty());
            }
        }
    }
}
