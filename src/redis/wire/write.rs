//! Replies as RESP2 and RESP3 have them.

use crate::redis::Reply;

/// Which of the two a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What a connection begins with.
    #[default]
    Two,
    /// After `HELLO 3`.
    Three,
}

/// Appends a reply.
pub fn write(out: &mut Vec<u8>, reply: &Reply, protocol: Protocol) {
    let is_three = protocol == Protocol::Three;
    match reply {
        Reply::Simple(text) => line(out, b'+', text.as_bytes()),
        Reply::Error(text) => line(out, b'-', text.as_bytes()),
        Reply::Integer(number) => line(out, b':', number.to_string().as_bytes()),
        Reply::Bulk(bytes) => bulk(out, bytes),
        Reply::Verbatim(text) if is_three => {
            line(out, b'=', (text.len() + 4).to_string().as_bytes());
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Reply::Verbatim(text) => bulk(out, text.as_bytes()),
        Reply::Nil | Reply::NilArray if is_three => out.extend_from_slice(b"_\r\n"),
        Reply::Nil => out.extend_from_slice(b"$-1\r\n"),
        Reply::NilArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => list(out, b'*', items, protocol),
        Reply::Set(items) => list(out, if is_three { b'~' } else { b'*' }, items, protocol),
        Reply::Map(pairs) => {
            let (kind, count) =
                if is_three { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
            line(out, kind, count.to_string().as_bytes());
            for (key, value) in pairs {
                write(out, key, protocol);
                write(out, value, protocol);
            }
        }
        Reply::Pairs(pairs) => {
            let count = if is_three { pairs.len() } else { pairs.len() * 2 };
            line(out, b'*', count.to_string().as_bytes());
            for (key, value) in pairs {
                if is_three {
                    out.extend_from_slice(b"*2\r\n");
                }
                write(out, key, protocol);
                write(out, value, protocol);
            }
        }
    }
}

/// A line of its own; breaks within would be taken for its end.
fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend(text.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }));
    out.extend_from_slice(b"\r\n");
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    line(out, b'$', bytes.len().to_string().as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, kind: u8, items: &[Reply], protocol: Protocol) {
    line(out, kind, items.len().to_string().as_bytes());
    for item in items {
        write(out, item, protocol);
    }
}
