//! Commands that are about the connection, or about the server as a whole.

use super::super::engine::Engine;
use super::super::number::integer;
use super::super::session::{Session, wrong_number};
use super::super::view::Stop;
use super::super::wire::Protocol;
use super::super::{Reply, glob};
use super::table::{self, Class, Spec};
use super::{NOT_INTEGER, SYNTAX, is};
use crate::quorum::{Consistency, QuorumRequest};
use crate::types::Objects;
use bytes::Bytes;
use std::sync::atomic::Ordering;

/// Which Redis the answers are like: clients choose by it what they ask for.
const LIKE: &str = "7.0.0";
pub(in crate::redis) const NO_AUTH: &str = "NOAUTH Authentication required.";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// The answer of a command that was stopped.
pub(in crate::redis) fn stopped(stop: Stop) -> Reply {
    match stop {
        Stop::Say(text) => Reply::Error(text),
        Stop::Need(_) => Reply::error("ERR internal: a command asked for what it cannot have"),
    }
}

/// Runs one of them.
pub(in crate::redis) fn run<O: Objects>(
    session: &mut Session,
    engine: &Engine<O>,
    name: &str,
    args: &[Bytes],
) -> Reply {
    match name {
        "ping" => match args {
            [_] => Reply::Simple("PONG".into()),
            [_, text] => Reply::Bulk(text.clone()),
            _ => wrong_number(name),
        },
        "echo" => Reply::Bulk(args[1].clone()),
        "hello" => hello(session, engine, args),
        "auth" => match args {
            [_, password] => auth(session, engine, b"default", password),
            [_, user, password] => auth(session, engine, user, password),
            _ => Reply::error(SYNTAX),
        },
        "quit" => {
            session.closing = true;
            Reply::OK
        }
        "reset" => {
            session.protocol = Protocol::Two;
            session.name = Bytes::new();
            session.levels = Default::default();
            session.is_known = engine.0.settings.password.is_none();
            Reply::Simple("RESET".into())
        }
        "select" => match integer(&args[1]) {
            Some(0) => Reply::OK,
            Some(_) => Reply::error("ERR DB index is out of range"),
            None => Reply::error(NOT_INTEGER),
        },
        "client" => client(session, args),
        "command" => command(args),
        "config" => config(engine, args),
        "info" => info(session, engine, &args[1..]),
        "time" => {
            let now = engine.now();
            let parts = [now / 1_000, now % 1_000 * 1_000];
            Reply::Array(parts.map(|part| Reply::bulk(part.to_string())).to_vec())
        }
        // What is acknowledged is on the disks: it is always now.
        "lastsave" => Reply::Integer((engine.now() / 1_000) as i64),
        "readonly" | "readwrite" => Reply::OK,
        _ => consistency(session, args),
    }
}

fn auth<O: Objects>(
    session: &mut Session,
    engine: &Engine<O>,
    user: &[u8],
    password: &[u8],
) -> Reply {
    let Some(wanted) = &engine.0.settings.password else {
        return Reply::error(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        );
    };
    // Hashes are compared, and in constant time: how far a guess agrees must not show.
    let fits = blake3::hash(password) == blake3::hash(wanted.as_bytes());
    if !fits || user != b"default" {
        return Reply::error(WRONG_PASSWORD);
    }
    session.is_known = true;
    Reply::OK
}

fn hello<O: Objects>(session: &mut Session, engine: &Engine<O>, args: &[Bytes]) -> Reply {
    let mut rest = &args[1..];
    let mut protocol = session.protocol;
    if let [version, behind @ ..] = rest {
        protocol = match integer(version) {
            Some(2) => Protocol::Two,
            Some(3) => Protocol::Three,
            Some(_) => return Reply::error("NOPROTO unsupported protocol version"),
            None => return Reply::error("ERR Protocol version is not an integer or out of range"),
        };
        rest = behind;
    }
    let mut name = None;
    while let [word, behind @ ..] = rest {
        match behind {
            [user, password, behind @ ..] if is(word, "auth") => {
                if let error @ Reply::Error(_) = auth(session, engine, user, password) {
                    return error;
                }
                rest = behind;
            }
            [given, behind @ ..] if is(word, "setname") => {
                name = Some(given.clone());
                rest = behind;
            }
            _ => {
                let word = String::from_utf8_lossy(word).into_owned();
                return Reply::error(format!("ERR Syntax error in HELLO option '{word}'"));
            }
        }
    }
    if !session.is_known {
        return Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
    }
    if let Some(name) = name
        && let error @ Reply::Error(_) = named(session, &name)
    {
        return error;
    }
    session.protocol = protocol;
    let number = if protocol == Protocol::Three { 3 } else { 2 };
    let text = |text: &str| Reply::bulk(text);
    Reply::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text(LIKE)),
        (text("proto"), Reply::Integer(number)),
        (text("id"), Reply::Integer(session.id as i64)),
        (text("mode"), text("standalone")),
        (text("role"), text("master")),
        (text("modules"), Reply::Array(Vec::new())),
    ])
}

