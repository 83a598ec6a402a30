//! Which lines are wanted.

use super::level::Level;
use super::line::Line;
use super::partition::{Class, Nanos, Partition, WINDOW, window_of};
use super::summary::Summary;
use crate::error::{Error, Result};
use globset::{Glob, GlobMatcher};
use regex::Regex;

/// The longest pattern, in bytes.
const PATTERN_LIMIT: usize = 4 << 10;
/// Into how many steps a time is cut.
const STEPS: Nanos = 60;

/// Which levels are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Levels {
    /// All, and lines without one.
    #[default]
    Any,
    /// This one and worse.
    AtLeast(Level),
    /// This one only.
    Exactly(Level),
}

impl Levels {
    /// Whether a line of this level is wanted.
    pub fn admits(self, level: Option<Level>) -> bool {
        match self {
            Levels::Any => true,
            Levels::AtLeast(least) => level >= Some(least),
            Levels::Exactly(only) => level == Some(only),
        }
    }

    fn admits_some_of(self, class: Class) -> bool {
        let some = |level: Option<Level>| Class::of(level) == class && self.admits(level);
        some(None) || Level::ALL.into_iter().any(|level| some(Some(level)))
    }
}

/// What a line must be to be an answer.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub(crate) levels: Levels,
    pub(crate) since: Option<Nanos>,
    pub(crate) until: Option<Nanos>,
    sources: Option<(String, GlobMatcher)>,
    contains: Option<String>,
    regex: Option<Regex>,
}

impl Filter {
    /// Only of these levels.
    pub fn levels(mut self, levels: Levels) -> Filter {
        self.levels = levels;
        self
    }

    /// Only what is dated then or later.
    pub fn since(mut self, since: impl Into<Option<Nanos>>) -> Filter {
        self.since = since.into();
        self
    }

    /// Only what is dated before.
    pub fn until(mut self, until: impl Into<Option<Nanos>>) -> Filter {
        self.until = until.into();
        self
    }

    /// Only of sources whose names match, as `web-*`; `*` is any text, `?` any character, `{a,b}` one of several.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it is no pattern.
    pub fn sources(mut self, glob: &str) -> Result<Filter> {
        let matcher =
            bounded(glob).and_then(|()| Glob::new(glob).map_err(|error| error.to_string()));
        let matcher = matcher.map_err(|why| invalid("source", glob, &why))?.compile_matcher();
        self.sources = Some((glob.into(), matcher));
        Ok(self)
    }

    /// Only with this text in it.
    pub fn contains(mut self, text: &str) -> Filter {
        self.contains = (!text.is_empty()).then(|| text.to_owned());
        self
    }

    /// Only where this regular expression matches somewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it is none, or it would take too much memory.
    pub fn regex(mut self, regex: &str) -> Result<Filter> {
        let compiled = bounded(regex).and_then(|()| Regex::new(regex).map_err(|e| e.to_string()));
        self.regex = Some(compiled.map_err(|why| invalid("regex", regex, &why))?);
        Ok(self)
    }

    pub(crate) fn admits_source(&self, name: &str) -> bool {
        self.sources.as_ref().is_none_or(|(_, glob)| glob.is_match(name))
    }

    /// The windows that can hold an answer: the first and the last.
    pub(crate) fn windows(&self) -> (Nanos, Nanos) {
        let first = self.since.map_or(Nanos::MIN, window_of);
        let last = self.until.map_or(Nanos::MAX, |until| window_of(until.saturating_sub(1)));
        (first, last)
    }

    pub(crate) fn admits_partition(&self, partition: &Partition) -> bool {
        let end = partition.window.saturating_add(WINDOW);
        self.levels.admits_some_of(partition.class)
            && self.until.is_none_or(|until| partition.window < until)
            && self.since.is_none_or(|since| end > since)
    }

    /// Whether a block can hold an answer.
    pub(crate) fn admits_block(&self, summary: &Summary) -> bool {
        let admits = |level: Option<Level>| self.levels.admits(level) && summary.count(level) > 0;
        (admits(None) || Level::ALL.into_iter().any(|level| admits(Some(level))))
            && self.until.is_none_or(|until| summary.first < until)
            && self.since.is_none_or(|since| summary.last >= since)
    }

    /// How many lines of a block are answers, if that can be told without reading it.
    pub(crate) fn counted(&self, summary: &Summary) -> Option<[u64; 7]> {
        let is_inside = self.since.is_none_or(|since| summary.first >= since)
            && self.until.is_none_or(|until| summary.last < until);
        if !is_inside || self.contains.is_some() || self.regex.is_some() {
            return None;
        }
        let mut counts = [0; 7];
        counts[0] = if self.levels.admits(None) { summary.count(None) } else { 0 };
        for (count, level) in counts[1..].iter_mut().zip(Level::ALL) {
            if self.levels.admits(Some(level)) {
                *count = summary.count(Some(level));
            }
        }
        Some(counts)
    }

    pub(crate) fn admits(&self, line: &Line) -> bool {
        self.levels.admits(line.level)
            && self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at < until)
            && self.contains.as_ref().is_none_or(|text| line.text.contains(text))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(&line.text))
    }

    /// How long a step is where lines are counted over time and nobody said: a sixtieth of the time that was asked for,
    /// a second at least; an hour where all times were asked for.
    pub fn default_step(&self, now: Nanos) -> Nanos {
        let asked = self.since.map(|since| self.until.unwrap_or(now).saturating_sub(since));
        asked.map_or(WINDOW, |asked| (asked / STEPS).max(1_000_000_000))
    }

    /// The same for the same filter: a cursor belongs to it.
    pub(crate) fn fingerprint(&self) -> u32 {
        let sources = self.sources.as_ref().map(|(glob, _)| glob);
        let regex = self.regex.as_ref().map(Regex::as_str);
        let all = (self.levels, self.since, self.until, sources, &self.contains, regex);
        xxhash_rust::xxh3::xxh3_64(format!("{all:?}").as_bytes()) as u32
    }
}

fn bounded(pattern: &str) -> Result<(), String> {
    let is_short = pattern.len() <= PATTERN_LIMIT;
    is_short.then_some(()).ok_or_else(|| format!("it is longer than {PATTERN_LIMIT} bytes"))
}

fn invalid(what: &str, pattern: &str, why: &str) -> Error {
    let shown: String = pattern.chars().take(80).collect();
    Error::Invalid(format!("{what} {shown:?}: {why}"))
}
