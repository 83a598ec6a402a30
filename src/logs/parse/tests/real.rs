//! Real logs, where there are some: dates by another implementation, levels by plain search.

use super::*;
use jiff::civil::DateTime;
use std::collections::BTreeMap;

/// The lines of one of the real files, or a word on why there are none.
fn lines(name: &str) -> Vec<String> {
    let Some(folder) = std::env::var_os("QUORATE_LOGHUB") else {
        println!("SKIPPED: QUORATE_LOGHUB names no folder of real *.log files");
        return Vec::new();
    };
    let path = std::path::Path::new(&folder).join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) => {
            println!("SKIPPED: {}: {error}", path.display());
            Vec::new()
        }
    }
}

fn check(name: &str, format: Format, when: fn(&str) -> DateTime, word: fn(&str) -> &str) {
    let lines = lines(name);
    let (mut found, mut expected) = (BTreeMap::new(), BTreeMap::new());
    let mut parser = Parser::auto(nanos(ARRIVAL));
    for line in &lines {
        let parsed = parser.line(line);
        let utc = when(line).to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
        assert_eq!(parsed.at.map(i128::from), Some(utc.timestamp().as_nanosecond()), "{line}");
        assert!(parsed.begins, "{line}");
        *found.entry(parsed.word.unwrap_or_default().into_owned()).or_insert(0) += 1;
        *expected.entry(word(line).to_owned()).or_insert(0) += 1;
    }
    assert_eq!(found, expected);
    if !lines.is_empty() {
        assert_eq!(parser.format(), Some(format));
        println!("{name}: {} lines, {found:?}", lines.len());
    }
}

fn log4j_time(line: &str) -> DateTime {
    line[..23].replace(',', ".").parse().expect("a date")
}

#[test]
fn real_lines_of_apache_are_dated_and_have_levels() {
    let when =
        |line: &str| DateTime::strptime("[%a %b %d %H:%M:%S %Y]", &line[..26]).expect("a date");
    let word = |line: &str| if line.contains("] [error] ") { "error" } else { "notice" };
    check("Apache_2k.log", Format::ApacheError, when, word);
}

#[test]
fn real_lines_of_hadoop_are_dated_and_have_levels() {
    check("Hadoop_2k.log", Format::Log4j, log4j_time, |line| line.split(' ').nth(2).unwrap_or(""));
}

#[test]
fn real_lines_of_zookeeper_are_dated_and_have_levels() {
    check("Zookeeper_2k.log", Format::Log4j, log4j_time, |line| {
        line.split(' ').nth(3).unwrap_or("")
    });
}

#[test]
#[allow(clippy::disallowed_methods)]
fn zz_rate() {
    for name in ["Apache_2k.log", "Hadoop_2k.log", "Zookeeper_2k.log"] {
        let lines = lines(name);
        let mut parser = Parser::auto(nanos(ARRIVAL));
        let from = std::time::Instant::now();
        let mut dated = 0u64;
        for _ in 0..300 {
            for line in &lines {
                dated += u64::from(parser.line(line).at.is_some());
            }
        }
        let secs = from.elapsed().as_secs_f64();
        println!("RATE {name} parser {:.0}/s", dated as f64 / secs);
        let text = (lines.join("\n") + "\n").repeat(100);
        let from = std::time::Instant::now();
        let mut events = crate::logs::Events::new(text.as_bytes(), Parser::auto(nanos(ARRIVAL)));
        let mut n = 0u64;
        while events.next(7).expect("x").is_some() {
            n += 1;
        }
        println!("RATE {name} events {:.0}/s", n as f64 / from.elapsed().as_secs_f64());
    }
    let json = r#"{"timestamp":"2031-04-05T06:07:08.009Z","level":"info","service":"billing","fields":{"message":"took an order of a customer","order":712345},"target":"billing::orders"}"#;
    let mut parser = Parser::auto(nanos(ARRIVAL));
    let from = std::time::Instant::now();
    for _ in 0..500_000 {
        assert!(parser.line(json).at.is_some());
    }
    println!("RATE json parser {:.0}/s", 500_000.0 / from.elapsed().as_secs_f64());
}
