//! What the engine is told.

use super::command::everything::Cursors;

/// How much larger what is stored is than a value: it has stamps, and a place for its counts.
const OVERHEAD: usize = 1_024;

/// See the module.
#[derive(Debug)]
pub struct Settings {
    /// What `AUTH` asks for; `None`: nothing.
    pub(super) password: Option<String>,
    /// The largest value, in bytes.
    pub(super) value_bytes: usize,
    /// The time in ms since 1970.
    pub(super) clock: fn() -> u64,
    pub(super) cursors: Cursors,
}

impl Settings {
    /// Settings of a new engine, whose `AUTH` asks for `password`, if for any.
    ///
    /// - `value_bytes`: the largest value of the store.
    /// - `clock`: the time in ms since 1970.
    pub fn new(password: Option<String>, value_bytes: usize, clock: fn() -> u64) -> Settings {
        let value_bytes = value_bytes.saturating_sub(OVERHEAD).max(1);
        Settings { password, value_bytes, clock, cursors: Cursors::default() }
    }
}
