//! The table that a change of owners leads to: from the present one, moving only what must.
//!
//! ```text
//!   present             A B C │ D E        who owns │ who stands in
//!   C leaves            A B X │ D E        a gap is filled along the ring; the fallbacks stay who they were
//!   X joins             A X C │ D E        or nothing changes in this row
//!   X replaces C        A B X │ D E        at the very same position
//! ```
//!
//! A fallback that stays spares everybody a second list: hints are where they were.

use super::fallbacks::with_fallbacks;
use super::placement::{Placement, place, renumbered};
use super::walk::Walk;
use super::{Layout, Situation, Table};
use crate::id::NodeId;

/// Who may take places from others, beside filling gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takers {
    /// Nobody: somebody leaves, and only its places are to move.
    Nobody,
    /// This one, which is back.
    One(NodeId),
    /// Who lacks something: those without places; everybody where owners could lie in more zones; else those who
    /// carry far less than they ought to.
    Needy,
    /// Everybody: zones or weights changed.
    Everybody,
}

/// The table for `layout` (whose own table does not matter) after that of `previous`, where data exist. In this
/// situation: who is away takes nothing as long as there are enough others, and in frozen rows nobody gives up a
/// place but who leaves or is removed.
pub(super) fn relocate(
    layout: &Layout,
    previous: &Layout,
    takers: Takers,
    situation: &Situation,
) -> Table {
    let mut placement = Placement::new(layout, Some(previous), situation);
    let placeless = placement.placeless();
    placement.fill_gaps();
    match takers {
        Takers::Nobody => {}
        Takers::One(id) => placement.balance(&placement.only(id)),
        Takers::Everybody => placement.balance(&placement.everybody()),
        Takers::Needy => {
            placement.balance(&placeless);
            if !placement.is_spread() {
                placement.balance(&placement.everybody());
            } else if placeless.is_empty() {
                placement.balance(&placement.underloaded());
            }
        }
    }
    let (owners, walk) = placement.into_rows();
    with_fallbacks(layout, previous, &walk, owners, |at| at)
}

/// The table of `previous` with `new` at every place of `old`, where data exist.
pub(super) fn substitute(layout: &Layout, previous: &Layout, old: NodeId, new: NodeId) -> Table {
    let first = usize::from(layout.replicas);
    let (old, new) = (layout.index_of(old), layout.index_of(new));
    let swap = |at: u16| if Some(at) == old { new.unwrap_or(at) } else { at };
    let owners = renumbered(layout, previous)
        .map(|row| row.take(first).flatten().map(swap).collect())
        .collect();
    with_fallbacks(layout, previous, &Walk::new(layout), owners, swap)
}

/// The table for `layout` while there are no data: whatever is best, and near to what was.
pub(super) fn anew(layout: &Layout, previous: &Layout) -> Table {
    place(layout, Some(previous))
}
