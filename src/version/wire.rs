//! Reading MessagePack that others hand over: bounded in depth, in allocation, in length.

use rmp_serde::decode::{Error, ReadSlice};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// How deep a token may nest. Ours need five levels; the rest is room to grow.
const MAX_DEPTH: usize = 32;

/// Reads a list without trusting the length that it announces: memory grows with what arrived.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
}

/// Decodes one value that must fill `bytes` to the end.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut reader).ok()?;
    at_end(&mut reader).then_some(value)
}

/// Whether a reader has come to the end of what it reads. A reader by reference, which copies byte strings once
/// and not twice, does not tell how far it came; so it is asked for one more value, of which at most the first
/// byte is looked at.
pub(crate) fn at_end<'de, R: ReadSlice<'de>>(reader: &mut rmp_serde::Deserializer<R>) -> bool {
    struct Nothing;

    impl Visitor<'_> for Nothing {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the end")
        }
    }

    matches!(reader.deserialize_any(Nothing), Err(Error::InvalidMarkerRead(_)))
}

/// Appends one of our own values.
pub(super) fn encode_into<T: serde::Serialize>(out: &mut Vec<u8>, value: &T) {
    value
        .serialize(&mut rmp_serde::Serializer::new(out))
        .expect("numbers and lists always encode into memory");
}

/// Encodes one of our own values.
#[cfg(test)]
pub(super) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::VersionVector;

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&(1u8, 2u8));
        assert_eq!(decode::<(u8, u8)>(&bytes), Some((1, 2)));
        // Whatever a byte would begin, and however little of that is there.
        for first in 0..=u8::MAX {
            for more in [&[first][..], &[first, 0], &[first, 0, 0, 0, 0]] {
                let bytes = [&bytes, more].concat();
                assert_eq!(decode::<(u8, u8)>(&bytes), None, "{more:?}");
            }
        }
        bytes.pop();
        assert_eq!(decode::<(u8, u8)>(&bytes), None);
    }

    #[test]
    fn a_list_that_announces_four_billion_items_costs_what_arrived() {
        // array32 with 2^32 - 1 elements, and nothing behind it.
        assert!(decode::<VersionVector>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
