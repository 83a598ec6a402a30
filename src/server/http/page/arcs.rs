//! The ring as the page draws it: neighbours with the same owners are one arc.
//!
//! ```text
//!   table   0: A B C   1: A B C   2: B C A   3: A B C  …
//!   arcs    [0, 2, A B C]         [2, 1, …]  [3, …]        from, how many, who
//! ```

use serde_json::{Value, json};

/// How many arcs are drawn at most. The page needs a few strokes for them, however many there are; more than so many
/// would be narrower than what a screen can show.
const ARCS: usize = 1024;

/// What the page is sent of an answer to `Ring`.
pub(super) fn drawn(ring: &Value) -> Value {
    let members = ring["members"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = ring["table"].as_array().map_or(&[][..], Vec::as_slice);
    let replicas = ring["replicas"].as_u64().unwrap_or_default() as usize;
    let index = |name: &Value| members.iter().position(|member| member["name"] == *name);
    let owners = |row: &Value| -> Vec<usize> {
        row.as_array().into_iter().flatten().take(replicas).filter_map(index).collect()
    };
    let rows: Vec<Vec<usize>> = rows.iter().map(owners).collect();
    let (each, arcs) = merged(&rows);
    json!({
        "epoch": ring["epoch"],
        "index": ring["index"],
        "change": ring["change"],
        "partitions": ring["partitions"],
        "replicas": replicas,
        "members": members,
        "each": each,
        "arcs": arcs,
    })
}

/// From, how many, who.
type Arc<'a> = (usize, usize, &'a [usize]);

/// Merges neighbours. With more arcs than are drawn, the first of every so many partitions stands for them all: how
/// many is told, too.
fn merged(rows: &[Vec<usize>]) -> (usize, Vec<Arc<'_>>) {
    let arcs = runs(rows, 1);
    if arcs.len() <= ARCS {
        return (1, arcs);
    }
    let each = rows.len().div_ceil(ARCS);
    (each, runs(rows, each))
}

fn runs(rows: &[Vec<usize>], each: usize) -> Vec<Arc<'_>> {
    let mut arcs: Vec<Arc> = Vec::new();
    for (at, row) in rows.iter().enumerate().step_by(each) {
        let count = each.min(rows.len() - at);
        match arcs.last_mut() {
            Some(last) if last.2 == row => last.1 += count,
            _ => arcs.push((at, count, row)),
        }
    }
    arcs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_the_same_owners_are_one_arc() {
        let ring = json!({
            "epoch": 3, "index": 5, "partitions": 4, "replicas": 2,
            "members": [{ "name": "a" }, { "name": "b" }],
            "table": [["a", "b"], ["a", "b", "c"], ["b", "a"], ["a", "b"]],
        });
        let drawn = drawn(&ring);
        assert_eq!(drawn["arcs"], json!([[0, 2, [0, 1]], [2, 1, [1, 0]], [3, 1, [0, 1]]]));
        assert_eq!((&drawn["each"], &drawn["epoch"]), (&json!(1), &json!(3)));
    }

    #[test]
    fn there_are_never_more_arcs_than_are_drawn_and_they_cover_everything() {
        for partitions in [0, 1, ARCS, ARCS + 1, 5 * ARCS + 7, 65_536] {
            let rows: Vec<Vec<usize>> = (0..partitions).map(|at| vec![at % 3, at % 5]).collect();
            let (each, arcs) = merged(&rows);
            assert!(arcs.len() <= ARCS && each * ARCS >= partitions, "{partitions}");
            assert_eq!(arcs.iter().map(|arc| arc.1).sum::<usize>(), partitions);
            let follow = |two: &[Arc]| two[0].0 + two[0].1 == two[1].0;
            assert!(arcs.windows(2).all(follow), "{partitions}");
        }
    }

    #[test]
    fn an_unexpected_answer_is_an_empty_ring() {
        for ring in [json!(null), json!([]), json!({ "table": [3], "members": 7 })] {
            drawn(&ring);
        }
    }
}
