//! One line of a script, read.

use quorate::quorum::{Consistency, QuorumRequest};
use quorate::time::Duration;

/// What a cluster is to be like, and the bucket `b` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub nodes: usize,
    pub seed: u64,
    pub sync: Duration,
    pub lww: bool,
    pub n: Option<u8>,
    pub r: Option<u8>,
    pub w: Option<u8>,
}

/// What is done to each of some nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    Kill,
    Start,
    Stop,
    Wipe,
    Backup,
    Restore,
    Pause,
    Resume,
    Hold,
    Let,
    Full,
    Room,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Put(String),
    Delete,
    Get,
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub through: String,
    pub verb: Verb,
    pub key: String,
    pub quorum: QuorumRequest,
    /// The name of a token that an earlier request got.
    pub context: Option<String>,
    /// The name of the operation: the same name again is a retry.
    pub operation: Option<String>,
    pub within: Duration,
    /// How the token that comes back is called.
    pub keep: Option<String>,
    /// Nobody waits for the answer: it is told when it comes.
    pub unawaited: bool,
}

/// A line of a script. Nodes go by their names, `n1`, or by the letters that `names` gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Cluster(Shape),
    Names(String),
    Partition(Vec<Vec<String>>),
    Cut(Vec<String>, Vec<String>),
    Heal,
    Slow(Vec<String>, Duration),
    SlowLink(Vec<String>, Vec<String>, Duration),
    Each(Hand, Vec<String>),
    Skew(String, i64),
    Rot(String, String),
    Wait(Duration),
    Settle,
    Misses(String, Vec<String>),
    Sees(String, Vec<String>),
    Show(String),
    Trace(bool),
    Ask(Ask),
}

/// Reads a line.
pub fn parse(line: &str) -> Result<Command, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else { return Err("nothing".into()) };
    if let Some(through) = first.strip_suffix(':') {
        return ask(through, rest).map(Command::Ask);
    }
    if let [verb @ ("misses" | "sees"), others @ ..] = rest {
        let (by, others) = ((*first).into(), owned(others));
        return Ok(match *verb {
            "misses" => Command::Misses(by, others),
            _ => Command::Sees(by, others),
        });
    }
    Ok(match (*first, rest) {
        ("cluster", options) => Command::Cluster(shape(options)?),
        ("names", [key]) => Command::Names((*key).into()),
        ("partition", nodes) => {
            Command::Partition(nodes.split(|word| *word == "|").map(owned).collect())
        }
        ("cut", nodes) => {
            let (from, to) = link(nodes)?;
            Command::Cut(from, to)
        }
        ("slow", [nodes @ .., by]) if nodes.contains(&">") => {
            let (from, to) = link(nodes)?;
            Command::SlowLink(from, to, duration(by)?)
        }
        ("slow", [nodes @ .., by]) => Command::Slow(owned(nodes), duration(by)?),
        ("heal", []) => Command::Heal,
        ("skew", [node, by]) => {
            let millis = |text| duration(text).map(|by| by.as_millis() as i64);
            let by = match by.strip_prefix('-') {
                Some(back) => -millis(back)?,
                None => millis(by)?,
            };
            Command::Skew((*node).into(), by)
        }
        ("rot", [node, key]) => Command::Rot((*node).into(), (*key).into()),
        ("wait", [time]) => Command::Wait(duration(time)?),
        ("settle", []) => Command::Settle,
        ("show", [key]) => Command::Show((*key).into()),
        ("trace", ["on"]) => Command::Trace(true),
        ("trace", ["off"]) => Command::Trace(false),
        (hand, nodes) if !nodes.is_empty() => Command::Each(parse_hand(hand)?, owned(nodes)),
        _ => return Err("no such command".into()),
    })
}

