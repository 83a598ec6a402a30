//! The last chapter: the dead node returns, and the replicas become equal.

use super::{Guest, REPLICAS, Story};
use crate::cli::demo::dumps::{Promises, compare};
use crate::cli::demo::load::BUCKET;
use crate::cli::demo::look;
use crate::cli::failure::Result;
use crate::cli::probe::until;
use crate::cli::progress;
use crate::cli::units::{show_count, show_duration};
use crate::client::{Client, Consistency};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How soon hints must have drained, and how soon the replicas must agree.
const HEALING_LIMIT: Duration = Duration::from_secs(25);

impl Story {
    pub(super) async fn return_of(
        &mut self,
        name: &str,
        before: Result<(String, String), String>,
    ) -> Result<()> {
        let bar = progress::spinner(&format!("restarting {name}"));
        let began = Instant::now();
        let restarted =
            self.fleet.restart(self.victim()).await.map_err(|failure| failure.to_string());
        bar.finish_and_clear();
        let took = show_duration(began.elapsed());
        let after = look::identity(self.fleet.node(self.victim())).await;
        let same = restarted.and(before).and_then(|before| {
            let after = after?;
            if before == after {
                Ok(format!("ready after {took}, id {}, lineage {}", after.0, after.1))
            } else {
                Err(format!("it was {before:?} and is {after:?}"))
            }
        });
        self.claim(&format!("{name} is back with the same data"), same)
    }

    pub(super) async fn hints_drain(&mut self) -> Result<()> {
        let bar = progress::spinner("waiting until the hints have drained");
        let began = Instant::now();
        let fleet = &self.fleet;
        let none = || async {
            for node in fleet.nodes() {
                match look::hints(node).await? {
                    0 => {}
                    pending => return Err(format!("{} still keeps {pending}", node.name)),
                }
            }
            Ok(())
        };
        let drained = until(HEALING_LIMIT, none).await;
        bar.finish_and_clear();
        let evidence = format!("none is left {} later", show_duration(began.elapsed()));
        self.claim("the hints drain", drained.map(|()| evidence))
    }

    pub(super) async fn agreement(&mut self, promises: Promises) -> Result<()> {
        let bar = progress::spinner("comparing the replicas");
        let fleet = &self.fleet;
        let agree = || async {
            let mut dumps = BTreeMap::new();
            for node in fleet.nodes() {
                dumps.insert(node.name.clone(), look::dump(node).await?);
            }
            compare(&dumps, &promises, usize::from(REPLICAS))
        };
        let agreed = until(HEALING_LIMIT, agree).await;
        bar.finish_and_clear();
        let evidence = agreed.map(|items| {
            format!(
                "{} items compared key by key, {} of them acknowledged",
                show_count(items as u64),
                show_count(promises.len() as u64)
            )
        });
        self.claim("all three replicas hold the same, and all that was acknowledged", evidence)
    }

    pub(super) async fn afterwards(
        &mut self,
        client: &Client,
        cart: &Guest,
        ticket: &Guest,
    ) -> Result<()> {
        let verdict = async {
            let node = self.fleet.node(self.victim());
            for client in [client, &look::only(node).await?] {
                let ticket = client.get(BUCKET, &ticket.key).consistency(Consistency::All).await;
                let ticket = ticket.map_err(|error| error.to_string())?;
                if !ticket.is_empty() {
                    return Err("the deleted item is back".to_string());
                }
                let cart = client.get(BUCKET, &cart.key).consistency(Consistency::All).await;
                let cart = cart.map_err(|error| error.to_string())?;
                if cart.siblings.len() != 1 || cart.siblings[0].value != "resolved" {
                    return Err(format!("the resolved item has {} values", cart.siblings.len()));
                }
            }
            Ok(format!("reads at ALL, also through {}", node.name))
        };
        let verdict = verdict.await;
        self.claim("what was deleted stays deleted, what was resolved stays resolved", verdict)
    }
}
