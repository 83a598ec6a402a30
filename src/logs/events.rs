//! Bytes into events: a line that begins something, with all that go on with it.
//!
//! ```text
//!   2031-04-05 06:07:08,009 ERROR lost   ┐
//!   java.io.IOException: reset           │ one event: first_line 1, lines 4
//!                                        │ an empty line inside is kept …
//!       at Job.run(Job.java:7)           ┘
//!                                          … and dropped between
//!   2031-04-05 06:07:09,010 INFO again     first_line 6
//!   0xff 0xfe …                            rejected: line 7
//! ```
//!
//! - At most one event and one line are in memory, and both have a limit.
//! - Every line is in one event, or empty, or rejected by its number.
//! - Events come in the order of their lines, rejected ones between them where they were.

use super::level::Level;
use super::parse::{Nanos, Parsed, Parser};
use std::io::{self, BufRead, Read};

/// The longest line that is taken; longer ones are rejected, and never held in memory.
pub const LINE_LIMIT: usize = 256 << 10;

/// The longest event, in bytes of text. The line that does not fit begins one of its own.
pub const EVENT_LIMIT: usize = 512 << 10;

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something that happened.
    Event(Event),
    /// A line that cannot be taken.
    Rejected(Rejected),
}

/// A line with all that go on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number of its first line; the first of all is 1.
    pub first_line: u64,
    /// How many lines it has, empty ones inside it too.
    pub lines: u64,
    /// When it happened.
    pub at: Nanos,
    /// How that is known.
    pub dated: Dated,
    /// How bad it is.
    pub level: Option<Level>,
    /// The level as it was written.
    pub word: Option<String>,
    /// Whose it is, if the line says so.
    pub source: Option<String>,
    /// Its lines, as they were, with `\n` between them.
    pub text: String,
}

/// How it is known when an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dated {
    /// Its line says it.
    ByLine,
    /// It came then.
    ByArrival,
}

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its number; the first of all is 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads events.
pub struct Events<R> {
    reader: R,
    parser: Parser,
    /// Lines read so far; the number of the last one.
    line: u64,
    bytes: Vec<u8>,
    /// They are the beginning of a line whose rest has not come yet.
    is_cut: bool,
    /// What is still growing.
    open: Option<Event>,
    /// Empty lines behind the open event: inside it, if it goes on.
    blank: String,
    blanks: u64,
    /// What comes after the open event that was just given.
    rejected: Option<Rejected>,
    /// What an event that goes on with one that is closed takes over from it.
    before: Option<(Nanos, Dated)>,
    /// The newest time that was given by arrival.
    arrived: Nanos,
    ended: bool,
}

/// What the reader has next.
enum Line {
    Taken,
    Rejected(String),
    End,
    Broken(io::Error),
}

impl<R: BufRead> Events<R> {
    /// The events of these bytes, whose lines the parser takes.
    pub fn new(reader: R, parser: Parser) -> Events<R> {
        Events {
            reader,
            parser,
            line: 0,
            bytes: Vec::new(),
            is_cut: false,
            open: None,
            blank: String::new(),
            blanks: 0,
            rejected: None,
            before: None,
            arrived: Nanos::MIN,
            ended: false,
        }
    }

    /// The parser, which knows what the lines turned out to be.
    pub fn parser(&self) -> &Parser {
        &self.parser
    }

    /// The next one; `None` is the end. Undated lines get the time of their arrival, each a nanosecond after the one before.
    /// An error: nothing could be read at all. If that happens later, what came before is given, then the line where
    /// it happened as a rejected one. Of kind [`TimedOut`](io::ErrorKind::TimedOut) it is none: the reader says that nothing
    /// came for a while; go on, perhaps with [`pause`](Events::pause) before.
    pub fn next(&mut self, arrival: Nanos) -> io::Result<Option<Outcome>> {
        if let Some(rejected) = self.rejected.take() {
            return Ok(Some(Outcome::Rejected(rejected)));
        }
        self.parser.arrive(arrival);
        while !self.ended {
            let closed = match self.read() {
                Line::Taken => self.take(arrival),
                Line::Rejected(reason) => self.reject(reason),
                Line::End => {
                    self.ended = true;
                    self.open.take().map(Outcome::Event)
                }
                Line::Broken(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(error);
                }
                Line::Broken(error) => {
                    self.ended = true;
                    if self.line == 0 {
                        return Err(error);
                    }
                    self.line += 1;
                    self.reject(format!("cannot be read on: {error}"))
                }
            };
            if closed.is_some() {
                return Ok(closed);
            }
        }
        Ok(None)
    }

