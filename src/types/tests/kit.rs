//! Arbitrary values, made of bytes, so that all that can be read can be met.

use crate::types::bytes::{put_bytes, put_number};
use crate::types::tagged::Joined;
use crate::types::{Counter, Field, Hll, Register, SmallSet};
use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn put_name(out: &mut Vec<u8>, name: u64) {
    put_number(out, name.into());
    put_number(out, 0);
}

type Share = (u64, u128, u128, BTreeMap<u64, (u128, u64)>);

fn counter_body() -> impl Strategy<Value = Vec<u8>> {
    let named = btree_map(0_u64..4, (0_u128..8, 0_u64..4), 0..3);
    let share = (0_u64..4, 0_u128..4, 0_u128..4, named);
    btree_map(0_u64..4, share, 0..4).prop_map(|shares: BTreeMap<u64, Share>| {
        let mut out = Vec::new();
        put_number(&mut out, shares.len() as u128);
        for (actor, (version, up, down, named)) in shares {
            put_name(&mut out, actor);
            [version.into(), up, down, named.len() as u128]
                .into_iter()
                .for_each(|number| put_number(&mut out, number));
            for (operation, (delta, at)) in named {
                put_name(&mut out, operation);
                put_number(&mut out, delta);
                put_number(&mut out, at.into());
            }
        }
        out
    })
}

fn set_body() -> impl Strategy<Value = Vec<u8>> {
    let clock = btree_map(0_u64..4, 1_u64..4, 0..4);
    let members = btree_map("[a-c]", btree_set((0_u64..4, 1_u64..4), 1..4), 0..4);
    (clock, members).prop_map(|(clock, members)| {
        let mut out = Vec::new();
        put_number(&mut out, clock.len() as u128);
        for (actor, last) in &clock {
            put_name(&mut out, *actor);
            put_number(&mut out, (*last).into());
        }
        let covered = |(actor, count): &(u64, u64)| clock.get(actor).is_some_and(|l| l >= count);
        let members: Vec<(String, Vec<(u64, u64)>)> = members
            .into_iter()
            .map(|(member, dots)| (member, dots.into_iter().filter(covered).collect::<Vec<_>>()))
            .filter(|(_, dots)| !dots.is_empty())
            .collect();
        put_number(&mut out, members.len() as u128);
        for (member, dots) in members {
            put_bytes(&mut out, member.as_bytes());
            put_number(&mut out, dots.len() as u128);
            for (actor, count) in dots {
                put_number(&mut out, clock.range(..actor).count() as u128);
                put_number(&mut out, count.into());
            }
        }
        out
    })
}

fn register_body() -> impl Strategy<Value = Vec<u8>> {
    (0_u64..4, "[a-c]{0,2}").prop_map(|(stamp, value)| {
        let mut out = Vec::new();
        put_number(&mut out, stamp.into());
        put_bytes(&mut out, value.as_bytes());
        out
    })
}

fn tagged<V: Joined>(kind: u8, body: &[u8]) -> V {
    let bytes = [&[0xd7, b'q', 1, kind][..], body].concat();
    V::of_bytes(bytes.into()).expect("made as it is written")
}

pub(super) fn counter() -> impl Strategy<Value = Counter> {
    counter_body().prop_map(|body| tagged(1, &body))
}

pub(super) fn register() -> impl Strategy<Value = Register> {
    register_body().prop_map(|body| tagged(4, &body))
}

pub(super) fn field() -> impl Strategy<Value = Field> {
    let parts = (of(counter_body()), of(set_body()), of(register_body()), of(set_body()));
    parts.prop_filter_map("a field of something", |(counter, set, register, flag)| {
        let parts = [counter, set, register, flag];
        let there = |n: usize| u8::from(parts[n].is_some()) << n;
        let flags = there(0) | there(1) | there(2) | there(3);
        let body = parts.into_iter().flatten().flatten();
        let body: Vec<u8> = [flags].into_iter().chain(body).collect();
        (flags != 0).then(|| tagged(3, &body))
    })
}

/// A set alone, of the field that holds it.
pub(super) fn small_set() -> impl Strategy<Value = SmallSet> {
    set_body().prop_map(|body| {
        let mut from = Bytes::from(body);
        let set = SmallSet::decode(&mut from).expect("made as it is written");
        assert!(from.is_empty());
        set
    })
}

pub(super) fn hll() -> impl Strategy<Value = Hll> {
    // More than a quarter of the registers, now and then: both ways to write it.
    let elements =
        prop_oneof![vec(0_u32..50, 0..20), (0_u32..9_000).prop_map(|n| (0..n).collect())];
    elements.prop_map(|elements| {
        let mut hll = Hll::default();
        for element in elements {
            hll.add(&element.to_be_bytes());
        }
        hll
    })
}
