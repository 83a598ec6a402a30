//! Syslog, as everybody wrote it (RFC 3164) and as it was meant to be (RFC 5424).
//!
//! ```text
//!   <34>Apr  5 06:07:08 host app[1]: message                       no year; as in files, also without <34>
//!   <34>1 2031-04-05T06:07:08.009Z host app 1 - - message          a whole stamp, or `-`
//!    └─ facility · 8 + severity: 0 is an emergency, 7 is for debugging
//! ```

use super::calendar::{self, Calendar, Date};
use super::cursor::Cursor;
use super::{Found, Nanos, iso, words};
use crate::logs::level::Level;

/// The highest priority there is: 23 facilities, 8 severities.
const HIGHEST: u32 = 191;

/// The words of the severities.
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

pub(super) fn read_3164<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    Some(head_3164(line, calendar)?.0)
}

/// What it says, and what is behind its stamp.
pub(super) fn head_3164<'a>(
    line: &'a str,
    calendar: &mut Calendar,
) -> Option<(Found<'a>, &'a str)> {
    let mut cursor = Cursor::new(line);
    let level = match cursor.peek()? {
        b'<' => Some(priority(&mut cursor)?),
        _ => None,
    };
    let at = match cursor.peek()? {
        // What newer daemons write: the stamp of the new form in the old one.
        b'0'..=b'9' if level.is_some() => iso::stamp(&mut cursor, calendar)?,
        _ => stamp(&mut cursor, calendar)?,
    };
    let found = Found::dated(at, level.or_else(|| words::level_of_message(cursor.rest())));
    Some((found, cursor.rest()))
}

pub(super) fn read_5424<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    Some(head_5424(line, calendar)?.0)
}

/// What it says, and what is behind its stamp.
pub(super) fn head_5424<'a>(
    line: &'a str,
    calendar: &mut Calendar,
) -> Option<(Found<'a>, &'a str)> {
    let mut cursor = Cursor::new(line);
    let (level, word) = priority(&mut cursor)?;
    if !cursor.eat_str("1 ") {
        return None;
    }
    let at = match cursor.eat_str("- ") {
        true => None,
        false => Some(iso::stamp(&mut cursor, calendar)?),
    };
    let found = Found { at, level: Some(level), word: Some(word.into()), source: None };
    Some((found, cursor.rest()))
}

/// What has a priority and no stamp, as small devices write it, and what is behind the priority.
pub(super) fn head_undated(line: &str) -> Option<(Found<'_>, &str)> {
    let mut cursor = Cursor::new(line);
    let (level, word) = priority(&mut cursor)?;
    let found = Found { at: None, level: Some(level), word: Some(word.into()), source: None };
    Some((found, cursor.rest()))
}

/// `<34>`
fn priority(cursor: &mut Cursor<'_>) -> Option<(Level, &'static str)> {
    cursor.eat(b'<').then_some(())?;
    let priority = cursor.number(3).filter(|priority| *priority <= HIGHEST)?;
    cursor.eat(b'>').then_some(())?;
    let severity = (priority % 8) as u8;
    Some((Level::of_severity(severity)?, SEVERITIES[usize::from(severity)]))
}

/// `Apr  5 06:07:08`, and with a year before or behind the time.
fn stamp(cursor: &mut Cursor<'_>, calendar: &mut Calendar) -> Option<Nanos> {
    let month = cursor.month()?;
    cursor.eat(b' ').then_some(())?;
    cursor.skip_spaces();
    let day = cursor.number(2)?;
    cursor.eat(b' ').then_some(())?;
    let mut year = year(cursor);
    let time = calendar::time(cursor)?;
    let mut ahead = *cursor;
    if year.is_none() && ahead.eat(b' ') {
        year = self::year(&mut ahead);
        *cursor = if year.is_some() { ahead } else { *cursor };
    }
    match year {
        Some(year) => calendar.at(Date { year, month, day }, time, None),
        None => calendar.at_without_year(month, day, time),
    }
}

/// Four digits and a space.
fn year(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut ahead = *cursor;
    let year = ahead.digits(4).filter(|year| (1970..2200).contains(year))?;
    ahead.eat(b' ').then_some(())?;
    *cursor = ahead;
    Some(year.into())
}
