//! The demo: real processes, real lines, a real SIGKILL, and claims that are checked.
//!
//! ```text
//! n1  ───────────────────────────────────────────────────────────────
//! n2  ───────────────────────────────────────────────────────────────
//! n3  ────────── ✗ kill -9                     ┌── same data ────────
//!     lines ─────────────────────▶ │ read all   │ hints ──▶ n3
//!     pulse ───────────────────────────────────▶            three dumps, equal?
//! ```
//!
//! Nothing is printed that was not compared, and nothing is measured by sleeping: every wait is for a
//! condition and has a limit.

mod claims;
mod dumps;
mod fleet;
mod gaps;
mod lines;
mod load;
mod look;
mod story;

use super::args::DemoArgs;
use super::failure::{Failure, Result};
use super::output::say;
use std::time::Duration;

/// How long it may take by itself.
const LIMIT: Duration = Duration::from_secs(85);

/// `quorate demo`. To be polled from the thread that lives longest: the nodes die with it.
pub(super) async fn run(args: DemoArgs) -> Result<()> {
    let once = args.once;
    let mut story = story::Story::new(args)?;
    let told = tokio::select! {
        told = tokio::time::timeout(LIMIT, story.tell()) => told,
        () = interrupted() => {
            return Err(Failure::new("interrupted", "the demo was stopped", "the nodes are gone too"));
        }
    };
    match told {
        Ok(told) => told.inspect_err(|_| story.keep())?,
        Err(_) => story.out_of_time(LIMIT)?,
    }
    story.verdict()?;
    if !once {
        say(format!("\nThe cluster goes on: {}  (Ctrl-C ends it)", story.url()))?;
        interrupted().await;
    }
    Ok(())
}

/// Waits for Ctrl-C or an orderly request to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
