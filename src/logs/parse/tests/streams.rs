//! Lines after lines: what goes on, and what `auto` settles on.

use super::*;

/// Whether each line begins something: `+` does, `.` goes on.
fn check(format: Option<Format>, lines: &[(char, &str)]) {
    let mut parser = parser(format);
    for (sign, line) in lines {
        let parsed = parser.line(line);
        assert_eq!(parsed.begins, *sign == '+', "{format:?}: {line}");
        assert!(parsed.begins || (parsed.level, parsed.at) == (None, None), "{line}");
    }
}

#[test]
fn undated_lines_go_on_with_a_dated_one() {
    for format in [None, Some(Format::Log4j)] {
        check(
            format,
            &[
                ('+', "starting"),
                ('+', "ERROR still no date"),
                ('.', "\tat A.b(C.java:7)"),
                ('+', "2031-04-05 06:07:08,009 ERROR x"),
                ('.', "java.io.IOException: reset by peer"),
                ('.', "\tat A.b(C.java:7)"),
                ('.', "Caused by: x"),
                ('.', "ERROR in the middle"),
                ('+', "2031-04-05 06:07:09,009 INFO x"),
            ],
        );
    }
}

#[test]
fn lines_without_dates_begin_each_except_traces() {
    for format in [None, Some(Format::Plain)] {
        check(
            format,
            &[
                ('+', "one"),
                ('+', "two"),
                ('.', "  and more of it"),
                ('.', "Traceback (most recent call last):"),
                ('.', "  File \"x.py\", line 7"),
                ('+', "ValueError: x"),
            ],
        );
    }
}

#[test]
fn a_given_format_reads_nothing_else() {
    let line = "2031-04-05T06:07:08Z INFO x";
    for format in [Format::Plain, Format::Json, Format::ApacheError, Format::Syslog5424] {
        let mut parser = parser(Some(format));
        assert_eq!(parser.line(line).at, None, "{format}");
        assert_eq!(parser.format(), Some(format));
    }
}

#[test]
fn auto_follows_a_stream_that_changes() {
    let mut parser = parser(None);
    for (line, format) in [
        ("x", None),
        ("{\"ts\":1900000000}", Some(Format::Json)),
        ("x", Some(Format::Json)),
        ("2031-04-05T06:07:08Z x", Some(Format::Iso)),
        ("[Sat Apr 05 06:07:08 2031] [notice] x", Some(Format::ApacheError)),
        ("Apr  5 06:07:08 host app: x", Some(Format::Syslog3164)),
    ] {
        parser.line(line);
        assert_eq!(parser.format(), format, "{line}");
    }
}

#[test]
fn a_day_with_two_offsets_is_read_hour_by_hour() {
    let mut parser = parser(Some(Format::Iso));
    // In Berlin, clocks go from 02:00 to 03:00 on 2031-03-30.
    for (shown, at) in [
        ("2031-03-30 01:59:59", "2031-03-30T00:59:59Z"),
        ("2031-03-30 03:00:00", "2031-03-30T01:00:00Z"),
        ("2031-03-31 00:00:00", "2031-03-30T22:00:00Z"),
        ("2031-03-29 00:00:00", "2031-03-28T23:00:00Z"),
    ] {
        assert_eq!(parser.line(shown).at, Some(nanos(at)), "{shown}");
    }
}
