//! The end of the log, where the writer appends.
//!
//! ```text
//!   00000001.log  00000002.log  00000003.log
//!   [opening ▐▐▐▐▐▐][opening ▐▐▐▐▐▐][opening ▐▐▐ ← appended
//!                                    └ durable_upto: all before it was synced
//! ```
//!
//! A segment's name is made durable, with its opening, before anything is appended to it.

use super::CommitNumber;
use super::disk::{Disk, DiskFile};
use super::record::{Header, Kind, Place, encode_batch};
use crate::id::Lineage;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// The name of a segment's file.
pub(crate) fn segment_name(segment: u32) -> String {
    format!("{segment:010}.log")
}

/// The segment that a file's name means, if any.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 10)?.parse().ok()
}

/// All segments, oldest first.
pub(crate) fn segment_numbers(disk: &dyn Disk) -> io::Result<BTreeSet<u32>> {
    Ok(disk.list()?.iter().filter_map(|name| segment_number(name)).collect())
}

/// A segment's file. Nothing: there is no such segment. An error says nothing of what is in it: it may be that the
/// process has no file descriptor left.
pub(crate) fn segment_file(disk: &dyn Disk, segment: u32) -> io::Result<Option<Arc<dyn DiskFile>>> {
    match disk.open(&segment_name(segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

/// The open end of the log.
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    /// Where the next byte goes.
    pub(crate) end: Place,
    pub(crate) lineage: Lineage,
    /// The last sequence number written.
    pub(crate) sequence: u64,
    /// The last one synced.
    pub(crate) synced: u64,
    /// The last commit number written.
    pub(crate) commit: CommitNumber,
}

impl Log {
    /// Begins a segment after everything up to `sequence` and `commit`, all of which is durable.
    pub(crate) fn begin(
        disk: Arc<dyn Disk>,
        segment: u32,
        lineage: Lineage,
        sequence: u64,
        commit: CommitNumber,
    ) -> io::Result<Log> {
        let (file, end) = open_segment(&*disk, segment, lineage, sequence, commit)?;
        Ok(Log { disk, file, end, lineage, sequence, synced: sequence, commit })
    }

    /// Goes on in the next segment. Everything written is synced by then.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        assert!(self.synced == self.sequence, "what comes before a segment is synced");
        let next = self.end.segment + 1;
        let (file, end) =
            open_segment(&*self.disk, next, self.lineage, self.sequence, self.commit)?;
        (self.file, self.end) = (file, end);
        Ok(())
    }

    /// The header of the next batch.
    pub(crate) fn next_header(&mut self, kind: Kind, commit: CommitNumber) -> Header {
        self.sequence += 1;
        self.commit = commit;
        let durable_upto = self.synced;
        Header { kind, lineage: self.lineage, sequence: self.sequence, commit, durable_upto }
    }

    /// One write. After an error some of it may be there, beyond `end`.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.end.offset =
            self.end.offset.checked_add(length).ok_or_else(|| io::Error::other("segment full"))?;
        Ok(())
    }

    /// Cuts off what a failed append left.
    pub(crate) fn cut_back(&mut self) -> io::Result<()> {
        self.file.truncate(u64::from(self.end.offset))
    }

    /// Makes everything written durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.synced = self.sequence;
        Ok(())
    }
}

fn open_segment(
    disk: &dyn Disk,
    segment: u32,
    lineage: Lineage,
    sequence: u64,
    commit: CommitNumber,
) -> io::Result<(Arc<dyn DiskFile>, Place)> {
    let start = Place { segment, offset: 0 };
    let kind = Kind::Opening;
    let header = Header { kind, lineage, sequence, commit, durable_upto: sequence };
    let mut opening = Vec::new();
    encode_batch(&mut opening, start, &header, |_| 0);
    let file = disk.create(&segment_name(segment))?;
    file.append(&opening)?;
    file.sync()?;
    disk.sync_dir()?;
    Ok((file, Place { segment, offset: opening.len() as u32 }))
}
