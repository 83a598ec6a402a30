//! One line, or an event of several, as it is kept.

use super::level::Level;
use super::partition::Nanos;

/// See the module. Two lines of one source are the same if moment, text and ordinal are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it happened, as far as is known.
    pub at: Nanos,
    /// Which it was, from 0, of the lines with the same moment that came one after another: only for the order in which
    /// they are shown.
    pub position: u32,
    /// Which it was, from 0, of the lines of one stream with the same moment and the same text.
    pub ordinal: u32,
    /// Its level, if it has one.
    pub level: Option<Level>,
    /// The level as it was written, where it is not just the name of the level.
    pub word: Option<String>,
    /// It did not say when it happened: `at` is when it arrived.
    pub by_arrival: bool,
    /// All of it, without the last newline.
    pub text: String,
}

impl Line {
    /// What lines of a block are sorted by.
    pub(crate) fn order(&self) -> (Nanos, u32, &str, u32) {
        (self.at, self.position, &self.text, self.ordinal)
    }

    /// What makes it the line that it is, within its source.
    pub(crate) fn identity(&self) -> (Nanos, &str, u32) {
        (self.at, &self.text, self.ordinal)
    }
}