fn named(session: &mut Session, name: &Bytes) -> Reply {
    if name.len() > 256 || !name.iter().all(u8::is_ascii_graphic) {
        return Reply::error(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        );
    }
    session.name = name.clone();
    Reply::OK
}

fn unknown_subcommand(of: &str, word: &Bytes) -> Reply {
    let word = String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
    Reply::error(format!("ERR unknown subcommand '{word}'. Try {of} HELP."))
}

fn described(session: &Session) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let peer = session.peer.map(|peer| peer.to_string()).unwrap_or_default();
    format!(
        "id={} addr={peer} name={} db=0 resp={} lib-name={} lib-ver={}\n",
        session.id,
        text(&session.name),
        if session.protocol == Protocol::Three { 3 } else { 2 },
        text(&session.library[0]),
        text(&session.library[1]),
    )
}

fn client(session: &mut Session, args: &[Bytes]) -> Reply {
    let word = args[1].to_ascii_lowercase();
    match (word.as_slice(), args.len()) {
        (b"id", 2) => Reply::Integer(session.id as i64),
        (b"getname", 2) if session.name.is_empty() => Reply::Nil,
        (b"getname", 2) => Reply::Bulk(session.name.clone()),
        (b"setname", 3) => named(session, &args[2]),
        (b"info", 2) | (b"list", _) => Reply::Verbatim(described(session)),
        (b"setinfo", 4) => {
            let which = if is(&args[2], "lib-name") { 0 } else { 1 };
            if which == 1 && !is(&args[2], "lib-ver") {
                let name = String::from_utf8_lossy(&args[2]).into_owned();
                return Reply::error(format!("ERR Unrecognized option '{name}'"));
            }
            if args[3].len() > 256 || !args[3].iter().all(u8::is_ascii_graphic) {
                return Reply::error(
                    "ERR a library's name has no spaces, newlines or special characters",
                );
            }
            session.library[which] = args[3].clone();
            Reply::OK
        }
        (b"no-evict" | b"no-touch", 3) => Reply::OK,
        (b"kill" | b"pause" | b"unpause" | b"reply" | b"tracking" | b"caching", _) => Reply::error(
            "ERR not offered: a connection knows of no other, and each command is answered",
        ),
        (b"id" | b"getname" | b"setname" | b"info" | b"setinfo" | b"no-evict" | b"no-touch", _) => {
            wrong_number(&format!("client|{}", String::from_utf8_lossy(&word)))
        }
        _ => unknown_subcommand("CLIENT", &args[1]),
    }
}

/// As `COMMAND INFO` shows one.
fn shown(spec: &Spec) -> Reply {
    let (first, last, step) = spec.keys();
    let flags = match spec.class {
        Class::Write => vec!["write"],
        Class::Read => vec!["readonly"],
        _ => vec!["fast"],
    };
    let flags = flags.into_iter().map(|flag| Reply::Simple(flag.into())).collect();
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Integer(spec.arity.into()),
        Reply::Set(flags),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
        Reply::Set(Vec::new()),
        Reply::Array(Vec::new()),
        Reply::Array(Vec::new()),
        Reply::Array(Vec::new()),
    ])
}

fn command(args: &[Bytes]) -> Reply {
    let Some(word) = args.get(1) else {
        return Reply::Array(table::offered().map(shown).collect());
    };
    if is(word, "count") {
        Reply::count(table::offered().count())
    } else if is(word, "list") {
        Reply::Array(table::offered().map(|spec| Reply::bulk(spec.name)).collect())
    } else if is(word, "info") && args.len() > 2 {
        let each = args[2..].iter().map(|name| {
            let spec = table::find(name).filter(|spec| spec.class != Class::Refused);
            spec.map_or(Reply::NilArray, |spec| shown(&spec))
        });
        Reply::Array(each.collect())
    } else if is(word, "info") {
        Reply::Array(table::offered().map(shown).collect())
    } else if is(word, "docs") {
        let all: Vec<Spec> = match &args[2..] {
            [] => table::offered().copied().collect(),
            names => names.iter().filter_map(|name| table::find(name)).collect(),
        };
        let docs = |spec: Spec| {
            let group = (Reply::bulk("group"), Reply::bulk(spec.class.name()));
            (Reply::bulk(spec.name), Reply::Map(vec![group]))
        };
        Reply::Map(all.into_iter().map(docs).collect())
    } else if is(word, "getkeys") && args.len() > 2 {
        keys_of(&args[2..])
    } else {
        unknown_subcommand("COMMAND", word)
    }
}

fn keys_of(words: &[Bytes]) -> Reply {
    let Some(spec) = table::find(&words[0]) else {
        return Reply::error("ERR Invalid command specified");
    };
    if !spec.takes(words.len()) {
        return Reply::error("ERR Invalid number of arguments specified for command");
    }
    let (first, last, step) = spec.keys();
    if first == 0 {
        return Reply::error("ERR The command has no key arguments");
    }
    let end = if last < 0 { words.len() } else { last as usize + 1 };
    let keys = words[first as usize..end].iter().step_by(step as usize);
    Reply::Array(keys.cloned().map(Reply::Bulk).collect())
}

