//! The first chapter: the nodes rise, and everything is prepared.

use super::{Guest, Story};
use crate::cli::demo::lines::{self, Lines};
use crate::cli::demo::load::{BUCKET, Load};
use crate::cli::demo::look;
use crate::cli::failure::{Failure, Result};
use crate::cli::local::LocalNode;
use crate::cli::output::say;
use crate::cli::probe::until;
use crate::cli::progress;
use crate::cli::units::show_count;
use crate::client::Client;
use rustix::process::Signal;
use std::time::Duration;

/// How soon everybody must see everybody.
const GREETING_LIMIT: Duration = Duration::from_secs(15);

impl Story {
    pub(super) async fn rise(&mut self) -> Result<()> {
        let bar = progress::spinner(&format!("starting {} nodes", self.fleet.len()));
        self.fleet.start().await?;
        let count = self.fleet.len();
        let fleet = &self.fleet;
        let all_alive = || async {
            for node in fleet.nodes() {
                let states = look::states(node).await?;
                let alive = states.iter().filter(|(_, state)| state == "alive").count();
                if alive != count {
                    return Err(format!("{} sees {alive} of {count} alive", node.name));
                }
            }
            Ok(())
        };
        let seen = until(GREETING_LIMIT, all_alive).await;
        bar.finish_and_clear();
        let pids: Vec<String> = (0..count).map(|index| self.fleet.pid(index).to_string()).collect();
        let evidence = format!("{count} processes, pids {}", pids.join(", "));
        self.claim("the nodes are ready and see each other", seen.map(|()| evidence))
    }

    pub(super) async fn client(&self) -> Result<Client> {
        let nodes = self.fleet.nodes().map(|node| node.native.to_string());
        Ok(Client::builder().nodes(nodes).name("quorate demo").build().await?)
    }

    pub(super) fn load(&mut self, client: &Client) -> Result<Load> {
        let own = self.fleet.nodes().map(LocalNode::log);
        let lines =
            self.named.take().unwrap_or_else(|| lines::of_this_machine(&own.collect::<Vec<_>>()));
        let Lines { lines, files, left_out } = lines;
        let older = if left_out > 0 {
            format!(" (the newest; {} older ones are left out)", show_count(left_out))
        } else {
            String::new()
        };
        say(format!(
            "     storing {} lines of {files} files{older}",
            show_count(lines.len() as u64)
        ))?;
        let victim = self.fleet.node(self.victim()).clone();
        let trigger = move || match victim.signal(Signal::KILL) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{} was dead before", victim.name)),
            Err(failure) => Err(failure.to_string()),
        };
        let third = lines.len().div_ceil(3);
        Ok(Load::new(client.clone(), lines, third, Box::new(trigger)))
    }

    pub(super) async fn invite(&self, client: &Client, stem: &str) -> Result<Guest> {
        let key = self.key(stem).await?;
        let seen = client.put(BUCKET, &key, "first").w(2).await?.context;
        Ok(Guest { key, seen })
    }

    /// A key that the node which will be killed has a replica of.
    pub(super) async fn key(&self, stem: &str) -> Result<String> {
        let owner = &self.fleet.node(self.victim()).name;
        look::key_owned_by(self.fleet.node(0), owner, stem)
            .await
            .map_err(|reason| Failure::new("internal", reason, "look into the nodes' logs"))
    }
}
