//! Lines as log4j and its relatives lay them out: also with stamps that leave out a century, a year or every sign.
//!
//! ```text
//!   2031-04-05 06:07:08,009 INFO [main] …     log4j
//!   31/04/05 06:07:08 INFO …                  Spark
//!   310405 060708 148 INFO …                  HDFS
//!   04-05 06:07:08.009  1702  2395 D Tag: …   Android
//!   I0405 06:07:08.009000  1 file.go:7] …     glog, klog
//! ```

use super::calendar::{self, Calendar, Date};
use super::cursor::{Cursor, without_colours};
use super::{Found, iso, words};
use crate::logs::level::Level;

pub(super) fn read<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let bytes = without_colours(line).as_bytes();
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    match bytes.get(2)? {
        b'/' => spark(line, calendar),
        b'-' => android(line, calendar),
        b'0'..=b'9' if bytes[0].is_ascii_uppercase() && is_digit(1) => glog(line, calendar),
        b'0'..=b'9' if bytes.get(6) == Some(&b' ') && is_digit(5) => hdfs(line, calendar),
        _ => iso::read(line, calendar),
    }
}

fn spark<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let mut cursor = Cursor::new(without_colours(line));
    let year = century(cursor.digits(2)?);
    let month = cursor.eat(b'/').then(|| cursor.digits(2))??;
    let day = cursor.eat(b'/').then(|| cursor.digits(2))??;
    cursor.eat(b' ').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    let at = calendar.at(Date { year, month, day }, time, None)?;
    Some(Found::dated(at, words::level_behind_stamp(cursor.rest())))
}

/// Only with a level: two numbers of six digits alone are any numbers.
fn hdfs<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let mut cursor = Cursor::new(without_colours(line));
    let year = century(cursor.digits(2)?);
    let (month, day) = (cursor.digits(2)?, cursor.digits(2)?);
    cursor.eat(b' ').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    cursor.eat(b' ').then_some(())?;
    let level = words::level(cursor.rest())?;
    let at = calendar.at(Date { year, month, day }, time, None)?;
    Some(Found::dated(at, Some(level)))
}

fn android<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let mut cursor = Cursor::new(without_colours(line));
    let month = cursor.digits(2)?;
    let day = cursor.eat(b'-').then(|| cursor.digits(2))??;
    cursor.eat(b' ').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    let at = calendar.at_without_year(month, day, time)?;
    let rest = cursor.rest();
    Some(Found::dated(at, logcat_letter(rest).or_else(|| words::level_behind_stamp(rest))))
}

/// Behind the numbers of process and thread, one letter.
fn logcat_letter(rest: &str) -> Option<(Level, &str)> {
    let mut fields = rest.split_ascii_whitespace();
    let is_number = |field: &str| field.bytes().all(|b| b.is_ascii_digit());
    if !fields.by_ref().take(2).all(is_number) {
        return None;
    }
    letter(fields.next()?)
}

fn letter(letter: &str) -> Option<(Level, &str)> {
    let &[byte] = letter.as_bytes() else { return None };
    Some((Level::of_letter(byte)?, letter))
}

fn glog<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let line = without_colours(line);
    let level = letter(line.get(..1)?)?;
    let mut cursor = Cursor::new(line.get(1..)?);
    let (month, day) = (cursor.digits(2)?, cursor.digits(2)?);
    cursor.eat(b' ').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    Some(Found::dated(calendar.at_without_year(month, day, time)?, Some(level)))
}

/// Two digits of a year, as POSIX takes them: 69 is 1969, 68 is 2068.
fn century(year: u32) -> i64 {
    i64::from(year) + if year < 69 { 2000 } else { 1900 }
}