fn parse_hand(word: &str) -> Result<Hand, String> {
    Ok(match word {
        "kill" => Hand::Kill,
        "start" => Hand::Start,
        "stop" => Hand::Stop,
        "wipe" => Hand::Wipe,
        "backup" => Hand::Backup,
        "restore" => Hand::Restore,
        "pause" => Hand::Pause,
        "resume" => Hand::Resume,
        "hold" => Hand::Hold,
        "let" => Hand::Let,
        "full" => Hand::Full,
        "room" => Hand::Room,
        other => return Err(format!("no such command: {other}")),
    })
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn link(words: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
    match words.split(|word| *word == ">").collect::<Vec<_>>()[..] {
        [from, to] => Ok((owned(from), owned(to))),
        _ => Err("from whom > to whom?".into()),
    }
}

fn shape(words: &[&str]) -> Result<Shape, String> {
    let sync = Duration::from_secs(5);
    let mut shape = Shape { nodes: 3, seed: 1, sync, lww: false, n: None, r: None, w: None };
    for word in words {
        match word.split_once('=') {
            Some(("nodes", count)) => shape.nodes = number(count)?,
            Some(("seed", seed)) => shape.seed = number(seed)?,
            Some(("sync", "off")) => shape.sync = Duration::from_secs(365 * 86_400),
            Some(("sync", time)) => shape.sync = duration(time)?,
            Some(("n", count)) => shape.n = Some(number(count)?),
            Some(("r", count)) => shape.r = Some(number(count)?),
            Some(("w", count)) => shape.w = Some(number(count)?),
            None if *word == "lww" => shape.lww = true,
            _ => return Err(format!("a cluster has no {word}")),
        }
    }
    Ok(shape)
}

fn ask(through: &str, words: &[&str]) -> Result<Ask, String> {
    let (verb, key, mut options) = match words {
        ["put", key, value, options @ ..] => (Verb::Put((*value).into()), key, options),
        ["delete", key, options @ ..] => (Verb::Delete, key, options),
        ["get", key, options @ ..] => (Verb::Get, key, options),
        _ => return Err("put KEY VALUE, delete KEY or get KEY?".into()),
    };
    let mut ask = Ask {
        through: through.into(),
        verb,
        key: (*key).into(),
        quorum: QuorumRequest::default(),
        context: None,
        operation: None,
        within: Duration::from_secs(5),
        keep: None,
        unawaited: false,
    };
    while let Some((option, rest)) = options.split_first() {
        options = rest;
        match (option.split_once('='), rest) {
            (Some(("ctx", name)), _) => ask.context = Some(name.into()),
            (Some(("as", name)), _) => ask.operation = Some(name.into()),
            (Some(("r" | "w", level)), _) => ask.quorum = quorum(level)?,
            (Some(("within", time)), _) => ask.within = duration(time)?,
            (None, [name, rest @ ..]) if *option == "->" => {
                ask.keep = Some((*name).into());
                options = rest;
            }
            (None, []) if *option == "&" => ask.unawaited = true,
            _ => return Err(format!("what is {option}?")),
        }
    }
    Ok(ask)
}

/// A level by name, a count, or `strict`: a quorum of owners.
fn quorum(word: &str) -> Result<QuorumRequest, String> {
    let mut quorum = QuorumRequest::default();
    match word.parse::<u8>() {
        Ok(count) => quorum.count = Some(count),
        Err(_) if word == "strict" => {
            quorum.consistency = Some(Consistency::Quorum);
            quorum.strict = true;
        }
        Err(_) => {
            quorum.consistency = Some(word.parse().map_err(|error| format!("{error}"))?);
        }
    }
    Ok(quorum)
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn duration(word: &str) -> Result<Duration, String> {
    let unit = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (count, unit) = word.split_at(unit);
    let count: u64 = number(count)?;
    Ok(match unit {
        "us" => Duration::from_micros(count),
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "min" => Duration::from_secs(60 * count),
        _ => return Err(format!("{word}: how long? 300us, 200ms, 5s, 15min")),
    })
}

#[test]
fn a_line_is_a_command_or_says_what_is_wrong_with_it() {
    let nodes = |names: &[&str]| owned(names);
    let check = |line: &str, expected: Result<Command, &str>| {
        assert_eq!(parse(line), expected.map_err(Into::into), "{line}");
    };
    check("heal", Ok(Command::Heal));
    check("kill A n5", Ok(Command::Each(Hand::Kill, nodes(&["A", "n5"]))));
    check("cut A > B C", Ok(Command::Cut(nodes(&["A"]), nodes(&["B", "C"]))));
    check("partition A | B C", Ok(Command::Partition(vec![nodes(&["A"]), nodes(&["B", "C"])])));
    check("slow A 200ms", Ok(Command::Slow(nodes(&["A"]), Duration::from_millis(200))));
    check("skew A -60s", Ok(Command::Skew("A".into(), -60_000)));
    check("D misses A B", Ok(Command::Misses("D".into(), nodes(&["A", "B"]))));
    check("kil A", Err("no such command: kil"));
    check("cut A B", Err("from whom > to whom?"));
    check("wait 5", Err("5: how long? 300us, 200ms, 5s, 15min"));
    check("A: put k", Err("put KEY VALUE, delete KEY or get KEY?"));
    check("A: put k v contex=x", Err("what is contex=x?"));
    check("cluster nodes=x", Err("x is no number"));
    let Ok(Command::Ask(ask)) = parse("A: put k v w=strict ctx=v0 as=O within=1s -> v1 &") else {
        panic!("a put")
    };
    assert_eq!((ask.verb, ask.quorum.strict, ask.unawaited), (Verb::Put("v".into()), true, true));
    assert_eq!((ask.context, ask.operation), (Some("v0".into()), Some("O".into())));
    assert_eq!((ask.within, ask.keep), (Duration::from_secs(1), Some("v1".into())));
}
