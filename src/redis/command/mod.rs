//! What commands mean.
//!
//! ```text
//!   words ─► table: what is it called, how many arguments, whose is it?
//!              ├─ one key         strings, keys, sets, hashes     on a view of that key
//!              ├─ several keys    several                         one of those for each, and a join of the answers
//!              ├─ all keys        everything                      page by page
//!              ├─ other buckets   everything, typed               as they are
//!              ├─ the connection  session
//!              └─ refused         with the reason
//! ```

pub(super) mod everything;
mod expire;
mod hashes;
mod keys;
pub(super) mod options;
pub(super) mod scan;
pub(super) mod session;
mod sets;
pub(super) mod several;
mod strings;
pub(super) mod table;
mod typed;

use super::Reply;
use super::value::Kind;
use super::view::{Stop, View};
use bytes::Bytes;
pub(super) use options::*;

/// Runs a command on the one key that it is about, its second word.
pub(super) fn run(view: &mut View, name: &str, args: &[Bytes]) -> Result<Reply, Stop> {
    match name {
        "get" | "set" | "getset" | "getdel" | "getex" | "append" | "strlen" | "setrange"
        | "getrange" | "substr" | "setex" | "psetex" | "incr" | "incrby" | "decr" | "decrby"
        | "incrbyfloat" | "mget" | "mset" => strings::run(view, name, args),
        "del" | "unlink" | "exists" | "touch" | "type" | "object" => keys::run(view, name, args),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "ttl" | "pttl" | "expiretime"
        | "pexpiretime" | "persist" => expire::run(view, name, args),
        "sadd" | "srem" | "smembers" | "sismember" | "smismember" | "scard" | "spop"
        | "srandmember" | "sscan" => sets::run(view, name, args),
        _ => hashes::run(view, name, args),
    }
}

/// The elements that a command names, if it names some.
pub(super) fn named<'a>(name: &str, args: &'a [Bytes]) -> Option<(Kind, Vec<&'a Bytes>)> {
    let rest = args.get(2..).unwrap_or_default();
    Some(match name {
        "sadd" | "srem" | "sismember" | "smismember" => (Kind::Set, rest.iter().collect()),
        "hset" | "hmset" => (Kind::Hash, rest.iter().step_by(2).collect()),
        "hget" | "hincrby" | "hincrbyfloat" | "hexists" | "hstrlen" => {
            (Kind::Hash, rest.iter().take(1).collect())
        }
        "hmget" | "hdel" => (Kind::Hash, rest.iter().collect()),
        _ => return None,
    })
}

/// Whether a command wants all elements there are.
pub(super) fn wants_all(name: &str) -> bool {
    matches!(
        name,
        "smembers"
            | "scard"
            | "spop"
            | "srandmember"
            | "sscan"
            | "hgetall"
            | "hkeys"
            | "hvals"
            | "hlen"
            | "hscan"
            | "hrandfield"
            | "del"
            | "unlink"
            | "set"
            | "mset"
    )
}
