//! Whatever comes: it does not panic, and no line is lost.

use super::*;
use crate::logs::{Events, Outcome};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const GOOD: [&str; 13] = [
    "2031-04-05T06:07:08.009Z level=info msg=x",
    "[2031-04-05 06:07:08,009 +0200] WARN [main] x",
    "ERROR [main] 2031-04-05 06:07:08,009 x",
    "31/04/05 06:07:08 ERROR Job: x",
    "310405 060708 148 WARN dfs.Node: x",
    "04-05 06:07:08.009  1702  2395 D Tag: x",
    "E0405 06:07:08.009000       7 file.go:7] x",
    "<34>Apr  5 06:07:08 host su[7]: error: x",
    "<34>1 2031-04-05T06:07:08.009Z host su 7 ID [a b=\"c\"] x",
    "[Sat Apr 05 06:07:08.009010 2031] [core:error] [pid 7] x",
    "h - a [05/Apr/2031:06:07:08 +0200] \"GET /\\\" HTTP/1.1\" 503 7",
    r#"{"ts":1933135628.009,"log":{"level":"\u0069nfo"},"source":"x"}"#,
    "\x1b[2m2031-04-05T06:07:08Z\x1b[0m \x1b[31mERROR\x1b[0m x",
];

fn take(line: &str) {
    for format in [None].into_iter().chain(Format::ALL.map(Some)) {
        let mut parser = parser(format);
        for _ in 0..2 {
            assert_eq!(parser.line(line).text, line);
        }
    }
}

/// A good line of which some characters are others.
fn mutated() -> impl Strategy<Value = String> {
    let changes = vec(
        (any::<Index>(), select(vec!['0', '9', ' ', '[', ']', '"', '\\', '-', 'é', '\u{1b}', 'Z'])),
        0..6,
    );
    (select(&GOOD[..]), changes, any::<Index>()).prop_map(|(line, changes, cut)| {
        let mut line: Vec<char> = line.chars().collect();
        for (place, other) in changes {
            let place = place.index(line.len());
            line[place] = other;
        }
        line.truncate(cut.index(2 * line.len()));
        line.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn any_line_is_taken(line in "\\PC{0,200}") {
        take(&line);
    }

    #[test]
    fn any_line_that_was_good_is_taken(line in mutated()) {
        take(&line);
    }

    #[test]
    fn every_line_is_in_one_event_or_empty_or_rejected(
        lines in vec(
            prop_oneof![
                mutated().prop_map(String::into_bytes),
                select(vec![&b""[..], b" ", b"\tat x", b"x"]).prop_map(<[u8]>::to_vec),
                vec(any::<u8>(), 0..20),
            ],
            0..20,
        )
    ) {
        let bytes = lines.join(&b'\n');
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        let lines = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let lines: Vec<&[u8]> = lines.collect();
        let mut events = Events::new(&bytes[..], parser(None));
        // The next line that nothing has been said of.
        let mut next = 0;
        while let Some(outcome) = events.next(7).expect("memory") {
            let first = match &outcome {
                Outcome::Event(event) => event.first_line,
                Outcome::Rejected(rejected) => rejected.line,
            } as usize - 1;
            for dropped in &lines[next..first] {
                prop_assert!(dropped.trim_ascii().is_empty(), "{dropped:?} is lost");
            }
            next = first + 1;
            match outcome {
                Outcome::Event(event) => {
                    next = first + event.lines as usize;
                    prop_assert_eq!(event.text.as_bytes(), lines[first..next].join(&b'\n'));
                }
                Outcome::Rejected(_) => {
                    prop_assert!(std::str::from_utf8(lines[first]).is_err());
                }
            }
        }
        for dropped in &lines[next..] {
            prop_assert!(dropped.trim_ascii().is_empty(), "{dropped:?} is lost");
        }
    }
}
