//! All commands: name, arguments, and whose they are.

use super::several::Operation;

/// Why what depends on there being nothing is refused.
pub(in crate::redis) const NOT_EXISTS: &str = "ERR NX is not offered: without a leader two nodes may both find nothing and both succeed, so it is no lock; SET without NX, or QUORATE.PUT with an empty context and look for siblings";
const TRANSACTIONS: &str = "ERR transactions are not offered: without a leader nobody can hold back the writes of others between WATCH and EXEC; each command by itself is whole";
const SCRIPTS: &str = "ERR scripts are not offered: without a leader nobody can run one alone on a key; read, compute in the client, and write";
const BLOCKING: &str =
    "ERR blocking pops are not offered: without a leader one element may be given to two who wait";
const LISTS: &str = "ERR lists are not there: without a leader two pushes at once have no order, and a pop may give one element twice; use a set, or a bucket with sort keys";
const SORTED: &str =
    "ERR sorted sets are not there yet; use a bucket with sort keys (QUORATE.PUT with SORT)";
const STREAMS: &str = "ERR streams are not there: without a leader entries have no one order; use a bucket with sort keys";
const PUBSUB: &str =
    "ERR publish and subscribe are not there: a node does not send what nobody asked for";
const MOVES: &str = "ERR commands that change two keys are not offered: without a leader one may change without the other; do it in two steps and decide which comes first";
const BITS: &str = "ERR bit and HyperLogLog commands are not there yet";
const GEO: &str = "ERR geo commands are not there: they need sorted sets";
const SERVER: &str =
    "ERR this is not a Redis server: use `quorate` on the command line for its administration";
const SORTING: &str = "ERR SORT is not there: read and sort in the client";

/// For what a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write,
    /// All keys.
    Keyspace,
    /// The connection, or the server.
    Connection,
    /// It is not offered.
    Refused,
}

impl Class {
    /// All of them, in order.
    pub const EVERY: [Class; 5] =
        [Class::Read, Class::Write, Class::Keyspace, Class::Connection, Class::Refused];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Keyspace => "keyspace",
            Class::Connection => "connection",
            Class::Refused => "refused",
        }
    }
}

/// Who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis) enum How {
    /// The lane of its second word.
    Lane,
    /// The lane of each key; the sum.
    Sum,
    /// The lane of each key; a list.
    List,
    /// The lane of each key, with a value; `OK`.
    Pairs,
    /// The members of several sets.
    Members(Operation),
    /// The lane of the key behind a word.
    Object,
    /// Everything before it has been answered.
    Everything,
    /// The connection.
    Session,
    Refused(&'static str),
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::redis) struct Spec {
    pub(in crate::redis) name: &'static str,
    /// How many words; negative: at least.
    pub(in crate::redis) arity: i32,
    pub(in crate::redis) class: Class,
    pub(in crate::redis) how: How,
}

impl Spec {
    pub(in crate::redis) fn takes(&self, words: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= needed } else { words == needed }
    }

    /// First key, last key, step: as `COMMAND INFO` has it.
    pub(in crate::redis) fn keys(&self) -> (i64, i64, i64) {
        match self.how {
            How::Lane => (1, 1, 1),
            How::Members(Operation::Count) => (0, 0, 0),
            How::Sum | How::List | How::Members(_) => (1, -1, 1),
            How::Pairs => (1, -1, 2),
            How::Object => (2, 2, 1),
            How::Everything | How::Session | How::Refused(_) => (0, 0, 0),
        }
    }
}

const fn spec(name: &'static str, arity: i32, class: Class, how: How) -> Spec {
    Spec { name, arity, class, how }
}

const fn r(name: &'static str, arity: i32) -> Spec {
    spec(name, arity, Class::Read, How::Lane)
}

const fn w(name: &'static str, arity: i32) -> Spec {
    spec(name, arity, Class::Write, How::Lane)
}

const fn c(name: &'static str, arity: i32) -> Spec {
    spec(name, arity, Class::Connection, How::Session)
}

/// On a value of a bucket with a type.
const fn of_type(name: &'static str, arity: i32, class: Class) -> Spec {
    spec(name, arity, class, How::Everything)
}

