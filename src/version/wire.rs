//! Reading MessagePack that a disk or a peer hands over: bounded in depth, in allocation, in length.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// How deep a record or token may nest. Ours need five levels; the rest is room to grow.
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
    let mut reader = rmp_serde::Deserializer::new(bytes);
    reader.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut reader).ok()?;
    reader.get_ref().is_empty().then_some(value)
}

/// Encodes one of our own values.
pub(super) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("numbers and lists always encode into memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::VersionVector;

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&(1u8, 2u8));
        assert_eq!(decode::<(u8, u8)>(&bytes), Some((1, 2)));
        bytes.push(0);
        assert_eq!(decode::<(u8, u8)>(&bytes), None);
    }

    #[test]
    fn a_list_that_announces_four_billion_items_costs_what_arrived() {
        // array32 with 2^32 - 1 elements, and nothing behind it.
        assert!(decode::<VersionVector>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
