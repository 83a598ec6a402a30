//! From what a clock showed to nanoseconds since 1970.
//!
//! ```text
//!   2031-04-05 06:07:08  in +02:00          ──▶ days since 1970 · 86 400 + seconds of the day − offset
//!   Dec 31 23:59:59, arrived on January 1   ──▶ the year before: the newest that is not a day ahead of the arrival
//! ```

use super::Nanos;
use super::cursor::Cursor;
use crate::logs::zone::Zone;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// How many years back a date without a year may lie: February 29 needs eight, about the turn of a century.
const YEARS_BACK: i64 = 8;

/// A day as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
}

/// The hour as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) second_of_day: i64,
    pub(super) nanos: u32,
}

/// Knows the zone of clocks that name none, and the year of dates that have none.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    zone: Zone,
    arrival: Nanos,
    arrival_year: i64,
    /// The day that was asked for last, and its offset: a zone's rules are slow to ask, and days hardly ever change.
    /// Nothing on a day that has two.
    day: (i64, Option<i64>),
}

impl Calendar {
    pub(super) fn new(zone: Zone, arrival: Nanos) -> Calendar {
        let mut calendar = Calendar { zone, arrival: 0, arrival_year: 0, day: (i64::MIN, None) };
        calendar.arrive(arrival);
        calendar
    }

    pub(super) fn arrive(&mut self, at: Nanos) {
        self.arrival = at;
        self.arrival_year = year_of(at.div_euclid(SECOND * DAY));
    }

    /// When it was; `offset` is how many seconds the clock was ahead of UTC, if it says. Nothing: there is no such day,
    /// or it is centuries away.
    pub(super) fn at(&mut self, date: Date, time: Time, offset: Option<i64>) -> Option<Nanos> {
        let day = days_since_1970(date)?;
        let shown = day * DAY + time.second_of_day;
        let offset = offset.unwrap_or_else(|| self.offset(day, shown));
        (shown - offset).checked_mul(SECOND)?.checked_add(time.nanos.into())
    }

    /// When it was, in the newest year that does not put it more than a day behind the arrival.
    pub(super) fn at_without_year(&mut self, month: u32, day: u32, time: Time) -> Option<Nanos> {
        let newest = self.arrival.saturating_add(SECOND * DAY);
        let next = self.arrival_year + 1;
        (next - YEARS_BACK - 1..=next).rev().find_map(|year| {
            self.at(Date { year, month, day }, time, None).filter(|at| *at <= newest)
        })
    }

    fn offset(&mut self, day: i64, shown: i64) -> i64 {
        if self.day.0 != day {
            let (first, last) = (self.zone.offset(day * DAY), self.zone.offset((day + 1) * DAY));
            self.day = (day, (first == last).then_some(first));
        }
        self.day.1.unwrap_or_else(|| self.zone.offset(shown))
    }
}

/// `06:07:08`, `060708` or `06:07`, and behind the seconds perhaps a fraction.
pub(super) fn time(cursor: &mut Cursor<'_>) -> Option<Time> {
    let hour = cursor.digits(2)?;
    let colons = cursor.eat(b':');
    let minute = cursor.digits(2)?;
    let has_seconds = !colons || cursor.eat(b':');
    let second = if has_seconds { cursor.digits(2)? } else { 0 };
    // 60: a leap second, taken as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut nanos = 0;
    let mut ahead = *cursor;
    if has_seconds
        && ahead.eat_one_of(b".,").is_some()
        && let Some(fraction) = ahead.fraction()
    {
        (nanos, *cursor) = (fraction, ahead);
    }
    let second_of_day = i64::from(hour * 3600 + minute * 60 + second);
    Some(Time { second_of_day, nanos })
}

/// `Z`, `+02:00`, `+0200` or `+02`, in seconds ahead of UTC. Behind a space, what a number could be is none.
pub(super) fn offset(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut ahead = *cursor;
    let spaced = ahead.eat(b' ');
    let seconds =
        if ahead.eat_one_of(b"Zz").is_some() || ahead.eat_str("UTC") || ahead.eat_str("GMT") {
            0
        } else {
            let east = ahead.eat_one_of(b"+-")? == b'+';
            let hours = ahead.digits(2)?;
            let colon = ahead.eat(b':');
            let minutes = if colon || ahead.peek().is_some_and(|b| b.is_ascii_digit()) {
                ahead.digits(2)?
            } else if spaced {
                return None;
            } else {
                0
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = i64::from(hours * 3600 + minutes * 60);
            if east { seconds } else { -seconds }
        };
    if ahead.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    *cursor = ahead;
    Some(seconds)
}

/// Nothing: no month has such a day.
fn days_since_1970(Date { year, month, day }: Date) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years begin in March here, so that a leap day is the last of its year; eras have 400 of them.
    let year = if month < 3 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The year in which a day since 1970 lies.
fn year_of(day: i64) -> i64 {
    // A guess by the mean length of a year is right, or one too high or low.
    let guess = 1970 + (day * 400).div_euclid(146_097);
    let begins = |year: &i64| {
        days_since_1970(Date { year: *year, month: 1, day: 1 }).is_some_and(|first| first <= day)
    };
    (guess - 1..=guess + 1).rev().find(begins).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_a_loop_counts_them() {
        let mut expected = days_since_1970(Date { year: 1599, month: 12, day: 31 }).expect("a day");
        for year in 1600..2401 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days_since_1970(Date { year, month, day }) {
                        expected += 1;
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        assert_eq!(year_of(days), year, "{year}-{month}-{day}");
                    }
                }
            }
        }
        assert_eq!(days_since_1970(Date { year: 1970, month: 1, day: 1 }), Some(0));
        assert_eq!(days_since_1970(Date { year: 2000, month: 3, day: 1 }), Some(11_017));
    }

    #[test]
    fn a_day_that_no_month_has_is_none() {
        for (month, day) in [(0, 1), (13, 1), (1, 0), (1, 32), (4, 31), (2, 29)] {
            assert_eq!(days_since_1970(Date { year: 2023, month, day }), None, "{month}-{day}");
        }
    }
}
