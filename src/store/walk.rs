//! The batches of one segment, a window at a time, and the places where batches should be and are not.
//!
//! ```text
//!   ▐▐▐▐▒▒▐▐▐│ end        ▒: a region; what the writer is in the middle of, behind the end, is none
//!   └window┘
//! ```

use super::disk::DiskFile;
use super::log::segment_file;
use super::reclaim::checked_put;
use super::record::{Found, Place, batch_at, batch_extent};
use super::shared::Shared;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How much of a segment is read at a time, unless one batch is longer.
const WINDOW: u64 = 1 << 20;

/// Where batches should be and are not: from byte, to byte.
pub(crate) type Regions = Vec<(u32, u32)>;

/// Whether a byte lies in one of them.
pub(crate) fn is_within(regions: &Regions, offset: u32) -> bool {
    regions.iter().any(|(from, to)| *from <= offset && offset < *to)
}

/// The batches of one segment, in order, a window at a time.
pub(crate) struct Walk {
    file: Arc<dyn DiskFile>,
    segment: u32,
    /// Up to where it is read.
    pub(crate) len: u64,
    /// How far it is.
    pub(crate) at: u32,
}

impl Walk {
    /// From this byte on. Nothing: there is no such segment.
    pub(crate) fn open(shared: &Shared, segment: u32, at: u32) -> io::Result<Option<Walk>> {
        let Some(file) = segment_file(&*shared.disk, segment)? else { return Ok(None) };
        let len = file.len()?;
        // What the writer is in the middle of is no damage.
        let end = Place::unpack(shared.end.load(Ordering::Acquire));
        let len = match segment.cmp(&end.segment) {
            std::cmp::Ordering::Less => len,
            std::cmp::Ordering::Equal => len.min(end.offset.into()),
            std::cmp::Ordering::Greater => 0,
        };
        Ok(Some(Walk { file, segment, len, at }))
    }

    pub(crate) fn is_over(&self) -> bool {
        u64::from(self.at) >= self.len
    }

    /// Reads a window; whole batches are taken, and where there is none is noted. Returns how many bytes were read.
    pub(crate) fn read_on(&mut self, take: &mut dyn FnMut(Found), regions: &mut Regions) -> u64 {
        let mut length = WINDOW;
        let mut read = 0;
        loop {
            let Ok(window) = self.window(length) else {
                // A disk that cannot read a sector: all of the window is as good as lost.
                let to = u64::from(self.at) + length.min(self.len - u64::from(self.at));
                add(regions, self.at, to as u32);
                self.at = to as u32;
                return read;
            };
            read += window.len() as u64;
            let is_rest = u64::from(self.at) + window.len() as u64 >= self.len;
            let mut at = 0;
            while at < window.len() {
                if let Some(found) = batch_at(self.segment, self.at, &window, at) {
                    at += found.len();
                    take(found);
                    continue;
                }
                // A batch that goes on behind the window is no damage.
                let cut = !is_rest && is_cut(&window[at..]);
                if cut && at > 0 {
                    break;
                }
                let left = self.len - u64::from(self.at);
                if cut && length < left {
                    let extent = batch_extent(&window).unwrap_or(length * 2);
                    if extent <= left {
                        length = extent.max(length * 2);
                        break;
                    }
                }
                let from = at;
                let begins = |at: &usize| {
                    batch_at(self.segment, self.at, &window, *at).is_some()
                        || (!is_rest && is_cut(&window[*at..]))
                };
                at = (from + 1..window.len()).find(begins).unwrap_or(window.len());
                add(regions, self.at + from as u32, self.at + at as u32);
            }
            if at > 0 {
                self.at += at as u32;
                return read;
            }
        }
    }

    /// The put of a key that lies there, and its head, if it is whole.
    pub(crate) fn put_at(&self, offset: u32, length: u32, key: &[u8]) -> Option<(Bytes, Bytes)> {
        let mut record = vec![0; length as usize];
        self.file.read_at(&mut record, offset.into()).ok()?;
        let record = Bytes::from(record);
        let (head, _) = checked_put(&record, key)?;
        Some((record, head))
    }

    fn window(&self, length: u64) -> io::Result<Bytes> {
        let length = length.min(self.len - u64::from(self.at));
        let mut window = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_at(&mut window, self.at.into())?;
        Ok(window.into())
    }
}

/// Whether the batch that begins these bytes, if one does, goes on behind them.
fn is_cut(bytes: &[u8]) -> bool {
    batch_extent(bytes).is_none_or(|extent| extent > bytes.len() as u64)
}

/// Adds a region, to the one before it if they touch.
fn add(regions: &mut Regions, from: u32, to: u32) {
    match regions.last_mut() {
        Some(last) if last.1 == from => last.1 = to,
        _ => regions.push((from, to)),
    }
}
