//! Records as bytes: what goes in comes out, and nothing else comes out.

use super::kit::{actor, dot, operation, operations, put, write_at};
use crate::time::{HybridTime, WallClock};
use crate::version::{
    Cause, Conflict, Content, Covered, Head, Kind, Local, Record, RecordError, Seen, Sibling,
    Siblings, Write, Written,
};
use bytes::Bytes;
use fastrand::Rng;
use proptest::prelude::*;

/// A record with everything in it: values, an empty one, a tombstone, an expiry, twins, covered
/// operations, one of them by an actor that the vector does not know.
fn full() -> Record {
    let mut siblings = Siblings::new();
    put(&mut siblings, 1, &Seen::default(), 1);
    let first = siblings.context();
    put(&mut siblings, 1, &first, 2);
    put(&mut siblings, 2, &Seen::default(), 3);
    let write = |sequence, content| Write {
        content,
        expires_at: Some(WallClock(99)),
        tried_since: None,
        ..write_at(sequence, 5_000)
    };
    let beyond = Seen { beyond: vec![(operation(77), dot(40, 7))], ..Seen::default() };
    let empty = write(4, Content::Value(Bytes::new()));
    siblings.write(&beyond, actor(3), empty, Conflict::Siblings);
    siblings.write(&Seen::default(), actor(3), write(5, Content::Tombstone), Conflict::Siblings);
    let mut twin = Siblings::new();
    put(&mut twin, 9, &Seen::default(), 3);
    siblings.join(&twin, Conflict::Siblings);
    Record {
        kind: Kind::Siblings,
        flags: 5,
        clock: HybridTime(123),
        local: Some(Local { actor: actor(3), minted: 2 }),
        siblings,
    }
}

/// Of an `lww` bucket: a retry stands, what it beats is kept, and another write is remembered as beaten for good.
fn late() -> Record {
    let mut record = Record::new(Kind::Lww);
    let first = write_at(1, 100);
    record.siblings.write(&Seen::default(), actor(1), first, Conflict::Lww);
    record.siblings.write(&Seen::default(), actor(2), write_at(2, 200), Conflict::Lww);
    let retry = Write { tried_since: Some(HybridTime::default()), ..write_at(3, 300) };
    record.siblings.write(&Seen::default(), actor(1), retry, Conflict::Lww);
    record.clock = record.siblings.newest_stamp();
    record
}

fn records() -> Vec<Record> {
    let full = full();
    let siblings = full.siblings.without(|_| true);
    vec![
        Record::new(Kind::Siblings),
        Record::new(Kind::Lww),
        Record { siblings, ..full.clone() },
        full,
        late(),
    ]
}

#[test]
fn what_is_encoded_is_decoded() {
    for record in records() {
        let (head, body) = record.encode();
        assert_eq!(Record::decode(&head, body).as_ref(), Ok(&record));
    }
    let late = late();
    let [retry, beaten] = [|s: &Sibling| s.retry.is_some(), |s: &Sibling| s.beaten];
    assert!(late.siblings.iter().any(retry) && late.siblings.iter().any(beaten));
    let is_beaten = |c: &Covered| matches!(c.cause, Cause::Outstamped(_));
    assert!(late.siblings.covered().iter().any(is_beaten));
    let full = full();
    assert_eq!(operations(&full.siblings), [2, 3, 4, 5]);
    assert!(full.siblings.iter().any(|s| !s.twins.is_empty()));
    assert!(full.siblings.covered().iter().any(|c| !full.siblings.vector().covers(&c.dot)));
}

#[test]
fn a_head_alone_tells_all_but_the_values() {
    for record in records() {
        let (head, body) = record.encode();
        let head = Head::decode(&head).unwrap();
        assert_eq!(head.digest(), record.siblings.digest());
        assert_eq!(head.vector, *record.siblings.vector());
        assert_eq!(head.body_length, body.len() as u64);
        assert_eq!((head.clock, head.local), (record.clock, record.local));
        for (alone, whole) in head.siblings.iter().zip(record.siblings.iter()) {
            assert_eq!(alone.length, whole.value().map(|value| value.len() as u64));
            for now in [WallClock(98), WallClock(99)] {
                assert_eq!(alone.is_live(now), whole.value_at(now).is_some());
            }
        }
    }
}

#[test]
fn values_are_slices_of_the_body() {
    let (head, body) = full().encode();
    let (from, to) = (body.as_ptr() as usize, body.as_ptr() as usize + body.len());
    let record = Record::decode(&head, body).unwrap();
    for (_, value) in record.siblings.values().filter(|(_, value)| !value.is_empty()) {
        assert!((from..to).contains(&(value.as_ptr() as usize)));
    }
}

#[test]
fn a_small_record_has_a_small_head() {
    let mut record = Record::new(Kind::Siblings);
    let big = crate::version::Actor { incarnation: u64::MAX, mint: 70_000 };
    let mut write = write_at(1_000_000, 1_700_000_000_000);
    write.operation.session = u64::MAX;
    record.siblings.write(&Seen::default(), big, write, Conflict::Siblings);
    record.clock = record.siblings.newest_stamp();
    record.local = Some(Local { actor: big, minted: 1 });
    let (head, _) = record.encode();
    assert!(head.len() <= 100, "{}", head.len());
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    for record in records() {
        let (head, body) = record.encode();
        for bit in 0..head.len() * 8 {
            let mut bad = head.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Head::decode(&bad).is_err(), "bit {bit} of the head");
        }
        for bit in 0..body.len() * 8 {
            let mut bad = body.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            let decoded = Record::decode(&head, Bytes::from(bad));
            assert_eq!(decoded, Err(RecordError::Checksum("body")), "bit {bit} of the body");
        }
        for length in 0..head.len() {
            assert!(Head::decode(&head[..length]).is_err(), "the head cut at {length}");
        }
        for length in 0..body.len() {
            assert!(Record::decode(&head, body.slice(..length)).is_err());
        }
        let longer = [&head[..], &[0]].concat();
        assert!(Head::decode(&longer).is_err(), "a byte behind the head");
    }
}

