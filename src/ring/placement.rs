//! From members to a table: who stands where in each preference list.
//!
//! ```text
//!  previous rows        A B C    B C A    C A B      D joins
//!  D takes a place      A D B    B C A    D C A      only D comes in; everybody else at most goes out
//! ```
//!
//! The ring says who is near to a partition; targets say how much each member should carry. Starting from
//! the previous table: members that are gone leave gaps; gaps are filled along the ring by whoever is below
//! its target; then a newcomer takes places, nearest partitions first, wherever that brings all nearer to
//! their targets. (Consistent hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam, 2018.)
//!
//! - Every *prefix* is balanced, for a bucket with a smaller `n` uses a prefix of the list.
//! - A newcomer enters at one position and pushes others back; the set of the first k gains nobody else,
//!   for any k. So between old members nothing moves.
//! - Each prefix of k lies in as many zones as it can: min(k, zones). Zones come before loads.
//! - Who leaves or is held takes part in nothing of this: it is not on the ring, and has no target.
//! - Deterministic: integers, members in order of id, partitions in order of nearness and number.

use super::fallbacks::lengthened;
use super::targets::{ONE, targets};
use super::walk::Walk;
use super::{Layout, Member, Situation, Table};
use crate::id::NodeId;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How far a load may exceed its target while gaps are filled along the ring: a tenth.
const SLACK: i64 = 10;
/// How much of its target a member may lack before a rebalance gives it more: a fifth.
const TOLERANCE: i64 = 5;
/// Weighs prefixes by one over their length squared, without fractions worth mentioning.
const WHOLE: i64 = 420 * 420;
/// Rounds in which only those give who have too much.
const GENTLE_ROUNDS: usize = 2;
/// Each round lessens the sum of squared deviations; in practice three or four are enough.
const ROUNDS: usize = 16;

/// The table for `layout`'s members. Moves only what must move from the rows of `previous`.
pub(super) fn place(layout: &Layout, previous: Option<&Layout>) -> Table {
    let mut placement = Placement::new(layout, previous, &Situation::default());
    placement.fill();
    placement.balance(&newcomers(layout, previous));
    placement.finish()
}

/// The table of `previous` for `layout`'s members, short lists lengthened at their ends and nothing else
/// changed; `None` if somebody who stands in it is no member any more.
pub(super) fn extend(layout: &Layout, previous: &Layout) -> Option<Table> {
    let rows = renumbered(layout, previous).map(|row| row.collect::<Option<Vec<u16>>>());
    let rows = rows.collect::<Option<Vec<Vec<u16>>>>()?;
    Some(lengthened(layout, &Walk::new(layout), rows))
}

/// Who may take places from others: everybody while nothing is placed yet or when zones or weights
/// changed, else those who joined.
fn newcomers(layout: &Layout, previous: Option<&Layout>) -> Vec<u16> {
    let all = (0..layout.members.len()).filter(|&at| layout.has_seat(layout.members[at].id));
    let before = |member: &Member| previous.and_then(|layout| layout.member(member.id));
    let same = |a: &Member, b: &Member| a.zone == b.zone && a.weight == b.weight;
    let changed = layout.members.iter().any(|m| before(m).is_some_and(|b| !same(m, b)));
    let takes = |at: &usize| changed || before(&layout.members[*at]).is_none();
    all.filter(takes).map(|at| at as u16).collect()
}

/// The rows of `previous` with the members' present indices; `None` in place of those who are gone.
pub(super) fn renumbered<'a>(
    layout: &'a Layout,
    previous: &'a Layout,
) -> impl Iterator<Item = impl Iterator<Item = Option<u16>>> {
    let now: Vec<Option<u16>> = previous.members.iter().map(|m| layout.index_of(m.id)).collect();
    previous.table.rows().map(move |row| {
        row.iter().map(|&at| now[usize::from(at)]).collect::<Vec<Option<u16>>>().into_iter()
    })
}

/// Those who may be given places, as indices.
pub(super) fn seated(layout: &Layout) -> impl Iterator<Item = u16> + '_ {
    (0..).zip(&layout.members).filter(|(_, m)| layout.has_seat(m.id)).map(|(at, _)| at)
}

