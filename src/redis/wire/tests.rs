//! Any cut, and what hostile clients send.

use super::{Broken, Limits, Protocol, Reader, write};
use crate::redis::Reply;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits = Limits { arguments: 1_000, bulk: 1 << 20, request: 4 << 20 };

/// All requests of what comes in these pieces, and why it ends, if it does.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<Bytes>>, Option<Broken>) {
    let (mut reader, mut all) = (Reader::new(LIMITS), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.request() {
                Ok(Some(request)) => all.push(request),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken)),
            }
        }
    }
    (all, None)
}

fn encoded(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for request in requests {
        let words = request.iter().map(Reply::bulk).collect();
        write(&mut out, &Reply::Array(words), Protocol::Two);
    }
    out
}

proptest! {
    #[test]
    fn however_it_is_cut_it_says_the_same(
        requests in vec(vec(vec(any::<u8>(), 0..20), 1..5), 1..5),
        size in 1_usize..30,
    ) {
        let bytes = encoded(&requests);
        let expected: Vec<Vec<Bytes>> = requests.iter()
            .map(|request| request.iter().map(|word| Bytes::copy_from_slice(word)).collect())
            .collect();
        let (cut, broken) = read(bytes.chunks(size));
        prop_assert_eq!(broken, None);
        prop_assert_eq!(cut, expected);
    }

    #[test]
    fn junk_never_panics_and_cuts_do_not_matter(junk in vec(prop_oneof![
        Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'-'), Just(b'"'), any::<u8>(),
    ], 0..60), size in 1_usize..10) {
        prop_assert_eq!(read([&junk[..]]), read(junk.chunks(size)));
    }
}

#[test]
fn hostile_lengths_end_the_connection_before_anything_is_kept() {
    for (bytes, says) in [
        ("*-9223372036854775809\r\n", "invalid multibulk length"),
        ("*1001\r\n", "invalid multibulk length"),
        ("*9223372036854775808\r\n", "invalid multibulk length"),
        ("*x\r\n", "invalid multibulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775808\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        ("*1\r\n$1048577\r\n", "invalid bulk length"),
        ("*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
        ("*1\r\n:1\r\n", "expected '$', got ':'"),
        ("*1\r\n$1\r\nabc", "expected CRLF"),
        ("SET a \"b\r\n", "unbalanced quotes"),
        ("POST / HTTP/1.1\r\n", "no HTTP server"),
        ("Host: here\r\n", "no HTTP server"),
    ] {
        let (requests, broken) = read([format!("{bytes}PING\r\n").as_bytes()]);
        assert!(requests.is_empty(), "{bytes:?}");
        assert!(broken.is_some_and(|Broken(text)| text.contains(says)), "{bytes:?}");
    }
}

#[test]
fn empty_arrays_and_lines_are_no_requests() {
    let (requests, broken) = read([&b"*0\r\n*-5\r\n\r\n  \r\nPING\r\n"[..]]);
    assert_eq!((requests, broken), (vec![vec![Bytes::from_static(b"PING")]], None));
}

#[test]
fn words_have_quotes_and_escapes() {
    let (requests, broken) = read([&b"SET  \"a\\x41\\n\" 'it\\'s' \"\"\r\n"[..]]);
    assert_eq!(broken, None);
    assert_eq!(requests, [["SET", "aA\n", "it's", ""].map(|word| Bytes::from(word.to_owned()))]);
}

#[test]
fn a_line_has_64_kib_and_no_more() {
    let line = |length: usize| [vec![b'x'; length], b"\r\n".to_vec()].concat();
    assert_eq!(read([&line((64 << 10) - 1)[..]]).0.len(), 1);
    for bytes in [line((64 << 10) + 10), vec![b'x'; (64 << 10) + 10]] {
        let (requests, broken) = read([&bytes[..]]);
        assert!(requests.is_empty() && broken.is_some());
    }
}

#[test]
fn a_request_of_many_large_arguments_is_too_big() {
    let words: Vec<Vec<u8>> = vec![vec![b'x'; 1 << 20]; 5];
    let (requests, broken) = read([&encoded(&[words])[..]]);
    assert!(requests.is_empty() && broken.is_some());
}

#[test]
fn both_protocols_have_their_forms() {
    let pair = || vec![(Reply::Integer(1), Reply::Nil)];
    for (reply, two, three) in [
        (Reply::OK, "+OK\r\n", "+OK\r\n"),
        (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
        (Reply::Nil, "$-1\r\n", "_\r\n"),
        (Reply::NilArray, "*-1\r\n", "_\r\n"),
        (Reply::Map(pair()), "*2\r\n:1\r\n$-1\r\n", "%1\r\n:1\r\n_\r\n"),
        (Reply::Pairs(pair()), "*2\r\n:1\r\n$-1\r\n", "*1\r\n*2\r\n:1\r\n_\r\n"),
        (Reply::Set(vec![Reply::bulk("a")]), "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n"),
        (Reply::Verbatim("a".into()), "$1\r\na\r\n", "=5\r\ntxt:a\r\n"),
    ] {
        for (protocol, expected) in [(Protocol::Two, two), (Protocol::Three, three)] {
            let mut out = Vec::new();
            write(&mut out, &reply, protocol);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
