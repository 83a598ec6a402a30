//! Tables: a line, when it was written, how bad it is. Read as `auto` and as what it is.

use super::*;

/// `at`: a stamp, or `-`; `level`: the level and the word, or `-`.
fn check(format: Format, line: &str, at: &str, level: &str) {
    for given in [None, Some(format)] {
        let mut parser = parser(given);
        let parsed = parser.line(line);
        let expected = (at != "-").then(|| nanos(at));
        assert_eq!(parsed.at, expected, "{given:?}: {line}");
        let found = match (parsed.level, &parsed.word) {
            (None, None) => "-".into(),
            (Some(level), Some(word)) => format!("{level} {word}"),
            (level, word) => format!("{level:?} {word:?}"),
        };
        assert_eq!(found, level, "{given:?}: {line}");
        assert!(parsed.begins, "{given:?}: {line}");
        assert_eq!(parsed.text, line);
        if format != Format::Plain {
            assert_eq!(parser.format(), Some(format), "{line}");
        }
    }
}

#[test]
fn iso_stamps_are_read_however_they_are_written() {
    for (stamp, at) in [
        ("2031-04-05T06:07:08Z", "2031-04-05T06:07:08Z"),
        ("2031-04-05T06:07:08.123456789Z", "2031-04-05T06:07:08.123456789Z"),
        ("2031-04-05T06:07:08.1234567899999Z", "2031-04-05T06:07:08.123456789Z"),
        ("2031-04-05t06:07:08.5z", "2031-04-05T06:07:08.5Z"),
        ("2031-04-05T06:07:08+02:00", "2031-04-05T04:07:08Z"),
        ("2031-04-05T06:07:08.000001-0330", "2031-04-05T09:37:08.000001Z"),
        ("2031-04-05 06:07:08.5+02", "2031-04-05T04:07:08.5Z"),
        ("2031-04-05 06:07:08 +0000", "2031-04-05T06:07:08Z"),
        ("2031-04-05 06:07:08 UTC", "2031-04-05T06:07:08Z"),
        ("2031-04-05 06:07:08", "2031-04-05T04:07:08Z"),
        ("2031-01-05 06:07:08.25", "2031-01-05T05:07:08.25Z"),
        ("2031-04-05T06:07", "2031-04-05T04:07:00Z"),
        ("2031/04/05 06:07:08", "2031-04-05T04:07:08Z"),
        ("2031/04/05 06:07:08.000123", "2031-04-05T04:07:08.000123Z"),
        ("20310405 06:07:08", "2031-04-05T04:07:08Z"),
        ("20310405T060708Z", "2031-04-05T06:07:08Z"),
        ("[2031-04-05 06:07:08.009]", "2031-04-05T04:07:08.009Z"),
        ("[2031-04-05T06:07:08Z]", "2031-04-05T06:07:08Z"),
        ("2032-02-29T00:00:00Z", "2032-02-29T00:00:00Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("2031-06-30T23:59:60Z", "2031-07-01T00:00:00Z"),
    ] {
        check(Format::Iso, &format!("{stamp} INFO x"), at, "INFO INFO");
        check(Format::Iso, stamp, at, "-");
    }
}

#[test]
fn iso_lines_have_their_level_where_they_like() {
    for (line, level) in [
        ("2031-04-05T06:07:08Z level=warn msg=x", "WARN warn"),
        ("2031-04-05T06:07:08Z  WARN app: x", "WARN WARN"),
        ("2031-04-05T06:07:08Z [error] 7#0: *1 x", "ERROR error"),
        ("2031-04-05T06:07:08Z - app - CRITICAL - x", "FATAL CRITICAL"),
        ("2031-04-05T06:07:08Z | DEBUG    | x", "DEBUG DEBUG"),
        ("2031-04-05T06:07:08Z info: x", "INFO info"),
        ("2031-04-05T06:07:08Z, Info                  CBS x", "INFO Info"),
        ("[2031-04-05T06:07:08Z WARN  app] x", "WARN WARN"),
        ("INFO 2031-04-05T06:07:08Z x", "INFO INFO"),
        ("[warn] 2031-04-05T06:07:08Z x", "WARN warn"),
        ("ERROR [main] [2031-04-05T06:07:08Z] x", "ERROR ERROR"),
        ("time=\"2031-04-05T06:07:08Z\" level=error msg=x", "ERROR error"),
        ("ts=2031-04-05T06:07:08Z level=DEBUG msg=x", "DEBUG DEBUG"),
        ("\x1b[2m2031-04-05T06:07:08Z\x1b[0m \x1b[31mERROR\x1b[0m x", "ERROR ERROR"),
        ("2031-04-05T06:07:08Z an error happened", "-"),
        ("2031-04-05T06:07:08Z x 日本語 ERRORS", "-"),
    ] {
        check(Format::Iso, line, "2031-04-05T06:07:08Z", level);
    }
}

#[test]
fn log4j_lines_may_have_short_stamps() {
    let table = [
        ("2031-04-05 06:07:08,009 - WARN  [a@7] - x", "2031-04-05T04:07:08.009Z", "WARN WARN"),
        ("2031-04-05 06:07:08,009 INFO [main] x", "2031-04-05T04:07:08.009Z", "INFO INFO"),
        ("31/04/05 06:07:08 ERROR Job: x", "2031-04-05T04:07:08Z", "ERROR ERROR"),
        ("99/04/05 06:07:08 INFO Job: x", "1999-04-05T04:07:08Z", "INFO INFO"),
        ("310405 060708 148 WARN dfs.Node: x", "2031-04-05T04:07:08Z", "WARN WARN"),
        ("04-05 06:07:08.009  1702  2395 D Tag: E x", "2031-04-05T04:07:08.009Z", "DEBUG D"),
        ("12-05 06:07:08.009  1702  2395 V Tag: x", "2030-12-05T05:07:08.009Z", "TRACE V"),
        ("E0405 06:07:08.009000       7 file.go:7] x", "2031-04-05T04:07:08.009Z", "ERROR E"),
    ];
    for (line, at, level) in table {
        check(Format::Log4j, line, at, level);
    }
}

#[test]
fn syslog_lines_have_a_priority_or_words() {
    let table = [
        ("<34>Apr  5 06:07:08 host su[7]: failed", "2031-04-05T04:07:08Z", "FATAL crit"),
        ("<190>Apr 05 06:07:08.25 host app: x", "2031-04-05T04:07:08.25Z", "INFO info"),
        ("<12>2031-04-05T06:07:08Z host app: x", "2031-04-05T06:07:08Z", "WARN warning"),
        ("Apr  5 06:07:08 host app[7]: x", "2031-04-05T04:07:08Z", "-"),
        ("Apr  5 06:07:08 host sshd[7]: error: x", "2031-04-05T04:07:08Z", "ERROR error"),
        ("Apr  5 06:07:08 host app[7]: an error: x", "2031-04-05T04:07:08Z", "-"),
        ("Apr  5 06:07:08 host app[7]: [WARN] x", "2031-04-05T04:07:08Z", "WARN WARN"),
        ("Apr  5 2029 06:07:08 host app: x", "2029-04-05T04:07:08Z", "-"),
        ("Apr  5 06:07:08 2029 host app: x", "2029-04-05T04:07:08Z", "-"),
        // A day ahead is this year, two are not.
        ("May  2 01:00:00 host app: x", "2031-05-01T23:00:00Z", "-"),
        ("May  3 01:00:00 host app: x", "2030-05-02T23:00:00Z", "-"),
        ("Dec 31 23:59:59 host app: x", "2030-12-31T22:59:59Z", "-"),
        ("Feb 29 12:00:00 host app: x", "2028-02-29T11:00:00Z", "-"),
    ];
    for (line, at, level) in table {
        check(Format::Syslog3164, line, at, level);
    }
    let table = [
        (
            "<34>1 2031-04-05T06:07:08.009Z host su 7 ID [a b=\"c\"] x",
            "2031-04-05T06:07:08.009Z",
            "FATAL crit",
        ),
        (
            "<165>1 2031-04-05T06:07:08+02:00 host app - - - ERROR x",
            "2031-04-05T04:07:08Z",
            "INFO notice",
        ),
        ("<3>1 - host app - - - x", "-", "ERROR err"),
    ];
    for (line, at, level) in table {
        check(Format::Syslog5424, line, at, level);
    }
}

#[test]
fn a_stream_may_outlive_the_year_that_it_began_in() {
    let mut parser = Parser::auto(nanos("2031-12-31T23:00:00Z"));
    let line = "Jan  3 00:00:00 host app: x";
    assert_eq!(parser.line(line).at, Some(nanos("2031-01-03T00:00:00Z")));
    parser.arrive(nanos("2032-01-03T00:00:01Z"));
    assert_eq!(parser.line(line).at, Some(nanos("2032-01-03T00:00:00Z")));
}

#[test]
fn apache_errors_have_their_level_in_a_bracket() {
    let table = [
        ("[Sat Apr 05 06:07:08 2031] [notice] done", "2031-04-05T04:07:08Z", "INFO notice"),
        ("[Sat Apr  5 06:07:08 2031] [warn] in error state 6", "2031-04-05T04:07:08Z", "WARN warn"),
        (
            "[Sat Apr 05 06:07:08.009010 2031] [core:error] [pid 7] x",
            "2031-04-05T04:07:08.00901Z",
            "ERROR error",
        ),
        ("[Sat Apr 05 06:07:08 2031] [ssl:trace4] x", "2031-04-05T04:07:08Z", "TRACE trace4"),
        ("[Sat Apr 05 06:07:08 2031] [:emerg] x", "2031-04-05T04:07:08Z", "FATAL emerg"),
        ("[Sat Apr 05 06:07:08 2031] an [error] x", "2031-04-05T04:07:08Z", "-"),
    ];
    for (line, at, level) in table {
        check(Format::ApacheError, line, at, level);
    }
}

#[test]
fn an_access_is_as_bad_as_its_status() {
    let table = [
        ("10.0.0.1 - - [05/Apr/2031:06:07:08 +0200] \"GET / HTTP/1.1\" 200 7", "-"),
        (
            "10.0.0.1 - - [05/Apr/2031:06:07:08 +0200] \"GET / HTTP/1.1\" 404 7 \"-\" \"a/1\"",
            "WARN 404",
        ),
        ("::1 - a [05/Apr/2031:06:07:08 +0200] \"GET /\\\" 500 HTTP/1.1\" 503 -", "ERROR 503"),
        ("host:80 h - a [b [05/Apr/2031:06:07:08 +0200] \"-\" 408 0", "WARN 408"),
        ("h - - [05/Apr/2031:06:07:08 +0200] \"GET / 500", "-"),
        ("h - - [05/Apr/2031:06:07:08 +0200]", "-"),
    ];
    for (line, level) in table {
        check(Format::ApacheAccess, line, "2031-04-05T04:07:08Z", level);
    }
}

#[test]
fn json_lines_have_fields() {
    let at = "2031-04-05T06:07:08.009Z";
    let table = [
        (r#"{"ts":"2031-04-05T06:07:08.009Z","level":"info","msg":"x"}"#, at, "INFO info"),
        (r#"{"@timestamp":"2031-04-05T08:07:08.009+02:00","log.level":"WARN"}"#, at, "WARN WARN"),
        (
            r#"{"a":{"level":"error"},"log":{"level":"debug"},"time":1933135628009} "#,
            at,
            "DEBUG debug",
        ),
        (r#"{"time":1933135628.009,"level":50}"#, at, "ERROR 50"),
        (r#"{"t":"1933135628009000","severity":"WARNING"}"#, at, "WARN WARNING"),
        (r#"{"timestamp":1933135628009000000,"level":3}"#, at, "ERROR 3"),
        (r#"{"Timestamp":"2031-04-05 08:07:08.009","Level":"Error"}"#, at, "ERROR Error"),
        (
            r#"{"time":0.034,"ts":1.933135628e9,"lvl":"f\u0061tal"}"#,
            "2031-04-05T06:07:08Z",
            "FATAL fatal",
        ),
        (r#"{"time":12,"datetime":"2031-04-05T06:07:08.009Z"}"#, at, "-"),
        (r#"{"fields":{"message":"an ERROR"},"log":"x"}"#, "-", "-"),
        (r#"{}"#, "-", "-"),
    ];
    for (line, at, level) in table {
        check(Format::Json, line, at, level);
    }
    let mut parser = parser(None);
    let parsed = parser.line(r#"{"source":"a\nb","level":"audit"}"#);
    assert_eq!(parsed.source.as_deref(), Some("a\nb"));
    assert_eq!((parsed.level, parsed.word.as_deref()), (None, Some("audit")));
}

#[test]
fn plain_lines_have_a_level_if_they_shout() {
    let table = [
        ("ERROR: disk", "ERROR ERROR"),
        ("[warn] disk", "WARN warn"),
        ("an error happened", "-"),
        ("{\"level\": \"info\", cut o", "INFO info"),
        ("2031-04-31T06:07:08Z no such day", "-"),
        ("2031-04-05T24:07:08Z no such hour", "-"),
        ("2031-04-05 disk", "-"),
        ("9999-04-05T06:07:08Z too far", "-"),
        ("310405 060708 two numbers", "-"),
        ("<192>Apr  5 06:07:08 x", "-"),
        ("Apr 31 06:07:08 x", "-"),
        ("12345678901234567890", "-"),
        ("", "-"),
    ];
    for (line, level) in table {
        check(Format::Plain, line, "-", level);
    }
}

#[test]
fn a_format_is_read_as_it_is_shown() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse::<Format>().ok(), Some(format));
    }
    assert!("auto".parse::<Format>().is_err());
}
