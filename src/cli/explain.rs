//! `get --explain`: the story of a read, for people.

use super::output::{bare, table};
use crate::client::{Explained, ReplicaAsked};

/// The verdict, a line for each replica, and what is still to be done.
pub(super) fn story(told: &Explained) -> String {
    let mut lines = vec![told.verdict.clone()];
    let mut replicas = table(&["node", "role", "asked for", "said", "took", "dots"]);
    for replica in &told.replicas {
        let role = if replica.owner { "owner" } else { "fallback" };
        let asked = if replica.whole { "record" } else { "digest" };
        let asked = if replica.hedge { format!("{asked}, others were late") } else { asked.into() };
        let took = replica.took_us.map_or("-".into(), |us| format!("{us} µs"));
        let row = [replica.node.clone(), role.into(), asked, said(replica), took, dots(replica)];
        replicas.add_row(row);
    }
    lines.extend(replicas.to_string().lines().map(|line| bare(line).to_owned()));
    lines.push(format!("needed {}, took {} µs", told.required, told.took_us));
    if !told.repaired.is_empty() {
        lines.push(format!("held less, and are being mended: {}", told.repaired.join(", ")));
    }
    for hints in &told.hints {
        lines.push(format!("{} hints wait here for {}", hints.pending, hints.owner));
    }
    lines.join("\n")
}

fn said(replica: &ReplicaAsked) -> String {
    let mut said = replica.said.as_str().to_owned();
    if replica.rebuilding {
        said += ", rebuilding";
    }
    if !replica.stands_in_for.is_empty() {
        said += &format!(", for {}", replica.stands_in_for.join(" "));
    }
    said
}

fn dots(replica: &ReplicaAsked) -> String {
    match &replica.dots {
        None => "?".into(),
        Some(dots) if dots.is_empty() => "-".into(),
        Some(dots) => dots.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{HintsKept, Said};

    #[test]
    fn the_story_names_who_was_asked_and_why_the_answer_is_what_it_is() {
        let same = ReplicaAsked {
            node: "n1".into(),
            owner: true,
            whole: true,
            said: Said::Same,
            took_us: Some(40),
            dots: Some(vec!["a:1".into()]),
            ..ReplicaAsked::default()
        };
        let late = ReplicaAsked { node: "n2".into(), owner: true, ..ReplicaAsked::default() };
        let stand_in = ReplicaAsked {
            node: "n3".into(),
            hedge: true,
            said: Said::Other,
            stands_in_for: vec!["n2".into()],
            ..ReplicaAsked::default()
        };
        let text = story(&Explained {
            required: 2,
            took_us: 90,
            replicas: vec![same, late, stand_in],
            verdict: "one value: so it is".into(),
            repaired: vec!["n2".into()],
            hints: vec![HintsKept { owner: "n2".into(), pending: 7 }],
        });
        for words in [
            "one value: so it is\n",
            "40 µs",
            "a:1",
            "waiting",
            "digest, others were late",
            "other, for n2",
            "needed 2, took 90 µs",
            "mended: n2",
            "7 hints wait here for n2",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
