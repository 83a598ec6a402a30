//! `quorate backup DIR`: a node copies its own log; `quorate restore DIR --data-dir D`: a copy is laid into a data
//! directory, for a node that begins there to take from, without any node.

use super::args::{BackupArgs, RestoreArgs, Target};
use super::connect::{builder, connect, inspect};
use super::failure::{Failure, Result};
use super::output::{Format, cell, json, say};
use super::progress;
use crate::client::{BackupRequest, ExecutionProfile, Inspect, RetryPolicy};
use crate::server::backup;
use indicatif::HumanBytes;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked how far the node is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// `quorate backup DIR`.
pub(super) async fn backup(args: BackupArgs) -> Result<()> {
    if let [_, _, ..] = args.target.nodes[..] {
        let next = "name one with --node";
        return Err(Failure::new("invalid", "a backup is of one node, several were given", next));
    }
    let dir = absolute(&args.dir)?;
    let mut answer = begin(&args.target, &dir).await?;
    let client = connect(&args.target).await?;
    let bar = progress::bytes("copying");
    let mut again = interval(LOOK_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while answer["state"] == "copying" {
        bar.set_length(answer["total"].as_u64().unwrap_or(0));
        bar.set_position(answer["done"].as_u64().unwrap_or(0));
        again.tick().await;
        let look = BackupRequest::Look { dir: dir.clone() };
        answer = inspect(&client, Inspect::Backup(look)).await?;
    }
    bar.finish_and_clear();
    let mut summary = answer["backup"].take();
    summary["dir"] = dir.as_str().into();
    if args.print.output == Format::Json {
        return json(&summary);
    }
    say(told("backup of", &summary, &dir))
}

/// Asks once: to begin twice would be to find the folder taken, by ourselves. Looking may be tried again.
async fn begin(target: &Target, dir: &str) -> Result<Value> {
    let profile = ExecutionProfile { retries: RetryPolicy::never(), ..ExecutionProfile::default() };
    let client = builder(target)?.profile(profile);
    let begin = BackupRequest::Begin { dir: dir.into() };
    inspect(&client.build().await?, Inspect::Backup(begin)).await
}

/// The node works in another folder than we do.
fn absolute(dir: &Path) -> Result<String> {
    let whole = std::path::absolute(dir)?;
    let text = whole.to_str().ok_or_else(|| {
        let what = format!("{} is not UTF-8", dir.display());
        Failure::new("invalid", what, "choose another folder")
    })?;
    Ok(text.to_string())
}

/// `quorate restore DIR --data-dir D`.
pub(super) fn restore(args: &RestoreArgs) -> Result<()> {
    let bar = progress::bytes("restoring");
    let restored = backup::restore(&args.dir, &args.data_dir, &mut |moved| {
        bar.set_length(moved.total);
        bar.set_position(moved.done);
    });
    bar.finish_and_clear();
    let mut summary = restored.map_err(|error| Failure::said(&error))?.summary();
    let data = args.data_dir.display().to_string();
    if args.print.output == Format::Json {
        summary["data_dir"] = data.into();
        return json(&summary);
    }
    say(told("restored", &summary, &data))?;
    let name = cell(&summary["name"]);
    say(format!(
        "start it as {name} with `join`: it begins empty, and takes from there what the others hold, too"
    ))
}

fn told(what: &str, summary: &Value, place: &str) -> String {
    let field = |name: &str| cell(&summary[name]);
    format!(
        "{what} {} as of {}, commit {}: {} in {} files, {place}",
        field("name"),
        field("taken_at"),
        field("commit"),
        HumanBytes(summary["bytes"].as_u64().unwrap_or(0)),
        field("files"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_says_whose_it_is_and_of_when() {
        let summary = json!({
            "name": "n2", "taken_at": "2026-06-01T12:00:00Z", "commit": 41, "bytes": 2048, "files": 3,
        });
        assert_eq!(
            told("backup of", &summary, "/b"),
            "backup of n2 as of 2026-06-01T12:00:00Z, commit 41: 2.00 KiB in 3 files, /b"
        );
    }

    #[test]
    fn a_folder_is_told_to_the_node_by_its_whole_name() {
        assert_eq!(absolute(Path::new("/b")).unwrap(), "/b");
        assert!(absolute(Path::new("b")).unwrap().ends_with("/b"));
        assert!(absolute(Path::new("")).is_err());
    }
}
