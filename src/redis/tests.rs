//! Commands on a store in memory; several nodes that meet now and then; answers that get lost.

use super::wire::{Protocol, write};
use super::{Engine, Reply, Session, Settings};
use crate::types::memory::Memory;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The time of all tests: they move it forward only, and never by less than they say.
static NOW: AtomicU64 = AtomicU64::new(1_000_000);

fn now() -> u64 {
    NOW.load(Ordering::SeqCst)
}

struct Node {
    memory: Memory,
    engine: Engine<Memory>,
    session: Session,
}

impl Node {
    fn new(number: u64) -> Node {
        let memory = Memory::new(number);
        let settings = Settings::new(None, 1 << 16, now);
        let engine = Engine::new(memory.clone(), settings, Arc::default(), number);
        let session = Session::new(&engine, None);
        Node { memory, engine, session }
    }

    /// The same store, with a process that has forgotten all else.
    fn restarted(&self, seed: u64) -> Node {
        let settings = Settings::new(None, 1 << 16, now);
        let engine = Engine::new(self.memory.clone(), settings, Arc::default(), seed);
        let session = Session::new(&engine, None);
        Node { memory: self.memory.clone(), engine, session }
    }

    async fn ask(&mut self, line: &str) -> Reply {
        let words = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes()));
        self.session.submit(&self.engine, words.collect()).0.await
    }

    /// As RESP2, in which lists are sorted where they have no order.
    async fn says(&mut self, line: &str) -> String {
        let reply = match self.ask(line).await {
            Reply::Set(mut items) => {
                items.sort_by_key(|item| format!("{item:?}"));
                Reply::Array(items)
            }
            other => other,
        };
        let mut out = Vec::new();
        write(&mut out, &reply, Protocol::Two);
        String::from_utf8(out).unwrap().trim_end().replace("\r\n", " ")
    }
}

async fn play(script: &[(&str, &str)]) {
    let mut node = Node::new(1);
    for (line, expected) in script {
        let said = node.says(line).await;
        assert!(said.starts_with(expected), "{line}: {said}, not {expected}");
    }
}

