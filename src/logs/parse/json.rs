//! Lines that are objects of JSON: fields with the usual names are read, the rest is passed over.
//!
//! ```text
//!   {"ts": 1933135628.009, "severity": "warning", "service": "billing", "message": …}
//!     └─ seconds, or milli-, micro-, nanoseconds: by how large it is; or a stamp in a string
//! ```
//!
//! The message stays where it is: the line is kept whole.

use super::calendar::Calendar;
use super::cursor::Cursor;
use super::{Found, Nanos, iso};
use crate::logs::level::Level;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What the time is called, the surest name first.
const TIMES: [&str; 7] = ["timestamp", "@timestamp", "ts", "time", "datetime", "date", "t"];
const LEVELS: [&str; 5] = ["level", "severity", "log.level", "loglevel", "lvl"];
const SOURCES: [&str; 3] = ["source", "service", "service.name"];

/// Less than this, in seconds (it is in 1973), is no time but a duration or a count.
const EARLIEST: i64 = 100_000_000;

pub(super) fn read<'a>(line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    let fields = object(line, Fields::default())?;
    let at = fields.times.iter().flatten().find_map(|value| time(value, calendar));
    let word = |value: &&'a str| text(value).or_else(|| number(value).map(Cow::Borrowed));
    let word = fields.levels.iter().flatten().find_map(word);
    let level = word.as_deref().and_then(level);
    let source = fields.sources.iter().flatten().find_map(|value| text(value));
    Some(Found { at, level, word, source })
}

fn object<'a, V: Visitor<'a>>(json: &'a str, fields: V) -> Option<V::Value> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = deserializer.deserialize_map(fields).ok()?;
    deserializer.end().ok()?;
    Some(found)
}

/// The fields that were found, as they are written, in the order of the names above.
#[derive(Default)]
struct Fields<'a> {
    times: [Option<&'a str>; TIMES.len()],
    levels: [Option<&'a str>; LEVELS.len()],
    sources: [Option<&'a str>; SOURCES.len()],
}

impl<'a> Fields<'a> {
    /// The place for a field of this name, if it is wanted and has not been there yet.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        let index =
            |names: &[&str]| names.iter().position(|known| known.eq_ignore_ascii_case(name));
        let place = match (index(&TIMES), index(&LEVELS), index(&SOURCES)) {
            (Some(index), _, _) => &mut self.times[index],
            (_, Some(index), _) => &mut self.levels[index],
            (_, _, index) => &mut self.sources[index?],
        };
        place.is_none().then_some(place)
    }
}

impl<'a> Visitor<'a> for Fields<'a> {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Fields<'a>, A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if name == "log" {
                // `{"log": {"level": …}}`; as a string it is the message of a container.
                let inner: &RawValue = map.next_value()?;
                if let Some(inner) = object(inner.get(), Fields::default())
                    && let [place @ None, ..] = &mut self.levels
                {
                    *place = inner.levels[0];
                }
            } else if let Some(place) = self.place(&name) {
                *place = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(self)
    }
}

/// A name of a field; borrowed, unless something in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The value as a string, if it is one.
fn text(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    match inside.contains('\\') {
        false => Some(Cow::Borrowed(inside)),
        true => serde_json::from_str(value).ok().map(Cow::Owned),
    }
}

/// The value as a number, if it is one.
fn number(value: &str) -> Option<&str> {
    value.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(value)
}

/// A word, a severity of syslog, or a number as bunyan and pino have them: 10, 20, …, 60.
fn level(word: &str) -> Option<Level> {
    Level::of_word(word).or_else(|| {
        let step: usize = word.parse().ok().filter(|number| number % 10 == 0)?;
        Level::ALL.get((step / 10).checked_sub(1)?).copied()
    })
}

fn time(value: &str, calendar: &mut Calendar) -> Option<Nanos> {
    let text = text(value);
    let written = text.as_deref().or_else(|| number(value))?;
    let mut cursor = Cursor::new(written);
    epoch(written).or_else(|| iso::stamp(&mut cursor, calendar))
}

/// A count since 1970, of whatever makes it a time that logs have: of seconds, down to nanoseconds.
fn epoch(written: &str) -> Option<Nanos> {
    if written.contains(['e', 'E']) {
        return by_magnitude(written.parse::<f64>().ok()? as i64, 0);
    }
    let (whole, fraction) = written.split_once('.').unwrap_or((written, "0"));
    if !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut fraction = Cursor::new(fraction);
    let nanos = fraction.fraction()?;
    fraction.rest().is_empty().then_some(())?;
    by_magnitude(whole.parse().ok()?, nanos)
}

/// `fraction` is of the unit, in billionths.
fn by_magnitude(count: i64, fraction: u32) -> Option<Nanos> {
    if count < EARLIEST {
        return None;
    }
    let unit = match count {
        ..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    count.checked_mul(unit)?.checked_add(i64::from(fraction) * unit / 1_000_000_000)
}
