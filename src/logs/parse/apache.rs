//! The two logs of a web server: what went wrong, and what was asked for.
//!
//! ```text
//!   [Sat Apr 05 06:07:08 2031] [error] …                              error, 2.2
//!   [Sat Apr 05 06:07:08.009010 2031] [core:error] [pid 7] …          error, 2.4
//!   10.0.0.1 - - [05/Apr/2031:06:07:08 +0200] "GET / HTTP/1.1" 503 7  access: the status is the level
//! ```

use super::Found;
use super::calendar::{self, Calendar, Date};
use super::cursor::Cursor;
use crate::logs::level::Level;

/// How far into a line the stamp of an access is looked for: host, identity and user are before it.
const REACH: usize = 512;

pub(super) fn read_error<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let mut cursor = Cursor::new(line);
    cursor.eat(b'[').then_some(())?;
    if !["Sun ", "Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat "]
        .iter()
        .any(|day| cursor.eat_str(day))
    {
        return None;
    }
    let month = cursor.month()?;
    cursor.eat(b' ').then_some(())?;
    cursor.skip_spaces();
    let day = cursor.number(2)?;
    cursor.eat(b' ').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    cursor.eat(b' ').then_some(())?;
    let year = cursor.digits(4)?.into();
    cursor.eat(b']').then_some(())?;
    let at = calendar.at(Date { year, month, day }, time, None)?;
    Some(Found::dated(at, bracketed_level(cursor.rest())))
}

/// ` [error]`, ` [core:error]`, ` [ssl:trace4]`
fn bracketed_level(text: &str) -> Option<(Level, &str)> {
    let inside = text.strip_prefix(" [")?;
    let inside = inside.get(..inside.find(']')?)?;
    let word = inside.rsplit(':').next()?;
    Some((Level::of_word(word.trim_end_matches(|c: char| c.is_ascii_digit()))?, word))
}

pub(super) fn read_access<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let bytes = line.as_bytes();
    let near = &bytes[..bytes.len().min(REACH)];
    // A user may have a bracket in the name: the first that has a date behind it counts.
    let looks_right = |from: &usize| near[*from] == b'[' && bytes.get(*from + 3) == Some(&b'/');
    (0..near.len()).filter(looks_right).find_map(|from| access_at(line.get(from + 1..)?, calendar))
}

fn access_at<'a>(text: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    let mut cursor = Cursor::new(text);
    let day = cursor.digits(2)?;
    let month = cursor.eat(b'/').then(|| cursor.month())??;
    let year = cursor.eat(b'/').then(|| cursor.digits(4))??.into();
    cursor.eat(b':').then_some(())?;
    let time = calendar::time(&mut cursor)?;
    let offset = calendar::offset(&mut cursor);
    cursor.eat(b']').then_some(())?;
    let at = calendar.at(Date { year, month, day }, time, offset)?;
    Some(Found::dated(at, status_level(cursor.rest())))
}

/// The status behind the request, if it is one that complains.
fn status_level(text: &str) -> Option<(Level, &str)> {
    let request = text.strip_prefix(" \"")?;
    let bytes = request.as_bytes();
    let mut end = 0;
    while *bytes.get(end)? != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let status = request.get(end + 1..)?.strip_prefix(' ')?.split(' ').next()?;
    let level = match status.as_bytes() {
        [b'5', b'0'..=b'9', b'0'..=b'9'] => Level::Error,
        [b'4', b'0'..=b'9', b'0'..=b'9'] => Level::Warn,
        _ => return None,
    };
    Some((level, status))
}
