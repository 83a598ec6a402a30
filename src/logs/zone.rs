//! The zone of a clock that does not say which one it is in.
//!
//! ```text
//!   Europe/Berlin, 2031-10-26    01:00   02:00   02:00   03:00
//!                                  +2      +2 ──▶ +1      +1     what happened twice is taken as the first
//! ```

use crate::error::Error;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use std::fmt;
use std::str::FromStr;

/// A zone: `UTC`, `+02:00`, `Europe/Berlin`, or `local`, which is the machine's.
#[derive(Clone, Debug)]
pub struct Zone {
    rule: Rule,
    name: String,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Seconds east of Greenwich, always.
    Fixed(i32),
    Named(TimeZone),
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { rule: Rule::Fixed(0), name: "UTC".into() }
    }

    /// How many seconds its clocks are ahead of UTC when they show this, in seconds since 1970 as if they were UTC.
    pub(crate) fn offset(&self, shown: i64) -> i64 {
        match &self.rule {
            Rule::Fixed(seconds) => i64::from(*seconds),
            // Beyond the years that the rules cover, nobody's clocks are ahead.
            Rule::Named(zone) => named_offset(zone, shown).unwrap_or(0),
        }
    }
}

fn named_offset(zone: &TimeZone, shown: i64) -> Option<i64> {
    let clock = Offset::UTC.to_datetime(Timestamp::from_second(shown).ok()?);
    let meant = zone.to_ambiguous_timestamp(clock).compatible().ok()?;
    Some(shown - meant.as_second())
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Zone, Error> {
        let rule = match name {
            "UTC" | "utc" | "Z" => return Ok(Zone::utc()),
            "local" => Rule::Named(TimeZone::system()),
            _ => match fixed(name) {
                Some(seconds) => Rule::Fixed(seconds),
                None => Rule::Named(TimeZone::get(name).map_err(|_| {
                    Error::Invalid(format!(
                        "there is no time zone {name:?}; say UTC, +02:00, Europe/Berlin or local"
                    ))
                })?),
            },
        };
        Ok(Zone { rule, name: name.into() })
    }
}

/// `+02:00`, `+0200` or `+02`.
fn fixed(name: &str) -> Option<i32> {
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = name[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(name.len(), 3 | 5 | 6) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    let (hours, minutes): (i32, i32) = (
        number(digits.get(..2)?)?,
        number(digits.get(2..).filter(|m| !m.is_empty()).unwrap_or("0"))?,
    );
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, shown: i64, hours_ahead: f64) {
        let zone: Zone = zone.parse().expect("a zone");
        assert_eq!(zone.offset(shown), (hours_ahead * 3600.0) as i64, "{zone} at {shown}");
    }

    #[test]
    fn a_zone_is_an_offset_or_a_name() {
        check("UTC", 0, 0.0);
        check("+02:00", 0, 2.0);
        check("-0530", 0, -5.5);
        check("+09", 0, 9.0);
        check("Asia/Kolkata", 1_700_000_000, 5.5);
        for wrong in ["", "Mars/Olympus", "+25:00", "+2", "+02:60", "+é0", "+ab:cd", "+1:2:34"] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
        assert!("local".parse::<Zone>().is_ok());
    }

    #[test]
    fn summer_has_another_offset_and_the_doubled_hour_is_the_first() {
        check("Europe/Berlin", 1_704_164_645, 1.0); // 2024-01-02
        check("Europe/Berlin", 1_719_889_445, 2.0); // 2024-07-02
        check("Europe/Berlin", 1_729_996_200, 2.0); // 2024-10-27 02:30, shown twice
        check("Europe/Berlin", 1_711_852_200, 1.0); // 2024-03-31 02:30, never shown
    }
}
