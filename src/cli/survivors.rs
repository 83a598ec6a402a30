//! `quorate ring force-survivors`: a majority is gone for ever, and those who are left go on without it.
//!
//! ```text
//!   which members are left? ─► all reachable, in one cluster, at one value? ─► what may be lost ─► --yes ─► each is told
//! ```
//!
//! Repeated, it goes on where it stopped: who has gone on already says yes, and the new id follows from the decision.

use super::args::{SurvivorsArgs, Target};
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, cell, json, say};
use crate::client::{Client, Inspect, RingChange};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A member that is left.
struct Survivor {
    client: Client,
    cluster: String,
    former: Vec<String>,
    index: u64,
}

/// What may be lost, in partitions.
struct Losses {
    all: usize,
    without_owner: usize,
    without_quorum: usize,
}

pub(super) async fn force(args: SurvivorsArgs) -> Result<()> {
    let named: BTreeSet<String> = args.survivors.iter().cloned().collect();
    let asked = connect(&args.look.target).await?;
    let members = inspect(&asked, Inspect::Members).await?;
    let ring = inspect(&asked, Inspect::Ring).await?;
    let mut survivors = Vec::new();
    for name in &named {
        survivors.push(survivor(&args.look.target, &members, name).await?);
    }
    // Some may have gone on by an earlier try: the others say what the decision is about, and those agree again.
    let former: BTreeSet<String> =
        survivors.iter().flat_map(|survivor| survivor.former.iter().cloned()).collect();
    let some_went = survivors.iter().any(|survivor| former.contains(&survivor.cluster));
    let behind: Vec<&Survivor> = survivors
        .iter()
        .filter(|survivor| !some_went || former.contains(&survivor.cluster))
        .collect();
    let Some(first) = behind.first() else {
        return Err(Failure::new("invalid", "nobody is named", "name every member that is left"));
    };
    if behind.iter().any(|s| (&s.cluster, s.index) != (&first.cluster, first.index)) {
        let what = "the survivors have not all heard of the same";
        return Err(Failure::new("unavailable", what, "ask again in a moment"));
    }
    let losses = losses(&ring, &named);
    let told = format!(
        "{} members go on; of {} partitions {} have no owner among them, their data are lost; {} have fewer than a \
         quorum, the last writes to them may be",
        named.len(),
        losses.all,
        losses.without_owner,
        losses.without_quorum - losses.without_owner
    );
    if !args.yes {
        let next = "nothing was done: make sure that the others are gone for ever, and add --yes";
        return Err(Failure::new("invalid", told, next));
    }
    let (cluster, index) = (first.cluster.clone(), first.index);
    for survivor in &survivors {
        let names = named.iter().cloned().collect();
        let decision = RingChange::ForceSurvivors { names, cluster: cluster.clone(), index };
        survivor.client.change_ring(decision).await?;
    }
    let status = inspect(&survivors[0].client, Inspect::Status).await?;
    match args.look.print.output {
        Format::Json => json(&json!({
            "cluster": status["cluster"],
            "former": cluster,
            "survivors": named,
            "partitions": losses.all,
            "without_owner": losses.without_owner,
            "without_quorum": losses.without_quorum,
        })),
        Format::Table => {
            say(told)?;
            say(format!("cluster {} goes on as {}", cluster, cell(&status["cluster"])))?;
            say("let new nodes join under new names: they take the places of those who are gone")
        }
    }
}

async fn survivor(target: &Target, members: &Value, name: &str) -> Result<Survivor> {
    let all = members["members"].as_array().into_iter().flatten();
    let Some(address) = all.filter(|m| m["name"] == name).find_map(|m| m["address"].as_str())
    else {
        let what = format!("no member named {name} with a known address");
        return Err(Failure::new("not_found", what, "see `quorate members`"));
    };
    let client = connect(&target.at(address)).await?;
    let status = inspect(&client, Inspect::Status).await?;
    let cluster = status["cluster"].as_str().unwrap_or_default().to_owned();
    let ring = inspect(&client, Inspect::Ring).await?;
    let former = ring["former"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let former = former.map(str::to_owned).collect();
    Ok(Survivor { client, cluster, former, index: status["index"].as_u64().unwrap_or_default() })
}

/// Counted for the largest number of replicas, by the lists that are read now.
fn losses(ring: &Value, survivors: &BTreeSet<String>) -> Losses {
    let replicas = ring["replicas"].as_u64().unwrap_or(1) as usize;
    let rows: Vec<&Vec<Value>> =
        ring["table"].as_array().into_iter().flatten().filter_map(Value::as_array).collect();
    let left = |row: &&Vec<Value>| {
        let owners = row.iter().take(replicas).filter_map(Value::as_str);
        owners.filter(|owner| survivors.contains(*owner)).count()
    };
    let quorum = |row: &&Vec<Value>| row.len().min(replicas) / 2 + 1;
    Losses {
        all: rows.len(),
        without_owner: rows.iter().filter(|row| left(row) == 0).count(),
        without_quorum: rows.iter().filter(|row| left(row) < quorum(row)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_is_counted_by_owners_not_by_fallbacks() {
        let ring = json!({ "replicas": 3, "table": [
            ["n1", "n2", "n3", "n4", "n5"],
            ["n1", "n3", "n4", "n2", "n5"],
            ["n5", "n3", "n4", "n2", "n1"],
        ]});
        let named = ["n1".to_owned(), "n2".to_owned()].into();
        let losses = losses(&ring, &named);
        assert_eq!((losses.all, losses.without_owner, losses.without_quorum), (3, 1, 2));
    }
}
