//! Moments as people and programs write them.

use super::parse::{Format, Parser};
use super::partition::Nanos;
use super::zone::Zone;
use crate::config::parse_duration;
use crate::error::{Error, Result};

/// A moment: how long before `now`, or a date, with or without a time of the day; UTC unless it names its zone.
///
/// # Errors
/// [`Error::Invalid`]: it is none.
pub fn parse_time(word: &str, now: Nanos) -> Result<Nanos> {
    if let Ok(ago) = parse_duration(word) {
        return Ok(now.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)));
    }
    let mut parser = Parser::new(Some(Format::Iso), Zone::utc(), now);
    let shapes = [word.to_owned(), format!("{word}:00"), format!("{word}T00:00:00")];
    let found = shapes.iter().find_map(|shape| parser.line(shape).at);
    found.ok_or_else(|| {
        let shown: String = word.chars().take(80).collect();
        Error::Invalid(format!(
            "`{shown}` is no time; use 2026-01-02, 2026-01-02T03:04:05Z, or how long ago, as 15m"
        ))
    })
}

/// As RFC 3339 in UTC, with as many digits as it takes.
pub fn show_time(at: Nanos) -> String {
    let shown = jiff::Timestamp::from_nanosecond(at.into());
    shown.map_or_else(|_| at.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_write_them() {
        const SECOND: Nanos = 1_000_000_000;
        let now = 1_767_323_045 * SECOND;
        for (word, wanted) in [
            ("2026-01-02T03:04:05Z", now),
            ("2026-01-02T04:04:05+01:00", now),
            ("2026-01-02 03:04:05", now),
            ("2026-01-02T03:04", now - 5 * SECOND),
            ("2026-01-02", now - (3 * 3600 + 4 * 60 + 5) * SECOND),
            ("15m", now - 900 * SECOND),
        ] {
            assert_eq!(parse_time(word, now), Ok(wanted), "{word}");
        }
        for word in ["", "yesterday", "2026-13-01", "12"] {
            assert!(parse_time(word, now).is_err(), "{word}");
        }
        assert_eq!(show_time(now), "2026-01-02T03:04:05Z");
        assert_eq!(show_time(now + 1), "2026-01-02T03:04:05.000000001Z");
        assert_eq!(parse_time(&show_time(now - 1), now), Ok(now - 1));
    }
}
