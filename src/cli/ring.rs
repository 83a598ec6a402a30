//! Changing owners: `ring plan|commit|abort`, `leave`, `remove`, `replace`, and how far that is: `transfers`.
//!
//! A change is agreed on in a moment and goes on by itself, whether anybody waits here or not.

use super::args::{
    CommitArgs, LeaveArgs, LookArgs, PlaceArgs, PlanArgs, RemoveArgs, RingArgs, RingCommand,
};
use super::connect::{connect, inspect, name_of_one};
use super::failure::{Failure, Result};
use super::look;
use super::output::{Format, align_right, cell, json, say, show, table};
use super::progress::spinner;
use super::survivors;
use super::units::show_bytes;
use crate::client::{Client, Inspect, RingChange};
use serde_json::{Value, json};
use std::time::Duration;

/// How often it is looked how far a change is.
const LOOK: Duration = Duration::from_millis(200);

/// `quorate ring …`.
pub(super) async fn ring(args: RingArgs) -> Result<()> {
    match args.command {
        None => look::ring(&args).await,
        Some(RingCommand::Plan(args)) => plan(args).await,
        Some(RingCommand::Commit(args)) => commit(args).await,
        Some(RingCommand::ForceSurvivors(args)) => survivors::force(args).await,
        Some(RingCommand::Abort(args)) => {
            agree(&connect(&args.target).await?, RingChange::Abort, &args).await
        }
    }
}

/// What the flags say of a member's place; `None`: nothing.
fn placed(args: PlaceArgs) -> Result<Option<RingChange>> {
    let (name, zone, weight) = match (args.weight, args.zone) {
        (None, None) => return Ok(None),
        (Some((name, weight)), None) => (name, None, Some(weight)),
        (None, Some((name, zone))) => (name, Some(zone), None),
        (Some((name, weight)), Some((same, zone))) if name == same => {
            (name, Some(zone), Some(weight))
        }
        (Some((one, _)), Some((other, _))) => {
            let what = format!("{one} and {other} are two members, and one change goes at a time");
            return Err(Failure::new("invalid", &what, "commit one, and then the other"));
        }
    };
    Ok(Some(RingChange::Place { name, zone, weight }))
}

async fn commit(args: CommitArgs) -> Result<()> {
    let client = connect(&args.go.look.target).await?;
    match placed(args.place)? {
        Some(place) => change(&client, place, None, args.go).await,
        None => agree(&client, RingChange::Commit, &args.go.look).await,
    }
}

async fn plan(args: PlanArgs) -> Result<()> {
    let change = match (args.leave, args.remove, &args.replace[..], placed(args.place)?) {
        (None, None, [], Some(place)) => place,
        (Some(name), _, _, None) => RingChange::Leave(name),
        (_, Some(name), _, None) => RingChange::Remove(name),
        (_, _, [old, new], None) => RingChange::Replace { old: old.clone(), new: new.clone() },
        (None, None, _, None) => RingChange::Rebalance,
        (.., Some(_)) => {
            let what = "a plan is about one change";
            return Err(Failure::new("invalid", what, "ask for one, and then for the other"));
        }
    };
    let client = connect(&args.look.target).await?;
    let answer = inspect(&client, Inspect::Plan(change)).await?;
    if args.look.print.output == Format::Json {
        return json(&answer);
    }
    say(format!(
        "{} slots in {} partitions would move, about {} items, {}",
        cell(&answer["slots"]),
        cell(&answer["partitions"]),
        cell(&answer["items"]),
        size(&answer["bytes"])
    ))?;
    let mut moves = table(&["from", "to", "slots", "items, about", "bytes, about"]);
    align_right(&mut moves, &[2, 3, 4]);
    for step in answer["moves"].as_array().into_iter().flatten() {
        let [from, to, slots, items] = ["from", "to", "slots", "items"].map(|f| cell(&step[f]));
        moves.add_row([from, to, slots, items, size(&step["bytes"])]);
    }
    let mut members = table(&["member", "slots now", "slots then"]);
    align_right(&mut members, &[1, 2]);
    for member in answer["members"].as_array().into_iter().flatten() {
        members.add_row(["name", "before", "after"].map(|field| cell(&member[field])));
    }
    say("")?;
    show(&moves)?;
    say("")?;
    show(&members)
}

fn size(bytes: &Value) -> String {
    show_bytes(bytes.as_f64().unwrap_or_default())
}