#[tokio::test]
async fn strings_are_as_in_redis() {
    play(&[
        ("GET a", "$-1"),
        ("SET a hello", "+OK"),
        ("GET a", "$5 hello"),
        ("APPEND a !", ":6"),
        ("STRLEN a", ":6"),
        ("GETRANGE a 1 -2", "$4 ello"),
        ("SETRANGE a 1 a", ":6"),
        ("GET a", "$6 hallo!"),
        ("SETRANGE b 2 x", ":3"),
        ("INCR a", "-ERR value is not an integer or out of range"),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        ("DECRBY n 7", ":9223372036854775800"),
        ("INCRBYFLOAT f 10.5", "$4 10.5"),
        ("INCRBYFLOAT f nan", "-ERR value is not a valid float"),
        ("SET a v NX", "-ERR NX is not offered"),
        ("SET a v XX GET", "$6 hallo!"),
        ("SET none v XX", "$-1"),
        ("SET a v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET a v EX", "-ERR syntax error"),
        ("MSET x 1 y 2", "+OK"),
        ("MGET x none y", "*3 $1 1 $-1 $1 2"),
        ("DEL x y none", ":2"),
        ("GETDEL a", "$1 v"),
        ("EXISTS a", ":0"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("nope a b", "-ERR unknown command 'nope', with args beginning with: 'a' 'b'"),
        ("MULTI", "-ERR transactions are not offered"),
    ])
    .await;
}

#[tokio::test]
async fn sets_and_hashes_are_as_in_redis() {
    play(&[
        ("SADD s a b a", ":2"),
        ("SADD s b c", ":1"),
        ("SMEMBERS s", "*3 $1 a $1 b $1 c"),
        ("SREM s a none", ":1"),
        ("SCARD s", ":2"),
        ("SISMEMBER s b", ":1"),
        ("SMISMEMBER s a b", "*2 :0 :1"),
        ("GET s", "-WRONGTYPE"),
        ("HSET s f v", "-WRONGTYPE"),
        ("TYPE s", "+set"),
        ("SADD t b d", ":2"),
        ("SINTER s t", "*1 $1 b"),
        ("SUNION s t", "*3 $1 b $1 c $1 d"),
        ("SDIFF s t", "*1 $1 c"),
        ("SINTERCARD 2 s t LIMIT 1", ":1"),
        ("SREM s b c", ":2"),
        ("EXISTS s", ":0"),
        ("TYPE s", "+none"),
        ("HSET s f 1 g x", ":2"),
        ("TYPE s", "+hash"),
        ("HINCRBY s f 4", ":5"),
        ("HINCRBY s g 4", "-ERR hash value is not an integer"),
        ("HGETALL s", "*4 $1 f $1 5 $1 g $1 x"),
        ("HMGET s f none", "*2 $1 5 $-1"),
        ("HDEL s f none", ":1"),
        ("HLEN s", ":1"),
        ("DEL s", ":1"),
        ("SADD s new", ":1"),
        ("SMEMBERS s", "*1 $3 new"),
        ("SET s text", "+OK"),
        ("SADD s x", "-WRONGTYPE"),
        ("DEL s", ":1"),
        ("SADD s again", ":1"),
        ("SMEMBERS s", "*1 $5 again"),
        ("KEYS *", "*2"),
        ("DBSIZE", ":2"),
        ("FLUSHALL", "+OK"),
        ("DBSIZE", ":0"),
    ])
    .await;
}

/// The store of these tests knows a bucket by its name as one of a type.
#[tokio::test]
async fn values_of_buckets_with_a_type_are_worked_on() {
    play(&[
        ("QUORATE.TYPE counter", "+counter"),
        ("QUORATE.TYPE other", "+bytes"),
        ("QUORATE.INCRBY counter k 5", ":5"),
        ("QUORATE.INCRBY counter k -7 order-1", ":-2"),
        ("QUORATE.INCRBY counter k -7 order-1", ":-2"),
        ("QUORATE.INCRBY counter k -8 order-1", "-ERR"),
        ("QUORATE.INCRBY counter k 1.5", "-ERR value is not an integer"),
        ("QUORATE.INCRBY counter k 9223372036854775808", "-ERR value is not an integer"),
        ("QUORATE.INCRBY counter k 9223372036854775807", ":9223372036854775805"),
        ("QUORATE.INCRBY counter k 3", "-ERR"),
        ("QUORATE.READ counter k", ":9223372036854775805"),
        ("QUORATE.READ counter none", ":0"),
        ("QUORATE.INCRBY set k 1", "-ERR"),
        ("QUORATE.READ other k", "-ERR"),
        ("QUORATE.SADD set k b a", "+OK"),
        ("QUORATE.SREM set k a none", ":1"),
        ("QUORATE.SISMEMBER set k b", ":1"),
        ("QUORATE.SISMEMBER set k a", ":0"),
        ("QUORATE.READ set k", "*1 $1 b"),
        ("QUORATE.ASSIGN register k text", "+OK"),
        ("QUORATE.READ register k", "$4 text"),
        ("QUORATE.READ register none", "$-1"),
        ("QUORATE.PFADD hll k a b a", "+OK"),
        ("QUORATE.READ hll k", ":2"),
        ("QUORATE.HSET map k name Ann", "$3 Ann"),
        ("QUORATE.HINCRBY map k visits 2", ":2"),
        ("QUORATE.HINCRBY map k visits 2 again", ":4"),
        ("QUORATE.HINCRBY map k visits 2 again", ":4"),
        ("QUORATE.HINCRBY map k name 2", "-ERR"),
        ("QUORATE.HFLAG map k paid 1", ":1"),
        ("QUORATE.HFLAG map k paid yes", "-ERR a flag is 1 or 0"),
        ("QUORATE.HSADD map k tags x y", "*2 $1 x $1 y"),
        ("QUORATE.HSREM map k tags x", "*1 $1 y"),
        ("QUORATE.HGET map k visits", ":4"),
        ("QUORATE.HGET map k none", "$-1"),
        ("QUORATE.READ map k", "*8 $4 name $3 Ann $4 paid :1 $4 tags *1 $1 y $6 visits :4"),
        ("QUORATE.HDEL map k paid none", ":1"),
        ("QUORATE.INCRBY counter k 1 ", "-ERR an operation's name"),
        ("QUORATE.HSET map k", "-ERR wrong number of arguments"),
    ])
    .await;
}

/// A count without a name is not tried again when nobody knows; one with a name is, and a member, too.
#[tokio::test(start_paused = true)]
async fn only_what_may_be_done_twice_is_tried_again() {
    let mut node = Node::new(1);
    node.memory.lose(1);
    let said = node.says("QUORATE.INCRBY counter k 1").await;
    assert!(said.starts_with("-OUTCOMEUNKNOWN"), "{said}");
    node.memory.lose(1);
    assert_eq!(node.says("QUORATE.INCRBY counter k 1 mine").await, ":2");
    node.memory.lose(1);
    assert_eq!(node.says("QUORATE.SADD set k a").await, "+OK");
    node.memory.refuse(1);
    assert_eq!(node.says("QUORATE.INCRBY counter k 1").await, ":3");
}

#[tokio::test]
async fn what_expires_is_gone_and_what_comes_after_does_not() {
    let mut node = Node::new(1);
    for line in ["SET a 1 PX 100", "SADD s m", "PEXPIRE s 100", "INCR n", "PEXPIRE n 100"] {
        node.ask(line).await;
    }
    assert_eq!(node.says("EXISTS a s n").await, ":3");
    NOW.fetch_add(1_000, Ordering::SeqCst);
    assert_eq!(node.says("EXISTS a s n").await, ":0");
    assert_eq!(node.says("INCR n").await, ":1");
    assert_eq!(node.says("TTL n").await, ":-1");
    assert_eq!(node.says("SADD s other").await, ":1");
    assert_eq!(node.says("SMEMBERS s").await, "*1 $5 other");
    // One that was emptied is another one, and does not expire.
    node.ask("EXPIRE s 1000").await;
    node.ask("SREM s other").await;
    node.ask("SADD s third").await;
    assert_eq!(node.says("TTL s").await, ":-1");
}

#[tokio::test]
async fn many_commands_on_one_key_are_one_read_and_one_write() {
    let mut node = Node::new(1);
    let words = || vec![Bytes::from_static(b"INCR"), Bytes::from_static(b"k")];
    let all: Vec<_> = (0..800).map(|_| node.session.submit(&node.engine, words()).0).collect();
    for (index, pending) in all.into_iter().enumerate() {
        assert_eq!(pending.await, Reply::Integer(index as i64 + 1));
    }
    assert_eq!(node.memory.count(), (1, 1));
}

#[tokio::test]
async fn counts_through_several_nodes_add_up_exactly() {
    let mut nodes = [Node::new(1), Node::new(2), Node::new(3)];
    for round in 0..10 {
        for node in &mut nodes {
            for line in ["INCRBY n 3", "DECR n", "HINCRBY h f 2"] {
                node.ask(line).await;
            }
        }
        let (a, b) = (round % 3, (round + 1) % 3);
        nodes[a].memory.meet(&nodes[b].memory.clone());
    }
    for (a, b) in [(0, 1), (1, 2), (0, 2), (0, 1)] {
        nodes[a].memory.meet(&nodes[b].memory.clone());
    }
    for node in &mut nodes {
        assert_eq!(node.says("GET n").await, "$2 60");
        assert_eq!(node.says("HGET h f").await, "$2 60");
    }
}

/// A restart forgets the actor, a lost answer poisons it: what was acknowledged counts exactly once.
#[tokio::test(start_paused = true)]
async fn counts_are_exact_where_processes_end_and_answers_get_lost() {
    let mut node = Node::new(1);
    let mut acknowledged = 0;
    let mut unknown = 0;
    for round in 0..60 {
        if round % 7 == 3 {
            node = node.restarted(100 + round);
        }
        match round % 5 {
            // One try is lost: the retry is the same write.
            1 => node.memory.lose(1),
            // All are.
            2 => node.memory.lose(1_000),
            _ => node.memory.lose(0),
        }
        match node.ask("INCR n").await {
            Reply::Integer(_) => acknowledged += 1,
            Reply::Error(text) => {
                assert!(text.starts_with("OUTCOMEUNKNOWN "), "{text}");
                unknown += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    node.memory.lose(0);
    let Reply::Bulk(shown) = node.ask("GET n").await else { panic!("a number") };
    let shown: u64 = std::str::from_utf8(&shown).unwrap().parse().unwrap();
    assert!(unknown > 5 && (acknowledged..=acknowledged + unknown).contains(&shown), "{shown}");
    // Here each of them has happened.
    assert_eq!(shown, acknowledged + unknown);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_not_answered_as_if_it_were() {
    let mut node = Node::new(1);
    node.ask("SET k old").await;
    node.memory.refuse(u64::MAX);
    assert!(node.says("SET k new").await.starts_with("-UNAVAILABLE "));
    assert!(node.says("GET k").await.starts_with("-UNAVAILABLE "));
    node.memory.refuse(2);
    assert_eq!(node.says("GET k").await, "$3 old");
}

#[tokio::test]
async fn an_add_survives_a_removal_that_has_not_seen_it() {
    let (mut one, mut other) = (Node::new(1), Node::new(2));
    one.ask("SADD s a b").await;
    one.memory.meet(&other.memory);
    // Both at once: the one removes what the other adds again.
    one.ask("SREM s a b").await;
    other.ask("SREM s a").await;
    other.ask("SADD s a c").await;
    one.memory.meet(&other.memory);
    for node in [&mut one, &mut other] {
        assert_eq!(node.says("SMEMBERS s").await, "*2 $1 a $1 c");
    }
}

#[tokio::test]
async fn of_two_strings_at_once_both_nodes_show_the_same() {
    let (mut one, mut other) = (Node::new(1), Node::new(2));
    one.ask("SET k one").await;
    other.ask("SET k other").await;
    one.memory.meet(&other.memory);
    assert_eq!(one.says("GET k").await, other.says("GET k").await);
}

#[tokio::test]
async fn a_deleted_set_shows_nothing_of_what_is_late() {
    let (mut one, mut other) = (Node::new(1), Node::new(2));
    one.ask("SADD s a").await;
    one.memory.meet(&other.memory);
    one.ask("DEL s").await;
    other.ask("SADD s late").await;
    one.memory.meet(&other.memory);
    assert_eq!(one.says("EXISTS s").await, ":0");
    assert_eq!(one.says("SADD s new").await, ":1");
    assert_eq!(one.says("SMEMBERS s").await, "*1 $3 new");
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let settings = Settings::new(Some("secret".into()), 1 << 16, now);
    let engine = Engine::new(Memory::new(1), settings, Arc::default(), 1);
    let session = Session::new(&engine, None);
    let mut node = Node { memory: Memory::new(1), engine, session };
    assert_eq!(node.says("GET a").await, "-NOAUTH Authentication required.");
    assert!(node.says("AUTH wrong").await.starts_with("-WRONGPASS "));
    assert!(node.says("HELLO 3").await.starts_with("-NOAUTH "));
    assert_eq!(node.says("AUTH secret").await, "+OK");
    assert_eq!(node.says("GET a").await, "$-1");
}

#[tokio::test]
async fn scans_return_each_key_once_and_end() {
    let mut node = Node::new(1);
    for index in 0..57 {
        node.ask(&format!("SET k{index} v")).await;
        node.ask(&format!("SADD s m{index}")).await;
    }
    for (command, all) in [("SCAN {} MATCH k* COUNT 7", 57), ("SSCAN s {} COUNT 7", 57)] {
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        loop {
            let reply = node.ask(&command.replace("{}", &cursor)).await;
            let Reply::Array(parts) = reply else { panic!("{reply:?}") };
            let [Reply::Bulk(next), Reply::Array(names)] = &parts[..] else { panic!("{parts:?}") };
            seen.extend(names.iter().map(|name| format!("{name:?}")));
            cursor = String::from_utf8(next.to_vec()).unwrap();
            if cursor == "0" {
                break;
            }
        }
        seen.sort();
        let count = seen.len();
        seen.dedup();
        assert_eq!((count, seen.len()), (all, all));
    }
}

#[tokio::test]
async fn one_scan_is_enough_for_few_keys_though_many_were_deleted() {
    let mut node = Node::new(1);
    for index in 0..60 {
        node.ask(&format!("SET k{index} v")).await;
        node.ask(&format!("DEL k{index}")).await;
    }
    node.ask("SET z v").await;
    node.ask("SADD y m").await;
    let reply = node.ask("SCAN 0").await;
    let both = vec![Reply::bulk("y"), Reply::bulk("z")];
    let Reply::Array(parts) = reply else { panic!("{reply:?}") };
    let [Reply::Bulk(next), Reply::Array(names)] = &parts[..] else { panic!("{parts:?}") };
    let mut names = names.clone();
    names.sort_by_key(|name| format!("{name:?}"));
    assert_eq!((&next[..], names), (&b"0"[..], both));
    // What does not fit was looked at, too.
    let Reply::Array(parts) = node.ask("SCAN 0 MATCH nothing COUNT 1").await else { panic!() };
    assert_ne!(parts[0], Reply::bulk("0"));
}

#[tokio::test]
async fn info_tells_the_sections_that_are_asked_for() {
    let mut node = Node::new(1);
    let text = |reply: Reply| match reply {
        Reply::Verbatim(text) => text,
        other => panic!("{other:?}"),
    };
    let all = text(node.ask("INFO").await);
    for field in ["redis_version:", "role:master", "arch_bits:", "cluster_enabled:0"] {
        assert!(all.contains(field), "{field}: {all}");
    }
    assert_eq!(text(node.ask("INFO everything").await).lines().count(), all.lines().count());
    let some = text(node.ask("INFO Replication cluster").await);
    assert!(some.starts_with("# Replication\r\nrole:master\r\n") && some.contains("# Cluster"));
    assert!(!some.contains("redis_version"));
    assert_eq!(text(node.ask("INFO nothing").await), "");
}

fn command() -> impl Strategy<Value = String> {
    let member = "[ab]";
    prop_oneof![
        member.prop_map(|m| format!("SADD s {m}")),
        member.prop_map(|m| format!("SREM s {m}")),
        member.prop_map(|m| format!("HSET h {m} {m}")),
        member.prop_map(|m| format!("HDEL h {m}")),
        member.prop_map(|m| format!("HINCRBY c {m} 1")),
        Just("INCR n".to_owned()),
        Just("SET n 5".to_owned()),
        Just("DEL n".to_owned()),
        Just("DEL s".to_owned()),
        Just("SET s text".to_owned()),
        Just("EXPIRE s 1000".to_owned()),
        Just("PERSIST s".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_done_at_once_all_nodes_end_with_the_same(
        history in proptest::collection::vec((0_usize..3, command(), 0_usize..6), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut nodes = [Node::new(1), Node::new(2), Node::new(3)];
            for (at, line, meets) in &history {
                nodes[*at].ask(line).await;
                if let Some((a, b)) = [(0, 1), (1, 2), (0, 2)].get(*meets) {
                    nodes[*a].memory.meet(&nodes[*b].memory.clone());
                }
            }
            for (a, b) in [(0, 1), (1, 2), (0, 2), (0, 1)] {
                nodes[a].memory.meet(&nodes[b].memory.clone());
            }
            let mut told = Vec::new();
            for node in &mut nodes {
                let mut all = Vec::new();
                for line in ["GET n", "TYPE s", "SMEMBERS s", "GET s", "HGETALL h", "HGETALL c", "TYPE n"] {
                    all.push(node.says(line).await);
                }
                told.push(all);
            }
            assert_eq!(told[0], told[1]);
            assert_eq!(told[1], told[2]);
        });
    }
}
