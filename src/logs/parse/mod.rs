//! One line: when was it written, how bad is it, and does it begin something or go on with it?
//!
//! ```text
//!   2031-04-05 06:07:08,009 ERROR [main] Job: lost    at, level; begins
//!   java.io.IOException: reset by peer                an undated line after a dated one goes on with it
//!       at Job.run(Job.java:7)
//!   2031-04-05 06:07:09,010 INFO  [main] Job: again   begins
//!
//!   auto:  what matched last ──no──▶ what the first byte allows ──no──▶ undated
//! ```
//!
//! Scanners of bytes by hand, no regular expressions: a store takes lines in faster than it takes anything else.
//! Every shape has a file: [`iso`], [`log4j`] for the shorter stamps, [`syslog`], [`apache`], [`json`]. `words` finds
//! the level in what is behind the stamp; `calendar` knows zones, and years where there are none.

mod apache;
mod calendar;
mod cursor;
mod format;
mod iso;
mod json;
mod log4j;
mod message;
mod syslog;
#[cfg(test)]
mod tests;
mod words;

pub use format::Format;
pub use message::Message;

use super::level::Level;
use super::zone::Zone;
use calendar::Calendar;
use std::borrow::Cow;

/// Nanoseconds since 1970, UTC.
pub type Nanos = i64;

/// What a line says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// When it was written.
    pub at: Option<Nanos>,
    /// How bad it is.
    pub level: Option<Level>,
    /// The level as it was written; also a word that is none of ours.
    pub word: Option<Cow<'a, str>>,
    /// It begins an event; else it goes on with the one before.
    pub begins: bool,
    /// Whose line it is, if it says so itself in a field of JSON.
    pub source: Option<Cow<'a, str>>,
    /// What is to be kept: the line as it was.
    pub text: Cow<'a, str>,
}

/// What a format finds in a line that is one of its own.
#[derive(Debug, Default)]
struct Found<'a> {
    at: Option<Nanos>,
    level: Option<Level>,
    word: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
}

impl<'a> Found<'a> {
    /// Dated, with a level that the line may or may not have.
    fn dated(at: Nanos, level: Option<(Level, &'a str)>) -> Found<'a> {
        let (level, word) = level.unzip();
        Found { at: Some(at), level, word: word.map(Cow::Borrowed), source: None }
    }
}

/// Takes the lines of one stream, in order.
#[derive(Clone, Debug)]
pub struct Parser {
    /// What the lines are said to be; nothing: each is recognised by itself.
    given: Option<Format>,
    /// What matched last.
    settled: Option<Format>,
    calendar: Calendar,
    /// There has been a dated line: one without a date goes on with it.
    dated: bool,
}

impl Parser {
    /// For lines of a format, or, with none, of any. `zone` is for stamps that name none, `year_from`, the time of arrival,
    /// for those without a year: theirs is the newest that does not put them more than a day into its future.
    pub fn new(format: Option<Format>, zone: Zone, year_from: Nanos) -> Parser {
        let calendar = Calendar::new(zone, year_from);
        Parser { given: format, settled: None, calendar, dated: false }
    }

    /// Recognises each line by itself; clocks that name no zone show UTC.
    pub fn auto(year_from: Nanos) -> Parser {
        Parser::new(None, Zone::utc(), year_from)
    }

    /// A stream may outlive a year: lines that come from now on arrived then.
    pub fn arrive(&mut self, at: Nanos) {
        self.calendar.arrive(at);
    }

    /// The format, as given or as it was last recognised.
    pub fn format(&self) -> Option<Format> {
        self.given.or(self.settled)
    }

    /// Takes the next line, without its line break.
    pub fn line<'a>(&mut self, line: &'a str) -> Parsed<'a> {
        match self.find(line) {
            Some(found) => {
                self.dated |= found.at.is_some();
                let Found { at, level, word, source } = found;
                Parsed { at, level, word, begins: true, source, text: Cow::Borrowed(line) }
            }
            None => self.undated(line),
        }
    }

    fn find<'a>(&mut self, line: &'a str) -> Option<Found<'a>> {
        if let Some(format) = self.given {
            return format.read(line, &mut self.calendar);
        }
        if let Some(found) = self.settled.and_then(|last| last.read(line, &mut self.calendar)) {
            return Some(found);
        }
        for format in Format::candidates(line) {
            if Some(*format) != self.settled
                && let Some(found) = format.read(line, &mut self.calendar)
            {
                self.settled = Some(*format);
                return Some(found);
            }
        }
        None
    }

    fn undated<'a>(&self, line: &'a str) -> Parsed<'a> {
        let begins = !self.dated && !words::goes_on(line);
        // The level of a trace is that of the line that it belongs to.
        let level = if begins { words::level(line) } else { None };
        let (level, word) = level.unzip();
        let word = word.map(Cow::Borrowed);
        Parsed { at: None, level, word, begins, source: None, text: Cow::Borrowed(line) }
    }
}
