//! Real lines to store: of the files that are named, or of what this machine has to say.
//!
//! One item a line: the partition key is the file, the sort key the number of the line in it, so a
//! range of lines is one scan.

use crate::cli::failure::{About, Failure, Result};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The most lines of files that were named.
const NAMED_LINES: usize = 50_000;
/// The most lines when nobody named files; the newest of each file, shared fairly.
const FOUND_LINES: usize = 20_000;
/// With fewer lines than this there is no load to speak of: our own sample joins in.
const ENOUGH_LINES: usize = 500;
/// A line is cut here: a log may hold anything.
const LINE_BYTES: u64 = 64 * 1024;
/// The most that is kept in memory, in bytes.
const TOTAL_BYTES: usize = 64 << 20;
/// A few lines of our own, for machines without readable logs.
const SAMPLE: &str = include_str!("sample.log");

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The partition key: the file.
    pub source: Bytes,
    /// The sort key: the number of the line, from 1, padded with zeros so that bytes sort as numbers.
    pub number: Bytes,
    /// The line, without its end.
    pub text: Bytes,
}

/// The lines to store, and how they came about.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// In the order of files, the smallest first, and of lines.
    pub lines: Vec<Line>,
    /// How many files they are from.
    pub files: usize,
    /// How many older lines of these files were left out.
    pub left_out: u64,
}

/// The lines of these files, which must be readable.
pub(super) fn of_named(files: &[PathBuf]) -> Result<Lines> {
    let mut lines = Lines::default();
    // A file that is named twice is stored once.
    let mut named = BTreeSet::new();
    for path in files {
        named.insert(path.canonicalize().about(path.display())?);
    }
    let files = smallest_first(named);
    for (index, path) in files.iter().enumerate() {
        let fair = lines.fair_share(NAMED_LINES, files.len() - index);
        lines.add_file(path, fair).about(path.display())?;
    }
    if lines.lines.is_empty() {
        let next = "name files with lines in them, or leave --logs out";
        return Err(Failure::new("invalid", "the named logs are empty", next));
    }
    Ok(lines)
}

/// The lines of the nodes' own logs, of the host's where readable, and of our sample if that is little.
pub(super) fn of_this_machine(own: &[PathBuf]) -> Lines {
    let host = std::fs::read_dir("/var/log").into_iter().flatten().flatten();
    let host = host
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let files = smallest_first(own.iter().cloned().chain(host).collect());
    let mut lines = Lines::default();
    for (index, path) in files.iter().enumerate() {
        // What this user may not read, or what vanished since, is left alone.
        let fair = lines.fair_share(FOUND_LINES, files.len() - index);
        let _ = lines.add_file(path, fair);
    }
    if lines.lines.len() < ENOUGH_LINES {
        lines.add("sample.log", SAMPLE.as_bytes(), FOUND_LINES).expect("memory can be read");
    }
    lines
}

/// Small files first: what they leave of their share is for the large ones.
fn smallest_first(files: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = files.into_iter().collect();
    files.sort_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    files
}

impl Lines {
    /// How many lines the next of `files` may have, so that all together keep to `limit`.
    fn fair_share(&self, limit: usize, files: usize) -> usize {
        limit.saturating_sub(self.lines.len()) / files
    }

    fn add_file(&mut self, path: &Path, limit: usize) -> std::io::Result<()> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::other("is not a regular file"));
        }
        // A live log grows while it is read: what it had when we opened it is enough.
        let length = file.metadata()?.len();
        self.add(&path.display().to_string(), file.take(length), limit)
    }

    /// Adds the newest `limit` lines.
    fn add(&mut self, source: &str, read: impl Read, limit: usize) -> std::io::Result<()> {
        let source = Bytes::copy_from_slice(&source.as_bytes()[..source.len().min(1024)]);
        let stored: usize = self.lines.iter().map(|line| line.text.len()).sum();
        let mut budget = TOTAL_BYTES.saturating_sub(stored);
        let mut newest: VecDeque<Line> = VecDeque::new();
        let mut reader = BufReader::new(read);
        let mut number = 0_u64;
        loop {
            let mut text = Vec::new();
            if reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            number += 1;
            if text.last() == Some(&b'\n') {
                text.pop();
            }
            budget = budget.saturating_sub(text.len());
            let sort = Bytes::from(format!("{number:010}"));
            newest.push_back(Line { source: source.clone(), number: sort, text: text.into() });
            while newest.len() > limit || (budget == 0 && newest.len() > 1) {
                let oldest = newest.pop_front().expect("there is more than one");
                budget += oldest.text.len();
                self.left_out += 1;
            }
        }
        self.files += usize::from(number > 0);
        self.lines.extend(newest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_keeps_its_number_its_bytes_and_its_emptiness() {
        let mut lines = Lines::default();
        lines.add("a", &b"one\n\n\xff three"[..], 10).unwrap();
        let texts: Vec<&[u8]> = lines.lines.iter().map(|line| &line.text[..]).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"\xff three"]);
        assert_eq!(lines.lines[2].number, "0000000003");
        assert_eq!((lines.files, lines.left_out), (1, 0));
    }

    #[test]
    fn the_newest_lines_stay_and_the_others_are_counted() {
        let text: String = (1..=9).map(|number| format!("line {number}\n")).collect();
        let mut lines = Lines::default();
        lines.add("a", text.as_bytes(), 2).unwrap();
        assert_eq!(lines.lines[0].text, "line 8");
        assert_eq!(lines.lines[0].number, "0000000008");
        assert_eq!((lines.lines.len(), lines.left_out), (2, 7));
    }

    #[test]
    fn small_files_leave_their_share_to_large_ones() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, lines: usize| {
            let path = dir.path().join(name);
            std::fs::write(&path, "x\n".repeat(lines)).unwrap();
            path
        };
        let lines = of_named(&[file("a", NAMED_LINES), file("b", 10)]).unwrap();
        assert_eq!((lines.lines.len(), lines.left_out), (NAMED_LINES, 10));
    }

    #[test]
    fn a_line_without_end_is_cut_into_pieces() {
        let mut lines = Lines::default();
        let endless = vec![b'x'; LINE_BYTES as usize + 5];
        lines.add("a", &endless[..], 10).unwrap();
        assert_eq!(lines.lines.iter().map(|line| line.text.len()).sum::<usize>(), endless.len());
    }

    #[test]
    fn named_files_must_be_there_and_a_silent_machine_has_our_sample() {
        let dir = tempfile::tempdir().unwrap();
        assert!(of_named(&[dir.path().join("none")]).is_err());
        assert!(of_named(&[dir.path().to_path_buf()]).is_err(), "a folder is no log");
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert_eq!(of_named(std::slice::from_ref(&empty)).unwrap_err().code(), "invalid");
        assert!(!of_this_machine(&[empty]).lines.is_empty());
        let one = dir.path().join("one");
        std::fs::write(&one, "x\n").unwrap();
        assert_eq!(of_named(&[one.clone(), one]).unwrap().lines.len(), 1, "named twice");
    }

    #[test]
    fn our_sample_is_a_load() {
        let mut lines = Lines::default();
        lines.add("sample.log", SAMPLE.as_bytes(), FOUND_LINES).unwrap();
        assert!(lines.lines.len() >= ENOUGH_LINES);
    }
}
