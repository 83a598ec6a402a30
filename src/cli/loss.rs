//! `quorate accept-loss`: a member goes on with what it has, where what it lacks is lost for ever.

use super::args::AcceptLossArgs;
use super::connect::{connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, cell, json, say};
use crate::client::Inspect;
use serde_json::Value;

/// `quorate accept-loss NODE [--yes]`.
pub(super) async fn accept_loss(args: AcceptLossArgs) -> Result<()> {
    let target = &args.look.target;
    let members = inspect(&connect(target).await?, Inspect::Members).await?;
    let mut all = members["members"].as_array().into_iter().flatten();
    let member = all.find(|member| member["name"] == args.member.as_str());
    let Some(address) = member.and_then(|member| member["address"].as_str()) else {
        let what = format!("no member named {} with a known address", args.member);
        return Err(Failure::new("not_found", what, "see `quorate members`"));
    };
    let client = connect(&target.at(address)).await?;
    let told = inspect(&client, Inspect::AcceptLoss { accept: false }).await?;
    if told["name"] != args.member.as_str() {
        let what = format!("{} answers at {address}", cell(&told["name"]));
        return Err(Failure::new("unavailable", what, "see `quorate members`"));
    }
    if told["rebuilding"] == 0 {
        return match args.look.print.output {
            Format::Json => json(&told),
            Format::Table => {
                say(format!("{} lacks nothing: all its slots are complete", args.member))
            }
        };
    }
    if !args.yes {
        let what = format!("{}; what nobody else has would be lost", lacks(&told));
        let next = "if it will not come back, say --yes; else start who is down, or wait";
        return Err(Failure::new("invalid", what, next));
    }
    let told = inspect(&client, Inspect::AcceptLoss { accept: true }).await?;
    match args.look.print.output {
        Format::Json => json(&told),
        Format::Table => {
            let (before, left) = (told["rebuilding"].as_u64(), told["left"].as_u64());
            let accepted = before.unwrap_or(0).saturating_sub(left.unwrap_or(0));
            say(format!(
                "{} goes on with what it has: {accepted} slots count as complete",
                args.member
            ))?;
            match left {
                Some(0) | None => Ok(()),
                Some(left) => {
                    say(format!("{left} wait for its restored backup, which comes first"))
                }
            }
        }
    }
}

/// What a member has not got, and from whom.
fn lacks(told: &Value) -> String {
    let from = told["lacks"].as_array().into_iter().flatten();
    let from: Vec<String> = from
        .map(|lack| format!("{} ({} slots)", cell(&lack["name"]), cell(&lack["slots"])))
        .collect();
    let from = match from.is_empty() {
        // Somebody who may keep hints for it has not answered.
        true => "somebody who may have stood in for it".to_owned(),
        false => from.join(", "),
    };
    let (name, slots) = (cell(&told["name"]), cell(&told["rebuilding"]));
    format!("{name} has {slots} incomplete slots, and has not heard all from {from}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_says_from_whom_something_is_missing() {
        let told = json!({
            "name": "n2", "rebuilding": 7, "accepted": false,
            "lacks": [{ "name": "n3", "slots": 7 }, { "name": "n4", "slots": 2 }],
        });
        assert_eq!(
            lacks(&told),
            "n2 has 7 incomplete slots, and has not heard all from n3 (7 slots), n4 (2 slots)"
        );
        let hints = json!({ "name": "n2", "rebuilding": 1, "lacks": [] });
        assert!(lacks(&hints).contains("stood in"));
    }
}
