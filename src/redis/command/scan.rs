//! Pages of names, for `SCAN`, `SSCAN` and `HSCAN`.
//!
//! The cursor is a place in the order of a hash of the names, not a state that the server keeps: a name that is there from
//! the beginning to the end is returned, whatever else comes and goes, through whichever node.

use super::super::number::cursor;
use super::super::view::Stop;
use super::super::{Reply, glob};
use super::{SYNTAX, is, to_integer};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

/// How many names a page has when nobody says.
const COUNT: usize = 10;

/// What stands behind the cursor.
#[derive(Debug)]
pub(in crate::redis) struct Options {
    pub(in crate::redis) cursor: u64,
    pub(in crate::redis) pattern: Option<Bytes>,
    pub(in crate::redis) count: usize,
    pub(in crate::redis) of_type: Option<Bytes>,
}

impl Options {
    /// Reads them, beginning with the cursor.
    pub(in crate::redis) fn read(words: &[Bytes]) -> Result<Options, Stop> {
        let cursor = cursor(&words[0]).ok_or("ERR invalid cursor")?;
        let mut options = Options { cursor, pattern: None, count: COUNT, of_type: None };
        for pair in words[1..].chunks(2) {
            let [name, value] = pair else { return Err(SYNTAX.into()) };
            if is(name, "count") {
                let count = to_integer(value)?;
                options.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(SYNTAX)?;
            } else if is(name, "match") {
                options.pattern = Some(value.clone());
            } else if is(name, "type") {
                options.of_type = Some(value.clone());
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(options)
    }

    /// Only `SCAN` has types.
    pub(in crate::redis) fn no_type(&self) -> Result<(), Stop> {
        if self.of_type.is_some() { Err(SYNTAX.into()) } else { Ok(()) }
    }

    /// Whether a name fits.
    pub(in crate::redis) fn fits(&self, name: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// A page of these names, and the cursor of the next one.
    pub(in crate::redis) fn page(
        &self,
        names: Vec<Bytes>,
        show: impl Fn(&Bytes) -> Vec<Reply>,
    ) -> Reply {
        let mut placed: Vec<(u64, Bytes)> =
            names.into_iter().map(|name| (place(&name), name)).collect();
        placed.retain(|(at, _)| *at >= self.cursor);
        placed.sort();
        let mut end = self.count.min(placed.len());
        // Names of one place go together: the cursor could not stand between them.
        while end < placed.len() && end > 0 && placed[end].0 == placed[end - 1].0 {
            end += 1;
        }
        let next = placed.get(end).map_or(0, |(at, _)| *at);
        let page = placed[..end].iter().filter(|(_, name)| self.fits(name));
        let items = page.flat_map(|(_, name)| show(name)).collect();
        Reply::Array(vec![Reply::bulk(next.to_string()), Reply::Array(items)])
    }
}

/// Never 0, which is the beginning and the end, and within what clients read as an integer.
fn place(name: &[u8]) -> u64 {
    (xxh3_64(name) >> 1).max(1)
}
