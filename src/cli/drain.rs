//! `quorate drain`: a node takes no more requests of clients, and says when it has answered the last.

use super::args::DrainArgs;
use super::connect::{connect, inspect, name_of_one};
use super::failure::Result;
use super::output::{Format, json, say};
use super::progress::bar;
use crate::client::Inspect;
use std::time::Duration;

/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// `quorate drain [--off]`. Requests end by their deadlines, so this ends, too.
pub(super) async fn drain(args: DrainArgs) -> Result<()> {
    let client = connect(&args.look.target).await?;
    let name = name_of_one(&client, &args.look.target).await?;
    let mut now = inspect(&client, Inspect::Drain { drained: Some(!args.off) }).await?;
    let left = |now: &serde_json::Value| now["requests"].as_u64().unwrap_or(0);
    if !args.off && left(&now) > 0 {
        let progress = bar(left(&now), "requests answered");
        while left(&now) > 0 {
            tokio::time::sleep(LOOK).await;
            now = inspect(&client, Inspect::Drain { drained: None }).await?;
            let total = progress.length().unwrap_or(0);
            progress.set_position(total.saturating_sub(left(&now)));
        }
        progress.finish_and_clear();
    }
    match args.look.print.output {
        Format::Json => json(&now),
        _ if args.off => say(format!("{name} takes requests again")),
        _ => say(format!(
            "{name} is drained: it takes no requests of clients, stores what others write, and is a member as before; \
             `quorate drain --off` or a restart ends that"
        )),
    }
}
