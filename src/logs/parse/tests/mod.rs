//! Lines of every shape, what is read out of them, and junk that must do no harm.
//!
//! What time a line means is said by another implementation of calendars than ours.

mod formats;
mod junk;
mod real;
mod streams;

use super::*;

/// When the lines of these tests arrive.
const ARRIVAL: &str = "2031-05-01T00:00:00Z";

fn nanos(stamp: &str) -> Nanos {
    let stamp: jiff::Timestamp = stamp.parse().expect("a stamp");
    stamp.as_nanosecond().try_into().expect("near enough")
}

fn parser(format: Option<Format>) -> Parser {
    Parser::new(format, "Europe/Berlin".parse().expect("a zone"), nanos(ARRIVAL))
}
