//! Stamps with a whole year, in the order of ISO 8601 or nearly.
//!
//! ```text
//!   2031-04-05T06:07:08.009Z INFO …      2031/04/05 06:07:08 [error] …     20310405 060708 …
//!   [2031-04-05 06:07:08,009] WARN …     time="2031-04-05T06:07:08+02:00" level=warn …
//!   INFO  [main] 2031-04-05 06:07:08,009 …           the level first
//! ```

use super::calendar::{self, Calendar, Date};
use super::cursor::{Cursor, without_colours};
use super::{Found, Nanos, words};

/// The keys that a line of `key=value` has its time under.
const KEYS: [&str; 4] = ["time=", "ts=", "timestamp=", "t="];

pub(super) fn read<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let line = without_colours(line);
    let mut cursor = Cursor::new(line);
    match cursor.peek()? {
        b'0'..=b'9' => {}
        b'[' | b'(' | b'"' => {
            cursor.eat_one_of(b"[(\"");
            // `[INFO] 2031-04-05 …`
            if !cursor.peek()?.is_ascii_digit() {
                return level_first(line, calendar);
            }
        }
        b't' => {
            KEYS.iter().find(|key| cursor.eat_str(key))?;
            cursor.eat(b'"');
        }
        _ => return level_first(line, calendar),
    }
    let at = stamp(&mut cursor, calendar)?;
    Some(Found::dated(at, words::level_behind_stamp(cursor.rest())))
}

/// The time that the cursor stands before.
pub(super) fn stamp(cursor: &mut Cursor<'_>, calendar: &mut Calendar) -> Option<Nanos> {
    let year = cursor.digits(4)?.into();
    let separator = cursor.eat_one_of(b"-/.");
    let month = cursor.digits(2)?;
    if let Some(separator) = separator
        && !cursor.eat(separator)
    {
        return None;
    }
    let day = cursor.digits(2)?;
    cursor.eat_one_of(b"Tt ")?;
    let time = calendar::time(cursor)?;
    let offset = calendar::offset(cursor);
    if cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        return None;
    }
    calendar.at(Date { year, month, day }, time, offset)
}

/// `INFO 2031-04-05 …`, and with a thread or the like in brackets before the date.
fn level_first<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let (level, behind) = words::first_word(line)?;
    let mut rest = behind.trim_start();
    if rest.starts_with('[') && !rest.as_bytes().get(1)?.is_ascii_digit() {
        rest = rest.get(rest.find(']')? + 1..)?.trim_start();
    }
    let mut cursor = Cursor::new(rest);
    cursor.eat(b'[');
    let at = stamp(&mut cursor, calendar)?;
    Some(Found::dated(at, Some(level)))
}
