//! The laws of joins, and what is read back.

use super::*;
use ::bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn expiry() -> impl Strategy<Value = Expiry> {
    (0_u64..4, of(0_u64..4)).prop_map(|(stamp, at)| Expiry { stamp, at })
}

fn text() -> impl Strategy<Value = Text> {
    let sums = (0_u128..4, 0_u128..4).prop_map(|(up, down)| Sums { up, down });
    let sums = btree_map(0_u64..4, sums, 0..4);
    (0_u64..3, 0_u64..3, "[0-9]{0,2}", sums, expiry()).prop_map(
        |(stamp, generation, base, sums, expiry)| Text {
            stamp,
            generation,
            base: base.into(),
            sums,
            expiry,
        },
    )
}

fn group() -> impl Strategy<Value = Group> {
    (1_u32..4, 0_u64..4, expiry()).prop_map(|(generation, stamp, expiry)| Group {
        generation,
        stamp,
        expiry,
    })
}

fn gone() -> impl Strategy<Value = Gone> {
    (1_u32..4, 0_u64..4, any::<bool>()).prop_map(|(generation, stamp, swept)| Gone {
        generation,
        stamp,
        swept,
    })
}

fn root() -> impl Strategy<Value = Root> {
    (of(text()), of(group()), of(group()), of(gone())).prop_map(|(text, set, hash, gone)| Root {
        text,
        set,
        hash,
        gone,
    })
}

fn join(mut one: Root, other: &Root) -> Root {
    one.join(other.clone());
    one
}

proptest! {
    #[test]
    fn joins_commute_associate_and_repeat_harmlessly(a in root(), b in root(), c in root()) {
        prop_assert_eq!(join(a.clone(), &b), join(b.clone(), &a));
        prop_assert_eq!(join(join(a.clone(), &b), &c), join(a.clone(), &join(b.clone(), &c)));
        prop_assert_eq!(join(a.clone(), &a), a);
    }

    #[test]
    fn what_was_encoded_is_read_back_and_no_cut_of_it(root in root()) {
        let bytes = root.encode();
        prop_assert_eq!(Root::decode(bytes.clone()), Ok(root));
        for length in 0..bytes.len() {
            prop_assert!(Root::decode(bytes.slice(..length)).is_err(), "cut at {}", length);
        }
    }

    #[test]
    fn junk_is_refused_or_written_back_as_it_came(junk in vec(any::<u8>(), 0..40)) {
        let junk = Bytes::from([vec![1], junk].concat());
        if let Ok(root) = Root::decode(junk.clone()) {
            prop_assert_eq!(root.encode(), junk);
        }
    }
}

#[test]
fn counts_through_two_actors_add_up_and_a_set_replaces_them() {
    let mut one = Text::counter();
    one.sums.insert(1, Sums { up: 3, down: 1 });
    let mut other = Text::counter();
    other.sums.insert(2, Sums { up: 5, down: 0 });
    one.join(other);
    assert_eq!((one.shown(), one.as_integer()), (Bytes::from_static(b"7"), Some(7)));
    let set = Text { stamp: 1, generation: 9, base: Bytes::from_static(b"x"), ..Text::default() };
    one.join(set.clone());
    assert_eq!(one, set);
}

#[test]
fn what_is_gone_stays_gone_and_the_next_generation_is_shown() {
    let group = |generation| Some(Group { generation, stamp: 5, ..Group::default() });
    let gone = Some(Gone { generation: 1, stamp: 9, swept: false });
    let mut root = Root { set: group(1), gone, ..Root::default() };
    assert_eq!(root.shown(0), Shown::Nothing);
    root.join(Root { set: group(2), ..Root::default() });
    assert_eq!(root.shown(0), Shown::Group(Kind::Set, 2));
    let expiry = Expiry { stamp: 1, at: Some(10) };
    root.join(Root { text: Some(Text { stamp: 6, expiry, ..Text::default() }), ..Root::default() });
    assert_eq!((root.shown(9), root.shown(10)), (Shown::Text, Shown::Nothing));
}
