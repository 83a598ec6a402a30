//! The order of the batches in a log, as far as it was walked.
//!
//! ```text
//!   sequence  1 2 3 [3 4 5 7 …        [ an opening bears the number of the last batch before it
//!                 └ twice  └ 6 is missing
//! ```

use super::record::{Header, Kind};
use crate::id::Lineage;

/// See the module's picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// The last sequence number met; nothing before the first.
    pub(crate) last: Option<u64>,
    /// Whose batches these are.
    pub(crate) lineage: Option<Lineage>,
    /// With which number that began.
    pub(crate) lineage_since: u64,
}

impl Order {
    /// The first and the last of the batches that should come before this one and did not.
    pub(crate) fn missing_before(&mut self, header: &Header) -> Option<(u64, u64)> {
        let before = header.sequence - u64::from(header.kind != Kind::Opening);
        let last = *self.last.get_or_insert(before);
        (before > last).then_some((last + 1, before))
    }

    /// This one is the next. Whether it was not met before.
    pub(crate) fn take(&mut self, header: &Header) -> bool {
        if self.lineage != Some(header.lineage) {
            self.lineage = Some(header.lineage);
            self.lineage_since = header.sequence;
        }
        let is_new = self.last.is_none_or(|last| header.sequence > last);
        self.last = self.last.max(Some(header.sequence));
        is_new
    }
}
