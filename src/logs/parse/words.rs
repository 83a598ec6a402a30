//! The level in a line that has it as a word: one that stands for itself, not one of running prose.
//!
//! ```text
//!   - WARN  [main] …   [error] …   level=info …   "level":"warn"   | DEBUG |   <ERROR>      yes
//!   an error happened   ERROR_CODE=7   in error state 6   errors: 0                         no
//! ```

use super::cursor::{colour_length, without_colours};
use crate::logs::level::Level;

/// How far a level is looked for.
const REACH: usize = 120;

/// What a key is called that has a level, or how its name ends.
const KEYS: [&[u8]; 4] = [b"level", b"lvl", b"severity", b"priority"];

/// How the lines of a stack trace begin that no whitespace begins.
const TRACES: [&str; 5] = ["Caused by:", "at ", "... ", "Traceback (", "Suppressed:"];

/// The first level in this text.
pub(super) fn level(text: &str) -> Option<(Level, &str)> {
    search(text, false)
}

/// The first level behind a stamp; there, a word is one in any case if a colon, a tab or a gap sets it off.
pub(super) fn level_behind_stamp(text: &str) -> Option<(Level, &str)> {
    search(text, true)
}

/// The level that a line begins with, and what is behind it.
pub(super) fn first_word(line: &str) -> Option<((Level, &str), &str)> {
    let from = line.bytes().position(|b| b != b'[')?;
    let rest = line.get(from..)?;
    let word = rest.get(..word_length(rest.as_bytes(), 0))?;
    let level = Level::of_word(word)?;
    let is_upper = word.bytes().all(|b| b.is_ascii_uppercase());
    let behind = rest.get(word.len()..)?.trim_start_matches([']', ':']);
    (is_upper || from > 0).then_some(((level, word), behind))
}

/// Whether an undated line goes on with the one before, whatever that is.
pub(super) fn goes_on(line: &str) -> bool {
    line.starts_with([' ', '\t']) || TRACES.iter().any(|opening| line.starts_with(opening))
}

fn search(text: &str, mut opening: bool) -> Option<(Level, &str)> {
    let bytes = text.as_bytes();
    let reach = bytes.len().min(REACH);
    // The end of the last colour: a word may begin there.
    let mut coloured = 0;
    let mut at = 0;
    while at < reach {
        if !is_word(bytes[at]) {
            let colour = colour_length(&bytes[at..]);
            at += colour.max(1);
            coloured = if colour > 0 { at } else { coloured };
            continue;
        }
        let length = word_length(bytes, at);
        let end = at + length;
        if let Some(word) = text.get(at..end)
            && let Some(level) = Level::of_word(word)
            && length > 1
            && (stands_alone(bytes, at, end, at == coloured)
                || is_keyed(&bytes[..at])
                || (opening && is_set_off(&bytes[end..])))
        {
            return Some((level, word));
        }
        opening = false;
        at = end;
    }
    None
}

/// Whether a word is in brackets, or in upper case between things that are no words.
fn stands_alone(bytes: &[u8], from: usize, to: usize, coloured: bool) -> bool {
    let before = from.checked_sub(1).map(|index| bytes[index]);
    let after = bytes.get(to).copied();
    if before == Some(b'[') && after == Some(b']') {
        return true;
    }
    let opens = coloured || before.is_none_or(|b| b" \t[(<|-*".contains(&b));
    let closes = after.is_none_or(|b| b" \t\x1b:])>|,-*".contains(&b));
    opens && closes && bytes[from..to].iter().all(u8::is_ascii_uppercase)
}

/// Whether what is before a word makes it the value of a key: `level=`, `"level":"`, `log.level: `.
fn is_keyed(before: &[u8]) -> bool {
    let value = strip_last(before, b"\"'");
    let operator = strip_last(value, b" ");
    let assigned = strip_last(operator, b"=:");
    let key = strip_last(assigned, b"\"'");
    assigned.len() < operator.len()
        && KEYS.iter().any(|name| {
            let from = key.len().checked_sub(name.len());
            from.is_some_and(|from| key[from..].eq_ignore_ascii_case(name))
        })
}

fn strip_last<'a>(bytes: &'a [u8], any: &[u8]) -> &'a [u8] {
    match bytes {
        [rest @ .., last] if any.contains(last) => rest,
        _ => bytes,
    }
}

/// `info: …`, `Info<tab>…`, `Info  …`
fn is_set_off(behind: &[u8]) -> bool {
    matches!(behind, [b':' | b'\t', ..] | [b' ', b' ', ..])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn word_length(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().take_while(|byte| is_word(**byte)).count()
}

/// What a syslog line has as its level where no number says it: the first word of its message, or any that stands alone.
pub(super) fn level_of_message(text: &str) -> Option<(Level, &str)> {
    let message = text.find(": ").and_then(|colon| text.get(colon + 2..));
    let opened = message.and_then(|message| {
        let word = message.get(..word_length(message.as_bytes(), 0))?;
        let level = Level::of_word(word).filter(|_| word.len() > 1)?;
        message.get(word.len()..)?.starts_with(':').then_some((level, word))
    });
    opened.or_else(|| level(without_colours(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found =
            [level(text), level_behind_stamp(text)].map(|l| l.map_or("-", |(_, word)| word));
        assert_eq!(found, *expected, "{text}");
    }

    #[test]
    fn a_word_that_stands_for_itself_is_a_level() {
        for (text, word) in [
            ("ERROR: disk", "ERROR"),
            (" - WARN  [main] x", "WARN"),
            ("[ERROR] x", "ERROR"),
            ("[error] x", "error"),
            ("[ INFO ] x", "INFO"),
            ("<FATAL> x", "FATAL"),
            ("| DEBUG    | app:run:1 - x", "DEBUG"),
            ("root - WARNING - x", "WARNING"),
            ("level=warn msg=x", "warn"),
            ("msg=x level=\"warn\"", "warn"),
            ("{\"n\":1,\"level\":\"warn\"", "warn"),
            ("log.level: Critical, x", "Critical"),
            ("\x1b[32mINFO\x1b[0m x", "INFO"),
            ("\x1b[2m\x1b[38;5;9m ERR\x1b[0m x", "ERR"),
            ("INFO WARN ERROR", "INFO"),
            ("all is well NOTICE", "NOTICE"),
        ] {
            check(text, &[word, word]);
        }
    }

    #[test]
    fn a_word_of_running_prose_is_none() {
        for text in [
            "",
            "an error happened",
            "workers in error state 6",
            "ERROR_CODE=7",
            "MYERROR",
            "ERRORS",
            "org.x.ERROR.y",
            "the info: 7",
            "level= x",
            "the level error is reached",
            "7 [3] 2",
            "info",
            "ÄERROR x",
            "\x1b[",
            "\x1b[9999999999999999999999999999999mERROR",
        ] {
            check(text, &["-", "-"]);
        }
        let far = format!("{}ERROR", " ".repeat(REACH));
        check(&far, &["-", "-"]);
    }

    #[test]
    fn behind_a_stamp_the_first_word_may_be_set_off() {
        check(", Info                  CBS x", &["-", "Info"]);
        check(" warning: x", &["-", "warning"]);
        check(" warning x", &["-", "-"]);
    }

    #[test]
    fn stack_traces_go_on() {
        for line in
            ["\tat a.B(C.java:1)", "at a.B", "Caused by: x", "... 7 more", "  x", "Traceback (most"]
        {
            assert!(goes_on(line), "{line}");
        }
        for line in ["", "x", "attention", "Caused it", "..."] {
            assert!(!goes_on(line), "{line}");
        }
    }
}