const fn k(name: &'static str, arity: i32) -> Spec {
    spec(name, arity, Class::Keyspace, How::Everything)
}

/// What is offered.
const OFFERED: &[Spec] = &[
    r("get", 2),
    w("set", -3),
    w("getset", 3),
    w("getdel", 2),
    w("getex", -2),
    w("append", 3),
    r("strlen", 2),
    w("setrange", 4),
    r("getrange", 4),
    r("substr", 4),
    w("setex", 4),
    w("psetex", 4),
    w("incr", 2),
    w("incrby", 3),
    w("decr", 2),
    w("decrby", 3),
    w("incrbyfloat", 3),
    spec("mget", -2, Class::Read, How::List),
    spec("mset", -3, Class::Write, How::Pairs),
    spec("del", -2, Class::Write, How::Sum),
    spec("unlink", -2, Class::Write, How::Sum),
    spec("exists", -2, Class::Read, How::Sum),
    spec("touch", -2, Class::Read, How::Sum),
    r("type", 2),
    w("expire", -3),
    w("pexpire", -3),
    w("expireat", -3),
    w("pexpireat", -3),
    r("ttl", 2),
    r("pttl", 2),
    r("expiretime", 2),
    r("pexpiretime", 2),
    w("persist", 2),
    spec("object", -2, Class::Read, How::Object),
    w("sadd", -3),
    w("srem", -3),
    r("smembers", 2),
    r("sismember", 3),
    r("smismember", -3),
    r("scard", 2),
    w("spop", -2),
    r("srandmember", -2),
    r("sscan", -3),
    spec("sinter", -2, Class::Read, How::Members(Operation::Intersection)),
    spec("sunion", -2, Class::Read, How::Members(Operation::Union)),
    spec("sdiff", -2, Class::Read, How::Members(Operation::Difference)),
    spec("sintercard", -3, Class::Read, How::Members(Operation::Count)),
    w("hset", -4),
    w("hmset", -4),
    r("hget", 3),
    r("hmget", -3),
    w("hdel", -3),
    r("hexists", 3),
    r("hgetall", 2),
    r("hkeys", 2),
    r("hvals", 2),
    r("hlen", 2),
    r("hstrlen", 3),
    w("hincrby", 4),
    w("hincrbyfloat", 4),
    r("hscan", -3),
    r("hrandfield", -2),
    k("scan", -2),
    k("keys", 2),
    k("dbsize", 1),
    k("randomkey", 1),
    k("flushall", -1),
    k("flushdb", -1),
    k("quorate.get", -3),
    k("quorate.put", -5),
    k("quorate.del", -4),
    of_type("quorate.type", 2, Class::Read),
    of_type("quorate.read", 3, Class::Read),
    of_type("quorate.incrby", -4, Class::Write),
    of_type("quorate.sadd", -4, Class::Write),
    of_type("quorate.srem", -4, Class::Write),
    of_type("quorate.sismember", 4, Class::Read),
    of_type("quorate.hget", 4, Class::Read),
    of_type("quorate.hset", 5, Class::Write),
    of_type("quorate.hincrby", -5, Class::Write),
    of_type("quorate.hflag", 5, Class::Write),
    of_type("quorate.hsadd", -5, Class::Write),
    of_type("quorate.hsrem", -5, Class::Write),
    of_type("quorate.hdel", -4, Class::Write),
    of_type("quorate.assign", 4, Class::Write),
    of_type("quorate.pfadd", -4, Class::Write),
    c("quorate.consistency", 3),
    c("ping", -1),
    c("echo", 2),
    c("hello", -1),
    c("auth", -2),
    c("quit", -1),
    c("reset", 1),
    c("select", 2),
    c("client", -2),
    c("command", -1),
    c("config", -2),
    c("info", -1),
    c("time", 1),
    c("lastsave", 1),
    c("readonly", 1),
    c("readwrite", 1),
];

