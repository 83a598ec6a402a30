//! The story that the demo tells, and the claims that it makes on the way: a file a chapter.

mod death;
mod healing;
mod opening;
mod wreck;

use super::claims::Claims;
use super::fleet::Fleet;
use super::gaps::StallProbe;
use super::lines::{self, Lines};
use super::load::{BUCKET, Pulse, item};
use super::look;
use crate::cli::args::DemoArgs;
use crate::cli::failure::{Failure, Result};
use crate::cli::local::LocalNode;
use crate::cli::output::say;
use crate::cli::units::show_duration;
use crate::client::{Bytes, Context};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// N of the bucket.
const REPLICAS: u8 = 3;

/// A demo under way.
pub(super) struct Story {
    /// The lines of the files that were named, if any were.
    named: Option<Lines>,
    fleet: Fleet,
    claims: Claims,
    began: Instant,
}

/// An item with a life of its own, beside the lines: its key, and what was seen of it.
struct Guest {
    key: String,
    seen: Context,
}

impl Story {
    /// Reads the files that were named, and prepares the nodes' folders.
    pub fn new(args: DemoArgs) -> Result<Story> {
        let named = match &args.logs[..] {
            [] => None,
            files => Some(lines::of_named(files)?),
        };
        let fleet = Fleet::new(args.nodes, args.dir.as_deref())?;
        Ok(Story { named, fleet, claims: Claims::default(), began: Instant::now() })
    }

    /// Where node 1 is seen.
    pub fn url(&self) -> String {
        format!("http://{}/", self.fleet.node(0).http)
    }

    /// Says that it took too long.
    pub fn out_of_time(&mut self, limit: Duration) -> Result<()> {
        self.claims.check("the demo ends in time", Err(format!("not within {} s", limit.as_secs())))
    }

    /// Whether every claim held.
    pub fn verdict(&mut self) -> Result<()> {
        let (held, failed) = (self.claims.held(), self.claims.failed());
        let took = show_duration(self.began.elapsed());
        if failed == 0 {
            return say(format!("\n{held} of {held} claims hold ({took})"));
        }
        self.fleet.keep();
        let next = format!("look into the nodes' logs in {}", self.fleet.dir().display());
        Err(Failure::new(
            "failed",
            format!("{failed} of {} claims do not hold", held + failed),
            &next,
        ))
    }

    /// Keeps what the nodes wrote, for somebody should look at it.
    pub fn keep(&mut self) {
        self.fleet.keep();
    }

    fn victim(&self) -> usize {
        self.fleet.len() - 1
    }

    fn survivors(&self) -> Vec<LocalNode> {
        self.fleet.nodes().take(self.victim()).cloned().collect()
    }

    fn claim(&mut self, claim: &str, verdict: Result<String, String>) -> Result<()> {
        self.claims.check(claim, verdict)
    }

    /// All chapters.
    pub async fn tell(&mut self) -> Result<()> {
        let probe = StallProbe::start()?;
        self.rise().await?;
        let client = self.client().await?;
        client.create_bucket(BUCKET).n(REPLICAS).r(2).w(2).await?;
        let name = self.fleet.node(self.victim()).name.clone();
        let cart = self.invite(&client, "demo/cart").await?;
        let ticket = self.invite(&client, "demo/ticket").await?;
        let pulses = [self.key("demo/pulse-a").await?, self.key("demo/pulse-b").await?];
        let before = look::identity(self.fleet.node(self.victim())).await;

        let load = Arc::new(self.load(&client)?);
        let pulse = Pulse::start(&load, pulses);
        self.write(&load).await?;
        self.fleet.bury(self.victim())?;
        self.death(&load).await?;
        self.read(&load).await?;
        self.levels(&client, &cart).await?;
        self.siblings(&client, &cart).await?;
        self.delete(&client, &ticket).await?;
        self.hints_wait().await?;

        self.return_of(&name, before).await?;
        let mut promises = load.promises();
        match pulse.stop().await {
            Ok(beats) => {
                self.gap(&load, &probe, beats.len())?;
                promises.extend(beats);
            }
            Err(reason) => self.claim("writes go on all the time", Err(reason))?,
        }
        self.hints_drain().await?;
        promises.insert(item(&cart.key.clone().into(), &Bytes::new()), Some("resolved".into()));
        promises.insert(item(&ticket.key.clone().into(), &Bytes::new()), None);
        self.agreement(promises).await?;
        self.afterwards(&client, &cart, &ticket).await
    }
}
