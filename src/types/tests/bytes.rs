//! What is written is read back; everything else is an error, and never a panic.

use super::kit::{counter, field, hll, register};
use crate::error::Error;
use crate::id::DataType;
use crate::types::tagged::{Joined, Present, check};
use crate::types::{Counter, Field, Hll, Register};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;

/// Also of each cut of it, and with one byte more.
fn comes_back<V: Joined + PartialEq + Debug>(value: &V) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    let read = V::of_bytes(bytes.clone());
    prop_assert_eq!(read.as_ref(), Ok(value));
    for length in (0..bytes.len()).rev().take(200) {
        prop_assert!(V::of_bytes(bytes.slice(..length)).is_err(), "cut at {}", length);
    }
    let more = [&bytes[..], &[0]].concat();
    prop_assert!(V::of_bytes(more.into()).is_err());
    Ok(())
}

/// What can be read was written so.
fn is_refused_or_canonical<V: Joined>(junk: &Bytes) -> Result<(), TestCaseError> {
    if let Ok(value) = V::of_bytes(junk.clone()) {
        prop_assert_eq!(&value.to_bytes(), junk);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_value_comes_back(
        counter in counter(),
        field in field(),
        register in register(),
        hll in hll(),
    ) {
        comes_back(&counter)?;
        comes_back(&field)?;
        comes_back(&register)?;
        comes_back(&hll)?;
        comes_back(&Present)?;
    }

    #[test]
    fn junk_is_refused_or_written_back_as_it_came(
        tagged: bool,
        kind in 0_u8..7,
        junk in vec(prop_oneof![0_u8..6, any::<u8>()], 0..60),
    ) {
        let head = [0xd7, b'q', 1, kind];
        let junk: Bytes = [if tagged { &head[..] } else { &[] }, &junk].concat().into();
        is_refused_or_canonical::<Counter>(&junk)?;
        is_refused_or_canonical::<Present>(&junk)?;
        is_refused_or_canonical::<Field>(&junk)?;
        is_refused_or_canonical::<Register>(&junk)?;
        is_refused_or_canonical::<Hll>(&junk)?;
        for kind in DataType::EVERY {
            let _ = check(kind, "b", b"", &junk);
        }
    }
}

#[test]
fn a_length_that_is_only_announced_is_not_believed() {
    let huge = [&[0xd7, b'q', 1, 1][..], &[0xff, 0xff, 0xff, 0xff, 0x0f][..]].concat();
    assert!(Counter::of_bytes(huge.into()).is_err());
}

#[test]
fn one_sibling_that_cannot_be_read_is_an_error_and_not_left_out() {
    let good = Counter::default().to_bytes();
    let siblings = vec![good, Bytes::from_static(b"5")];
    assert!(matches!(Counter::of_siblings(siblings), Err(Error::Invalid(_))));
    assert_eq!(Counter::of_siblings(Vec::new()), Ok(None));
}

#[test]
fn a_plain_put_into_a_typed_bucket_is_told_what_to_do() {
    let check = |kind, sort: &[u8], value: &Bytes| check(kind, "b", sort, value);
    let (one, present) = (Counter::default().to_bytes(), Present.to_bytes());
    assert_eq!(check(DataType::Counter, b"", &one), Ok(()));
    assert_eq!(check(DataType::Set, b"member", &present), Ok(()));
    // Of another type, at a place that the type does not have, and no value of ours at all.
    assert!(check(DataType::Set, b"", &one).is_err());
    assert!(check(DataType::Counter, b"sort", &one).is_err());
    for kind in DataType::EVERY {
        for plain in ["", "5", "NaN", "{\"increment\": 1}", "\u{5d7}q"] {
            let refused = check(kind, b"", &Bytes::from_static(plain.as_bytes()));
            let told = refused.expect_err(plain).to_string();
            assert!(told.contains("/v1/types/b/KEY") && told.contains(kind.name()), "{told}");
        }
    }
}
