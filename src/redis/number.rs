//! Numbers as Redis reads and writes them: strictly.

/// An integer in its one form: no plus, no leading zeros, no spaces; `None` for all else.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_canonical = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
    };
    // 19 digits and a sign are the most that fit.
    if !is_canonical || text.len() > 20 {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A number with a point, an exponent or none; no spaces, not `nan`.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.starts_with(char::is_whitespace) || text.len() > 256 {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// As `INCRBYFLOAT` answers: up to 17 digits behind the point, without zeros at the end.
///
/// Redis counts in 80 bits and we in 64: so we write the shortest text that reads back as the same.
pub(super) fn shown(number: f64) -> String {
    if number == 0.0 { "0".into() } else { format!("{number}") }
}

/// As a cursor: digits of an unsigned number.
pub(super) fn cursor(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1.0", None),
            ("99999999999999999999999999", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn floats_are_shown_as_people_write_them() {
        for (text, expected) in [("3.0", "3"), ("5.0e3", "5000"), ("-0", "0"), ("10.6", "10.6")] {
            assert_eq!(float(text.as_bytes()).map(shown).as_deref(), Some(expected));
        }
        for wrong in ["", "nan", " 1", "1 ", "x", "1x"] {
            assert_eq!(float(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
