//! The segments of a log that are open for reading: a bounded number of them.

use super::disk::{Disk, DiskFile};
use super::index::Located;
use super::log::segment_file;
use super::reclaim::checked_put;
use super::record::Place;
use super::{Entry, StoreError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many segments are kept open for reading.
const OPEN_SEGMENTS: usize = 128;

/// See the module's picture.
#[derive(Default)]
pub(crate) struct Segments {
    open: BTreeMap<u32, OpenSegment>,
    reads: u64,
}

struct OpenSegment {
    file: Arc<dyn DiskFile>,
    last_read: u64,
}

impl Segments {
    /// The record that lies there, if it is this key's. Nothing: there is no such segment.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and [`StoreError::Busy`] where the segment is there and cannot be opened now.
    pub(crate) fn read(
        &mut self,
        disk: &dyn Disk,
        key: &[u8],
        located: &Located,
    ) -> Result<Option<Entry>, StoreError> {
        let Some(file) = self.file(disk, located.place.segment)? else { return Ok(None) };
        let mut record = vec![0; located.length as usize];
        let damaged = |why: String| {
            let Place { segment, offset } = located.place;
            StoreError::Damaged(format!("the record in segment {segment} at byte {offset}: {why}"))
        };
        file.read_at(&mut record, located.place.offset.into())
            .map_err(|error| damaged(error.to_string()))?;
        match checked_put(&Bytes::from(record), key) {
            Some((head, body)) => Ok(Some(Entry { head, body })),
            None => Err(damaged("it does not match its checksum".into())),
        }
    }

    fn file(
        &mut self,
        disk: &dyn Disk,
        segment: u32,
    ) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        self.reads += 1;
        if let Some(open) = self.open.get_mut(&segment) {
            open.last_read = self.reads;
            return Ok(Some(open.file.clone()));
        }
        // What is called damaged may be written over, and this is no damage: the record is there.
        let file = segment_file(disk, segment).map_err(|error| {
            StoreError::Busy(format!("segment {segment} of the log cannot be opened: {error}"))
        })?;
        let Some(file) = file else { return Ok(None) };
        if self.open.len() >= OPEN_SEGMENTS {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.last_read);
            let oldest = oldest.map(|(segment, _)| *segment);
            oldest.map(|segment| self.open.remove(&segment));
        }
        self.open.insert(segment, OpenSegment { file: file.clone(), last_read: self.reads });
        Ok(Some(file))
    }

    /// Closes what is older than this: an open handle would keep the space of a deleted segment.
    pub(crate) fn close_before(&mut self, oldest: u64) {
        while let Some(open) = self.open.first_entry()
            && u64::from(*open.key()) < oldest
        {
            open.remove();
        }
    }
}
