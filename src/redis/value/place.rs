//! Where a key and its elements lie in the bucket.

use super::group::Kind;
use bytes::Bytes;

/// The longest key, in bytes.
pub(in crate::redis) const KEY_LIMIT: usize = 1_024;
/// What an element's sort key has before its member: kind and generation.
const HEAD: usize = 5;
/// The longest member of a set, or field of a hash, in bytes.
pub(in crate::redis) const MEMBER_LIMIT: usize = 1_024 - HEAD;

/// The partition key of a key: itself, but that the empty one, and such as begin with a zero, have a zero before.
pub(in crate::redis) fn partition_key(key: &Bytes) -> Bytes {
    if key.first().is_some_and(|first| *first != 0) {
        return key.clone();
    }
    [&[0][..], key.as_ref()].concat().into()
}

/// The key that has this partition key.
pub(in crate::redis) fn key_of(partition_key: &Bytes) -> Bytes {
    match partition_key.first() {
        Some(0) => partition_key.slice(1..),
        _ => partition_key.clone(),
    }
}

/// The elements of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis) struct Element {
    pub(in crate::redis) kind: Kind,
    pub(in crate::redis) generation: u32,
}

impl Element {
    /// The sort key of one of them; with an empty member, the first of all.
    pub(in crate::redis) fn sort(self, member: &[u8]) -> Bytes {
        let kind = match self.kind {
            Kind::Set => 1,
            Kind::Hash => 2,
        };
        [&[kind][..], &self.generation.to_be_bytes()[..], member].concat().into()
    }

    /// The first sort key behind all of them.
    pub(in crate::redis) fn end(self) -> Bytes {
        match self.generation.checked_add(1) {
            Some(generation) => Element { generation, ..self }.sort(&[]),
            None => Bytes::from(vec![if self.kind == Kind::Set { 2 } else { 3 }]),
        }
    }

    /// What a sort key stands for.
    pub(in crate::redis) fn of(sort: &Bytes) -> Option<(Element, Bytes)> {
        let kind = match sort.first()? {
            1 => Kind::Set,
            2 => Kind::Hash,
            _ => return None,
        };
        let generation = u32::from_be_bytes(sort.get(1..HEAD)?.try_into().ok()?);
        Some((Element { kind, generation }, sort.slice(HEAD..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_partition_key_of_its_own() {
        let keys =
            ["", "a", "\0", "\0\0", "\0a", "a\0"].map(|key| Bytes::from_static(key.as_bytes()));
        let mut there: Vec<Bytes> = keys.iter().map(partition_key).collect();
        assert!(there.iter().all(|key| !key.is_empty()));
        assert!(there.iter().map(key_of).eq(keys));
        there.sort();
        there.dedup();
        assert_eq!(there.len(), 6);
    }

    #[test]
    fn elements_lie_between_their_first_and_their_end() {
        for generation in [0, 1, u32::MAX] {
            for kind in [Kind::Set, Kind::Hash] {
                let element = Element { kind, generation };
                let sort = element.sort(b"\xff\xff");
                assert!(element.sort(b"") <= sort && sort < element.end());
                assert_eq!(Element::of(&sort), Some((element, Bytes::from_static(b"\xff\xff"))));
            }
        }
    }
}