#[test]
fn a_body_of_another_record_is_refused() {
    let (head, body) = full().encode();
    let mut other = body.to_vec();
    other.rotate_left(1);
    assert_eq!(Record::decode(&head, Bytes::from(other)), Err(RecordError::Checksum("body")));
}

/// Puts a fitting checksum on a head, as a hostile peer would.
fn sealed(mut head: Vec<u8>) -> Vec<u8> {
    let checksum = xxhash_rust::xxh3::xxh3_64(&[&head[..3], &head[11..]].concat());
    head[3..11].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// Found by the simulator, seed 605027: who coordinates had heard before that it was replaced.
#[test]
fn what_is_passed_on_alone_names_all_that_its_client_has_replaced() {
    let mut here = Record::new(Kind::Siblings);
    let mut elsewhere = Record::new(Kind::Siblings);
    for record in [&mut here, &mut elsewhere] {
        put(&mut record.siblings, 1, &Seen::default(), 1);
    }
    let seen = Seen { shown: vec![(operation(1), dot(1, 1))], ..Seen::default() };
    put(&mut here.siblings, 2, &seen, 2);
    let Written::New(dot) = put(&mut here.siblings, 3, &seen, 3) else { panic!("it is new") };
    elsewhere.join(&here.alone(dot, &seen));
    assert_eq!(operations(&elsewhere.siblings), [3]);
}

/// A value that nobody is shown would be collected.
#[test]
fn a_record_of_which_not_what_may_stand_stands_is_refused() {
    let refused = |kind, change: fn(&mut Record)| {
        let mut record = Record::new(kind);
        let write = Write { tried_since: Some(HybridTime::default()), ..write_at(1, 100) };
        record.siblings.write(&Seen::default(), actor(1), write, kind.conflict());
        change(&mut record);
        let (head, body) = record.encode();
        Record::decode(&head, body).is_err()
    };
    for kind in [Kind::Siblings, Kind::Lww] {
        assert!(!refused(kind, |_| ()));
        assert!(refused(kind, |record| record.siblings.siblings[0].beaten = true));
    }
    let late = |record: &mut Record| record.siblings.siblings[0].retry = Some(HybridTime(u64::MAX));
    assert!(refused(Kind::Lww, late) && refused(Kind::Siblings, late));
    let second = |record: &mut Record| {
        record.siblings.vector.learn(dot(1, 2));
        let other = Sibling {
            dot: dot(1, 2),
            operation: operation(2),
            ..record.siblings.siblings[0].clone()
        };
        record.siblings.siblings.push(other);
    };
    assert!(refused(Kind::Lww, second) && !refused(Kind::Siblings, second));
}

#[test]
fn newer_versions_and_kinds_are_refused_by_name() {
    let (head, _) = full().encode();
    let mut version = head.to_vec();
    version[0] = 3;
    assert_eq!(Head::decode(&version), Err(RecordError::UnknownVersion(3)));
    for unknown in [2, 3, 255] {
        let mut kind = head.to_vec();
        kind[1] = unknown;
        assert_eq!(Head::decode(&sealed(kind)), Err(RecordError::UnknownKind(unknown)));
    }
}

#[test]
fn a_byte_behind_the_head_is_refused_also_under_a_fitting_checksum() {
    let (head, _) = full().encode();
    let longer = sealed([&head[..], &[0]].concat());
    assert_eq!(Head::decode(&longer), Err(RecordError::Malformed("its head does not parse")));
}

#[test]
fn heads_that_break_the_rules_are_refused_also_under_a_fitting_checksum() {
    type Damage = fn(&mut Siblings);
    let breaks: [(&str, Damage); 6] = [
        ("an uncovered dot", |s| s.siblings.last_mut().unwrap().dot.counter += 9),
        ("an uncovered twin", |s| s.siblings[0].twins.push(dot(2, 8))),
        ("dots out of order", |s| s.siblings[0].twins.push(dot(1, 1))),
        ("siblings out of order", |s| s.siblings.reverse()),
        ("one operation twice", |s| s.siblings[0].operation = s.siblings[1].operation),
        ("covered out of order", |s| s.covered.reverse()),
    ];
    for (what, damage) in breaks {
        let mut record = full();
        damage(&mut record.siblings);
        let (head, _) = record.encode();
        assert!(matches!(Head::decode(&head), Err(RecordError::Malformed(_))), "{what}");
    }
}

#[test]
fn hostile_heads_with_a_fitting_checksum_never_panic_and_only_decode_to_what_encodes() {
    let (head, body) = full().encode();
    let mut rng = Rng::with_seed(7);
    for _ in 0..50_000 {
        let mut bad = head.to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(11..bad.len());
            bad[at] = rng.u8(..);
        }
        if let Ok(record) = Record::decode(&sealed(bad), body.clone()) {
            let (head, body) = record.encode();
            assert_eq!(Record::decode(&head, body), Ok(record));
        }
    }
}

#[test]
fn a_receiver_keeps_its_own_actor() {
    let (mut receiver, sender) = (Record::new(Kind::Siblings), full());
    receiver.join(&sender);
    assert_eq!(receiver.local, None);
    assert_eq!(receiver.clock, sender.clock);
}

proptest! {
    #[test]
    fn junk_never_panics(mut head in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Head::decode(&head).is_err());
        if head.len() > 11 {
            head[0] = 2;
            head[1] = 0;
            let _ = Record::decode(&sealed(head), Bytes::new());
        }
    }
}
