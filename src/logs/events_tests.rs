//! What comes out of bytes, line by line.

use super::*;
use crate::logs::{Zone, open};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const ARRIVAL: Nanos = 1_900_000_000_000_000_000;

fn events(reader: impl BufRead) -> Vec<Outcome> {
    let parser = Parser::new(None, Zone::utc(), ARRIVAL);
    let mut events = Events::new(reader, parser);
    let mut all = Vec::new();
    while let Some(outcome) = events.next(ARRIVAL).expect("readable") {
        all.push(outcome);
    }
    assert_eq!(events.next(ARRIVAL).expect("the end stays the end"), None);
    all
}

/// `first_line+lines text`, or `first_line rejected: reason`.
fn shown(bytes: &[u8]) -> Vec<String> {
    let show = |outcome| match outcome {
        Outcome::Event(event) => format!("{}+{} {}", event.first_line, event.lines, event.text),
        Outcome::Rejected(rejected) => format!("{} rejected: {}", rejected.line, rejected.reason),
    };
    events(bytes).into_iter().map(show).collect()
}

const A: &str = "2031-04-05 06:07:08,009 ERROR lost";
const B: &str = "2031-04-05 06:07:09,010 INFO again";

#[test]
fn a_trace_belongs_to_the_line_that_it_follows() {
    let text = format!("{A}\njava.io.IOException: reset\n\n\tat Job.run(Job.java:7)\n\n\n{B}\n\n");
    let trace = format!("1+4 {A}\njava.io.IOException: reset\n\n\tat Job.run(Job.java:7)");
    assert_eq!(shown(text.as_bytes()), [trace, format!("7+1 {B}")]);
}

#[test]
fn lines_end_as_on_any_machine_and_the_last_need_not() {
    let expected = [format!("1+2 {A}\nx"), format!("3+1 {B}")];
    assert_eq!(shown(format!("{A}\nx\n{B}\n").as_bytes()), expected);
    assert_eq!(shown(format!("{A}\r\nx\r\n{B}\r\n").as_bytes()), expected);
    assert_eq!(shown(format!("{A}\r\nx\n{B}").as_bytes()), expected);
    assert_eq!(shown(b""), [""; 0]);
    assert_eq!(shown(b"\n\r\n \n"), [""; 0]);
}

#[test]
fn undated_lines_come_when_they_arrive_each_a_little_later() {
    let all = events(&b"one\n  and more\ntwo\nthree\n"[..]);
    let expected = [("one\n  and more", 0), ("two", 1), ("three", 2)];
    assert_eq!(all.len(), expected.len());
    for (outcome, (text, later)) in all.iter().zip(expected) {
        let Outcome::Event(event) = outcome else { panic!("{outcome:?}") };
        assert_eq!((event.text.as_str(), event.at), (text, ARRIVAL + later));
        assert_eq!(event.dated, Dated::ByArrival);
    }
}

#[test]
fn what_a_line_says_of_itself_is_in_its_event() {
    let line = r#"{"ts":1900000000.5,"level":"Warning","service":"billing"}"#;
    let expected = Event {
        first_line: 1,
        lines: 1,
        at: 1_900_000_000_500_000_000,
        dated: Dated::ByLine,
        level: Some(Level::Warn),
        word: Some("Warning".into()),
        source: Some("billing".into()),
        text: line.into(),
    };
    assert_eq!(events(line.as_bytes()), [Outcome::Event(expected)]);
}

#[test]
fn a_line_that_cannot_be_taken_is_named_by_its_number() {
    let long = "x".repeat(LINE_LIMIT + 1);
    let too_long = format!("longer than {LINE_LIMIT} bytes");
    for more in ["", "x", &long, "\r"] {
        let bytes = format!("{A}\n{long}{more}\n{B}\n");
        let expected = [format!("1+1 {A}"), format!("2 rejected: {too_long}"), format!("3+1 {B}")];
        assert_eq!(shown(bytes.as_bytes()), expected, "{} more", more.len());
    }
    assert_eq!(shown(long.as_bytes()), [format!("1 rejected: {too_long}")]);
    let most = "x".repeat(LINE_LIMIT);
    for end in ["", "\n", "\r\n"] {
        assert_eq!(shown(format!("{most}{end}").as_bytes()), [format!("1+1 {most}")]);
    }
    let bytes = [A.as_bytes(), b"\nab\xff\n  on\n", B.as_bytes()].concat();
    let expected =
        ["2 rejected: no UTF-8 from byte 2 on".into(), "3+1   on".into(), format!("4+1 {B}")];
    assert_eq!(shown(&bytes)[1..], expected);
}