/// The targets of all members; nothing for those who may not be given places.
fn seated_targets(layout: &Layout, owners: usize, partitions: usize) -> Vec<i64> {
    let some: Vec<Member> =
        seated(layout).map(|at| layout.members[usize::from(at)].clone()).collect();
    let mut all = vec![0; layout.members.len()];
    for (at, target) in seated(layout).zip(targets(&some, owners, partitions)) {
        all[usize::from(at)] = target;
    }
    all
}

/// The zone of each member, as a small number.
pub(super) fn zones(layout: &Layout) -> Vec<usize> {
    let names: BTreeSet<&str> = layout.members.iter().map(|m| m.zone.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    layout.members.iter().filter_map(|m| names.binary_search(&m.zone.as_str()).ok()).collect()
}

/// The owners of every partition while they are being placed.
pub(super) struct Placement<'a> {
    layout: &'a Layout,
    walk: Walk,
    zones: Vec<usize>,
    /// How many owners each partition gets.
    owners: usize,
    rows: Vec<Vec<u16>>,
    /// Where the first owner of each row is missing.
    gaps: Vec<usize>,
    /// `excess[k][m]`: by how much member m's load among the first k+1 positions exceeds its target.
    excess: Vec<Vec<i64>>,
    /// `targets[k][m]`: what it ought to be.
    targets: Vec<Vec<i64>>,
    /// Who is to take nothing.
    spared: BTreeSet<u16>,
    /// In which rows nobody is to take anything.
    frozen: Vec<bool>,
}

/// A member enters a row at `enter`; whoever stands at `leave` (perhaps itself) goes out.
#[derive(Clone, Copy)]
struct Move {
    enter: usize,
    leave: usize,
}