/// `quorate leave`.
pub(super) async fn leave(args: LeaveArgs) -> Result<()> {
    let client = connect(&args.look.target).await?;
    let name = name_of_one(&client, &args.look.target).await?;
    change(&client, RingChange::Leave(name.clone()), Some(name), args).await
}

/// `quorate remove NODE`.
pub(super) async fn remove(args: RemoveArgs) -> Result<()> {
    let client = connect(&args.go.look.target).await?;
    let gone = args.member;
    change(&client, RingChange::Remove(gone.clone()), Some(gone), args.go).await
}

/// `quorate replace OLD`.
pub(super) async fn replace(args: RemoveArgs) -> Result<()> {
    let client = connect(&args.go.look.target).await?;
    let new = name_of_one(&client, &args.go.look.target).await?;
    let old = args.member;
    change(&client, RingChange::Replace { old: old.clone(), new }, Some(old), args.go).await
}

/// `quorate transfers`.
pub(super) async fn transfers(args: LookArgs) -> Result<()> {
    let client = connect(&args.target).await?;
    let ring = inspect(&client, Inspect::Ring).await?;
    let members = inspect(&client, Inspect::Members).await?;
    let copying: Vec<&Value> = members["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|member| member["to_copy"].as_u64().is_some_and(|slots| slots > 0))
        .collect();
    if args.print.output == Format::Json {
        let copying = copying.iter().map(|m| json!({ "name": m["name"], "slots": m["to_copy"] }));
        let copying: Vec<Value> = copying.collect();
        return json(&json!({ "change": ring["change"], "copying": copying }));
    }
    if ring["change"].is_null() {
        return say("no change of owners is under way");
    }
    say(cell(&ring["change"]["words"]))?;
    let mut table = table(&["member", "slots still to be copied"]);
    align_right(&mut table, &[1]);
    for member in copying {
        table.add_row([cell(&member["name"]), cell(&member["to_copy"])]);
    }
    say("")?;
    show(&table)
}

async fn agree(client: &Client, change: RingChange, args: &LookArgs) -> Result<()> {
    client.change_ring(change).await?;
    match args.print.output {
        Format::Json => json(&json!({ "agreed": true })),
        _ => say("agreed"),
    }
}

async fn change(
    client: &Client,
    change: RingChange,
    gone: Option<String>,
    args: LeaveArgs,
) -> Result<()> {
    client.change_ring(change).await?;
    if args.wait {
        wait(client, gone.as_deref()).await?;
    }
    match (args.look.print.output, args.wait) {
        (Format::Json, wait) => json(&json!({ "agreed": true, "done": wait })),
        (_, true) => say("done"),
        (_, false) => say("agreed; it goes on by itself: `quorate transfers` shows how far it is"),
    }
}

/// Until no change is under way, and whoever was to go is no member any more.
async fn wait(client: &Client, gone: Option<&str>) -> Result<()> {
    let progress = spinner("agreed");
    loop {
        let ring = inspect(client, Inspect::Ring).await?;
        let mut members = ring["members"].as_array().into_iter().flatten();
        let there = members.any(|member| member["name"].as_str().is_some_and(|n| Some(n) == gone));
        let left = ring["change"]["words"].as_str().map(str::to_owned);
        let mut leaving = ring["leaving"].as_array().into_iter().flatten();
        let leaves = leaving.any(|name| name.as_str() == gone);
        let gone = gone.unwrap_or_default();
        match (left, there) {
            (None, false) => {
                progress.finish_and_clear();
                return Ok(());
            }
            (Some(words), _) => progress.set_message(words),
            (None, true) if !leaves => {
                progress.finish_and_clear();
                let next = "see `quorate status`, mend what is missing, and ask again";
                return Err(Failure::new("aborted", "the change was taken back", next));
            }
            (None, true) if is_dead(client, gone).await? => {
                progress.finish_and_clear();
                let what = format!("{gone} died before it had given away what lay on it alone");
                let next = format!("start it again, or give that up with `quorate remove {gone}`");
                return Err(Failure::new("unavailable", what, &next));
            }
            (None, true) => progress.set_message("giving away what lies there alone"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn is_dead(client: &Client, name: &str) -> Result<bool> {
    let members = inspect(client, Inspect::Members).await?;
    let mut all = members["members"].as_array().into_iter().flatten();
    // Earlier lives under its name, which are members no more, are still told of for a while.
    let is_it = |member: &Value| member["name"] == name && member["agreed"] == true;
    Ok(all.any(|member| is_it(member) && member["state"] == "dead"))
}
