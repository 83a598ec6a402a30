//! The table `partition → preference list`: small numbers in one flat row after another.
//!
//! ```text
//!  members   0: 17a0…   1: 5c31…   2: 9e0f…   3: c4d2…        sorted by id
//!  partition 0 │ 2 0 3 1 │
//!  partition 1 │ 0 3 1 2 │      each row: positions 1..=2·replicas, at most one per member
//! ```
//!
//! A cell is an index into the layout's members, so 1,024 partitions of six positions take 6 KiB on the
//! wire in clusters of up to 127 members.

use crate::id::PartitionId;
use serde::{Deserialize, Serialize};

/// Which members stand at which position of each partition's preference list, as member indices.
///
/// - Every row has the same length: the smaller of 2·replicas and the members there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub(super) width: u8,
    pub(super) cells: Vec<u16>,
}

impl Table {
    /// A table of rows that all have the length of the first.
    pub(super) fn of_rows(rows: &[Vec<u16>]) -> Table {
        let width = rows.first().map_or(0, Vec::len);
        assert!(rows.iter().all(|row| row.len() == width), "rows of one table are equally long");
        Table {
            width: u8::try_from(width).expect("a row holds at most 2·replicas positions"),
            cells: rows.concat(),
        }
    }

    /// Counts on as if the member at this index had never been; nobody stands there.
    pub(super) fn close_gap(&mut self, gone: u16) {
        self.cells.iter_mut().filter(|at| **at > gone).for_each(|at| *at -= 1);
    }

    /// How many positions each partition has.
    pub fn width(&self) -> usize {
        usize::from(self.width)
    }

    /// The row of a partition, as indices into the layout's members; empty for one that does not exist.
    pub fn row(&self, partition: PartitionId) -> &[u16] {
        let from = usize::from(partition.0) * self.width();
        self.cells.get(from..from + self.width()).unwrap_or(&[])
    }

    /// The first `count` positions of a partition, or as many as there are.
    pub(super) fn first(&self, partition: PartitionId, count: u8) -> &[u16] {
        let row = self.row(partition);
        &row[..row.len().min(usize::from(count))]
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[u16]> {
        // A table without members has no positions, and `chunks` refuses a length of zero.
        self.cells.chunks_exact(self.width().max(1))
    }
}