impl<'a> Placement<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        previous: Option<&Layout>,
        situation: &Situation,
    ) -> Placement<'a> {
        let owners = usize::from(layout.replicas).min(layout.seats());
        let partitions = layout.partitions.count();
        let mut frozen = vec![false; partitions];
        situation.frozen.iter().for_each(|p| frozen[usize::from(p.0)] = true);
        let spared = situation.away.iter().filter_map(|id| layout.index_of(*id)).collect();
        let mut rows: Vec<Vec<u16>> = vec![Vec::new(); partitions];
        let mut gaps = vec![0; partitions];
        if let Some(previous) = previous {
            let id = |cell: &u16| layout.members[usize::from(*cell)].id;
            for (at, row) in renumbered(layout, previous).enumerate() {
                let stays = |cell: &u16| {
                    layout.has_seat(id(cell)) || (frozen[at] && layout.out.contains(&id(cell)))
                };
                let row = row.take(usize::from(layout.replicas)).map(|cell| cell.filter(stays));
                let row: Vec<Option<u16>> = row.collect();
                gaps[at] = row.iter().take_while(|cell| cell.is_some()).count();
                rows[at] = row.into_iter().flatten().collect();
            }
        }
        let levels = (1..=owners).map(|k| seated_targets(layout, k, partitions));
        let levels: Vec<Vec<i64>> = levels.collect();
        let mut excess: Vec<Vec<i64>> =
            levels.iter().map(|level| level.iter().map(|t| -t).collect()).collect();
        for row in &rows {
            for (k, level) in excess.iter_mut().enumerate() {
                row.iter().take(k + 1).for_each(|&at| level[usize::from(at)] += ONE);
            }
        }
        let (walk, zones) = (Walk::new(layout), zones(layout));
        let targets = levels;
        Placement { layout, walk, zones, owners, rows, gaps, excess, targets, spared, frozen }
    }

    /// Fills the gaps along the ring, wherever that is best in each row.
    fn fill(&mut self) {
        self.gaps.fill(0);
        self.fill_gaps();
    }

    /// Fills the gaps along the ring, where they are or behind them: else somebody who stays would stand further
    /// back than before, and a bucket with a smaller `n` would lose an owner that nobody asked to go.
    pub(super) fn fill_gaps(&mut self) {
        for partition in 0..self.rows.len() {
            while self.rows[partition].len() < self.owners {
                let (member, position) = self.filler(partition);
                let mut row = self.rows[partition].clone();
                row.insert(position, member);
                self.replace(partition, row);
            }
        }
    }

    /// Who fills a gap, and where: in the best zone; the nearest that is below its target, else the
    /// nearest within the slack, else the least loaded. As far back as the zones allow.
    fn filler(&self, partition: usize) -> (u16, usize) {
        let row = &self.rows[partition];
        let absent = || self.walk.from(partition).filter(|at| !row.contains(at));
        // Where there is nobody else, even those who are to be spared.
        let all_spared = absent().all(|at| self.spared.contains(&at));
        let entries: Vec<(u16, usize, usize)> = absent()
            .filter(|at| all_spared || !self.spared.contains(at))
            .map(|at| {
                let spread = |position: usize| {
                    let mut row = row.clone();
                    row.insert(position, at);
                    self.spread(&row)
                };
                let positions = self.gaps[partition].min(row.len())..=row.len();
                let positions = positions.map(|position| (spread(position), position));
                let (spread, position) = positions.max().expect("a row has an end");
                (at, position, spread)
            })
            .collect();
        let best = entries.iter().map(|&(.., spread)| spread).max();
        let top = self.owners - 1;
        let entries = || entries.iter().filter(|&&(.., spread)| Some(spread) == best);
        let over = |at: u16| self.excess[top][usize::from(at)];
        let slack = |at: u16| self.targets[top][usize::from(at)] / SLACK;
        let found = entries()
            .find(|&&(at, ..)| over(at) < 0)
            .or_else(|| entries().find(|&&(at, ..)| over(at) + ONE <= slack(at)))
            .or_else(|| entries().min_by_key(|&&(at, ..)| over(at)));
        let &(at, position, _) = found.expect("a row shorter than the members lacks one of them");
        (at, position)
    }

    /// Lets each of `takers` take places while that brings loads nearer to their targets.
    pub(super) fn balance(&mut self, takers: &[u16]) {
        let nearest: Vec<Vec<usize>> =
            takers.iter().map(|&taker| self.walk.nearest_first(taker)).collect();
        for round in 0..ROUNDS {
            // At first only from those who have too much in every prefix concerned: whoever comes first
            // along the ring would else be drained though others have more to give.
            let gentle = round < GENTLE_ROUNDS;
            let mut moved = gentle;
            for (&taker, partitions) in takers.iter().zip(&nearest) {
                for &partition in partitions {
                    if self.frozen[partition] {
                        continue;
                    }
                    if let Some(step) = self.best_move(partition, taker, gentle) {
                        let row = moved_row(&self.rows[partition], taker, step);
                        self.replace(partition, row);
                        moved = true;
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// The move of `taker` in a row that helps most: zones first, then loads. `None` if none helps.
    fn best_move(&self, partition: usize, taker: u16, gentle: bool) -> Option<Move> {
        let row = &self.rows[partition];
        let stands = row.iter().position(|&at| at == taker);
        let moves = (0..stands.unwrap_or(row.len())).flat_map(|enter| {
            let leaves = stands.map_or(enter..row.len(), |stands| stands..stands + 1);
            leaves.map(move |leave| Move { enter, leave })
        });
        let before = self.spread(row);
        let judged = moves.map(|step| {
            let wider = self.spread(&moved_row(row, taker, step)) as i64 - before as i64;
            (Reverse(wider), self.cost(row, taker, step), step)
        });
        let judged = judged.filter(|&(Reverse(wider), _, step)| {
            !gentle
                || wider > 0
                || self
                    .outgoing(row, taker, step)
                    .all(|(k, goes)| 2 * self.excess[k][usize::from(goes)] >= ONE)
        });
        let (Reverse(wider), cost, step) = judged.min_by_key(|&(wider, cost, _)| (wider, cost))?;
        (wider > 0 || (wider == 0 && cost < 0)).then_some(step)
    }

    /// By how much a move changes the sum of squared deviations from the targets, over all prefixes
    /// (halved). Deviations count relative to the loads of their prefix, which grow with its length: else
    /// the first position, where loads are smallest, would be balanced worst.
    fn cost(&self, row: &[u16], taker: u16, step: Move) -> i64 {
        self.outgoing(row, taker, step)
            .map(|(k, goes)| {
                let excess = &self.excess[k];
                let slots = excess[usize::from(taker)] - excess[usize::from(goes)] + ONE;
                slots * (WHOLE / (k as i64 + 1).pow(2))
            })
            .sum()
    }

    /// Who gives way to the taker in which prefix: (its last position, the member that goes out of it).
    fn outgoing<'r>(
        &self,
        row: &'r [u16],
        taker: u16,
        step: Move,
    ) -> impl Iterator<Item = (usize, u16)> + 'r {
        let prefixes = step.enter..row.len();
        prefixes.map(move |k| (k, row[k.min(step.leave)])).filter(move |&(_, goes)| goes != taker)
    }

    /// How many zones the prefixes of a row lie in, summed up over all of them.
    fn spread(&self, row: &[u16]) -> usize {
        let fresh = |at: usize| {
            let zone = self.zones[usize::from(row[at])];
            !row[..at].iter().any(|&earlier| self.zones[usize::from(earlier)] == zone)
        };
        // A zone that is fresh at a position counts in this prefix and in every longer one.
        (0..row.len()).filter(|&at| fresh(at)).map(|at| row.len() - at).sum()
    }

    fn replace(&mut self, partition: usize, row: Vec<u16>) {
        let old = std::mem::replace(&mut self.rows[partition], row);
        for (k, excess) in self.excess.iter_mut().enumerate() {
            old.iter().take(k + 1).for_each(|&at| excess[usize::from(at)] -= ONE);
            self.rows[partition].iter().take(k + 1).for_each(|&at| excess[usize::from(at)] += ONE);
        }
    }

    /// Everybody who may be given places.
    pub(super) fn everybody(&self) -> Vec<u16> {
        seated(self.layout).filter(|at| !self.spared.contains(at)).collect()
    }

    /// This member, if it may be given places.
    pub(super) fn only(&self, id: NodeId) -> Vec<u16> {
        let index = self.layout.index_of(id);
        self.everybody().into_iter().filter(|at| Some(*at) == index).collect()
    }

    /// Those of them who own nothing.
    pub(super) fn placeless(&self) -> Vec<u16> {
        let (excess, targets) = (self.excess.last(), self.targets.last());
        let levels = excess.zip(targets);
        let owns = |at: usize| levels.is_some_and(|(excess, targets)| excess[at] + targets[at] > 0);
        self.everybody().into_iter().filter(|&at| !owns(usize::from(at))).collect()
    }

    /// Those of them who carry less than they ought to in some prefix: by more than a slot, and more than a
    /// fifth.
    pub(super) fn underloaded(&self) -> Vec<u16> {
        let lacks = |at: &u16| {
            let at = usize::from(*at);
            let mut levels = self.excess.iter().zip(&self.targets);
            levels.any(|(excess, targets)| {
                let missing = -excess[at];
                missing >= ONE && missing > targets[at] / TOLERANCE
            })
        };
        self.everybody().into_iter().filter(lacks).collect()
    }

    /// Whether every prefix of every row lies in as many zones as it can.
    pub(super) fn is_spread(&self) -> bool {
        let zones: BTreeSet<usize> =
            seated(self.layout).map(|at| self.zones[usize::from(at)]).collect();
        let possible = (1..=self.owners).map(|k| k.min(zones.len())).sum::<usize>();
        self.rows.iter().all(|row| self.spread(row) >= possible)
    }

    /// The owners of every partition.
    pub(super) fn into_rows(self) -> (Vec<Vec<u16>>, Walk) {
        (self.rows, self.walk)
    }

    fn finish(self) -> Table {
        lengthened(self.layout, &self.walk, self.rows)
    }
}

fn moved_row(row: &[u16], taker: u16, step: Move) -> Vec<u16> {
    let mut row = row.to_vec();
    row.remove(step.leave);
    row.insert(step.enter, taker);
    row
}