    /// The event that is still growing, as it is. What goes on with it later is one of its own, with the same time.
    pub fn pause(&mut self) -> Option<Event> {
        self.forget_blank();
        self.open.take()
    }

    /// Reads a line into `bytes`, without its break. What there is of it when reading fails is no line.
    fn read(&mut self) -> Line {
        if !std::mem::take(&mut self.is_cut) {
            self.bytes.clear();
        }
        let most = LINE_LIMIT + 2 - self.bytes.len();
        match (&mut self.reader).take(most as u64).read_until(b'\n', &mut self.bytes) {
            Ok(0) if self.bytes.is_empty() => return Line::End,
            Ok(_) => {}
            Err(error) => {
                self.is_cut = error.kind() == io::ErrorKind::TimedOut;
                return Line::Broken(error);
            }
        }
        let has_break = self.bytes.pop_if(|last| *last == b'\n').is_some();
        while !has_break && self.bytes.len() > LINE_LIMIT {
            match self.reader.skip_until(b'\n') {
                Ok(_) => break,
                // Of such a line nothing is wanted but its end.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => return Line::Broken(error),
            }
        }
        self.line += 1;
        self.bytes.pop_if(|last| *last == b'\r');
        if self.bytes.len() > LINE_LIMIT {
            return Line::Rejected(format!("longer than {LINE_LIMIT} bytes"));
        }
        match std::str::from_utf8(&self.bytes) {
            Ok(_) => Line::Taken,
            Err(error) => Line::Rejected(format!("no UTF-8 from byte {} on", error.valid_up_to())),
        }
    }

    /// Takes the line in `bytes`; returns the event that it closes.
    fn take(&mut self, arrival: Nanos) -> Option<Outcome> {
        let bytes = std::mem::take(&mut self.bytes);
        let line = std::str::from_utf8(&bytes).expect("read() has looked");
        let closed = if line.trim_ascii().is_empty() {
            self.leave_blank(line)
        } else {
            self.add(line, arrival)
        };
        // The buffer is as good for the next line.
        self.bytes = bytes;
        closed.map(Outcome::Event)
    }

    /// An empty line: kept if the event before goes on behind it.
    fn leave_blank(&mut self, line: &str) -> Option<Event> {
        let open = self.open.as_ref()?;
        if open.text.len() + self.blank.len() + line.len() >= EVENT_LIMIT {
            self.forget_blank();
            return self.open.take();
        }
        self.blank.push('\n');
        self.blank.push_str(line);
        self.blanks += 1;
        None
    }

    fn add(&mut self, line: &str, arrival: Nanos) -> Option<Event> {
        let parsed = self.parser.line(line);
        if !parsed.begins
            && let Some(open) = &mut self.open
            && open.text.len() + self.blank.len() + 1 + line.len() <= EVENT_LIMIT
        {
            open.text.push_str(&self.blank);
            open.text.push('\n');
            open.text.push_str(&parsed.text);
            open.lines += self.blanks + 1;
            self.forget_blank();
            return None;
        }
        self.forget_blank();
        let event = self.begin(parsed, arrival);
        self.open.replace(event)
    }

    fn begin(&mut self, parsed: Parsed<'_>, arrival: Nanos) -> Event {
        let (at, dated) = match (parsed.at, self.before) {
            (Some(at), _) => (at, Dated::ByLine),
            (None, Some((at, Dated::ByLine))) if !parsed.begins => (at, Dated::ByLine),
            (None, _) => {
                self.arrived = arrival.max(self.arrived.saturating_add(1));
                (self.arrived, Dated::ByArrival)
            }
        };
        self.before = Some((at, dated));
        Event {
            first_line: self.line,
            lines: 1,
            at,
            dated,
            level: parsed.level,
            word: parsed.word.map(Into::into),
            source: parsed.source.map(Into::into),
            text: parsed.text.into_owned(),
        }
    }

    /// The line just read is rejected. What goes on behind it goes on with it, so it closes the event before.
    fn reject(&mut self, reason: String) -> Option<Outcome> {
        self.forget_blank();
        let rejected = Rejected { line: self.line, reason };
        match self.open.take() {
            Some(event) => {
                self.rejected = Some(rejected);
                Some(Outcome::Event(event))
            }
            None => Some(Outcome::Rejected(rejected)),
        }
    }

    fn forget_blank(&mut self) {
        self.blank.clear();
        self.blanks = 0;
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
