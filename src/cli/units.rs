//! Numbers for people: `12,345` and `2.35 s`.

use std::time::Duration;

/// A duration: three digits that matter.
pub(super) fn show_duration(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    match us {
        _ if us < 1_000.0 => format!("{us:.0} µs"),
        _ if us < 1_000_000.0 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// A count, with a comma between the thousands.
pub(super) fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A size, in the unit in which it is at least one.
pub(super) fn show_bytes(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = None;
    let mut rest = bytes;
    for larger in UNITS {
        if rest < 1024.0 {
            break;
        }
        (unit, rest) = (Some(larger), rest / 1024.0);
    }
    unit.map_or_else(|| format!("{bytes:.0} B"), |unit| format!("{rest:.1} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_for_people() {
        assert_eq!(show_count(0), "0");
        assert_eq!(show_count(999), "999");
        assert_eq!(show_count(1_000), "1,000");
        assert_eq!(show_count(12_345_678), "12,345,678");
        assert_eq!(show_bytes(1_023.0), "1023 B");
        assert_eq!(show_bytes(1_536.0), "1.5 KiB");
        assert_eq!(show_bytes(3.0 * 1024.0 * 1024.0 * 1024.0), "3.0 GiB");
        assert_eq!(show_duration(Duration::from_micros(7)), "7 µs");
        assert_eq!(show_duration(Duration::from_micros(1_500)), "1.5 ms");
        assert_eq!(show_duration(Duration::from_millis(2_346)), "2.35 s");
    }
}
