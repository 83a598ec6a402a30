//! What must hold whoever listens, cuts, flips and repeats.

use super::stream::{Opener, Sealer};
use super::*;
use bytes::BytesMut;
use proptest::prelude::*;
use std::path::PathBuf;

fn key(number: u8) -> ClusterKey {
    ClusterKey::new([number; 32])
}

fn ring(numbers: &[u8]) -> Keyring {
    Keyring { keys: numbers.iter().copied().map(key).collect() }
}

struct Pair {
    dialler: (Sealer, Opener),
    answerer: (Sealer, Opener),
    /// What crossed the wire before.
    knock: [u8; KNOCK_BYTES],
}

fn connect(dialler: &Keyring, answerer: &Keyring) -> Result<Pair, Refused> {
    let (waiting, knock) = Knock::new(dialler).expect("randomness");
    let (bytes, sealer, opener) = answer(answerer, &knock)?;
    Ok(Pair { dialler: waiting.heard(&bytes)?, answerer: (sealer, opener), knock })
}

fn sealed(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(plain, &mut out);
    out
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Refused> {
    let (mut from, mut into) = (BytesMut::from(sealed), BytesMut::new());
    opener.open(&mut from, &mut into).map(|()| into.to_vec())
}

#[test]
fn both_directions_carry_what_was_said() {
    let mut pair = connect(&ring(&[1]), &ring(&[1])).expect("one key");
    for word in [&b"one"[..], b"", b"three"] {
        let there = sealed(&mut pair.dialler.0, word);
        assert_eq!(open(&mut pair.answerer.1, &there), Ok(word.to_vec()));
        let back = sealed(&mut pair.answerer.0, word);
        assert_eq!(open(&mut pair.dialler.1, &back), Ok(word.to_vec()));
        assert!(word.is_empty() || there != back);
    }
}

#[test]
fn only_who_has_the_key_is_answered_and_believed() {
    assert!(connect(&ring(&[1]), &ring(&[2])).is_err());
    let (waiting, knock) = Knock::new(&ring(&[1])).expect("randomness");
    // Somebody without the key answers with what a stranger would, and with what was heard elsewhere.
    let (foreign, ..) = answer(&ring(&[2]), &Knock::new(&ring(&[2])).expect("randomness").1)
        .expect("their own key");
    assert!(waiting.heard(&foreign).is_err());
    let (waiting, _) = Knock::new(&ring(&[1])).expect("randomness");
    let (recorded, ..) = answer(&ring(&[1]), &knock).expect("the key");
    assert!(waiting.heard(&recorded).is_err(), "the answer to another knock");
}

#[test]
fn a_recorded_knock_is_answered_and_opens_nothing() {
    let keys = ring(&[1]);
    let mut pair = connect(&keys, &keys).expect("one key");
    let first = sealed(&mut pair.dialler.0, b"erase everything");
    let (_, mut sealer, mut opener) = answer(&keys, &pair.knock).expect("it is a sound knock");
    assert_eq!(open(&mut opener, &first), Err(Refused));
    let said = sealed(&mut sealer, b"secret");
    assert_eq!(open(&mut pair.dialler.1, &said), Err(Refused));
}

#[test]
fn a_key_is_replaced_step_by_step_without_a_moment_of_silence() {
    let steps: [&[u8]; 4] = [&[1], &[1, 2], &[2, 1], &[2]];
    for two in steps.windows(2) {
        for (dialler, answerer) in [(two[0], two[1]), (two[1], two[0])] {
            let pair = connect(&ring(dialler), &ring(answerer));
            assert!(pair.is_ok(), "{dialler:?} dials {answerer:?}");
        }
    }
    assert!(connect(&ring(&[1]), &ring(&[2])).is_err(), "what the steps are for");
}

#[test]
fn what_is_no_knock_is_refused() {
    let keys = ring(&[1]);
    let (_, knock) = Knock::new(&keys).expect("randomness");
    assert!(is_knock(&knock) && !is_knock(b"QR\x01\x01") && !is_knock(b"GE"));
    for at in 0..KNOCK_BYTES {
        let mut changed = knock;
        changed[at] ^= 1;
        assert!(answer(&keys, &changed).is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the bytes are cut on the way, and however long they are.
    #[test]
    fn what_arrives_in_pieces_is_what_was_sent(
        said in proptest::collection::vec((any::<u8>(), 0usize..200_000), 1..5),
        cuts in proptest::collection::vec(1usize..70_000, 1..40),
    ) {
        let mut pair = connect(&ring(&[7]), &ring(&[7])).expect("one key");
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for (byte, length) in said {
            let plain = vec![byte; length];
            pair.dialler.0.seal(&plain, &mut wire);
            expected.extend(plain);
        }
        let (mut arrived, mut opened) = (BytesMut::new(), BytesMut::new());
        let (mut rest, mut cuts) = (&wire[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*cuts.next().expect("a cycle")).min(rest.len()));
            arrived.extend_from_slice(piece);
            pair.answerer.1.open(&mut arrived, &mut opened).expect("nothing was changed");
            rest = later;
        }
        prop_assert!(arrived.is_empty());
        prop_assert_eq!(&opened[..], &expected[..]);
    }

    /// A flipped bit, a message left out, repeated or moved: nothing behind it is believed.
    #[test]
    fn what_was_changed_on_the_way_is_refused(
        words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 3..6),
        harm in 0usize..4,
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut pair = connect(&ring(&[7]), &ring(&[7])).expect("one key");
        // An empty word makes no message.
        let words: Vec<Vec<u8>> = words.into_iter().map(|mut word| { word.push(0); word }).collect();
        let mut messages: Vec<Vec<u8>> = words.iter().map(|w| sealed(&mut pair.dialler.0, w)).collect();
        let which = at.index(messages.len());
        let untouched = match harm {
            0 => {
                let byte = at.index(messages[which].len());
                messages[which][byte] ^= 1 << bit;
                which
            }
            1 => { messages.remove(which); which }
            2 => { let again = messages[which].clone(); messages.insert(which, again); which + 1 }
            _ => {
                let other = (which + 1) % messages.len();
                messages.swap(which, other);
                which.min(other)
            }
        };
        let (mut arrived, mut opened) = (BytesMut::from(&messages.concat()[..]), BytesMut::new());
        let outcome = pair.answerer.1.open(&mut arrived, &mut opened);
        // The last one left out, or a length that waits for more, is silence; everything else is noticed.
        prop_assert!(outcome == Err(Refused) || !arrived.is_empty() || (harm == 1 && which + 1 == words.len()));
        prop_assert_eq!(&opened[..], &words[..untouched].concat()[..]);
    }
}

#[cfg(feature = "server")]
#[test]
fn a_datagram_opens_with_a_key_of_the_ring_and_as_it_was_sent() {
    let (ours, both, theirs) =
        (Datagrams::new(&ring(&[1])), Datagrams::new(&ring(&[2, 1])), Datagrams::new(&ring(&[2])));
    for plain in [&b""[..], b"ping", &[7; 1200]] {
        let sealed = ours.seal([3; NONCE], plain);
        assert_ne!(sealed[NONCE..], ours.seal([4; NONCE], plain)[NONCE..], "the nonce counts");
        assert_eq!(ours.open(&sealed), Ok(plain.to_vec()));
        assert_eq!(both.open(&sealed), Ok(plain.to_vec()));
        assert_eq!(theirs.open(&sealed), Err(Refused));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x80;
            assert_eq!(both.open(&changed), Err(Refused), "byte {at}");
            assert_eq!(ours.open(&sealed[..at]), Err(Refused), "cut at {at}");
        }
    }
}

fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("cluster.key");
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    (dir, path)
}

#[test]
fn a_key_file_has_a_key_a_line() {
    let text = format!("# since spring\n\n{}\n  {}  \n", key(1).text(), key(2).text());
    let (_dir, path) = file(&text, 0o600);
    let read = Keyring::read(&path).expect("two keys");
    assert_eq!(&read.keys[..], [key(1), key(2)]);
    assert_eq!(format!("{read:?}").matches("ClusterKey(…)").count(), 2, "{read:?}");
    assert!(!format!("{read:?}").contains(&key(1).text()[20..]));
}

#[test]
fn a_key_file_that_is_none_says_why() {
    for (text, told) in [
        (String::new(), "holds 0 keys"),
        (format!("{}\n", key(1).text()).repeat(9), "holds 9 keys"),
        (format!("{}\nquorate-key-1:abc\n", key(1).text()), "cluster.key:2 is no key"),
        (key(1).text().replace("quorate-key-1", "quorate-key-2"), "cluster.key:1 is no key"),
        (key(1).text().replace(':', " "), "cluster.key:1 is no key"),
    ] {
        let (_dir, path) = file(&text, 0o600);
        let error = Keyring::read(&path).expect_err(told).to_string();
        assert!(error.contains(told), "{error}");
    }
    let missing = Keyring::read(std::path::Path::new("/nowhere/cluster.key")).expect_err("no file");
    assert!(missing.to_string().starts_with("/nowhere/cluster.key: "), "{missing}");
}

#[test]
fn a_key_that_others_may_read_or_change_is_not_used() {
    for (mode, fits) in [
        (0o600, true),
        (0o400, true),
        (0o640, true),
        (0o644, false),
        (0o660, false),
        (0o602, false),
    ] {
        let (_dir, path) = file(&key(1).text(), mode);
        let read = Keyring::read(&path);
        assert_eq!(read.is_ok(), fits, "{mode:o}: {read:?}");
        assert!(fits || read.expect_err("open").to_string().contains("chmod 600"));
    }
}
