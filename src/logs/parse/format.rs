//! The shapes of lines, by name, and which of them a line can have at all.

use super::calendar::Calendar;
use super::cursor::without_colours;
use super::{Found, apache, iso, json, log4j, syslog};
use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `2031-04-05T06:07:08.009Z level=info …`
    Iso,
    /// `2031-04-05 06:07:08,009 INFO [main] …`, and the shorter stamps of its relatives: `31/04/05 06:07:08 INFO …`.
    Log4j,
    /// `<34>Apr  5 06:07:08 host app[1]: …`
    Syslog3164,
    /// `<34>1 2031-04-05T06:07:08.009Z host app 1 - - …`
    Syslog5424,
    /// `[Sat Apr 05 06:07:08 2031] [error] …`
    ApacheError,
    /// `10.0.0.1 - - [05/Apr/2031:06:07:08 +0200] "GET / HTTP/1.1" 200 17`
    ApacheAccess,
    /// `{"time": "2031-04-05T06:07:08.009Z", "level": "info", …}`
    Json,
    /// Lines without dates.
    Plain,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 8] = [
        Format::Iso,
        Format::Log4j,
        Format::Syslog3164,
        Format::Syslog5424,
        Format::ApacheError,
        Format::ApacheAccess,
        Format::Json,
        Format::Plain,
    ];

    /// Its name: `log4j`, `apache-error`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Iso => "iso",
            Format::Log4j => "log4j",
            Format::Syslog3164 => "syslog",
            Format::Syslog5424 => "syslog5424",
            Format::ApacheError => "apache-error",
            Format::ApacheAccess => "apache-access",
            Format::Json => "json",
            Format::Plain => "plain",
        }
    }

    /// What the line says, if it has this shape.
    pub(super) fn read<'a>(self, line: &'a str, calendar: &mut Calendar) -> Option<Found<'a>> {
        match self {
            Format::Iso => iso::read(line, calendar),
            Format::Log4j => log4j::read(line, calendar),
            Format::Syslog3164 => syslog::read_3164(line, calendar),
            Format::Syslog5424 => syslog::read_5424(line, calendar),
            Format::ApacheError => apache::read_error(line, calendar),
            Format::ApacheAccess => apache::read_access(line, calendar),
            Format::Json => json::read(line, calendar),
            Format::Plain => None,
        }
    }

    /// The shapes that a line may have, by how it begins.
    pub(super) fn candidates(line: &str) -> &'static [Format] {
        use Format::*;
        let bytes = without_colours(line).as_bytes();
        match bytes {
            [b'{', ..] => &[Json],
            [b'<', ..] => &[Syslog5424, Syslog3164],
            [b'[', ..] => &[ApacheError, Iso],
            // A comma before the fraction is log4j's; so is what has no four digits of a year.
            [b'0'..=b'9', ..] if bytes.get(19) == Some(&b',') => &[Log4j, ApacheAccess],
            [b'0'..=b'9', ..] => &[Iso, Log4j, ApacheAccess],
            [b'A'..=b'Z', ..] => &[Syslog3164, Iso, Log4j, ApacheAccess],
            // The stack traces of the world: never dated, often long.
            [b' ' | b'\t', ..] | [] => &[],
            _ => &[Iso, ApacheAccess],
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Format, Error> {
        Format::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
            let names = Format::ALL.map(Format::as_str).join(", ");
            Error::Invalid(format!("there is no log format {name:?}; say one of: {names}"))
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
