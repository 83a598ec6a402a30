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
