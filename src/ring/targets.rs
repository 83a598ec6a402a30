//! How many slots each member ought to have: its fair share by weight, as far as zones and distinctness
//! allow.
//!
//! ```text
//!   n = 3, zones  a: A        b: B        c: C D E        Q partitions, one owner in each zone
//!   target          Q            Q            Q/3 each    by weight alone it would be 3Q/5 each
//! ```
//!
//! Shares are poured like water: everybody's level rises in proportion to its weight, nobody's beyond its
//! bound, until all slots are poured. Integers only, so that every machine gets the same numbers.

use super::Member;
use std::collections::BTreeMap;

/// Slots in fixed point: one slot is `ONE`.
pub(super) const ONE: i64 = 1 << 16;

struct Vessel {
    weight: i64,
    least: i64,
    most: i64,
}

/// The targets of all members, in [`ONE`]ths of a slot, when each of `partitions` has `owners` owners.
pub(super) fn targets(members: &[Member], owners: usize, partitions: usize) -> Vec<i64> {
    let owners = owners.min(members.len());
    let mut zones: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        zones.entry(&member.zone).or_default().push(at);
    }
    let every = partitions as i64 * ONE;
    let vessels: Vec<Vessel> = zones
        .values()
        .map(|zone| Vessel {
            weight: zone.iter().map(|&at| i64::from(members[at].weight)).sum(),
            // With no more zones than owners, each partition has an owner in every zone, and the rest
            // anywhere; with more zones than that, at most one in each.
            least: if zones.len() <= owners { every } else { 0 },
            most: every * (1 + owners.saturating_sub(zones.len())).min(zone.len()) as i64,
        })
        .collect();
    let shares = pour(every * owners as i64, &vessels);
    let mut targets = vec![0; members.len()];
    for (zone, share) in zones.values().zip(shares) {
        let vessels: Vec<Vessel> = zone
            .iter()
            .map(|&at| Vessel { weight: i64::from(members[at].weight), least: 0, most: every })
            .collect();
        for (&at, share) in zone.iter().zip(pour(share, &vessels)) {
            targets[at] = share;
        }
    }
    targets
}

/// Distributes `total`: the lowest level at which the vessels hold it.
fn pour(total: i64, vessels: &[Vessel]) -> Vec<i64> {
    // The level per unit of weight has a few more bits: a large weight would multiply its rounding.
    const BITS: u32 = 12;
    let at = |level: i64| -> Vec<i64> {
        let filled = |v: &Vessel| ((i128::from(level) * i128::from(v.weight)) >> BITS) as i64;
        vessels.iter().map(|v| filled(v).clamp(v.least, v.most)).collect()
    };
    let (mut low, mut high) = (0, vessels.iter().map(|v| v.most).max().unwrap_or(0) << BITS);
    while low < high {
        let middle = low + (high - low) / 2;
        if at(middle).iter().sum::<i64>() < total {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    at(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Lineage, NodeId};

    fn check(owners: usize, members: &[(&str, u16)], expected: &[i64]) {
        let members: Vec<Member> = members
            .iter()
            .enumerate()
            .map(|(at, &(zone, weight))| Member {
                id: NodeId(at as u64),
                lineage: Lineage(0),
                name: at.to_string(),
                zone: zone.to_owned(),
                weight,
            })
            .collect();
        let targets: Vec<i64> =
            targets(&members, owners, 1200).iter().map(|t| (t + ONE / 2) / ONE).collect();
        assert_eq!(targets, expected, "{members:?}");
    }

    #[test]
    fn shares_are_fair_by_weight_within_what_is_possible() {
        check(3, &[("", 1)], &[1200]);
        check(3, &[("", 1); 2], &[1200; 2]);
        check(3, &[("", 1); 4], &[900; 4]);
        check(1, &[("", 1), ("", 3)], &[300, 900]);
        // Nobody owns a partition twice.
        check(3, &[("", 1), ("", 1), ("", 1), ("", 100)], &[800, 800, 800, 1200]);
        // One owner in each zone, however small it is.
        check(3, &[("a", 1), ("b", 1), ("c", 1), ("c", 1), ("c", 2)], &[1200, 1200, 300, 300, 600]);
        // Fewer zones than owners: every zone once, the rest by weight.
        check(3, &[("a", 1), ("b", 1), ("b", 1), ("b", 1)], &[1200, 800, 800, 800]);
        check(3, &[("a", 1), ("a", 1), ("b", 1), ("b", 1)], &[900; 4]);
        // More zones than owners: at most one in each.
        check(2, &[("a", 1), ("a", 1), ("a", 1), ("b", 1), ("c", 1)], &[400, 400, 400, 600, 600]);
    }
}
