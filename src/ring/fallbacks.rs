//! Who stands in: the positions behind the owners, up to 2·replicas.
//!
//! They are whoever comes next on the ring, in fresh zones while there are any. Who carries how much is no question
//! here: a fallback carries nothing until somebody fails.

use super::placement::{renumbered, seated, zones};
use super::walk::Walk;
use super::{Layout, Table};
use std::collections::BTreeSet;

/// Appends members along the ring, in fresh zones while there are any, up to 2·replicas positions; where a
/// row has more, its end goes.
pub(super) fn lengthened(layout: &Layout, walk: &Walk, mut rows: Vec<Vec<u16>>) -> Table {
    let zones = zones(layout);
    let seated: Vec<u16> = seated(layout).collect();
    let in_use: BTreeSet<usize> = seated.iter().map(|&at| zones[usize::from(at)]).collect();
    // Rows may hold members that are not on the ring any more, and not all of them the same ones.
    let off_ring = |at: &&u16| seated.binary_search(at).is_err();
    let reach = |row: &Vec<u16>| seated.len() + row.iter().filter(off_ring).count();
    let shortest = rows.iter().map(reach).min().unwrap_or_default();
    let width = (2 * usize::from(layout.replicas)).min(shortest);
    for (partition, row) in rows.iter_mut().enumerate() {
        row.truncate(width);
        while row.len() < width {
            let stands_in =
                |zone: usize| row.iter().any(|&in_row| zones[usize::from(in_row)] == zone);
            let fresh = |at: &u16| !stands_in(zones[usize::from(*at)]);
            let absent = || walk.from(partition).filter(|at| !row.contains(at));
            // Where a row is in every zone, looking for a fresh one would walk the whole ring in vain.
            let everywhere = in_use.iter().all(|&zone| stands_in(zone));
            let next = if everywhere { None } else { absent().find(fresh) };
            let next = next.or_else(|| absent().next());
            row.push(next.expect("a row shorter than the members lacks one of them"));
        }
    }
    Table::of_rows(&rows)
}

/// Puts behind the owners those fallbacks of `previous` that can stay, and lengthens where that is not enough.
pub(super) fn with_fallbacks(
    layout: &Layout,
    previous: &Layout,
    walk: &Walk,
    mut rows: Vec<Vec<u16>>,
    swap: impl Fn(u16) -> u16,
) -> Table {
    let goes = |at: u16| layout.goes(layout.members[usize::from(at)].id);
    for (row, before) in rows.iter_mut().zip(renumbered(layout, previous)) {
        let fallbacks = before.skip(usize::from(layout.replicas)).flatten();
        for at in fallbacks.map(&swap) {
            if !goes(at) && !row.contains(&at) {
                row.push(at);
            }
        }
    }
    lengthened(layout, walk, rows)
}