/// What is not, and why.
const REFUSED: &[(&str, &[&str])] = &[
    (NOT_EXISTS, &["setnx", "msetnx", "hsetnx"]),
    (TRANSACTIONS, &["multi", "exec", "discard", "watch", "unwatch"]),
    (
        SCRIPTS,
        &["eval", "evalsha", "eval_ro", "evalsha_ro", "script", "function", "fcall", "fcall_ro"],
    ),
    (
        BLOCKING,
        &[
            "blpop",
            "brpop",
            "blmove",
            "brpoplpush",
            "blmpop",
            "bzpopmin",
            "bzpopmax",
            "bzmpop",
            "wait",
        ],
    ),
    (
        LISTS,
        &[
            "lpush",
            "rpush",
            "lpushx",
            "rpushx",
            "lpop",
            "rpop",
            "llen",
            "lrange",
            "lindex",
            "lset",
            "lrem",
            "ltrim",
            "linsert",
            "lpos",
            "lmove",
            "rpoplpush",
            "lmpop",
        ],
    ),
    (
        SORTED,
        &[
            "zadd",
            "zincrby",
            "zrem",
            "zscore",
            "zmscore",
            "zcard",
            "zcount",
            "zlexcount",
            "zrange",
            "zrangebyscore",
            "zrangebylex",
            "zrevrange",
            "zrevrangebyscore",
            "zrevrangebylex",
            "zrank",
            "zrevrank",
            "zpopmin",
            "zpopmax",
            "zmpop",
            "zrandmember",
            "zremrangebyrank",
            "zremrangebyscore",
            "zremrangebylex",
            "zunion",
            "zinter",
            "zdiff",
            "zunionstore",
            "zinterstore",
            "zdiffstore",
            "zintercard",
            "zrangestore",
            "zscan",
        ],
    ),
    (
        STREAMS,
        &[
            "xadd",
            "xlen",
            "xrange",
            "xrevrange",
            "xread",
            "xreadgroup",
            "xgroup",
            "xack",
            "xclaim",
            "xautoclaim",
            "xpending",
            "xinfo",
            "xdel",
            "xtrim",
            "xsetid",
        ],
    ),
    (
        PUBSUB,
        &[
            "subscribe",
            "unsubscribe",
            "psubscribe",
            "punsubscribe",
            "publish",
            "pubsub",
            "ssubscribe",
            "sunsubscribe",
            "spublish",
        ],
    ),
    (
        MOVES,
        &[
            "rename",
            "renamenx",
            "copy",
            "move",
            "smove",
            "sinterstore",
            "sunionstore",
            "sdiffstore",
        ],
    ),
    (
        BITS,
        &[
            "setbit",
            "getbit",
            "bitcount",
            "bitpos",
            "bitop",
            "bitfield",
            "bitfield_ro",
            "pfadd",
            "pfcount",
            "pfmerge",
            "lcs",
        ],
    ),
    (
        GEO,
        &[
            "geoadd",
            "geodist",
            "geohash",
            "geopos",
            "geosearch",
            "geosearchstore",
            "georadius",
            "georadiusbymember",
        ],
    ),
    (SORTING, &["sort", "sort_ro"]),
    (
        SERVER,
        &[
            "acl",
            "bgsave",
            "bgrewriteaof",
            "save",
            "shutdown",
            "slaveof",
            "replicaof",
            "role",
            "psync",
            "sync",
            "monitor",
            "debug",
            "latency",
            "memory",
            "module",
            "slowlog",
            "swapdb",
            "cluster",
            "failover",
            "dump",
            "restore",
            "migrate",
        ],
    ),
];

/// The command of this name, in whatever case.
pub(in crate::redis) fn find(name: &[u8]) -> Option<Spec> {
    let mut lower = [0; 24];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let offered = OFFERED.iter().find(|spec| spec.name.as_bytes() == lower);
    offered.copied().or_else(|| {
        let mut all =
            REFUSED.iter().flat_map(|(why, names)| names.iter().map(move |name| (*why, *name)));
        let (why, name) = all.find(|(_, name)| name.as_bytes() == lower)?;
        Some(spec(name, -1, Class::Refused, How::Refused(why)))
    })
}

/// All that are offered.
pub(in crate::redis) fn offered() -> impl Iterator<Item = &'static Spec> {
    OFFERED.iter()
}