fn config<O: Objects>(engine: &Engine<O>, args: &[Bytes]) -> Reply {
    if is(&args[1], "get") && args.len() > 2 {
        let limit = engine.0.settings.value_bytes.to_string();
        let all = [
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("databases", "1"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"),
            ("proto-max-bulk-len", limit.as_str()),
            ("save", ""),
            ("timeout", "0"),
        ];
        let fits = |name: &str| {
            args[2..].iter().any(|p| glob::matches(&p.to_ascii_lowercase(), name.as_bytes()))
        };
        let found = all.into_iter().filter(|(name, _)| fits(name));
        Reply::Map(found.map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect())
    } else if is(&args[1], "set") {
        Reply::error(
            "ERR CONFIG SET is not offered: a node has its settings from its file and flags",
        )
    } else if is(&args[1], "resetstat") {
        Reply::OK
    } else {
        unknown_subcommand("CONFIG", &args[1])
    }
}

/// `INFO [SECTION …]`: what tools look for first; the rest is in this node's own metrics.
fn info<O: Objects>(session: &Session, engine: &Engine<O>, wanted: &[Bytes]) -> Reply {
    let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed).to_string();
    let version = env!("CARGO_PKG_VERSION");
    let sections = [
        (
            "Server",
            vec![
                ("redis_version", LIKE.to_string()),
                ("quorate_version", version.to_string()),
                ("redis_mode", "standalone".to_string()),
                ("os", std::env::consts::OS.to_string()),
                ("arch_bits", usize::BITS.to_string()),
                ("process_id", std::process::id().to_string()),
            ],
        ),
        ("Clients", vec![("connection_id", session.id.to_string())]),
        ("Persistence", vec![("loading", "0".to_string())]),
        (
            "Stats",
            vec![
                ("total_connections_received", load(&engine.0.connections)),
                ("total_commands_processed", load(&engine.0.commands)),
            ],
        ),
        (
            "Replication",
            vec![("role", "master".to_string()), ("connected_slaves", "0".to_string())],
        ),
        ("Cluster", vec![("cluster_enabled", "0".to_string())]),
    ];
    let all = |word: &Bytes| ["all", "default", "everything"].iter().any(|each| is(word, each));
    let is_wanted = |name: &str| {
        wanted.is_empty() || wanted.iter().any(|w| all(w) || is(w, &name.to_ascii_lowercase()))
    };
    let mut text = Vec::new();
    for (name, fields) in sections.into_iter().filter(|(name, _)| is_wanted(name)) {
        let lines = fields.into_iter().map(|(field, value)| format!("{field}:{value}\r\n"));
        text.push(format!("# {name}\r\n{}", lines.collect::<String>()));
    }
    Reply::Verbatim(text.join("\r\n"))
}

/// `QUORATE.CONSISTENCY READ WRITE`: a level, `strict`, or a number of replicas.
fn consistency(session: &mut Session, args: &[Bytes]) -> Reply {
    let read = |word: &Bytes| -> Option<QuorumRequest> {
        let mut request = QuorumRequest::default();
        let text = String::from_utf8(word.to_ascii_lowercase()).ok()?;
        if text == "default" {
            return Some(request);
        }
        if text == "strict" {
            request.strict = true;
            return Some(request);
        }
        if let Some(count) = integer(text.as_bytes()) {
            request.count = Some(u8::try_from(count).ok().filter(|count| *count > 0)?);
            return Some(request);
        }
        let level = Consistency::EVERY.into_iter().find(|level| level.name() == text)?;
        request.consistency = Some(level);
        Some(request)
    };
    match (read(&args[1]), read(&args[2])) {
        (Some(read), Some(write)) => {
            (session.levels.read, session.levels.write) = (read, write);
            Reply::OK
        }
        _ => Reply::error(
            "ERR a level is default, any, one, two, three, quorum, all, strict, or a number of replicas",
        ),
    }
}

/// `OBJECT ENCODING key`, as words with the key second.
pub(in crate::redis) fn object(args: &[Bytes]) -> Result<Vec<Bytes>, Reply> {
    let word = &args[1];
    if is(word, "help") && args.len() == 2 {
        let lines = ["OBJECT ENCODING <key>", "OBJECT REFCOUNT <key>"];
        return Err(Reply::Array(lines.map(|line| Reply::Simple(line.into())).to_vec()));
    }
    if !is(word, "encoding") && !is(word, "refcount") {
        return Err(unknown_subcommand("OBJECT", word));
    }
    match args {
        [_, _, key] => Ok(vec![word.clone(), key.clone()]),
        _ => Err(wrong_number(&format!(
            "object|{}",
            String::from_utf8_lossy(&word.to_ascii_lowercase())
        ))),
    }
}