#[test]
fn an_event_that_grows_too_long_goes_on_as_another_with_its_date() {
    let more = format!("\n{}", "x".repeat(LINE_LIMIT - 100)).repeat(3);
    let all = events(format!("{A}{more}\n\n{B}\n").as_bytes());
    let [Outcome::Event(first), Outcome::Event(second), Outcome::Event(_)] = &all[..] else {
        panic!("{} outcomes", all.len());
    };
    assert_eq!((first.first_line, first.lines), (1, 3));
    assert_eq!((second.first_line, second.lines), (4, 1));
    assert!(first.text.len() <= EVENT_LIMIT);
    assert_eq!((first.at, first.dated), (second.at, second.dated));
    assert_eq!(second.dated, Dated::ByLine);
}

#[test]
fn empty_lines_without_end_are_no_event() {
    let all = events(format!("{A}{}  x\n{B}", "\n".repeat(2 * EVENT_LIMIT)).as_bytes());
    assert_eq!(all.len(), 3, "what went on so late is one of its own");
}

#[test]
fn what_breaks_in_the_middle_ends_there() {
    let line = |n: u64| format!("2031-04-05T06:07:08Z {}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let text: String = (0..50_000).map(|n| line(n) + "\n").collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory");
    let packed = encoder.finish().expect("memory");
    assert_eq!(events(open(&packed[..]).expect("opens")).len(), 50_000);
    let all = events(open(&packed[..packed.len() / 2]).expect("opens"));
    let Some((Outcome::Rejected(rejected), before)) = all.split_last() else { panic!("none") };
    assert!(rejected.reason.starts_with("cannot be read on: "), "{rejected:?}");
    assert_eq!(rejected.line, before.len() as u64 + 1);
    assert!(before.len() > 10_000);
    for (n, outcome) in before.iter().enumerate() {
        assert!(matches!(outcome, Outcome::Event(event) if event.text == line(n as u64)));
    }
}

#[test]
fn what_cannot_be_read_at_all_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no disk"))
        }
    }
    let mut events = Events::new(io::BufReader::new(Broken), Parser::auto(ARRIVAL));
    assert!(events.next(ARRIVAL).is_err());
    assert_eq!(events.next(ARRIVAL).expect("the end"), None);
}

/// Gives these pieces one after another; an empty one is a silence.
struct Slow(std::collections::VecDeque<&'static [u8]>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        if piece.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

#[test]
fn a_silence_closes_an_event_and_cuts_no_line() {
    let pieces: [&[u8]; 7] = [
        b"2031-04-05 06:07:08,009 ERROR lost\n\tat Job.run",
        b"",
        b"(Job.java:7)\n",
        b"",
        b"2031-04-05 06:07:0",
        b"",
        b"9,010 INFO again",
    ];
    let reader = io::BufReader::new(Slow(pieces.into()));
    let mut events = Events::new(reader, Parser::auto(ARRIVAL));
    let (mut all, mut silences) = (Vec::new(), 0);
    loop {
        match events.next(ARRIVAL) {
            Ok(Some(Outcome::Event(event))) => all.push(event),
            Ok(Some(rejected)) => panic!("{rejected:?}"),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                silences += 1;
                // The first comes amid a trace whose first line may wait.
                all.extend((silences > 1).then(|| events.pause()).flatten());
            }
        }
    }
    let texts: Vec<&str> = all.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(texts, [&format!("{A}\n\tat Job.run(Job.java:7)"), B]);
    assert_eq!(silences, 3);
}
